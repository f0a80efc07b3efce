"""Each scan against its prediction by the scans before it, as calibration.json tells it."""

from __future__ import annotations

import math

from palpate.quality_warning import QualityWarning
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.calibration.posterior import CalibrationProblem
from palpate.twin.observation.innovations import WRONG, Innovation, linear_innovations


def innovations(found: Calibration, problem: CalibrationProblem) -> tuple[Innovation, ...]:
    """Return the innovations of every scan but the first, by the model linearised at the mode.

    Args:
        found: calibration of the tumour.
        problem: problem that it solves, under the stress that was found.
    """
    states, jacobian = problem.tangents(found.mode)
    seen = problem.observations.around(states, problem.dynamics.unknowns)
    errors = seen.errors(found.front_error_mm)
    return linear_innovations(seen, problem.residual(states, found.mode), jacobian, found.mode, errors)


def innovation_record(one: Innovation) -> dict[str, object]:
    """Return an innovation as plain JSON values.

    Args:
        one: innovation of a stream of a scan.
    """
    numbers = zip(one.names, one.observed, one.predicted, one.covariance.diagonal(), one.normalised, strict=True)
    return {
        "day": one.day,
        "stream": one.stream,
        "numbers": [
            {
                "name": name,
                "observed": float(observed),
                "predicted": float(predicted),
                "std": math.sqrt(variance),
                "normalised": float(z),
            }
            for name, observed, predicted, variance, z in numbers
        ],
        "covariance": one.covariance.tolist(),
        "probability": one.probability,
        "verdict": one.verdict,
    }


def unexpected(every: tuple[Innovation, ...]) -> list[QualityWarning]:
    """Return a warning for each scan and stream whose innovation is called wrong.

    Args:
        every: innovations of all scans.
    """
    return [
        QualityWarning(
            "scan-not-as-predicted",
            f"The {one.stream} of the scan of day {one.day:g} lie where a scan would lie in fewer than "
            f"{WRONG:.1%} of cases if model, dates and treatment were right (probability {one.probability:.1g}).",
            "Check that scan's date and images, and the dates of all treatment; do not rely on the forecast before.",
        )
        for one in every
        if one.verdict == "wrong"
    ]
