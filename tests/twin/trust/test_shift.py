"""Shifts of covariates and of outcomes are found, told apart, and not seen where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.twin.trust.shift import PatientShift, compare, permuted

NAMES = ("voxel_mm", "size_ml", "age")
Values = NDArray[np.float64]


def patients(
    count: int, rng: np.random.Generator, *, covariate: float = 0.0, label: float = 0.0
) -> tuple[Values, Values]:
    """Patients whose outcome depends on their covariates, shifted by so many standard deviations."""
    x = rng.standard_normal((count, 3)) + np.array([covariate, 0.0, 0.0])
    y = x @ np.array([[0.8], [0.5], [0.0]]) + 0.6 * (rng.standard_normal((count, 1)) + label)
    return x, y


def verdicts(trials: int, count: int, **planted: float) -> list[PatientShift]:
    """Comparisons of simulated hospitals with a simulated reference."""
    found = []
    for seed in range(trials):
        rng = np.random.default_rng(seed)
        found.append(compare(NAMES, patients(60, rng), patients(count, rng, **planted), seed))
    return found


def test_no_shift_is_rarely_called_one() -> None:
    """False alarms stay within what the level promises: 5 % of 60 trials, and chance."""
    assert sum(one.verdict != "none" for one in verdicts(60, 30)) <= 8


@pytest.mark.parametrize(("planted", "verdict"), [({"covariate": 1.2}, "covariate"), ({"label": 1.2}, "label")])
def test_planted_shifts_are_found_and_told_apart(planted: dict[str, float], verdict: str) -> None:
    """Another scanner that carries outcomes along is no change of the disease, and the reverse."""
    found = verdicts(40, 30, **planted)
    assert sum(one.verdict == verdict for one in found) >= 34
    if verdict == "covariate":
        assert all(one.furthest == "voxel_mm" and one.furthest_stds > 0 for one in found)


def test_p_values_of_equal_groups_are_uniform() -> None:
    """A permutation test is exact: under equality a share p of its p-values lies below p."""
    rng = np.random.default_rng(3)
    found = np.array([permuted(rng.standard_normal((15, 2)), rng.standard_normal((15, 2)), rng) for _ in range(120)])
    assert abs(float(np.mean(found <= 0.5)) - 0.5) < 0.15
    assert float(np.mean(found <= 0.05)) < 0.12


def test_units_do_not_matter() -> None:
    """Covariates in other units give the same answer."""
    rng = np.random.default_rng(8)
    reference, others = patients(40, rng), patients(20, rng, covariate=0.7)
    units = np.array([1e3, 0.1, 7.0])
    one = compare(NAMES, reference, others, 1)
    two = compare(NAMES, (reference[0] * units, reference[1]), (others[0] * units, others[1]), 1)
    assert one.covariate_p == two.covariate_p
    assert one.label_p == pytest.approx(two.label_p, abs=0.01)


def test_a_handful_is_refused() -> None:
    """Nine patients tell nothing, and a NaN must not look like agreement."""
    rng = np.random.default_rng(9)
    x, y = patients(12, rng)
    with pytest.raises(ValueError, match="at least 10"):
        compare(NAMES, (x, y), (x[:9], y[:9]), 1)
    x[0, 0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        compare(NAMES, (x, y), (x, y), 1)


def test_patients_unlike_any_of_the_reference_are_not_judged_by_outcome() -> None:
    """Far outside what was tried a regression would extrapolate, and call its own error a change of the disease."""
    rng = np.random.default_rng(10)
    found = compare(NAMES, patients(60, rng), patients(30, rng, covariate=9.0), 1)
    assert found.verdict == "covariate"
    assert found.label_p is None
    assert "nothing tells" in found.sentence()
