"""Laws of a change between two sessions, which hold for any posterior."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray

from palpate.imaging.changes.between_scans import LIVER_PERCENT, TERMS, kind_of
from palpate.imaging.changes.common_errors import shrunk
from palpate.imaging.changes.compare import compare_sessions
from palpate.imaging.changes.edges import edge_std
from palpate.imaging.changes.pairing import SessionDraws, change_posterior, combined_stds
from palpate.imaging.fibre_error import fibre_covariances, fibre_variance_of_mean
from palpate.imaging.files.maps import read_map
from palpate.imaging.registration.placement import Placement, write_placement
from palpate.imaging.registration.rigid import at_rest
from tests.imaging.changes.conftest import LABEL, Change, draws_by, record, scaled, second_session

NOTHING = np.zeros(1)


def _rows(first: Path, second: Path, dseg: Path, out: Path) -> list[dict[str, str]]:
    compare_sessions(first, second, dseg, out, physiology=False)
    return _read(out)


def _read(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def _numbers(row: dict[str, str], *names: str) -> list[float]:
    return [float(row[name]) for name in names]


def test_a_session_has_not_changed_against_itself(first_session: Path, dseg: Path, tmp_path: Path) -> None:
    """Whatever the intervals hold, one scan differs from itself by nothing."""
    rows = _rows(first_session, first_session, dseg, tmp_path / "change.tsv")
    assert len(rows) == 8
    told = json.loads((tmp_path / "change.json").read_text(encoding="utf-8"))["changes"][0]["warnings"]
    assert "change-one-scan" in [one["code"] for one in told]
    for row in rows:
        assert row["changed"] == "false"
        ratio, low, high, difference, more = _numbers(
            row, "ratio", "ratio_lower", "ratio_upper", "difference", "probability_increased"
        )
        assert ratio == pytest.approx(1.0, abs=1e-9)
        assert low * high == pytest.approx(1.0, abs=1e-4)
        assert difference == pytest.approx(0.0, abs=1e-9)
        assert more == pytest.approx(0.5, abs=1e-3)


@pytest.fixture(scope="module")
def stiffer(first_session: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Session B: draws and maps times 1.2."""
    return second_session(first_session, tmp_path_factory.mktemp("stiffer") / "ses-02", scaled(1.2))


