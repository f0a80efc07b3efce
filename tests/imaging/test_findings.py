"""Findings: excursion sets keep their probability, and regions their place and intervals."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.config.findings import FindingsSettings
from palpate.errors import InputError
from palpate.imaging.anatomy.midplane import MidPlane
from palpate.imaging.findings.calibration import FEWEST, FindingAccuracy, measured
from palpate.imaging.findings.excursion import Excursions
from palpate.imaging.findings.find import findings
from palpate.imaging.findings.finding import Finding
from palpate.imaging.findings.neighbourhood import Neighbourhood
from palpate.imaging.findings.reference import true_relative
from palpate.imaging.findings.rows import label_volume, place_rows, region_rows
from palpate.imaging.findings.tissue_labels import TissueLabels
from palpate.imaging.region_values.weights import WeightedRegion
from tests.imaging.posterior_draws import AFFINE_MM, of_draws, posterior, smooth
from tests.laws.chance import FALSE_ALARM, assert_coverage, stats

SHAPE = (12, 11, 10)
FACTOR = FindingsSettings().factor


def ball(centre: tuple[float, float, float], radius: float, shape: tuple[int, ...] = SHAPE) -> NDArray[np.float64]:
    """1 inside a ball, falling to 0 over two voxels at its edge."""
    distance = np.linalg.norm(np.moveaxis(np.indices(shape), 0, -1) - np.array(centre), axis=-1)
    return np.clip((radius + 1.0 - distance) / 2.0, 0.0, 1.0)


def planted(radius: float = 3.0, contrast: float = 2.0) -> NDArray[np.float64]:
    """Field of ln G' of tissue of 2.5 kPa with a ball, off the middle."""
    return np.log(2.5) + np.log(contrast) * ball((4.0, 5.0, 5.0), radius)


@pytest.mark.parametrize(("width", "level"), [(0.0, 0.9), (0.0, 0.5), (1.5, 0.9)])
def test_a_set_holds_with_its_probability(width: float, level: float) -> None:
    """The truth is beyond the threshold in the whole set as often as the level says, correlated or not.

    Voxels join the set by the draws that judge it: without leaving each draw out of its own order, it would hold less
    often. The slope makes sets of some ten voxels.
    """
    rng, repeats, shape = np.random.default_rng(1), 120, (9, 9, 4)
    slope = 0.08 * np.indices(shape)[0]
    holds, sizes = 0, []
    for _ in range(repeats):
        spread = 0.1 * np.exp(0.3 * smooth(shape, 1, 2.0, rng))
        values = (slope + spread * smooth(shape, 100, width, rng)).reshape(100, -1).astype(np.float32)
        found = Excursions.of(values[1:]).joint_set(1, 0.2, level)
        sizes.append(np.count_nonzero(found))
        holds += bool(np.all(values[0, found] > 0.2))
    assert holds >= stats.binom.ppf(FALSE_ALARM, repeats, level)
    assert np.median(sizes) > 40


def test_homogeneous_tissue_has_no_findings() -> None:
    """Estimates that scatter about one stiffness, as draws scatter about them: a map with a finding is the exception.

    Of one kind at most 10 % of maps may hold one; chance alone would make findings wherever the noise is largest.
    """
    rng, repeats = np.random.default_rng(2), 30
    count = 0
    for number in range(repeats):
        estimate = np.log(2.5) + 0.15 * smooth((8, 8, 8), 1, 1.0, rng)[0]
        known = posterior(estimate, 0.15, seed=number, count=49)
        count += any(one.kind == "stiff" for one in findings(known.run, known.draws))
    assert count <= stats.binom.isf(FALSE_ALARM, repeats, 0.1)


def test_sets_are_nested() -> None:
    """More certainty or a higher threshold never adds a voxel, for either sign; a reader may trust the smaller set."""
    known = posterior(planted(), 0.12, seed=3)
    values = np.log(known.draws.moduli_kpa["storagemodulus"] / np.float32(2.5))
    values[:, :200] *= -1.0
    excursions, signs = Excursions.of(values), (1, -1)
    for sign in signs:
        by_level = [excursions.joint_set(sign, 0.1, level) for level in (0.5, 0.7, 0.9, 0.97)]
        by_threshold = [excursions.joint_set(sign, limit, 0.9) for limit in (0.0, 0.1, 0.3, 0.5)]
        for sets in (by_level, by_threshold):
            assert all(not np.any(inner & ~outer) for outer, inner in pairwise(sets))
            assert sets[0].sum() > sets[-1].sum()


