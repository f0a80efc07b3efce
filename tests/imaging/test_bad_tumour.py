"""Ways to hand palpate an unusable tumour: each ends in one sentence that names the place and says what to do."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pydicom
import pytest

from palpate.config.study import read_study
from palpate.config.tumour import TumourSettings
from palpate.errors import InputError
from palpate.imaging.deidentify.key_file import open_key
from palpate.imaging.files.nifti import read_nifti, write_nifti
from palpate.imaging.tumour.dates import demand_one_person
from palpate.imaging.tumour.events import Registrar
from palpate.imaging.tumour.history import TumourScan
from palpate.imaging.tumour.history_file import read_history
from palpate.imaging.tumour.onto_grid import TumourGrid
from palpate.imaging.tumour.reading import read_tumour
from palpate.imaging.tumour.spaces import ImageSpace, Spaces
from palpate.imaging.tumour.treatments import TreatmentRow, read_treatments
from tests.imaging.tumour_study import (
    AFFINE,
    ROWS,
    SHAPE,
    TREATMENTS,
    make_study,
    write_dose,
    write_sessions,
    write_treatments,
)

type Spoiler = Callable[[Path], object]

FAR = AFFINE + np.array([[0, 0, 0, 500.0], [0] * 4, [0] * 4, [0] * 4])


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that is in order."""
    root = tmp_path_factory.mktemp("sound")
    make_study(root)
    return root


@pytest.fixture
def study(sound: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(sound, tmp_path / "study"))


def _rows(number: int, **changes: str) -> Spoiler:
    return lambda root: write_sessions(
        root, tuple(row | changes if at == number else row for at, row in enumerate(ROWS))
    )


def _line(line: str, header: str = TREATMENTS[0]) -> Spoiler:
    return lambda root: write_treatments(root, header, line)


def _map(name: str, change: Callable[[np.ndarray], np.ndarray], affine: np.ndarray = AFFINE) -> Spoiler:
    def spoil(root: Path) -> None:
        values = read_nifti(root / name).values
        write_nifti(root / name, change(values).astype(np.float32), affine)

    return spoil


def _cropped(name: str, *, zero: bool = False) -> Spoiler:
    """The first planes only, which do not reach the tumour."""

    def spoil(root: Path) -> None:
        values = read_nifti(root / name).values[..., :7]
        write_nifti(root / name, (0.0 * values if zero else values).astype(np.float32), AFFINE)

    return spoil


