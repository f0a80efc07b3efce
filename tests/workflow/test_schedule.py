"""What starts first, and on how many cores, as a dry run states it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, run

STUDY = CHECKOUT / "tests" / "configs" / "study"
CONFIG = ("--config", "sessions=sessions.tsv", "results=results")


def threads(job: str) -> int:
    """The cores that a job's description states; 1 where it states none."""
    found = re.search(r"threads: (\d+)", job)
    return int(found[1]) if found else 1


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A study of two subjects: both have elastography, and one a tumour whose history needs its stiffness."""
    for name in ("dicom", "wavefield"):
        shutil.copytree(STUDY / name, tmp_path / name)
    shutil.copy(STUDY / "labels.nii.gz", tmp_path)
    rows = [
        "T\t1\tdicom\tlabels.nii.gz\t2026-01-11\tlabels.nii.gz",
        "T\t2\tdicom\tlabels.nii.gz\t2026-02-11\tlabels.nii.gz",
        "U\t1\twavefield\t\t\t",
    ]
    table = "\n".join(["subject\tsession\tmre\tlabels\tdate\tgrowth", *rows])
    (tmp_path / "sessions.tsv").write_text(table + "\n")
    return tmp_path


def planned(home: Path, *options: str) -> dict[str, str]:
    """The description of each job in a dry run, by rule, subject and session."""
    done = run("snakemake", "-s", CHECKOUT / "Snakefile", "-n", *options, *CONFIG, cwd=home)
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = re.findall(r"^(?:local)?rule (\w+):\n((?: .*\n)+)", done.stdout + done.stderr, re.M)
    return {" ".join([name, *re.findall(r"(?:subject|session)=(\w+)", text)]): text for name, text in jobs}


def priority(job: str) -> int:
    """The priority that a job's description states; 0 where it states none."""
    found = re.search(r"priority: (\d+)", job)
    return int(found[1]) if found else 0


def test_the_critical_path_starts_first(home: Path) -> None:
    """A tumour's steps wait for one another; begun last, they run alone at the end while cores are idle.

    The first session's stiffness belongs to the tumour's history, the second one's and the other subject's do not.
    These two inversions leave half of the cores to the tumour, on however many it has to wait now.
    """
    jobs = planned(home, "-c4")
    first = {name for name, job in jobs.items() if priority(job) == max(map(priority, jobs.values()))}
    assert first == {"ingest T 1", "mesh T 1", "invert T 1", "tumour T", "calibrate T", "forecast T"}
    assert [threads(jobs[f"invert {one}"]) for one in ("T 1", "T 2", "U 1")] == [4, 2, 2]
    assert threads(jobs["calibrate T"]) == 1
    assert "mpi=" not in jobs["calibrate T"]


def test_a_tumour_alone_takes_all_cores(home: Path) -> None:
    """Where nothing else could use them, a calibration on one rank would leave them idle."""
    table = (home / "sessions.tsv").read_text().replace("\tdicom\t", "\t\t").splitlines()[:3]
    (home / "sessions.tsv").write_text("\n".join(table) + "\n")
    jobs = planned(home, "-c4")
    for name in ("calibrate T", "forecast T"):
        assert threads(jobs[name]) == 4
        assert re.search("mpi=mpiexec.*tasks=4", jobs[name])