def test_few_draws_support_no_high_level() -> None:
    """With 50 draws nobody can say 99 %: nothing is found, however stiff."""
    known = posterior(planted(), 0.05, seed=4, count=50)
    assert findings(known.run, known.draws, FindingsSettings(level=0.95))
    assert findings(known.run, known.draws, FindingsSettings(level=0.99)) == ()


def _one(found: tuple[Finding, ...], kind: str = "stiff") -> Finding:
    (only,) = (one for one in found if one.kind == kind)
    return only


def test_intervals_of_a_planted_lesion_hold_its_truth() -> None:
    """Mean, ratio and extent hold in 95 % although the region was chosen for its values: the posterior knows them.

    It is calibrated here by construction; what a wrong prior does is measured by benchmarks/findings.py.
    """
    held = {"mean": 0, "ratio": 0, "extent": 0}
    repeats = 40
    for number in range(repeats):
        known = posterior(planted(), 0.12, seed=100 + number, count=39)
        one = _one(findings(known.run, known.draws))
        around = known.truth_kpa[one.surroundings].mean()
        relative = true_relative(known.run, known.truth_kpa, known.draws.voxels)
        near = Neighbourhood.around(one.mask, AFFINE_MM, 12.0)
        (extent,) = near.extents(relative.values, relative.places, 1, float(np.log(FACTOR)), 12.0)
        inside = known.truth_kpa[one.mask].mean()
        assert one.ratio is not None
        for name, values, truth in (
            ("mean", one.mean_kpa, inside),
            ("ratio", one.ratio, inside / around),
            ("extent", one.extent_ml, extent * 0.008),
        ):
            held[name] += values.lower <= truth <= values.upper
    for count in held.values():
        assert_coverage(count, repeats, 0.95)


def test_figures_of_a_planted_lesion() -> None:
    """Place, side and size of the ball; its ratio between 1 and the contrast, as voxels at its edge are mixed."""
    known = posterior(planted(), 0.03, seed=5)
    one = _one(findings(known.run, known.draws))
    true_ml = 0.008 * np.sum(known.truth_kpa > FACTOR * np.median(known.truth_kpa))
    assert one.centre_mm == pytest.approx([8.0, 10.0, 10.0], abs=1.0)
    at = np.linalg.solve(known.run.affine_mm, np.append(one.place_mm, 1.0))[:3]
    assert one.mask[tuple(np.rint(at).astype(int))]
    assert one.side == "unknown"  # nothing shows where the middle of the head is
    assert one.extent_ml.lower <= true_ml <= one.extent_ml.upper
    assert 0.5 * true_ml <= one.volume_ml <= true_ml
    assert one.ratio is not None
    assert 1.5 <= one.ratio.mean <= 2.0
    assert one.probability_stiffer == 1.0
    assert one.probability >= 0.9
    assert one.informed_share == pytest.approx(1.0)
    assert one.draws == 99
    soft = _one(findings(*_pair(2.0 * np.log(2.5) - planted(), 0.03)), "soft")
    assert soft.probability_stiffer == 0.0
    assert soft.centre_mm == pytest.approx(one.centre_mm, abs=0.5)


def _pair(log_kpa: NDArray[np.float64], spread: float, **given: object) -> tuple[object, object]:
    known = posterior(log_kpa, spread, seed=6, **given)  # type: ignore[arg-type]
    return known.run, known.draws


