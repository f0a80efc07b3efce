"""Audit of the lock for known vulnerabilities: exit code 0 none known, 2 some known, 3 not audited.

pip-audit does the asking. It ends with 0 also where it could not look, so its exit code is not used: every pin must
come back with a list of faults, and a release that is known to be faulty must come back with some.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CLEAN, FAULTY, NOT_AUDITED = 0, 2, 3
"""Exit codes; 1 is left to a bug of this script."""
PROBE = ("django", "3.2")
"""Release with dozens of published faults that is not in the lock: a source that names none was not really asked."""
PIN = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[\w,.-]*\])?==(?P<version>[\w.!+-]+)\s*(?:;|\\|$)")
SOURCES = ("osv", "pypi")
LONGEST_S = 900
SHOWN = 300


class NotAudited(Exception):
    """Finding that nobody could look; its message says why."""


@dataclass(frozen=True)
class Fault:
    """Known fault of a pinned release.

    Attributes:
        name: name of the distribution.
        version: its pinned version.
        names: names of the fault, such as a CVE.
        fixed: versions without it.
    """

    name: str
    version: str
    names: tuple[str, ...]
    fixed: tuple[str, ...]

    def __str__(self) -> str:
        """Return one line for people."""
        return f"{self.name} {self.version}: {', '.join(self.names)}; fixed in {', '.join(self.fixed) or 'no release'}"


def pins_of(text: str) -> dict[str, str]:
    """Return the version of each distribution in a lock, whatever platform it is for.

    Args:
        text: text of the lock.

    Raises:
        NotAudited: a line is no pin, or there is none.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith(("#", "--hash=")):
            continue
        pin = PIN.match(line)
        if pin is None:
            raise NotAudited(f"the lock has a line that is no pin: {line[:60]!r}")
        name = canonical(pin["name"])
        if found.setdefault(name, pin["version"]) != pin["version"]:
            raise NotAudited(f"the lock has two versions of {name}")
    if not found:
        raise NotAudited("the lock has no pin")
    return found


