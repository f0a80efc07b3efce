"""Smooth random field of ln k: a Matern 3/2 field given its values at centres spread over tumour and surroundings.

    ln k(x) = ln k + sum_j psi_j(x) xi_j,     psi = s C(x, c) L^-T,     C(c, c) = L L^T.

At the centres the prior is exactly the field's; between centres closer than the correlation length it nearly is. A
field on voxels would need its Hessian's leading directions, a tangent and a gradient each; shapes cost a tangent each.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.config.twin import TwinSettings
from palpate.imaging.tumour.history import TumourHistory
from palpate.twin.lattice import visible
from palpate.twin.outline import matern_shapes, spread_out

type Values = NDArray[np.float64]

_REACH_MM: Final = 12.0


def growth_shapes(history: TumourHistory, settings: TwinSettings) -> Values:
    """Return the shapes psi at the tissue voxels, shape (n, modes); no modes where ln k is one number.

    Args:
        history: history on the lattice; centres lie in what any scan shows and some millimetres around it.
        settings: standard deviation, correlation length and number of the shapes.
    """
    tissue, edges_mm = history.tissue, history.edges_mm
    if settings.growth_field_log_std == 0.0:
        return np.zeros((int(tissue.sum()), 0))
    seen = np.any([visible(scan, edges_mm) for scan in history.scans], axis=0)
    near = (ndimage.distance_transform_edt(~seen, sampling=edges_mm) <= _REACH_MM) & tissue
    centres = spread_out(np.argwhere(near) * edges_mm, settings.growth_field_modes)
    points = np.argwhere(tissue) * edges_mm
    return settings.growth_field_log_std * matern_shapes(centres, points, settings.growth_field_mm)
