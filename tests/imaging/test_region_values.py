"""Values of regions from joint draws: laws that hold for any posterior and any region."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from palpate import read_stiffness as read_posterior
from palpate.errors import InputError
from palpate.imaging.anatomy.atlas import load_atlas
from palpate.imaging.anatomy.atlas_placement import place_atlas
from palpate.imaging.derived.quantities import DERIVED
from palpate.imaging.derived.statistics import medium_of
from palpate.imaging.files.draws import DrawsFile, open_draws
from palpate.imaging.files.nifti import StoredVolume, Volume
from palpate.imaging.files.stiffness_folder import StiffnessMaps, read_stiffness
from palpate.imaging.region_values.atlas_regions import LaidAtlas, one_after_another
from palpate.imaging.region_values.averages import averages
from palpate.imaging.region_values.motion import uncertain
from palpate.imaging.region_values.quantities import LOSS, REGION_QUANTITIES, STORAGE, USUAL
from palpate.imaging.region_values.values import RegionValue, region_values
from palpate.imaging.region_values.weights import WeightedRegion, weighted
from palpate.imaging.regions.contours import ContourShape
from palpate.imaging.regions.polygon import Polygons
from palpate.imaging.regions.region import DrawnRegion, Shape, VoxelShape
from palpate.imaging.regions.sphere import SphereShape, read_sphere
from palpate.imaging.registration.placement import MOTION_SEED, Placement
from palpate.imaging.registration.rigid import Rigid
from tests.service.conftest import write_session

ALL = [REGION_QUANTITIES[key] for key in USUAL]


@pytest.fixture(scope="module")
def mre(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("session")
    return write_session(folder / "session", folder / "truth").mre


@pytest.fixture(scope="module")
def run(mre: Path) -> StiffnessMaps:
    return read_stiffness(mre)[0]


@pytest.fixture(scope="module")
def draws(run: StiffnessMaps) -> DrawsFile:
    assert run.samples_path is not None
    return open_draws(run.samples_path, run.informed.shape)


def _values(run: StiffnessMaps, draws: DrawsFile, *regions: WeightedRegion) -> list[RegionValue]:
    medium = medium_of(run.stem, run.inversion, run.frequency_hz, draws.density_kg_m3, ALL)
    return region_values(run, draws, regions, ALL, medium)


def _drawn(shape: Shape) -> DrawnRegion:
    return DrawnRegion("region", "sphere", shape)


def _middle_mm(run: StiffnessMaps) -> NDArray[np.float64]:
    return np.asarray(run.affine_mm @ np.array([10.0, 11.0, 6.0, 1.0]))[:3]


def _mask_region(run: StiffnessMaps, draws: DrawsFile, mask: NDArray[np.bool_]) -> WeightedRegion:
    return weighted(_drawn(VoxelShape(StoredVolume(mask.astype(np.uint8), run.affine_mm), 1.0)), run, draws)


def test_a_binary_mask_has_the_values_of_the_posterior_in_python(
    mre: Path, run: StiffnessMaps, draws: DrawsFile
) -> None:
    """Two ways to one number: a user of Python and a table must not differ."""
    mask = np.zeros(run.informed.shape, dtype=bool)
    mask[4:12, 5:14, 2:9] = True
    told = read_posterior(mre).region(mask)
    for value in _values(run, draws, _mask_region(run, draws, mask)):
        named = {"storage_modulus": "storage_kpa", "loss_modulus": "loss_kpa", "magnitude": "magnitude_kpa"}
        summary = getattr(told, named.get(value.quantity.key, value.quantity.key))
        np.testing.assert_allclose(value.draws, summary.values, rtol=1e-12)
        assert value.region.covered_share == pytest.approx(told.covered_share, rel=1e-12)
        assert value.region.covered_ml == pytest.approx(told.volume_ml, rel=1e-12)
        assert value.informed_share == pytest.approx(told.informed_share, rel=1e-12)


def test_a_union_of_disjoint_regions_is_their_mean_by_volume(run: StiffnessMaps, draws: DrawsFile) -> None:
    """Volume-weighted means add up in each draw, also of derived quantities."""
    first, second = np.zeros((2, *run.informed.shape), dtype=bool)
    first[4:9, 5:14, 2:9], second[9:12, 5:16, 2:7] = True, True
    parts = [_mask_region(run, draws, one) for one in (first, second, first | second)]
    found = _values(run, draws, *parts)
    for one, other, both in zip(found[:4], found[4:8], found[8:], strict=True):
        weights = np.array([one.region.covered_ml, other.region.covered_ml])
        mean = weights @ np.stack([one.draws, other.draws]) / weights.sum()
        np.testing.assert_allclose(both.draws, mean, rtol=1e-12)


def test_values_are_linear_in_the_moduli(run: StiffnessMaps, draws: DrawsFile) -> None:
    """Draws that are twice as stiff have regions that are twice as stiff, and the same loss tangent."""
    samples = run.samples()
    assert samples is not None
    stiffer = replace(samples, moduli_kpa={name: 2.0 * one for name, one in samples.moduli_kpa.items()})
    region = weighted(_drawn(SphereShape(_middle_mm(run), 7.0)), run, draws)
    medium = medium_of(run.stem, run.inversion, run.frequency_hz, None, ALL)
    before, after = (region_values(run, one, [region], ALL, medium) for one in (samples, stiffer))
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(other.draws, (1.0 if one.quantity.unit == "1" else 2.0) * one.draws, rtol=1e-12)


def test_partial_voxels_of_a_sphere_add_up_to_its_volume(run: StiffnessMaps, draws: DrawsFile) -> None:
    """The edge of a region crosses voxels; counting whole ones would be wrong by 10 % at a radius of 6 mm."""
    volume_ml = [weighted(_drawn(SphereShape(_middle_mm(run), radius)), run, draws) for radius in (4.0, 6.0, 9.0)]
    for one, tolerance in zip(volume_ml, (0.02, 0.01, 0.005), strict=True):
        assert one.covered_ml == pytest.approx(one.volume_ml, rel=tolerance)
        assert np.any((one.shares > 0.0) & (one.shares < 1.0))


def test_a_region_that_leaves_the_map_says_so(run: StiffnessMaps, draws: DrawsFile) -> None:
    """A sphere on the map's border is covered by the share that a count of fine points gives."""
    corner_mm = run.affine_mm[:3, :3] @ np.array([-0.5, 11.0, 6.0]) + run.affine_mm[:3, 3]
    shape = SphereShape(corner_mm, 9.0)
    region = weighted(_drawn(shape), run, draws)
    points = np.random.default_rng(3).uniform(-9.0, 9.0, (40_000, 3))
    points = points[np.linalg.norm(points, axis=1) <= 9.0] + corner_mm
    index = np.rint((points - run.affine_mm[:3, 3]) @ np.linalg.inv(run.affine_mm[:3, :3]).T).astype(int)
    known = run.moduli["storagemodulus"].mean.covered
    within = np.all((index >= 0) & (index < known.shape), axis=1)
    within[within] = known[tuple(index[within].T)]
    assert region.covered_share == pytest.approx(within.mean(), abs=0.02)
    with pytest.raises(InputError, match="overlaps"):
        _values(run, draws, weighted(_drawn(SphereShape(corner_mm - 500.0, 9.0)), run, draws))


