"""Gaussian errors of data and model: those of blocks and their neighbours, and shared ones of low rank.

    y = F(xi) + U zeta + e,     zeta ~ N(0, 1),     e ~ N(0, B).

B is diagonal but for the blocks that a scan's contours cross, whose errors are correlated over some millimetres
(contour_errors).

Columns of U, with phi the values of a smooth random field (Matern 3/2, length l) from its centres and g = |grad f(u)|
averaged over a block:

    place of scan i          s_i g phi       (segmentation and resolution of regions; registration after the first scan)
    shared noise of scan i   s_n phi         (cellularity)
    front model error        q sqrt(dt_j / 100 d) g phi   for every interval j before the scan.

A displacement eta of the front along its normal changes f(u) by g eta. The front model error is a Brownian motion, so
that later scans share the errors of earlier ones; its state at the last scan is carried into the forecast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from palpate.config.twin import TwinSettings
from palpate.twin.dynamics import CENTURY_DAYS
from palpate.twin.observation.block_covariance import BlockCovariance
from palpate.twin.observation.readings import Reading
from palpate.twin.outline import matern_shapes
from palpate.twin.priors import BIOPSY, GAIN

type Values = NDArray[np.float64]

JITTER: Final = 1e-6
"""Variance added to the covariance of the centres, relative to one, so that it can be factorised."""


@dataclass(frozen=True, slots=True)
class Field:
    """Smooth random field of unit variance, given by its values at centres.

    Attributes:
        centres_mm: centres, millimetres, shape (r, 3).
        length_mm: correlation length l, millimetres.
    """

    centres_mm: Values
    length_mm: float

    def at(self, points_mm: Values) -> Values:
        """Return phi, shape (len(points), r); phi phi^T is the field's covariance, exact at the centres."""
        return matern_shapes(self.centres_mm, points_mm, self.length_mm, JITTER)


@dataclass(frozen=True, slots=True)
class SharedErrors:
    """Covariance R = B + U U^T of the errors, factorised.

    Attributes:
        blocks: covariance B of the errors of blocks and their neighbours, of m rows.
        columns: shared errors U, shape (m, r).
        factor: Cholesky factor of 1 + U^T B^-1 U, as scipy's cho_factor gives it.
    """

    blocks: BlockCovariance
    columns: Values
    factor: tuple[Values, bool]

    def solve(self, values: Values) -> Values:
        """Return R^-1 v, for v of shape (m,) or (m, k)."""
        inner = cho_solve(self.factor, self.columns.T @ self.blocks.solve(values))
        return self.blocks.solve(values - self.columns @ inner)

    def misfit(self, residual: Values) -> float:
        """Return r^T R^-1 r, for half of a solve's work.

        Args:
            residual: residual r, shape (m,).
        """
        scaled = self.blocks.solve(residual)
        along = self.columns.T @ scaled
        return float(residual @ scaled - along @ cho_solve(self.factor, along))

    @property
    def log_determinant(self) -> float:
        """Logarithm ln det R."""
        return self.blocks.log_determinant + 2.0 * float(np.log(np.diag(self.factor[0])).sum())

    def draw_shared(self, residual: Values, rng: np.random.Generator) -> Values:
        """Draw zeta given y - F, shape (r,): a draw of N(0, 1), corrected by the data (Matheron's rule)."""
        zeta = rng.standard_normal(self.columns.shape[1])
        noise = self.blocks.half_times(rng.standard_normal(len(residual)))
        return np.asarray(zeta + self.columns.T @ self.solve(residual - self.columns @ zeta - noise))