@pytest.fixture(scope="module")
def there(first_session: Path, stiffer: Path, dseg: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the table and the maps from session A to B, without the physiological term."""
    out = tmp_path_factory.mktemp("there")
    compare_sessions(first_session, stiffer, dseg, out / "change.tsv", maps=out / "maps", physiology=False)
    return out


def test_a_stiffer_session_is_stiffer_by_so_much(there: Path) -> None:
    """Draws and maps times 1.2 are a ratio of 1.2, and the loss tangent has not changed."""
    for row in _read(there / "change.tsv"):
        expected = 1.0 if row["quantity"] == "loss_tangent" else 1.2
        ratio, mean, difference = _numbers(row, "ratio", "mean_a", "difference")
        assert ratio == pytest.approx(expected, abs=1e-5)
        assert difference == pytest.approx((expected - 1.0) * mean, abs=2e-2 * mean * (expected - 1.0) + 1e-6)


def test_a_map_has_the_ratio_of_its_voxels(there: Path, first_session: Path) -> None:
    """Times 1.2 everywhere is 1.2 in every voxel that has a posterior."""
    read = {
        name: read_map(there / "maps" / f"{LABEL}_stat-{name}_storagemodulus.nii.gz").values
        for name in ("ratio", "ratiolower", "ratioupper", "increased", "difference")
    }
    covered = np.isfinite(read["ratio"])
    mean = read_map(first_session / "mre" / f"{LABEL}_stat-mean_storagemodulus.nii.gz")
    assert np.array_equal(covered, mean.covered)
    assert read["ratio"][covered] == pytest.approx(1.2, rel=1e-3)
    assert np.all((read["ratiolower"] < 1.2) & (read["ratioupper"] > 1.2), where=covered)
    assert np.all(read["increased"][covered] > 0.5)
    assert read["difference"][covered] == pytest.approx(0.2 * mean.values[covered], rel=0.1)


def test_exchanged_sessions_have_the_reciprocal_ratio(
    there: Path, first_session: Path, stiffer: Path, dseg: Path, tmp_path: Path
) -> None:
    """Nothing tells the earlier session from the later one but their order."""
    back = _rows(stiffer, first_session, dseg, tmp_path / "back.tsv")
    for one, other in zip(_read(there / "change.tsv"), back, strict=True):
        ratio, low, high, difference = _numbers(one, "ratio", "ratio_lower", "ratio_upper", "difference")
        again = _numbers(other, "ratio", "ratio_upper", "ratio_lower", "difference")
        assert [ratio, low, high] == pytest.approx([1.0 / again[0], 1.0 / again[1], 1.0 / again[2]], rel=1e-4)
        assert difference == pytest.approx(-again[3], rel=0.02, abs=1e-6)


def test_order_and_density_of_draws_do_not_matter(
    there: Path, first_session: Path, stiffer: Path, dseg: Path, tmp_path: Path
) -> None:
    """Neither the order of the draws nor the density that each assumes changes a ratio: one tissue has one density."""
    other = second_session(
        stiffer,
        tmp_path / "other",
        draws_by(lambda one: np.random.default_rng(1).permutation(one)),
        draws_by(lambda one: one * np.linspace(0.8, 1.2, len(one)).reshape(-1, *[1] * (one.ndim - 1))),
    )
    names = ("ratio", "ratio_std", "ratio_lower", "ratio_upper", "difference", "difference_lower", "difference_upper")
    again = _rows(first_session, other, dseg, tmp_path / "other.tsv")
    for one, same in zip(_read(there / "change.tsv"), again, strict=True):
        assert _numbers(one, *names) == pytest.approx(_numbers(same, *names), rel=1e-5, abs=1e-8)


def _unsure(folder: Path) -> None:
    """State a T1 whose place is known to a millimetre along each axis."""
    covariance = np.diag([0.0] * 3 + [1.0] * 3)
    write_placement(folder / "wavefield", LABEL, Placement("registered", at_rest(np.zeros(3)), covariance, 1.7))


def _with_fibres(folder: Path) -> None:
    record(folder, "inversion", anisotropy_percent=2.8)


@pytest.mark.parametrize(("what", "sign"), [(_unsure, 1), (_with_fibres, -1)], ids=["place", "fibres"])
def test_an_error_of_one_session_widens_and_a_common_one_narrows(
    what: Change, sign: int, there: Path, first_session: Path, stiffer: Path, dseg: Path, tmp_path: Path
) -> None:
    """Two registrations err each on their own; fibres err partly alike, and draws hold them in both sessions."""
    first = second_session(first_session, tmp_path / "ses-01", what, digest="2")
    second = second_session(stiffer, tmp_path / "ses-02", what, digest="3")
    for one, other in zip(_read(there / "change.tsv"), _rows(first, second, dseg, tmp_path / "c.tsv"), strict=True):
        widths = [np.log(float(row["ratio_upper"]) / float(row["ratio_lower"])) for row in (one, other)]
        assert np.sign(widths[1] - widths[0]) == sign
        assert float(other["ratio"]) == pytest.approx(float(one["ratio"]), rel=0.02)


def _draws(seed: int, middle: float, std: float, count: int = 200) -> SessionDraws:
    even = scipy.stats.norm.ppf((np.random.default_rng(seed).permutation(count) + 0.5) / count)
    return SessionDraws(middle * np.exp(std * even), np.ones(count))


@pytest.mark.parametrize("error", [0.0, 0.08, 0.3])
def test_the_interval_is_that_of_independent_normal_errors(error: float) -> None:
    """In the logarithm variances add: both posteriors and the errors between the sessions."""
    found = change_posterior(_draws(1, 3.0, 0.05), _draws(2, 3.3, 0.07), np.array([error]), "kPa")
    spread = np.sqrt(0.05**2 + 0.07**2 + error**2)
    ends = 1.1 * np.exp(np.array([-1.96, 1.96]) * spread)
    assert [found.ratios.lower, found.ratios.upper] == pytest.approx(ends, rel=0.02)
    assert found.probability_increased == pytest.approx(scipy.stats.norm.cdf(np.log(1.1) / spread), abs=0.01)
    above = float(np.mean(found.differences.values > 0.0))
    assert above == pytest.approx(found.probability_increased, abs=1e-9)


def test_one_density_of_the_tissue_cancels_in_the_ratio_and_multiplies_the_difference() -> None:
    """A density that is known to 4 % widens a difference by 4 % of itself and a ratio by nothing."""
    known, alike = _draws(1, 3.0, 1e-4), _draws(2, 6.0, 1e-4)
    density = np.exp(0.04 * scipy.stats.norm.ppf((np.arange(200) + 0.5) / 200))
    found = change_posterior(SessionDraws(known.values, density), SessionDraws(alike.values, density), NOTHING, "kPa")
    assert found.ratios.upper / found.ratios.lower == pytest.approx(1.0, abs=1e-3)
    assert found.differences.std == pytest.approx(0.04 * 3.0, rel=0.03)


def test_the_term_of_a_liver_is_its_repeatability_coefficient() -> None:
    """Unchanged livers exceed 19 % in 5 of 100 pairs, and the term alone calls as many changed."""
    term = TERMS[kind_of("liver", 1200.0)]
    assert term.repeatability_percent == pytest.approx(LIVER_PERCENT)
    errors = np.random.default_rng(0).standard_normal(4000) * term.log_stds[0]
    exact = SessionDraws(np.full(20, 2.0), np.ones(20))
    interval = change_posterior(exact, exact, term.log_stds, "kPa").ratios
    assert np.mean((np.exp(errors) < interval.lower) | (np.exp(errors) > interval.upper)) == pytest.approx(
        0.05, abs=0.01
    )


def test_regions_repeat_worse_than_a_whole_brain() -> None:
    """The whole brain is told from its parts by its volume."""
    whole, part = (TERMS[kind_of("brain", volume_ml)] for volume_ml in (1200.0, 30.0))
    assert whole.kind == "whole brain"
    assert 10.0 < whole.repeatability_percent < 13.0 < part.repeatability_percent < 36.0


def _pairs(shape: tuple[int, int, int]) -> NDArray[np.float64]:
    return np.stack(np.meshgrid(*(2.0 * np.arange(n) for n in shape), indexing="ij"), axis=-1).reshape(-1, 3)


def test_fibres_in_a_mean_are_the_double_sum_over_its_voxels() -> None:
    """The transform is a way to compute it, checked voxel by voxel."""
    shape = (5, 4, 3)
    shares = np.random.default_rng(2).random(shape)
    points = _pairs(shape)
    away = np.linalg.norm(points[:, None] - points[None], axis=-1)
    weights = shares.ravel() / shares.sum()
    expected = np.zeros((2, 2))
    for length, covariance in zip((6.0, 24.0), fibre_covariances(2.8), strict=True):
        scaled_mm = np.sqrt(3.0) * away / length
        expected += covariance * float(weights @ ((1.0 + scaled_mm) * np.exp(-scaled_mm)) @ weights)
    assert fibre_variance_of_mean(shares, np.array([2.0, 2.0, 2.0]), 2.8) == pytest.approx(expected, rel=1e-9)


def test_what_is_common_is_taken_out_of_the_spread() -> None:
    """Deviations shrink to the variance that is left, around the same middle."""
    draws = np.exp(0.1 * np.random.default_rng(4).standard_normal(400))
    left = np.log(shrunk(draws, 0.006))
    assert left.mean() == pytest.approx(np.log(draws).mean())
    assert left.var(ddof=1) == pytest.approx(np.log(draws).var(ddof=1) - 0.006)
    assert np.ptp(shrunk(draws, 1.0)) == pytest.approx(0.0, abs=1e-9)


def test_edges_count_where_both_sessions_cut_them_differently() -> None:
    """Voxels that lie alike on a region are off alike."""
    assert edge_std((0.3, 0.3), (1.0, 0.8)) == 0.0
    assert edge_std((0.3, 0.4), (1.0, -0.8)) == pytest.approx(0.09)


def test_variances_of_independent_errors_add() -> None:
    """One number or several, equally probable ones."""
    assert combined_stds(np.array([0.3, 0.0]), np.array([0.4])) == pytest.approx([0.5, 0.4])
