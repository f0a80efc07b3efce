"""Checks of a matrix in a user's registration file: only motions of one patient pass."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.quality_warning import QualityWarning

RIGID: Final = 1e-3
"""Largest departure of a rotation's columns from orthogonal unit vectors that the digits of a file explain."""
MOST_SCALE: Final = 1.1
"""Largest stretch of one direction, or its inverse, that is accepted. Scanners' gradients and gantries are off by some
per mille; a head that differs by 10 % is another head, or a template's."""
_WORTH_SAYING: Final = 0.01
_FURTHEST_MM: Final = 1e4
"""Largest shift between two frames of reference that is accepted, mm: origins lie within a scanner's room."""
_AGAIN: Final = "Export a rigid registration of the two images again."


def demand_motion(matrix: NDArray[np.float64], where: str, kind: str = "AFFINE") -> tuple[QualityWarning, ...]:
    """Refuse a matrix that is no motion of one patient; return a warning where it is not rigid.

    Args:
        matrix: homogeneous matrix of points in millimetres, shape (4, 4).
        where: name of its file in errors.
        kind: type that the file states: RIGID, RIGID_SCALE (orthogonal axes, each with a scale) or AFFINE.

    Raises:
        InputError: numbers are not finite, the last row is not 0 0 0 1, the matrix mirrors, flattens or stretches by
            more than MOST_SCALE, shifts by metres, or is not of the type that is stated.
    """
    found = _fault(matrix, kind)
    if found:
        expected = "a rigid motion: a rotation and a shift in mm, or close to one"
        raise InputError(where, found=found, expected=expected, advice=_AGAIN)
    stretches = np.linalg.svd(matrix[:3, :3], compute_uv=False)
    if max(stretches[0], 1.0 / stretches[2]) - 1.0 <= _WORTH_SAYING:
        return ()
    sentence = (
        f"The registration stretches directions by factors of {stretches[2]:.3f} to {stretches[0]:.3f}: two images of "
        "one patient differ by a rigid motion."
    )
    advice = "Check that both images show this patient and that neither is a template; register them rigidly."
    return (QualityWarning("registration-not-rigid", sentence, advice),)


def _fault(matrix: NDArray[np.float64], kind: str) -> str:
    """Return why a matrix is no motion of one patient; empty where it is one."""
    if matrix.shape != (4, 4) or not np.all(np.isfinite(matrix)):
        return "a matrix that is not 4 x 4 finite numbers"
    if not np.allclose(matrix[3], [0.0, 0.0, 0.0, 1.0], atol=1e-6):
        return "a matrix whose last row is not 0 0 0 1 (its numbers may be in the order of columns)"
    linear = matrix[:3, :3]
    stretches = np.linalg.svd(linear, compute_uv=False)
    if stretches[2] < 1.0 / MOST_SCALE or stretches[0] > MOST_SCALE:
        return f"a matrix that stretches by factors of {stretches[2]:.3g} to {stretches[0]:.3g}"
    if np.linalg.det(linear) < 0.0:
        return "a matrix that mirrors: left and right would be exchanged"
    if np.abs(matrix[:3, 3]).max() > _FURTHEST_MM:
        return f"a shift of {np.abs(matrix[:3, 3]).max():.3g} mm"
    gram = linear.T @ linear
    if kind == "RIGID" and np.abs(gram - np.eye(3)).max() > RIGID:
        return "a matrix of the type RIGID that is no rotation"
    if kind == "RIGID_SCALE" and np.abs(gram - np.diag(np.diag(gram))).max() > RIGID:
        return "a matrix of the type RIGID_SCALE with shear"
    return ""