def test_a_value_hangs_on_nothing_but_its_region(run: StiffnessMaps, draws: DrawsFile) -> None:
    """To the last bit: a service asked for one region, and a table of many, must print the same number."""
    small = weighted(_drawn(SphereShape(_middle_mm(run), 5.0)), run, draws)
    everything = _mask_region(run, draws, np.ones(run.informed.shape, dtype=bool))
    alone, among = _values(run, draws, small), _values(run, draws, everything, small)[4:]
    assert [one.draws.tobytes() for one in alone] == [one.draws.tobytes() for one in among]


def test_reading_by_blocks_changes_no_bit(run: StiffnessMaps, draws: DrawsFile) -> None:
    """Blocks of a file are as wide as memory allows; a sum must not depend on where they end."""
    weights = sparse.csr_array(np.random.default_rng(1).random((2, len(draws.voxels))))

    class Narrow:
        count, voxels = draws.count, draws.voxels

        def blocks(self):  # noqa: ANN202
            for here, storage_kpa, loss_kpa in draws.blocks():
                edges = [*range(here.start, here.stop, 97), here.stop]
                for first, last in pairwise(edges):
                    part = slice(first - here.start, last - here.start)
                    yield slice(first, last), storage_kpa[:, part], loss_kpa[:, part]

    medium = medium_of(run.stem, run.inversion, run.frequency_hz, None, [])
    one, other = (averages(source, weights, [STORAGE, LOSS], medium) for source in (draws, Narrow()))
    assert all(one[key].tobytes() == other[key].tobytes() for key in one)


