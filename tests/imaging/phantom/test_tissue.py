"""The truth itself: if tissue were not what its settings say, every published error would be measured against it."""

from __future__ import annotations

import numpy as np
import pytest

from palpate import package_data
from palpate.config.phantom import LesionSettings, PhantomSettings
from palpate.errors import InputError
from palpate.imaging.anatomy.atlas import Atlas, load_atlas
from palpate.imaging.phantom.grid import ScanGrid
from palpate.imaging.phantom.tissue import build_head, random_field


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return load_atlas()


@pytest.fixture(scope="module")
def layers() -> Atlas:
    """A small head of three layers: white matter, grey matter, fluid."""
    shape = (24, 12, 12)
    grey, white = np.zeros(shape), np.zeros(shape)
    white[:8], grey[8:16] = 1.0, 1.0
    return Atlas(0.5 * np.ones(shape), grey, white, np.ones(shape, dtype=np.bool_), np.eye(4))


def test_atlas_is_a_human_brain(atlas: Atlas) -> None:
    """Volumes of an adult brain, in mm3: a wrong file, scaling or crop is off by far more."""
    grey_ml, white_ml = atlas.grey.sum() / 1e3, atlas.white.sum() / 1e3
    assert 600 < grey_ml < 1200
    assert 350 < white_ml < 800
    assert 1300 < atlas.brain.sum() / 1e3 < 2000
    assert (atlas.grey + atlas.white).max() <= 1.0 + 1e-9
    middle = atlas.points_mm[atlas.brain].mean(axis=0)
    assert abs(middle[0]) < 2  # symmetric about the midplane, so the affine survived the crop


def test_without_nilearn_the_message_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A half-installed environment must end in a sentence, not in a traceback."""
    monkeypatch.setattr(package_data, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="nilearn"):
        load_atlas()


def test_random_field_has_the_stated_covariance() -> None:
    """Zero mean, unit variance, (1 + a r) exp(-a r): the prior of the inversion is judged against this truth."""
    length = 4.0
    fields = np.stack([random_field(np.random.default_rng(seed), (48, 48, 48), length) for seed in range(30)])
    assert fields.mean() == pytest.approx(0, abs=0.05)
    assert fields.std() == pytest.approx(1, abs=0.05)
    for lag in (1, 2, 4, 8):
        scaled = np.sqrt(3) * lag / length
        expected = (1 + scaled) * np.exp(-scaled)
        found = (fields * np.roll(fields, lag, axis=1)).mean() / (fields**2).mean()
        assert found == pytest.approx(expected, abs=0.04)


def test_pure_tissue_has_its_stated_moduli(layers: Atlas) -> None:
    """Without variation and lesion, each tissue is exactly what the configuration says."""
    settings = PhantomSettings(variation=0.0, lesion=None)
    modulus = build_head(settings, layers).modulus_kpa
    for index, tissue in ((4, settings.white), (12, settings.grey), (20, settings.fluid)):
        assert modulus[index] == pytest.approx(tissue.storage_kpa + 1j * tissue.loss_kpa)


def test_variation_is_log_normal_in_solid_tissue_only(layers: Atlas) -> None:
    """The logarithm of G' spreads by the stated amount around its tissue's median, and fluid does not vary at all."""
    settings = PhantomSettings(variation=0.12, lesion=None, correlation_mm=1.0)
    modulus = build_head(settings, layers).modulus_kpa
    assert np.log(modulus[:16].real / modulus[:16].real.mean()).std() == pytest.approx(0.12, abs=0.03)
    assert np.log(modulus[:8].imag).std() == pytest.approx(0.12, abs=0.02)
    assert np.ptp(modulus[16:].real) == pytest.approx(0)


def test_fine_variation_comes_on_top(layers: Atlas) -> None:
    """What waves do not resolve adds its own spread, nearly independent between voxels of 2 mm."""
    smooth = PhantomSettings(variation=0.12, lesion=None, correlation_mm=6.0)
    fine = build_head(smooth.model_copy(update={"fine_variation": 0.08}), layers).modulus_kpa
    added = np.log(fine[:16].real / build_head(smooth, layers).modulus_kpa[:16].real)
    assert added.std() == pytest.approx(0.08, abs=0.02)
    assert np.mean(added[4:] * added[:-4]) < 0.3 * added.var()


def test_only_white_matter_has_fibres(layers: Atlas) -> None:
    """The share by which it is stiffer along them is as stated, and the modulus stays the isotropic part."""
    plain, with_fibres = (build_head(PhantomSettings(lesion=None, anisotropy=phi), layers) for phi in (0.0, 0.3))
    points = np.array([[4.0, 6.0, 6.0], [12.0, 6.0, 6.0], [20.0, 6.0, 6.0]])
    assert with_fibres.anisotropy_at(points) == pytest.approx([0.3, 0.0, 0.0])
    assert plain.anisotropy_at(points) == pytest.approx(np.zeros(3))
    assert np.array_equal(plain.modulus_kpa, with_fibres.modulus_kpa)


def test_lesion_is_where_and_what_it_should_be(layers: Atlas) -> None:
    """Deep inside its radius the lesion's own moduli, far outside the healthy ones."""
    lesion = LesionSettings(centre_mm=(6, 6, 6), radius_mm=3, edge_mm=0.2)
    head = build_head(PhantomSettings(variation=0, lesion=lesion), layers)
    inside, outside = head.modulus_kpa_at(np.array([[6.0, 6, 6], [0, 0, 0]]))
    assert inside == pytest.approx(4.5 + 1.6j, rel=1e-4)
    assert outside == pytest.approx(2.603 + 1.157j, rel=1e-4)


def test_a_voxel_has_the_mean_of_what_lies_in_it(layers: Atlas) -> None:
    """An inversion sees what a voxel holds, not the point at its centre; half and half is the geometric mean.

    Voxels of 4 mm: one inside white matter, one across the border to grey matter at 7.5 mm.
    """
    settings = PhantomSettings(variation=0.0, lesion=None)
    affine_mm = np.diag([4.0, 4.0, 4.0, 1.0])
    affine_mm[:3, 3] = [3.5, 6.0, 6.0]
    white, border = build_head(settings, layers).modulus_kpa_in(ScanGrid(affine_mm, (2, 1, 1)))[:, 0, 0]
    assert white == pytest.approx(settings.white.storage_kpa + 1j * settings.white.loss_kpa)
    between = settings.white.storage_kpa * settings.grey.storage_kpa
    assert border.real == pytest.approx(np.sqrt(between), rel=1e-3)


def test_the_seed_decides_everything_random(layers: Atlas) -> None:
    """Two runs with one seed must agree to the bit, or no published figure can be reproduced."""
    first, again, other = (build_head(PhantomSettings(seed=seed), layers).modulus_kpa for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)
