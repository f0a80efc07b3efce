"""A full disk or a missing permission is the machine's: exit code 2 and a sentence, never "our bug"."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from palpate import machine_failures
from palpate.cli import door
from palpate.errors import InputError
from palpate.imaging.files.draws import open_draws
from palpate.imaging.files.json_object import read_json
from palpate.imaging.files.nifti import read_nifti
from palpate.imaging.files.stiffness_folder import read_samples
from palpate.imaging.files.wavefield_folder import write_wave_field
from palpate.imaging.tumour.history_file import read_history
from palpate.imaging.wavefield import WaveField
from palpate.machine_failures import fault_in_words, machine_fault, temporary_folder
from palpate.meshing.conforming.mesh_file import read_tetrahedra
from palpate.meshing.zone_file import read_zones
from palpate.output_kinds import FileKind
from palpate.outputs import claim_file, claim_folder
from palpate.provenance import atomic_file
from palpate.twin.calibration_file import load_calibration
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


def test_full_disk_is_named_with_its_room(tmp_path: Path) -> None:
    """Which disk, and how much is too little; a file inside an output is gone with it, so that the output is named."""
    out = tmp_path / "maps"
    with (
        pytest.raises(InputError) as caught,
        claim_folder(out, "maps", {}).writing() as partial,
        atomic_file(partial / "mean.json"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    state = os.statvfs(tmp_path)
    assert str(caught.value).startswith(f"{out}: found a full disk (No space left on device); expected room")
    told = re.search(r"more than the (\S+) MB that are free on the disk at (\S+)\. ", str(caught.value))
    assert told is not None
    assert float(told[1]) == pytest.approx(state.f_bavail * state.f_frsize / 1e6, rel=0.05)
    assert os.path.ismount(told[2])
    assert str(tmp_path).startswith(told[2])
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


ANY = FileKind("verify maps", "file of scores", (".json",), lambda _: True)


def test_place_that_cannot_be_written_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours of work must not end at a folder that was read-only from the start; tests may run as root, who may all."""
    monkeypatch.setattr(os, "access", lambda _, mode: mode == os.F_OK)
    for claim in (lambda: claim_folder(tmp_path / "mre", "invert", {}), lambda: claim_file(tmp_path / "a", ANY, {})):
        with pytest.raises(InputError) as refused:
            claim()
        assert str(refused.value).startswith(f"{tmp_path}: found no permission (Permission denied)")
        assert "ask the owner" in str(refused.value).lower()
    read_only = os.statvfs_result((*os.statvfs(tmp_path)[:8], os.ST_RDONLY, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: read_only)
    with pytest.raises(InputError, match="found a read-only file system"):
        claim_folder(tmp_path / "mre", "invert", {})


def test_output_at_a_mounted_disk_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finished output is renamed to its name, which a mounted disk does not give up: a container's usual trap."""
    out = tmp_path / "the results"
    out.mkdir()
    named = str(out).replace(" ", r"\040")
    (tmp_path / "mounts").write_text(f"36 35 98:0 / {named} rw - tmpfs tmpfs rw\n")
    monkeypatch.setattr(machine_failures, "_MOUNTS", tmp_path / "mounts")
    with pytest.raises(InputError, match=r"mounted; .*Name a path inside it"):
        claim_folder(out, "invert", {})
    assert claim_folder(out / "mre", "invert", {}).path == out / "mre"


def test_no_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python raises that no such file exists, which elsewhere is a bug of ours."""
    where = "No usable temporary directory found in ['/tmp']"

    def fails() -> str:
        raise FileNotFoundError(errno.ENOENT, where)

    assert "TMPDIR: found no folder" in str(machine_fault(FileNotFoundError(errno.ENOENT, where)))
    monkeypatch.setattr("tempfile.gettempdir", fails)
    with pytest.raises(InputError, match="set TMPDIR"):
        temporary_folder()


def test_failure_that_another_program_reports(tmp_path: Path) -> None:
    """A compiler says in words what the system told it in numbers."""
    said = "cc1: fatal error: error writing to /tmp/x.s: No space left on device"
    assert str(fault_in_words(said, tmp_path)).startswith(f"{tmp_path}: found a full disk")
    assert fault_in_words("x.c:3: error: expected ';'", tmp_path) is None


READERS: dict[str, Callable[[Path], object]] = {
    "read_nifti": read_nifti,
    "read_json": read_json,
    "read_samples": lambda path: read_samples(path, (1, 1, 1)),
    "open_draws": lambda path: open_draws(path, (1, 1, 1)),
    "read_zones": read_zones,
    "read_tetrahedra": read_tetrahedra,
    "read_history": read_history,
    "load_calibration": load_calibration,
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_file_that_may_not_be_read_is_not_called_damaged(
    name: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever copies the file again, as a truncated one asks for, gets the same refusal."""
    path = tmp_path / "file.nii"
    path.write_bytes(b"x" * 1000)

    def fails(*_: object, **__: object) -> None:
        raise OSError(f"Unable to open file (errno = {number}, error message = '{os.strerror(number)}')")

    for opening in ("h5py.File", "pathlib.Path.open", "pathlib.Path.read_text"):
        monkeypatch.setattr(opening, fails)
    with pytest.raises(InputError) as refused:
        READERS[name](path)
    assert str(refused.value).startswith(f"{path}: found ")
    assert f"({os.strerror(number)})" in str(refused.value)
    assert "Unable" not in str(refused.value)


def test_results_that_cannot_be_printed(tmp_path: Path) -> None:
    """A table for a full disk is lost, and Python would add words of its own at its end."""
    done = subprocess.run(
        ["bash", "-c", '"$0" config show > /dev/full', BIN / "palpate"],
        cwd=tmp_path,
        env=user_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("palpate: this machine: found a full disk")
    assert len(done.stderr.splitlines()) == 1
