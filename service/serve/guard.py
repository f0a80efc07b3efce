"""Guard in front of the application: names of the host, sizes, times, headers, persons, and the audit trail."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from palpate.service.serve.audit import AuditTrail, TrailError
from palpate.service.serve.events import RequestFacts, event_of
from palpate.service.serve.limits import RateLimit
from palpate.service.serve.override_check import ANSWER
from palpate.service.serve.refusals import RequestRefusal, busy, not_found
from palpate.service.serve.tokens import EVERYONE, AskingPerson, TokenCheck

type Scope = MutableMapping[str, Any]
type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type App = Callable[[Scope, Receive, Send], Awaitable[None]]

API: Final = "/api/"
"""Start of the addresses that are answered to persons alone and leave a line in the trail."""
SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"geolocation=(), camera=(), microphone=()"),
    (b"cache-control", b"no-store"),
)
"""Headers of every answer."""
_POLICY: Final = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_TLS_ONLY: Final = (b"strict-transport-security", b"max-age=31536000")
_ODD: Final = re.compile(rb"%(?:2f|5c|00|25)|\\|/\.{1,2}(?:/|$)|//|%2e", re.IGNORECASE)
DIGEST_HEADER: Final = b"repr-digest"
"""Header with the SHA-256 of an answer (RFC 9530), which its line in the trail names, too."""
UPLOADS: Final = "/api/v1/regions"
"""Address that takes uploads; the bodies of all others are small."""
_SMALL: Final = 16 << 10
"""Largest body of a request that uploads nothing, bytes."""
_LONGEST_QUERY: Final = 4096
_HOST: Final = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?")


class Guard:
    """Application of ASGI around another one.

    Args:
        app: application to guard.
        hosts: names by which clients may call the service, in small letters.
        trail: audit trail.
        study: name of the study.
        tokens: check of tokens; None where everyone on this machine may ask.
        rate: limit of requests.
        upload_bytes: largest upload, bytes.
        timeout_s: time for a request to arrive, and for a piece of an answer to be taken, seconds.
        tls: whether clients speak TLS.
    """

    def __init__(
        self,
        app: App,
        *,
        hosts: frozenset[str],
        trail: AuditTrail,
        study: str,
        tokens: TokenCheck | None,
        rate: RateLimit,
        upload_bytes: int,
        timeout_s: float,
        tls: bool,
    ) -> None:
        self._app, self._hosts, self._trail, self._study = app, hosts, trail, study
        self._tokens, self._rate, self._upload_bytes = tokens, rate, upload_bytes
        self._timeout_s, self._tls = timeout_s, tls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        facts = RequestFacts()
        scope.setdefault("state", {})["facts"] = facts
        answered = _Sending(send, self._headers(), self._line(scope, facts), self._timeout_s)
        try:
            person = self._admit(scope, facts)
            scope["state"]["person"] = person
            uploads = scope["method"] == "POST" and scope["path"] == UPLOADS
            limit = self._upload_bytes if uploads else _SMALL
            await self._app(scope, _Receiving(receive, limit, self._timeout_s).piece, answered.piece)
        except RequestRefusal as refusal:
            facts.reason = facts.reason or str(refusal)
            await answered.refuse(refusal)
        except TrailError:
            await answered.refuse(busy("a trail that cannot be kept, without which nothing is answered"), trail=False)
        except TimeoutError:
            raise ConnectionAbortedError("the client takes its answer too slowly") from None

    def close(self) -> None:
        """Write what the trail still holds, and end it."""
        self._trail.close()

    def _admit(self, scope: Scope, facts: RequestFacts) -> AskingPerson:
        """Return whoever asks.

        Raises:
            RequestRefusal: the request is refused before anybody looks at its question.
        """
        headers = _single(scope["headers"])
        address = (scope.get("client") or ("unknown", 0))[0]
        self._demand_host(headers.get(b"host", b""))
        if len(scope.get("query_string", b"")) > _LONGEST_QUERY:
            raise _refused(414, "the address", "a query of more than 4 kB", "a short question")
        if _ODD.search(scope.get("raw_path") or b""):
            raise not_found("address of this kind")
        if not scope["path"].startswith(API):
            self._rate.take(address)
            return AskingPerson("", frozenset())
        self._demand_same_origin(headers)
        if self._tokens is None:
            self._rate.take(address)
            person = EVERYONE
        else:
            try:
                person = self._tokens.person(headers.get(b"authorization", b"").decode("latin-1"))
            except RequestRefusal:
                self._rate.take(address)
                raise
            self._rate.take(person.name)
        facts.person = person.name
        return person

    def _demand_host(self, stated: bytes) -> None:
        """Refuse requests to another name: a page elsewhere may have given its own name this machine's address."""
        found = _HOST.fullmatch(stated.decode("latin-1"))
        if found is None or found["name"].lower() not in self._hosts:
            raise _refused(421, "Host", "another name than this service's", "a name that the settings list (hosts)")

    def _demand_same_origin(self, headers: dict[bytes, bytes]) -> None:
        """Refuse what a page of another origin makes a browser send."""
        site, origin = headers.get(b"sec-fetch-site", b"none"), headers.get(b"origin")
        own = {scheme + b"://" + headers.get(b"host", b"") for scheme in (b"http", b"https")}
        if site in (b"cross-site", b"same-site") or (origin is not None and origin not in own):
            raise _refused(403, "Origin", "a page of another origin", "the service's own page, or no page at all")

    def _headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return (*SECURITY_HEADERS, _TLS_ONLY) if self._tls else SECURITY_HEADERS

    def _line(self, scope: Scope, facts: RequestFacts) -> Callable[[Message], Awaitable[None]]:
        """Return what keeps a line about the request, given the message that begins its answer."""

        async def keep(start: Message) -> None:
            if scope["path"].startswith(API):
                address = (scope.get("client") or ("unknown", 0))[0]
                query, status = scope.get("query_string", b""), start["status"]
                facts.named += [f"{ANSWER}{one}" for one in _digests(start)]
                await self._trail.add(
                    event_of(facts, scope["method"], scope["path"], query, address, status, self._study)
                )

        return keep


