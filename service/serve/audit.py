"""Audit trail: who asked what of whom, one FHIR R4 AuditEvent a line, each line with the digest of the line before it.

Each worker has a trail of its own, so that none waits for another. A line is on the disk before the answer leaves, and
so is the head of the trail in another folder: its number of lines and the digest of the last one. Lines that arrive
together are written together. A trail that was cut short no longer has the line that its head names.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

ENDING: Final = ".jsonl"
"""Ending of the name of a trail; its head ends in .head."""
CHAIN: Final = "urn:oid:2.25.241939156063310002689796042978980087921.1"
"""Address of the extension that holds the number of a line and the digest of the line before it."""
FIRST: Final = "0" * 64
"""Digest that stands before the first line."""
_HEAD_BYTES: Final = 256
_MOST_TOGETHER: Final = 500


@dataclass(frozen=True, slots=True)
class TrailHead:
    """Head of a trail.

    Attributes:
        lines: number of lines.
        sha256: SHA-256 of the last line without its end; FIRST where there is none.
        length: length of these lines, bytes.
    """

    lines: int
    sha256: str
    length: int

    def text(self) -> bytes:
        """Return the head as its file holds it, always of one length."""
        told = {"lines": self.lines, "sha256": self.sha256, "bytes": self.length}
        return json.dumps(told).encode().ljust(_HEAD_BYTES - 1) + b"\n"


@dataclass(frozen=True, slots=True)
class _Waiting:
    event: Mapping[str, Any]
    done: asyncio.Future[None]
    loop: asyncio.AbstractEventLoop


class TrailError(Exception):
    """Failure to keep a line; the answer must not leave."""


class AuditTrail:
    """Trail of one worker, to which lines are only added.

    Args:
        folder: folder of the trails; it is made, and nobody else may read it.
        heads: folder of their heads.
    """

    def __init__(self, folder: Path, heads: Path) -> None:
        for one in (folder, heads):
            one.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}-{secrets.token_hex(4)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        # The head comes first: a trail without one would look as if somebody had taken it away.
        self._head_file = os.open(heads / f"{name}.head", flags, 0o600)
        self._file = os.open(folder / f"{name}{ENDING}", flags | os.O_APPEND, 0o600)
        self._head = TrailHead(0, FIRST, 0)
        self._keep_head(self._head)
        for one in (folder, heads):
            _sync_folder(one)
        self.path = folder / f"{name}{ENDING}"
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._broken = False
        self._thread = threading.Thread(target=self._write_all, name="audit", daemon=True)
        self._thread.start()

    async def add(self, event: Mapping[str, Any]) -> None:
        """Add a line, and return when it is on the disk.

        Args:
            event: AuditEvent without its place in the chain.

        Raises:
            TrailError: it cannot be kept.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._queue.put(_Waiting(event, done, loop))
        await done

    def close(self) -> None:
        """Write what waits, and end."""
        self._queue.put(None)
        self._thread.join()
        os.close(self._file)
        os.close(self._head_file)

    def _write_all(self) -> None:
        ended = False
        while not ended:
            found = [self._queue.get()]
            while len(found) < _MOST_TOGETHER:
                try:
                    found.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            ended = None in found
            waiting = [one for one in found if one is not None]
            failure: Exception | None = None
            try:
                self._write([one.event for one in waiting])
            except (OSError, ValueError, TypeError) as error:
                failure = TrailError(str(error))
            for one in waiting:
                one.loop.call_soon_threadsafe(_tell, one.done, failure)

    def _write(self, events: list[Mapping[str, Any]]) -> None:
        if self._broken:
            raise OSError("the trail could not be mended after a failure")
        head, text = self._head, bytearray()
        for event in events:
            line = line_of(event, head)
            text += line + b"\n"
            head = TrailHead(head.lines + 1, sha256(line).hexdigest(), head.length + len(line) + 1)
        try:
            _write_whole(self._file, bytes(text))
            os.fdatasync(self._file)
            self._keep_head(head)
        except OSError:
            self._mend()
            raise
        self._head = head

    def _keep_head(self, head: TrailHead) -> None:
        os.pwrite(self._head_file, head.text(), 0)
        os.fdatasync(self._head_file)

    def _mend(self) -> None:
        """Take back a line that was written in part, so that the chain goes on from the last whole one."""
        self._broken = True
        try:
            os.ftruncate(self._file, self._head.length)
            self._keep_head(self._head)
            self._broken = False
        except OSError:
            pass


def line_of(event: Mapping[str, Any], head: TrailHead) -> bytes:
    """Return the line of an event.

    Args:
        event: AuditEvent without its place in the chain.
        head: head of the trail before it.
    """
    place = [{"url": "number", "valueUnsignedInt": head.lines}, {"url": "previous", "valueString": head.sha256}]
    told = {"resourceType": "AuditEvent", "extension": [{"url": CHAIN, "extension": place}], **event}
    return json.dumps(told, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()


def _tell(done: asyncio.Future[None], failure: Exception | None) -> None:
    if done.done():  # whoever asked has gone
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)


def _write_whole(descriptor: int, text: bytes) -> None:
    rest = memoryview(text)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