def test_an_uncertain_place_widens_by_what_motions_draw_by_draw_do(run: StiffnessMaps, draws: DrawsFile) -> None:
    """The effect of a registration's error stands for a motion of its own in each draw, which it must reproduce."""
    covariance = np.diag([0.02**2] * 3 + [1.2**2, 0.8**2, 0.5**2])
    centre = _middle_mm(run)
    motion = Rigid(np.array([0.05, 0.0, -0.1, 1.0, 2.0, -1.0]), centre)
    shape = SphereShape(np.asarray(motion.moved(centre)) + np.array([5.0, -6.0, 0.0]), 6.0)
    region = weighted(_drawn(shape), run, draws, uncertain(motion, covariance))
    still = weighted(_drawn(shape), run, draws, motion)
    found, at_rest = (_values(run, draws, one)[0].draws for one in (region, still))
    mean_kpa = run.moduli["storagemodulus"].mean.values[tuple(draws.voxels.T)].astype(np.float64)
    told = []
    for one in motion.draws(covariance, draws.count, MOTION_SEED):
        shares = weighted(_drawn(shape), run, draws, one).shares
        told.append(shares @ mean_kpa / shares.sum())
    told = np.array(told) - still.shares @ mean_kpa / still.shares.sum()
    effect = found - at_rest
    assert np.corrcoef(effect, told)[0, 1] > 0.97
    assert effect.std() == pytest.approx(told.std(), rel=0.1)
    assert effect.mean() == pytest.approx(told.mean(), abs=0.15 * told.std())


def test_a_probability_has_an_error_even_where_all_draws_agree(run: StiffnessMaps, draws: DrawsFile) -> None:
    """60 draws on one side do not prove a probability of 1."""
    value = _values(run, draws, weighted(_drawn(SphereShape(_middle_mm(run), 6.0)), run, draws))[0]
    assert value.above(0.0).value == 1.0
    assert 0.0 < value.above(0.0).error < 1.0 / draws.count**0.5
    middle = value.above(float(np.median(value.draws)))
    assert middle.value == 0.5
    assert middle.error == pytest.approx(0.5 / draws.count**0.5, rel=0.05)
    errors = value.monte_carlo
    assert errors.mean == pytest.approx(value.std / draws.count**0.5)
    assert errors.lower > errors.mean < errors.upper


def test_boxes_hold_their_shapes() -> None:
    """Voxels outside the box are not asked: a box that is too small would cut a region silently."""
    square = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 3.0]])
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    slabs = np.array([1.0, 1.0])
    contours = ContourShape(turn.T, np.array([0.0, 2.0]), slabs, slabs, [Polygons.of([square])] * 2)
    mask = np.zeros((6, 5, 4), dtype=np.uint8)
    mask[2:4, 1, 3] = 1
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn * 2.0, [3.0, -1.0, 2.0]
    shapes = (contours, VoxelShape(StoredVolume(mask, affine), 1.0), SphereShape(np.array([1.0, 2.0, 3.0]), 4.0))
    points = np.random.default_rng(6).uniform(-12.0, 14.0, (100_000, 3))
    for shape in shapes:
        inside = points[shape.shares(points) > 0.0]
        low, high = shape.box_mm
        assert len(inside) > 10
        assert np.all((inside >= low) & (inside <= high))
        assert np.all((inside.min(axis=0) - low < 1.0) & (high - inside.max(axis=0) < 1.0))


