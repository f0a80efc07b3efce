"""Present state of a patient as plain JSON values: state and parameters with intervals, innovations, warnings."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from palpate.provenance import versions
from palpate.quality_warning import QualityWarning
from palpate.twin.assimilation.assimilate import present, present_draws, used_events
from palpate.twin.assimilation.belief import Belief, ParticleBelief
from palpate.twin.assimilation.innovation import EventInnovation
from palpate.twin.assimilation.record import LifelongRecord
from palpate.twin.assimilation.setup import AssimilationSetup
from palpate.twin.assimilation.stream_summary import FEWEST, summarise, verdict
from palpate.twin.basis import Basis
from palpate.twin.products.figures import unit_of
from palpate.twin.rungs.observed import BURDEN, ENHANCING_VOLUME, FLAIR_VOLUME, FRONT_RADIUS, LEAST_ML
from palpate.twin.rungs.regimen import Regimen
from palpate.twin.state_space.event import Event
from palpate.twin.weighted_draws import effective

type Values = NDArray[np.float64]

ENDS: Final = (0.025, 0.5, 0.975)
"""Lower bound of the 95 % interval, median and upper bound."""
SAME_SPREAD: Final = 0.9
"""Posterior over prior standard deviation from which a parameter is unidentified, if it did not move either."""
SAME_PLACE: Final = 0.2
"""Largest distance of an unidentified parameter's mean from the prior's, prior standard deviations."""
CHANCE: Final = 2.0
"""Standard errors of both, for the number of particles, that are left to chance."""
STATES: Final = (ENHANCING_VOLUME, FLAIR_VOLUME, BURDEN, FRONT_RADIUS)
"""Observations in which the state is told."""
DRAWS: Final = 2000


def present_state(setup: AssimilationSetup[Regimen], record: LifelongRecord) -> dict[str, object]:
    """Return the present state of a patient.

    Args:
        setup: setup of the record's last assimilation.
        record: record after it.
    """
    x, theta = present_draws(setup, record, DRAWS)
    used = used_events(setup, record)
    innovations = [one for one in record.innovations if one.acquired > 0.0 or setup.begins > 0.0]
    warnings = (*record.warnings, *unexpected(setup.model.rung, innovations))
    return {
        "subject": record.subject,
        "rung": setup.model.rung,
        "day": record.day,
        "begins": setup.begins,
        "basis": str(_basis(setup, used)),
        "units": {"days": "since the first scan", "intervals": "95 %"},
        "state": _state(setup, x, theta),
        "parameters": _parameters(setup, theta, _worth(present(setup, record))),
        "innovations": [_innovation(setup.model.rung, one) for one in innovations],
        "streams": [
            {
                "rung": setup.model.rung,
                "stream": one.stream,
                "values": one.events,
                "variance": one.variance,
                "bias": one.bias,
                "whiteness_probability": one.whiteness_probability,
                "verdict": one.verdict,
            }
            for one in summarise(innovations)
            if one.events >= FEWEST
        ],
        "measurements": _measurements(setup, record, used),
        "warnings": [one.as_record() for one in warnings],
        "versions": versions(),
    }


def unexpected(rung: str, innovations: list[EventInnovation]) -> tuple[QualityWarning, ...]:
    """Return a warning for each measurement that lies where the model does not expect it.

    Args:
        rung: name of the rung.
        innovations: measurements beside their predictions.
    """
    return tuple(
        QualityWarning(
            "measurement-not-as-predicted",
            f"{one.stream} of day {one.acquired:g} lies where it would lie in {one.probability:.1g} of cases if the "
            f"{rung} model, dates and treatment were right.",
            "Check that measurement, its date and the dates of treatment; do not rely on the present state before.",
        )
        for one in innovations
        if verdict(one.probability) == "wrong"
    )


def _basis(setup: AssimilationSetup[Regimen], used: tuple[Event, ...]) -> Basis:
    days = {one.acquired for one in used}
    return Basis.PATIENT if len(days) > 1 or setup.begins > 0.0 else Basis.POPULATION


def _state(setup: AssimilationSetup[Regimen], x: Values, theta: Values) -> list[dict[str, object]]:
    rows = []
    for name in STATES:
        if name not in setup.by_stream:
            continue
        shown = setup.by_stream[name].h(x, theta)[:, 0]
        values, unit = (shown, "mm") if name == FRONT_RADIUS else (np.maximum(np.exp(shown) - LEAST_ML, 0.0), "mL")
        rows.append({"rung": setup.model.rung, "name": name, "unit": unit, **_interval(values)})
    return rows


def _worth(belief: Belief) -> float:
    """Return the effective number of particles."""
    if not isinstance(belief, ParticleBelief):
        return float(DRAWS)
    return len(belief.log_weights) * effective(belief.log_weights)


def _parameters(setup: AssimilationSetup[Regimen], theta: Values, worth: float) -> list[dict[str, object]]:
    """Return rows of all parameters; one is informed where its posterior differs from the prior beyond chance."""
    place, spread = SAME_PLACE + CHANCE / np.sqrt(worth), SAME_SPREAD - CHANCE / np.sqrt(2.0 * worth)
    rows = []
    for at, one in enumerate(setup.model.parameters):
        unit, factor = unit_of(one)
        informed = bool(abs(float(theta[:, at].mean())) > place or float(theta[:, at].std()) < spread)
        drawn = one.natural(one.mean + one.std * theta[:, at]) * factor
        row: dict[str, object] = {"rung": setup.model.rung, "name": one.name, "unit": unit, **_interval(drawn)}
        rows.append(row | {"identified": informed, "says": "informed" if informed else "unidentified"})
    return rows


def _interval(draws: Values) -> dict[str, object]:
    lower, median, upper = (float(end) for end in np.quantile(draws, ENDS))
    return {"median": median, "lower": lower, "upper": upper}


def _innovation(rung: str, one: EventInnovation) -> dict[str, Any]:
    return {
        "rung": rung,
        "day": one.acquired,
        "stream": one.stream,
        "observed": one.value.tolist(),
        "predicted": one.predicted.tolist(),
        "std": np.sqrt(np.diag(one.covariance)).tolist(),
        "normalised": one.normalised.tolist(),
        "probability": one.probability,
        "verdict": verdict(one.probability),
    }


def _measurements(
    setup: AssimilationSetup[Regimen], record: LifelongRecord, used: tuple[Event, ...]
) -> list[dict[str, object]]:
    return [
        {
            "stream": stream,
            "stored": sum(one.stream == stream for one in record.events),
            "assimilated": sum(one.stream == stream for one in used),
            "model": stream in setup.by_stream,
        }
        for stream in sorted({one.stream for one in record.events})
    ]
