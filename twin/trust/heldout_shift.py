"""Whether the subjects of one test on hidden scans are like those of another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.files.json_object import read_json
from palpate.twin.products.figures import QUANTITIES
from palpate.twin.trust.heldout import HeldoutSubject, subject_of
from palpate.twin.trust.shift import FEWEST, PatientShift, compare

type Values = NDArray[np.float64]

COVARIATES: Final = ("ln of the visible volume", "edge of the voxels, mm", "days between the scans")
"""Names of the covariates, in order."""
_VISIBLE: Final = QUANTITIES[1]
_LEAST_ML: Final = 0.05
"""Volume that is added before a logarithm, mL: a tumour that has vanished has one, too."""


def shift_between(
    reference: Sequence[HeldoutSubject], others: Sequence[HeldoutSubject], seed: int = 1
) -> PatientShift | None:
    """Return how subjects differ from a reference; None where either group has fewer than FEWEST.

    Outcomes are the growth of ln of the visible volume, and its rank among the draws of the forecast.

    Args:
        reference: subjects that the twin was tried on.
        others: subjects in question.
        seed: seed of the permutations.
    """
    both = _numbers(reference), _numbers(others)
    if min(len(x) for x, _ in both) < FEWEST:
        return None
    return compare(COVARIATES, *both, seed)


def read_reference(path: Path) -> tuple[HeldoutSubject, ...]:
    """Read the subjects of an earlier test.

    Args:
        path: JSON file of palpate verify heldout.

    Raises:
        InputError: it is another file.
    """
    content = read_json(path, what="the scores of palpate verify heldout", advice="Run palpate verify heldout there.")
    try:
        return tuple(subject_of(one) for one in content["subjects"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            path,
            found=f"values that cannot be used ({error})",
            expected="the scores of palpate verify heldout",
            advice="Run palpate verify heldout there.",
        ) from error


def _numbers(subjects: Sequence[HeldoutSubject]) -> tuple[Values, Values]:
    """Return covariates and outcomes, shapes (n, 3) and (n, 2)."""
    x, y = [], []
    for one in subjects:
        for value in one.values:
            if value.quantity == _VISIBLE:
                x.append((np.log(one.size_ml + _LEAST_ML), one.voxel_mm, value.days))
                y.append((np.log((value.seen + _LEAST_ML) / (value.last + _LEAST_ML)), value.rank))
    return np.array(x).reshape(-1, 3), np.array(y).reshape(-1, 2)
