"""What starts first, and on how many cores, as a dry run states it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, run

STUDY = CHECKOUT / "tests" / "configs" / "study"
CONFIG = ("--config", "sessions=sessions.tsv", "results=results")


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


def test_the_critical_path_starts_first_on_the_cores_that_are_there(home: Path) -> None:
    """A tumour's steps wait for one another; begun last, they run alone at the end while cores are idle.

    The first session's stiffness belongs to the tumour's history, the second one's and the other subject's do not.
    """
    jobs = planned(home, "-c4")
    first = {name for name, job in jobs.items() if priority(job) == max(map(priority, jobs.values()))}
    assert first == {"ingest T 1", "mesh T 1", "invert T 1", "tumour T", "calibrate T", "forecast T"}
    for name in ("calibrate T", "forecast T"):
        assert "threads: 4" in jobs[name]
        assert "mpi=mpiexec" in jobs[name]
        assert "tasks=4" in jobs[name]