@pytest.mark.parametrize(("axes", "flip"), [((0, 1, 2), (0,)), ((2, 0, 1), ()), ((1, 0, 2), (0, 2))])
def test_the_order_of_voxels_does_not_matter(axes: tuple[int, ...], flip: tuple[int, ...]) -> None:
    """The same world stored along other axes: the same voxels, places in mm, sides and figures."""
    affine_mm = np.array([[2.0, 0.3, 0.0, -9.0], [-0.3, 2.0, 0.0, 4.0], [0.0, 0.0, 3.0, 7.0], [0.0, 0.0, 0.0, 1.0]])
    rng = np.random.default_rng(7)
    drawn = np.exp(planted(2.5) + 0.1 * smooth(SHAPE, 60, 1.0, rng))
    informed = np.ones(SHAPE, dtype=bool)
    usual = of_draws(drawn, drawn[0], affine_mm, informed)
    turned_mm = affine_mm[:, [*axes, 3]]
    shape = tuple(SHAPE[axis] for axis in axes)
    step = np.eye(4)
    for axis in flip:
        step[axis, axis], step[axis, 3] = -1.0, shape[axis] - 1.0
    turned = np.flip(drawn.transpose(0, *(axis + 1 for axis in axes)), tuple(axis + 1 for axis in flip))
    other = of_draws(turned, turned[0], turned_mm @ step, np.ones(shape, dtype=bool))
    mine, theirs = (findings(one.run, one.draws) for one in (usual, other))
    assert len(mine) == len(theirs) > 0
    for one, same in zip(mine, theirs, strict=True):
        assert np.array_equal(np.flip(one.mask.transpose(axes), flip), same.mask)
        assert np.array_equal(np.flip(one.surroundings.transpose(axes), flip), same.surroundings)
        assert same.centre_mm == pytest.approx(one.centre_mm)
        assert (one.side, one.kind) == (same.side, same.kind)
        for figure in ("mean_kpa", "ratio", "extent_ml"):
            assert getattr(same, figure).values == pytest.approx(getattr(one, figure).values, rel=1e-6)


def test_what_all_voxels_share_cancels() -> None:
    """A wrong density scales all voxels of a draw: regions and ratios stay, and only means in kPa move."""
    rng = np.random.default_rng(8)
    drawn = np.exp(planted() + 0.08 * smooth(SHAPE, 60, 1.0, rng))
    scaled = drawn * np.exp(0.3 * rng.standard_normal(60))[:, None, None, None]
    informed = np.ones(SHAPE, dtype=bool)
    plain, shaken = (_one(findings(*_known(one, informed))) for one in (drawn, scaled))
    assert np.array_equal(plain.mask, shaken.mask)
    assert plain.ratio is not None
    assert shaken.ratio is not None
    assert shaken.ratio.values == pytest.approx(plain.ratio.values, rel=1e-4)
    assert shaken.mean_kpa.std > 3.0 * plain.mean_kpa.std


def _known(drawn: NDArray[np.float64], informed: NDArray[np.bool_]) -> tuple[object, object]:
    known = of_draws(drawn, drawn[0], AFFINE_MM, informed)
    return known.run, known.draws


def test_only_informed_regions_are_shown() -> None:
    """A region whose values come from the prior is no finding, nor are uninformed voxels surroundings."""
    lesion = ball((4.0, 5.0, 5.0), 3.0) > 0.0
    assert not findings(*_pair(planted(), 0.05, informed=~lesion))
    assert findings(*_pair(planted(), 0.05, informed=np.zeros(SHAPE, dtype=bool))) == ()
    few = np.zeros(SHAPE, dtype=bool)
    few[1:8, 2:9, 2:9] = True
    one = _one(findings(*_pair(planted(), 0.05, informed=few)))
    assert np.all(few[one.surroundings])
    assert one.informed_share > 0.5


def test_labels_make_their_own_reference() -> None:
    """Tissue that is stiffer by nature is no finding beside its like; a small label may be the lesion, and is one."""
    halves = np.zeros(SHAPE, dtype=np.int16)
    halves[:6], halves[6:] = 1, 2
    log_kpa = planted(2.5) + np.where(halves == 2, np.log(1.6), 0.0)
    labels = TissueLabels(halves, {1: "left half", 2: "right half"})
    settings = FindingsSettings(least_label_ml=1.0)
    without = findings(*_pair(log_kpa, 0.05), settings)
    assert sum(one.volume_ml for one in without) > 2.0
    one = _one(findings(*_pair(log_kpa, 0.05), settings, labels))
    assert one.region == "left half"
    assert one.volume_ml < 0.7
    lesion = TissueLabels(np.where(ball((4.0, 5.0, 5.0), 2.5) > 0.0, 3, halves), {3: "lesion"})
    assert _one(findings(*_pair(log_kpa, 0.05), settings, lesion)).region == "lesion"
    voxels = np.argwhere(halves > 0).astype(np.int32)
    weighted = [
        WeightedRegion(name, number, (halves[halves > 0] == number) * 0.6, 1.0, 1.0, 0.008)
        for number, name in labels.names.items()
    ]
    assert np.array_equal(TissueLabels.of(weighted, voxels, SHAPE).numbers, halves)
    with pytest.raises(InputError, match="grid of the maps"):
        findings(*_pair(log_kpa, 0.05), settings, TissueLabels(halves[1:]))