def _voxel(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        values[10, 9, 8] = value
        return values

    return change


def _cut(name: str, size: int) -> Spoiler:
    return lambda root: (root / name).write_bytes((root / name).read_bytes()[:size])


def _dicom(**changes: object) -> Spoiler:
    def spoil(root: Path) -> None:
        dataset = pydicom.dcmread(root / "dose.dcm")
        for name, value in changes.items():
            setattr(dataset, name, value)
        dataset.save_as(root / "dose.dcm")

    return spoil


def _nifti_dose(change: Callable[[np.ndarray], np.ndarray], affine: np.ndarray = AFFINE) -> Spoiler:
    def spoil(root: Path) -> None:
        write_nifti(root / "dose.nii.gz", change(np.full(SHAPE, 60.0)), affine)
        write_treatments(root, TREATMENTS[0], TREATMENTS[1].replace("dose.dcm", "dose.nii.gz"))

    return spoil


def _mask(values: np.ndarray, affine: np.ndarray = AFFINE) -> Spoiler:
    def spoil(root: Path) -> None:
        write_nifti(root / "mask.nii.gz", values.astype(np.uint8), affine)
        write_treatments(root, TREATMENTS[0], "2025-02-10\tsurgery\t\t\t\t\t\tmask.nii.gz\t\t")

    return spoil


def _text(name: str, text: str) -> Spoiler:
    return lambda root: (root / name).write_text(text)


def _all(*spoilers: Spoiler) -> Spoiler:
    def spoil(root: Path) -> None:
        for one in spoilers:
            one(root)

    return spoil


RT, CHEMO = "2025-01-20\tradiotherapy\t{}\t\t\t\t\t\t\t", "2025-01-20\tchemotherapy\t\t{}\t{}\t\t\t\t\t"
TOMORROW = str(datetime.date.today() + datetime.timedelta(days=400))

CASES: dict[str, tuple[Spoiler, str]] = {
    "dates out of order": (_rows(1, date="2025-01-01"), "below 2025-01-06"),
    "dates equal": (_rows(1, date="2025-01-06"), "again"),
    "date missing": (_rows(1, date=""), "without a date"),
    "date impossible": (_rows(1, date="2025-02-30"), "2025-02-30"),
    "date in words": (_rows(1, date="3 Feb 2025"), "3 Feb 2025"),
    "date in the future": (_rows(2, date=TOMORROW), "not in the future"),
    "no maps at all": (
        lambda root: write_sessions(root, tuple(r | {"growth": ""} for r in ROWS)),
        "no session with tumour maps",
    ),
    "another subject": (lambda root: write_sessions(root, tuple(r | {"subject": "08"} for r in ROWS)), "no subject 07"),
    "two tables of treatments": (
        _all(lambda root: shutil.copy(root / "treatments.tsv", root / "other.tsv"), _rows(1, treatment="other.tsv")),
        "2 different tables",
    ),
    "folder missing": (lambda root: shutil.rmtree(root / "growth2"), "a path that exists"),
    "folder is a file": (
        _all(lambda root: shutil.rmtree(root / "growth2"), _text("growth2", "hello")),
        "no folder",
    ),
    "folder empty": (
        _all(lambda root: shutil.rmtree(root / "growth2"), lambda root: (root / "growth2").mkdir()),
        "neither cellularity",
    ),
    "ADC without regions": (lambda root: (root / "growth2" / "roi.nii.gz").unlink(), "roi.nii.gz"),
    "unknown region": (_map("growth2/roi.nii.gz", _voxel(7)), "values such as 7"),
    "half a region": (_map("growth2/roi.nii.gz", _voxel(0.5)), "values such as 0.5"),
    "cellularity of the complement": (
        _map("growth1/cellularity.nii.gz", lambda values: 1 - values),
        "mL of tumour drawn, where",
    ),
    "regions empty beside a dense tumour": (_map("growth1/roi.nii.gz", np.zeros_like), "no tumour, where"),
    "regions and ADC empty": (
        _all(_map("growth2/roi.nii.gz", np.zeros_like), _map("growth2/adc.nii.gz", np.zeros_like)),
        "no contrast at all",
    ),
    "regions empty, of another slab": (
        _all(_cropped("growth2/roi.nii.gz", zero=True), _cropped("growth2/adc.nii.gz")),
        "of where other dates have it",
    ),
    "regions empty at every date": (
        _all(
            *(_map(f"growth{n}/roi.nii.gz", np.zeros_like) for n in (1, 2, 3)),
            _map("growth1/cellularity.nii.gz", lambda v: 0.2 * v),
        ),
        "no tumour in any of 3 scans",
    ),
    "later tumour beyond what the first scan shows": (
        _all(
            *(_map(f"growth2/{name}.nii.gz", lambda v: v, AFFINE + np.eye(4, k=3) * 35.0) for name in ("adc", "roi")),
        ),
        "in what the first scan shows",
    ),
    "regions on another grid": (_map("growth2/roi.nii.gz", lambda v: v[:-1]), "another grid"),
    "regions elsewhere": (_map("growth2/roi.nii.gz", lambda v: v, FAR), "another grid"),
    "ADC and cellularity on different grids": (
        _all(
            lambda root: shutil.copy(root / "growth2" / "adc.nii.gz", root / "growth1" / "adc.nii.gz"),
            _map("growth1/adc.nii.gz", lambda v: v[:-1]),
        ),
        "another grid",
    ),
    "ADC of four dimensions": (_map("growth2/adc.nii.gz", lambda v: np.stack([v, v], -1)), "(20, 18, 16, 2)"),
    "ADC of one slice": (_map("growth2/adc.nii.gz", lambda v: v[..., :1]), "(20, 18, 1)"),
    "NaN in the tumour": (_map("growth2/adc.nii.gz", _voxel(np.nan)), "not finite"),
    "ADC in the wrong unit": (_text("growth2/adc.json", '{"Units": "mm2/s"}'), "Correct Units"),
    "ADC in an unknown unit": (_text("growth2/adc.json", '{"Units": "furlong2/s"}'), "furlong"),
    "ADC that is none": (
        _all(lambda root: (root / "growth2" / "adc.json").unlink(), _map("growth2/adc.nii.gz", lambda v: v * 20.0)),
        "no ADC in any usual unit",
    ),
    "ADC negative": (_map("growth3/adc.nii.gz", lambda v: -v), "no ADC in any usual unit"),
    "noise negative": (_text("growth2/adc.json", '{"Units": "1e-6 mm2/s", "NoiseStd": -3}'), "NoiseStd"),
    "noise zero": (_text("growth1/cellularity.json", '{"NoiseStd": 0}'), "no measured map is exact"),
    "sidecar no JSON": (_text("growth2/adc.json", "{"), "not JSON"),
    "cellularity above one": (_map("growth1/cellularity.nii.gz", _voxel(1.4)), "to 1.4"),
    "cellularity negative": (_map("growth1/cellularity.nii.gz", _voxel(-0.2)), "-0.2"),
    "cellularity in percent": (_map("growth1/cellularity.nii.gz", lambda v: 100.0 * v), "Scale the map"),
    "cellularity infinite": (_map("growth1/cellularity.nii.gz", _voxel(np.inf)), "infinite"),
    "cellularity all NaN": (_map("growth1/cellularity.nii.gz", lambda v: v * np.nan), "no finite value"),
    "no tumour where regions have one": (_map("growth1/cellularity.nii.gz", np.zeros_like), "0 in every voxel"),
    "blank map without regions": (
        _all(
            _map("growth1/cellularity.nii.gz", np.zeros_like),
            lambda root: (root / "growth1" / "roi.nii.gz").unlink(),
        ),
        "0 in every voxel",
    ),
    "truncated map": (_cut("growth2/adc.nii.gz", 300), "truncated"),
    "map that is text": (_text("growth2/adc.nii.gz", "hello"), "NIfTI"),
    "later maps elsewhere": (
        _all(_map("growth2/adc.nii.gz", lambda v: v, FAR), _map("growth2/roi.nii.gz", lambda v: v, FAR)),
        "nothing of the first scan",
    ),
    "tumour outside the brain": (
        _map("labels/labels.nii.gz", lambda v: np.where(np.indices(SHAPE)[0] > 2, 3, v)),
        "lies in brain tissue",
    ),
    "labels elsewhere": (_map("labels/labels.nii.gz", lambda v: v, FAR), "no label inside"),
    "labels without a table": (lambda root: (root / "labels" / "labels.tsv").unlink(), "labels.tsv"),
    "labels without brain": (
        _text("labels/labels.tsv", "index\tname\n1\tskull\n2\tscalp\n3\tCSF\n"),
        "no brain tissue among",
    ),
    "neither labels nor T1": (_rows(0, labels=""), "neither labels nor anatomy"),
    "treatments without kind": (_line("2025-01-20\t2", "date\tdose_gy"), "no column 'kind'"),
    "treatments with an unknown column": (_line("2025-01-20\tx\t2", "date\tkind\tdoze"), "doze"),
    "treatments with a short line": (_line("2025-01-20\tradiotherapy"), "2 cells"),
    "unknown kind": (_line("2025-01-20\thomeopathy\t\t\t\t\t\t\t\t"), "homeopathy"),
    "treatment date impossible": (_line(RT.format(2).replace("01-20", "13-20")), "2025-13-20"),
    "fraction before the first scan": (_line(RT.format(2).replace("2025", "2024")), "before the first scan"),
    "fraction of another decade": (_line(RT.format(2).replace("2025", "2052")), "27 years after the first scan"),
    "surgery before the first scan": (_line("2024-12-01\tsurgery\t\t\t\t\t\t\t1\t"), "before the first scan"),
    "no dose": (_line(RT.format("")), "without dose"),
    "negative dose": (_line(RT.format(-2)), "-2"),
    "dose of a course as a fraction's": (_line(RT.format(60)), "at most 30"),
    "dose in cGy": (_line(RT.format(180)), "not cGy"),
    "dose of a fraction divided once more": (_line(RT.format(0.067)), "from 0.2"),
    "dose with a unit": (_line(RT.format("2 Gy")), "without a unit"),
    "dose not a number": (_line(RT.format("nan")), "nan"),
    "unknown drug": (_line(CHEMO.format(100, "aspirin")), "aspirin"),
    "no drug": (_line(CHEMO.format(100, "")), "without drug"),
    "no amount": (_line(CHEMO.format("", "temozolomide")), "without amount"),
    "amount of nothing": (_line(CHEMO.format(0, "temozolomide")), "from 1 to"),
    "amount in g": (_line(CHEMO.format(0.14, "temozolomide")), "milligram"),
    "amount beside radiotherapy": (_line("2025-01-20\tradiotherapy\t2\t150\t\t\t\t\t\t"), "amount_mg '150'"),
    "surgery without region": (_line("2025-02-10\tsurgery\t\t\t\t\t\t\t\t"), "without a region"),
    "surgery of an unknown region": (_line("2025-02-10\tsurgery\t\t\t\t\t\t\t9\t"), "roi '9'"),
    "surgery where nothing is": (_line("2025-02-10\tsurgery\t\t\t\t\t\t\t3\t"), "no voxel of roi 3"),
    "mask not binary": (_mask(np.arange(np.prod(SHAPE)).reshape(SHAPE) % 5), "binary mask"),
    "mask elsewhere": (_mask(np.indices(SHAPE)[0] > 5, FAR), "touches no brain"),
    "unknown space": (_line("2025-02-10\tsurgery\t\t\t\t\t\t\t1\t".replace("\t1\t", "\t1\t99")), ""),
    "dose file missing": (_line(TREATMENTS[1].replace("dose.dcm", "nothing.dcm")), "a path that exists"),
    "plan's dose as a fraction's": (_line(TREATMENTS[1].replace("\t30\t", "\t\t")), "number of its fractions"),
    "absurd dose in the file": (
        _all(
            lambda root: write_dose(root / "dose.dcm", total_gy=9000.0), _line(TREATMENTS[1].replace("\t2\t", "\t\t"))
        ),
        "Gy a fraction; expected at most 100",
    ),
    "dose elsewhere": (lambda root: write_dose(root / "dose.dcm", (500.0, 0.0, 0.0)), "touches no brain"),
    "dose relative": (_dicom(DoseUnits="RELATIVE"), "RELATIVE"),
    "dose of uneven planes": (_dicom(GridFrameOffsetVector=[0, 4, 9, *range(16, 60, 4)]), "evenly spaced"),
    "dose file of another kind": (_dicom(SOPClassUID="1.2.840.10008.5.1.4.1.1.481.5"), "another kind"),
    "dose without frame": (_dicom(FrameOfReferenceUID=""), "Frame of Reference"),
    "truncated RTDOSE": (_cut("dose.dcm", 4000), "truncated"),
    "RTDOSE that is text": (_text("dose.dcm", "hello"), "RTDOSE"),
    "NIfTI dose negative": (_nifti_dose(_voxel(-1.0)), "negative dose"),
    "NIfTI dose NaN": (_nifti_dose(_voxel(np.nan)), "not finite"),
    "NIfTI dose zero": (_nifti_dose(np.zeros_like), "no dose anywhere"),
    "NIfTI dose elsewhere": (_nifti_dose(lambda v: v, FAR), "touches no brain"),
    "NIfTI dose of four dimensions": (_nifti_dose(lambda v: v[..., None] * np.ones(2)), "an array of shape"),
}
CASES["unknown space"] = (
    _all(
        lambda root: write_nifti(root / "m.nii.gz", (np.indices(SHAPE)[0] > 5).astype(np.uint8), AFFINE),
        _line("2025-02-10\tsurgery\t\t\t\t\t\tm.nii.gz\t\t99"),
    ),
    "space '99'",
)


@pytest.mark.parametrize("what", CASES)
def test_spoilt_tumour_is_refused(what: str, study: Path) -> None:
    """What enters here becomes a forecast that nobody can check against anything, so nothing doubtful may pass."""
    spoil, said = CASES[what]
    spoil(study)
    with pytest.raises(InputError) as refused:
        table = study / "sessions.tsv"
        read_tumour(read_study(table), "07", TumourSettings(), table=table, drugs={"temozolomide"})
    error = refused.value
    assert said in str(error)
    assert error.where
    assert len(error.advice.split()) >= 2
    assert "PHANTOM" not in str(error)


def test_command_refuses_with_one_sentence(study: Path, palpate_inside: Callable[..., object]) -> None:
    """The same through the command line: exit code 2, one sentence, no file."""
    CASES["dates equal"][0](study)
    done = palpate_inside("tumour", study / "sessions.tsv", "--subject", "07", "--out", study / "history.h5")
    assert done.code == 2  # type: ignore[attr-defined]
    assert "Traceback" not in done.printed  # type: ignore[attr-defined]
    assert not (study / "history.h5").exists()


@pytest.mark.parametrize("content", [None, b"hello", b"\x89HDF\r\n\x1a\n"], ids=["missing", "text", "cut"])
def test_broken_history_is_refused(content: bytes | None, tmp_path: Path) -> None:
    """A later step may be handed anything."""
    path = tmp_path / "history.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="palpate tumour"):
        read_history(path)


def test_history_of_another_version_says_so(tmp_path: Path) -> None:
    """Files outlive versions; whoever meets an old one must not look for a broken disk."""
    path = tmp_path / "history.h5"
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "palpate tumour history 1"
    with pytest.raises(InputError, match=r"history 1'; expected 'palpate tumour history \d.*palpate tumour again"):
        read_history(path)


def _registrar(frame_uid: str, key_file: Path | None = None) -> Registrar:
    scan = TumourScan(0.0, np.zeros(SHAPE), np.ones(SHAPE), np.ones(SHAPE, np.uint8))
    grid = TumourGrid(SHAPE, AFFINE)
    first = datetime.date(2025, 1, 6)
    return Registrar(
        grid, np.ones(SHAPE, np.bool_), first, (scan,), Spaces({"01": ImageSpace(None, frame_uid)}, key_file)
    )


def test_dose_of_another_frame_of_reference_is_refused(study: Path) -> None:
    """Equal numbers in two frames are different places; a dose on the planning CT must not be laid on the MRI."""
    (row, *_) = read_treatments(study / "treatments.tsv")
    own = str(pydicom.dcmread(study / "dose.dcm").FrameOfReferenceUID)
    assert _registrar(own).irradiation(row).dose_gy.max() > 1.9
    with pytest.raises(InputError, match="frame of reference that no T1"):
        _registrar("1.2.3").irradiation(row)


def test_dose_lies_on_a_deidentified_t1(study: Path, tmp_path: Path) -> None:
    """A planner's dose stays in the scan's own frame of reference; the key shows that the T1 is of the same frame."""
    (row, *_) = read_treatments(study / "treatments.tsv")
    own = str(pydicom.dcmread(study / "dose.dcm").FrameOfReferenceUID)
    key = open_key(tmp_path / "key", away_from=tmp_path / "results")
    registrar = _registrar(key.identifier(own), tmp_path / "key")
    assert registrar.irradiation(row).dose_gy.max() > 1.9
    # The T1's PatientID is a pseudonym, which the dose's own would seem to contradict.
    assert registrar.patients == []
    assert len(_placed_patients(own, tmp_path / "key", row)) == 1
    for frame_uid, key_file in ((key.identifier("1.2.3"), tmp_path / "key"), (key.identifier(own), None)):
        with pytest.raises(InputError, match="frame of reference that no T1"):
            _registrar(frame_uid, key_file).irradiation(row)


def _placed_patients(frame_uid: str, key_file: Path, row: TreatmentRow) -> list[tuple[str, str]]:
    registrar = _registrar(frame_uid, key_file)
    registrar.irradiation(row)
    return registrar.patients


def test_images_of_two_people_are_refused() -> None:
    """Rows of the table are typed by hand; a patient's number in the headers tells a slip."""
    demand_one_person([("anatomy of sub-07_ses-01", "A1"), ("anatomy of sub-07_ses-02", ""), ("dose", "A1")])
    with pytest.raises(InputError, match="another Patient ID") as refused:
        demand_one_person([("anatomy of sub-07_ses-01", "A1"), ("dose", "B2")])
    assert "B2" not in str(refused.value)
