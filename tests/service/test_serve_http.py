"""Requests that no honest client makes: refused, without a path of the server, and the next one is answered."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from palpate.service.serve import protocol
from palpate.service.serve.limits import RateLimit, WorkPool
from palpate.service.serve.refusals import RequestRefusal
from tests.service.conftest import SessionFiles
from tests.service.serve_client import ServiceClient, listening, running

SPHERE = {"sphere": "-16,-10,27,8"}
OWN = (b"host", b"127.0.0.1:8000")
START = "/api/v1/subjects/01/sessions/01"


@pytest.fixture(scope="module")
def results(finished_session: SessionFiles) -> Path:
    return finished_session.folder.parent.parent


@pytest.fixture(scope="module")
def client(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceClient]:
    with running(results, tmp_path_factory.mktemp("service"), upload_mb=1) as found:
        yield found


ADDRESSES = {
    "traversal": b"/api/v1/subjects/../../../etc/passwd",
    "traversal in a subject": b"/api/v1/subjects/../sessions",
    "encoded dots": b"/api/v1/subjects/%2e%2e/sessions",
    "encoded slash": b"/api/v1/subjects/01%2f..%2f..%2fetc/sessions",
    "twice encoded": b"/api/v1/subjects/%252e%252e%252fetc/sessions",
    "backslash": b"/api/v1/subjects/..\\..\\etc/sessions",
    "null byte": b"/api/v1/subjects/01%00/sessions",
    "map outside": START.encode() + b"/maps/..%2f..%2fwavefield%2fsub-01_ses-01_T1w.nii.gz",
    "hidden map": START.encode() + b"/maps/.palpate",
    "record instead of a map": START.encode() + b"/maps/sub-01_ses-01_inversion.json",
    "injection in SQL": b"/api/v1/subjects/01'%20OR%20'1'='1/sessions",
    "injection of a command": b"/api/v1/subjects/$(id)/sessions",
    "template": b"/api/v1/subjects/{{7*7}}/sessions",
    "injection of a header": b"/api/v1/subjects/01%0d%0aSet-Cookie:%20a=b/sessions",
    "markup": b"/api/v1/subjects/%3Cscript%3Ealert(1)%3C/script%3E/sessions",
    "number of another writing": "/api/v1/subjects/٠١/sessions".encode(),
    "endless label": b"/api/v1/subjects/" + b"0" * 5000 + b"/sessions",
    "doubled slashes": b"//etc/passwd",
    "file of the page": b"/serve.js",
}


@pytest.mark.parametrize("name", ADDRESSES)
def test_an_odd_address_leads_nowhere(name: str, client: ServiceClient) -> None:
    """Labels are letters and digits, maps those of the list; nothing of an address reaches a header or a file."""
    status, body = client.raw(ADDRESSES[name], [OWN], [{"type": "http.request", "body": b""}])
    assert status in (400, 404, 422)
    assert set(json.loads(body)["error"]) == {"where", "found", "expected", "advice"}
    assert not any(one in body for one in (b"root:", b"<script", b"Set-Cookie", b"49", b"/tmp"))


FIELDS: dict[str, dict[str, Any]] = {
    "address of another host as a region": {"region": "http://169.254.169.254/latest/meta-data"},
    "file as a region": {"region": "/etc/passwd"},
    "file scheme": {"region": "file:///etc/passwd"},
    "sphere of text": {"sphere": "__import__('os').system('id')"},
    "sphere that is not finite": {"sphere": "nan,0,0,5"},
    "endless sphere": {"sphere": "1," * 60},
    "sphere without end": {"sphere": "0,0,0,1e300"},
    "threshold that is not finite": {**SPHERE, "above": "inf"},
    "negative threshold": {**SPHERE, "above": "-1"},
    "formula": {**SPHERE, "name": "=cmd|' /C calc'!A0"},
    "unknown quantity": {**SPHERE, "quantity": "../../etc/passwd"},
    "many quantities": {**SPHERE, "quantity": ["magnitude"] * 100},
    "unknown format": {**SPHERE, "format": "xml"},
    "unknown purpose": {**SPHERE, "purpose": "advertising"},
    "run as a path": {**SPHERE, "run": "../other"},
    "both": {**SPHERE, "region": "0" * 64},
    "neither": {},
    "comparison as a table": {**SPHERE, "than_sphere": "0,0,27,8", "format": "csv"},
}


@pytest.mark.parametrize("name", FIELDS)
def test_an_odd_field_is_refused_in_a_sentence(name: str, client: ServiceClient) -> None:
    """With the field, what it found and what to do; in words of ours."""
    answer = client.region(FIELDS[name])
    assert answer.status_code in (400, 422), answer.text
    told = answer.json()["error"]
    assert all(told.values())
    assert answer.headers["content-type"] == "application/json"
    assert "Input should" not in answer.text
    assert "--" not in answer.text


def test_links_out_of_the_results_are_not_followed(results: Path, tmp_path: Path) -> None:
    """A link in the results would serve another patient, or any file, under this study's name."""
    shutil.copytree(results, tmp_path / "results")
    shutil.copytree(results / "sub-01", tmp_path / "elsewhere")
    (tmp_path / "results" / "sub-99").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "results" / "sub-01" / "ses-09").symlink_to(tmp_path / "elsewhere" / "ses-01")
    mre = tmp_path / "results" / "sub-01" / "ses-01" / "mre"
    (mre / "sub-01_ses-01_passwd.nii.gz").symlink_to("/etc/passwd")
    with running(tmp_path / "results", tmp_path / "home") as client:
        assert client.ask("/api/v1/subjects/99/sessions").status_code == 404
        assert client.region(SPHERE, session="09").status_code == 404
        assert client.ask(f"{START}/maps/sub-01_ses-01_passwd.nii.gz").status_code == 404
        assert client.region(SPHERE).status_code == 200


