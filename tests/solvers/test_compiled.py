"""Integrals are compiled on machines without a compiler, without a home, and after runs that were killed."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import dolfinx
import numpy as np
import pytest
import ufl
from dolfinx import fem
from mpi4py import MPI

from palpate.errors import InputError
from palpate.solvers import compiled, compiler


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of this test's own, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiled._cache_folder.cache_clear()
    yield tmp_path / "palpate" / "forms"
    compiled._cache_folder.cache_clear()


def _volume(power: int) -> float:
    """A volume by a form that no other test compiles."""
    box = dolfinx.mesh.create_unit_cube(MPI.COMM_SELF, 1, 1, 1)
    one = fem.Constant(box, np.complex128(1.0))
    return float(np.real(fem.assemble_scalar(compiled.form(one**power * ufl.dx(domain=box)))))


def test_no_compiler(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a compiler is no bug of ours, and once there is one, the same command works."""
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        with pytest.raises(InputError, match=r"found no \w+, and none of the folders.*palpate check --compile.*PATH"):
            _volume(3)
    assert _volume(3) == pytest.approx(1.0)
    assert list(cache.glob("*.c.cached"))


def test_cache_of_a_run_that_was_killed(cache: Path) -> None:
    """FFCx waits for a library that nobody makes, then gives up; here nobody else compiles, so it is made again."""
    assert _volume(4) == pytest.approx(1.0)
    for finished in (*cache.glob("*.c.cached"), *cache.glob("*.so")):
        finished.unlink()
    began = time.monotonic()
    assert _volume(4) == pytest.approx(1.0)
    assert time.monotonic() - began < compiler.PATIENCE_S / 10
    assert list(cache.glob("*.c.cached"))


def test_home_that_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cache: Path
) -> None:
    """What is compiled need not be kept: the run goes on, and says that the next one will compile again."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nonexistent")
    assert _volume(5) == pytest.approx(1.0)
    assert "cannot be kept" in capsys.readouterr().err
    assert not cache.exists()


SAYS = {
    "full disk": ("cc1: fatal error: error writing to x.s: No space left on device", "found a full disk"),
    "little memory": ("cc1: out of memory: Cannot allocate memory", "found too little memory"),
    "no headers": ("x.c:1:10: fatal error: stdlib.h: No such file or directory", "cannot compile an empty program"),
}


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("what", SAYS)
def test_compiler_that_fails(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What the compiler lacks is said in one sentence, and nothing of what it prints."""
    words, told = SAYS[what]
    (tmp_path / "cc").write_text(f"#!/bin/sh\necho '{words}' >&2\nexit 1\n")
    (tmp_path / "cc").chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("CC", str(tmp_path / "cc"))
        with pytest.raises(InputError, match=told):
            _volume(6)
    assert "error" not in capfd.readouterr().err
    assert _volume(6) == pytest.approx(1.0)


def test_full_cache(cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A full home costs the cache of compiled integrals, not the run."""

    def full(folder: Path) -> None:
        if folder == cache:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(compiled, "demand_room", full)
    assert _volume(7) == pytest.approx(1.0)
    assert "is full" in capsys.readouterr().err
    assert not list(cache.glob("*.so"))


@pytest.mark.usefixtures("cache")
def test_folder_for_temporary_files_without_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python takes the system's folder then; the compiler does not, unless it is told to."""
    monkeypatch.setenv("TMPDIR", "/proc")
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert _volume(8) == pytest.approx(1.0)
    assert os.environ["TMPDIR"] == "/proc"
