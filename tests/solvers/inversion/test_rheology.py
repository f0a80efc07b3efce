"""How stiffness follows frequency: the laws themselves, their derivatives, and what they do to a zone's likelihood."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate
import scipy.stats as stats
from numpy.typing import NDArray

from palpate.config.inversion import InversionSettings
from palpate.solvers.inversion.zone.curvature import Whitening
from palpate.solvers.inversion.zone.zone_solver import WorkCounter, ZoneSolver
from palpate.solvers.rheology import (
    SPRINGPOT_VISCOSITY_PA_S,
    Dispersion,
    KelvinVoigt,
    Rheology,
    Springpot,
    dispersions,
    reference_hz,
)
from palpate.solvers.summary import INTERVAL_95, log_normal, of_draws, of_increasing
from tests.laws.chance import assert_mean_square
from tests.laws.taylor import gradient_remainders, rates
from tests.solvers.inversion.cases import UNIT_VOXEL, box, linearise, plane_wave_data, varied

LAWS = (KelvinVoigt(), Springpot())
OMEGA = 2 * np.pi * 50.0
STEPS = (1e-2, 5e-3, 2.5e-3)
VOXELS = 40


def _fields(seed: int = 0) -> NDArray[np.float64]:
    """Values of ln G' and ln G'' in pascal, loss tangents between a tenth and five."""
    rng = np.random.default_rng(seed)
    storage = np.log(2500.0) + rng.normal(0.0, 0.4, VOXELS)
    return np.stack([storage, storage + rng.uniform(-2.3, 1.6, VOXELS)])


def _complex(fields: NDArray[np.float64]) -> NDArray[np.complex128]:
    storage, loss = np.exp(fields)
    return np.asarray(storage + 1j * loss)


def test_kelvin_voigt_is_a_spring_beside_a_dashpot() -> None:
    """G* = G' + i omega eta with one viscosity at every frequency, and the viscosity is what the map shows."""
    fields = _fields()
    eta = np.exp(fields[1]) / OMEGA
    for ratio in (0.3, 1.0, 2.5):
        expected = np.exp(fields[0]) + 1j * ratio * OMEGA * eta
        assert _complex(KelvinVoigt().at(fields, np.log(ratio))) == pytest.approx(expected)
    certain = np.repeat(fields[:, :, None], 2, axis=2)
    assert KelvinVoigt().parameters(fields, certain, OMEGA)["viscosity"].mean == pytest.approx(eta)


def test_springpot_is_a_power_of_i_omega() -> None:
    """G* = mu^(1 - alpha) eta^alpha (i omega)^alpha at every frequency, with the alpha and mu that the maps show.

    A sign or a factor of pi / 2 wrong would still invert one frequency well and put every other in the wrong place.
    """
    fields = _fields()
    found = Springpot().parameters(fields, np.repeat(fields[:, :, None], 2, axis=2), OMEGA)
    alpha, mu = found["springpotalpha"].mean, found["springpotmodulus"].mean
    for ratio in (0.3, 1.0, 2.5):
        expected = mu ** (1.0 - alpha) * (SPRINGPOT_VISCOSITY_PA_S * 1j * ratio * OMEGA) ** alpha
        assert _complex(Springpot().at(fields, np.log(ratio))) == pytest.approx(expected)


@pytest.mark.parametrize("law", LAWS)
def test_no_frequency_is_special(law: Rheology) -> None:
    """By way of a third frequency or directly, and there and back: the reference only states the prior."""
    fields = _fields()
    assert law.at(law.at(fields, 0.4), -0.9) == pytest.approx(law.at(fields, -0.5))
    dispersion = Dispersion(law, 0.7, 0)
    assert dispersion.back(dispersion.at(fields)) == pytest.approx(fields)


