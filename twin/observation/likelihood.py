"""Likelihood of all scans: residuals r = y - F(xi) with covariance R."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.config.twin import TwinSettings
from palpate.errors import InputError
from palpate.imaging.tumour.history import TumourHistory
from palpate.twin.lattice import nearest_in, visible
from palpate.twin.observation.errors import Field, SharedErrors, error_columns, shared_errors
from palpate.twin.observation.readings import REACH_MM, Reading, readings
from palpate.twin.outline import apparent_density, spread_out
from palpate.twin.priors import GAIN, Unknowns

type Values = NDArray[np.float64]

CENTRES = 60
"""Number of centres of the field of shared errors."""
SHARE_STD = 0.03
"""Standard deviation of a block's share in a region, far from its edge."""
EDGE_MM = 1.2
"""Standard deviation of the edge of a region from voxel to voxel, mm."""
LEVEL = 0.4
"""Standard deviation of the logit of the density at which an edge is drawn."""
ALIKE = 4.0
"""Factor on the variances of shares, since blocks of 6 mm are not independent: errors of contours are correlated over
some 8 mm. These four constants were found on in-silico patients whose density was known (decision 0053)."""


@dataclass(frozen=True)
class Observations:
    """Readings of all scans, with their errors.

    Attributes:
        tissue: mask of tissue on the lattice, shape (i, j, k).
        edges_mm: edges of a voxel, millimetres, shape (3,).
        days: days of the scans.
        scans: readings of each scan.
        slopes: length g of the gradient of the function f(u) that each reading averages, 1/mm, shape (m,) for each
            scan.
        field: random field of the errors that neighbours share.
        misplaced_mm: standard deviation of each scan's registration error, millimetres.
        settings: settings of the twin, with the other standard deviations.
    """

    tissue: NDArray[np.bool_]
    edges_mm: Values
    days: tuple[float, ...]
    scans: tuple[tuple[Reading, ...], ...]
    slopes: tuple[Values, ...]
    field: Field
    misplaced_mm: tuple[float, ...]
    settings: TwinSettings

    @cached_property
    def values(self) -> Values:
        """Data y of all scans, shape (m,)."""
        return np.concatenate([one.values for scan in self.scans for one in scan])

    def predicted(self, states: Sequence[Values], xi: Values, unknown: Unknowns) -> Values:
        """Return the predicted data F, shape (m,).

        Args:
            states: density at all tissue voxels, shape (n,), at each scan.
            xi: unknowns, shape (p,).
            unknown: layout of xi.
        """
        pairs = zip(self.scans, states, strict=True)
        return np.concatenate([one.average @ one.of(state, xi, unknown)[0] for scan, state in pairs for one in scan])

    def derivative(self, states: Sequence[Values], by: Sequence[Values], xi: Values, unknown: Unknowns) -> Values:
        """Return J, the derivative of F by xi, shape (m, size).

        Args:
            states: density at all tissue voxels, shape (n,), at each scan.
            by: derivatives of the states by xi, shape (n, size) each.
            xi: unknowns, shape (p,).
            unknown: layout of xi.
        """
        parts = []
        for scan, state, change in zip(self.scans, states, by, strict=True):
            for one in scan:
                _, slope, direct = one.of(state, xi, unknown)
                rows = one.average @ (slope[:, None] * change)
                rows[:, unknown.names.index(one.kind)] += one.average @ direct
                parts.append(rows)
        return np.concatenate(parts)

    def around(self, states: Sequence[Values], unknown: Unknowns) -> Observations:
        """Return the same data with the errors that belong to these densities.

        Errors in the place of a front matter in proportion to the change of each reading if the front moved, so in
        proportion to the slope of the density. A region's edge is off by EDGE_MM voxel by voxel, and it is drawn at a
        level of density that varies by LEVEL in its logit, which matters where density is flat, as after radiotherapy.

        Args:
            states: density at all tissue voxels, shape (n,), at each scan.
            unknown: layout of xi; thresholds are taken at their prior means.
        """
        pairs = [self._steepness(its, state, unknown) for its, state in zip(self.scans, states, strict=True)]
        return replace(self, scans=tuple(its for its, _ in pairs), slopes=tuple(slope for _, slope in pairs))

    def _steepness(
        self, its: tuple[Reading, ...], density: Values, unknown: Unknowns
    ) -> tuple[tuple[Reading, ...], Values]:
        """Return one scan's readings with their own errors, and slopes, 1/mm, shape (m,)."""
        xi, readings, slopes = np.zeros(unknown.size), [], []
        for one in its:
            values, _, by_threshold = one.of(density, xi, unknown)
            volume = np.zeros(self.tissue.shape)
            volume[self.tissue] = values
            parts = np.gradient(volume[self._nearest], *self.edges_mm)
            slope = one.average @ np.sqrt(sum(part**2 for part in parts))[self.tissue]
            slopes.append(slope)
            if one.kind == GAIN:
                readings.append(one)
                continue
            level = LEVEL / unknown.single[unknown.names.index(one.kind)].std * (one.average @ by_threshold)
            readings.append(replace(one, variances=ALIKE * (SHARE_STD**2 + (EDGE_MM * slope) ** 2 + level**2)))
        return tuple(readings), np.concatenate(slopes or [np.zeros(0)])

    @cached_property
    def _nearest(self) -> tuple[NDArray[np.int64], ...]:
        return nearest_in(self.tissue, self.edges_mm)

    def errors(self, front_error_mm: float) -> SharedErrors:
        """Return the covariance R of the errors.

        The slopes of fronts in it are those of the images or of the densities given to `around`, so that R does not
        depend on xi.

        Args:
            front_error_mm: size q of the front model error, mm after 100 days.
        """
        parts = error_columns(
            self.scans, self.slopes, self.days, self.field, self.misplaced_mm, self.settings, front_error_mm
        )
        return shared_errors(*parts)


def observations(history: TumourHistory, unknown: Unknowns, settings: TwinSettings) -> Observations:
    """Prepare the readings of the scans and their errors.

    Args:
        history: history on the lattice.
        unknown: layout of xi.
        settings: settings of the twin.

    Raises:
        InputError: no scan has cellularity or regions in tissue.
    """
    found = readings(history, settings.block_mm)
    if not any(found):
        raise InputError(
            f"tumour images of {history.subject}",
            found="neither cellularity nor regions in tissue",
            expected="at least one of them",
            advice="Check that images and anatomy are of the same place.",
        )
    edges_mm, tissue = history.edges_mm, history.tissue
    seen = np.any([visible(scan, edges_mm) for scan in history.scans], axis=0)
    near = (ndimage.distance_transform_edt(~seen, sampling=edges_mm) <= REACH_MM) & tissue
    points = np.argwhere(near) * edges_mm
    field = Field(spread_out(points, CENTRES), settings.correlation_mm)
    days = tuple(scan.day for scan in history.scans)
    none = tuple(np.zeros(sum(len(one.values) for one in its)) for its in found)
    unmeasured_mm = settings.registration_std_mm
    later = (unmeasured_mm if one.misplaced_mm is None else one.misplaced_mm for one in history.scans[1:])
    plain = Observations(history.tissue, edges_mm, days, found, none, field, (0.0, *later), settings)
    return plain.around([apparent_density(scan, tissue, edges_mm)[tissue] for scan in history.scans], unknown)
