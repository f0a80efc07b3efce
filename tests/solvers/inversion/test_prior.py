"""The prior: the covariance it promises, and draws that have it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from palpate.solvers.inversion.prior.hyperparameters import FIELDS, HyperparameterMixture, Hyperparameters
from palpate.solvers.inversion.prior.prior import AMPLITUDE_SPREAD, MaternField
from tests.laws.chance import assert_covariance, assert_mean_square
from tests.laws.operators import assert_adjoint, assert_positive, assert_symmetric

VOXEL_MM = np.array([2.0, 2.5, 3.0])
SCALE = Hyperparameters(
    storage_std=0.4,
    loss_std=0.25,
    length_mm=6.0,
    cross_correlation=0.6,
    roughness=0.3,
    mean_std=0.7,
    unresolved_std=0.1,
    region_std=0.5,
)


OTHER = replace(SCALE, storage_std=0.2, loss_std=0.3, length_mm=4.0, cross_correlation=0.1, roughness=0.9)
"""Another hypothesis of what is fitted."""

REGION_SCALES = ((1.8, 0.6), (1.2, 0.9))
"""Of two regions in ln G' and ln G''."""


def _field(*scales: Hyperparameters) -> MaternField:
    """A mask with a notch away from the corner of its grid."""
    mask = np.zeros((8, 6, 5), dtype=bool)
    mask[2:7, 1:5, 1:4] = True
    mask[2:4, 1:3, 1] = False
    hypotheses = (
        HyperparameterMixture(scales, (1.0,))
        if len(scales) == 1
        else HyperparameterMixture((SCALE, OTHER), (0.7, 0.3), REGION_SCALES)
    )
    return MaternField(mask, VOXEL_MM, hypotheses, _fractions(np.count_nonzero(mask)))


def _fractions(count: int) -> sparse.csr_matrix:
    """Two labelled regions with a soft border, and voxels that belong to neither."""
    first = np.clip(np.linspace(2.0, -1.0, count), 0.0, 1.0)
    return sparse.csr_matrix(np.stack([first, np.where(first > 0.2, 0.0, 0.7 * (1.0 - first))], axis=1))


EDGE_MM = 15.0 ** (1.0 / 3.0)
"""Of the cube that holds as much as VOXEL_MM."""


def _rounded(distance: NDArray[np.float64], edge_mm: float = EDGE_MM) -> NDArray[np.float64]:
    """The distance as a rough field between means over voxels feels it, as docs/theory/prior.md has it."""
    rounding = 0.72 * edge_mm
    return np.asarray(np.hypot(distance, rounding) - rounding)


def _correlation(distance: NDArray[np.float64], scale: Hyperparameters) -> NDArray[np.float64]:
    """Matern 1/2 and 3/2 in the shares alpha and 1 - alpha, as docs/theory/prior.md has it."""
    rough, smooth = _rounded(distance) / scale.length_mm, np.sqrt(3.0) * distance / scale.length_mm
    return np.asarray(scale.roughness * np.exp(-rough) + (1.0 - scale.roughness) * (1.0 + smooth) * np.exp(-smooth))


def _by_hand(field: MaternField) -> NDArray[np.float64]:
    """All parts of the prior covariance as docs/theory/prior.md has them, entry by entry, shape (2 N, 2 N)."""
    place = np.argwhere(field.mask) * field.voxel_size_mm
    distance = np.linalg.norm(place[:, None] - place[None], axis=2)
    scale = field.scale
    coupling = np.array([[1.0, scale.cross_correlation], [scale.cross_correlation, 1.0]])
    around = np.zeros((FIELDS * len(place),) * 2)
    for probability, one in zip(field.hypotheses.probabilities, field.hypotheses.scales, strict=True):
        between = np.outer(one.stds, one.stds) * np.array([[1.0, one.cross_correlation], [one.cross_correlation, 1.0]])
        around += probability * np.kron(between, _correlation(distance, one))
        over = np.mean(one.stds**2) * (1.0 - _correlation(np.array(4.0), one))
        unresolved = np.exp(-_rounded(distance) / 4.0)
        least = 1.0 - np.exp(-_rounded(np.array(4.0)) / 4.0)
        around += probability * max(0.0, one.unresolved_std**2 - over / least) * np.kron(coupling, unresolved)
    fractions = field.regions.toarray()
    amplitude = np.ravel([1.0 + fractions @ (np.array(tau) - 1.0) for tau in field.hypotheses.region_scales])
    around *= np.outer(amplitude, amplitude)
    regional = scale.region_std**2 * np.kron(coupling, fractions @ fractions.T)
    return np.asarray(around + regional + np.kron(np.eye(2), np.full(distance.shape, scale.mean_std**2)))


def _matrix(field: MaternField) -> NDArray[np.float64]:
    return field.apply(np.eye(FIELDS * np.count_nonzero(field.mask)))


def test_covariance_is_the_stated_one() -> None:
    """FFT on a padded lattice against the formula, entry by entry.

    On the lattice distance folds back at half its extent. The fold takes a little energy below zero, which is cut off,
    and the variance is set to one again: what both may change is computed here from the fold itself.
    """
    field = _field()
    reach = np.ceil(3.0 * SCALE.length_mm / VOXEL_MM).astype(int)
    extents = np.ptp(np.argwhere(field.mask), axis=0) + 1 + reach
    folded = [np.minimum(np.arange(n), n - np.arange(n)) * edge for n, edge in zip(extents, VOXEL_MM, strict=True)]
    distance = np.sqrt(sum(np.square(a) for a in np.meshgrid(*folded, indexing="ij")))
    spectra = [np.fft.fftn(_correlation(distance, scale)).real for scale in (SCALE, OTHER)]
    # The cut itself, and variance set to one again.
    cut = max(2.0 * np.abs(spectrum[spectrum < 0.0]).sum() / spectrum.size for spectrum in spectra)
    expected = _by_hand(field)
    largest = np.abs(_matrix(field) - expected).max()
    assert cut < 0.03  # what docs/theory/prior.md promises
    assert largest <= max(cut, 1e-9) * (field.spread.max() ** 2)