@pytest.mark.parametrize("law", LAWS)
def test_jacobian_by_taylor_rate(law: Rheology) -> None:
    """The central difference of the map leaves an error of order two, or none where the law is linear."""
    fields = _fields()
    direction = np.random.default_rng(1).standard_normal(fields.shape)
    slope = np.einsum("fgn,gn->fn", law.jacobian(fields, 0.7), direction)
    errors = [
        np.linalg.norm(law.at(fields + h * direction, 0.7) - law.at(fields - h * direction, 0.7) - 2 * h * slope)
        / (2 * h)
        for h in STEPS
    ]
    assert max(errors) < 1e-11 or np.all(np.abs(rates(errors, STEPS) - 2.0) < 0.1)


@pytest.mark.parametrize("law", LAWS)
def test_spread_follows_the_fields_to_another_frequency(law: Rheology) -> None:
    """What the prior says elsewhere is what its draws say there: it decides which voxels count as informed."""
    dispersion, small = Dispersion(law, 0.7, 0), 1e-3
    fields = _fields()[:, :2]
    cross_correlation, spread = np.array([[1.0, 0.6], [0.6, 1.0]]), np.array([[1.0, 2.0], [1.5, 0.7]])
    unit = np.linalg.cholesky(cross_correlation) @ np.random.default_rng(2).standard_normal((2, 2, 2000)).swapaxes(0, 1)
    draws = small * spread[:, :, None] * unit.swapaxes(0, 1)
    moved = dispersion.at(fields[:, :, None] + draws) - dispersion.at(fields)[:, :, None]
    stated = dispersion.spread(fields, small * spread, cross_correlation)
    for values, std in zip(moved.reshape(4, -1), stated.ravel(), strict=True):
        assert_mean_square(values, std**2, slack=small)


FREQUENCIES = (Dispersion(Springpot(), -0.3, 0), Dispersion(Springpot(), 0.4, 1))


def test_gradient_of_two_frequencies_by_taylor_rate() -> None:
    """The sum of both misfits falls along minus the pulled-back gradients as fast as they say."""
    zone = box(5, 5, 5)
    data, m = [plane_wave_data(zone, seed) for seed in (0, 1)], varied(zone, 2)

    def half_misfit(parameters: NDArray[np.float64]) -> float:
        fields = parameters.reshape(2, -1)
        pairs = zip(FREQUENCIES, data, strict=True)
        return 0.5 * sum(linearise(seen, law.at(fields).ravel()).misfit for law, seen in pairs)

    fields, gradient = m.reshape(2, -1), np.zeros_like(m)
    for law, seen in zip(FREQUENCIES, data, strict=True):
        own = linearise(seen, law.at(fields).ravel()).gradient
        gradient += law.pull_back(fields, own[:, None])[:, 0]
    direction = np.random.default_rng(3).standard_normal(m.shape)
    errors = gradient_remainders(half_misfit, gradient, m, direction, STEPS)
    assert np.all(np.abs(rates(errors, STEPS) - 2.0) < 0.1)


@pytest.mark.parametrize("law", FREQUENCIES)
def test_a_zone_answers_in_the_fields_that_are_inverted(law: Dispersion) -> None:
    """Gradient by Taylor rate, from the zone solver itself: it sees m at the reference and its data's frequency.

    Along L L^T times the gradient at the data's frequency, by the informed directions of full weight, taken to the
    reference: there the weights of informed directions lose nothing. The Hessian's action along it is not more than the
    true one, as compression promises.
    """
    zone = box(5, 5, 5)
    whitening, m = Whitening(zone.ijk, UNIT_VOXEL), varied(zone, 2)
    data, fields = plane_wave_data(zone, 0), m.reshape(2, -1)
    solver = ZoneSolver(0, data, UNIT_VOXEL, 60, WorkCounter(), law)
    state = solver.evaluate(m)
    assert solver.cache is not None
    weights = solver.cache.root_weights
    full_weight = solver.cache.basis[:, : len(weights)][:, weights == 1.0].astype(np.float64)
    there = law.at(fields)
    # The inverse Jacobian is that of the way back.
    back = law.rheology.jacobian(there, -law.log_ratio)
    own = np.einsum("gfn,gn->fn", back, state.gradient.reshape(2, -1)).ravel()
    ahead = whitening.spread(full_weight @ (full_weight.T @ whitening.gather(own[:, None])))[:, 0]
    direction = np.einsum("fgn,gn->fn", back, ahead.reshape(2, -1)).ravel()
    direction /= np.abs(direction).max()

    def half_misfit(parameters: NDArray[np.float64]) -> float:
        return 0.5 * ZoneSolver(0, data, UNIT_VOXEL, 60, WorkCounter(), law).evaluate(parameters).misfit

    errors = gradient_remainders(half_misfit, state.gradient, m, direction, STEPS)
    assert np.all(np.abs(rates(errors, STEPS) - 2.0) < 0.1)
    ahead = np.einsum("fgn,gn->fn", law.rheology.jacobian(fields, law.log_ratio), direction.reshape(2, -1)).ravel()
    full = float(ahead @ linearise(data, there.ravel()).curvature(ahead[:, None])[:, 0])
    kept = float(np.sum((state.hessian_factor.T @ direction) ** 2))
    assert 0.5 * full < kept <= full * (1 + 1e-9)


