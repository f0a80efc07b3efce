"""The start from blocks of voxels: it is near, it is only a start, and what blocks cannot carry is left out of it."""

from __future__ import annotations

import numpy as np
import pytest
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.config.inversion import InversionSettings
from palpate.imaging.anatomy.labels import no_regions
from palpate.imaging.wavefield import WaveField
from palpate.meshing.zones import cut_zones
from palpate.solvers.inversion.prior.hyperparameters import HyperparameterMixture, Hyperparameters
from palpate.solvers.inversion.prior.prior import MaternField
from palpate.solvers.inversion.run import Inversion, invert_wave_field
from palpate.solvers.inversion.steps import coarse
from palpate.solvers.inversion.steps.coarse import Blocks, starting_state
from palpate.solvers.inversion.steps.problem import InversionDomain, measure, problem_of
from palpate.solvers.inversion.zone.zone_solver import WorkCounter
from tests.solvers.inversion.tetrahedra import BACKGROUND_PA, VOXEL_M, scanned, wave_through

BOX = (11, 11, 11)
LONG_HZ, SHORT_HZ = 50.0, 90.0
"""Shear waves of 35 and 20 mm in the background: blocks of 4 mm carry the former."""

SETTINGS = InversionSettings(fit_prior=False, samples=100, storage_std=0.3, loss_std=0.3)


def _lesion(points_m: NDArray[np.float64]) -> NDArray[np.complex128]:
    """A soft-edged sphere, twice as stiff as its surroundings, in the middle of BOX."""
    radius_m = np.linalg.norm(points_m - 5 * VOXEL_M, axis=1)
    return np.asarray(BACKGROUND_PA + 3000.0 / (1.0 + np.exp((radius_m - 5e-3) / 0.8e-3)))


@pytest.fixture(scope="module")
def field() -> WaveField:
    """The lesion seen through tetrahedra of another size at 2 % noise."""
    return scanned(wave_through(_lesion, BOX, 3e-3, LONG_HZ), 0.02, 0, LONG_HZ)


def _invert(field: WaveField) -> Inversion:
    (zone,) = cut_zones(field.mask, width_voxels=BOX, stride_voxels=BOX)
    return invert_wave_field(field, InversionDomain([zone]), SETTINGS, MPI.COMM_SELF)


def _start(field: WaveField) -> NDArray[np.float64]:
    """Where the inversion of a field starts, deviation from the prior's centre, shape (2, N)."""
    domain = InversionDomain(cut_zones(field.mask, width_voxels=BOX, stride_voxels=(7, 7, 7)))
    measured = measure([field], SETTINGS)
    problem, _ = problem_of(measured, domain, SETTINGS, WorkCounter(), MPI.COMM_SELF)
    hypotheses = HyperparameterMixture.certain(Hyperparameters(0.3, 0.3, 12.0))
    return starting_state(measured, domain, SETTINGS, problem, hypotheses, lambda *_: None).x.reshape(2, -1)


def _without_blocks(field: WaveField) -> bool:
    domain = InversionDomain(cut_zones(field.mask, width_voxels=BOX, stride_voxels=(7, 7, 7)))
    return coarse._coarse(measure([field], SETTINGS), domain, SETTINGS) is None


@pytest.mark.long
def test_the_end_does_not_depend_on_the_start(field: WaveField, monkeypatch: pytest.MonkeyPatch) -> None:
    """The objective decides, not where the search began: both ends are within the tolerance that ends a search."""
    ours = _invert(field)
    monkeypatch.setattr(coarse, "BLOCKS_PER_WAVELENGTH", 1e9)
    flat = _invert(field)
    assert flat.fit.converged
    assert ours.fit.converged
    spread = float(np.sqrt(np.mean(flat.log_std**2)))
    apart = float(np.sqrt(np.mean((ours.log_mean - flat.log_mean) ** 2)))
    assert apart <= 2.0 * SETTINGS.tolerance * spread
    assert len(ours.fit.state.history) <= len(flat.fit.state.history)


@pytest.mark.long
def test_the_start_is_near() -> None:
    """What it is for: more than half of the variance that a flat start leaves is gone."""
    shape = (17, 17, 17)
    centre_m = 8 * VOXEL_M

    def lesion(points_m: NDArray[np.float64]) -> NDArray[np.complex128]:
        return _lesion(points_m - centre_m + 5 * VOXEL_M)

    field = scanned(wave_through(lesion, shape, 3e-3, LONG_HZ), 0.02, 0, LONG_HZ)
    truth = np.log(lesion(np.argwhere(field.mask) * VOXEL_M).real)
    away = [values - truth for values in (_start(field)[0], np.zeros(truth.size))]
    near, flat = (np.linalg.norm(values - values.mean()) for values in away)
    assert near**2 < 0.5 * flat**2


