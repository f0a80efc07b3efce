"""The twin under its own stress: derivatives, the frozen stress against the coupled one, what a stiffness map does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI

from palpate.errors import InputError
from palpate.imaging.tumour.head import inside_skull
from palpate.imaging.tumour.history import StiffnessDraws, TumourHistory
from palpate.twin.calibration.calibrate import Calibration, calibrate, prepared
from palpate.twin.calibration.calibrate import calibrated as calibrated_problem
from palpate.twin.calibration.posterior import CalibrationProblem
from palpate.twin.forecast.predict import predict
from palpate.twin.priors import SLOWING
from palpate.twin.stress import elastic, followed
from tests.laws.taylor import rates
from tests.twin.small import EDGE_MM, SETTINGS, SHAPE, history, problem

type Values = np.ndarray

STRONG = SETTINGS.model_copy(
    update={"stress_slowing": SETTINGS.stress_slowing.model_copy(update={"median": 60.0}), "draws": 20}
)


@pytest.fixture(scope="module")
def strong() -> CalibrationProblem:
    """A tumour whose stress halves D and more, with stiffness of the population."""
    return problem(STRONG)


@pytest.fixture(scope="module")
def solved() -> tuple[Calibration, CalibrationProblem]:
    """The same, calibrated, with an elastogram of its own, and the problem that this solves."""
    return calibrated_problem(with_stiffness(0.2), STRONG)


@pytest.fixture(scope="module")
def calibrated(solved: tuple[Calibration, CalibrationProblem]) -> Calibration:
    """The calibration alone."""
    return solved[0]


def with_stiffness(spread: float, factor: float = 1.0) -> TumourHistory:
    """The small tumour with twelve draws of a stiffness that varies in blocks and, by the spread, from draw to draw."""
    rng = np.random.default_rng(8)

    def field() -> Values:
        coarse = rng.standard_normal([-(-n // 3) for n in SHAPE])
        return np.kron(coarse, np.ones((3, 3, 3)))[tuple(slice(n) for n in SHAPE)]

    middle = 0.4 * field()
    draws = factor * 2500.0 * np.exp(np.stack([middle + spread * field() for _ in range(12)]))
    draws[:, :4] = np.nan  # beyond the elastogram
    return replace(history(), stiffness=StiffnessDraws(draws.astype(np.float32)))


def coupled_burdens(own: CalibrationProblem, xi: Values) -> Values:
    """Sum of densities at the scans with stress renewed every few days, as the growth model itself does it."""
    assert own.elastic_system is not None
    state, _ = own.dynamics.start(xi)
    found = [state.sum()]
    for interval, model in enumerate(own.dynamics.models):
        free = own.dynamics.unstressed(xi, interval)
        slowing, fronts = own.dynamics.unknowns.natural(xi, SLOWING), own.dynamics.fronts
        _, state = followed(own.elastic_system, slowing, model, free, state, fronts)
        found.append(state.sum())
    return np.array(found)


def test_slowing_and_stiffness_have_their_derivative(strong: CalibrationProblem) -> None:
    """Gauss-Newton sees the new unknowns by tangents with the stress held: a Taylor rate of 2 in them alone."""
    unknown = strong.dynamics.unknowns
    rng = np.random.default_rng(0)
    xi, direction = 0.3 * rng.standard_normal(unknown.size), np.zeros(unknown.size)
    direction[[unknown.names.index(SLOWING), *range(unknown.size)[unknown.mode_slice()]]] = 1.0
    assert direction.sum() == 1 + STRONG.stiffness_modes
    states, jacobian = strong.tangents(xi)
    base, steps = strong.observations.predicted(states, xi, unknown), (1e-1, 3e-2, 1e-2)
    rests = []
    for step in steps:
        there = xi + step * direction
        moved = strong.observations.predicted(strong.states(there), there, unknown)
        rests.append(float(np.linalg.norm(moved - base - step * jacobian @ direction)))
    np.testing.assert_allclose(rates(rests, steps), 2.0, atol=0.1)


def test_frozen_stress_is_that_of_the_coupled_model(strong: CalibrationProblem) -> None:
    """The posterior never sees the coupled model: renewed, the frozen one must say the same burden of xi, within 1 %.

    Before the renewal, by stress as the images suggest it, it need not; without stress it is off by far more.
    """
    unknown = strong.dynamics.unknowns
    xi = 0.5 * np.random.default_rng(3).standard_normal(unknown.size)
    xi[unknown.mode_slice()] = 0.0  # the coupled model has the draws' mean
    true = coupled_burdens(strong, xi)
    none = strong.under(replace(strong.stress, patterns=0.0 * strong.stress.patterns))
    without, first, renewed = (
        np.abs(np.array([u.sum() for u in own.states(xi)]) / true - 1.0).max()
        for own in (none, strong, strong.stressed(xi))
    )
    assert without > 0.05
    assert renewed < 0.01
    assert renewed < first < without


@pytest.mark.long
def test_modes_spread_stress_as_draws_do() -> None:
    """All modes together have the draws' covariance of stress, each draw's system factorised anew: to first order.

    An interval of the elastogram that did not arrive here would leave no trace in any forecast.
    """
    tumour = with_stiffness(0.1)
    settings = STRONG.model_copy(update={"stiffness_modes": 11})
    own = prepared(tumour, settings)
    stress, place = own.stress, own.dynamics.place
    assert stress is not None
    assert stress.explained == pytest.approx(1.0)
    density = own.states(np.zeros(own.dynamics.unknowns.size))[1]
    _, by = own.elastic_system.stress_by_stiffness_pa(density, stress.log_moduli[1:].T)
    others = []
    for number in range(12):
        one = replace(tumour, stiffness=StiffnessDraws(tumour.stiffness.draws_pa[[number, number]]))
        moduli = prepared(one, settings).stress.log_moduli
        # With one draw twice the mean is that draw; population values beyond it are drawn with the same seed.
        others.append(elastic(tumour, settings, place, moduli[0]).stress_pa(density))
    spread, said = np.std(others, axis=0, ddof=1), np.sqrt((by**2).sum(axis=1))
    far = spread > 0.2 * spread.max()
    assert np.median(np.abs(said[far] / spread[far] - 1.0)) < 0.3


def test_known_stiffness_has_no_modes() -> None:
    """Draws that agree leave nothing to be unknown where they are; a spread does, and grows with theirs."""
    found = {}
    for spread in (0.1, 0.3):
        stress = prepared(with_stiffness(spread), STRONG).stress
        found[spread] = (stress.patterns[:, 0] * np.sqrt((stress.patterns[:, 1:] ** 2).sum(axis=1))).max()
    everywhere = with_stiffness(0.0)
    draws = np.where(np.isnan(everywhere.stiffness.draws_pa), np.float32(2000.0), everywhere.stiffness.draws_pa)
    known = prepared(replace(everywhere, stiffness=StiffnessDraws(draws)), STRONG)
    assert known.stress.modes == 0
    assert known.dynamics.unknowns.modes == 0
    assert found[0.3] > 1.2 * found[0.1] > 0.0


def test_scale_of_stiffness_is_of_no_account() -> None:
    """At 50 Hz tissue is stiffer than at rest, by an unknown factor: no density may know it."""
    one, other = (prepared(with_stiffness(0.2, factor), STRONG) for factor in (1.0, 2.0))
    np.testing.assert_allclose(other.stress.patterns, one.stress.patterns, rtol=0, atol=1e-7)
    np.testing.assert_allclose(other.stress.log_moduli[0], one.stress.log_moduli[0] + np.log(2.0), atol=1e-6)
    xi = np.full(one.dynamics.unknowns.size, 0.3)
    for here, there in zip(one.stressed(xi).states(xi), other.stressed(xi).states(xi), strict=True):
        np.testing.assert_allclose(there, here, rtol=0, atol=1e-7)


@pytest.mark.long
def test_forecast_is_slowed_as_the_coupled_model_is(solved: tuple[Calibration, CalibrationProblem]) -> None:
    """The future's stress is found along what is most probable: there a forecast is the coupled model's, within 2 %."""
    calibrated, own = solved
    unknown, xi = calibrated.unknowns, calibrated.mode.copy()
    xi[unknown.mode_slice()], xi[unknown.drift_slice()] = 0.0, 0.0
    drawn, still = calibrated.draws, {"proliferation_log_std_per_100_days": 0.0}
    one = replace(
        calibrated,
        mode=xi,
        settings=calibrated.settings.model_copy(update=still),
        front_error_mm=0.0,
        draws=replace(drawn, xi=xi[None], density=drawn.density[:1], front_error=0.0 * drawn.front_error[:1]),
    )
    burden = predict(one, 150.0).burdens_ml()
    free = replace(one, stress=replace(one.stress, log_moduli=one.stress.log_moduli[:1]), unknowns=unknown)
    place = own.dynamics.place
    elastic_system = elastic(calibrated.history, one.settings, place, free.stress.log_moduli[0])
    model = replace(
        own.dynamics.models[0], observations_s=(80.0 * 86400.0,), treatment=type(own.dynamics.models[0].treatment)()
    )
    density = drawn.density[0].astype(np.float64)
    parameters = replace(own.dynamics.unstressed(xi, 0), log_sensitivities=np.zeros(0))
    slowing = unknown.natural(xi, SLOWING)
    fronts = own.dynamics.fronts
    _, state = followed(elastic_system, slowing, model, parameters, density, fronts)
    _, unslowed = followed(elastic_system, 0.0, model, parameters, density, fronts)
    voxel_ml = EDGE_MM**3 / 1e3
    assert burden[0] == pytest.approx(voxel_ml * state.sum(), rel=0.02)
    assert voxel_ml * unslowed.sum() > 1.05 * burden[0]


@pytest.mark.long
def test_stored_calibration_forecasts_the_same(calibrated: Calibration, tmp_path: Path) -> None:
    """A forecast reads what the calibration wrote: stiffness and stress must survive, to the last bit."""
    from palpate.twin.calibration_file import load_calibration, save_calibration

    save_calibration(calibrated, tmp_path / "calibration.h5")
    stored = load_calibration(tmp_path / "calibration.h5")
    np.testing.assert_array_equal(stored.stress.patterns, calibrated.stress.patterns)
    np.testing.assert_array_equal(predict(stored, 120.0).densities, predict(calibrated, 120.0).densities)
    without = replace(calibrated, stress=None, settings=SETTINGS.model_copy(update={"mechanics": False}))
    save_calibration(without, tmp_path / "without.h5")
    assert load_calibration(tmp_path / "without.h5").stress is None


def test_without_mechanics_nothing_is_unknown_of_it() -> None:
    """The switch: no slowing, no modes, no elastic system."""
    own = problem(SETTINGS.model_copy(update={"mechanics": False}))
    assert own.stress is None
    assert own.elastic_system is None
    assert SLOWING not in own.dynamics.unknowns.names
    assert own.dynamics.unknowns.modes == 0


def test_ventricles_lie_inside_the_skull() -> None:
    """Fluid enclosed by tissue is soft but there: a hole would hold the tissue around it like bone."""
    tissue = np.ones((40, 40, 40), dtype=np.bool_)
    tissue[:8] = False
    ventricle = np.zeros_like(tissue)
    ventricle[20:25, 10:30, 15:25] = True
    sulcus = np.zeros_like(tissue)
    sulcus[8:14, 20] = True
    skull = inside_skull(tissue & ~ventricle & ~sulcus, np.full(3, 2.0))
    assert skull[ventricle].all()
    assert skull[sulcus].mean() > 0.5
    assert not skull[:7].any()


@pytest.mark.parametrize("what", ["elsewhere", "negative", "infinite", "another grid", "one"])
def test_unusable_draws_are_refused(what: str) -> None:
    """A wrong modulus would steer growth and nobody would see it."""
    tumour = with_stiffness(0.2)
    draws = tumour.stiffness.draws_pa.copy()
    if what == "elsewhere":
        draws[:, 3:-1] = np.nan
    elif what in ("negative", "infinite"):
        draws[2, 6, 6, 6] = -1.0 if what == "negative" else np.inf
    elif what == "another grid":
        draws = draws[:, :-1]
    else:
        draws = draws[:1]
    with pytest.raises(InputError) as refused:
        calibrate(replace(tumour, stiffness=StiffnessDraws(draws)), STRONG)
    assert refused.value.advice


@pytest.mark.mpi
def test_stress_is_the_same_on_ranks(strong: CalibrationProblem) -> None:
    """Rank 0 solves and voxels are dealt: stress at first and renewed, and densities under it, must not notice."""
    shared = problem(STRONG, MPI.COMM_WORLD)
    xi = np.full(strong.dynamics.unknowns.size, 0.2)
    assert shared.dynamics.unknowns == strong.dynamics.unknowns
    for one, other in ((strong, shared), (strong.stressed(xi), shared.stressed(xi))):
        np.testing.assert_allclose(other.stress.patterns, one.stress.patterns, rtol=0, atol=1e-10)
        for here, there in zip(one.states(xi), other.states(xi), strict=True):
            np.testing.assert_allclose(there, here, rtol=0, atol=1e-10)
