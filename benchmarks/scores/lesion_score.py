"""Visibility of a sphere in a map: contrast-to-noise ratio, recovered contrast, edge response and apparent size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import curve_fit
from scipy.special import erfc, erfcinv
from worlds.lesion_block import BACKGROUND_KPA, VOXEL_MM, Lesion, distance_mm

from palpate.imaging.files.stiffness_folder import StiffnessMaps

MARGIN_VOXELS: Final = 2
"""Distance from the block's edge within which voxels are not scored, in voxels: the baseline has no whole window
there."""
GAP_MM: Final = 4.0
"""Distance from the sphere at which the background begins, millimetres, beyond the blur of the edge."""

SEEN_CNR: Final = 5.0
"""Least CNR of a visible sphere (Rose's limit): below it nothing is seen, and a step fitted to noise has no edge."""

_LEVELS: Final = (0.9, 0.5, 0.1)
_PARTS: Final = 10
"""Number of points along the edge of a voxel for its partial volume."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Figures of a sphere in one map.

    Attributes:
        cnr: contrast-to-noise ratio, |mean inside - mean of background| / standard deviation of background voxels.
        contrast: recovered contrast, mean inside over mean of background.
        edge_mm: distance over which the radial profile falls from 90 % to 10 %, mm; None where CNR is below SEEN_CNR.
        size_mm: full width at half maximum of the profile, mm; None where CNR is below SEEN_CNR.
    """

    cnr: float
    contrast: float
    edge_mm: float | None
    size_mm: float | None


@dataclass(frozen=True, slots=True)
class LesionCase:
    """One sphere at one noise level: G' of the posterior mean and of the direct inversion.

    Attributes:
        diameter_mm, contrast: true diameter, millimetres, and true contrast.
        noise_percent: noise of each real and imaginary part, percent of mean |U|.
        posterior, direct: figures of the sphere in the posterior mean and in the direct inversion.
        interval: 95 % interval of the contrast, mean inside over mean of background in every joint draw.
        sphere_kpa: 95 % interval of the mean of G' over the voxels whose centre is inside, kilopascal.
        voxels_kpa: true mean of G' over these voxels with their parts outside the sphere, kilopascal.
    """

    diameter_mm: float
    contrast: float
    noise_percent: float
    posterior: Seen
    direct: Seen
    interval: tuple[float, float]
    sphere_kpa: tuple[float, float]
    voxels_kpa: float

    @property
    def contrast_held(self) -> bool:
        """Whether the interval of the contrast holds the truth."""
        return self.interval[0] <= self.contrast <= self.interval[1]

    @property
    def sphere_held(self) -> bool:
        """Whether the interval of the sphere's mean holds the modulus of the sphere."""
        return self.sphere_kpa[0] <= self.contrast * BACKGROUND_KPA.real <= self.sphere_kpa[1]

    @property
    def voxels_held(self) -> bool:
        """Whether the interval of the sphere's mean holds its voxels' true mean, the most that voxels can show."""
        return self.sphere_kpa[0] <= self.voxels_kpa <= self.sphere_kpa[1]


def regions(lesion: Lesion) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the voxels with their centre in the sphere, and those of the background, each of shape (i, j, k)."""
    distance = distance_mm(lesion.grid.points_mm)
    inside = distance <= lesion.diameter_mm / 2.0
    return inside, scored(lesion) & (distance > lesion.diameter_mm / 2.0 + GAP_MM)


def scored(lesion: Lesion) -> NDArray[np.bool_]:
    """Return the voxels that are far enough from the block's edge, shape (i, j, k)."""
    kept = np.zeros(lesion.grid.shape, dtype=np.bool_)
    kept[(slice(MARGIN_VOXELS, -MARGIN_VOXELS),) * 3] = True
    return kept


def score(lesion: Lesion, noise_percent: float, run: StiffnessMaps) -> LesionCase:
    """Score G' of a run whose maps lie on the lesion's grid.

    Raises:
        ValueError: the run has no baseline or no joint draws.
    """
    marginals, samples = run.moduli["storagemodulus"], run.samples()
    if marginals.direct is None or samples is None:
        raise ValueError("baseline and joint draws are needed: invert with the nonlinear method")
    inside, background = regions(lesion)
    draws = {
        part: samples.at(mask)["storagemodulus"].mean(axis=1) for part, mask in (("in", inside), ("out", background))
    }
    return LesionCase(
        diameter_mm=lesion.diameter_mm,
        contrast=lesion.contrast,
        noise_percent=noise_percent,
        posterior=seen_in(marginals.mean.values, lesion),
        direct=seen_in(marginals.direct.values, lesion),
        interval=_interval_95(draws["in"] / draws["out"]),
        sphere_kpa=_interval_95(draws["in"]),
        voxels_kpa=true_mean_kpa(lesion, inside),
    )


def true_mean_kpa(lesion: Lesion, voxels: NDArray[np.bool_]) -> float:
    """Return the true mean of G' over the volumes of voxels, not over their centres, kPa; mask of shape (i, j, k)."""
    along = ((np.arange(_PARTS) + 0.5) / _PARTS - 0.5) * VOXEL_MM
    parts_mm = np.stack(np.meshgrid(along, along, along), axis=-1).reshape(-1, 3)
    return float(lesion.modulus_kpa(lesion.grid.points_mm[voxels][:, None] + parts_mm).real.mean())


def seen_in(values_kpa: NDArray[np.floating], lesion: Lesion) -> Seen:
    """Measure the lesion in a map of G', kilopascal, shape (i, j, k)."""
    inside, background = regions(lesion)
    mean, behind = float(values_kpa[inside].mean()), float(values_kpa[background].mean())
    cnr = abs(mean - behind) / float(values_kpa[background].std())
    edge_mm, size_mm = edge_response(values_kpa.astype(np.float64), lesion) if cnr >= SEEN_CNR else (None, None)
    return Seen(cnr, mean / behind, edge_mm, size_mm)


def edge_response(values_kpa: NDArray[np.float64], lesion: Lesion) -> tuple[float | None, float | None]:
    """Fit the radial profile and return its 10-90 % width and its full width at half maximum.

    The profile is b + a erfc((r - r_0) / (sqrt 2 w)) / 2, a step blurred by a Gaussian, fitted to all scored voxels by
    least squares. 100 % is its value in the middle, 0 % the background b, so that both widths stay defined where the
    blur is as wide as the sphere.

    Returns:
        Both widths in mm; None where the step has the wrong sign or its foot lies outside the block.
    """
    kept = scored(lesion)
    r, values = distance_mm(lesion.grid.points_mm)[kept], values_kpa[kept]
    inside, background = regions(lesion)
    behind = float(values_kpa[background].mean())
    start = (behind, float(values_kpa[inside].mean()) - behind, lesion.diameter_mm / 2.0, VOXEL_MM)
    reach = lesion.voxels * VOXEL_MM / 2.0
    try:
        (_, step, r0, w), _ = curve_fit(
            _profile, r, values, p0=start, bounds=([0.0, -np.inf, 0.0, 0.05], [np.inf, np.inf, reach, reach])
        )
    except RuntimeError:  # the fit did not converge: no edge to be seen
        return None, None
    middle = erfc(-r0 / (np.sqrt(2.0) * w))
    high, half, low = (r0 + np.sqrt(2.0) * w * float(erfcinv(level * middle)) for level in _LEVELS)
    if step * (lesion.contrast - 1.0) <= 0.0 or low > reach:
        return None, None
    return float(low - high), float(2.0 * half)


def _profile(r: NDArray[np.float64], b: float, a: float, r0: float, w: float) -> NDArray[np.float64]:
    return np.asarray(b + 0.5 * a * erfc((r - r0) / (np.sqrt(2.0) * w)))


def _interval_95(draws: NDArray[np.floating]) -> tuple[float, float]:
    """Return Weibull's positions: a further draw lies inside with probability 0.95."""
    lower, upper = np.quantile(draws, [0.025, 0.975], method="weibull")
    return float(lower), float(upper)