@pytest.mark.parametrize("given", ["1,2,3", "1,2,3,0", "a,b,c,d", "1,2,3,nan", "1;2;3;4", "1,2,3,1e9", ""])
def test_a_sphere_is_four_numbers(given: str) -> None:
    """A wrong separator or a missing radius is a typing error, which a sentence answers."""
    with pytest.raises(InputError, match="RADIUS"):
        read_sphere(given)


def test_an_atlas_is_laid_by_two_motions_and_both_errors(run: StiffnessMaps, draws: DrawsFile) -> None:
    """The way over the T1 is the motion to it and the one after it; errors of both add up where the tissue is."""
    first = Placement("registered", Rigid(np.array([0.1, 0.0, 0.2, 3.0, -2.0, 1.0]), np.zeros(3)), np.eye(6) * 1e-4)
    second = Placement(
        "registered", Rigid(np.array([0.0, 0.1, 0.0, -1.0, 4.0, 0.0]), _middle_mm(run)), np.eye(6) * 4e-4
    )
    both = one_after_another(first, second)
    point = _middle_mm(run) + np.array([5.0, -3.0, 8.0])
    np.testing.assert_allclose(both.moved(point), second.motion.moved(first.motion.moved(point)))
    generator = np.random.default_rng(4)
    drawn = zip(*(one.motion.draws(one.covariance, 800, seed) for one, seed in ((first, 1), (second, 2))), strict=True)
    told = np.cov(np.array([after.moved(before.moved(point)) for before, after in drawn]).T)
    nodes = np.array([one.moved(point) for one in both.displaced])
    steps = (nodes[::2] - nodes[1::2]) / (2.0 * 3.0**0.5)
    np.testing.assert_allclose(steps.T @ steps, told, atol=0.2 * np.trace(told))
    shares = generator.random((9, 8, 7)).astype(np.float32)
    affine = np.diag([6.0, 6.0, 6.0, 1.0])
    affine[:3, 3] = both.moved(_middle_mm(run)) - 24.0
    laid = LaidAtlas({"a": shares, "b": 1.0 - shares}, affine, both)
    for one, values in zip(laid.weighted(run, draws), (shares, 1.0 - shares), strict=True):
        alone = weighted(_drawn(VoxelShape(StoredVolume(values, affine), 1.0)), run, draws, both)
        np.testing.assert_allclose(one.shares, alone.shares, atol=1e-6)
        assert one.volume_ml == pytest.approx(alone.volume_ml, rel=1e-5)
        assert one.displaced is not None
        assert one.displaced.shape == (13, len(draws.voxels))


@pytest.mark.long
def test_the_atlas_finds_a_head_that_was_moved_and_scaled() -> None:
    """The average brain itself, moved and 8 % larger: its left half must be found on the left within 2 mm."""
    atlas = load_atlas()
    motion = Rigid(np.array([0.1, -0.05, 0.08, 6.0, -9.0, 4.0]), np.zeros(3))
    scaled = motion.matrix_mm @ np.diag([1.08, 1.08, 1.08, 1.0])
    found = place_atlas(Volume(atlas.t1, scaled @ atlas.affine_mm), atlas, "head")
    inside = np.argwhere(atlas.brain)[::5000].astype(float)
    truth = inside @ (scaled @ atlas.affine_mm)[:3, :3].T + (scaled @ atlas.affine_mm)[:3, 3]
    laid = inside @ found.affine_mm[:3, :3].T + found.affine_mm[:3, 3]
    assert np.abs(found.placement.motion.moved(truth) - laid).max() < 2.0


def test_quantities_of_the_table_are_those_of_the_maps() -> None:
    """One list of derived quantities: a new one appears in tables as well."""
    assert set(REGION_QUANTITIES) == {"storage_modulus", "loss_modulus", *DERIVED}