def test_blocks_that_do_not_carry_the_waves_are_not_asked() -> None:
    """Elements of two cells a wave would find another tissue: then nothing is known at the start."""
    field = scanned(wave_through(_lesion, BOX, 3e-3, SHORT_HZ), 0.02, 0, SHORT_HZ)
    assert _without_blocks(field)
    assert not np.any(_start(field))


def test_a_mask_too_thin_for_blocks_starts_flat(field: WaveField) -> None:
    """Nine voxels are four blocks: no element has neighbours on both sides."""
    thin = WaveField(
        displacement_m=field.displacement_m[:9],
        mask=field.mask[:9],
        affine_mm=field.affine_mm,
        frequency_hz=field.frequency_hz,
        noise_std_m=field.noise_std_m,
        density_kg_m3=field.density_kg_m3,
        label=field.label,
    )
    assert _without_blocks(thin)
    assert not np.any(_start(thin))


def test_very_long_waves_have_a_start_too() -> None:
    """Waves of some thirty voxels, as on the public 20 Hz scan: blocks of blocks would carry them, and are not made."""
    displacement_m = wave_through(lambda x: np.full(len(x), 4.0 * BACKGROUND_PA), (21, 13, 13), 4e-3, LONG_HZ)
    start = _start(scanned(displacement_m, 0.02, 0, LONG_HZ))
    assert np.all(np.isfinite(start))
    assert np.any(start)


def _ragged() -> tuple[NDArray[np.bool_], NDArray[np.bool_], Blocks]:
    """A mask with a hole and odd extents, the blocks that are all in it, and how they belong together."""
    mask = np.ones((13, 12, 11), dtype=bool)
    mask[5, 5, 5] = False
    whole = mask[:12, :12, :10].reshape(6, 2, 6, 2, 5, 2).all(axis=(1, 3, 5))
    return mask, whole, Blocks.of(mask, whole, (2, 2, 2))


def test_blocks_are_means_of_their_own_voxels() -> None:
    """Each whole block is the mean of its eight voxels, which belong to no other; others' weights would leak."""
    mask, whole, blocks = _ragged()
    number = np.argwhere(mask).astype(np.float64)
    middles = 2.0 * np.argwhere(whole) + 0.5
    assert np.allclose(blocks.mean @ number, middles)
    assert np.all(np.diff(blocks.mean.tocsc().indptr) <= 1)
    own = blocks.mean.tocoo()
    assert np.array_equal(blocks.nearest[own.col], own.row)
    assert np.all(np.linalg.norm(number - middles[blocks.nearest], axis=1) < 3.0)


def test_what_blocks_learned_is_what_they_see() -> None:
    """The lifted field's means over blocks are the coarse field, but for what varies within: (block / length)^2."""
    mask, whole, blocks = _ragged()
    hypotheses = HyperparameterMixture.certain(Hyperparameters(0.3, 0.3, 24.0, roughness=0.0))
    fine = MaternField(mask, np.full(3, 2.0), hypotheses, no_regions(int(mask.sum())).fractions)
    rough = MaternField(whole, np.full(3, 4.0), hypotheses, no_regions(int(whole.sum())).fractions)
    w = np.random.default_rng(0).standard_normal((2, int(whole.sum())))
    learned = rough.apply(w.reshape(-1, 1)).reshape(2, -1)
    lifted = fine.apply((w @ blocks.mean).reshape(-1, 1)).reshape(2, -1)
    seen = (blocks.mean @ lifted.T).T
    assert np.linalg.norm(seen - learned) <= (4.0 / 24.0) ** 2 * np.linalg.norm(learned)


def test_soft_tissue_starts_from_the_direct_inversion(field: WaveField) -> None:
    """Where blocks do not carry the waves that the coarse inversion finds, its word is worth nothing; else it stays."""
    measured = measure([field], SETTINGS)
    found = np.zeros((2, field.mask.sum()))
    found[:, 7] = -3.0
    start = coarse._with_soft_tissue(measured, found, 4.0)
    (one,) = measured
    direct = np.log([one.direct.storage_pa[field.mask][7], one.direct.loss_pa[field.mask][7]]) - one.log_median
    assert start[:, 7] == pytest.approx(direct)
    others = np.delete(start, 7, axis=1)
    assert not np.any(others)
