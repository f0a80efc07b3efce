"""Service in this process, asked without a network: the guarded application, and a client of it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from joserfc import jwt
from joserfc.jwk import OKPKey

from palpate.config.serve import ServeSettings
from palpate.service.serve.folders import KeptFolders
from palpate.service.serve.guard import App, Guard
from palpate.service.serve.protocol import PatientProtocol
from palpate.service.serve.results import ServedResults
from palpate.service.serve.start import ServeCommand, make_service

ISSUER, AUDIENCE = "https://login.example", "palpate"


class ServiceClient:
    """Client of a service in this process; one loop runs all its requests."""

    def __init__(self, app: App, folders: KeptFolders, runner: asyncio.Runner) -> None:
        self.app, self.folders, self._runner = app, folders, runner
        self.headers: dict[str, str] = {}

    def ask(self, path: str, method: str = "GET", **given: Any) -> httpx.Response:  # noqa: ANN401 - httpx's options
        """Return the answer to one request."""
        return self._runner.run(self._ask(path, method, given))

    def both(self, *paths: str) -> list[httpx.Response]:
        """Return the answers to requests that are made at the same time."""

        async def all_of() -> list[httpx.Response]:
            return list(await asyncio.gather(*(self._ask(one, "GET", {}) for one in paths)))

        return self._runner.run(all_of())

    def region(self, fields: Mapping[str, Any], session: str = "01") -> httpx.Response:
        """Return the answer to a question about a region of sub-01."""
        return self.ask(f"/api/v1/subjects/01/sessions/{session}/region", params=dict(fields))

    def upload(self, content: bytes) -> httpx.Response:
        """Return the answer to an upload."""
        return self.ask("/api/v1/regions", "POST", content=content)

    def kept(self, content: bytes) -> str:
        """Upload a region, and return its digest."""
        answer = self.upload(content)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["region"])

    async def _ask(self, path: str, method: str, given: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, client=("127.0.0.1", 5000))
        headers = {**self.headers, **given.pop("headers", {})}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            return await client.request(method, path, headers=headers, **given)

    def raw(
        self, raw_path: bytes, headers: list[tuple[bytes, bytes]], messages: list[dict[str, Any]], method: str = "GET"
    ) -> tuple[int, bytes]:
        """Return status and body of a request that no client would send."""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": raw_path.partition(b"?")[0].decode("latin-1"),
            "raw_path": raw_path.partition(b"?")[0],
            "query_string": raw_path.partition(b"?")[2],
            "headers": headers,
            "client": ("127.0.0.1", 5000),
            "server": ("127.0.0.1", 8000),
        }
        sent: list[Any] = []

        async def receive() -> Any:  # noqa: ANN401 - a message of ASGI
            if messages:
                return messages.pop(0)
            return await asyncio.sleep(60.0)

        async def send(message: Any) -> None:  # noqa: ANN401
            sent.append(message)

        async def run() -> None:
            await self.app(scope, receive, send)

        self._runner.run(run())
        return sent[0]["status"], b"".join(one.get("body", b"") for one in sent[1:])

    def trail_end(self) -> dict[str, Any]:
        """Return the last line of the newest trail."""
        newest = max(self.folders.audit.glob("*.jsonl"), key=lambda one: one.stat().st_mtime_ns)
        return dict(json.loads(newest.read_text().splitlines()[-1]))


@contextmanager
def running(results: Path, home: Path, key: Path | None = None, **settings: Any) -> Iterator[ServiceClient]:  # noqa: ANN401
    """Run a service in this process, with folders of its own."""
    folders = {name: home / name for name in ("audit", "uploads")}
    folders["audit_heads"] = home / "heads"
    chosen = ServeSettings(**(folders | settings))
    command = ServeCommand(results, settings=chosen, key=key or home / "key" / "none")
    made = KeptFolders.of(chosen)
    with asyncio.Runner() as runner:

        async def make() -> App:
            return make_service(command, ServedResults.of(results), made)

        app = runner.run(make())
        try:
            yield ServiceClient(app, made, runner)
        finally:
            assert isinstance(app, Guard)
            app.close()


@contextmanager
def listening(app: App) -> Iterator[tuple[str, int]]:
    """Let a service listen at a free port of this machine, in a thread."""
    place = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=PatientProtocol, ws="none", log_config=None, lifespan="off")  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[place])), daemon=True)
    thread.start()
    try:
        yield place.getsockname()
    finally:
        server.should_exit = True
        thread.join(20)


class Issuer:
    """Issuer of tokens, with its keys in a file."""

    def __init__(self, home: Path) -> None:
        self.key = OKPKey.generate_key("Ed25519", {"kid": "one"})
        self.keys = home / "keys.json"
        self.keys.write_text(json.dumps({"keys": [self.key.as_dict(private=False)]}))

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the tokens."""
        return {"issuer": ISSUER, "audience": AUDIENCE, "keys": self.keys}

    def token(self, now: float, header: Mapping[str, Any] | None = None, **claims: object) -> str:
        """Return a token that holds, except for what is changed; None takes a claim out."""
        told: dict[str, Any] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "planner-7",
            "exp": int(now) + 600,
            "scope": "study:study:planner",
        }
        told = {name: value for name, value in (told | claims).items() if value is not None}
        return jwt.encode({"alg": "EdDSA", "kid": "one", **(header or {})}, told, self.key, algorithms=["EdDSA"])


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {token}"}
