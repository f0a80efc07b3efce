"""What no wave shows: allowed for where anatomy says that it may be there, and as large as stated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from palpate.config.inversion import InversionSettings
from palpate.imaging.wavefield import WaveField
from palpate.solvers.inversion.posterior.model_discrepancy import (
    BRAIN_PERCENT,
    add_model_discrepancy,
    anisotropy_percent,
    density_draws_kg_m3,
    density_shift,
)
from palpate.solvers.inversion.prior.hyperparameters import FIELDS, HyperparameterMixture, Hyperparameters
from palpate.solvers.inversion.prior.prior import MaternField

EXACT = InversionSettings(density_percent=0.0, samples=300)
"""Nothing but fibres to allow for."""

MASK = np.ones((6, 5, 4), dtype=bool)


@pytest.fixture
def field() -> WaveField:
    """Of which only the density is asked."""
    return WaveField(
        displacement_m=np.ones((*MASK.shape, 3), dtype=complex),
        mask=MASK,
        affine_mm=np.diag([2.0, 2.0, 2.0, 1.0]),
        frequency_hz=50.0,
        noise_std_m=1e-7,
        density_kg_m3=1000.0,
        label="sub-box",
    )


def _prior(regions: int) -> MaternField:
    fractions = sparse.csr_matrix(np.full((MASK.sum(), regions), 1.0 / max(regions, 1)))
    return MaternField(MASK, np.full(3, 2.0), HyperparameterMixture.certain(Hyperparameters(0.3, 0.3, 12.0)), fractions)


def _added(settings: InversionSettings, prior: MaternField, field: WaveField) -> NDArray[np.float64]:
    draws = np.zeros((FIELDS, int(MASK.sum()), settings.samples))
    add_model_discrepancy(draws, settings, prior, field)
    return draws


def test_fibres_are_expected_where_anatomy_tells_tissues_apart(field: WaveField) -> None:
    """Brains have them and gels have not: intervals of a brain's regions held 83 % without, of a gel they need none.

    300 draws of one smooth field know its spread to 8 % (two standard deviations), and neighbours hardly add to that.
    """
    of_brain, of_gel = (_added(EXACT, _prior(regions), field) for regions in (3, 0))
    assert not of_gel.any()
    assert 100.0 * np.sqrt((of_brain[0] ** 2).mean()) == pytest.approx(BRAIN_PERCENT, rel=0.16)


@pytest.mark.parametrize("asked", [0.0, 8.0])
@pytest.mark.parametrize("regions", [0, 3])
def test_what_is_asked_counts_more_than_what_is_expected(asked: float, regions: int, field: WaveField) -> None:
    """Who knows that tissue has no fibres, or that a gel has, must be believed; the record says what was taken."""
    settings = EXACT.model_copy(update={"anisotropy_percent": asked})
    found = 100.0 * np.sqrt((_added(settings, _prior(regions), field)[0] ** 2).mean())
    assert anisotropy_percent(settings, _prior(regions)) == asked
    assert found == pytest.approx(asked, rel=0.16)


@pytest.mark.parametrize("assumed", [False, True])
def test_density_of_each_draw_is_the_one_in_its_moduli(field: WaveField, *, assumed: bool) -> None:
    """Waves tell G* / rho, which no density may move: a wave speed by another density than the draw's would wander."""
    settings, field = InversionSettings(samples=300, anisotropy_percent=0.0), replace(field, density_assumed=assumed)
    moduli = density_shift(settings, field) + _added(settings, _prior(0), field)
    density_kg_m3 = density_draws_kg_m3(settings, field)
    assert np.log(density_kg_m3 / field.density_kg_m3) == pytest.approx(moduli[1, 3], abs=1e-12)
    assert np.ptp(np.exp(moduli) / density_kg_m3, axis=-1).max() < 1e-15
    spread = 100.0 * np.log(density_kg_m3).std()
    assert spread == pytest.approx(2.0 if assumed else 4.0, rel=0.16)
    with_fibres = density_draws_kg_m3(settings.model_copy(update={"anisotropy_percent": 8.0}), field)
    assert np.array_equal(with_fibres, density_kg_m3)
