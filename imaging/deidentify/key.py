"""The secret that ties pseudonyms to persons: identifiers and dates follow from it, and without it nobody can go back.

    identifier   2.25.n, n the UUID made of the first 128 bits of HMAC-SHA256(key, "uid" || identifier)
    days         1 + HMAC-SHA256(key, "days" || patient) mod 3650
    pseudonym    first 48 bits of HMAC-SHA256(key, "pseudonym" || patient), in hexadecimal

The same key gives the same study, the same patient and the same intervals in every run; another key another world.
"""

from __future__ import annotations

import hmac
import os
import secrets
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import UUID

from palpate.errors import InputError

_LENGTH: Final = 32
_MOST_DAYS: Final = 3650


@dataclass(frozen=True, slots=True)
class Key:
    """A key for pseudonyms.

    Attributes:
        secret: 32 random bytes; never shown.
    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a secret that can be guessed.

        Raises:
            ValueError: it has another length.
        """
        if len(self.secret) != _LENGTH:
            raise ValueError(f"{len(self.secret)} bytes; a key has {_LENGTH}")

    def identifier(self, original: str) -> str:
        """The unique identifier that stands for another one."""
        return f"2.25.{UUID(bytes=self._digest('uid', original)[:16], version=5).int}"

    def shifted(self, day: date, patient: str) -> date:
        """The day, earlier by the patient's own number of days, 1 to 3650: intervals within a patient stay.

        Raises:
            OverflowError: the day would lie before the year 1.
        """
        days = 1 + int.from_bytes(self._digest("days", patient)) % _MOST_DAYS
        return day - timedelta(days=days)

    def pseudonym(self, patient: str) -> str:
        """The name that stands for a patient, such as "P0123456789AB"."""
        return f"P{self._digest('pseudonym', patient)[:6].hex().upper()}"

    @property
    def fingerprint(self) -> str:
        """What tells this key from others without giving it away, 16 hexadecimal digits."""
        return self._digest("fingerprint", "")[:8].hex()

    def _digest(self, purpose: str, text: str) -> bytes:
        return hmac.digest(self.secret, f"{purpose}\0{text}".encode(), sha256)


def open_key(path: Path, *, away_from: Path) -> Key:
    """Read a key, or make one where there is none, readable by its owner only.

    Args:
        path: the key's file.
        away_from: the folder that is to be written. Whoever gets it, or the results around it, must not get the key.

    Raises:
        InputError: the key would lie in that folder or its results, is no key, or others may read it.
    """
    results = results_around(away_from)
    if path.resolve().is_relative_to(results):
        raise InputError(
            "the key",
            found="a place inside the folder of results",
            expected="a file that does not travel with them",
            advice="Keep the key elsewhere, where only those responsible for the patients can read it.",
        )
    advice = "Give the key that was made for this study, or a path where none is yet."
    try:
        if not path.exists():
            return _make(path)
        mode = path.stat().st_mode & 0o077
        secret = path.read_bytes() if path.is_file() else b""
    except OSError as error:
        found = f"a place that cannot be read or written ({error.strerror})"
        raise InputError("the key", found=found, expected=f"a file of {_LENGTH} bytes", advice=advice) from error
    if len(secret) != _LENGTH:
        found = f"{len(secret)} bytes" if path.is_file() else "no file"
        raise InputError("the key", found=found, expected=f"a file of {_LENGTH} bytes", advice=advice)
    if mode:
        raise InputError(
            "the key", found="a file that others may read", expected="mode 0600", advice="Run chmod 600 on it."
        )
    return Key(secret)


def results_around(out: Path) -> Path:
    """The results that an output folder belongs to: the folder around its sub-<label>, or itself."""
    out = out.resolve()
    subject = next((folder for folder in (out, *out.parents) if folder.name.startswith("sub-")), None)
    return out if subject is None else subject.parent


def _make(path: Path) -> Key:
    """A new key, in a file of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    secret = secrets.token_bytes(_LENGTH)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(secret)
    return Key(secret)
