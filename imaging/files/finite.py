"""Check that displacements are finite numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError


def demand_finite(path: Path, values: NDArray[np.number]) -> None:
    """Refuse displacements that are no numbers.

    Args:
        path: file or folder that holds them, for the error.
        values: displacements, of any shape.

    Raises:
        InputError: a value is NaN or infinite.
    """
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise InputError(
            path,
            found=f"{bad} values that are not finite (NaN or infinite)",
            expected="finite displacements everywhere",
            advice="Set voxels without signal to 0 and leave them out of the mask.",
        )
