"""Audit trail: a line before every answer, none lost by a kill, and none changed or taken away unseen."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from palpate.service.serve import audit
from palpate.service.serve.audit import AuditTrail, TrailError
from palpate.service.serve.audit_check import check_trails, events_of
from tests.conftest import Outcome
from tests.service.conftest import SessionFiles
from tests.service.serve_client import ServiceClient, running

SPHERE = "/api/v1/subjects/01/sessions/01/region?sphere=-16,-10,27,8"

type Inside = Callable[..., Outcome]


@pytest.fixture
def client(finished_session: SessionFiles, tmp_path: Path) -> Iterator[ServiceClient]:
    with running(finished_session.folder.parent.parent, tmp_path) as found:
        yield found


def _lines(client: ServiceClient) -> list[dict[str, object]]:
    return [json.loads(line) for path in client.folders.audit.iterdir() for line in path.read_text().splitlines()]


def test_each_answer_and_refusal_leaves_an_event(client: ServiceClient) -> None:
    """Who asked what about whom, for which purpose and with what outcome; a page is no question about anybody."""
    client.ask(SPHERE + "&purpose=research")
    client.ask(SPHERE + "&above=x")
    client.ask("/api/v1/subjects/01/sessions/77/region?sphere=1,2,3,4")
    client.ask("/")
    first, second, third = _lines(client)
    assert first["resourceType"] == "AuditEvent"
    assert (first["action"], first["outcome"], second["outcome"], third["outcome"]) == ("R", "0", "4", "4")
    assert first["agent"][0]["who"]["identifier"]["value"] == "local"  # type: ignore[index]
    assert first["purposeOfEvent"][0]["coding"][0]["code"] == "HRESCH"  # type: ignore[index]
    about, of_whom, answered = first["entity"]  # type: ignore[misc]
    assert base64.b64decode(about["query"]).decode() == (SPHERE + "&purpose=research").partition("?")[2]
    assert of_whom["what"]["identifier"]["value"] == "sub-01"
    assert of_whom["name"] == "sub-01 ses-01"
    assert answered["name"].startswith("answer ")
    assert "no session" in str(third["outcomeDesc"])
    required = {"type", "recorded", "agent", "source"}
    assert all(required <= set(one) for one in (first, second, third))


def test_a_request_cannot_write_lines_of_its_own(client: ServiceClient) -> None:
    """Ends of lines in an address, a query or a header stay within one line of JSON."""
    client.raw(b"/api/v1/x%0a{}?y=\n{}", [(b"host", b"127.0.0.1"), (b"origin", b"http://a\n{}")], [])
    client.ask("/api/v1/subjects/%0A%7B%7D/sessions")
    path = next(client.folders.audit.iterdir())
    assert len(path.read_text().splitlines()) == 2
    assert all(not one.faults for one in check_trails(client.folders.audit, client.folders.heads))


def test_without_a_trail_there_is_no_answer(client: ServiceClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk: the question is refused, and answered again when there is room; the chain goes on."""
    assert client.ask(SPHERE).status_code == 200
    whole = audit._write_whole

    def full(descriptor: int, text: bytes) -> None:
        whole(descriptor, text[: len(text) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(audit, "_write_whole", full)
    refused = client.ask(SPHERE)
    assert refused.status_code == 503
    assert "quantities" not in refused.text
    monkeypatch.undo()
    assert client.ask(SPHERE).status_code == 200
    (state,) = check_trails(client.folders.audit, client.folders.heads)
    assert (state.lines, state.faults, state.notes) == (2, (), ())


@pytest.fixture(scope="module")
def trail(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trail of 40 lines and its head."""
    home = tmp_path_factory.mktemp("trail")

    async def write() -> None:
        made = AuditTrail(home / "audit", home / "heads")
        for number in range(40):
            await made.add({"type": {"code": "rest"}, "outcomeDesc": f"answer {number}"})
        made.close()

    asyncio.run(write())
    return home


def _cut(lines: list[bytes]) -> list[bytes]:
    return lines[:-1]


def _empty(_: list[bytes]) -> list[bytes]:
    return []


def _taken_out(lines: list[bytes]) -> list[bytes]:
    return [*lines[:10], *lines[11:]]


def _swapped(lines: list[bytes]) -> list[bytes]:
    return [*lines[:10], lines[11], lines[10], *lines[12:]]


def _put_in(lines: list[bytes]) -> list[bytes]:
    return [*lines[:10], lines[10], *lines[10:]]


def _changed(lines: list[bytes]) -> list[bytes]:
    return [one.replace(b"answer 39", b"answer 38") for one in lines]


TAMPERED = {
    "cut short": _cut,
    "emptied": _empty,
    "line taken out": _taken_out,
    "lines swapped": _swapped,
    "line put in": _put_in,
    "last line changed": _changed,
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_changed_trail_is_found(name: str, trail: Path, tmp_path: Path, palpate_inside: Inside) -> None:
    """By the chain where it was changed within, by the head where its end was."""
    shutil.copytree(trail, tmp_path / "copy")
    path = next((tmp_path / "copy" / "audit").iterdir())
    assert palpate_inside("verify", "audit", path.parent, "--heads", tmp_path / "copy" / "heads").code == 0
    path.write_bytes(b"".join(TAMPERED[name](path.read_bytes().splitlines(keepends=True))))
    done = palpate_inside("verify", "audit", path.parent, "--heads", tmp_path / "copy" / "heads")
    assert done.code == 2
    assert "1 of 1 audit trails that do not hold" in done.printed


@pytest.mark.parametrize("which", ["audit", "heads"])
def test_a_file_that_is_gone_is_found(which: str, trail: Path, tmp_path: Path) -> None:
    """A trail without its head, or a head without its trail."""
    shutil.copytree(trail, tmp_path / "copy")
    next((tmp_path / "copy" / which).iterdir()).unlink()
    (state,) = check_trails(tmp_path / "copy" / "audit", tmp_path / "copy" / "heads")
    assert state.faults


@pytest.mark.parametrize("which", ["audit", "heads"])
def test_a_flipped_byte_is_found_in_each_of_20_places(which: str, trail: Path, tmp_path: Path) -> None:
    """Anywhere in the trail or its head."""
    shutil.copytree(trail, tmp_path / "copy")
    path = next((tmp_path / "copy" / which).iterdir())
    content = path.read_bytes()
    chosen = random.Random(3).sample(range(len(content)), 20)
    for place in chosen:
        damaged = bytearray(content)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(bytes(damaged))
        (state,) = check_trails(tmp_path / "copy" / "audit", tmp_path / "copy" / "heads")
        assert state.faults, place


def test_what_a_kill_leaves_is_no_fault(trail: Path, tmp_path: Path) -> None:
    """A line in part, and lines whose head was not yet written, were never answered."""
    shutil.copytree(trail, tmp_path / "copy")
    path = next((tmp_path / "copy" / "audit").iterdir())
    path.write_bytes(path.read_bytes() + b'{"resourceType":"Aud')
    (state,) = check_trails(tmp_path / "copy" / "audit", tmp_path / "copy" / "heads")
    assert not state.faults
    assert "unfinished" in state.notes[0]


def test_a_broken_trail_stays_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a half line cannot be taken back, no further line may follow it."""

    async def write() -> None:
        made = AuditTrail(tmp_path / "audit", tmp_path / "heads")
        monkeypatch.setattr(audit.os, "ftruncate", lambda *_: _fail())
        monkeypatch.setattr(audit, "_write_whole", lambda *_: _fail())
        for _ in range(2):
            with pytest.raises(TrailError):
                await made.add({"type": {}})
            monkeypatch.setattr(audit, "_write_whole", lambda *_: None)
        monkeypatch.undo()
        made.close()

    asyncio.run(write())


def _fail() -> None:
    raise OSError(5, "Input/output error")


@pytest.mark.long
def test_a_killed_service_loses_no_line_that_was_answered(finished_session: SessionFiles, tmp_path: Path) -> None:
    """Kill -9 at 30 moments under load: every answer was right and has its line."""
    results = finished_session.folder.parent.parent
    settings = {"audit": str(tmp_path / "audit"), "audit_heads": str(tmp_path / "heads")}
    settings["uploads"] = str(tmp_path / "uploads")
    command = [sys.executable, "-m", "palpate", "serve", str(results), "--port", "0", "--workers", "2"]
    answered: list[str] = []
    broken: list[str] = []
    wrong: list[str] = []
    right: dict[int, bytes] = {}
    ended = threading.Event()
    running_now = subprocess.Popen(
        [*command, "--settings", json.dumps(settings)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert running_now.stdout is not None
    address = running_now.stdout.readline().strip()

    def client(name: int) -> None:
        for number in range(1_000_000):
            if ended.is_set():
                return
            radius = 4 + number % 5
            query = f"sphere=-16,-10,27,{radius}&_={name}-{number}"
            try:
                found = httpx.get(f"{address}{SPHERE.partition('?')[0]}?{query}", timeout=60.0)
            except httpx.TransportError:
                broken.append(query)
                continue
            answered.append(query)
            if found.status_code != 200 or right.setdefault(radius, found.content) != found.content:
                wrong.append(query)

    clients = [threading.Thread(target=client, args=(number,)) for number in range(4)]
    moments = random.Random(4)
    try:
        for one in clients:
            one.start()
        for _ in range(30):
            before = len(answered)
            end = time.monotonic() + 60.0
            while len(answered) < before + 5 and time.monotonic() < end:
                time.sleep(0.002)
            assert len(answered) >= before + 5, "the service does not come back"
            time.sleep(moments.uniform(0.0, 0.05))
            for worker in _workers(running_now.pid):
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
    finally:
        ended.set()
        running_now.kill()
        running_now.wait()
        for one in clients:
            one.join()
    kept = {
        base64.b64decode(one["query"]).decode()
        for event in events_of(tmp_path / "audit")
        for one in event["entity"]
        if "query" in one
    }
    assert not wrong
    assert len(answered) >= 150
    assert len(broken) >= 30  # the kills met requests at work
    assert set(answered) <= kept
    assert not [one for one in check_trails(tmp_path / "audit", tmp_path / "heads") if one.faults]


def _workers(top: int) -> list[int]:
    """Return the processes that answer: those below the one that started them."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(words[1]), []).append(int(path.parent.name))
    (starter,) = parents.get(top, [top])[:1]
    return parents.get(starter, [])
