"""Origin of a result (versions, commit, digests of inputs), and files of which an interrupted run leaves no part."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from palpate import __version__
from palpate.content_digest import digest as digest
from palpate.leftovers import partial_of, replaced_of
from palpate.machine_failures import make_parent, on_this_machine
from palpate.receipt import drop_receipt_of_others, sign

_STACK = ("numpy", "scipy", "dolfinx-solver-complex", "mpi4py", "pydicom", "highdicom", "nibabel", "SimpleITK", "h5py")


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a hidden sibling of `path` to write; it takes the name `path` only if the block succeeds.

    The sibling keeps the suffix (libraries such as nibabel choose the format by it).
    Under MPI only one rank may use this for one path. A path that a user names is claimed first (palpate.outputs).

    Args:
        path: the file to create or replace. Missing parent folders are made.

    Raises:
        InputError: the machine cannot write there.
    """
    with atomic_files(path) as (partial,):
        yield partial


@contextmanager
def atomic_files(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """Give a hidden sibling of each path to write; all take their names if the block succeeds, or none does.

    A process that is killed between two renames leaves the first path, earlier or new, and perhaps none of the others,
    but never an earlier file beside a new one.

    Args:
        paths: files to create or replace, which belong together.

    Raises:
        InputError: the machine cannot write there.
    """
    finals = tuple(Path(one).absolute() for one in paths)
    partials: list[Path] = []
    with on_this_machine(finals[0]):
        try:
            for final in finals:
                make_parent(final)
                partials.append(partial_of(final))
            yield tuple(partials)
            for final, partial in zip(finals, partials, strict=True):
                drop_receipt_of_others(final, partial)
            _take_names(partials, finals)
            for final in finals:
                sign(final, final)
        finally:
            for partial in partials:
                partial.unlink(missing_ok=True)


def _take_names(partials: Sequence[Path], finals: Sequence[Path]) -> None:
    """Rename hidden files to their final names; where one cannot be renamed, put the earlier files back."""
    first, *others = finals
    aside: dict[Path, Path] = {}
    named: list[Path] = []
    # Only the first comes back if this process is killed (palpate.leftovers): no earlier file beside a new first one.
    hidden = {one: partial_of(one.with_name(f"{one.name}.earlier")) for one in others}
    hidden |= {first: replaced_of(first)} if others else {}
    try:
        for final, earlier in hidden.items():
            if final.exists():
                os.replace(final, earlier)
                aside[final] = earlier
        for partial, final in zip(partials, finals, strict=True):
            os.replace(partial, final)
            named.append(final)
    except OSError:
        for final in named:
            final.unlink()
        for final, earlier in aside.items():
            os.replace(earlier, final)
        raise
    for earlier in aside.values():
        earlier.unlink()


def versions() -> dict[str, str]:
    """Return the versions of palpate, of Python and of the installed numerical and imaging libraries."""
    found = {"palpate": __version__, "python": platform.python_version()}
    for name in _STACK:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    commit = revision()
    return found | ({"commit": commit} if commit else {})


def revision(ignoring: Iterable[str] = ()) -> str | None:
    """Return the checkout's git commit, with "+changes" where tracked files differ; None outside a checkout.

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
    """Return the digests of a step's inputs by their role.

    Roles stand in place of paths, because a scanner's folder is often named after the patient, and no name may reach
    an output.

    Args:
        inputs: file or folder of each role ("mre", "anatomy").
    """
    return {role: digest(path) for role, path in inputs.items()}
