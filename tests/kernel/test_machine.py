"""A full disk or a missing permission is the machine's: exit code 2 and a sentence, never "our bug"."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from palpate.cli import door
from palpate.errors import InputError
from palpate.imaging.files.wavefield_folder import write_wave_field
from palpate.imaging.wavefield import WaveField
from palpate.machine import machine_fault
from palpate.outputs import claim_folder
from palpate.provenance import atomic_file
from tests.conftest import BIN, Outcome, user_environment
from tests.imaging.scanner import Scan, write_mre

MACHINE = ("ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EIO", "EFBIG", "EMFILE", "ENFILE", "ENAMETOOLONG", "ESTALE")
LIMIT = 30_000
"""Bytes that a file may have in the tests of a disk that fills."""


@pytest.mark.parametrize("name", MACHINE)
def test_failure_while_writing_names_the_output(name: str, tmp_path: Path) -> None:
    """Whatever the system says no to, the sentence names the output (not its hidden name), and nothing is left."""
    number = getattr(errno, name)
    with pytest.raises(InputError) as caught, claim_folder(tmp_path / "mre", "invert", {}).writing() as partial:
        (partial / "half").write_text("x")
        raise OSError(number, os.strerror(number))
    assert str(caught.value).startswith(f"{tmp_path / 'mre'}: found ")
    assert os.strerror(number) in str(caught.value)
    with pytest.raises(InputError) as caught, atomic_file(tmp_path / "page.html") as partial:
        raise OSError(number, os.strerror(number), str(partial))
    assert str(caught.value).startswith(f"{tmp_path / 'page.html'}: found ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", MACHINE)
def test_failure_anywhere_is_not_our_bug(
    name: str, palpate_inside: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outermost door knows the machine's failures wherever they come from, and names the file if it is told."""
    number = getattr(errno, name)

    def fails(**_: object) -> None:
        raise OSError(number, os.strerror(number), "/data/file")

    monkeypatch.setattr(door, "app", fails)
    done = palpate_inside("mesh")
    assert done.code == 2
    assert done.printed.startswith("palpate: /data/file: found ")
    assert "bug" not in done.printed


def test_bug_beside_a_failure_stays_a_bug() -> None:
    """A missing file that nobody checked, or a mistake made while handling a failure, is ours."""
    assert machine_fault(FileNotFoundError(errno.ENOENT, "No such file")) is None
    assert machine_fault(ZeroDivisionError()) is None
    assert machine_fault(RuntimeError("errno is 28 of them")) is None
    mistake = ZeroDivisionError()
    mistake.__context__ = PermissionError(errno.EACCES, "Permission denied")
    assert machine_fault(mistake) is None


def test_failure_that_a_library_wrapped_is_found() -> None:
    """Libraries raise their own exceptions from the system's; memory has an exception of its own."""
    wrapped = RuntimeError("cannot write")
    wrapped.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert "a full disk" in str(machine_fault(wrapped, Path("out")))
    assert "memory" in str(machine_fault(MemoryError()))


def test_hdf5_on_a_full_disk(tmp_path: Path) -> None:
    """HDF5 finds the disk full only as the file is closed, then complained in its own words and crashed."""
    script = (
        "import pathlib, resource, sys, numpy\n"
        "from palpate.cli import door\n"
        "from palpate.imaging.files.hdf5_file import writing_hdf5\n"
        "from palpate.outputs import claim_folder\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMIT}, {LIMIT}))\n"
        "def step(**_):\n"
        "    with claim_folder(pathlib.Path(sys.argv[1]), 'invert', {}).writing() as partial:\n"
        "        with writing_hdf5(partial / 'samples.h5') as file:\n"
        "            file['draws'] = numpy.random.default_rng(0).random(10_000)\n"
        "door.app = step\n"
        "door.run()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "mre"],
        env=user_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"palpate: {tmp_path / 'mre'}: found a limit on the size of files")
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_command_on_a_full_disk(tmp_path: Path) -> None:
    """As a user meets it: one sentence, exit code 2, and not a byte of the output."""
    shape = (14, 13, 9)
    parts = np.random.default_rng(0).normal(0.0, 1e-6, (2, *shape, 3))
    wave, mask = parts[0] + 1j * parts[1], np.ones(shape, dtype=bool)
    (tmp_path / "wavefield").mkdir()
    write_wave_field(
        tmp_path / "wavefield",
        WaveField(
            displacement_m=wave,
            mask=mask,
            affine_mm=np.eye(4),
            frequency_hz=50.0,
            noise_std_m=1e-8,
            density_kg_m3=1000.0,
            label="sub-01",
        ),
    )
    limited = ["bash", "-c", 'ulimit -f 8; exec "$@"', "-", BIN / "palpate", "mesh", "wavefield", "--out", "mesh"]
    done = subprocess.run(limited, cwd=tmp_path, env=user_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "found a limit on the size of files" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["wavefield"]


def test_key_in_a_home_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, palpate_inside: Callable[..., Outcome]
) -> None:
    """The user's own key needs a home; without one the sentence says which setting names another place."""
    write_mre(tmp_path / "scan", Scan())
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "/proc/nonexistent")
    done = palpate_inside("ingest", tmp_path / "scan", "--label", "sub-01", "--out", tmp_path / "wavefield")
    assert done.code == 2
    last = done.printed.splitlines()[-1]
    assert last.startswith("palpate: your own key")
    assert "ingest.key" in last
    assert [path.name for path in tmp_path.iterdir()] == ["scan"]
