"""Masks that nobody drew: the brain is found among scalp, eyes and neck, and what is no head is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from brain_mask import wide_slab
from worlds.skulled_heads import HeadShape, Skulled, skulled_head

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.anatomy.atlas import load_atlas
from palpate.imaging.anatomy.brain_mask import BrainMask, brain_mask, dice
from palpate.imaging.anatomy.tissue_mask import tissue_mask
from palpate.imaging.files.nifti import Volume
from palpate.imaging.ingest import ingest
from palpate.imaging.phantom.grid import block
from tests.imaging.scanner import Scan, write_mre

COARSE = block(np.array([0.0, -18.0, 10.0]), np.diag([-1.0, -1.0, 1.0]), (60, 70, 52), 4.0)


@pytest.fixture(scope="module")
def head() -> Skulled:
    return skulled_head(load_atlas(), COARSE, HeadShape(seed=5))


@pytest.fixture(scope="module")
def found(head: Skulled) -> BrainMask:
    return brain_mask(head.image, threshold=0.2, where="head")


@pytest.mark.long
def test_the_atlas_finds_the_brain_in_a_head(head: Skulled, found: BrainMask) -> None:
    """Waves in scalp and neck are not the brain's. A voxel of 4 mm all around is 15 % of the brain: half may err.

    The mask by magnitude takes in the neck and the eyes, so that the bound means something.
    """
    assert found.agreeing_starts >= 2
    assert dice(found.mask, head.with_film) > 0.925
    plain = tissue_mask(head.image.values, COARSE.voxel_mm, threshold=0.2, opening_mm=4.0)
    assert dice(plain, head.with_film) < 0.9


@pytest.mark.long
def test_equal_heads_give_equal_masks(head: Skulled, found: BrainMask) -> None:
    """A study that is run again must find the same brain."""
    np.testing.assert_array_equal(brain_mask(head.image, threshold=0.2, where="head").mask, found.mask)


@pytest.mark.long
@pytest.mark.parametrize("way", ["magnitude", "atlas"])
def test_a_slab_is_enough(way: str) -> None:
    """Five slices, as the public scan has them: both ways find the brain where a dark skull parts it from the scalp."""
    grid = wide_slab()
    slab = skulled_head(load_atlas(), grid, HeadShape(seed=6))
    if way == "atlas":
        mask = brain_mask(slab.image, threshold=0.2, where="slab").mask
    else:
        mask = tissue_mask(slab.image.values, grid.voxel_mm, threshold=0.2, opening_mm=4.0)
    assert dice(mask, slab.with_film) > 0.95


def _noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(3).rayleigh(size=shape)


def _ball(shape: tuple[int, ...]) -> np.ndarray:
    away = np.linalg.norm(np.moveaxis(np.indices(shape), 0, -1) - np.array(shape) / 2, axis=-1)
    return np.where(away < 4.0, 100.0, 0.0) + _noise(shape)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (np.zeros((20, 20, 20)), "without a head"),
        (_noise((40, 40, 1)), "without a head"),
        pytest.param(_noise((40, 40, 30)), "agree on a brain|no start brings", marks=pytest.mark.long),
        pytest.param(_ball((60, 70, 52)), "agree on a brain|no start brings", marks=pytest.mark.long),
    ],
    ids=["empty", "one slice", "noise", "a small ball"],
)
def test_what_is_no_head_is_refused(values: np.ndarray, found: str) -> None:
    """A mask of nothing would be inverted like any other; the sentence says what to do instead."""
    with pytest.raises(InputError, match=found) as refused:
        brain_mask(Volume(values, COARSE.affine_mm), threshold=0.2, where="sub-01")
    assert "--mask" in str(refused.value)


@pytest.mark.parametrize("way", ["magnitude", pytest.param("atlas", marks=pytest.mark.long)])
def test_the_record_says_where_the_mask_is_from(way: str, tmp_path: Path) -> None:
    """Who reads maps must know what drew their border. A block with nothing but tissue stays whole either way."""
    write_mre(tmp_path / "mre", Scan())
    settings = IngestSettings.model_validate({"mask_by": way})
    ingest(tmp_path / "mre", "sub-01", tmp_path / "out", anatomy=None, settings=settings)
    record = json.loads((tmp_path / "out" / "sub-01_ingest.json").read_text())["mask"]
    assert record["source"] == way
    assert record["voxels"] > 0.9 * np.prod(Scan().shape)
