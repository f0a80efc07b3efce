"""A small session that was really inverted, with its T1 and DICOM of every kind: what viewers open."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import run

PHANTOM = {"shape": [16, 16, 8], "element_mm": 3.4}
QUICK = {"fit_prior": False, "max_iterations": 4, "hessian_rank": 60, "samples": 40}
STEM = "sub-01_ses-01"


@dataclass(frozen=True)
class Session:
    """Where a session's files lie.

    Attributes:
        t1: the T1 as DICOM.
        dicom: the folder that palpate maps wrote.
        anatomy: the folder of maps on the T1 as NIfTI.
    """

    t1: Path
    dicom: Path
    anatomy: Path

    @property
    def mean(self) -> Path:
        """The MR series of the mean of G'."""
        return self.dicom / f"{STEM}_space-T1w_stat-mean_storagemodulus"

    def regions(self, kind: str) -> Path:
        """The one file of a kind of object about regions."""
        return self.dicom / f"{STEM}_space-T1w_desc-regions_{kind}.dcm"


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """One session for all tests, which only read it."""
    home = tmp_path_factory.mktemp("viewed")
    scan = home / "patient" / "sub-01" / "ses-01" / "dicom"
    settings = json.dumps({"key": str(home / "key")})
    given = ("--wavefield", "field", "--scan", scan / "mre", "--anatomy", scan / "t1", "--key", home / "key")
    for words in (
        ("phantom", "--settings", json.dumps(PHANTOM), "--out", "patient"),
        ("ingest", scan / "mre", "--anatomy", scan / "t1", "--label", STEM, "--out", "field", "--settings", settings),
        ("invert", "field", "--out", "mre", "--settings", json.dumps(QUICK)),
        ("maps", "mre", *given, "--out", "dicom"),
        ("overlay", "mre", "--wavefield", "field", "--out", "anat"),
    ):
        done = run("palpate", *words, cwd=home, timeout_s=1800.0)
        assert done.returncode == 0, done.stderr
    return Session(scan / "t1", home / "dicom", home / "anat")
