"""Start of the service: checks of the settings, one listening socket, and workers that share it."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import ipaddress
import os
import signal
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import uvicorn

from palpate.config.serve import ServeSettings
from palpate.errors import InputError
from palpate.progress import Loudness, say, set_loudness
from palpate.service.serve.app import make_app
from palpate.service.serve.audit import AuditTrail
from palpate.service.serve.consent import ConsentFolder
from palpate.service.serve.desk import ServiceDesk
from palpate.service.serve.folders import KeptFolders, demand_apart
from palpate.service.serve.guard import App, Guard
from palpate.service.serve.kept import RegionStore
from palpate.service.serve.limits import RateLimit, WorkPool
from palpate.service.serve.opened import SessionCache
from palpate.service.serve.override_store import OverrideStore
from palpate.service.serve.protocol import PatientProtocol
from palpate.service.serve.results import ServedResults
from palpate.service.serve.tokens import TokenCheck

_MB: Final = 1 << 20
_PARENT_DIES: Final = 1
_PAUSE_S: Final = 0.5
_KEEP_ALIVE_S: Final = 20
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
"""Options of mallopt."""
_WILDCARDS: Final = ("0.0.0.0", "::", "")


@dataclass(frozen=True, slots=True)
class ServeCommand:
    """Request to palpate serve.

    Attributes:
        results: folder of results.
        host: name or address at which it listens.
        port: port; 0 for any that is free.
        workers: number of processes.
        settings: settings of the service.
        key: file of the key of pseudonyms; None for the user's own.
    """

    results: Path
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    settings: ServeSettings = field(default_factory=ServeSettings)
    key: Path | None = None


def serve(command: ServeCommand, ready: Callable[[str], None]) -> None:
    """Serve finished results until the process is stopped.

    Args:
        command: request of the user.
        ready: function that is told the address as soon as clients can connect.

    Raises:
        InputError: the settings are not safe, or something they name cannot be used.
    """
    demand_safe(command.host, command.settings)
    results = ServedResults.of(command.results)
    folders = KeptFolders.of(command.settings)
    demand_apart(results.root, folders)
    _try(command, results, folders)
    listening = _listen(command.host, command.port)
    ready(_address(command, listening))
    gc.freeze()  # what is loaded by now stays shared among the workers
    running = {_fork(command, results, folders, listening) for _ in range(command.workers)}
    while running:
        ended, status = os.wait()
        if ended in running:
            running.remove(ended)
            say(f"a worker ended ({status}); another one takes its place")
            time.sleep(_PAUSE_S)
            running.add(_fork(command, results, folders, listening))


def make_service(command: ServeCommand, results: ServedResults, folders: KeptFolders) -> App:
    """Return the guarded application of one worker.

    Args:
        command: request of the user.
        results: folder of results.
        folders: folders of the service.

    Raises:
        InputError: something that the settings name cannot be used.
    """
    settings = command.settings
    demands = settings.tokens is not None
    desk = ServiceDesk(
        results=results,
        cache=SessionCache(settings.memory_mb * _MB),
        regions=RegionStore(folders.uploads, settings.upload_hours, settings.uploads_mb * _MB, command.key),
        pool=WorkPool(settings.threads, settings.waiting, settings.timeout_s),
        overrides=OverrideStore(folders.overrides),
        study=settings.study,
        consents=ConsentFolder(settings.consents)
        if settings.consent == "required" and settings.consents is not None
        else None,
        key=command.key,
        demands_tokens=demands,
    )
    return Guard(
        make_app(desk),
        hosts=_hosts(command),
        trail=AuditTrail(folders.audit, folders.heads),
        study=settings.study,
        tokens=TokenCheck(settings.tokens, settings.study) if settings.tokens is not None else None,
        rate=RateLimit(settings.requests_per_second),
        upload_bytes=settings.upload_mb * _MB,
        timeout_s=settings.timeout_s,
        tls=settings.certificate is not None,
    )


def demand_safe(host: str, settings: ServeSettings) -> None:
    """Refuse to listen beyond this machine without TLS and tokens.

    Args:
        host: name or address at which the service would listen.
        settings: settings of the service.

    Raises:
        InputError: it would listen to others without them.
    """
    missing = [
        name for name, there in (("a certificate", settings.certificate), ("tokens", settings.tokens)) if there is None
    ]
    if missing and not is_loopback(host):
        raise InputError(
            "--host",
            found=f"{host[:60]!r}, which others can reach, without {' and '.join(missing)}",
            expected="127.0.0.1, ::1 or localhost, unless TLS and tokens are configured",
            advice="Leave --host out, or name certificate and tokens in --settings (docs/serve.md).",
        )


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _try(command: ServeCommand, results: ServedResults, folders: KeptFolders) -> None:
    """Find faults of the settings before anything listens."""
    settings = command.settings
    if settings.tokens is not None:
        TokenCheck(settings.tokens, settings.study)
    if settings.consents is not None:
        ConsentFolder(settings.consents)
    if settings.certificate is not None:
        _tls(settings)
    for folder in (folders.audit, folders.heads, folders.uploads, folders.overrides):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            found = f"a place where no folder can be made ({error.strerror})"
            advice = "Name another one in --settings."
            raise InputError(folder, found=found, expected="a folder of the service", advice=advice) from error
    say(f"{sum(len(results.sessions(one)) for one in results.subjects())} sessions; audit trail in {folders.audit}")
    if settings.consent == "off":
        say("consent: off, nothing is gated")


def _hosts(command: ServeCommand) -> frozenset[str]:
    own = {command.host} - set(_WILDCARDS)
    if is_loopback(command.host) or command.host in _WILDCARDS:
        own |= {"localhost", "127.0.0.1", "[::1]"}
    own |= {f"[{one}]" for one in own if ":" in one and not one.startswith("[")}
    return frozenset(one.lower() for one in (*own, *command.settings.hosts))


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        InputError: the port is taken, or the host is none of this machine's.
    """
    try:
        family, kind, number, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, number)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(place)
        found.listen(1024)
    except OSError as error:
        raise InputError(
            "--host" if isinstance(error, socket.gaierror) else "--port",
            found=f"{host[:60]} port {port}, where nothing can listen ({error.strerror})",
            expected="an address of this machine and a free port",
            advice="Name another one; --port 0 takes any that is free.",
        ) from error
    found.setblocking(False)
    return found


