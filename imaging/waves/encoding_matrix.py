"""Directions of motion from any scheme of motion encodings, on complex data before phase is unwrapped.

A scheme of three or more encodings gives three directions. One encoding gives one direction, two encodings give two, or
one where they are opposite; the components across these directions are not measured.

Encoding e at offset t has the phase

    phi_e = sum_d A_ed theta_d + b_e beta,    theta_d = u_d / MENC,

where u_d is displacement along axis d, A_ed the sensitivity in units of 1 / MENC, and beta the static phase of coils
and field that all encodings share (b_e = 1). A direction is a product of signals, each taken as it is (w = 1),
conjugated (w = -1) or left out, whose static phases cancel:

    angle(prod_e s_e^w_e) = sum_d (w A)_d theta_d,    sum_e w_e b_e = 0.

The weights are whole because a fraction of a wrapped phase means nothing. The phase of a direction is `gain` times that
of an encoding of weight 1: twice for a pair of opposite signs, four times for four tetrahedral encodings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.ingest import EncodingFrame, EncodingPolarity
from palpate.errors import InputError

_SPACE: Final = 3
_PARALLEL: Final = 1e-3
"""Sine of the angle below which a combination counts as being along an axis."""
_MOST_ENCODINGS: Final = 8


@dataclass(frozen=True, slots=True)
class Demodulated:
    """One to three directions of motion, in the form of a phase acquisition.

    Attributes:
        phase_rad: phase of each direction, radians, wrapped to (-pi, pi], shape (direction, offset, i, j, k).
        magnitude: mean signal |s| over the encodings that a direction is made of, same shape.
        axes: unit vectors of the directions in the axes of the matrix' columns, shape (direction, 3).
        gains: radians of phase_rad for each radian of an encoding of weight 1, shape (direction,).
    """

    phase_rad: NDArray[np.float64]
    magnitude: NDArray[np.float64]
    axes: NDArray[np.float64]
    gains: NDArray[np.float64]

    @property
    def gain(self) -> float:
        """Largest gain; the displacement per radian of a single encoding is divided by it."""
        return float(self.gains.max())

    def axes_in_world(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the axes in RAS for a phase acquisition of this gain, shorter than 1 where a gain is smaller.

        Args:
            columns: unit vectors in RAS of the matrix' columns, as columns, shape (3, 3); see column_axes.
        """
        return np.asarray(self.axes @ columns.T * (self.gains / self.gain)[:, None])


