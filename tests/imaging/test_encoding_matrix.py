"""Encoding schemes: the same motion must come out of every one of them, with its sign, its size and its axes."""

from __future__ import annotations

import numpy as np
import pytest

from palpate.errors import InputError
from palpate.imaging.waves.encoding_matrix import demodulate, difference_weights, scheme_matrix, with_background

SHAPE = (4, 3, 2)
OFFSETS = 4
PAIRS = [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]]
REFERENCED = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
TETRAHEDRAL = [[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
SCHEMES = {
    "three directions": ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], 1.0),
    "reference and three": (REFERENCED, 1.0),
    "six in pairs": (PAIRS, 2.0),
    "tetrahedral": (TETRAHEDRAL, 4.0),
    "tetrahedral, unit vectors": (np.array(TETRAHEDRAL) / np.sqrt(3), 4 / np.sqrt(3)),
}


def _motion(scale: float = 0.5) -> np.ndarray:
    """theta, radians of an encoding of weight 1, shape (3, offset, i, j, k)."""
    return scale * np.random.default_rng(0).uniform(-1, 1, size=(3, OFFSETS, *SHAPE))


def _static() -> np.ndarray:
    """beta, anything at all, shape (i, j, k)."""
    return np.random.default_rng(1).uniform(-np.pi, np.pi, size=SHAPE)


def _measure(matrix: np.ndarray, motion: np.ndarray, static: np.ndarray) -> np.ndarray:
    """Signals of magnitude 100 from the definition of the matrix, shape (encoding, offset, i, j, k)."""
    phases = [sum(row[d] * motion[d] for d in range(3)) + row[3] * static for row in matrix]
    return 100.0 * np.exp(1j * np.array(phases))


