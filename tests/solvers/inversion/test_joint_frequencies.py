"""Two frequencies inverted together: more is known, the right law is recognised, bookkeeping changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.config.inversion import InversionSettings
from palpate.imaging.wavefield import WaveField
from palpate.meshing.zones import cut_zones
from palpate.solvers.inversion.posterior.joint import TOLERANCE
from palpate.solvers.inversion.run import Inversion, invert_together, invert_wave_field
from palpate.solvers.inversion.steps.problem import InversionDomain
from tests.solvers.inversion.tetrahedra import BACKGROUND_PA, VOXEL_M, scanned, wave_through

BOX, BAR, ZONES = (9, 9, 9), (9, 5, 5), 3
INNER = (slice(2, -2),) * 3
FREQUENCIES_HZ = (70.0, 105.0)
REFERENCE_HZ = float(np.sqrt(np.prod(FREQUENCIES_HZ)))
ALPHA = 0.25
"""Of the springpot, and of the loss tangent that the Kelvin-Voigt solid has at the reference."""

LAWS = ("springpot", "kelvin-voigt")
KNOWN_PRIOR = InversionSettings(fit_prior=False, storage_std=0.2, loss_std=0.2, samples=100, hessian_rank=80)
BRIEF = InversionSettings(samples=20, hessian_rank=60, max_iterations=4)
STRONG = 5.0
"""Difference of log evidence that is called very strong (Kass, Raftery 1995)."""


def tissue(law: str, frequency_hz: float, points_m: NDArray[np.float64]) -> NDArray[np.complex128]:
    """A lesion 1.8 times as stiff as its surroundings, under a law."""
    radius_m = np.linalg.norm(points_m - 4 * VOXEL_M, axis=1)
    stiffness = 2500.0 * (1.0 + 0.8 / (1.0 + np.exp((radius_m - 4.5e-3) / 0.8e-3)))
    ratio, tangent = frequency_hz / REFERENCE_HZ, np.tan(0.5 * np.pi * ALPHA)
    if law == "springpot":
        return np.asarray(stiffness * ratio**ALPHA * (1.0 + 1j * tangent))
    return np.asarray(stiffness * (1.0 + 1j * ratio * tangent))


@dataclass(frozen=True, slots=True)
class Compared:
    """Both laws fitted to the waves of one.

    Attributes:
        fields: the wave fields at two frequencies.
        fits: by the law that was assumed, a result a frequency.
    """

    fields: tuple[WaveField, ...]
    fits: Mapping[str, tuple[Inversion, ...]]


def _compare(law: str) -> Compared:
    fields = tuple(
        scanned(wave_through(lambda x, f=f: tissue(law, f, x), BOX, 2.8e-3, f), 0.02, seed, f)
        for seed, f in enumerate(FREQUENCIES_HZ)
    )
    zones = cut_zones(fields[0].mask, width_voxels=BOX, stride_voxels=BOX)
    fits = {
        assumed: invert_together(
            fields,
            InversionDomain(zones, compare=True),
            KNOWN_PRIOR.model_copy(update={"rheology": assumed}),
            MPI.COMM_SELF,
        )
        for assumed in LAWS
    }
    return Compared(fields, fits)


@pytest.fixture(scope="module")
def springpot() -> Compared:
    """Waves in a springpot, made by other elements than the inversion's."""
    return _compare("springpot")


@pytest.fixture(scope="module")
def alone(springpot: Compared) -> list[Inversion]:
    """The same waves, one frequency after the other."""
    zones = cut_zones(springpot.fields[0].mask, width_voxels=BOX, stride_voxels=BOX)
    return [
        invert_wave_field(field, InversionDomain(zones, compare=True), KNOWN_PRIOR, MPI.COMM_SELF)
        for field in springpot.fields
    ]


def _truth(law: str, frequency_hz: float) -> NDArray[np.float64]:
    """True ln G' and ln G'' at the inner voxels, shape (2, n)."""
    modulus = tissue(law, frequency_hz, np.argwhere(np.ones(BOX, dtype=bool)) * VOXEL_M)
    return _inner(np.log([modulus.real, modulus.imag]))


