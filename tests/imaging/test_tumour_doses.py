"""Doses of radiotherapy as they will be applied: what a file, a plan and a table say together, with its right value."""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import RTIonPlanStorage, RTPlanStorage

from palpate.errors import InputError
from palpate.imaging.files.nifti import write_nifti
from palpate.imaging.phantom.identity import Identity, save
from palpate.imaging.tumour.courses import Given, RadiotherapyCourse, course_warnings, courses
from palpate.imaging.tumour.events import Registrar, read_doses
from palpate.imaging.tumour.followed_plans import plan_notes
from palpate.imaging.tumour.history import TumourScan
from palpate.imaging.tumour.history_file import history_remarks, read_history
from palpate.imaging.tumour.onto_grid import TumourGrid
from palpate.imaging.tumour.spaces import ImageSpace, Spaces
from palpate.imaging.tumour.treatments import read_treatments
from tests.imaging.tumour_study import AFFINE, SHAPE, make_study, write_dose

HEADER = ("date", "kind", "dose_gy", "dose_file", "fractions", "days_a_week", "amount_mg", "drug", "roi")
FIRST = datetime.date(2025, 1, 6)
MONDAY = datetime.date(2025, 1, 13)
THIRTY = [MONDAY + datetime.timedelta(days=7 * (n // 5) + n % 5) for n in range(30)]
TISSUE = np.ones(SHAPE, np.bool_)


def line(date: datetime.date = MONDAY, kind: str = "radiotherapy", **cells: object) -> dict[str, str]:
    """One line of the table."""
    return {"date": str(date), "kind": kind} | {name: str(value) for name, value in cells.items()}


def table(folder: Path, *lines: dict[str, str], header: tuple[str, ...] = HEADER) -> Path:
    """The table of treatments, written."""
    rows = ["\t".join(header), *("\t".join(one.get(name, "") for name in header) for one in lines)]
    (folder / "treatments.tsv").write_text("\n".join(rows) + "\n")
    return folder / "treatments.tsv"


def registrar() -> Registrar:
    """A tissue block whose T1 came without DICOM, so that a dose counts as aligned."""
    scan = TumourScan(0.0, np.zeros(SHAPE), np.ones(SHAPE), np.ones(SHAPE, np.uint8))
    return Registrar(TumourGrid(SHAPE, AFFINE), TISSUE, FIRST, (scan,), Spaces({"01": ImageSpace(None)}))


def applied(path: Path) -> tuple[tuple[Given, ...], tuple[RadiotherapyCourse, ...], Registrar]:
    """Fractions and courses of a table."""
    place = registrar()
    given = place.fractions([row for row in read_treatments(path) if row.kind == "radiotherapy"])
    return given, courses(given, TISSUE), place


def change(path: Path, **values: object) -> None:
    """Set elements of a DICOM file; None removes one."""
    dataset = pydicom.dcmread(path)
    for name, value in values.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    dataset.save_as(path)


def write_plan(folder: Path, *counts: int | None, beams_gy: tuple[float, ...] = (), ion: bool = False) -> None:
    """An RTPLAN that dose.dcm references, a fraction group for each count."""
    plan = Identity("07", "01", "test").image(31, 1)
    plan.SOPClassUID = RTIonPlanStorage if ion else RTPlanStorage
    plan.Modality = "RTPLAN"
    plan.FractionGroupSequence = []
    for number, count in enumerate(counts, start=1):
        group = Dataset()
        group.FractionGroupNumber, group.NumberOfFractionsPlanned = number, count
        group.ReferencedBeamSequence = []
        for beam, gray in enumerate(beams_gy, start=1):
            one = Dataset()
            one.ReferencedBeamNumber, one.BeamDose = beam, gray
            group.ReferencedBeamSequence.append(one)
        plan.FractionGroupSequence.append(group)
    save(plan, folder / "plan.dcm")
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = plan.SOPClassUID, plan.SOPInstanceUID
    change(folder / "dose.dcm", ReferencedRTPlanSequence=[reference])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RTDOSE files of a plan of 60 Gy and of a fraction of 2 Gy."""
    folder = tmp_path_factory.mktemp("doses")
    write_dose(folder / "dose.dcm")
    write_dose(folder / "one.dcm", total_gy=2.0)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(made, tmp_path / "doses"))


def test_a_plans_dose_is_shared_by_its_fractions(folder: Path) -> None:
    """60 Gy in 30 lines are 2 Gy each and 60 in all; taken as a fraction's they were 1800."""
    given, (course,), place = applied(table(folder, *(line(day, dose_file="dose.dcm", fractions=30) for day in THIRTY)))
    assert len(given) == 30
    assert all(one.largest_gy == pytest.approx(2.0, rel=1e-3) for one in given)
    assert course.total_gy == pytest.approx(60.0, rel=1e-3)
    assert course.sentence(FIRST) == (
        "30 fractions, 60.0 Gy in all, from 2025-01-13 to 2025-02-21 (largest dose in tissue)"
    )
    assert place.warnings == ()
    assert course_warnings(given, TISSUE) == ()


def test_a_plans_dose_without_its_number_of_fractions_is_refused(folder: Path) -> None:
    """Nobody can tell 60 Gy in 30 from 60 Gy in 15 by the dose: the user must say, and hears which element is meant."""
    path = table(folder, *(line(day, dose_file="dose.dcm") for day in THIRTY))
    with pytest.raises(InputError, match=r"DoseSummationType PLAN.*without the number of its fractions"):
        applied(path)


@pytest.mark.parametrize("ion", [False, True])
def test_fractions_are_read_from_the_plan_beside_the_dose(folder: Path, ion: bool) -> None:  # noqa: FBT001
    """The RTPLAN knows the number better than a typist; the table may leave it out, in both notations of a course."""
    stated, *_ = applied(table(folder, *(line(day, dose_file="dose.dcm", fractions=30) for day in THIRTY)))
    write_plan(folder, 30, beams_gy=(1.1, 0.9), ion=ion)
    for lines in (
        [line(day, dose_file="dose.dcm") for day in THIRTY],
        [line(dose_file="dose.dcm", days_a_week=5)],
        [line(dose_file="dose.dcm", days_a_week=5, fractions=30)],
    ):
        given, _, place = applied(table(folder, *lines))
        assert [one.irradiation.day for one in given] == [one.irradiation.day for one in stated]
        for one, other in zip(given, stated, strict=True):
            np.testing.assert_array_equal(one.irradiation.dose_gy, other.irradiation.dose_gy)
        assert any("RTPLAN" in note for note in place.notes) == ("fractions" not in lines[0])


def test_a_folder_may_hold_the_dose_and_its_plan(folder: Path) -> None:
    """Planning systems export both into one folder; naming the folder must not make two files of one dose."""
    (folder / "export").mkdir()
    write_plan(folder, 30)
    for name in ("dose.dcm", "plan.dcm"):
        (folder / name).rename(folder / "export" / name)
    given, _, _ = applied(table(folder, line(dose_file="export", days_a_week=5)))
    assert len(given) == 30


@pytest.mark.parametrize(
    ("counts", "beams_gy", "fractions", "said"),
    [
        ((30,), (), 15, "fractions 15 in the table and 30 in the RTPLAN"),
        ((30,), (1.0, 1.0), None, None),
        ((2,), (2.0,), None, "where its RTPLAN gives 4 Gy in 2 fractions"),
        ((25, 5), (), None, "2 fraction groups"),
        ((None,), (), None, "without the number of its fractions"),
    ],
)
def test_table_dose_and_plan_must_agree(
    folder: Path, counts: tuple[int | None, ...], beams_gy: tuple[float, ...], fractions: int | None, said: str | None
) -> None:
    """Two sources that differ are refused with both numbers: one of them is of another plan."""
    write_plan(folder, *counts, beams_gy=beams_gy)
    cells = {} if fractions is None else {"fractions": fractions}
    path = table(folder, *(line(day, dose_file="dose.dcm", **cells) for day in THIRTY))
    if said is None:
        assert applied(path)[1][0].total_gy == pytest.approx(60.0, rel=1e-3)
        return
    with pytest.raises(InputError, match=said):
        applied(path)


@pytest.mark.parametrize(
    ("summation", "file", "cells", "fraction_gy", "warned"),
    [
        ("PLAN", "dose.dcm", {"fractions": 30}, 2.0, set()),
        ("MULTI_PLAN", "dose.dcm", {"fractions": 30}, 2.0, {"dose-of-several-plans"}),
        ("FRACTION", "dose.dcm", {"fractions": 30}, 2.0, set()),
        ("RECORD", "dose.dcm", {"fractions": 30}, 2.0, set()),
        ("", "dose.dcm", {"fractions": 30}, 2.0, set()),
        (None, "dose.dcm", {"fractions": 30}, 2.0, set()),
        ("FRACTION_SESSION", "one.dcm", {}, 2.0, set()),
        ("FRACTION", "one.dcm", {"dose_gy": 2}, 2.0, set()),
        ("FRACTION", "one.dcm", {"fractions": 1}, 2.0, set()),
        ("FRACTION", "one.dcm", {}, 2.0, {"dose-fractions-assumed"}),
        ("RECORD", "one.dcm", {}, 2.0, {"dose-fractions-assumed"}),
        (None, "one.dcm", {}, 2.0, {"dose-fractions-assumed"}),
    ],
)
def test_each_summation_type_has_its_meaning(
    folder: Path, summation: str | None, file: str, cells: dict[str, object], fraction_gy: float, warned: set[str]
) -> None:
    """Every kind of RTDOSE ends as 2 Gy a fraction and 60 in all; what was assumed is a warning, once a file."""
    change(folder / file, DoseSummationType=summation)
    given, (course,), place = applied(table(folder, *(line(day, dose_file=file, **cells) for day in THIRTY)))
    assert given[0].largest_gy == pytest.approx(fraction_gy, rel=1e-3)
    assert course.total_gy == pytest.approx(60.0, rel=1e-3)
    assert [one.code for one in place.warnings] == sorted(warned)


def test_a_fraction_group_is_told_from_a_fraction_by_its_plan(folder: Path) -> None:
    """FRACTION is a whole fraction group by the standard and one fraction by habit: the plan's beams decide."""
    write_plan(folder, 30, beams_gy=(2.0,))
    change(folder / "one.dcm", ReferencedRTPlanSequence=pydicom.dcmread(folder / "dose.dcm").ReferencedRTPlanSequence)
    for file, summation in (("dose.dcm", "FRACTION"), ("one.dcm", "FRACTION"), ("one.dcm", "")):
        change(folder / file, DoseSummationType=summation)
        for lines in ([line(day, dose_file=file) for day in THIRTY], [line(dose_file=file, days_a_week=5)]):
            given, (course,), _ = applied(table(folder, *lines))
            assert (len(given), course.total_gy) == (30, pytest.approx(60.0, rel=1e-3))


REFUSED: dict[str, tuple[dict[str, object], dict[str, object], str]] = {
    "relative": ({"DoseUnits": "RELATIVE"}, {}, "relative dose .DoseUnits RELATIVE"),
    "no units": ({"DoseUnits": ""}, {}, "no DoseUnits"),
    "a difference": ({"DoseType": "ERROR"}, {}, "difference between two doses"),
    "no scaling": ({"DoseGridScaling": None}, {}, "no DoseGridScaling"),
    "scaling of 0": ({"DoseGridScaling": "0"}, {}, "DoseGridScaling 0"),
    "histograms alone": ({"PixelData": None}, {}, "without a dose grid"),
    "a beam": ({"DoseSummationType": "BEAM"}, {}, "DoseSummationType BEAM, the dose of single beams"),
    "a control point": ({"DoseSummationType": "CONTROL_POINT"}, {}, "part of a beam"),
    "brachytherapy": ({"DoseSummationType": "BRACHY"}, {}, "brachytherapy"),
    "another type": ({"DoseSummationType": "SOMETHING"}, {}, "SOMETHING, which palpate does not know"),
    "several plans": ({"DoseSummationType": "MULTI_PLAN"}, {"fractions": ""}, "MULTI_PLAN, the sum of several plans"),
    "a group": ({"DoseSummationType": "FRACTION"}, {"fractions": ""}, "FRACTION, the dose of a fraction group"),
    "a record": ({"DoseSummationType": "RECORD"}, {"fractions": ""}, "RECORD, the dose of treatment records"),
    "no type": ({"DoseSummationType": ""}, {"fractions": ""}, "without summation type"),
    "one fraction of 30": ({"DoseSummationType": "FRACTION_SESSION"}, {}, "fractions 30 beside.*FRACTION_SESSION"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_dose_that_is_none_is_refused_with_its_cause(folder: Path, what: str) -> None:
    """The sentence names the element at fault, so that the export can be mended."""
    elements, cells, said = REFUSED[what]
    change(folder / "dose.dcm", **elements)
    path = table(folder, *(line(day, **({"dose_file": "dose.dcm", "fractions": 30} | cells)) for day in THIRTY))
    with pytest.raises(InputError, match=said) as refused:
        applied(path)
    # A table names many files: the one at fault is called by its line and its name.
    assert "column dose_file" in refused.value.where or "column fractions" in refused.value.where
    assert "the given" not in str(refused.value)


def test_an_unreadable_dose_is_called_by_the_tables_name_for_it(folder: Path) -> None:
    """A table names many files, and "the given path" is none of them."""
    (folder / "plan of march.dcm").write_text("no dose")
    path = table(folder, line(THIRTY[0], dose_file="plan of march.dcm", fractions=1))
    with pytest.raises(InputError, match="cannot be read to its end") as refused:
        applied(path)
    assert refused.value.where == f"{path}, line 2, column dose_file (plan of march.dcm)"


def test_a_dose_corrected_for_effect_is_read_with_a_warning(folder: Path) -> None:
    """Protons come as Gy (RBE), which is right here, and EQD2 exports look the same, which is not."""
    change(folder / "dose.dcm", DoseType="EFFECTIVE")
    _, _, place = applied(table(folder, line(dose_file="dose.dcm", fractions=30, days_a_week=5)))
    assert [one.code for one in place.warnings] == ["dose-effective"]


@pytest.mark.parametrize(
    ("days_a_week", "weekdays"), [(5, {0, 1, 2, 3, 4}), (6, {0, 1, 2, 3, 4, 5}), (7, set(range(7))), (1, {2})]
)
def test_a_course_in_one_line_is_its_fractions_in_lines(folder: Path, days_a_week: int, weekdays: set[int]) -> None:
    """Both notations are the same treatment, to the last bit, with the weekdays of a calendar.

    A course that began on a Wednesday and ran through weekends would be over days too early.
    """
    wednesday = datetime.date(2025, 1, 15)
    days, day = [], wednesday
    while len(days) < 12:
        if day.weekday() in weekdays:
            days.append(day)
        day += datetime.timedelta(days=1)
    for cells in ({"dose_gy": "1.8"}, {"dose_gy": "2", "roi": "1"}, {"dose_file": "dose.dcm", "fractions": "12"}):
        each = {name: cell for name, cell in cells.items() if name != "fractions" or "dose_file" in cells}
        lines, *_ = applied(table(folder, *(line(one, **each) for one in days)))
        one_line = line(wednesday, **(cells | {"fractions": "12", "days_a_week": str(days_a_week)}))
        course, *_ = applied(table(folder, one_line))
        assert [one.irradiation.day for one in course] == [float((one - FIRST).days) for one in days]
        for one, other in zip(course, lines, strict=True):
            assert one.irradiation.day == other.irradiation.day
            np.testing.assert_array_equal(one.irradiation.dose_gy, other.irradiation.dose_gy)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"dose_gy": 2, "fractions": 30}, "fractions 30 without days_a_week"),
        ({"dose_gy": 2, "days_a_week": 5}, "days_a_week without fractions"),
        ({"dose_gy": 2, "fractions": 30, "days_a_week": 3}, "days_a_week '3'"),
        ({"dose_gy": 2, "fractions": 30, "days_a_week": 5, "date": "2025-01-18"}, "begins on a Saturday"),
        ({"dose_gy": 60, "fractions": 30, "days_a_week": 5}, "dose of one fraction in Gy, at most 30"),
        ({"dose_file": "dose.dcm", "fractions": 30}, "one line for a dose file of 30 fractions"),
        ({"dose_file": "one.nii.gz", "days_a_week": 5}, "days_a_week without fractions"),
        (
            {"dose_file": "one.nii.gz", "fractions": 30, "days_a_week": 5},
            "needs the dose of the whole course",
        ),
        ({"dose_file": "sum.nii.gz"}, "up to 60 Gy in a file without fractions"),
    ],
)
def test_a_line_of_two_meanings_is_refused(folder: Path, cells: dict[str, object], said: str) -> None:
    """dose_gy is a fraction's, fractions a file's: where a line could be one fraction or thirty nobody guesses."""
    write_nifti(folder / "one.nii.gz", np.full(SHAPE, 2.0, np.float32), AFFINE)
    write_nifti(folder / "sum.nii.gz", np.full(SHAPE, 60.0, np.float32), AFFINE)
    with pytest.raises(InputError, match=said):
        applied(table(folder, line(**cells)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([line(day, dose_gy=20) for day in THIRTY], "30 fractions with 600 Gy in all"),
        ([line(day, dose_file="sum.nii.gz") for day in THIRTY], "30 fractions with 750 Gy in all"),
        ([line(day, dose_gy=2) for day in THIRTY] + [line(dose_gy=2, fractions=30, days_a_week=5)], "120 Gy in all"),
    ],
)
def test_a_course_that_nobody_survives_is_refused(folder: Path, lines: list[dict[str, str]], said: str) -> None:
    """Whatever way a sum went wrong, as a prescription in a fraction's place or twice in the table: 100 Gy end it."""
    write_nifti(folder / "sum.nii.gz", np.full(SHAPE, 25.0, np.float32), AFFINE)
    with pytest.raises(InputError, match=said) as refused:
        applied(table(folder, *lines))
    assert "lines 2 to" in refused.value.where


def test_a_plan_without_fractions_on_several_lines_is_refused(folder: Path) -> None:
    """20 Gy in 5 fractions, named on 5 lines, would be 100 Gy; where the file says 1, it is."""
    write_nifti(folder / "plan.nii.gz", np.full(SHAPE, 20.0, np.float32), AFFINE)
    with pytest.raises(InputError, match="20 Gy in a file that 5 lines name without fractions"):
        read_doses(read_treatments(table(folder, *(line(day, dose_file="plan.nii.gz") for day in THIRTY[:5]))), FIRST)
    for cells in ({"fractions": 1}, {"fractions": 5}, {"dose_gy": 18}):
        read_doses(
            read_treatments(table(folder, *(line(day, dose_file="plan.nii.gz", **cells) for day in THIRTY[:5]))), FIRST
        )


def test_a_dose_grid_that_ends_within_the_tumour_is_said(folder: Path) -> None:
    """Beyond its grid a dose file is taken as 0, which is right for the rest of the head and not for the tumour."""
    write_nifti(folder / "half.nii.gz", np.full((SHAPE[0] // 2, *SHAPE[1:]), 2.0, np.float32), AFFINE)
    _, _, place = applied(table(folder, line(dose_file="half.nii.gz", fractions=1)))
    (warning,) = place.warnings
    assert warning.code == "dose-grid-cut"
    assert "leaves out 50 % of the tumour" in warning.sentence


def test_high_and_odd_doses_that_can_be_pass(folder: Path) -> None:
    """Escalation to 90 Gy, a boost of radiosurgery, two fractions a day and re-irradiation are treatments."""
    later = MONDAY + datetime.timedelta(days=700)
    for lines, totals in (
        ([line(dose_gy=3, fractions=30, days_a_week=5)], [90.0]),
        ([line(FIRST, dose_gy=24, roi=1), line(dose_gy=2, fractions=40, days_a_week=5)], [24.0, 80.0]),
        ([line(day, dose_gy=1.5) for day in THIRTY for _ in range(2)], [90.0]),
        ([line(dose_gy=2, fractions=30, days_a_week=5), line(later, dose_gy=3.5, fractions=10, days_a_week=5)], None),
    ):
        given, found, place = applied(table(folder, *lines))
        assert [one.total_gy for one in found] == pytest.approx(totals or [60.0, 35.0])
        assert (*place.warnings, *course_warnings(given, TISSUE)) == ()


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([line(day, dose_file="dose.dcm", fractions=30) for day in THIRTY[:15]], "fractions-unlike-plan"),
        ([line(day, dose_file="dose.dcm", fractions=30) for day in (*THIRTY, THIRTY[-1])], "fractions-unlike-plan"),
        ([line(day, dose_gy=2.67) for day in THIRTY[:15] for _ in range(2)], "fractions-overlap"),
        (
            [line(day, dose_gy=2, fractions=35, days_a_week=5) for day in (MONDAY, MONDAY.replace(year=2026))],
            "lifetime-dose-high",
        ),
    ],
)
def test_courses_that_may_be_wrong_are_warned_of(folder: Path, lines: list[dict[str, str]], code: str) -> None:
    """Half a plan, a line too many, a course entered twice, a sum beyond re-irradiation: possible, and often a slip."""
    given, *_ = applied(table(folder, *lines))
    assert [one.code for one in course_warnings(given, TISSUE)] == [code]


def test_two_plans_in_turn_are_one_course(folder: Path) -> None:
    """Replanning after 17 of 30 fractions leaves 13 of the new plan: nothing is missing."""
    shutil.copy(folder / "dose.dcm", folder / "again.dcm")
    files = [("dose.dcm" if number < 17 else "again.dcm") for number in range(30)]
    lines = [line(day, dose_file=file, fractions=30) for day, file in zip(THIRTY, files, strict=True)]
    given, (course,), _ = applied(table(folder, *lines))
    assert course.total_gy == pytest.approx(60.0, rel=1e-3)
    assert course_warnings(given, TISSUE) == ()


def test_amount_is_read_as_amount_mg_and_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tables written before the unit stood in the name go on working, for one version, and say so."""
    new = read_treatments(table(folder, line(kind="chemotherapy", amount_mg=140, drug="temozolomide")))
    assert "amount" not in capsys.readouterr().err
    old_header = tuple("amount" if name == "amount_mg" else name for name in HEADER)
    old_line = line(kind="chemotherapy", amount=140, drug="temozolomide")
    old = read_treatments(table(folder, old_line, header=old_header))
    assert "amount is read as amount_mg" in capsys.readouterr().err
    assert old == new
    assert new[0].amount_mg == 140.0
    with pytest.raises(InputError, match="the columns amount and amount_mg"):
        read_treatments(table(folder, old_line, header=(*HEADER, "amount")))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dose_cgy", r"'dose_cgy'.*Rename it to dose_gy.*gray \(Gy\)"),
        ("amount_g", r"'amount_g'.*Rename it to amount_mg.*milligram \(mg\)"),
        ("fraction", "'fraction'.*Rename it to fractions"),
        ("karnofsky", "'karnofsky'.*participants.tsv"),
    ],
)
def test_an_unknown_column_is_named_with_the_one_meant(folder: Path, name: str, said: str) -> None:
    """A column in another unit must not be dropped in silence, nor the table be called unreadable for its sake."""
    with pytest.raises(InputError, match=said):
        read_treatments(table(folder, line(dose_gy=2), header=(*HEADER, name)))


def test_treatments_carry_the_plan_that_they_follow(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A fit on treatments that the twin proposed must be known as one; a person's name is no plan and goes nowhere."""
    header = (*HEADER, "registration", "recommended_by")
    read_treatments(table(folder, line(dose_gy=2), header=header))
    followed = read_treatments(table(folder, line(dose_gy=2, recommended_by="first-0a1b2c3d"), header=header))
    assert not capsys.readouterr().err
    assert [row.plan_id for row in followed] == ["first-0a1b2c3d"]
    started = followed[0].date - datetime.timedelta(days=7)
    note = "radiotherapy follows plan first-0a1b2c3d: 1 line, from day 7 on"
    assert plan_notes(followed, started) == (note,)
    other = read_treatments(table(folder, line(dose_gy=2, recommended_by="board"), header=header))
    assert "recommended_by is not used" in capsys.readouterr().err
    assert plan_notes(other, started) == ()


def test_the_command_says_what_will_be_applied(tmp_path: Path, palpate_inside: Callable[..., object]) -> None:
    """Log, history and its JSON tell the course before hours of calibration; records hold days and no dates."""
    make_study(tmp_path)
    table(tmp_path, line(datetime.date(2025, 1, 20), dose_gy=2, fractions=30, days_a_week=5))
    done = palpate_inside("tumour", tmp_path / "sessions.tsv", "--subject", "07", "--out", tmp_path / "h.h5")
    assert done.code == 0, done.printed  # type: ignore[attr-defined]
    assert "30 fractions, 60.0 Gy in all, from 2025-01-20 to 2025-02-28" in done.printed  # type: ignore[attr-defined]
    expected = {"fractions": 30, "total_gy": 60.0, "first_day": 14.0, "last_day": 53.0, "fraction_gy": 2.0}
    record = json.loads((tmp_path / "h.json").read_text())
    assert record["radiotherapy_courses"] == [pytest.approx(expected)]
    assert "2025-" not in (tmp_path / "h.json").read_text()
    assert history_remarks(tmp_path / "h.h5").courses == (pytest.approx(expected),)
    assert len(read_history(tmp_path / "h.h5").irradiations) == 30
    table(tmp_path, *(line(day, dose_file="dose.dcm") for day in THIRTY))
    refused = palpate_inside("tumour", tmp_path / "sessions.tsv", "--subject", "07", "--out", tmp_path / "no.h5")
    assert refused.code == 2  # type: ignore[attr-defined]
    assert "DoseSummationType PLAN" in refused.printed  # type: ignore[attr-defined]
    assert not (tmp_path / "no.h5").exists()
    (tmp_path / "no.json").write_text('{"mine": 1}')
    mine = palpate_inside("tumour", tmp_path / "sessions.tsv", "--subject", "07", "--out", tmp_path / "no.h5")
    assert mine.code == 2  # type: ignore[attr-defined]
    assert (tmp_path / "no.json").read_text() == '{"mine": 1}'