@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_gives_the_same_motion(name: str) -> None:
    """Phase = gain * theta along +x, +y, +z: a sign or factor lost here scales or mirrors every displacement."""
    rows, gain = SCHEMES[name]
    matrix, motion = with_background(rows), _motion()
    found = demodulate(_measure(matrix, motion, _static()), matrix)
    np.testing.assert_allclose(found.axes, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(found.gains, gain)
    np.testing.assert_allclose(found.phase_rad, gain * motion, atol=1e-9)
    np.testing.assert_allclose(found.magnitude, 100.0)


@pytest.mark.parametrize("name", SCHEMES)
def test_wrapped_encodings_give_the_wrapped_difference(name: str) -> None:
    """Each image may wrap many times: only whole weights keep the difference right up to whole turns."""
    rows, gain = SCHEMES[name]
    matrix, motion = with_background(rows), _motion(scale=9.0)
    found = demodulate(_measure(matrix, motion, _static()), matrix)
    np.testing.assert_allclose(np.exp(1j * found.phase_rad), np.exp(1j * gain * motion), atol=1e-9)


@pytest.mark.parametrize("name", [name for name in SCHEMES if name != "three directions"])
def test_static_phase_cancels_within_an_offset(name: str) -> None:
    """A phase that drifts from offset to offset, as breathing makes it, must not look like vibration."""
    matrix = with_background(SCHEMES[name][0])
    drift = np.random.default_rng(2).uniform(-np.pi, np.pi, size=(OFFSETS, *SHAPE))
    still, drifting = (demodulate(_measure(matrix, _motion(), static), matrix) for static in (_static(), drift))
    np.testing.assert_allclose(drifting.phase_rad, still.phase_rad, atol=1e-9)


@pytest.mark.parametrize("order", [[3, 0, 5, 1, 4, 2], [5, 4, 3, 2, 1, 0]])
def test_the_order_of_encodings_does_not_matter(order: list[int]) -> None:
    """Sequences differ in the order in which they play the encodings; rows of the matrix move with the images."""
    matrix, motion = with_background(PAIRS), _motion()
    signals = _measure(matrix, motion, _static())
    shuffled = demodulate(signals[order], matrix[order])
    np.testing.assert_allclose(shuffled.phase_rad, 2 * motion, atol=1e-9)


@pytest.mark.parametrize("rows", [PAIRS, REFERENCED, TETRAHEDRAL], ids=["pairs", "referenced", "tetrahedral"])
def test_polarity_that_alternates_with_the_offset(rows: list[list[int]]) -> None:
    """Interleaved polarity: every other offset plays the opposite encodings, and the motion stays what it was."""
    signs = np.array([1, -1, 1, -1])
    matrices = np.stack([with_background(sign * np.array(rows)) for sign in signs])
    motion, static = _motion(), _static()
    signals = np.stack([_measure(matrices[t], motion[:, t : t + 1], static)[:, 0] for t in range(OFFSETS)], axis=1)
    found = demodulate(signals, matrices)
    np.testing.assert_allclose(found.phase_rad, found.gains[:, None, None, None, None] * motion, atol=1e-9)


def test_polarity_cannot_alternate_without_a_reference() -> None:
    """Conjugating every other image would turn the static phase into a signal at the highest frequency."""
    rows = np.eye(3)
    matrices = np.stack([with_background(sign * rows) for sign in (1, -1, 1, -1)])
    with pytest.raises(ValueError, match="no reference"):
        demodulate(np.ones((3, OFFSETS, *SHAPE), dtype=np.complex128), matrices)


def test_oblique_encodings_give_their_own_axes() -> None:
    """Encodings that share no axis with the columns still measure motion: along the axes that are reported."""
    rows = [[0, 0, 0], [1, 0.2, 0], [0.1, 1, 0.3], [0.2, 0, 1]]
    matrix, motion = with_background(rows), _motion()
    found = demodulate(_measure(matrix, motion, _static()), matrix)
    along = np.einsum("dc,c...->d...", found.axes * found.gains[:, None], motion)
    np.testing.assert_allclose(np.linalg.norm(found.axes, axis=1), 1.0)
    np.testing.assert_allclose(found.phase_rad, along, atol=1e-9)
    assert np.linalg.matrix_rank(found.axes, tol=0.1) == 3


def test_the_least_noisy_combination_is_taken() -> None:
    """Six-point data halves its noise by using both signs of each axis, tetrahedral data by using all four images."""
    assert np.abs(difference_weights(with_background(PAIRS))).sum(axis=1).tolist() == [2, 2, 2]
    assert np.abs(difference_weights(with_background(TETRAHEDRAL))).sum(axis=1).tolist() == [4, 4, 4]


@pytest.mark.parametrize(
    "rows",
    [
        [[1, 0, 0], [0, 1, 0], [1, 1, 0]],
        [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]],
        [[1, 0, 0], [-1, 0, 0], [2, 0, 0], [0, 0, 0]],
        [[1, 0, 0], [0, 1, 0]],
        [[np.nan, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[0, 0, 1]] * 9,
    ],
    ids=["plane", "plane with reference", "line", "two", "not a number", "nine"],
)
def test_schemes_without_three_directions_are_refused(rows: list[list[float]]) -> None:
    """A wave field with a missing component would be inverted as if the tissue stood still along it."""
    with pytest.raises(ValueError, match="encoding"):
        difference_weights(with_background(rows))


def test_signals_must_fit_the_matrix() -> None:
    """Images of another scheme must not be combined by accident."""
    with pytest.raises(ValueError, match="belong together"):
        demodulate(np.ones((4, OFFSETS, *SHAPE), dtype=np.complex128), with_background(PAIRS))


@pytest.mark.parametrize(
    ("rows", "axes", "gain"),
    [
        ([[0, 0, 1]], [[0, 0, 1]], 1.0),
        ([[0, 0, 1], [0, 0, -1]], [[0, 0, 1]], 2.0),
        ([[0, 0, 1], [0, 0, 0]], [[0, 0, 1]], 1.0),
        ([[1, 0, 0], [0, 0.6, 0.8]], [[1, 0, 0], [0, 0.6, 0.8]], 1.0),
        ([[0, 0.6, 0.8], [0, 0, 1]], [[0, 0.6, 0.8], [0, 0, 1]], 1.0),
    ],
    ids=["one", "a pair", "one and a reference", "two", "two that are close"],
)
def test_one_or_two_encodings_give_the_directions_they_have(
    rows: list[list[float]], axes: list[list[float]], gain: float
) -> None:
    """Each component that was measured comes out along its own direction; nothing is made of the others."""
    matrix, motion = with_background(rows), _motion()
    found = demodulate(_measure(matrix, motion, _static()), matrix)
    np.testing.assert_allclose(found.axes, axes, atol=1e-12)
    np.testing.assert_allclose(found.gains, gain)
    expected = np.exp(1j * gain * np.einsum("dc,c...->d...", np.array(axes), motion))
    turn = np.exp(1j * found.phase_rad) / expected
    # The static phase may stay: it is constant over the offsets.
    np.testing.assert_allclose(turn, np.broadcast_to(turn[:, :1], turn.shape), atol=1e-9)
    assert scheme_matrix(rows).shape == (len(rows), 4)


def test_an_encoding_of_nothing_is_refused() -> None:
    """A row of zeros alone measures no direction."""
    with pytest.raises(InputError, match=r"encoding_matrix.*no direction"):
        scheme_matrix([[0, 0, 0]])
