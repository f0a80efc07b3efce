"""Judgement of a machine by injected facts: whatever is missing is said, with what to do, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from palpate.errors import InputError
from palpate.machine_check.blas import blas_line
from palpate.machine_check.check import MachineReport
from palpate.machine_check.check_line import CheckLine, Verdict
from palpate.machine_check.compiled_forms import FormFacts, form_line
from palpate.machine_check.folders import GB, FolderFacts, results_line, scratch_line
from palpate.machine_check.form_cache import cache_line
from palpate.machine_check.hdf5 import Hdf5Facts, hdf5_line
from palpate.machine_check.key import KeyFacts, key_line
from palpate.machine_check.launchers import MPIEXEC, LaunchTrial, launch_line
from palpate.machine_check.memory import GIB, MemoryFacts, memory_line
from palpate.machine_check.slurm import Partition, SlurmFacts, accounting_line, partition_line
from palpate.machine_check.text_encoding import EncodingFacts, encoding_line
from palpate.machine_check.versions import VersionFacts, version_line

WORLD = ((2, 0, 1), (2, 1, 1))
COPIES = ((1, 0, 0), (1, 0, 0))
SRUN = LaunchTrial("srun --mpi=pmi2", WORLD)
ROOM = FolderFacts(Path("/results"), "lustre", 100 * GB)
OWN_KEY = KeyFacts(is_named=False, is_there=True, fault="", can_be_made=True, is_shared=True)
DEBUG = Partition("debug", is_default=True, minutes=60, cores=2, memory_mb=8000, nodes=1)
SLURM = SlurmFacts((DEBUG,), has_accounting=True, has_queue=True)
FORGETS = replace(SLURM, has_accounting=False, site={"MinJobAge": "2"})
SUFFICES, NOTE, MISSING = Verdict.SUFFICES, Verdict.NOTE, Verdict.MISSING

CASES: dict[str, tuple[Callable[[], CheckLine], Verdict, str]] = {
    "ranks": (lambda: launch_line((SRUN,)), SUFFICES, ""),
    "copies": (lambda: launch_line((replace(SRUN, ranks=COPIES),)), MISSING, "PMI-2"),
    "half a world": (lambda: launch_line((replace(SRUN, ranks=WORLD[:1]),)), MISSING, "sbatch"),
    "two worlds of two": (lambda: launch_line((replace(SRUN, ranks=(WORLD[0], WORLD[0])),)), MISSING, "sbatch"),
    "ranks that cannot talk": (lambda: launch_line((replace(SRUN, ranks=((2, 0, 0), (2, 1, 1))),)), MISSING, ""),
    "another launcher": (
        lambda: launch_line((replace(SRUN, ranks=COPIES), LaunchTrial(MPIEXEC, WORLD))),
        NOTE,
        "profile below",
    ),
    "no mpiexec": (lambda: launch_line((LaunchTrial(MPIEXEC, (), "no mpiexec"),)), MISSING, "PATH"),
    "all forms": (lambda: form_line(FormFacts(())), SUFFICES, ""),
    "all forms, no compiler": (lambda: form_line(FormFacts((), "no gcc")), SUFFICES, ""),
    "compiler only": (lambda: form_line(FormFacts(("invert",))), NOTE, "palpate check --compile"),
    "neither": (lambda: form_line(FormFacts(("invert",), "no gcc")), MISSING, "PALPATE_FORMS"),
    "no finite elements": (lambda: form_line(FormFacts((), failure="no libmpi")), MISSING, "environment"),
    "cache": (lambda: cache_line(ROOM, "slurm", complete=False), SUFFICES, ""),
    "cache of a node": (lambda: cache_line(replace(ROOM, kind="ext4"), "slurm", complete=False), NOTE, "ahead"),
    "cache of a machine": (lambda: cache_line(replace(ROOM, kind="ext4"), "local", complete=False), SUFFICES, ""),
    "no home": (lambda: cache_line(None, "local", complete=False), NOTE, "XDG_CACHE_HOME"),
    "no home, no need": (lambda: cache_line(None, "local", complete=True), SUFFICES, ""),
    "memory": (lambda: memory_line(MemoryFacts(16 * GIB)), SUFFICES, ""),
    "no whole brain": (lambda: memory_line(MemoryFacts(8 * GIB)), NOTE, "whole brain"),
    "container": (lambda: memory_line(MemoryFacts(64 * GIB, {"a control group": GIB})), MISSING, "--mem"),
    "room": (lambda: results_line(ROOM, 100), SUFFICES, ""),
    "room for some": (lambda: results_line(ROOM, 101), NOTE, "101"),
    "no room": (lambda: results_line(replace(ROOM, free=0), None), MISSING, "room"),
    "quota": (lambda: results_line(replace(ROOM, quota=0), None), MISSING, "room"),
    "read-only": (lambda: results_line(replace(ROOM, writing="Read-only"), None), MISSING, "results in config"),
    "without locks": (lambda: results_line(replace(ROOM, locking="No locks"), None), SUFFICES, ""),
    "scratch": (lambda: scratch_line(ROOM), SUFFICES, ""),
    "small scratch": (lambda: scratch_line(replace(ROOM, free=GB)), NOTE, "TMPDIR"),
    "no scratch": (lambda: scratch_line(replace(ROOM, free=0)), MISSING, "TMPDIR"),
    "HDF5": (lambda: hdf5_line(Hdf5Facts("FALSE")), SUFFICES, ""),
    "HDF5 locks": (lambda: hdf5_line(Hdf5Facts("TRUE", "unable to lock file")), MISSING, "unset"),
    "HDF5 disk": (lambda: hdf5_line(Hdf5Facts("FALSE", "I/O error")), MISSING, "results"),
    "locale": (lambda: encoding_line(EncodingFacts("utf-8", "UTF8")), SUFFICES, ""),
    "latin": (lambda: encoding_line(EncodingFacts("utf-8", "iso8859-1", "LC_ALL=de_DE")), MISSING, "C.UTF-8"),
    "ascii names": (lambda: encoding_line(EncodingFacts("ascii", "utf-8")), MISSING, "C.UTF-8"),
    "sacct": (lambda: accounting_line(SLURM), SUFFICES, ""),
    "squeue": (lambda: accounting_line(replace(SLURM, has_accounting=False)), NOTE, "squeue"),
    "squeue forgets": (lambda: accounting_line(FORGETS), MISSING, "MinJobAge above 180 s"),
    "no queue": (lambda: accounting_line(SlurmFacts(())), MISSING, "Slurm"),
    "partitions": (lambda: partition_line(SLURM), SUFFICES, ""),
    "no partition": (lambda: partition_line(SlurmFacts((), "no sinfo")), MISSING, "local"),
    "BLAS": (lambda: blas_line(None), SUFFICES, ""),
    "bad BLAS": (
        lambda: blas_line(InputError("NumPy", found="a crash", expected="products", advice="Install it again.")),
        MISSING,
        "Install",
    ),
    "versions": (lambda: version_line(VersionFacts(count=20)), SUFFICES, ""),
    "another version": (lambda: version_line(VersionFacts(other=("numpy 2.5.1 (tested: 2.5.0)",))), NOTE, "make setup"),
    "no library": (lambda: version_line(VersionFacts(absent=("h5py",))), MISSING, "Install"),
    "key": (lambda: key_line(OWN_KEY, "slurm"), SUFFICES, ""),
    "key of a node": (lambda: key_line(replace(OWN_KEY, is_shared=False), "slurm"), NOTE, "ingest.key"),
    "key of a machine": (lambda: key_line(replace(OWN_KEY, is_shared=False), "local"), SUFFICES, ""),
    "named key": (lambda: key_line(replace(OWN_KEY, is_named=True, is_shared=False), "slurm"), SUFFICES, ""),
    "no place": (lambda: key_line(replace(OWN_KEY, is_there=False, can_be_made=False), "local"), MISSING, "ingest.key"),
    "bad key": (lambda: key_line(replace(OWN_KEY, fault="3 bytes"), "local"), MISSING, "ingest.key"),
}


@pytest.mark.parametrize("name", CASES)
def test_line(name: str) -> None:
    """Each fact that a run fails on is missing, each that merely costs is a note, and both say what to do."""
    line, verdict, advised = CASES[name]
    made = line()
    assert made.verdict is verdict, made
    assert advised in made.advice
    assert (made.advice == "") == (verdict is SUFFICES)


def test_every_topic_can_fail() -> None:
    """A topic that cannot say `missing` checks nothing; the cache alone is never needed."""
    made = [line() for line, _, _ in CASES.values()]
    topics = {line.topic for line in made}
    assert topics - {line.topic for line in made if line.verdict is MISSING} == {"form cache"}
    assert topics == {line.topic for line in made if line.verdict is SUFFICES}


def _reports() -> Iterator[tuple[MachineReport, bool]]:
    lines = [line() for line, _, _ in CASES.values()]
    for line in lines:
        yield MachineReport("local", (line,), "cores: 1"), line.verdict is not MISSING
    yield MachineReport("local", tuple(lines), "cores: 1"), False


@pytest.mark.parametrize(("report", "suffices"), list(_reports()))
def test_one_missing_thing_is_enough(report: MachineReport, suffices: bool) -> None:  # noqa: FBT001
    """A single topic decides: nine good lines do not outweigh it."""
    assert report.suffices is suffices
    assert all(one.found in report.text() and one.advice in report.text() for one in report.lines)


def test_no_complaint_without_advice() -> None:
    """A line that only complains leaves its reader alone."""
    with pytest.raises(ValueError, match="without advice"):
        CheckLine("memory", "little", MISSING)
