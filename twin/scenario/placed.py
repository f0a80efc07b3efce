"""Added treatments on the grid of a calibrated tumour: dose and removed tissue in the world of its first scan."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from palpate.imaging.tumour.courses import courses
from palpate.imaging.tumour.dates import demand_one_person
from palpate.imaging.tumour.events import Registrar, read_doses
from palpate.imaging.tumour.history import DrugDose, Irradiation, Surgery, TumourHistory
from palpate.imaging.tumour.onto_grid import TumourGrid
from palpate.imaging.tumour.spaces import ImageSpace, Spaces
from palpate.imaging.tumour.treatments import TreatmentRow
from palpate.progress import say


def placed_on(
    history: TumourHistory, rows: Sequence[TreatmentRow], first: datetime.date
) -> list[Irradiation | DrugDose | Surgery]:
    """Return the events that lines of a table stand for, on a history's grid.

    Files of doses and masks must lie in the world of the first scan: a calibration knows no other.

    Args:
        history: history of the tumour on the twin's lattice.
        rows: lines of treatments.
        first: date that stands for the first scan's.

    Raises:
        InputError: a file cannot be read or is of another place, or the dose of a fraction is impossible.
    """
    i, j, k = history.tissue.shape
    registrar = Registrar(
        TumourGrid((i, j, k), history.affine_mm),
        history.tissue,
        first,
        history.scans,
        Spaces({"first": ImageSpace(None)}),
        read_doses(rows, first),
    )
    given = registrar.fractions([row for row in rows if row.kind == "radiotherapy"])
    for course in courses(given, history.tissue):
        days = f"days {course.first_day:g} to {course.last_day:g}"
        say(f"added radiotherapy: {course.fractions} fractions on {days}, {course.total_gy:.1f} Gy at most in tissue")
    events: list[Irradiation | DrugDose | Surgery] = [one.irradiation for one in given]
    events += [registrar.drug_dose(row) for row in rows if row.kind == "chemotherapy"]
    events += [registrar.surgery(row) for row in rows if row.kind == "surgery"]
    demand_one_person(registrar.patients)
    return events