def test_no_modulus_is_stated_for_a_fluid() -> None:
    """Where alpha may be nearly one, mu is 1e9 kPa in one draw and nothing in the next: such a map would be noise."""
    fields = np.stack([np.full(3, 7.0), 7.0 + np.array([-1.0, 1.0, 4.0])])
    draws = fields[:, :, None] + 0.1 * np.random.default_rng(4).standard_normal((2, 3, 200))
    mu = Springpot().parameters(fields, draws, OMEGA)["springpotmodulus"]
    for values in (mu.mean, mu.std, mu.lower, mu.upper):
        assert np.isfinite(values).tolist() == [True, True, False]
    assert np.all((mu.lower < mu.mean)[:2] & (mu.mean < mu.upper)[:2])


def test_bounds_and_moments_of_a_map() -> None:
    """Mean, spread and bounds of log-normal and bounded quantities against their distributions."""
    centre, std = np.array([-1.0, 0.3, 2.0]), np.array([0.05, 0.4, 0.9])
    known = stats.lognorm(std, scale=np.exp(centre))
    found = log_normal(centre, std)
    assert found.mean == pytest.approx(known.mean())
    assert found.std == pytest.approx(known.std())
    assert found.lower == pytest.approx(known.ppf(stats.norm.cdf(-INTERVAL_95)))

    def exponent(t: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(2 / np.pi * np.arctan(np.exp(t)))

    drawn = of_draws(known.ppf(np.arange(1, 400)[:, None] / 400).T)  # each quantile once
    assert drawn.lower == pytest.approx(found.lower)
    assert drawn.upper == pytest.approx(found.upper)
    assert drawn.mean == pytest.approx(found.mean, rel=0.02)
    alpha = of_increasing(exponent, centre, std)
    for i, (c, s) in enumerate(zip(centre, std, strict=True)):
        moments = [
            scipy.integrate.quad(
                lambda t, c=c, s=s, p=p: exponent(t) ** p * stats.norm.pdf(t, c, s), c - 9 * s, c + 9 * s
            )
            for p in (1, 2)
        ]
        assert alpha.mean[i] == pytest.approx(moments[0][0], rel=1e-6)
        assert alpha.std[i] == pytest.approx(np.sqrt(moments[1][0] - moments[0][0] ** 2), rel=1e-3)
        assert alpha.upper[i] == pytest.approx(exponent(stats.norm.ppf(0.975, c, s)))


def test_the_reference_is_the_middle_of_what_was_measured() -> None:
    """Geometric mean unless set; and frequencies without a rheology are never mixed."""
    settings = InversionSettings(rheology="springpot")
    assert reference_hz(settings, [40.0]) == 40.0
    assert reference_hz(settings, [20.0, 40.0, 80.0]) == pytest.approx(40.0)
    assert reference_hz(settings.model_copy(update={"reference_hz": 50.0}), [20.0, 80.0]) == 50.0
    assert [law.log_ratio for law in dispersions(settings, [40.0])] == [0.0]
    with pytest.raises(ValueError, match="without a rheology"):
        dispersions(InversionSettings(), [40.0, 50.0])
