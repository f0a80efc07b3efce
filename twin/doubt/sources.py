"""Sources of a forecast's doubt, and the calibration in which some of them are fixed.

    parameters      rates, treatment effects, dates and the present density: what the images leave open
    stiffness       shapes of the stiffness that are unknown
    thresholds      densities above which images show tumour
    drift           change of the rate of growth that is still to come
    front           error of the front that the model does not predict, and of the lattice
    measurement     error of the contour that a scan of that day would have
    form            law by which growth slows down (twin.doubt.growth_laws)

The first three and the form are epistemic: another visit makes them smaller. The others are aleatoric.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.priors import ENHANCING_ABOVE, INFILTRATED_ABOVE

PARAMETERS: Final = "parameters"
STIFFNESS: Final = "stiffness"
THRESHOLDS_OF_IMAGES: Final = "thresholds"
DRIFT_TO_COME: Final = "drift"
FRONT_ERROR: Final = "front"
MEASUREMENT: Final = "measurement"
FORM: Final = "form"

EPISTEMIC: Final = frozenset({PARAMETERS, STIFFNESS, THRESHOLDS_OF_IMAGES, FORM})
"""Sources that shrink as a patient is seen again."""
_THRESHOLDS: Final = (ENHANCING_ABOVE, INFILTRATED_ABOVE)


def sources_of(calibration: Calibration) -> tuple[str, ...]:
    """Return the sources of growth that a calibration has: stiffness only where unknown shapes of it slow invasion.

    Args:
        calibration: calibration of the tumour.
    """
    stiffness = (STIFFNESS,) if calibration.stress is not None and calibration.unknowns.modes else ()
    return (PARAMETERS, *stiffness, DRIFT_TO_COME)


def with_sources(calibration: Calibration, free: Set[str]) -> Calibration:
    """Return the calibration whose draws differ by some sources of growth alone.

    Args:
        calibration: calibration of the tumour.
        free: sources of growth that stay as they are drawn; the others have the mode's values, and the present density
            the draws' mean. The drift to come is the future's own matter, and is not touched here.
    """
    drawn, layout = calibration.draws, calibration.unknowns
    xi = drawn.xi.copy()
    shapes = np.zeros(layout.size, dtype=bool)
    shapes[layout.mode_slice()] = True
    if STIFFNESS not in free:
        xi[:, shapes] = calibration.mode[shapes]
    if PARAMETERS in free:
        return replace(calibration, draws=replace(drawn, xi=xi))
    xi[:, ~shapes] = calibration.mode[~shapes]
    mean = np.broadcast_to(drawn.density.mean(axis=0, dtype=np.float64).astype(np.float32), drawn.density.shape)
    as_dated = np.full_like(drawn.stream, -1)
    return replace(calibration, draws=replace(drawn, xi=xi, density=mean, stream=as_dated))


def thresholds_of(calibration: Calibration, name: str, *, free: bool) -> NDArray[np.float64]:
    """Return the density above which images show tumour of a kind, of each draw, shape (draws,).

    Args:
        calibration: calibration of the tumour, with its own draws.
        name: ENHANCING_ABOVE or INFILTRATED_ABOVE.
        free: whether each draw has its own threshold, or all have the mode's.
    """
    each = calibration.draws.xi if free else np.broadcast_to(calibration.mode, calibration.draws.xi.shape)
    return np.array([calibration.unknowns.natural(xi, name) for xi in each])
