"""Virtual patients from the twins of real ones: each is one draw of one calibration, on the day of its last scan.

Patient i takes twin i modulo their number, and one of its draws. A small rung has the draw's rate with its drift, its
diffusivity in the tissue around the tumour, its sensitivities, and the size that the draw has on that day; the rest
comes from the priors. Names and dates of real patients stay behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.dynamics import WAVE, brownian
from palpate.twin.events.follow import SmallModel
from palpate.twin.forecast.predict import present
from palpate.twin.priors import (
    ALPHA,
    DIFFUSIVITY,
    ENHANCING_ABOVE,
    INFILTRATED_ABOVE,
    KILL,
    PLATEAU,
    PROLIFERATION,
    WHITE_TO_GREY,
    WIDTH,
)
from palpate.twin.rungs.cells import natural
from palpate.twin.rungs.from_history import ball_radius_mm, seen_on
from palpate.twin.rungs.logistic import ENHANCING_RATIO, FLAIR_RATIO, START_ML
from palpate.twin.rungs.radial import RADIUS_MM, RadialModel
from palpate.twin.state_space.chances import Chances
from palpate.twin.trial.cohort import FromPriors, uniforms, with_known

type Values = NDArray[np.float64]

_LEAST_ML = 0.05
_LEAST_MM = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class TwinDraws:
    """Draws of one twin, as small rungs take them.

    Attributes:
        transformed: transformed parameters that both rungs have, by name, shape (draws,) each.
        burden_ml: burden on the day of the last scan, ml, shape (draws,).
        visible_ml: visible volume on that day, ml, shape (draws,).
        enhancing_ml: enhancing volume on that day, ml, shape (draws,).
    """

    transformed: dict[str, Values]
    burden_ml: Values
    visible_ml: Values
    enhancing_ml: Values


def twin_draws(calibration: Calibration) -> TwinDraws:
    """Return the draws of a calibration as small rungs take them.

    Args:
        calibration: calibration of a tumour.
    """
    own, xi, history = calibration.unknowns, calibration.draws.xi.astype(np.float64), calibration.history
    found = {
        one.name: one.mean + one.std * xi[:, at]
        for at, one in enumerate(own.single)
        if one.name in (PROLIFERATION, DIFFUSIVITY, WHITE_TO_GREY, ALPHA, ENHANCING_ABOVE, INFILTRATED_ABOVE)
        or one.name.startswith(KILL)
    }
    if own.drifts:
        drift = brownian([scan.day for scan in history.scans], calibration.settings)
        found[PROLIFERATION] = found[PROLIFERATION] + xi[:, own.drift_slice()] @ drift[-1]
    white = float(history.white[seen_on(history, history.scans[-1].day)].mean())
    found[DIFFUSIVITY] = found[DIFFUSIVITY] - (1.0 - white) * found.pop(WHITE_TO_GREY)
    now = present(calibration)
    visible, enhancing = (now.volumes_ml(now.thresholds(name)) for name in (INFILTRATED_ABOVE, ENHANCING_ABOVE))
    return TwinDraws(found, *(np.maximum(one, _LEAST_ML) for one in (now.burdens_ml(), visible, enhancing)))


@dataclass(frozen=True, slots=True, eq=False)
class FromTwins:
    """Patients that are draws of twins.

    Attributes:
        twins: draws of each twin.
    """

    twins: Sequence[TwinDraws]

    def theta(self, model: SmallModel, chances: Chances) -> Values:
        """See PatientSource."""
        theta, chosen = FromPriors().theta(model, chances), uniforms(chances, "draw of a twin")
        which = np.array(chances.draws) % len(self.twins)
        for number, twin in enumerate(self.twins):
            mine = np.flatnonzero(which == number)
            at = np.floor(chosen[mine] * len(twin.burden_ml)).astype(np.int64)
            theta[mine] = _as_twin(model, theta[mine], twin, at)
        return theta


def _as_twin(model: SmallModel, theta: Values, twin: TwinDraws, at: NDArray[np.int64]) -> Values:
    """Return the parameters of patients that are draws of one twin, shape (patients, parameters)."""
    known = {name: values[at] for name, values in twin.transformed.items()}
    burden, visible, enhancing = (one[at] for one in (twin.burden_ml, twin.visible_ml, twin.enhancing_ml))
    sizes = {START_ML: burden, ENHANCING_RATIO: enhancing / burden, FLAIR_RATIO: visible / burden}
    known |= {name: np.log(values) for name, values in sizes.items()}
    found = with_known(model, theta, known)
    if isinstance(model, RadialModel):
        found = with_known(model, found, {RADIUS_MM: np.log(_quarter_mm(model, found, visible))})
    return found


def _quarter_mm(model: RadialModel, theta: Values, visible_ml: Values) -> Values:
    """Return the radius parameter with which the profile shows a visible volume, mm, shape (patients,).

    The density is c / (1 + exp((r - R) / w))^2, which is the threshold t at r = R + w ln(sqrt(c / t) - 1).
    """
    k, d = natural(model.parameters, theta, PROLIFERATION), natural(model.parameters, theta, DIFFUSIVITY)
    width_mm = 1e3 * WAVE * natural(model.parameters, theta, WIDTH) * np.sqrt(d / k)
    above = natural(model.parameters, theta, INFILTRATED_ABOVE) / natural(model.parameters, theta, PLATEAU)
    seen_mm = np.array([ball_radius_mm(one) for one in visible_ml])
    beyond = width_mm * np.log(np.maximum(np.sqrt(1.0 / above) - 1.0, 1e-3))
    return np.asarray(np.maximum(seen_mm - beyond, _LEAST_MM))
