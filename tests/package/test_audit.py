"""The audit of the lock never says "clean" where nobody looked."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from envs import audit
from tests.conftest import CHECKOUT, user_environment

LOCK = "alpha==1.0 \\\n    --hash=sha256:00\nBeta_Two==2.0.post1 ; sys_platform == 'win32' \\\n    --hash=sha256:11\n"
PINS = {"alpha": "1.0", "beta-two": "2.0.post1"}
ASKED = PINS | {"django": "3.2"}


def _answer(**changed: Mapping[str, object] | None) -> str:
    """Return what pip-audit answers where django alone is faulty, with some releases changed or left out."""
    told: dict[str, Any] = {name: {"name": name, "version": version, "vulns": []} for name, version in ASKED.items()}
    told["django"]["vulns"] = [{"id": "PYSEC-1", "fix_versions": ["3.3"], "aliases": ["CVE-1"]}]
    told |= {name.replace("_", "-"): one for name, one in changed.items()}
    return json.dumps({"dependencies": [one for one in told.values() if one is not None], "fixes": []})


def test_every_pin_is_asked_about_on_every_platform() -> None:
    """Also what is installed on other platforms only; names are compared as indexes do."""
    assert audit.pins_of(LOCK) == PINS
    whole = (CHECKOUT / "envs" / "requirements.lock").read_text(encoding="utf-8")
    assert len(audit.pins_of(whole)) == sum("==" in line and line[0] not in " #" for line in whole.splitlines())


def test_a_clean_answer_is_one_that_covers_every_release() -> None:
    """All pins came back without a fault, and the probe with one."""
    assert audit.faults_in(_answer(), ASKED) == ()


def test_a_fault_is_named_with_its_release_and_remedy() -> None:
    """All its names, since advisories of one fault have several."""
    faulty = {"name": "alpha", "version": "1.0", "vulns": [{"id": "GHSA-a", "aliases": ["CVE-2"], "fix_versions": []}]}
    (fault,) = audit.faults_in(_answer(alpha=faulty), ASKED)
    assert str(fault) == "alpha 1.0: GHSA-a, CVE-2; fixed in no release"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            _answer(alpha={"name": "alpha", "skip_reason": "not found on PyPI"}),
            "1 of 3 releases could not be looked up",
        ),
        (_answer(alpha=None), "lacks 1 of 3 releases"),
        (_answer(alpha={"name": "alpha", "version": "1.1", "vulns": []}), "lacks 1 of 3 releases"),
        (_answer(django={"name": "django", "version": "3.2", "vulns": []}), "not really asked"),
        ("", "no answer that can be read"),
        ("[]", "no answer that can be read"),
        ('{"dependencies": [{"name": "alpha", "version": "1.0", "vulns": [{}]}]}', "no answer that can be read"),
    ],
)
def test_an_answer_with_gaps_is_no_audit(answer: str, why: str) -> None:
    """pip-audit ends with 0 on the first of these; a mirror without advisories calls everything clean."""
    with pytest.raises(audit.NotAudited, match=why):
        audit.faults_in(answer, ASKED)


@pytest.mark.parametrize(
    "lock", ["", "alpha>=1.0\n", "alpha @ file:///x\n", "alpha==1.0\nalpha==1.1\n", "django==5.0\n"]
)
def test_a_lock_that_cannot_be_asked_about_is_no_audit(
    lock: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No pin, a pin that leaves the version open, a file, two versions, or the probe itself."""
    path = tmp_path / "some.lock"
    path.write_text(lock)
    assert audit.main([str(path), "--tool", "/bin/false"]) == 3
    assert capsys.readouterr().err.startswith("not audited: ")


def test_without_an_index_it_says_not_audited(tmp_path: Path) -> None:
    """The command itself, where pip-audit cannot be installed."""
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null"}
    done = _run(CHECKOUT / "envs" / "audit.lock", extra=offline)
    assert done.returncode == 3
    assert done.stderr.startswith("not audited: pip-audit could not be installed: ")


def _run(lock: Path, *options: object, extra: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(CHECKOUT / "envs" / "audit.py"), str(lock), *map(str, options)],
        env=user_environment() | dict(extra or {}),
        capture_output=True,
        text=True,
        check=False,
    )


type Advisories = Callable[[str, str], int | dict[str, Any]]


@contextmanager
def _source(answers: Advisories) -> Iterator[str]:
    """A source of advisories on this machine that answers as OSV does; a number is a status of HTTP."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = answers(asked["package"]["name"], asked["version"])
            self.send_response(found if isinstance(found, int) else 200)
            self.end_headers()
            self.wfile.write(b"" if isinstance(found, int) else json.dumps(found).encode())

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real pip-audit, from its lock."""
    if there := shutil.which("pip-audit"):
        return Path(there)
    try:
        return audit.install(CHECKOUT / "envs" / "audit.lock", tmp_path_factory.mktemp("tool") / "environment")
    except audit.NotAudited as reason:
        pytest.skip(str(reason))


def _advisory(name: str, fixed: str) -> dict[str, Any]:
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]
    affected = [{"package": {"name": name, "ecosystem": "PyPI"}, "ranges": ranges}]
    return {"vulns": [{"id": f"PYSEC-0-{name}", "aliases": ["CVE-0-1"], "summary": "x", "affected": affected}]}


def _knows(*names: str) -> Advisories:
    return lambda name, _: _advisory(name, "9.9") if name in names else {}


def _breaks_off(name: str, _: str) -> int | dict[str, Any]:
    return 500 if name > "m" else _knows("django")(name, "")


SOURCES: dict[str, tuple[Advisories, int, str]] = {
    "nothing known of the lock": (_knows("django"), 0, "0 known faults in 147 releases"),
    "a fault known": (_knows("django", "numpy"), 2, "numpy 2.5.0: PYSEC-0-numpy, CVE-0-1; fixed in 9.9"),
    "nothing known at all": (_knows(), 3, "not really asked"),
    "breaks off": (_breaks_off, 3, "not audited: "),
}


@pytest.mark.long
@pytest.mark.parametrize("name", SOURCES)
def test_the_real_tool_against_a_source_on_this_machine(name: str, tool: Path) -> None:
    """The whole lock, with each of the three exit codes."""
    answers, code, words = SOURCES[name]
    with _source(answers) as address:
        done = _run(CHECKOUT / "envs" / "requirements.lock", "--tool", tool, "--advisories", address)
    assert done.returncode == code, done.stderr
    assert words in done.stdout + done.stderr


@pytest.mark.long
def test_the_real_tool_without_a_source(tool: Path) -> None:
    """Nothing listens at the address."""
    done = _run(CHECKOUT / "envs" / "audit.lock", "--tool", tool, "--advisories", "http://127.0.0.1:9/v1/query")
    assert done.returncode == 3
    assert "not audited: osv: " in done.stderr