@pytest.mark.parametrize("roughness", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("std", [0.03, 0.1, 0.4])
@pytest.mark.parametrize("length_mm", [6.0, 24.0])
def test_variation_below_the_waves_resolution_has_a_floor(std: float, length_mm: float, roughness: float) -> None:
    """A prior fitted to smooth waves must not promise smooth tissue, nor may what is rough already be made rougher.

    Half of the mean squared difference over 4 mm is the floor's or the fitted prior's own, whichever is more.
    """
    scale = Hyperparameters(std, std, length_mm, roughness=roughness, unresolved_std=0.1)
    own = std**2 * (1.0 - _correlation(np.array(4.0), scale))
    least = 1.0 - np.exp(-_rounded(np.array(4.0)) / 4.0)
    assert own + scale.unresolved_variance(EDGE_MM) * least == pytest.approx(max(own, 0.1**2 * least))


def test_draws_differ_in_how_much_they_vary() -> None:
    """How much tissue varies unseen is known to a quarter; one amplitude for all makes intervals of 50 % too wide."""
    scale = Hyperparameters(0.3, 0.3, length_mm=4.0, mean_std=0.0)
    nowhere = sparse.csr_matrix((24**3, 0))
    field = MaternField(
        np.ones((24, 24, 24), dtype=bool), np.full(3, 3.0), HyperparameterMixture.certain(scale), nowhere
    )
    amplitudes = np.log(field.draw(range(200), 3).std(axis=0))
    assert amplitudes.std() == pytest.approx(AMPLITUDE_SPREAD, rel=4 / np.sqrt(2 * 200))


def test_covariance_is_symmetric_and_positive() -> None:
    """It weighs every step and every draw; one negative direction and a conjugate-gradient solve goes astray."""
    for field in (
        _field(),
        _field(Hyperparameters(0.4, 0.25, length_mm=40.0, cross_correlation=-0.9)),
        _field(replace(SCALE, roughness=0.0)),
    ):
        matrix = _matrix(field)
        assert_symmetric(matrix)
        assert_positive(matrix)
        x, y = np.random.default_rng(1).standard_normal((2, len(matrix), 1))
        assert_adjoint(field.apply, field.apply, x, y)


def test_draws_have_the_covariance_that_is_applied() -> None:
    """Draws and the operator are two pieces of code for one C; posterior draws are wrong where they differ."""
    field = _field()
    assert_covariance(field.draw(range(3000), 2), _matrix(field))


def test_means_are_as_free_as_stated() -> None:
    """Mean stiffness differs between patients by its own spread, not by that of neighbouring voxels."""
    narrow = _field(Hyperparameters(0.4, 0.25, length_mm=6.0, mean_std=0.0))
    wide = _field(Hyperparameters(0.4, 0.25, length_mm=6.0, mean_std=0.7))
    added = _matrix(wide) - _matrix(narrow)
    blocks = np.kron(np.eye(FIELDS), np.full((np.count_nonzero(narrow.mask),) * 2, 0.49))
    assert added == pytest.approx(blocks, abs=1e-12)


def test_neither_grid_nor_axis_order_matters() -> None:
    """The prior of a mask must not know where in its grid the mask lies, nor which axis comes first."""
    field = _field()
    grown = MaternField(np.pad(field.mask, 3), VOXEL_MM, field.hypotheses, field.regions)
    assert np.array_equal(_matrix(grown), _matrix(field))
    axes = (2, 0, 1)
    order = np.argsort(_numbers(field.mask).transpose(axes)[field.mask.transpose(axes)])
    turned = MaternField(
        field.mask.transpose(axes),
        VOXEL_MM[list(axes)],
        field.hypotheses,
        field.regions[np.argsort(order)],
    )
    both = np.concatenate([order, order + len(order)])
    assert _matrix(turned)[np.ix_(both, both)] == pytest.approx(_matrix(field), abs=1e-10)


def _numbers(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    number = np.full(mask.shape, -1)
    number[mask] = np.arange(np.count_nonzero(mask))
    return number


EDGES_MM = np.full(3, 2.0)


def test_unit_spread_is_unit_variance() -> None:
    """The stated standard deviation is that of the draws: a wider one would hide what data leave open."""
    mask = np.zeros((30, 30, 30), dtype=bool)
    mask[::9, ::9, ::9] = True  # far apart, so that values are nearly independent
    scale = Hyperparameters(0.4, 0.4, length_mm=2.0, mean_std=0.0)
    nowhere = sparse.csr_matrix((mask.sum(), 0))
    field = MaternField(mask, EDGES_MM, HyperparameterMixture.certain(scale), nowhere, amplitude_spread=0.0)
    assert_mean_square(field.draw(range(60), 6), 0.16, slack=np.exp(-9.0))


def test_single_precision_is_exact_to_what_it_promises() -> None:
    """Draws and deflation take it: an error above 1e-6 of the covariance's size would show against the identity."""
    field = _field()
    columns = np.random.default_rng(3).standard_normal((FIELDS * np.count_nonzero(field.mask), 5))
    exact = field.apply(columns)
    assert 0.0 < np.abs(field.apply(columns, single=True) - exact).max() <= 1e-6 * np.abs(exact).max()
