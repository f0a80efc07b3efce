"""Shares of tissues from an image's brightness: judged by the average brain's own maps, and by simulated mixtures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.filters import threshold_multiotsu

from palpate.imaging.anatomy.atlas import Atlas, load_atlas
from palpate.imaging.anatomy.labels import read_classes
from palpate.imaging.anatomy.partial_volume import pure_intensities
from palpate.imaging.files.nifti import write_nifti

PURE = np.array([20.0, 65.0, 88.0])
BLOCK = (21, 13, 9)
"""Voxels of 2 mm."""


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    """The ICBM152 average brain with its maps of grey and white matter."""
    return load_atlas()


def _class_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    number = np.digitize(values, threshold_multiotsu(values, classes=3))
    return np.array([values[number == k].mean() for k in range(3)])


def _mixed(noise: float, pure_share: float) -> NDArray[np.float64]:
    """Intensities of 40,000 voxels; of those with fluid hardly any has nothing else if pure_share is small."""
    generator = np.random.default_rng(4)
    kind = generator.choice(4, 40_000, p=[0.2 * (1 - pure_share), 0.2, 0.3, 0.3 + 0.2 * pure_share])
    of_two = generator.uniform(size=kind.size)
    fluid = generator.uniform(size=kind.size) < pure_share
    values = np.select(
        [kind == 0, kind == 1, kind == 2],
        [PURE[1] + (PURE[0] - PURE[1]) * of_two, PURE[1] + (PURE[2] - PURE[1]) * of_two, np.full(kind.size, PURE[1])],
        np.where(fluid, PURE[0], PURE[2]),
    )
    return np.asarray(values + noise * generator.standard_normal(kind.size))


@pytest.mark.parametrize("noise", [1.0, 3.0])
@pytest.mark.parametrize("pure_share", [0.0, 0.3])
def test_pure_tissues_are_found_in_mixtures(noise: float, pure_share: float) -> None:
    """Also where no voxel is pure fluid: the dark class has its mean half way to cortex, which doubles shares."""
    values = _mixed(noise, pure_share)
    assert np.abs(np.array(pure_intensities(values)) - PURE).max() < 1.0
    assert _class_means(values)[0] - PURE[0] > 5.0


def test_units_of_brightness_do_not_matter() -> None:
    """Scanners scale as they like; shares must not depend on it."""
    values = _mixed(2.0, 0.2)
    found = np.array(pure_intensities(values))
    np.testing.assert_allclose(pure_intensities(30.0 * values + 700.0), 30.0 * found + 700.0, rtol=1e-3)


def test_a_mask_taken_for_an_anatomy_tells_no_tissues(tmp_path: Path) -> None:
    """Interpolated, its two values look like many; it has no three tissues."""
    inside = (np.indices((30, 30, 30)).sum(axis=0) < 40).astype(np.float32)
    write_nifti(tmp_path / "mask.nii.gz", inside, np.diag([1.0, 1.0, 1.0, 1.0]))
    mask = np.ones((9, 9, 9), dtype=bool)
    assert not read_classes(tmp_path / "mask.nii.gz", mask, np.diag([2.7, 2.7, 2.7, 1.0])).numbers.size


def test_shares_are_those_of_the_average_brain(tmp_path: Path, atlas: Atlas) -> None:
    """Against maps made by others. Twice the true share of fluid would make cortex a third too soft in the prior."""
    error, before = _errors(tmp_path, atlas, _halved(atlas.brain.astype(float)) == 1.0)
    assert error[0] < 0.6 * before[0]
    assert error.sum() < 0.75 * before.sum()


@pytest.mark.long
def test_shares_in_small_blocks(tmp_path: Path, atlas: Atlas) -> None:
    """On average over blocks as small as the calibration cohort's, many of which hold no pure fluid."""
    brain = _halved(atlas.brain.astype(float)) == 1.0
    generator = np.random.default_rng(7)
    errors = []
    while len(errors) < 12:
        first = [int(generator.integers(n - m)) for n, m in zip(brain.shape, BLOCK, strict=True)]
        block = np.zeros_like(brain)
        block[tuple(slice(at, at + size) for at, size in zip(first, BLOCK, strict=True))] = True
        if (brain & block).sum() > 0.9 * np.prod(BLOCK):
            errors.append(_errors(tmp_path, atlas, brain & block))
    error, before = np.mean(errors, axis=0)
    assert error[0] < 0.6 * before[0]
    assert error.sum() < 0.75 * before.sum()


def _errors(tmp_path: Path, atlas: Atlas, mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean absolute errors of the shares of fluid, grey and white matter: ours, and with class means for pure tissues.

    Args:
        tmp_path: for the image.
        atlas: image and maps, 1 mm.
        mask: of voxels of 2 mm.
    """
    voxel_mm = np.diag([2.0, 2.0, 2.0, 1.0])
    voxel_mm[:3, 3] = atlas.affine_mm[:3, 3] + 0.5
    fluid = np.clip(1.0 - atlas.grey - atlas.white, 0.0, 1.0)
    true = np.stack([_halved(part)[mask] for part in (fluid, atlas.grey, atlas.white)], axis=-1)
    if not (tmp_path / "t1.nii.gz").exists():
        write_nifti(tmp_path / "t1.nii.gz", (1000 * atlas.t1).astype(np.float32), atlas.affine_mm)
    fractions = read_classes(tmp_path / "t1.nii.gz", mask, voxel_mm).fractions.toarray()
    image = _halved(atlas.t1)[mask]
    dark, middle, bright = _class_means(image)
    first = np.clip((middle - image) / (middle - dark), 0.0, 1.0)
    third = np.clip((image - middle) / (bright - middle), 0.0, 1.0)
    by_class_means = np.stack([first, 1.0 - first - third, third], axis=-1)
    ours, theirs = (np.abs(found - true).mean(axis=0) for found in (fractions, by_class_means))
    return ours, theirs


def _halved(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over eight voxels."""
    i, j, k = (n // 2 for n in values.shape)
    return np.asarray(values[: 2 * i, : 2 * j, : 2 * k].reshape(i, 2, j, 2, k, 2).mean(axis=(1, 3, 5)))
