"""A tiny study from DICOM to page: one in-silico patient, as DICOM of two scanners.

All the DICOM is full of identifying text, so that whatever any stage, its log or the workflow itself repeats is found.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pydicom
import pytest
import yaml

from palpate.imaging.deidentify.key import Key
from tests.conftest import CHECKOUT, run
from tests.imaging.planting import MARK, SECRETS, identifiers_in, leaks, not_in_maps, plant, without_place
from tests.imaging.scanner import PATIENT, edit

PHANTOM = {"shape": [9, 8, 6], "element_mm": 4.0, "lesion": None}
QUICK = {"fit_prior": False, "max_iterations": 3, "hessian_rank": 40, "samples": 40}
LABEL = "sub-01_ses-01"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the patient's DICOM and truth, sessions.tsv, the finished results/ and what was printed."""
    home = tmp_path_factory.mktemp("study with a space")
    for vendor in ("siemens", "philips-enhanced"):
        made = run(
            "palpate", "phantom", "--settings", json.dumps(PHANTOM), "--vendor", vendor, "--out", vendor, cwd=home
        )
        assert made.returncode == 0, made.stderr
        if vendor != "siemens":  # an anatomy is read from one of them
            shutil.rmtree(home / vendor / "sub-01" / "ses-01" / "dicom" / "t1")
        _plant(home / vendor / "sub-01" / "ses-01" / "dicom")
    given, other = (home / vendor / "sub-01" / "ses-01" for vendor in ("siemens", "philips-enhanced"))
    lines = [
        "subject\tsession\tmre\tanatomy\ttruth",
        f"01\t01\t{given}/dicom/mre\t{given}/dicom/t1\t{given}/truth",
        f"01\t03\t{other}/dicom/mre\t\t",
    ]
    (home / "sessions.tsv").write_text("\n".join(lines) + "\n")
    (home / "study.yaml").write_text(yaml.safe_dump({"inversion": QUICK}))
    # A user who has no key yet: both sessions that bring DICOM start at once and make it.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        done = _workflow(home)
        assert done[0] == 0, done[1]
        (home / "printed").write_text(done[1])
        yield home


def _plant(dicom: Path) -> None:
    """Identifying text into every place of every header, and a person's name into the names of files and folders."""
    for folder in dicom.iterdir():
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        for file in files:
            edit(file, partial(_person, everywhere=file in (files[0], files[-1])))
            file.rename(file.with_name(f"{MARK}_Erika_{file.name}"))
        for inner in [path for path in folder.iterdir() if path.is_dir()]:
            inner.rename(inner.with_name(f"{inner.name} {MARK} Erika"))


def _person(image: pydicom.Dataset, *, everywhere: bool) -> None:
    image.PatientName, image.PatientID, image.PatientBirthDate = PATIENT, "MUSTER77", "19600102"
    # What the phantom says of itself would take the place of text.
    del image.PatientComments, image.StudyDescription
    plant(image, everywhere=everywhere)


def _workflow(home: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and output of the workflow, started from another folder than the checkout."""
    given = ("--configfile", "study.yaml", "--config", "sessions=sessions.tsv", "results=results")
    done = run("snakemake", "-s", CHECKOUT / "Snakefile", "-c2", *given, *arguments, cwd=home, timeout_s=900)
    return done.returncode, done.stdout + done.stderr


def test_nothing_of_the_person_is_left_anywhere(study: Path) -> None:
    """Maps, pages, records, logs of every rule, Snakemake's own files and the terminal, unpacked: nothing planted.

    DICOM maps carry patient and study, as an archive needs them; the next test looks at the rest of them.
    One reader that is careful is not enough: whatever a later stage copies, quotes or names would leave the hospital.
    """
    source = [file for file in sorted((study / "siemens").rglob("*.ima")) if MARK in file.name]
    assert source[0].read_bytes().count(MARK.encode()) > 1500
    for folder in (study / "results", study / ".snakemake"):
        assert len([path for path in folder.rglob("*") if path.is_file()]) > 3
        assert not_in_maps(leaks(folder)) == []
    printed = (study / "printed").read_text().lower()
    assert not [secret for secret in SECRETS if secret.lower() in printed]
    assert list((study / "results" / "logs").iterdir())


def test_scans_own_identifiers_are_in_the_place_of_dicom_maps_only(study: Path, tmp_path: Path) -> None:
    """With access to the archive an identifier is a name: viewers need them in the maps, nobody anywhere else."""
    sources = {"01": study / "siemens", "03": study / "philips-enhanced"}
    results = study / "results" / "sub-01"
    own = tuple(one for source in sources.values() for one in identifiers_in(source / "sub-01" / "ses-01" / "dicom"))
    for session, source in sources.items():
        image = pydicom.dcmread(next(path for path in source.rglob("mre*/**/*") if path.is_file()))
        maps = [pydicom.dcmread(path) for path in (results / f"ses-{session}" / "dicom").rglob("*.dcm")]
        # A report's coordinates name their frame of reference each; the report as a whole has none.
        places = {(one.StudyInstanceUID, one.FrameOfReferenceUID) for one in maps if one.Modality != "SR"}
        assert places == {(image.StudyInstanceUID, image.FrameOfReferenceUID)}
        without_place(results / f"ses-{session}" / "dicom", tmp_path / session)
        assert leaks(tmp_path / session, (*SECRETS, *own)) == []
        assert {str(one.PatientID) for one in maps} == {str(image.PatientID)}
    assert not_in_maps(leaks(study / "results", own)) == []
    assert leaks(study / ".snakemake", own) == []
    assert not [one for one in own if one in (study / "printed").read_text()]


def test_sessions_that_start_at_once_share_a_key(study: Path) -> None:
    """Sessions of one subject that are keyed apart could not be brought together again."""
    records = [
        json.loads(
            (study / "results" / "sub-01" / f"ses-{one}" / "wavefield" / f"sub-01_ses-{one}_ingest.json").read_text()
        )
        for one in ("01", "03")
    ]
    path = study / "config" / "palpate" / "key"
    assert {one["identifiers"]["key_fingerprint"] for one in records} == {Key(path.read_bytes()).fingerprint}
    assert path.stat().st_mode & 0o777 == 0o600


def test_each_session_has_its_page_and_maps(study: Path) -> None:
    """What design and README promise lies where they say."""
    for session in ("01", "03"):
        folder = study / "results" / "sub-01" / f"ses-{session}"
        assert (folder / "report.html").stat().st_size > 10_000
        assert (folder / "dicom").exists()
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
        "palpate", "verify", "maps", session, "--truth", study / "siemens" / "sub-01" / "ses-01" / "truth", cwd=study
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
