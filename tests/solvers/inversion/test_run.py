"""The whole inversion of a wave field: truth is found, and nothing that has no meaning changes the answer."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats as stats
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.config.inversion import InversionSettings
from palpate.imaging.wavefield import WaveField
from palpate.meshing.zones import cut_zones
from palpate.solvers.inversion.posterior.joint import DRAW_TOLERANCE, TOLERANCE
from palpate.solvers.inversion.run import Inversion, invert_wave_field
from palpate.solvers.inversion.steps.load_balance import LoadBalance
from palpate.solvers.inversion.steps.problem import InversionDomain, share_out
from palpate.solvers.inversion.zone.zone_solver import ZONES, ZoneCache, ZoneSolver
from tests.laws.chance import FALSE_ALARM
from tests.solvers.inversion.tetrahedra import BACKGROUND_PA, VOXEL_M, scanned, wave_through

BOX = (9, 9, 9)
BAR = (9, 5, 5)
BRIEF = InversionSettings(samples=20, hessian_rank=60, max_iterations=4)
"""For laws that hold after any number of steps."""


def lesion(points_m: NDArray[np.float64]) -> NDArray[np.complex128]:
    """A soft-edged sphere, twice as stiff as its surroundings, in the middle of BOX."""
    radius_m = np.linalg.norm(points_m - 4 * VOXEL_M, axis=1)
    inside = 1.0 / (1.0 + np.exp((radius_m - 4.5e-3) / 0.8e-3))
    return np.asarray(BACKGROUND_PA + 3000.0 * inside)


@pytest.fixture(scope="module")
def found() -> Inversion:
    """A lesion in 9^3 voxels seen through tetrahedra of another size at 2 % noise."""
    field = scanned(wave_through(lesion, BOX, 2.4e-3), 0.02, seed=0)
    (zone,) = cut_zones(field.mask, width_voxels=BOX, stride_voxels=BOX)
    return invert_wave_field(field, InversionDomain([zone]), InversionSettings(samples=200), MPI.COMM_SELF)


@pytest.fixture(scope="module")
def bar() -> WaveField:
    """A small field for laws of invariance, with noise."""
    return scanned(wave_through(lambda x: np.full(len(x), BACKGROUND_PA), BAR, 2.4e-3), 0.02, seed=1)


def _invert(field: WaveField, settings: InversionSettings = BRIEF, comm: MPI.Comm = MPI.COMM_SELF) -> Inversion:
    zones = cut_zones(field.mask, width_voxels=(5, 5, 5), stride_voxels=(2, 5, 5))
    return invert_wave_field(field, InversionDomain(zones), settings, comm)


def _inner(values: NDArray[np.float64], margin: int) -> NDArray[np.float64]:
    """Values at least `margin` voxels from the edge of BOX."""
    inner = slice(margin, -margin)
    return values.reshape(BOX)[inner, inner, inner].ravel()


def test_truth_is_found_at_two_percent_noise(found: Inversion) -> None:
    """Median |error| of G' at most 8 %, what the issue demands of the demo at this noise, in less than a wavelength.

    The wave comes from other elements, and the stiffness is none that the inversion's nodes can represent.
    """
    truth = lesion(np.argwhere(np.ones(BOX, dtype=bool)) * VOXEL_M)
    error = _inner(np.abs(np.exp(found.log_mean[0]) / truth.real - 1.0), 2)
    assert found.fit.converged
    assert np.median(error) <= 0.08


def test_intervals_are_not_narrower_than_the_errors(found: Inversion) -> None:
    """Mean square of error / std within what chance allows; the truth is smoother than the prior, so it may be small.

    Neighbours are correlated: the mean of n squares scatters as that of (sum l)^2 / sum l^2 independent ones, l the
    eigenvalues of the draws' correlation matrix.
    """
    truth = lesion(np.argwhere(np.ones(BOX, dtype=bool)) * VOXEL_M)
    standard = _inner((found.log_mean[0] - np.log(truth.real)) / found.log_std[0], 2)
    draws = np.stack([_inner(draw, 2) for draw in found.log_draws[0].T])
    scatter = np.linalg.eigvalsh(np.corrcoef(draws.T))
    count = scatter.sum() ** 2 / np.sum(scatter**2)
    assert np.mean(standard**2) <= stats.chi2.isf(FALSE_ALARM, count) / count


def test_what_is_left_is_noise(found: Inversion) -> None:
    """The residual has the size and the neighbour correlation of the probe: nothing that stiffness could explain."""
    residuals = found.residuals
    # Residual and probe are chi-square over 2 x 3 x 7^3 real equations; the fit itself takes off a few percent.
    error = 2 / np.sqrt(3 * 7**3)
    for ratio in (residuals.ratio, residuals.misfit_ratio):
        assert 1.0 - 4 * error < ratio < 1.0 + 3 * error
    for measured, expected in zip(residuals.correlation, residuals.expected_correlation, strict=True):
        assert measured == pytest.approx(expected, abs=4 * error)


def _same(first: Inversion, second: Inversion, shift: float = 0.0) -> None:
    """Equal means, draws and spreads, up to the solver's tolerance in each step, in posterior standard deviations."""
    allowed = 2 * TOLERANCE * (BRIEF.max_iterations + 1)
    draws = (first.log_draws[..., 0], second.log_draws[..., 0])
    for (a, b), further in (((first.log_mean, second.log_mean), 0.0), (draws, 2 * DRAW_TOLERANCE)):
        assert np.max(np.abs(b - shift - a) / first.log_std) <= allowed + further
    assert second.log_std == pytest.approx(first.log_std, rel=allowed + 2 * DRAW_TOLERANCE)