HOSTS = {
    "rebinding": [(b"host", b"evil.example")],
    "rebinding to the port": [(b"host", b"evil.example:8000")],
    "own name within another": [(b"host", b"127.0.0.1.evil.example")],
    "user in the host": [(b"host", b"127.0.0.1:8000@evil.example")],
    "none": [],
    "two": [OWN, (b"host", b"evil.example")],
}


@pytest.mark.parametrize("name", HOSTS)
def test_a_request_for_another_host_is_refused(name: str, client: ServiceClient) -> None:
    """A page elsewhere may give its name this machine's address, and ask with a visitor's browser."""
    status, _ = client.raw(b"/api/v1/subjects", HOSTS[name], [{"type": "http.request", "body": b""}])
    assert status in (400, 421)
    assert client.ask("/api/v1/subjects", headers={"Host": "localhost:8000"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_origin_cannot_ask(headers: dict[str, str], client: ServiceClient) -> None:
    """Without tokens the browser of whoever sits here would be key enough."""
    assert client.ask("/api/v1/subjects", headers=headers).status_code == 403
    assert client.ask("/api/v1/regions", "POST", content=b"x", headers=headers).status_code == 403
    own = {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}
    assert client.ask("/api/v1/subjects", headers=own).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE", "CONNECT", "OPTIONS", "DELETE"])
def test_other_methods_do_nothing(method: str, client: ServiceClient) -> None:
    """Only reading, handing in a region and deleting one's own are there."""
    status, _ = client.raw(b"/api/v1/subjects", [OWN], [{"type": "http.request", "body": b""}], method)
    assert status == 405


def test_bodies_without_an_end_are_cut(client: ServiceClient) -> None:
    """Pieces are counted as they come, whatever a length states."""
    endless = [{"type": "http.request", "body": bytes(1 << 18), "more_body": True} for _ in range(20)]
    assert client.raw(b"/api/v1/regions", [OWN], endless, "POST")[0] == 413
    assert len(endless) >= 14
    stated = client.ask("/api/v1/regions", "POST", content=b"x", headers={"Content-Length": "99999999999"})
    assert stated.status_code in (400, 413)


def test_a_slow_body_is_not_waited_for(results: Path, tmp_path: Path) -> None:
    """One byte an hour would hold a place for ever."""
    with running(results, tmp_path, timeout_s=0.3) as client:
        piece = {"type": "http.request", "body": b"x", "more_body": True}
        assert client.raw(b"/api/v1/regions", [OWN], [piece], "POST")[0] == 408


def test_a_long_query_is_refused(client: ServiceClient) -> None:
    """Before anything looks at it."""
    assert client.ask("/api/v1/subjects", params={"x": "y" * 5000}).status_code == 414


def test_every_answer_has_the_headers_of_security(client: ServiceClient) -> None:
    """Also refusals, and those of addresses that are not there."""
    for path in ("/api/v1/subjects", "/api/v1/nothing", "/", "/openapi.json", f"{START}/region"):
        headers = client.ask(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers


def test_who_asks_too_often_is_told_to_wait(results: Path, tmp_path: Path) -> None:
    """One person's flood leaves room for others; the bucket fills again."""
    with running(results, tmp_path, requests_per_second=2.0) as client:
        codes = [client.ask("/api/v1/subjects").status_code for _ in range(8)]
    assert codes[:4] == [200] * 4
    assert 429 in codes
    now = [0.0]
    limit = RateLimit(2.0, lambda: now[0])
    for _ in range(4):
        limit.take("me")
    limit.take("another")
    with pytest.raises(RequestRefusal):
        limit.take("me")
    now[0] = 1.0
    limit.take("me")


def test_more_questions_than_fit_are_sent_away() -> None:
    """Memory and threads are bounded; a question that nobody waits for holds its place until it ends."""

    async def run() -> tuple[list[object], object]:
        pool, open_ = WorkPool(1, 1, 0.2), threading.Event()
        slow = [asyncio.create_task(pool.run(open_.wait)) for _ in range(3)]
        done = await asyncio.gather(*slow, return_exceptions=True)
        open_.set()
        await asyncio.sleep(0.2)
        after = await pool.run(lambda: "answer")
        pool.close()
        return list(done), after

    done, after = asyncio.run(run())
    assert [one.status for one in done if isinstance(one, RequestRefusal)] == [503, 503, 503]
    assert after == "answer"


@pytest.fixture(scope="module")
def address(client: ServiceClient) -> Iterator[tuple[str, int]]:
    """The same service at a real port."""
    with listening(client.app) as found:
        yield found


def _until_closed(connection: socket.socket, seconds: float) -> bytes:
    connection.settimeout(seconds)
    found = b""
    while piece := connection.recv(1 << 16):
        found += piece
    return found


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: 127", b"POST /api/v1/regions HTTP/1.1\r\nX: "])
def test_a_slow_head_is_not_waited_for(begun: bytes, address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Many connections that never finish a head would keep others out."""
    monkeypatch.setattr(protocol, "HEADERS_S", 0.5)
    with socket.create_connection(address) as connection:
        connection.sendall(begun)
        start = time.monotonic()
        with suppress(ConnectionResetError):
            assert _until_closed(connection, 20.0) == b""
        assert time.monotonic() - start < 15.0


RAW = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "two lengths": (
        b"POST /api/v1/regions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"
    ),
    "length and pieces": (
        b"POST /api/v1/regions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /api/v1/subjects HTTP/1.1\r\nHost: evil\r\n\r\n"
    ),
    "endless head": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * 20000,
    "request for another host": b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "upgrade": b"GET /api/v1/subjects HTTP/1.1\r\nHost: evil\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
}


@pytest.mark.parametrize("name", RAW)
def test_broken_requests_are_refused_and_the_service_goes_on(name: str, address: tuple[str, int]) -> None:
    """Two readings of one request would let one smuggle another."""
    with socket.create_connection(address) as connection:
        try:
            connection.sendall(RAW[name])
            connection.shutdown(socket.SHUT_WR)
            found = _until_closed(connection, 20.0)
        except (ConnectionResetError, BrokenPipeError):
            found = b""
    assert b"200 OK" not in found
    assert b'subjects"' not in found
    host, port = address
    assert httpx.get(f"http://{host}:{port}/api/v1/subjects").json() == {"subjects": ["01"]}
