"""Population priors: hospitals that share a mean and a covariance learn what shared patients would teach."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.twin.trust.population import PatientPosterior, Population, learn, pool

NAMES = ("proliferation", "diffusivity", "alpha")
REFERENCE = (np.array([-3.0, -2.0, -3.3]), np.diag([0.25, 0.8, 0.5]))
TRUE_MEAN = np.array([-2.6, -2.5, -3.6])
TRUE_SPREAD = np.array([[0.10, 0.05, 0.0], [0.05, 0.30, 0.0], [0.0, 0.0, 0.12]])
VIEWS = np.array([[1.0, 0.4, 0.0], [0.3, 1.0, 0.0], [0.2, 0.0, 1.0]])

Values = NDArray[np.float64]


def cohort(
    count: int, seed: int, shift: float = 0.0, noise: float = 0.3
) -> tuple[list[PatientPosterior], Values, Values]:
    """Patients with linear data, their posteriors under the reference prior, true parameters and data."""
    rng = np.random.default_rng(seed)
    truths = rng.multivariate_normal(TRUE_MEAN + shift, TRUE_SPREAD, count)
    data = truths @ VIEWS.T + noise * rng.standard_normal((count, 3))
    return [posterior(one, noise, *REFERENCE) for one in data], truths, data


def posterior(data: Values, noise: float, mean: Values, covariance: Values) -> PatientPosterior:
    """Exact posterior of one patient."""
    inverse = np.linalg.inv(covariance)
    own = np.linalg.inv(inverse + VIEWS.T @ VIEWS / noise**2)
    return PatientPosterior(own @ (inverse @ mean + VIEWS.T @ data / noise**2), own)


def crps(mean: float, std: float, truth: float) -> float:
    """Continuous ranked probability score of a normal forecast."""
    from scipy.stats import norm

    z = (truth - mean) / std
    return float(std * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi)))


def test_many_patients_teach_the_true_population() -> None:
    """Empirical Bayes is consistent: with 4000 patients mean and covariance are the true ones to sampling error."""
    found = learn(NAMES, cohort(4000, 1)[0], *REFERENCE)
    assert np.allclose(found.mean, TRUE_MEAN, atol=4.0 * np.sqrt(np.diag(TRUE_SPREAD) / 4000) + 0.01)
    assert np.allclose(found.covariance, TRUE_SPREAD, atol=0.03)


def test_patients_that_tell_nothing_leave_the_reference() -> None:
    """A parameter that no patient's data inform keeps its prior; anything else would be made up."""
    silent = [PatientPosterior(REFERENCE[0], REFERENCE[1])] * 30
    found = learn(NAMES, silent, *REFERENCE)
    assert np.allclose(found.mean, REFERENCE[0], atol=1e-9)
    assert np.allclose(found.covariance, REFERENCE[1], rtol=1e-6)


def test_order_and_units_do_not_matter() -> None:
    """Equivariance: an invertible linear change of the parameters changes the population by the same change."""
    patients = cohort(40, 2)[0]
    turn = np.array([[2.0, 0.3, 0.0], [0.0, 1.0, 0.5], [0.1, 0.0, 0.7]])
    moved = [PatientPosterior(turn @ one.mean, turn @ one.covariance @ turn.T) for one in reversed(patients)]
    plain = learn(NAMES, patients, *REFERENCE)
    turned = learn(NAMES, moved, turn @ REFERENCE[0], turn @ REFERENCE[1] @ turn.T)
    assert np.allclose(turned.mean, turn @ plain.mean, atol=1e-6)
    assert np.allclose(turned.covariance, turn @ plain.covariance @ turn.T, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_pooled_hospitals_forecast_as_well_as_pooled_data(seed: int) -> None:
    """What is shared must suffice: forecasts under the pooled prior reach the score of pooled data within 5 %."""
    hospitals = [cohort(size, 100 * seed + k, shift=0.15 * k)[0] for k, size in enumerate((12, 20, 35))]
    apart = pool([learn(NAMES, patients, *REFERENCE) for patients in hospitals])
    together = learn(NAMES, [one for patients in hospitals for one in patients], *REFERENCE)
    _, truths, data = cohort(400, 7000 + seed, shift=0.15)
    ahead = np.array([1.0, -0.5, 0.8])

    def score(prior: Population | tuple[Values, Values]) -> float:
        mean, covariance = (prior.mean, prior.covariance) if isinstance(prior, Population) else prior
        found = []
        for truth, seen in zip(truths, data, strict=True):
            one = posterior(seen, 0.9, mean, covariance)
            std = float(np.sqrt(ahead @ one.covariance @ ahead))
            found.append(crps(float(ahead @ one.mean), std, float(ahead @ truth)))
        return float(np.mean(found))

    assert score(apart) <= 1.05 * score(together)
    assert score(apart) < 0.9 * score(REFERENCE)


def test_pooling_is_associative_and_counts_patients() -> None:
    """Hospitals may join one after another or all at once."""
    one, two, three = (learn(NAMES, cohort(size, size)[0], *REFERENCE) for size in (10, 15, 25))
    at_once, in_turn = pool([one, two, three]), pool([pool([one, two]), three])
    assert at_once.patients == in_turn.patients == 50
    assert np.allclose(at_once.mean, in_turn.mean)
    assert np.allclose(at_once.covariance, in_turn.covariance)


def test_few_patients_are_refused() -> None:
    """Mean and covariance of a handful would tell of single persons."""
    with pytest.raises(ValueError, match="at least 10"):
        learn(NAMES, cohort(9, 3)[0], *REFERENCE)
    with pytest.raises(ValueError, match="at least 10"):
        Population(NAMES, 9, TRUE_MEAN, TRUE_SPREAD)


@pytest.mark.parametrize("covariance", [-TRUE_SPREAD, TRUE_SPREAD + np.triu(np.ones((3, 3)), 1), TRUE_SPREAD * np.nan])
def test_what_is_no_distribution_is_refused(covariance: Values) -> None:
    """A damaged file must not become a prior."""
    with pytest.raises(ValueError, match="covariance"):
        Population(NAMES, 20, TRUE_MEAN, covariance)
    with pytest.raises(ValueError, match="different parameters"):
        pool([Population(NAMES, 20, TRUE_MEAN, TRUE_SPREAD), Population(NAMES[::-1], 20, TRUE_MEAN, TRUE_SPREAD)])
