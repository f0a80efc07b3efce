"""Every DICOM file that palpate writes from every vendor's scan, and from real ones, judged by dciodvfy."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_args

import pydicom
import pytest
from harness.shared_data import shared_data

from palpate.config.phantom import Vendor
from tests.conftest import run
from tests.imaging.dicom_judge import errors_in, needs_dciodvfy

pytestmark = [pytest.mark.long, needs_dciodvfy]
PHANTOM = {"shape": [10, 10, 6], "element_mm": 4.0}
QUICK = {"fit_prior": False, "max_iterations": 1, "hessian_rank": 20, "samples": 40}
STEM = "sub-01_ses-01"
ON_T1 = {"mr", "rtstruct", "seg", "sr", "pm"}
SCANS = {"brain (Siemens)": ("charite-mre/sub-01_dicom.zip", None), "liver (GE)": ("ge-liver/exam.zip", "liver_roi")}
"""Real scans below shared/data: container, and the drawn region beside it."""


def palpate(*words: object, cwd: Path) -> None:
    """Run a command that must end well."""
    done = run("palpate", *words, cwd=cwd, timeout_s=1800.0)
    assert done.returncode == 0, done.stderr


def written(home: Path, scan: Path, *, told: Mapping[str, object], t1: Path | None, mask: Path | None = None) -> Path:
    """Take a scan the whole way to DICOM of every kind that it has; return the folder."""
    drawn = () if mask is None else ("--mask", mask)
    planning = () if t1 is None else ("--anatomy", t1)
    settings = ("--settings", json.dumps({**told, "key": str(home / "key")}))
    palpate("ingest", scan, *planning, *drawn, "--label", STEM, "--out", "field", *settings, cwd=home)
    palpate("invert", "field", "--out", "mre", "--settings", json.dumps(QUICK), cwd=home)
    given = ("--wavefield", "field", "--scan", scan, *planning, "--key", home / "key")
    palpate("maps", "mre", *given, "--out", "dicom", cwd=home)
    return home / "dicom"


def judged(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Kind of each file, and its errors."""
    for path in sorted(folder.rglob("*.dcm")):
        image = pydicom.dcmread(path, stop_before_pixels=True)
        named = {"SEG": "seg", "RTSTRUCT": "rtstruct", "SR": "sr", "REG": "registration"}
        kind = "pm" if image.SOPClassUID == pydicom.uid.ParametricMapStorage else named.get(image.Modality, "mr")
        yield kind, [f"{path.relative_to(folder)}: {one}" for one in errors_in(path)]


def demand_sound(folder: Path, least: set[str]) -> None:
    """Check that no file of a folder breaks a rule, and that the kinds asked for are there."""
    found = list(judged(folder))
    files = Counter(kind for kind, _ in found)
    assert [error for _, errors in found for error in errors] == []
    assert set(files) >= least


@pytest.mark.parametrize("vendor", get_args(Vendor.__value__))
def test_no_file_of_a_vendors_phantom_breaks_a_rule(vendor: Vendor, tmp_path: Path) -> None:
    """Headers are taken over from the scanner, whose layouts differ: an archive may refuse what breaks the standard."""
    palpate("phantom", "--settings", json.dumps(PHANTOM), "--vendor", vendor, "--out", "patient", cwd=tmp_path)
    given = tmp_path / "patient" / "sub-01" / "ses-01"
    told = json.loads((given / "truth" / "truth.json").read_text())["ingest"]
    folder = written(tmp_path, given / "dicom" / "mre", told=told, t1=given / "dicom" / "t1")
    demand_sound(folder, ON_T1)


@pytest.mark.parametrize("name", list(SCANS))
def test_no_file_of_a_real_scan_breaks_a_rule(name: str, tmp_path: Path) -> None:
    """Real headers hold what no phantom thinks of. A brain without T1 has maps alone, an organ has every kind."""
    container, roi = SCANS[name]
    scan = shared_data() / container
    if not scan.exists():
        pytest.skip(f"the public scan {container} is not here")
    mask = None if roi is None else scan.with_name(f"{roi}.nii.gz")
    folder = written(tmp_path, scan, told={}, t1=None, mask=mask)
    demand_sound(folder, {"pm"} if roi is None else ON_T1)
