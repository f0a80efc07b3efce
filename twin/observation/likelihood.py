"""Likelihood of all scans: residuals r = y - F(xi) with covariance R."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.config.twin import TwinSettings
from palpate.errors import InputError
from palpate.imaging.tumour.history import TumourHistory
from palpate.twin.lattice import nearest_in, visible
from palpate.twin.observation.contour_errors import (
    CONTOUR_ERRORS,
    LEVELS,
    WEIGHTS,
    contour_covariance,
    inflated_variances,
)
from palpate.twin.observation.errors import Field, SharedErrors, error_columns, shared_errors
from palpate.twin.observation.readings import REACH_MM, STEEPNESS, Reading, readings
from palpate.twin.outline import apparent_density, spread_out
from palpate.twin.priors import BIOPSY, GAIN, Unknowns

type Values = NDArray[np.float64]

CENTRES: Final = 60
"""Number of centres of the field of shared errors."""


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
        levels: standard deviation c of each reading by the level at which contours are drawn, shape (m,) for each
            scan; 0 for cellularity.
        field: random field of the errors that neighbours share.
        misplaced_mm: standard deviation of each scan's registration error, millimetres.
        settings: settings of the twin, with the other standard deviations.
    """

    tissue: NDArray[np.bool_]
    edges_mm: Values
    days: tuple[float, ...]
    scans: tuple[tuple[Reading, ...], ...]
    slopes: tuple[Values, ...]
    levels: tuple[Values, ...]
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
                if one.kind != BIOPSY:
                    rows[:, unknown.names.index(one.kind)] += one.average @ direct
                parts.append(rows)
        return np.concatenate(parts)

    def around(self, states: Sequence[Values], unknown: Unknowns) -> Observations:
        """Return the same data with the errors that belong to these densities.

        Errors in the place of a front matter in proportion to the change of each reading if the front moved, so in
        proportion to the slope of the density. Errors of the level at which a contour is drawn matter most where
        density is flat, as after radiotherapy.

        Args:
            states: density at all tissue voxels, shape (n,), at each scan.
            unknown: layout of xi; thresholds are taken at their prior means.
        """
        found = [self._with_errors(its, state, unknown) for its, state in zip(self.scans, states, strict=True)]
        scans, slopes, levels = zip(*found, strict=True)
        return replace(self, scans=scans, slopes=slopes, levels=levels)

    def _with_errors(
        self, its: tuple[Reading, ...], density: Values, unknown: Unknowns
    ) -> tuple[tuple[Reading, ...], Values, Values]:
        """Return one scan's readings with their own errors, and the changes g, 1/mm, and c, shape (m,) each."""
        readings, slopes, levels = [], [np.zeros(0)], [np.zeros(0)]
        for one in its:
            shares, _, _ = one.of(density, np.zeros(unknown.size), unknown)
            slope, level = self._by_place(one, shares), self._by_level(one, density, unknown)
            if one.kind in (GAIN, BIOPSY):
                readings.append(one)
            elif self.settings.contour_errors == "independent":
                variances = inflated_variances(slope, self._by_threshold(one, density, unknown))
                readings.append(replace(one, variances=variances))
            else:
                rim = one.average.power(2) @ (self._rim * shares)
                readings.append(replace(one, variances=CONTOUR_ERRORS.variances(level, slope, rim)))
            slopes.append(slope)
            levels.append(level)
        return tuple(readings), np.concatenate(slopes), np.concatenate(levels)

    def _by_place(self, one: Reading, values: Values) -> Values:
        """Return the change g of a reading if the front moved, 1/mm, shape (m,)."""
        volume = np.zeros(self.tissue.shape)
        volume[self.tissue] = values
        parts = np.gradient(volume[self._nearest], *self.edges_mm)
        return np.asarray(one.average @ np.sqrt(sum(part**2 for part in parts))[self.tissue])

    def _by_level(self, one: Reading, density: Values, unknown: Unknowns) -> Values:
        """Return the standard deviation c of a share by the level at which a contour is drawn, shape (m,)."""
        if one.kind in (GAIN, BIOPSY) or self.settings.contour_errors == "independent":
            return np.zeros(len(one.values))
        at, xi = unknown.names.index(one.kind), np.zeros(unknown.size)
        shares = []
        for level in LEVELS:
            xi[at] = level * CONTOUR_ERRORS.level_std / unknown.single[at].std
            shares.append(one.average @ one.of(density, xi, unknown)[0])
        mean = np.tensordot(WEIGHTS, shares, 1)
        return np.asarray(np.sqrt(np.tensordot(WEIGHTS, (np.array(shares) - mean) ** 2, 1)))

    def _by_threshold(self, one: Reading, density: Values, unknown: Unknowns) -> Values:
        """Return the change of a reading by the logit of its threshold, shape (m,)."""
        _, _, by_threshold = one.of(density, np.zeros(unknown.size), unknown)
        return np.asarray((one.average @ by_threshold) / unknown.single[unknown.names.index(one.kind)].std)

    @cached_property
    def _rim(self) -> NDArray[np.bool_]:
        """Voxels of tissue at its edge, shape (n,)."""
        inner = ndimage.binary_erosion(self.tissue, border_value=1)
        return np.asarray(~inner[self.tissue])

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
        diagonal, columns = error_columns(
            self.scans, self.slopes, self.days, self.field, self.misplaced_mm, self.settings, front_error_mm
        )
        return shared_errors(contour_covariance(diagonal, self.levels, self._points_mm, self._kinds), columns)

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel, mL."""
        return float(np.prod(self.edges_mm)) / 1e3

    @property
    def telling(self) -> int:
        """Number of data that can err: cellularity, and shares near contours; all data where errors are independent.

        All other shares are 0 or 1 by scan and model alike, whatever the level; they are kept with a small error, so
        that a tumour that reaches them is noticed, but they do not add to the misfit of a fit that is right.
        """
        if self.settings.contour_errors == "independent":
            return len(self.values)
        near = [CONTOUR_ERRORS.near(level) for level in self.levels]
        cells = sum(len(one.values) for its in self.scans for one in its if one.kind in (GAIN, BIOPSY))
        return cells + int(sum(one.sum() for one in near))

    @property
    def _kinds(self) -> tuple[NDArray[np.int64], ...]:
        """Numbers of the kinds of each scan's rows, shape (m_i,)."""
        return tuple(np.repeat(np.arange(len(its)), [len(one.values) for one in its]) for its in self.scans)

    @property
    def _points_mm(self) -> tuple[Values, ...]:
        """Middles of the blocks of each scan's rows, millimetres, shape (m_i, 3)."""
        return tuple(np.concatenate([np.zeros((0, 3)), *(one.points_mm for one in its)]) for its in self.scans)


def observations(history: TumourHistory, unknown: Unknowns, settings: TwinSettings) -> Observations:
    """Prepare the readings of the scans and their errors.

    Args:
        history: history on the lattice.
        unknown: layout of xi.
        settings: settings of the twin.

    Raises:
        InputError: no scan has cellularity or regions in tissue.
    """
    found = readings(history, settings.block_mm, STEEPNESS[settings.contour_errors])
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
    plain = Observations(history.tissue, edges_mm, days, found, none, none, field, (0.0, *later), settings)
    return plain.around([apparent_density(scan, tissue, edges_mm)[tissue] for scan in history.scans], unknown)