def _inner(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values.reshape(-1, *BOX)[(slice(None), *INNER)].reshape(len(values.reshape(-1, *BOX)), -1)


@pytest.mark.long
def test_two_frequencies_know_more_than_each(springpot: Compared, alone: list[Inversion]) -> None:
    """Narrower for both moduli at both frequencies, and closer to the truth where all are taken together.

    The same prior for both, so that it is the data that narrow; a single modulus at a single frequency may by chance be
    further off.
    """
    squares = np.zeros(2)
    for frequency_hz, joint, single in zip(FREQUENCIES_HZ, springpot.fits["springpot"], alone, strict=True):
        truth = _truth("springpot", frequency_hz)
        assert np.all(np.median(_inner(joint.log_std), axis=1) < np.median(_inner(single.log_std), axis=1))
        squares += [np.sum((_inner(found.log_mean) - truth) ** 2) for found in (joint, single)]
    assert squares[0] < squares[1]


@pytest.mark.long
def test_the_exponent_is_found(springpot: Compared) -> None:
    """Alpha and mu, the numbers that are compared between studies, within their own intervals on average."""
    (found, _) = springpot.fits["springpot"]
    alpha = found.parameters["springpotalpha"]
    error = (_inner(alpha.mean) - ALPHA) / _inner(alpha.std)
    assert np.sqrt(np.mean(error**2)) < 2.0
    omega = 2 * np.pi * REFERENCE_HZ
    size = np.abs(tissue("springpot", REFERENCE_HZ, np.argwhere(np.ones(BOX, dtype=bool)) * VOXEL_M))
    true_mu = _inner((size / omega**ALPHA) ** (1 / (1 - ALPHA)))
    mu = found.parameters["springpotmodulus"]
    assert np.mean((_inner(mu.lower) <= true_mu) & (true_mu <= _inner(mu.upper))) > 0.8


@pytest.mark.long
@pytest.mark.parametrize("law", LAWS)
def test_the_evidence_prefers_the_law_that_made_the_waves(law: str, springpot: Compared) -> None:
    """Both ways round, or the evidence would have a favourite; both have the same number of parameters."""
    compared = springpot if law == "springpot" else _compare(law)
    found = {assumed: fits[0].evidence for assumed, fits in compared.fits.items()}
    assert all(evidence is not None for evidence in found.values())
    (other,) = set(LAWS) - {law}
    assert found[law].log_value > found[other].log_value + STRONG


def test_maps_are_the_middle_of_their_draws(springpot: Compared) -> None:
    """Gaussian in ln G* at each frequency, where the law bends it: draws must not lie to one side of the map."""
    for found in springpot.fits["springpot"]:
        shift = np.mean(found.log_draws - found.log_mean[:, :, None], axis=2) / found.log_std
        assert np.abs(shift.mean()) < 5.0 / np.sqrt(KNOWN_PRIOR.samples)


@pytest.fixture(scope="module")
def bars() -> tuple[WaveField, WaveField]:
    """Two small fields for laws of invariance, with noise and phase errors of slices."""
    waves = [wave_through(lambda x: np.full(len(x), BACKGROUND_PA), BAR, 2.4e-3, f) for f in FREQUENCIES_HZ]
    fields = [scanned(wave, 0.02, seed, f) for seed, (wave, f) in enumerate(zip(waves, FREQUENCIES_HZ, strict=True))]
    first, second = (replace(field, linear_phase_error_std_m=0.3 * (field.noise_std_m or 0.0)) for field in fields)
    return first, second


def _together(
    fields: tuple[WaveField, ...], settings: InversionSettings, comm: MPI.Comm = MPI.COMM_SELF
) -> tuple[Inversion, ...]:
    zones = cut_zones(fields[0].mask, width_voxels=(5, 5, 5), stride_voxels=(2, 5, 5))
    assert len(zones) == ZONES
    return invert_together(fields, InversionDomain(zones, compare=True), settings, comm)


def _assert_same(first: Inversion, second: Inversion) -> None:
    """Equal up to the solver's tolerance in each step, in posterior standard deviations."""
    allowed = 2 * TOLERANCE * (BRIEF.max_iterations + 1)
    for a, b in ((first.log_mean, second.log_mean), (first.log_draws[..., 0], second.log_draws[..., 0])):
        assert np.max(np.abs(b - a) / first.log_std) <= allowed
    assert second.log_std == pytest.approx(first.log_std, rel=allowed)


@pytest.mark.parametrize("law", LAWS)
def test_one_frequency_has_no_law(law: str, bars: tuple[WaveField, WaveField]) -> None:
    """At the reference every law says the same: a run with one frequency gives the map that it always gave."""
    (plain,) = _together(bars[:1], BRIEF)
    (under_law,) = _together(bars[:1], BRIEF.model_copy(update={"rheology": law}))
    _assert_same(plain, under_law)
    assert under_law.prior_std == pytest.approx(plain.prior_std)


def test_order_of_frequencies_means_nothing(bars: tuple[WaveField, WaveField]) -> None:
    """Each result belongs to its own wave field: noise, misfit and residual go with it, whatever comes first.

    Only draws are seeded by position, and with them the spread that tells when to stop: here all steps are taken.
    """
    settings = BRIEF.model_copy(update={"rheology": "springpot", "tolerance": 1e-9})
    forward, backward = _together(bars, settings), _together(bars[::-1], settings)
    allowed = 2 * TOLERANCE * (settings.max_iterations + 1)
    for one, other in zip(forward, backward[::-1], strict=True):
        assert other.noise == one.noise
        assert np.max(np.abs(other.log_mean - one.log_mean) / one.log_std) <= allowed
        assert other.residuals.misfit_ratio == pytest.approx(one.residuals.misfit_ratio, rel=allowed)
        assert other.residuals.size == pytest.approx(one.residuals.size, rel=allowed)
    assert forward[0].residuals.misfit_ratio != pytest.approx(forward[1].residuals.misfit_ratio, rel=allowed)


@pytest.mark.mpi
def test_ranks_share_zones_and_frequencies(bars: tuple[WaveField, WaveField]) -> None:
    """Every `mpiexec -n N` gives the same posterior at each frequency, fitted prior and evidence included."""
    settings = BRIEF.model_copy(update={"rheology": "springpot"})
    one, all_ranks = _together(bars, settings), _together(bars, settings, MPI.COMM_WORLD)
    for found, expected in zip(all_ranks, one, strict=True):
        _assert_same(expected, found)
        assert found.residuals.misfit_ratio == pytest.approx(expected.residuals.misfit_ratio, rel=1e-3)
        assert len(found.residuals.inflations) == ZONES
        assert found.counter.counts["factorisations"] == expected.counter.counts["factorisations"]
        assert (found.evidence is None) == (expected.evidence is None)
        if found.evidence is not None and expected.evidence is not None:
            assert found.evidence.log_value == pytest.approx(expected.evidence.log_value, abs=0.05)