def test_cores_of_one_lesion_are_one_finding() -> None:
    """Two sure cores with likely stiff tissue between them belong together; with sound tissue between, they do not."""
    cores = ball((3.0, 5.0, 5.0), 1.5) + ball((8.0, 5.0, 5.0), 1.5)
    bridge = np.maximum(0.55 * ball((5.5, 5.0, 5.0), 2.0), cores)
    for field, count in ((cores, 2), (bridge, 1)):
        found = findings(*_pair(np.log(2.5) + np.log(2.0) * field, 0.12))
        assert [one.kind for one in found] == ["stiff"] * count
        assert sum(one.volume_ml for one in found) > 0.1


def test_small_regions_are_left_out() -> None:
    """Volume and number of voxels bound the smallest region, each on its own: a voxel may be large."""
    known = _pair(planted(1.5), 0.02)
    one = _one(findings(*known))
    count = np.count_nonzero(one.mask)
    for settings in (FindingsSettings(least_voxels=count), FindingsSettings(least_volume_ml=0.00799 * count)):
        assert len(findings(*known, settings)) == 1
    for settings in (FindingsSettings(least_voxels=count + 1), FindingsSettings(least_volume_ml=0.00801 * count)):
        assert findings(*known, settings) == ()


def test_magnitude_is_compared_where_asked() -> None:
    """Organs are reported by |G*|: here sqrt(1.25) of G' everywhere, and the same regions."""
    storage, magnitude = (
        _one(findings(*_pair(planted(), 0.05), FindingsSettings(quantity=quantity)))
        for quantity in ("storage_modulus", "magnitude")
    )
    assert np.array_equal(storage.mask, magnitude.mask)
    assert magnitude.mean_kpa.mean == pytest.approx(storage.mean_kpa.mean * 1.25**0.5, rel=1e-5)
    assert (storage.quantity, magnitude.quantity) == ("storage_modulus", "magnitude")


def test_rows_and_labels_tell_what_findings_tell() -> None:
    """The table of places, the rows of regions.tsv and the volume of labels come from the same findings."""
    log_kpa = planted() - np.log(2.5) * ball((10.0, 2.0, 2.0), 2.0)
    plane = MidPlane(np.array([8.0, 0.0, 0.0]), np.array([1.0, 0.0, 0.0]))
    found = findings(*_pair(log_kpa, 0.05), midplane=plane)
    assert [one.kind for one in found] == ["stiff", "soft"]
    numbers, names = label_volume(found, SHAPE)
    assert names == {1: "stiff-1", 2: "soft-2"}
    assert [np.array_equal(numbers == one.number, one.mask) for one in found] == [True, True]
    rows = region_rows(found, "01", "02", 50.0)
    assert {row["region"] for row in rows} == set(names.values())
    assert all(float(str(row["lower"])) <= float(str(row["upper"])) for row in rows)
    assert [row["side"] for row in place_rows(found)] == [one.side for one in found] == ["midline", "right"]


def test_no_surroundings_no_ratio() -> None:
    """Where nothing informed lies around a region, it is compared with nothing rather than with a few voxels."""
    alone = ball((4.0, 5.0, 5.0), 3.0) > 0.0
    alone[8:] = True
    far = _one(findings(*_pair(planted(), 0.05, informed=alone), FindingsSettings(gap_mm=0.5, shell_mm=0.6)))
    assert far.ratio is None
    assert far.probability_stiffer is None
    assert place_rows([far])[0]["ratio"] is None


def test_calibration_is_claimed_only_where_it_was_measured() -> None:
    """Enough findings, enough intervals that hold, and the same settings: else the sentence begins with "Not"."""
    good = FindingAccuracy("patients", 20, FEWEST, FEWEST - 2, FEWEST - 3, FEWEST - 4, 1, 2.5, FindingsSettings())
    others = FindingsSettings(factor=1.5)
    assert good.holds_for(good.settings)
    assert good.sentence(good.settings).startswith("Calibrated: ")
    for one, settings in (
        (good, others),
        (replace(good, ratio_held=FEWEST - 4), good.settings),
        (replace(good, findings=FEWEST - 1, ratio_held=FEWEST - 1), good.settings),
    ):
        assert not one.holds_for(settings)
        assert one.sentence(settings).startswith("Not calibrated: ")
    assert "settings were others" in good.sentence(others)
    shipped = measured()
    one = _one(findings(*_pair(planted(), 0.05)))
    assert shipped.settings == FindingsSettings()
    assert (one.calibrated, one.sentence) == (shipped.calibrated, shipped.sentence(shipped.settings))