class _Receiving:
    """Body of a request, piece by piece: bounded in size and time."""

    def __init__(self, receive: Receive, most: int, timeout_s: float) -> None:
        self._receive, self._left = receive, most
        self._most, self._until = most, asyncio.get_running_loop().time() + timeout_s
        self._whole = False

    async def piece(self) -> Message:
        if self._whole:  # what follows is the end of the connection, which may take as long as it likes
            return await self._receive()
        try:
            left_s = self._until - asyncio.get_running_loop().time()
            message = await asyncio.wait_for(self._receive(), max(left_s, 0.0))
        except TimeoutError:
            raise _refused(408, "the body", "a body that arrives too slowly", "a body without pauses") from None
        self._left -= len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._left < 0:
            raise _refused(413, "the body", f"more than {self._most} bytes", f"at most {self._most} bytes")
        return message


class _Sending:
    """Answer, piece by piece: its line is kept before it begins, and a client must take each piece in time."""

    def __init__(
        self,
        send: Send,
        headers: tuple[tuple[bytes, bytes], ...],
        keep: Callable[[Message], Awaitable[None]],
        timeout_s: float,
    ) -> None:
        self._send, self._headers, self._keep, self._timeout_s = send, headers, keep, timeout_s
        self._begun = False

    async def piece(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._keep(message)
            self._begun = True
            own = {name.lower() for name, _ in message.get("headers", ())}
            policy = () if b"content-security-policy" in own else (_POLICY,)
            added = [one for one in (*self._headers, *policy) if one[0] not in own]
            message["headers"] = [*message.get("headers", ()), *added]
        await asyncio.wait_for(self._send(message), self._timeout_s)

    async def refuse(self, refusal: RequestRefusal, *, trail: bool = True) -> None:
        if self._begun:  # half an answer cannot be taken back: the connection ends
            raise ConnectionAbortedError("the answer could not be finished")
        if not trail:
            self._keep = _nothing
        body = json.dumps(refusal.body, ensure_ascii=False).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in refusal.headers.items()]
        if refusal.status in (408, 413):
            headers.append((b"connection", b"close"))
        await self.piece({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await self.piece({"type": "http.response.body", "body": body})


async def _nothing(_: Message) -> None:
    return None


def _digests(start: Message) -> list[str]:
    """Return the digest of an answer, where the message that begins it states one."""
    stated = [value for name, value in start.get("headers", ()) if name.lower() == DIGEST_HEADER]
    return [base64.b64decode(one.removeprefix(b"sha-256=:").removesuffix(b":")).hex() for one in stated]


def _single(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the headers by their names.

    Raises:
        RequestRefusal: one that must be there once is there twice.
    """
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in (b"host", b"authorization", b"origin", b"content-length") and name in found:
            raise _refused(400, name.decode("latin-1"), "the header twice", "it once")
        found[name] = value
    return found


def _refused(status: int, where: str, found: str, expected: str) -> RequestRefusal:
    return RequestRefusal(status, where, found=found, expected=expected, advice="See docs/serve.md.")
