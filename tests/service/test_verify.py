"""Scores against truth: the figures by which this project stands or falls must be right, and honestly uncertain."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.stats import binom, norm

from palpate.errors import InputError
from palpate.imaging.draw_scores import crps, share_interval
from palpate.imaging.files.maps import Map, read_map, read_mask, write_map
from palpate.imaging.files.stiffness_folder import MODULI, Marginals, read_stiffness
from palpate.service.score import LEVELS, score_modulus
from palpate.service.verify import score_table, verify_folder, write_scores

type SessionMaker = Callable[..., Any]
type Command = Callable[..., Any]
type Files = Any


def test_errors_and_coverage_are_what_the_files_say(finished_session: Files) -> None:
    """Every published figure passes through here; it is computed once more from the raw files, the plain way."""
    files = finished_session
    (run,) = verify_folder(files.mre, files.truth)
    informed = read_mask(files.mre / "sub-01_ses-01_desc-informed_mask.nii.gz")
    assert run.informed_voxels == informed.sum()
    for modulus in MODULI:
        maps = {
            s: read_map(files.mre / f"sub-01_ses-01_stat-{s}_{modulus}.nii.gz").values[informed]
            for s in ("mean", "lower", "upper")
        }
        direct = read_map(files.mre / f"sub-01_ses-01_desc-direct_{modulus}.nii.gz").values[informed]
        truth = read_map(files.truth / f"truth_{modulus}.nii.gz").values[informed]
        score = run.scores[modulus]
        assert score.median_error == pytest.approx(float(np.median(np.abs(maps["mean"] / truth - 1.0))), rel=1e-5)
        assert score.direct_median_error == pytest.approx(float(np.median(np.abs(direct / truth - 1.0))), rel=1e-5)
        held = (maps["lower"] <= truth) & (truth <= maps["upper"])
        assert score.covered(0.95).share == pytest.approx(held.mean())
        assert score.covered(0.95).lower < held.mean() < score.covered(0.95).upper


@pytest.mark.parametrize(("spread_factor", "honest"), [(1.0, True), (0.5, False)])
def test_honest_intervals_are_told_from_overconfident_ones(spread_factor: float, *, honest: bool) -> None:
    """Coverage is the promise of the project: over many patients, the scores must say which posterior keeps it.

    Each truth is one more draw of a correlated posterior whose stated spread is right, or half of what it should be.
    """
    rng = np.random.default_rng(8)
    shape, log_std, patients = (14, 14, 10), 0.1, 40
    affine_mm, counted = np.diag([2.0, 2.0, 2.0, 1.0]), np.ones(shape, dtype=bool)

    def fields(count: int) -> NDArray[np.float64]:
        noise = gaussian_filter(rng.standard_normal((count, *(n + 12 for n in shape))), (0.0, 1.5, 1.5, 1.5))
        inner = noise[:, 6:-6, 6:-6, 6:-6]
        return np.asarray(inner / inner.std())

    def as_map(values: NDArray[np.float64]) -> Map:
        return Map(values.astype(np.float32), affine_mm, "kPa", "")

    stated = log_std * spread_factor
    draws = np.exp(stated * fields(80)).reshape(80, -1)
    ones = np.ones(shape)
    marginals = Marginals(
        mean=as_map(np.exp(stated**2 / 2.0) * ones),
        std=as_map(np.exp(stated**2 / 2.0) * np.sqrt(np.expm1(stated**2)) * ones),
        lower=as_map(np.exp(-1.959964 * stated) * ones),
        upper=as_map(np.exp(1.959964 * stated) * ones),
        direct=None,
    )
    scores = [score_modulus(marginals, as_map(np.exp(log_std * t)), counted, draws) for t in fields(patients)]
    for level in LEVELS:
        found = [score.covered(level) for score in scores]
        expected = sum(item.expected_lower <= item.share <= item.expected_upper for item in found)
        bar_holds = sum(item.lower <= level <= item.upper for item in found)
        # Both ranges should hold in 95 % of patients; this many or more of 40 do with probability 0.999.
        enough = int(binom.ppf(0.001, patients, 0.95))
        assert (expected >= enough and bar_holds >= enough) if honest else max(expected, bar_holds) < patients // 2


def test_sharper_or_truer_draws_score_better() -> None:
    """CRPS is a proper score: against its closed form for a normal forecast, and lowest for the true spread."""
    rng = np.random.default_rng(2)
    truth = rng.standard_normal(4000)
    score = {}
    for spread in (0.5, 1.0, 2.0):
        draws = spread * rng.standard_normal((200, 4000))
        z = truth / spread
        closed = spread * (z * (2.0 * norm.cdf(z) - 1.0) + 2.0 * norm.pdf(z) - 1.0 / np.sqrt(np.pi))
        score[spread] = crps(draws, truth).mean()
        # Standard error of the mean over 4000 truths of the difference to the closed form.
        difference = crps(draws, truth) - closed
        assert abs(difference.mean()) < 4.0 * difference.std() / np.sqrt(4000)
    assert score[1.0] < min(score[0.5], score[2.0])


def test_error_bars_of_coverage_know_correlation() -> None:
    """A thousand voxels of one blob are not a thousand facts: the bar must hold the truth as often as it says."""
    rng = np.random.default_rng(4)
    blocks, size, level, trials = 60, 25, 0.9, 400
    numbers = np.repeat(np.arange(blocks), size)
    hits, naive_hits = 0, 0
    for _ in range(trials):
        # Within a block most voxels share one fate.
        shared = np.repeat(rng.random(blocks) < level, size)
        own = rng.random(blocks * size) < level
        held = np.where(rng.random(blocks * size) < 0.8, shared, own)
        low, high = share_interval(held, numbers)
        hits += low <= level <= high
        low, high = share_interval(held, np.arange(len(held)))
        naive_hits += low <= level <= high
    assert 0.90 <= hits / trials <= 0.985
    assert naive_hits / trials < 0.7
    low, high = share_interval(np.ones(100, dtype=bool), np.repeat(np.arange(5), 20))
    assert high == pytest.approx(1.0)
    assert low < 0.7


def test_several_runs_and_frequencies(make_session: SessionMaker) -> None:
    """A study with repeated runs and frequencies must get one honest score each, not one for the first."""
    files = make_session(runs=("_run-1", "_run-2"), frequencies_hz=(40.0, 62.5))
    scores = verify_folder(files.mre, files.truth)
    assert [(run.stem, run.frequency_hz) for run in scores] == [
        (f"sub-01_ses-01_run-{run}_acq-{f}Hz", float(f)) for run in (1, 2) for f in ("40", "62.5")
    ]
    # Each frequency converges, or does not, on its own.
    assert [run.inversion["converged"] for run in read_stiffness(files.mre)] == [True, False, True, False]


def test_margin_and_missing_baseline_values(make_session: SessionMaker) -> None:
    """Voxels at the edge may be left out on request; gaps of the baseline count against it, not for it."""
    files = make_session()
    (whole,) = verify_folder(files.mre, files.truth)
    (inner,) = verify_folder(files.mre, files.truth, margin_voxels=3)
    assert inner.scores["lossmodulus"].voxels < whole.scores["lossmodulus"].voxels
    path = files.mre / "sub-01_ses-01_desc-direct_storagemodulus.nii.gz"
    direct = read_map(path)
    write_map(path, np.full_like(direct.values, np.nan), direct.affine_mm, units="kPa", description="")
    (gaps,) = verify_folder(files.mre, files.truth)
    assert gaps.scores["storagemodulus"].direct_median_error == 1.0
    assert gaps.scores["storagemodulus"].direct_missing == 1.0
    path.unlink()
    (none,) = verify_folder(files.mre, files.truth)
    assert none.scores["storagemodulus"].direct_median_error is None
    assert "-" in score_table((none,))


def test_table_and_json_tell_the_same(finished_session: Files, tmp_path: Path) -> None:
    """`make demo` ends with the table, benchmarks read the JSON: they must never differ."""
    files = finished_session
    scores = verify_folder(files.mre, files.truth)
    write_scores(tmp_path / "scores.json", scores)
    written = json.loads((tmp_path / "scores.json").read_text())["sub-01_ses-01"]
    table = score_table(scores)
    for modulus in MODULI:
        assert f"{written[modulus]['median_error']:.1%}" in table
        assert f"{written[modulus]['direct_median_error']:.1%}" in table
        for item in written[modulus]["coverage"]:
            assert f"{item['share']:.1%} (" in table


def test_bad_truth_is_the_users_input(make_session: SessionMaker) -> None:
    """A wrong truth would make a wrong claim: missing, in another unit, elsewhere, or empty where data decide."""
    files = make_session()
    path = files.truth / "truth_lossmodulus.nii.gz"
    good = read_map(path)
    write_map(path, 1e3 * good.values, good.affine_mm, units="Pa", description="")
    with pytest.raises(InputError, match="Units 'Pa'"):
        verify_folder(files.mre, files.truth)
    shifted = good.affine_mm.copy()
    shifted[0, 3] += 4.0
    write_map(path, good.values, shifted, units="kPa", description="")
    with pytest.raises(InputError, match="other places"):
        verify_folder(files.mre, files.truth)
    write_map(path, np.full_like(good.values, np.nan), good.affine_mm, units="kPa", description="")
    with pytest.raises(InputError, match="no voxel"):
        verify_folder(files.mre, files.truth)
    path.unlink()
    with pytest.raises(InputError, match="no such file"):
        verify_folder(files.mre, files.truth)


def test_bad_results_are_the_users_input(make_session: SessionMaker, tmp_path: Path) -> None:
    """An empty folder, a missing bound, foreign draws: one sentence each, before any figure is printed."""
    with pytest.raises(InputError, match="stat-mean"):
        verify_folder(tmp_path, tmp_path)
    files = make_session()
    samples = files.mre / "sub-01_ses-01_samples.h5"
    whole = samples.read_bytes()
    samples.write_bytes(b"not a file of draws")
    with pytest.raises(InputError, match="no readable samples"):
        verify_folder(files.mre, files.truth)
    samples.write_bytes(whole)
    (files.mre / "sub-01_ses-01_stat-upper_lossmodulus.nii.gz").unlink()
    with pytest.raises(InputError, match="no such file"):
        verify_folder(files.mre, files.truth)


def test_exit_codes_of_the_command(make_session: SessionMaker, palpate: Command) -> None:
    """Scripts and the demo rely on 0 and 2, on one sentence, and on no file after a failure."""
    files = make_session()
    done = palpate("verify", "maps", files.mre, "--truth", files.truth)
    assert done.returncode == 0, done.stderr
    assert "coverage of 95% intervals" in done.stdout
    (files.mre / "scores.json").unlink()
    done = palpate("verify", "maps", files.mre, "--truth", files.folder)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert not (files.mre / "scores.json").exists()
