"""Size and independence of the innovations of simulated patients.

Each patient is drawn from the priors of a rung of the twin, with noise, and measured by its streams. The filter gets
the measurements one after the other. Where filter and model are right, normalised innovations are independent N(0, 1):

    variance     mean square over all patients and numbers, goal 0.8 to 1.25
    whiteness    share of patients and streams whose portmanteau test at 5 % rejects independence, goal 2 to 8 %
    misfit       mean square over the draws of the last posterior, of a datum minus its prediction over its error; with
                 the right posterior its expectation over patients is 1, goal 0.8 to 1.25; of filters that keep paths

Cases are a scalar tumour (worlds/scalar_tumour.py) under each filter, and the small rungs of the twin under the filter
that is used on them. A case is a setup and the measurements of its streams, for any model of the twin's protocol.

    python benchmarks/innovations.py --out folder [--ranks 2] [--short]

Finished patients in the folder are taken over.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from harness.command_line import options
from harness.pool import in_processes, scored_once
from harness.record import Row, write_record
from worlds.patients_of_model import StreamPlan, patient_of
from worlds.scalar_tumour import Doses, LogVolume, Marker, ScalarTumour

from palpate.config.twin import TwinSettings
from palpate.twin.assimilation.assimilate import assimilate
from palpate.twin.assimilation.belief import ParticleBelief
from palpate.twin.assimilation.record import LifelongRecord, begin_record
from palpate.twin.assimilation.setup import AssimilationSetup, FilterSettings, Method
from palpate.twin.assimilation.stream_summary import ODD, summarise
from palpate.twin.rungs.from_history import ball_radius_mm
from palpate.twin.rungs.logistic import LogisticModel, logistic_model
from palpate.twin.rungs.observed import BURDEN, ENHANCING_VOLUME, FLAIR_VOLUME
from palpate.twin.rungs.radial import RadialModel, radial_model
from palpate.twin.rungs.regimen import DatedFraction, Regimen

PATIENTS: Final = 200
RADIAL_PATIENTS: Final = 40
SHORT_PATIENTS: Final = 4
DOSES: Final[Doses] = tuple((28.0 + 7.0 * week + day, 2.0) for week in range(6) for day in range(5))
"""Thirty fractions of 2 Gy in six weeks."""
SCANS: Final = tuple(float(day) for day in range(0, 161, 20))
"""Days of the scans of the small rungs' patients."""
SCAN_STDS: Final[Mapping[str, float]] = {ENHANCING_VOLUME: 0.15, FLAIR_VOLUME: 0.1, BURDEN: 0.1}
"""Standard deviations of the errors of a scan's logarithms."""
BURDEN_ML: Final = 20.0
"""Prior median of the burden of the small rungs' patients, ml of packed cells; their radius is that of a ball."""


@dataclass(frozen=True, slots=True, eq=False)
class InnovationCase:
    """Rung and filter whose innovations are judged.

    Attributes:
        setup: setup of the assimilation.
        plans: measurements of each stream.
    """

    setup: AssimilationSetup[Any]
    plans: tuple[StreamPlan, ...]


@dataclass(frozen=True, slots=True)
class InnovationScore:
    """Innovations of one patient.

    Attributes:
        squares: sum of squares of the normalised innovations.
        numbers: number of them.
        tested: number of streams whose whiteness was judged.
        rejected: number of them that were rejected.
        odd: number of streams that are not as expected.
        streams: number of streams.
        last_seconds: processor time of one more visit, seconds.
        misfit: misfit a datum; None where the filter keeps no paths.
    """

    squares: float
    numbers: int
    tested: int
    rejected: int
    odd: int
    streams: int
    last_seconds: float
    misfit: float | None


def scalar_case(method: Method) -> InnovationCase:
    """Return the scalar tumour under a filter."""
    lines = tuple((day, f"{dose:g} Gy") for day, dose in DOSES)
    settings = FilterSettings(method, 400, seed=25)
    setup = AssimilationSetup(ScalarTumour(), (LogVolume(), Marker()), DOSES, lines, settings)
    volumes = StreamPlan("volume", tuple(float(day) for day in range(0, 170, 14)), 0.15)
    markers = StreamPlan("marker", tuple(float(day) for day in range(5, 170, 10)), 0.1, delay_days=2.0)
    return InnovationCase(setup, (volumes, markers))


def rung_case(rung: str) -> InnovationCase:
    """Return a small rung under the filter that is used on it.

    Args:
        rung: name of the rung, "logistic" or "radial".
    """
    settings = TwinSettings()
    model: LogisticModel | RadialModel = logistic_model(settings, BURDEN_ML)
    if rung == "radial":
        model = radial_model(settings, ball_radius_mm(BURDEN_ML))
    seen = tuple(one for one in model.observations if one.stream in SCAN_STDS)
    treatment = Regimen(tuple(DatedFraction(day, dose) for day, dose in DOSES))
    lines = tuple((day, f"{dose:g} Gy") for day, dose in DOSES)
    setup = AssimilationSetup(model, seen, treatment, lines, FilterSettings("refitted", 400, seed=25))
    return InnovationCase(setup, tuple(StreamPlan(name, SCANS, std) for name, std in SCAN_STDS.items()))


