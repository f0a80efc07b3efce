"""Facts of a machine, read from what its files and programs state."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from palpate.machine_check import folders
from palpate.machine_check.folders import folder_facts
from palpate.machine_check.key import key_facts
from palpate.machine_check.launchers import MPIEXEC, launchers, trial_of
from palpate.machine_check.memory import GIB, MemoryFacts, group_limits
from palpate.machine_check.mounts import file_system
from palpate.machine_check.programs import ProgramAnswer, ask
from palpate.machine_check.quota import left_of
from palpate.machine_check.slurm import minutes_of, partitions_of, slurm_facts
from palpate.machine_check.versions import compared


def _group(root: Path, inside: str, name: str, limit: str) -> None:
    (root / inside).mkdir(parents=True, exist_ok=True)
    (root / inside / name).write_text(f"{limit}\n")


def test_limits_of_a_group_and_of_all_above_it(tmp_path: Path) -> None:
    """A job's own group often states no limit, while the one above it does: the kernel enforces the least."""
    _group(tmp_path, "slurm/job_1/step_0", "memory.max", "max")
    _group(tmp_path, "slurm/job_1", "memory.max", str(4 * GIB))
    _group(tmp_path, "slurm", "memory.max", str(60 * GIB))
    assert min(group_limits("0::/slurm/job_1/step_0\n", tmp_path)) == 4 * GIB


def test_limits_of_the_first_version_of_groups(tmp_path: Path) -> None:
    """The first version keeps memory in a tree of its own, and states no limit as a number beyond all memory."""
    _group(tmp_path, "memory/docker/1", "memory.limit_in_bytes", str(2 * GIB))
    _group(tmp_path, "memory", "memory.limit_in_bytes", "9223372036854771712")
    assert group_limits("5:memory:/docker/1\n4:cpu:/docker/1\n0::/\n", tmp_path) == [2 * GIB]


def test_container_sees_its_group_at_the_root(tmp_path: Path) -> None:
    """Inside a container the stated path is the host's, and the files lie at the root."""
    _group(tmp_path, "", "memory.max", str(GIB))
    assert group_limits("0::/kubepods/pod1/abc\n", tmp_path) == [GIB]


@pytest.mark.parametrize(("gib", "cores", "ranks"), [(64, 8, 8), (8, 8, 4), (1, 8, 1), (64, 1, 1)])
def test_ranks_fit_processors_and_memory(gib: int, cores: int, ranks: int) -> None:
    """More ranks than the memory holds are killed one by one."""
    assert MemoryFacts(128 * GIB, {"a job": gib * GIB}, cores).ranks == ranks


MOUNTS = r"""22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:25 / /home rw - nfs4 server:/home rw,vers=4.2
31 30 0:26 / /home/my\040data rw - lustre mds@tcp:/fs rw
32 22 0:27 / /tmp rw shared:1 - tmpfs tmpfs rw
33 22 0:28 / /tmp rw - xfs /dev/vdb rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/homes/x", "ext4"),
        ("/home/x/y", "nfs4"),
        ("/home/my data/x", "lustre"),
        ("/tmp/x", "xfs"),
    ],
)
def test_file_system_is_that_of_the_nearest_mount(path: str, kind: str) -> None:
    """Whether others see a folder hangs on the mount that it lies on."""
    assert file_system(Path(path), MOUNTS) == kind


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("     /dev/sda1  100  500  1000   0   10  0  0   0", 400 * 1024),  # quota -w -p: block grace is a number
        ("     /dev/sda1  600*  500  1000   9   10  0  0   0", 0),
        ("     server:/home  100  0  1000   0   10  0  0   0", 900 * 1024),
        ("     /dev/sda1  100  0  0   0   10  0  0   0", None),
        ("     /fs  12345678  20000000  30000000  -  1000  0  0  -", 7654322 * 1024),  # lfs quota -q
        ("Disk quotas for user x (uid 1): none", None),
        ("", None),
    ],
)
def test_room_of_a_quota(text: str, left: int | None) -> None:
    """The nearer of the two limits counts; a table without limits is no quota."""
    assert left_of(text) == left


def test_folder_that_takes_nothing_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Permissions tell nothing of a full disk or of missing locks; a file that is tried does. None is left behind."""

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(folders.fcntl, "flock", no_locks)
    facts = folder_facts(tmp_path / "not" / "yet")
    assert (facts.path, facts.writing, facts.locking) == (tmp_path, "", os.strerror(errno.ENOLCK))
    assert not list(tmp_path.iterdir())
    assert folder_facts(Path("/proc")).writing


