"""Doses and contours of a planning CT, carried to the tumour's first scan by the registration that the table names."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest

from palpate.config.study import read_study
from palpate.config.tumour import TumourSettings
from palpate.errors import InputError
from palpate.imaging.anatomy.foreign_frame import ForeignFrame
from palpate.imaging.deidentify.key_file import open_key
from palpate.imaging.registration.rigid import Rigid
from palpate.imaging.tumour.events import Registrar
from palpate.imaging.tumour.history import TumourScan
from palpate.imaging.tumour.onto_grid import TumourGrid
from palpate.imaging.tumour.reading import read_tumour
from palpate.imaging.tumour.spaces import ImageSpace, Spaces
from palpate.imaging.tumour.treatments import TreatmentRow, read_treatments
from tests.imaging.drawn_files import write_rtstruct
from tests.imaging.registration_files import rigid, write_itk, write_sro
from tests.imaging.tumour_study import AFFINE, SHAPE, distance_mm, make_study, write_dose, write_treatments

T1 = "1.2.3.1"
INTERPOLATED_GY = 0.15
"""Bound of the error of linear interpolation: h^2 / 8 times the Laplacian of the edge, with voxels of h = 4 mm
0.096 Gy by its curvature along the radius (2 Gy, 2 mm wide) and 0.05 Gy by that of the sphere of 20 mm."""
TO_CT = rigid((0.2, -0.1, 0.3), (40.0, -230.0, 600.0))
"""From the T1 of the first scan to the planning CT."""
HEADER = "date\tkind\tdose_gy\tdose_file\tfractions\tdays_a_week\tmask_file\tspace\tregistration"
DOSE = "2025-01-20\tradiotherapy\t2\tdose.dcm\t30\t5\t\t\t{}"
CUT = "2025-02-10\tsurgery\t\t\t\t\t{}\t\t{}"


@pytest.fixture
def planned(tmp_path: Path) -> Path:
    """The small study, with its dose on the CT instead of the T1."""
    make_study(tmp_path)
    write_dose(tmp_path / "dose.dcm", tuple(TO_CT[:3, 3]))
    return tmp_path


def _frame(folder: Path) -> str:
    return str(pydicom.dcmread(folder / "dose.dcm").FrameOfReferenceUID)


def _row(folder: Path, *lines: str) -> TreatmentRow:
    write_treatments(folder, HEADER, *lines)
    return read_treatments(folder / "treatments.tsv")[0]


def _registrar(frame: str = T1, patient: str = "", key: Path | None = None) -> Registrar:
    scan = TumourScan(0.0, np.zeros(SHAPE), np.ones(SHAPE), np.ones(SHAPE, np.uint8))
    spaces = Spaces({"01": ImageSpace(None, frame, None, patient)}, key)
    grid, tissue = TumourGrid(SHAPE, AFFINE), np.ones(SHAPE, np.bool_)
    return Registrar(grid, tissue, datetime.date(2025, 1, 6), (scan,), spaces)


def _plateau_gy() -> np.ndarray:
    return np.asarray(2.0 / (1.0 + np.exp((distance_mm() - 20.0) / 2.0)))


@pytest.mark.parametrize("kind", ["sro", "itk"])
def test_a_dose_on_the_ct_lies_where_it_was_planned(planned: Path, kind: str) -> None:
    """A plateau around the tumour is one in either frame, to the accuracy of linear interpolation."""
    if kind == "sro":
        write_sro(planned / "reg.dcm", _frame(planned), [(T1, [TO_CT], "RIGID")], person="")
        row = _row(planned, DOSE.format("reg.dcm"))
    else:
        write_itk(planned / "to_ct.tfm", TO_CT)
        row = _row(planned, DOSE.format("to_ct.tfm"))
    registrar = _registrar()
    found = registrar.irradiation(row).dose_gy
    assert np.abs(found - _plateau_gy()).max() < INTERPOLATED_GY
    assert any("dose_file carried to the first scan" in note and "2 mm" in note for note in registrar.notes)
    assert [one.code for one in registrar.warnings] == ([] if kind == "sro" else ["registration-unproved"])


def test_a_contour_on_the_ct_cuts_what_it_encloses(planned: Path) -> None:
    """Surgeons' and planners' contours come as RTSTRUCT; without the registration they are refused."""
    frame, radius = _frame(planned), 14.0
    around = np.linspace(0.0, 2.0 * np.pi, 60, endpoint=False)
    rings = []
    for height in np.arange(-radius + 0.5, radius, 1.0):
        wide = np.sqrt(radius**2 - height**2)
        ring = np.stack([wide * np.cos(around), wide * np.sin(around), np.full(60, height)], axis=1)
        rings.append(ring + TO_CT[:3, 3])
    write_rtstruct(planned / "rt.dcm", {"gtv": rings, "ptv": rings[:2]}, frame=frame)
    write_sro(planned / "reg.dcm", frame, [(T1, [TO_CT], "RIGID")], person="4711")
    removed = _registrar().surgery(_row(planned, CUT.format("rt.dcm#gtv", "reg.dcm"))).removed
    true = distance_mm() < radius
    assert 2.0 * (removed & true).sum() / (removed.sum() + true.sum()) > 0.98
    with pytest.raises(InputError, match=r"column mask_file.*no T1 of the subject has.*column registration"):
        _registrar().surgery(_row(planned, CUT.format("rt.dcm#gtv", "")))
    with pytest.raises(InputError, match="2 ROIs"):
        _registrar().surgery(_row(planned, CUT.format("rt.dcm", "reg.dcm")))


def test_a_way_that_leads_elsewhere_is_refused(planned: Path) -> None:
    """A dose outside the brain, of frames that the file does not hold, or of nothing."""
    frame = _frame(planned)
    away = TO_CT.copy()
    away[2, 3] += 500.0
    write_sro(planned / "reg.dcm", frame, [(T1, [away], "RIGID")], person="")
    with pytest.raises(InputError, match="touches no brain"):
        _registrar().irradiation(_row(planned, DOSE.format("reg.dcm")))
    with pytest.raises(InputError, match=r"column registration \(reg.dcm\).*of the T1 of ses-01"):
        _registrar("1.2.9").irradiation(_row(planned, DOSE.format("reg.dcm")))
    write_sro(planned / "reg.dcm", frame, [(T1, [TO_CT], "RIGID")], person="9999")
    with pytest.raises(InputError, match="another patient") as refused:
        _registrar().irradiation(_row(planned, DOSE.format("reg.dcm")))
    assert "9999" not in str(refused.value)
    with pytest.raises(InputError, match=r"column registration.*a path that exists"):
        _row(planned, DOSE.format("none.dcm"))
    with pytest.raises(InputError, match="without dose_file or mask_file"):
        _row(planned, "2025-01-20\tradiotherapy\t2\t\t\t\t\t\treg.dcm")
    with pytest.raises(InputError, match="in a line of chemotherapy"):
        _row(planned, "2025-01-20\tchemotherapy\t\t\t\t\t\t\treg.dcm")


def test_a_registration_that_is_not_needed_is_said(planned: Path) -> None:
    """A dose in the T1's own frame stays there, whatever file the line names."""
    write_dose(planned / "dose.dcm")
    write_itk(planned / "to_ct.tfm", TO_CT)
    registrar = _registrar(_frame(planned))
    assert (
        np.abs(registrar.irradiation(_row(planned, DOSE.format("to_ct.tfm"))).dose_gy - _plateau_gy()).max()
        < INTERPOLATED_GY
    )
    assert [one.code for one in registrar.warnings] == ["registration-not-needed"]


