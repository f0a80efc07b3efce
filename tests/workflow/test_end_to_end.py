"""A tiny study from DICOM to page: one in-silico patient, once as DICOM and once as a finished wave field."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.conftest import CHECKOUT, run

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("end-to-end")]

PHANTOM = {"shape": [9, 8, 6], "element_mm": 4.0, "lesion": None}
QUICK = {"fit_prior": False, "max_iterations": 3, "hessian_rank": 40, "samples": 40}
LABEL = "sub-01_ses-01"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with patient/ (DICOM and truth), sessions.tsv and the finished results/."""
    home = tmp_path_factory.mktemp("study with a space")
    made = run("palpate", "phantom", "--settings", json.dumps(PHANTOM), "--out", "patient", cwd=home)
    assert made.returncode == 0, made.stderr
    given = home / "patient" / "sub-01" / "ses-01"
    shutil.copytree(given / "truth" / "wavefield", home / "field")
    lines = [
        "subject\tsession\tmre\tanatomy\ttruth",
        f"01\t01\t{given}/dicom/mre\t{given}/dicom/t1\t{given}/truth",
        "01\t02\tfield\t\t",
    ]
    (home / "sessions.tsv").write_text("\n".join(lines) + "\n")
    (home / "study.yaml").write_text(yaml.safe_dump({"inversion": QUICK}))
    done = _workflow(home)
    assert done[0] == 0, done[1]
    return home


def _workflow(home: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and output of the workflow, started from another folder than the checkout."""
    given = ("--configfile", "study.yaml", "--config", "sessions=sessions.tsv", "results=results")
    done = run("snakemake", "-s", CHECKOUT / "Snakefile", "-c2", *given, *arguments, cwd=home, timeout_s=900)
    return done.returncode, done.stdout + done.stderr


def test_each_session_has_its_page_and_maps(study: Path) -> None:
    """What design and README promise lies where they say, and DICOM only where DICOM came in."""
    for session, brings_dicom in (("01", True), ("02", False)):
        folder = study / "results" / "sub-01" / f"ses-{session}"
        assert (folder / "report.html").stat().st_size > 10_000
        assert (folder / "dicom").exists() == brings_dicom
        names = {path.name for path in (folder / "mre").iterdir()}
        for modulus in ("storagemodulus", "lossmodulus"):
            for stat in ("mean", "std", "lower", "upper"):
                assert any(name.endswith(f"_stat-{stat}_{modulus}.nii.gz") for name in names)
    assert list((study / "results" / "sub-01" / "ses-01" / "dicom").glob("*.dcm"))


def test_nothing_half_written_remains(study: Path) -> None:
    """Temporary siblings are renamed or removed."""
    assert not [*study.rglob(".partial-*"), *study.rglob(".replaced-*")]


def test_scores_against_truth(study: Path) -> None:
    """`palpate verify maps` reads what the pipeline wrote; the figures themselves are judged on the demo, not here."""
    session = study / "results" / "sub-01" / "ses-01"
    done = run(
        "palpate", "verify", "maps", session, "--truth", study / "patient" / "sub-01" / "ses-01" / "truth", cwd=study
    )
    assert done.returncode == 0, done.stderr
    assert "G'" in done.stdout


def test_second_run_computes_nothing(study: Path) -> None:
    """A study is restarted many times; what is finished must stay finished."""
    code, printed = _workflow(study)
    assert code == 0
    assert "Nothing to be done" in printed


def test_change_runs_only_what_it_touches(study: Path) -> None:
    """A change of the page's settings must not cost the inversions again."""
    code, printed = _workflow(study, "report={'viewer': false}", "-n")
    assert code == 0
    planned = {name for name, _ in re.findall(r"^(\w+) +(\d+)$", printed, re.M)}
    assert planned == {"report", "all", "total"}


def test_inversion_knows_where_it_came_from(study: Path) -> None:
    """A map without settings, versions and digests cannot be reproduced."""
    path = study / "results" / "sub-01" / "ses-01" / "mre" / f"{LABEL}_inversion.json"
    record = json.loads(path.read_text())
    assert {"versions", "settings", "input_digests", "frequency_hz", "converged"} <= set(record)
    assert str(study) not in path.read_text()
