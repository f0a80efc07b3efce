"""Where a result came from, and the promise that it appears whole or not at all."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from palpate import __version__
from palpate.contents import digest as digest
from palpate.errors import InputError
from palpate.receipt import sign

MARKER = ".palpate"
"""File that marks a folder as palpate's own, so that a re-run may replace it."""

_STACK = ("numpy", "scipy", "dolfinx-solver-complex", "mpi4py", "pydicom", "highdicom", "nibabel", "SimpleITK", "h5py")


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary sibling of `path` to write; it takes the name `path` only if the block succeeds.

    The sibling keeps the suffix (libraries such as nibabel choose the format by it).
    Under MPI only one rank may use this for one path.

    Args:
        path: the file to create or replace. Missing parent folders are made.
    """
    path = Path(path).absolute()
    _make_parent(path)
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
        sign(path, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Give an empty temporary sibling folder to fill; it takes the name `path` only if the block succeeds.

    A folder that palpate wrote earlier is replaced as a whole; any other folder with files in it is refused, because
    replacing it would delete what somebody else put there. Under MPI only one rank may use this for one path.

    Args:
        path: the folder to create or replace. Missing parent folders are made.

    Raises:
        InputError: `path` is a file, or a folder with files that palpate did not write.
    """
    path = Path(path).resolve()
    refuse_foreign_folder(path)
    _make_parent(path)
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    partial.mkdir()
    try:
        yield partial
        (partial / MARKER).write_text(f"Written by palpate {__version__}; a re-run replaces this folder as a whole.\n")
        sign(partial, path)
        _swap_in(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def refuse_foreign_folder(path: Path) -> None:
    """Raise InputError where writing the output folder `path` would delete files that are not palpate's.

    Call it early in a long step, so that a wrong --out is refused before the work and not after it.
    """
    advice = "Name a folder that does not exist yet, or one that palpate wrote."
    if path.exists() and not path.is_dir():
        raise InputError(path, found="a file", expected="a folder to write", advice=advice)
    if path.is_dir() and not (path / MARKER).exists() and any(path.iterdir()):
        found = "a folder with files palpate did not write"
        raise InputError(path, found=found, expected="an output folder that may be replaced", advice=advice)


def _make_parent(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        found = f"a place that cannot be written ({error.strerror})"
        advice = "Choose another output path."
        raise InputError(path.parent, found=found, expected="a folder to write in", advice=advice) from error


def _swap_in(partial: Path, path: Path) -> None:
    """Rename `partial` to `path`; an older folder steps aside first, because a rename cannot replace a full folder."""
    if not path.exists():
        os.replace(partial, path)
        return
    old = path.with_name(f".replaced-{os.getpid()}-{path.name}")
    os.replace(path, old)
    os.replace(partial, path)
    shutil.rmtree(old, ignore_errors=True)


def versions() -> dict[str, str]:
    """Versions of palpate, of Python and of the numerical and imaging libraries that are installed."""
    found = {"palpate": __version__, "python": platform.python_version()}
    for name in _STACK:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    commit = revision()
    return found | ({"commit": commit} if commit else {})


def revision(ignoring: Iterable[str] = ()) -> str | None:
    """The checkout's git commit, with "+changes" where tracked files differ; None outside a checkout.

    Args:
        ignoring: files and folders of the checkout, relative to it, whose changes do not count.
    """
    home = Path(__file__).resolve().parents[2]
    if not (home / ".git").exists():
        return None
    try:
        head = _git(home, "rev-parse", "HEAD")
        counted = (".", *(f":(exclude){path}" for path in ignoring))
        status = _git(home, "status", "--porcelain", "--untracked-files=no", "--", *counted)
        return head + ("+changes" if status else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(home: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(home), *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout.strip()


def input_digests(inputs: Mapping[str, Path]) -> dict[str, str]:
    """Digests of a step's inputs by their role.

    Roles, not paths: a scanner's folder is often named after the patient, and no name may reach an output.

    Args:
        inputs: role ("mre", "anatomy") to file or folder.
    """
    return {role: digest(path) for role, path in inputs.items()}
