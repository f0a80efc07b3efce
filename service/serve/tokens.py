"""Bearer tokens: JSON Web Tokens of one issuer, checked with keys and algorithms that the settings pin."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from palpate.bounded_read import OversizeError, read_bounded
from palpate.config.serve import TokenSettings
from palpate.errors import InputError
from palpate.service.serve.consent import PURPOSES
from palpate.service.serve.refusals import RequestRefusal

ROLES: Final = ("reader", "planner", "auditor")
"""Roles within a study: to ask, to ask and upload, to read of the trail."""
LOCAL: Final = "local"
"""Name of everyone on this machine where no tokens are demanded."""
_LONGEST: Final = 8192
_FORM: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_LEAST_RSA_BITS: Final = 2048


@dataclass(frozen=True, slots=True)
class AskingPerson:
    """Whoever asks.

    Attributes:
        name: name that the token gives; LOCAL without tokens.
        roles: roles within the study that is served.
        purposes: purposes for which the person may ask; None for all.
    """

    name: str
    roles: frozenset[str]
    purposes: frozenset[str] | None = None

    def demand(self, *roles: str) -> None:
        """Refuse a person who has none of some roles.

        Args:
            roles: roles, one of which is enough.

        Raises:
            RequestRefusal: the person has none of them.
        """
        if not self.roles & set(roles):
            raise RequestRefusal(
                403,
                "the token",
                found="no scope of this study that allows it",
                expected=f"the role {' or '.join(roles)} in this study",
                advice="Ask whoever gives tokens for the scope.",
            )


EVERYONE: Final = AskingPerson(LOCAL, frozenset(ROLES))
"""Everyone on this machine, where no tokens are demanded."""


class TokenCheck:
    """Check of bearer tokens.

    Args:
        settings: issuer, audience, keys and algorithms.
        study: name of the study that is served.

    Raises:
        InputError: the keys cannot be used.
    """

    def __init__(self, settings: TokenSettings, study: str) -> None:
        self._settings, self._study, self._lock = settings, study, Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._keys = self._known()

    def person(self, header: str) -> AskingPerson:
        """Return whoever a request's Authorization header names.

        Args:
            header: header; empty where there is none.

        Raises:
            RequestRefusal: the token is none, or does not hold here and now.
        """
        kind, _, token = header.partition(" ")
        token = token.strip()
        if kind.lower() != "bearer" or len(token) > _LONGEST or _FORM.fullmatch(token) is None:
            raise _refused("no bearer token", "")
        settings = self._settings
        try:
            found = jwt.decode(token, self._known(), algorithms=list(settings.algorithms))
            registry = jwt.JWTClaimsRegistry(
                leeway=int(settings.leeway_s),
                iss={"essential": True, "value": settings.issuer},
                aud={"essential": True, "value": settings.audience},
                exp={"essential": True},
                sub={"essential": True},
            )
            registry.validate(found.claims)
            return _person(found.claims, self._study)
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise _refused("a token that does not hold here and now", "invalid_token") from error

    def _known(self) -> KeySet:
        """Return the issuer's keys, read again where their file has changed."""
        path = self._settings.keys
        try:
            state = path.stat()
            stamp = (state.st_mtime_ns, state.st_size, state.st_ino)
            with self._lock:
                if stamp != self._stamp:
                    self._keys, self._stamp = _read_keys(path), stamp
                return self._keys
        except OSError as error:
            raise _no_keys("no file that can be read") from error


def _read_keys(path: Path) -> KeySet:
    try:
        found = KeySet.import_key_set(json.loads(read_bounded(path).decode("utf-8")))
    except (JoseError, OversizeError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise _no_keys("a file that is no JSON Web Key Set") from error
    for key in found.keys:
        if not isinstance(key, ECKey | OKPKey | RSAKey):
            raise _no_keys("a secret key, with which anyone who can check a token could make one")
        if key.is_private:
            raise _no_keys("a private key")
        if isinstance(key, RSAKey) and key.raw_value.key_size < _LEAST_RSA_BITS:
            raise _no_keys(f"an RSA key of {key.raw_value.key_size} bits")
    return found


def _person(claims: Mapping[str, Any], study: str) -> AskingPerson:
    name, scopes = claims["sub"], claims.get("scope", "")
    if not isinstance(name, str) or not isinstance(scopes, str) or not 0 < len(name) <= 200:
        raise ValueError("claims of another form")
    roles = frozenset(one for one in ROLES if f"study:{study}:{one}" in scopes.split())
    purposes = frozenset(one for one in PURPOSES if f"purpose:{one}" in scopes.split())
    return AskingPerson("".join(one for one in name if one.isprintable()), roles, purposes or None)


def _refused(found: str, code: str) -> RequestRefusal:
    told = 'Bearer realm="palpate"' + (f', error="{code}"' if code else "")
    return RequestRefusal(
        401,
        "Authorization",
        found=found,
        expected="Bearer and a token of the issuer that this service names",
        advice="Ask the issuer for a new token.",
        headers={"WWW-Authenticate": told},
    )


def _no_keys(found: str) -> InputError:
    return InputError(
        "tokens.keys",
        found=found,
        expected="the public keys of the issuer (EdDSA, ES256 or RS256), a JSON Web Key Set",
        advice="Name the file that the issuer publishes.",
    )
