"""Displacement of a tumour's edge since the first scan, along its normal, in three shapes of low order.

Lines along the normal of the edge S fan out with the distance d from it as in a ball of its volume, of radius R: a
piece of S becomes larger by g(d) = (1 + d / R)^2. So a displacement eta in the normal direction gains the volume that
is the integral over S and from 0 to eta of g, and with weights 1 / g the modes

    m_j = sum_voxels (share now - share then) psi_j V / g(d) / (area of S times the mean of psi_j^2)

are the projections of eta, exact for balls with one centre. They are linear in the shares and ask for no smooth
surface. psi_1 is one, so that m_1 is the mean displacement; psi_2 and psi_3 are the leading principal shapes of the
smooth random field of front errors on S, without its mean. Away from S a shape has the value of the nearest point of S.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.imaging.tumour.history import TumourHistory
from palpate.twin.lattice import nearest_in
from palpate.twin.observation.errors import Field
from palpate.twin.outline import signed_distance_mm
from palpate.twin.rungs.from_history import ball_radius_mm, seen_on, volume_ml

type Values = NDArray[np.float64]

MODES: Final = 3
"""Number of shapes."""
_LAYER: Final = 1.0
"""Half of the thickness of the layer around the edge, in voxels."""


@dataclass(frozen=True, slots=True)
class FrontModes:
    """Shapes of the edge's displacement.

    Attributes:
        weights_mm: psi_j V / g over the area and the mean of psi_j^2, at tissue voxels, mm, shape (modes, n).
        before: share of each tissue voxel inside the edge at the first scan, shape (n,).
    """

    weights_mm: Values
    before: Values

    def of(self, shares: Values) -> Values:
        """Return the modes m, mm, shape (draws, modes).

        Args:
            shares: share of each tissue voxel inside the edge, of each draw, shape (draws, n).
        """
        return np.asarray((shares - self.before) @ self.weights_mm.T)


def front_modes(history: TumourHistory, field: Field) -> FrontModes:
    """Return the shapes of a tumour whose edge at the first scan is that of what was visible.

    Args:
        history: history on the lattice.
        field: random field of the front errors.
    """
    edges_mm, tissue = history.edges_mm, history.tissue
    seen = seen_on(history, history.scans[0].day)
    voxel_mm = float(np.cbrt(np.prod(edges_mm)))
    distance_mm = signed_distance_mm(seen, edges_mm)
    layer = (np.abs(distance_mm) <= _LAYER * voxel_mm) & tissue
    phi = field.at(np.argwhere(layer) * edges_mm)
    left, _, _ = np.linalg.svd(phi - phi.mean(axis=0), full_matrices=False)
    own = np.stack([np.ones(len(phi)), *(_signed(left[:, mode]) for mode in range(MODES - 1))])
    number = np.zeros(tissue.shape, dtype=np.int64)
    number[layer] = np.arange(len(phi))
    spread = own[:, number[nearest_in(layer, edges_mm)][tissue]]
    # The gradient of a smooth indicator is the measure of area on the edge; where tissue ends there is no edge.
    smooth = ndimage.gaussian_filter(seen.astype(np.float64)[nearest_in(tissue, edges_mm)], 1.0, mode="nearest")
    slope = np.sqrt(sum(part**2 for part in np.gradient(smooth, *edges_mm)))[tissue]
    squares = (spread**2 * slope).sum(axis=1)
    radius_mm = ball_radius_mm(volume_ml(seen, edges_mm))
    fan = (np.maximum(radius_mm + distance_mm[tissue], 0.5 * voxel_mm) / radius_mm) ** 2
    return FrontModes(spread / fan / squares[:, None], seen[tissue].astype(np.float64))


def _signed(vector: Values) -> Values:
    """Return a shape of unit mean square whose largest value is positive: a vector's sign is chance."""
    sign = np.sign(vector[np.argmax(np.abs(vector))])
    return np.asarray(sign * vector * np.sqrt(len(vector)))