SINFO = """debug*|up|1:00:00|2|8000|1
big|up|infinite|128+|512000+|10
big|up|infinite|64|256000|4
old|down|30:00|8|16000|3
"""


def test_partitions_as_sinfo_has_them() -> None:
    """Nodes of one partition differ, and a job must fit on the smallest; a partition that is down takes none."""
    debug, big = partitions_of(SINFO)
    assert (debug.name, debug.is_default, debug.minutes, debug.cores, debug.memory_mb) == ("debug", True, 60, 2, 8000)
    assert (big.name, big.is_default, big.minutes, big.cores, big.memory_mb) == ("big", False, None, 64, 256000)
    assert big.nodes == 14


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("1-00:00:00", 1440), ("2-12:30:00", 3630), ("12:00:00", 720), ("30:00", 30), ("infinite", None), ("n/a", None)],
)
def test_time_limits(text: str, minutes: int | None) -> None:
    """All spellings of sinfo."""
    assert minutes_of(text) == minutes


def test_launchers_are_those_that_the_site_has() -> None:
    """PMI-2 first, which the MPI of the environment speaks; mpiexec last, since it stays on one node."""
    assert launchers("local") == (MPIEXEC,)
    tried = launchers("slurm", "MPI plugin types are...\n\tpmix\n\tnone\n\tpmi2\n")
    assert [one.split()[1] for one in tried] == ["--mpi=pmi2", "--mpi=pmix", "-genv"]


def test_words_of_a_launcher_are_no_ranks() -> None:
    """Launchers print among the ranks' lines; a launcher that fails has its own words as the reason."""
    text = 'srun: job 7 queued\n{"size": 2, "rank": 0, "sum": 1}\n[1, 2]\n{"size": 2, "rank": 1, "sum": 1}\n'
    assert trial_of("srun", ProgramAnswer(0, text)).works
    failed = trial_of("srun", ProgramAnswer(1, "", "\nsrun: error: Unable to allocate\nmore"))
    assert failed.outcome == "srun: error: Unable to allocate"


def test_programs_that_are_not_there_or_hang() -> None:
    """The check ends, whatever the machine does."""
    assert ask(["palpate-no-such-program"]).complaint == "no palpate-no-such-program"
    assert "within" in ask(["sleep", "60"], patience_s=0.2).complaint


def test_versions_against_the_lock() -> None:
    """A lock may pin one library twice, for two versions of Python."""
    installed = {"numpy": "2.5.1", "scipy": "1.18.1", "h5py": None, "own": "1"}
    facts = compared(installed, {"numpy": "2.5.0", "scipy": "1.17.0 1.18.1", "h5py": "3.16.0"})
    assert (facts.absent, facts.other, facts.count) == (("h5py",), ("numpy 2.5.1 (tested: 2.5.0)",), 2)


def test_key_is_looked_for_and_never_made(tmp_path: Path) -> None:
    """A check that made a key would decide for the study; a key of a wrong length is said."""
    facts = key_facts(tmp_path / "key")
    assert (facts.is_there, facts.can_be_made, facts.fault) == (False, True, "")
    assert not (tmp_path / "key").exists()
    (tmp_path / "key").write_bytes(b"short")
    assert "5 bytes" in key_facts(tmp_path / "key").fault


def test_a_sacct_that_answers_without_accounting_counts_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some versions of sacct print an empty table where the site keeps no jobs; the site's configuration tells."""
    site = "AccountingStorageType = accounting_storage/none\nMinJobAge = 2 sec"
    for name, printed in (("sacct", ""), ("squeue", ""), ("scontrol", site), ("sinfo", "")):
        (tmp_path / name).write_text(f"#!/bin/sh\ncat <<END\n{printed}\nEND\n")
        (tmp_path / name).chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    facts = slurm_facts()
    assert (facts.has_accounting, facts.has_queue, facts.site["MinJobAge"]) == (False, True, "2")