def _address(command: ServeCommand, listening: socket.socket) -> str:
    scheme = "http" if command.settings.certificate is None else "https"
    host = f"[{command.host}]" if ":" in command.host else command.host
    return f"{scheme}://{host}:{listening.getsockname()[1]}"


def _tls(settings: ServeSettings) -> ssl.SSLContext:
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.minimum_version = ssl.TLSVersion.TLSv1_2
    assert settings.certificate is not None
    try:
        found.load_cert_chain(settings.certificate, settings.certificate_key)
    except (OSError, ssl.SSLError) as error:
        raise InputError(
            "certificate",
            found="files that are no certificate with its key",
            expected="PEM",
            advice="Name certificate and certificate_key.",
        ) from error
    return found


def _fork(command: ServeCommand, results: ServedResults, folders: KeptFolders, listening: socket.socket) -> int:
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        ctypes.CDLL(None).prctl(_PARENT_DIES, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == parent:
            _work(command, results, folders, listening)
        status = 0
    finally:
        os._exit(status)


def _work(command: ServeCommand, results: ServedResults, folders: KeptFolders, listening: socket.socket) -> None:
    settings = command.settings
    set_loudness(Loudness.QUIET)  # of a request nothing goes to the terminal
    _keep_memory()

    async def run() -> None:
        config = uvicorn.Config(
            make_service(command, results, folders),
            http=PatientProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            limit_concurrency=settings.connections,
            timeout_keep_alive=_KEEP_ALIVE_S,
            h11_max_incomplete_event_size=16 << 10,
            lifespan="on",
            loop="asyncio",
        )
        config.load()
        config.ssl = None if settings.certificate is None else _tls(settings)
        await uvicorn.Server(config).serve(sockets=[listening])

    asyncio.run(run())


def _keep_memory() -> None:
    """Keep freed memory for the next answer, up to a bound: fresh pages cost as much as reading the draws."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):  # the C library of GNU
        library.mallopt(_MMAP_THRESHOLD, 32 * _MB)
        library.mallopt(_TRIM_THRESHOLD, 48 * _MB)