def test_a_planners_files_meet_a_deidentified_t1(planned: Path) -> None:
    """T1s are de-identified, planning files are not: the key shows that they are of one patient and frame."""
    key = open_key(planned / "key", away_from=planned / "results")
    dose = pydicom.dcmread(planned / "dose.dcm")
    patient = str(dose.PatientID)
    write_sro(planned / "reg.dcm", _frame(planned), [(T1, [TO_CT], "RIGID")], person=patient)
    row = _row(planned, DOSE.format("reg.dcm"))
    registrar = _registrar(key.identifier(T1), key.pseudonym(patient), planned / "key")
    assert np.abs(registrar.irradiation(row).dose_gy - _plateau_gy()).max() < INTERPOLATED_GY
    assert registrar.patients == []
    with pytest.raises(InputError, match="does not hold the frame of reference of the T1"):
        _registrar(key.identifier(T1), key.pseudonym(patient), planned / "none").irradiation(row)


def test_the_record_says_how_a_dose_came_there(planned: Path) -> None:
    """NIfTI growth maps without a DICOM T1: an ITK transform carries the dose, and the history keeps the words."""
    write_itk(planned / "to_ct.tfm", TO_CT)
    _row(planned, DOSE.format("to_ct.tfm"))
    table = planned / "sessions.tsv"
    settings = TumourSettings(registration_uncertainty_mm=1.5)
    found = read_tumour(read_study(table), "07", settings, table=table)
    assert np.abs(found.history.irradiations[0].dose_gy - _plateau_gy())[found.history.tissue].max() < INTERPOLATED_GY
    assert any("by a transform of ITK, uncertain by 1.5 mm" in note for note in found.notes)


def test_a_frame_that_two_t1_share_does_not_choose_between_them(planned: Path) -> None:
    """A scanner keeps one frame for a visit in which the head moves: a file of it may lie on either T1."""
    moved = Rigid(np.array([0.0, 0.0, 0.0, 12.0, 0.0, 0.0]), np.zeros(3))
    write_dose(planned / "dose.dcm")
    frame = _frame(planned)

    def spaces(motion: Rigid | None) -> Spaces:
        return Spaces({"01": ImageSpace(None, frame), "02": ImageSpace(motion, frame)})

    foreign = ForeignFrame("dose.dcm", frame)
    row = _row(planned, DOSE.format(""))
    assert spaces(None).world_of(row, "dose_file", foreign).motion is None
    with pytest.raises(InputError, match=r"column dose_file.*several sessions share"):
        spaces(moved).world_of(row, "dose_file", foreign)
    named = _row(planned, DOSE.format("").replace("\t\t\t", "\t\tses-02\t"))
    assert spaces(moved).world_of(named, "dose_file", foreign).motion is moved
    write_sro(planned / "reg.dcm", "1.2.77", [(frame, [TO_CT], "RIGID")], person="")
    carried = _row(planned, DOSE.format("reg.dcm"))
    with pytest.raises(InputError, match=r"column registration.*several sessions share"):
        spaces(moved).world_of(carried, "dose_file", ForeignFrame("dose.dcm", "1.2.77"))