def column_axes(frame: EncodingFrame, affine_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the axes of a matrix' columns, as unit vectors in RAS in columns, shape (3, 3).

    Args:
        frame: frame of the columns; "world" for R, A, S; "image" for the directions in which i, j and k increase.
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
    """
    if frame == "world":
        return np.eye(3)
    return np.asarray(affine_mm[:3, :3] / np.linalg.norm(affine_mm[:3, :3], axis=0))


def with_background(rows: Sequence[Sequence[float]] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a matrix of sensitivities with its static-phase column.

    More than three encodings share a static phase that their differences cancel (b = 1). Three or fewer need no
    such differences: the static phase stays, and is removed with the mean over time (b = 0).

    Args:
        rows: sensitivities A, shape (encoding, 3); a reference without motion encoding is a row of zeros.

    Returns:
        A and b, shape (encoding, 4).
    """
    sensitivity = np.asarray(rows, dtype=np.float64)
    shared = np.full((len(sensitivity), 1), 1.0 if len(sensitivity) > 3 else 0.0)
    return np.hstack([sensitivity, shared])


def scheme_matrix(rows: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Return a study's scheme of encodings, with its static-phase column, shape (encoding, 4).

    Args:
        rows: sensitivities A, shape (encoding, 3).

    Raises:
        InputError: three or more encodings do not determine three directions, or fewer determine none.
    """
    matrix = with_background(rows)
    try:
        difference_weights(matrix, direction_count(matrix))
    except ValueError as error:
        raise InputError(
            "encoding_matrix",
            found=str(error),
            expected="3 to 8 rows that span the three directions of space, or 1 or 2 that are not zero",
            advice="State one row for each encoding in the ingest settings, 0, 0, 0 for one without motion encoding.",
        ) from error
    return matrix


def direction_count(matrix: NDArray[np.float64]) -> int:
    """Return how many independent directions a scheme is read for: three, or those that one or two encodings have.

    Three or more encodings that span less than space are a fault of the scheme, not a scheme of fewer directions.

    Args:
        matrix: sensitivities A and static phase b, shape (encoding, 4).
    """
    if len(matrix) >= _SPACE or not np.all(np.isfinite(matrix)):
        return _SPACE
    return max(1, int(np.linalg.matrix_rank(matrix[:, :_SPACE], tol=_PARALLEL * np.abs(matrix).max())))


def difference_weights(matrix: NDArray[np.float64], directions: int = _SPACE) -> NDArray[np.int64]:
    """Return weights of the signals to multiply, plain (1) or conjugated (-1), for independent directions.

    Along each column's axis the combination with the least noise is taken, and of equals the one with the smallest
    gain, which wraps least. Where a column has no combination of its own, the best remaining independent one is
    taken.

    Args:
        matrix: sensitivities A and static phase b, shape (encoding, 4).
        directions: number of independent directions wanted, from 1 to 3.

    Returns:
        The weights w, shape (directions, encoding); a combination along a column's axis has a positive gain.

    Raises:
        ValueError: the shape is another, numbers are not finite, there are more than eight encodings, or so many
            independent directions do not exist that are free of the static phase.
    """
    if matrix.ndim != 2 or matrix.shape[1] != 4 or not np.all(np.isfinite(matrix)):
        raise ValueError(f"an encoding matrix has finite rows of 4, not shape {matrix.shape}")
    if len(matrix) > _MOST_ENCODINGS:
        raise ValueError(f"{len(matrix)} encodings; at most {_MOST_ENCODINGS} are combined")
    if directions == len(matrix) < _SPACE and np.all(np.linalg.norm(matrix[:, :_SPACE], axis=1) > 0.0):
        # As many encodings as directions: sums of two that are no right angle apart would only be closer to each other.
        return np.eye(directions, dtype=np.int64)
    ranked = _ranked_candidates(matrix)
    along = ranked @ matrix[:, :3]
    gains = np.linalg.norm(along, axis=1)
    chosen: list[int] = []
    for axis in range(_SPACE):
        own = np.flatnonzero(along[:, axis] > gains * np.sqrt(1 - _PARALLEL**2))
        chosen += own[:1].tolist()
    for candidate in range(len(ranked)):
        if len(chosen) < directions and _independent(along[[*chosen, candidate]]):
            chosen.append(candidate)
    if len(chosen) < directions:
        wanted = "three independent directions" if directions == _SPACE else "direction"
        raise ValueError(f"no {wanted} can be made of the encodings without their static phase")
    return np.asarray(ranked[chosen])


def demodulate(signals: NDArray[np.complex128], matrix: NDArray[np.float64]) -> Demodulated:
    """Return the directions that the complex images of a scheme of encodings measure.

    Args:
        signals: complex images s, shape (encoding, offset, i, j, k).
        matrix: sensitivities A and static phase b, shape (encoding, 4); or shape (offset, encoding, 4)
            where the encodings change from offset to offset, as where their polarity alternates.

    Raises:
        ValueError: shapes disagree; the matrix lacks directions (see difference_weights); or directions change
            from offset to offset, as with alternating polarity where no difference cancels the static phase.
    """
    matrices = matrix if matrix.ndim == 3 else np.broadcast_to(matrix, (signals.shape[1], *matrix.shape))
    if signals.ndim != 5 or matrices.shape[:2] != (signals.shape[1], signals.shape[0]):
        raise ValueError(f"signals {signals.shape} and encoding matrix {matrix.shape} do not belong together")
    weights = np.stack([difference_weights(one, direction_count(one)) for one in matrices])
    if np.any(weights != weights[0]) and not np.any(matrices[..., 3]):
        raise ValueError("encodings change between offsets, and there is no reference to subtract")
    sensitivities = weights @ matrices[..., :3]
    if not np.allclose(sensitivities, sensitivities[0], rtol=1e-6, atol=1e-9):
        raise ValueError("the encodings of different offsets measure different directions")
    gains = np.linalg.norm(sensitivities[0], axis=1)
    used = np.abs(weights)
    return Demodulated(
        phase_rad=np.stack([_difference(signals, one) for one in np.moveaxis(weights, 1, 0)]),
        magnitude=np.einsum("tde,et...->dt...", used / used.sum(axis=2, keepdims=True), np.abs(signals)),
        axes=sensitivities[0] / gains[:, None],
        gains=gains,
    )


def demodulate_as_told(
    signals: NDArray[np.complex128], matrix: NDArray[np.float64], polarity: EncodingPolarity, where: str
) -> Demodulated:
    """Return the directions that the images of a scheme of encodings measure, as a study's settings state it.

    Args:
        signals: complex images s, shape (encoding, offset, i, j, k).
        matrix: sensitivities A and static phase b at the first offset, shape (encoding, 4).
        polarity: polarity of the encodings; "alternating" where every other offset, from the second on, plays -A.
        where: name of the acquisition in errors.

    Raises:
        InputError: directions cannot be made of the encodings.
    """
    signs = np.where(np.arange(signals.shape[1]) % 2 * (polarity == "alternating"), -1.0, 1.0)
    matrices = matrix * np.stack([signs, signs, signs, np.ones_like(signs)], axis=-1)[:, None, :]
    try:
        return demodulate(signals, matrices)
    except ValueError as error:
        raise InputError(
            where,
            found=f"motion encodings that cannot be separated ({error})",
            expected="encodings that measure three independent directions, or one or two of them",
            advice="Check the scans, encoding_matrix and encoding_polarity.",
        ) from error


def _ranked_candidates(matrix: NDArray[np.float64]) -> NDArray[np.int64]:
    """All usable weights, shape (candidate, encoding): least noise first, then smallest gain, then a fixed order."""
    weights = np.array(list(product((1, 0, -1), repeat=len(matrix))), dtype=np.int64)
    gains = np.linalg.norm(weights @ matrix[:, :3], axis=1)
    usable = (np.abs(weights @ matrix[:, 3]) < 1e-9) & (gains > 1e-6)
    weights, gains = weights[usable], gains[usable]
    precision = gains**2 / np.abs(weights).sum(axis=1)
    return np.asarray(weights[np.lexsort((np.round(gains, 9), -np.round(precision, 9)))])


def _independent(rows: NDArray[np.float64]) -> bool:
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return int(np.linalg.matrix_rank(unit, tol=0.1)) == len(rows)


def _difference(signals: NDArray[np.complex128], weights: NDArray[np.int64]) -> NDArray[np.float64]:
    """Phase of one direction, shape (offset, i, j, k), from weights of shape (offset, encoding)."""
    phase = np.zeros(signals.shape[1:])
    for offset, row in enumerate(weights):
        turned = np.ones(signals.shape[2:], dtype=np.complex128)
        for encoding in np.flatnonzero(row):
            turned *= np.exp(1j * row[encoding] * np.angle(signals[encoding, offset]))
        phase[offset] = np.angle(turned)
    return phase