@pytest.fixture(scope="module")
def plain(bar: WaveField) -> Inversion:
    return _invert(bar)


def _in_another_unit(field: WaveField) -> WaveField:
    assert field.noise_std_m is not None
    return replace(field, displacement_m=1e-3 * field.displacement_m, noise_std_m=1e-3 * field.noise_std_m)


def _head_turned(field: WaveField) -> WaveField:
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))[0]
    affine = field.affine_mm.copy()
    affine[:3, :3] = turn @ affine[:3, :3]
    affine[:3, 3] = [30.0, -20.0, 55.0]
    return replace(field, displacement_m=field.displacement_m @ turn.T, affine_mm=affine)


def _in_a_larger_grid(field: WaveField) -> WaveField:
    pads = ((2, 1), (0, 3), (1, 1))
    grown = np.pad(field.displacement_m, (*pads, (0, 0)), constant_values=7.0)
    return replace(field, displacement_m=grown, mask=np.pad(field.mask, pads))


@pytest.mark.parametrize("changed", [_in_another_unit, _head_turned, _in_a_larger_grid])
def test_what_has_no_meaning_changes_nothing(
    changed: Callable[[WaveField], WaveField], bar: WaveField, plain: Inversion
) -> None:
    """Amplitude with its noise, the pose of the head and the air around it tell nothing of G*."""
    _same(plain, _invert(changed(bar)))


def test_stiffness_is_known_relative_to_density(bar: WaveField, plain: Inversion) -> None:
    """Only G* / rho enters the waves: 1.6 times the density is 1.6 times the stiffness, with equal certainty."""
    _same(plain, _invert(replace(bar, density_kg_m3=1.6 * bar.density_kg_m3)), shift=np.log(1.6))


def test_unknown_density_is_in_every_interval(bar: WaveField, plain: Inversion) -> None:
    """One factor a draw for both moduli and all voxels, as large as stated: whole-organ means need it most.

    Twenty draws know a standard deviation to 1 / sqrt(38) = 16 %; four of these are allowed.
    """
    free = _invert(bar, BRIEF.model_copy(update={"density_percent": 0.0}))
    known = plain.log_draws - free.log_draws
    assert np.ptp(known, axis=(0, 1)) == pytest.approx(np.zeros(BRIEF.samples), abs=1e-9)
    assert known[0, 0].std(ddof=1) == pytest.approx(BRIEF.density_percent / 100.0, rel=4 * 0.16)
    assert free.log_mean == pytest.approx(plain.log_mean, abs=1e-12)


def test_a_density_that_nobody_states_is_that_of_tissue(bar: WaveField, plain: Inversion) -> None:
    """Water's density is at the edge of what tissue has: taken for it, every region's mean is 3 % too low.

    Both moduli move by the ratio of the densities, and its spread takes the place of a stated density's.
    """
    assumed = _invert(replace(bar, density_assumed=True))
    shift = np.log(BRIEF.tissue_density_kg_m3 / bar.density_kg_m3)
    assert shift > 0.0
    assert assumed.log_mean == pytest.approx(plain.log_mean + shift, abs=1e-9)
    exactly = BRIEF.model_copy(update={"tissue_density_percent": 0.0})
    free = _invert(replace(bar, density_assumed=True), exactly)
    densities = assumed.log_draws - free.log_draws
    assert np.ptp(densities, axis=(0, 1)) == pytest.approx(np.zeros(BRIEF.samples), abs=1e-9)
    assert densities[0, 0].std(ddof=1) == pytest.approx(BRIEF.tissue_density_percent / 100.0, rel=4 * 0.16)


def test_fibres_are_allowed_for_where_asked(bar: WaveField, plain: Inversion) -> None:
    """A smooth field a draw, larger in G'' and akin in both moduli; what waves tell stays as it was.

    Waves do not show anisotropy, so that nothing else can widen a region's interval for it. Neighbouring voxels share
    a draw's field: the spread over draws and voxels is known no better than twenty draws tell.
    """
    wide = _invert(bar, BRIEF.model_copy(update={"anisotropy_percent": 10.0}))
    added = wide.log_draws - plain.log_draws
    assert wide.log_mean == pytest.approx(plain.log_mean, abs=1e-12)
    assert np.sqrt((added**2).mean(axis=(1, 2))) == pytest.approx([0.1, 0.13], rel=4 * 0.16)
    assert 0.0 < np.corrcoef(added[0].ravel(), added[1].ravel())[0, 1] < 0.9
    assert np.abs(added - added.mean(axis=1, keepdims=True)).max() > 0.01  # no factor common to all voxels


