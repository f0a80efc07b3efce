"""Everything the scans say, as residuals r = y - F(xi) with covariance R."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.config.twin import TwinSettings
from palpate.errors import InputError
from palpate.imaging.tumour.history import TumourHistory
from palpate.twin.lattice import visible
from palpate.twin.observation.errors import Field, SharedErrors, error_columns, shared_errors
from palpate.twin.observation.readings import REACH_MM, Reading, readings
from palpate.twin.outline import spread_out
from palpate.twin.priors import Unknowns

type Values = NDArray[np.float64]

CENTRES = 60
"""Of the field of shared errors."""


@dataclass(frozen=True)
class Observations:
    """Readings of all scans.

    Attributes:
        tissue: shape (i, j, k).
        edges_mm: of a voxel, shape (3,).
        days: of the scans.
        scans: readings of each.
        field: of what neighbours share.
        settings: standard deviations.
    """

    tissue: NDArray[np.bool_]
    edges_mm: Values
    days: tuple[float, ...]
    scans: tuple[tuple[Reading, ...], ...]
    field: Field
    settings: TwinSettings

    @cached_property
    def values(self) -> Values:
        """y, shape (m,)."""
        return np.concatenate([one.values for scan in self.scans for one in scan])

    @cached_property
    def _nearest(self) -> tuple[NDArray[np.int64], ...]:
        """Of every voxel, the nearest tissue voxel."""
        found = ndimage.distance_transform_edt(
            ~self.tissue, sampling=self.edges_mm, return_distances=False, return_indices=True
        )
        return tuple(found)

    def volume(self, values: Values) -> Values:
        """Tissue voxels' values as a volume, each other voxel with the value of the nearest, shape (i, j, k)."""
        volume = np.zeros(self.tissue.shape)
        volume[self.tissue] = values
        return np.asarray(volume[self._nearest])

    def slope_1_mm(self, values: Values) -> Values:
        """Length of the gradient at tissue voxels, shape (n,)."""
        parts = np.gradient(self.volume(values), *self.edges_mm)
        return np.asarray(np.sqrt(sum(part**2 for part in parts))[self.tissue])

    def predicted(self, states: Sequence[Values], xi: Values, unknown: Unknowns) -> Values:
        """F, shape (m,).

        Args:
            states: density at all tissue voxels, shape (n,), at each scan.
            xi: unknowns.
            unknown: their layout.
        """
        pairs = zip(self.scans, states, strict=True)
        return np.concatenate([one.average @ one.of(state, xi, unknown)[0] for scan, state in pairs for one in scan])

    def derivative(self, states: Sequence[Values], by: Sequence[Values], xi: Values, unknown: Unknowns) -> Values:
        """J, the derivative of F by xi, shape (m, size).

        Args:
            states: as for predicted.
            by: derivatives of the states by xi, shape (n, size) each.
            xi: as for predicted.
            unknown: as for predicted.
        """
        parts = []
        for scan, state, change in zip(self.scans, states, by, strict=True):
            for one in scan:
                _, slope, direct = one.of(state, xi, unknown)
                rows = one.average @ (slope[:, None] * change)
                rows[:, unknown.names.index(one.kind)] += one.average @ direct
                parts.append(rows)
        return np.concatenate(parts)

    def errors(self, states: Sequence[Values], xi: Values, unknown: Unknowns, front_drift_mm: float) -> SharedErrors:
        """R around given densities.

        Args:
            states: as for predicted.
            xi: as for predicted.
            unknown: as for predicted.
            front_drift_mm: q, of the model error.
        """
        slopes = []
        for scan, state in zip(self.scans, states, strict=True):
            rows = [one.average @ self.slope_1_mm(one.of(state, xi, unknown)[0]) for one in scan]
            slopes.append(np.concatenate(rows or [np.zeros(0)]))
        parts = error_columns(self.scans, tuple(slopes), self.days, self.field, self.settings, front_drift_mm)
        return shared_errors(*parts)


def observations(history: TumourHistory, settings: TwinSettings) -> Observations:
    """Prepare what the scans say.

    Args:
        history: on the lattice.
        settings: of the twin.

    Raises:
        InputError: the first scan says nothing, or no scan does.
    """
    found = readings(history, settings.block_mm)
    if not any(found):
        raise InputError(
            f"tumour images of {history.subject}",
            found="neither cellularity nor regions in tissue",
            expected="at least one of them",
            advice="Check that images and anatomy are of the same place.",
        )
    edges_mm = history.edges_mm
    seen = np.any([visible(scan, edges_mm) for scan in history.scans], axis=0)
    near = (ndimage.distance_transform_edt(~seen, sampling=edges_mm) <= REACH_MM) & history.tissue
    points = np.argwhere(near) * edges_mm
    field = Field(spread_out(points, CENTRES), settings.correlation_mm)
    return Observations(history.tissue, edges_mm, tuple(scan.day for scan in history.scans), found, field, settings)