@dataclass(frozen=True, slots=True)
class FrontErrors:
    """Covariance R for each of some q, and the prior probability of each q.

    Attributes:
        front_error_mm: sizes q of the front model error, mm after 100 days, shape (k,).
        log_prior: logarithm of the prior density of each q up to a constant, shape (k,).
        errors: covariance R of the errors for each q.
    """

    front_error_mm: Values
    log_prior: Values
    errors: tuple[SharedErrors, ...]

    def log_densities(self, residual: Values) -> Values:
        """Return ln p(y, q | F) up to a constant, shape (k,).

        Args:
            residual: residual y - F, shape (m,).
        """
        fits = [one.misfit(residual) + one.log_determinant for one in self.errors]
        return np.asarray(self.log_prior - 0.5 * np.array(fits))


def shared_errors(blocks: BlockCovariance, columns: Values) -> SharedErrors:
    """Factorise R = B + U U^T."""
    inner = np.eye(columns.shape[1]) + columns.T @ blocks.solve(columns)
    return SharedErrors(blocks, columns, cho_factor(inner))


def error_columns(
    scans: tuple[tuple[Reading, ...], ...],
    slopes: tuple[Values, ...],
    days: tuple[float, ...],
    field: Field,
    misplaced_mm: tuple[float, ...],
    settings: TwinSettings,
    front_error_mm: float,
) -> tuple[Values, Values]:
    """Return the diagonal d of B, and U, of all scans, shapes (m,) and (m, (3 scans - 1) r).

    Front model errors come first in U.

    Args:
        scans: readings of each scan.
        slopes: gradient length g of each scan's rows, 1/mm, shape (m_i,).
        days: days of the scans.
        field: random field of the shared errors, which gives phi.
        misplaced_mm: standard deviation of each scan's registration error, millimetres.
        settings: settings of the twin, with the other standard deviations.
        front_error_mm: size q of the front model error, mm after 100 days.
    """
    r, count = len(field.centres_mm), len(scans)
    rows, diagonals = [], []
    for scan, (its, slope) in enumerate(zip(scans, slopes, strict=True)):
        points = np.concatenate([one.points_mm for one in its]) if its else np.zeros((0, 3))
        phi = field.at(points)
        # What the centres do not resolve of the field stays as a voxel's own error.
        rest = np.maximum(1.0 - (phi**2).sum(axis=1), 0.0)
        edge = _by_rows(its, [_edge_mm(one, misplaced_mm[scan], settings) for one in its])
        errors_mm = front_error_mm * np.sqrt(np.diff(days[: scan + 1]) / CENTURY_DAYS)
        noise = _by_rows(its, [_shared(one, settings) for one in its])
        block = np.zeros((len(points), (3 * count - 1) * r))
        moved = slope[:, None] * phi
        for interval, error_mm in enumerate(errors_mm):
            block[:, interval * r : (interval + 1) * r] = error_mm * moved
        first = count - 1
        block[:, (first + scan) * r : (first + scan + 1) * r] = edge[:, None] * moved
        first += count
        block[:, (first + scan) * r : (first + scan + 1) * r] = noise[:, None] * phi
        own = np.concatenate([one.variances for one in its] or [np.zeros(0)])
        sampled = _by_rows(its, [settings.biopsy_std_mm if one.kind == BIOPSY else 0.0 for one in its])
        own = own + (slope * sampled) ** 2
        diagonals.append(own + rest * (slope**2 * (edge**2 + float(errors_mm @ errors_mm)) + noise**2))
        rows.append(block)
    return np.concatenate(diagonals), np.concatenate(rows)


def _by_rows(its: tuple[Reading, ...], numbers: list[float]) -> Values:
    """Return a number for each reading, repeated for its rows."""
    return np.repeat(numbers, [len(one.values) for one in its]).astype(np.float64)


def _edge_mm(reading: Reading, misplaced_mm: float, settings: TwinSettings) -> float:
    """Return the standard deviation of a reading's place, mm: registration, and drawing where a contour was drawn."""
    drawn = 0.0 if reading.kind in (GAIN, BIOPSY) else settings.contour_std_mm
    return float(np.hypot(drawn, misplaced_mm))


def _shared(reading: Reading, settings: TwinSettings) -> float:
    return settings.shared_noise_std if reading.kind == GAIN else 0.0