def canonical(name: str) -> str:
    """Return the name of a distribution as indexes compare it.

    Args:
        name: its name.
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def asked_of(pins: Mapping[str, str]) -> dict[str, str]:
    """Return the releases to ask about: the pins and the probe.

    Args:
        pins: version by name.

    Raises:
        NotAudited: the probe is one of the pins.
    """
    if PROBE[0] in pins:
        raise NotAudited(f"{PROBE[0]}, by which the source is probed, is in the lock: name another one in PROBE")
    return {**pins, PROBE[0]: PROBE[1]}


def faults_in(answer: str, asked: Mapping[str, str]) -> tuple[Fault, ...]:
    """Return the known faults in an answer of pip-audit, the probe's left out.

    Args:
        answer: its output, JSON.
        asked: releases that were asked about, the probe among them.

    Raises:
        NotAudited: the answer leaves a release out, or names no fault of the probe.
    """
    try:
        told = {canonical(one["name"]): one for one in json.loads(answer)["dependencies"]}
        reasons = [str(one["skip_reason"]) for one in told.values() if "skip_reason" in one]
        faults = tuple(_faults(told.values()))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise NotAudited("pip-audit gave no answer that can be read") from error
    if reasons:
        raise NotAudited(f"{len(reasons)} of {len(asked)} releases could not be looked up: {reasons[0]}")
    missing = [name for name, version in asked.items() if str(told.get(name, {}).get("version")) != version]
    if missing:
        raise NotAudited(f"the answer lacks {len(missing)} of {len(asked)} releases, first {missing[0]}")
    if not any(one.name == PROBE[0] for one in faults):
        raise NotAudited(f"the source names no fault of {PROBE[0]} {PROBE[1]}, which has many: it was not really asked")
    return tuple(one for one in faults if one.name != PROBE[0])


def _faults(told: Iterable[Mapping[str, Any]]) -> Iterator[Fault]:
    for one in told:
        for fault in one.get("vulns", ()):
            names = (str(fault["id"]), *map(str, fault.get("aliases", ())))
            fixed = tuple(map(str, fault.get("fix_versions", ())))
            yield Fault(canonical(one["name"]), str(one["version"]), names, fixed)


def install(tools: Path, home: Path) -> Path:
    """Install pip-audit into an environment of its own, and return its program.

    Args:
        tools: lock of pip-audit.
        home: folder of the environment.

    Raises:
        NotAudited: it cannot be installed.
    """
    _run([sys.executable, "-m", "venv", str(home)], "no environment could be made for pip-audit")
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    _run([*pip, "--requirement", str(tools)], "pip-audit could not be installed")
    return home / "bin" / "pip-audit"


def look(tool: Path, asked: Mapping[str, str], source: str, address: str, home: Path) -> tuple[Fault, ...]:
    """Ask one source about releases, and return their known faults.

    Args:
        tool: program of pip-audit.
        asked: releases to ask about, the probe among them.
        source: "osv" or "pypi".
        address: address that answers as that of OSV does; empty for OSV's own.
        home: folder for files in passing.

    Raises:
        NotAudited: the source does not answer for all of them.
    """
    listed, answer = home / "releases.txt", home / f"{source}.json"
    listed.write_text("".join(f"{name}=={version}\n" for name, version in asked.items()), encoding="utf-8")
    options = ["--disable-pip", "--no-deps", "--progress-spinner", "off", "--desc", "off", "--format", "json"]
    # A cache could answer for a source that is gone.
    options += ["--cache-dir", str(home / "cache"), "--vulnerability-service", source, "--output", str(answer)]
    options += ["--osv-url", address] if address else []
    try:
        done = subprocess.run(
            [str(tool), "--requirement", str(listed), *options],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=LONGEST_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotAudited(f"pip-audit did not run to its end ({type(error).__name__})") from error
    if not answer.is_file():
        raise NotAudited(_last_line(done.stderr))
    return faults_in(answer.read_text(encoding="utf-8"), asked)


def _run(command: Sequence[str], why: str) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=LONGEST_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotAudited(f"{why} ({type(error).__name__})") from error
    if done.returncode:
        raise NotAudited(f"{why}: {_last_line(done.stderr or done.stdout)}")


def _last_line(text: str) -> str:
    lines = [one.strip() for one in text.splitlines() if one.strip()]
    return lines[-1][:SHOWN] if lines else "no reason was given"


def audit(lock: Path, tool: Path | None, address: str) -> tuple[Fault, ...]:
    """Return the known faults of a lock's releases, by the first source that answers for all of them.

    Args:
        lock: lock with a pin for each distribution.
        tool: program of pip-audit; None to install it.
        address: address that answers as that of OSV does; empty to ask OSV and then the package index.

    Raises:
        NotAudited: none does.
    """
    try:
        asked = asked_of(pins_of(lock.read_text(encoding="utf-8")))
    except OSError as error:
        raise NotAudited(f"{lock} cannot be read ({error.strerror})") from error
    with tempfile.TemporaryDirectory(prefix="palpate-audit-") as folder:
        home = Path(folder)
        program = tool or install(HERE / "audit.lock", home / "environment")
        reasons = []
        for source in SOURCES[:1] if address else SOURCES:
            try:
                return look(program, asked, source, address, home)
            except NotAudited as reason:
                reasons.append(f"{source}: {reason}")
    raise NotAudited("; ".join(reasons))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is known of the lock, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lock", type=Path, nargs="?", default=HERE / "requirements.lock", help="lock to audit")
    parser.add_argument("--tool", type=Path, help="program of pip-audit; default: the one of audit.lock, installed")
    parser.add_argument(
        "--advisories",
        default=os.environ.get("ADVISORIES", ""),
        metavar="URL",
        help="address of a site's own source, which answers as https://api.osv.dev/v1/query does",
    )
    given = parser.parse_args(arguments)
    try:
        faults = audit(given.lock, given.tool, given.advisories)
    except NotAudited as reason:
        print(f"not audited: {reason}", file=sys.stderr)
        return NOT_AUDITED
    for fault in faults:
        print(fault)
    releases = len(pins_of(given.lock.read_text(encoding="utf-8")))
    print(f"{len(faults)} known faults in {releases} releases of {given.lock.name}", file=sys.stderr)
    return FAULTY if faults else CLEAN


if __name__ == "__main__":
    sys.exit(main())
