"""Distributions built from a copy of the checkout, and environments far from it that they are installed into."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.conftest import BIN, CHECKOUT, user_environment

_MADE = ("__pycache__", "*.egg-info", "build", "dist", "demo", "results", "logs", "verified", "*.pyc")
_HIDDEN = (".ci", ".github", ".vscode", ".gitignore", ".pre-commit-config.yaml")


def copy_sources(to: Path) -> Path:
    """Copy what belongs to the project, links as links: building writes beside the sources."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        top = Path(folder) == CHECKOUT
        hidden = {name for name in names if name.startswith(".") and not (top and name in _HIDDEN)}
        return hidden | (shutil.ignore_patterns(*_MADE)(folder, names) if top else set()) | {"__pycache__"}

    shutil.copytree(CHECKOUT, to, symlinks=True, ignore=left_out)
    for made in (to / "src").glob("*.egg-info"):
        shutil.rmtree(made)
    return to


def build(kind: str, sources: Path, to: Path) -> Path:
    """Build a distribution with the environment's own setuptools, without a network.

    Args:
        kind: "wheel" or "sdist".
        sources: copy of the checkout, or an unpacked source distribution.
        to: folder for the file.
    """
    to.mkdir(exist_ok=True)
    script = f"from setuptools import build_meta; build_meta.build_{kind}({str(to)!r})"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=sources, env=_plain(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = to.iterdir()
    return made


def files_of(wheel: Path) -> set[str]:
    """Return the names of the package's files in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if name.startswith("palpate/")}


def package_files(home: Path) -> Iterator[str]:
    """Yield the names of the package's files in a checkout, also behind links, as they are called in a wheel."""
    package = home / "src" / "palpate"
    for folder, below, files in os.walk(package, followlinks=True):
        below[:] = [name for name in below if name != "__pycache__"]
        yield from ((Path(folder) / file).relative_to(package.parent).as_posix() for file in files)


def environment_with(wheel: Path, home: Path) -> Path:
    """Make an environment with the libraries of this one, by links, and the wheel instead of the checkout.

    Libraries are found by the environment's own prefix, as they are where pip has installed them.

    Returns:
        Its folder of programs.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    libraries = Path(sysconfig.get_path("purelib"))
    linked = [one for one in libraries.iterdir() if "palpate" not in one.name and one.name != "__pycache__"]
    linked += [one for one in Path(sys.prefix, "lib").iterdir() if not one.name.startswith("python")]
    linked += [*BIN.glob("*mpi*"), *BIN.glob("hydra*")]
    for one in linked:
        (home / one.relative_to(sys.prefix)).symlink_to(one)
    pip = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", "--no-compile", str(wheel)], env=_plain(), check=True)
    return home / "bin"


def run_from(
    programs: Path, *arguments: object, cwd: Path, extra: Mapping[str, str] | None = None, timeout_s: float = 900.0
) -> subprocess.CompletedProcess[str]:
    """Run `palpate` of an environment as in a terminal where nothing was activated, and keep what it prints."""
    return subprocess.run(
        [str(programs / "palpate"), *map(str, arguments)],
        cwd=cwd,
        env=_plain() | {"PATH": "/usr/local/bin:/usr/bin:/bin"} | dict(extra or {}),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=timeout_s,
        check=False,
    )


def _plain() -> dict[str, str]:
    """The environment of a user's own terminal, in which nothing leads to the checkout."""
    return {name: value for name, value in user_environment().items() if not name.startswith("PYTHON")}