METHODS: Final[tuple[Method, ...]] = ("extended", "unscented", "ensemble", "sequential")
"""Filters of the scalar tumour."""
CASES: Final[Mapping[str, partial[InnovationCase]]] = {
    **{f"scalar tumour, {method}": partial(scalar_case, method) for method in METHODS},
    **{f"{rung} rung, refitted": partial(rung_case, rung) for rung in ("logistic", "radial")},
}
"""Cases by name."""


def innovations_of(case: InnovationCase, number: int) -> InnovationScore:
    """Draw a patient of a case, assimilate its measurements and judge the innovations.

    Args:
        case: rung, filter and measurements.
        number: number of the patient.
    """
    patient = patient_of(case.setup, case.plans, number)
    last = patient.events[-1].acquired
    today = max(event.available for event in patient.events)
    before = tuple(event for event in patient.events if event.acquired < last)
    record = assimilate(case.setup, begin_record(case.setup, f"sub-{number:03d}"), before, today)
    began = time.process_time()
    record = assimilate(case.setup, record, patient.events, today)
    seconds = time.process_time() - began
    white = [one.normalised for one in record.innovations]
    found = summarise(record.innovations)
    judged = [one.whiteness_probability for one in found if one.whiteness_probability is not None]
    return InnovationScore(
        float(sum(np.sum(one**2) for one in white)),
        sum(one.size for one in white),
        len(judged),
        sum(one < ODD for one in judged),
        sum(one.verdict != "as expected" for one in found),
        len(found),
        seconds,
        misfit_of(record),
    )


def misfit_of(record: LifelongRecord) -> float | None:
    """Return the misfit a datum of the last posterior; None where the filter keeps no paths.

    Args:
        record: record of a patient.
    """
    last = record.checkpoints[-1].belief
    if not isinstance(last, ParticleBelief):
        return None
    errors = [one.error for one in record.events]
    constant = sum(float(np.linalg.slogdet(2.0 * np.pi * one)[1]) for one in errors)
    mean = float(np.exp(last.log_weights) @ np.where(np.isfinite(last.log_weights), last.log_likelihood, 0.0))
    return (-2.0 * mean - constant) / sum(map(len, errors))


def _scored(item: tuple[str, int], out: Path) -> InnovationScore:
    name, number = item

    def run(_: str, __: Path) -> InnovationScore:
        return innovations_of(CASES[name](), number)

    return scored_once(f"{name.replace(', ', '-').replace(' ', '-')}-{number:03d}", run, InnovationScore, out)


def rows_of(name: str, scores: list[InnovationScore]) -> list[Row]:
    """Return the rows of a case.

    Args:
        name: name of the case.
        scores: innovations of its patients.
    """

    def share(part: str, whole: str) -> float:
        return sum(getattr(one, part) for one in scores) / sum(getattr(one, whole) for one in scores)

    return [
        Row(f"{name}: variance of normalised innovations", "", share("squares", "numbers"), None, goal="0.8..1.25"),
        Row(f"{name}: whiteness rejected", "%", 100.0 * share("rejected", "tested"), None, goal="2..8"),
        Row(f"{name}: streams odd or wrong", "%", 100.0 * share("odd", "streams"), None, goal="<= 8"),
        *(
            [Row(f"{name}: misfit a datum", "", float(np.mean(misfits)), None, goal="0.8..1.25")]
            if (misfits := [one.misfit for one in scores if one.misfit is not None])
            else []
        ),
        Row(f"{name}: one more visit", "s", float(np.median([one.last_seconds for one in scores])), None),
    ]


def patients_of(name: str, *, short: bool) -> int:
    """Return the number of patients of a case.

    Args:
        name: name of the case.
        short: whether the quick version is run.
    """
    if short:
        return 1 if name.startswith("radial") else SHORT_PATIENTS
    return RADIAL_PATIENTS if name.startswith("radial") else PATIENTS


def main() -> None:
    """Run all patients of all cases, then record the figures."""
    chosen = options(__doc__)
    began = time.perf_counter()
    counts = {name: patients_of(name, short=chosen.short) for name in CASES}
    items = [(name, number) for name, count in counts.items() for number in range(count)]
    scores = dict(zip(items, in_processes(partial(_scored, out=chosen.out), items, chosen.ranks), strict=True))
    rows = [row for name in CASES for row in rows_of(name, [scores[name, number] for number in range(counts[name])])]
    notes = [
        ", ".join(f"{count} patients of {name}" for name, count in counts.items()),
        "each patient is drawn from the priors of the rung that assimilates it; radiotherapy from day 28 on",
        "scalar tumour: volume every 14 and a marker every 10 days until day 168",
        "rungs: enhancing volume, volume on FLAIR and burden every 20 days until day 160",
        "one more visit: median processor time of the last visit's assimilation, 400 members or particles",
    ]
    published = "none: what follows from a right model"
    write_record(
        "innovations", rows, published=published, notes=notes, seconds=time.perf_counter() - began, out=chosen.record
    )


if __name__ == "__main__":
    main()