def test_a_voxel_that_is_no_measurement_is_left_out(bar: WaveField, plain: Inversion) -> None:
    """A wrong turn of the phase in one voxel changes neither moduli nor noise by more than a voxel's worth of data."""
    displacement_m = bar.displacement_m.copy()
    displacement_m[4, 2, 2, 1] += 3.0 * np.abs(bar.displacement_m).max()
    spoiled = _invert(replace(bar, displacement_m=displacement_m))
    assert spoiled.outlying.sum() == 1
    assert not plain.outlying.any()
    moved = np.abs(spoiled.log_mean - plain.log_mean) / plain.log_std
    assert moved.mean() < 0.5
    assert max(spoiled.residuals.inflations) < 1.5 * max(plain.residuals.inflations)


def test_noise_that_is_not_stated_is_measured(bar: WaveField) -> None:
    """Others' wave fields come without NoiseStd; the inversion then says that it measured, and never below it."""
    silent = _invert(replace(bar, noise_std_m=None), BRIEF.model_copy(update={"max_iterations": 1}))
    assert silent.noise.source == "measured"
    assert silent.noise.stated_std_m is None


@pytest.mark.mpi
def test_ranks_share_the_work_and_not_the_answer(bar: WaveField) -> None:
    """Every `mpiexec -n N` gives the same posterior, to the solver's tolerance, fitted prior included."""
    alone, together = _invert(bar), _invert(bar, comm=MPI.COMM_WORLD)
    _same(alone, together)
    assert len(together.peak_memory_mb) == MPI.COMM_WORLD.size
    assert len(together.load_balance.busy_s) == MPI.COMM_WORLD.size
    assert together.counter.counts["factorisations"] == alone.counter.counts["factorisations"]
    assert np.array_equal(together.log_draws, MPI.COMM_WORLD.bcast(together.log_draws, root=0))


def test_a_rank_holds_its_hessians_once(bar: WaveField, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all that a rank keeps they take most, 8 to 25 MB a zone: those of the last step go as new ones come."""
    solve, made, most = ZoneSolver._solve, [], []

    def watched(solver: ZoneSolver, parameters: NDArray[np.float64]) -> ZoneCache:
        cache = solve(solver, parameters)
        made.append(weakref.ref(cache.hessian_factor))
        most.append(len({id(one()) for one in made} - {id(None)}))
        return cache

    monkeypatch.setattr(ZoneSolver, "_solve", watched)
    _invert(bar)
    zones = 3
    assert len({id(one) for one in made}) > 2 * zones
    assert max(most) <= zones + 1


def test_work_is_shared_out_whole_and_evenly() -> None:
    """Each zone once; the busiest rank at most a third over the best possible (Graham's bound for largest first)."""
    work = np.random.default_rng(4).uniform(1.0, 9.0, 37).tolist()
    for ranks in (1, 2, 5, 50):
        shares = share_out(work, ranks)
        assert sorted(number for share in shares for number in share) == list(range(len(work)))
        busiest = max(sum(work[number] for number in share) for share in shares)
        assert busiest <= 4 / 3 * max(sum(work) / ranks, *work) + 1e-9


def test_zones_that_are_asked_alone_are_shared_out_evenly_too() -> None:
    """The uniform start works on a few zones; a rank with all of them would let the others wait."""
    asked = [3, 4, 5, 6]
    for share in share_out([9.0, 8.0, 7.0, 5.0, 5.0, 5.0, 5.0, 4.0], 2, asked):
        assert len(set(share) & set(asked)) == 2


def test_spread_of_draws_is_the_spread_of_the_map(plain: Inversion) -> None:
    """Maps and samples.h5 are two views of one posterior."""
    around = plain.log_draws - plain.log_mean[..., None]
    assert around.std(axis=-1, ddof=1) == pytest.approx(plain.log_std)


def test_load_balance_says_how_long_ranks_wait(plain: Inversion) -> None:
    """The efficiency is the share of all ranks' time, until the slowest ends, in which they work."""
    assert LoadBalance((3.0, 1.0, 2.0), (0.0, 2.0, 1.0)).efficiency == pytest.approx(6.0 / 9.0)
    assert LoadBalance((0.0,), (0.0,)).efficiency == 1.0  # a resumed run may find all zones finished
    assert plain.load_balance.efficiency == 1.0
    assert plain.load_balance.busy_s == (plain.counter.seconds[ZONES],)
