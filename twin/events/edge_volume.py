"""Volume above a threshold in shells, by the places where the density passes it: cheap enough for every day."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palpate.twin.rungs.shells import Shells

type Values = NDArray[np.float64]


def edge_volume_ml(density: Values, above: Values, shells: Shells) -> Values:
    """Return the volume where the density exceeds a threshold, ml, shape (draws,).

    Between the middles of two shells the logit of the density is linear, and the edge is where it passes that of the
    threshold. Whole shells count up to the face next to it.

    Args:
        density: density u of the shells, shape (draws, shells).
        above: threshold of each draw, shape (draws,).
        shells: shells.
    """
    inside = density > above[:, None]
    volume = np.asarray(inside @ shells.volumes_ml)
    draws, at = np.nonzero(inside[:, 1:] != inside[:, :-1])
    level = _logit(above[draws])
    near, far = _logit(density[draws, at]) - level, _logit(density[draws, at + 1]) - level
    share = near / (near - far)
    edge_mm = shells.radii_mm[at] + share * shells.thickness_mm
    face_mm = shells.radii_mm[at] + 0.5 * shells.thickness_mm
    ball_ml = 4e-3 / 3.0 * np.pi * (edge_mm**3 - face_mm**3)
    np.add.at(volume, draws, np.where(inside[draws, at], ball_ml, -ball_ml))
    # An innermost shell alone above the threshold has no ball around its middle: the volume stays positive.
    return np.maximum(volume, 0.0)


def _logit(share: Values) -> Values:
    inside = np.clip(share, 1e-12, 1.0 - 1e-12)
    return np.asarray(np.log(inside) - np.log1p(-inside))
