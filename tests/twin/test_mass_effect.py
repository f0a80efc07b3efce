"""How far tissue is pushed, as a product of the twin: laws of its draws, and that figures reach files and page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI

from palpate.config.section import parse_settings
from palpate.config.twin import TwinSettings
from palpate.errors import InputError
from palpate.imaging.files.nifti import read_nifti
from palpate.service.forecast_report import write_forecast_report
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.forecast.mass_effect import (
    NUMERICAL_LOG_STD,
    around_tumour,
    mass_effect,
    swellings_pa,
)
from palpate.twin.forecast.predict import predict, present
from palpate.twin.products.calibration_folder import calibrate_into
from palpate.twin.products.figures import DISPLACEMENTS
from palpate.twin.products.forecast_folder import forecast_into
from tests.twin.small import EDGE_MM, SETTINGS, history

QUICK = SETTINGS.model_copy(update={"max_iterations": 2, "draws": 20, "displacement_stiffness_draws": 2})
DAY = 100.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the calibration below is kept."""
    return tmp_path_factory.mktemp("twin")


@pytest.fixture(scope="module")
def twin(folder: Path) -> Calibration:
    """A twin with population stiffness, hardly calibrated."""
    return calibrate_into(history(), QUICK, folder / "calibration")


def with_swelling(twin: Calibration, **changes: float) -> Calibration:
    """The same with another prior of lambda / s."""
    swelling = twin.settings.swelling_kpa.model_copy(update=changes)
    return replace(twin, settings=twin.settings.model_copy(update={"swelling_kpa": swelling}))


@pytest.mark.long
def test_displacement_goes_with_swelling_over_stiffness(twin: Calibration) -> None:
    """Images do not tell lambda / s, so that twice the prior is twice the forecast, in every draw; half G' likewise."""
    ahead = [predict(twin, DAY)]
    plain, twice = (mass_effect(one, ahead) for one in (twin, with_swelling(twin, median=20.0)))
    assert twin.stress is not None
    soft = replace(twin, stress=replace(twin.stress, log_draws=twin.stress.log_draws - np.float32(np.log(2.0))))
    softer = mass_effect(soft, ahead)
    assert plain is not None
    assert plain.ahead[0].means_mm.min() > 0.0
    for other in (twice, softer):
        assert other is not None
        for one, double in zip((plain.now, *plain.ahead), (other.now, *other.ahead), strict=True):
            np.testing.assert_allclose(double.means_mm, 2.0 * one.means_mm, rtol=1e-5)
            np.testing.assert_allclose(double.mean_mm, 2.0 * one.mean_mm, atol=1e-5 * np.abs(double.mean_mm).max())


@pytest.mark.long
def test_swellings_are_the_prior(twin: Calibration) -> None:
    """One draw in each slice of equal probability, so that few draws have the prior's quantiles and not chance's."""
    settings = with_swelling(twin, log_std=0.5).settings
    logs = np.log(swellings_pa(settings, 400) / 10e3)
    assert abs(logs.mean()) < 0.02
    assert logs.std() == pytest.approx(np.hypot(0.5, NUMERICAL_LOG_STD), rel=0.05)
    for share in (0.05, 0.25, 0.75, 0.95):
        assert np.mean(logs < np.quantile(0.5 * np.random.default_rng(0).standard_normal(100_000), share)) == (
            pytest.approx(share, abs=0.03)
        )
    np.testing.assert_array_equal(swellings_pa(settings, 400), swellings_pa(settings, 400))


@pytest.mark.long
def test_a_known_swelling_leaves_density_and_stiffness(twin: Calibration) -> None:
    """The interval has all three: without the prior's spread it is narrower and still there."""
    known, unknown = (mass_effect(with_swelling(twin, log_std=std)) for std in (1e-6, 0.5))
    assert known is not None
    assert unknown is not None
    spreads = [float(np.log(one.now.means_mm).std()) for one in (known, unknown)]
    assert NUMERICAL_LOG_STD * 0.7 < spreads[0] < 0.7 * spreads[1]


@pytest.mark.long
def test_vectors_point_along_the_worlds_axes(twin: Calibration) -> None:
    """Voxels may run either way; away from the tumour is away from it in the world's millimetres."""
    plain = mass_effect(twin)
    flipped = replace(twin, history=replace(twin.history, affine_mm=np.diag([-EDGE_MM, EDGE_MM, EDGE_MM, 1.0])))
    other = mass_effect(flipped)
    assert plain is not None
    assert other is not None
    np.testing.assert_allclose(other.now.mean_mm, plain.now.mean_mm * [-1.0, 1.0, 1.0], atol=1e-12)
    points = np.argwhere(twin.history.tissue) * EDGE_MM
    tumour = np.average(points, axis=0, weights=present(twin).densities.mean(axis=0))
    outwards = np.einsum("nc,nc->n", points - tumour, plain.now.mean_mm)[plain.now.around]
    assert np.mean(outwards > 0.0) > 0.9


@pytest.mark.long
def test_no_tumour_on_the_last_scan_leaves_the_one_before(twin: Calibration) -> None:
    """A complete response has brain around where the tumour was: figures keep their place."""
    last = twin.history.scans[-1]
    nowhere = np.full_like(last.cellularity, np.nan)
    blank = replace(last, roi=np.zeros_like(last.roi), cellularity=nowhere, cellularity_std=nowhere, drawn=True)
    day, around = around_tumour(replace(twin.history, scans=(*twin.history.scans[:-1], blank)))
    assert day == twin.history.scans[-2].day
    assert around.any()


@pytest.mark.long
def test_figures_reach_files_and_page(twin: Calibration, folder: Path) -> None:
    """Table, record, maps and page are of one displacement; what it rests on stands beside it."""
    forecast_into(twin, [DAY - 70.0], folder / "forecast")
    record = json.loads((folder / "forecast" / "forecast.json").read_text())
    (row,) = record["forecast"]
    moved = record["mass_effect"]
    assert moved["swelling_kpa"] == {"median": 10.0, "log_std": 0.5}
    assert [one["day"] for one in moved["at_scans"]] == [scan.day for scan in twin.history.scans]
    lines = (folder / "forecast" / "forecast.tsv").read_text().splitlines()
    told = {line.split("\t")[1]: float(line.split("\t")[2]) for line in lines[1:]}
    for name in DISPLACEMENTS:
        assert told[name] == pytest.approx(row[name]["median"], rel=1e-3)
        assert row[name]["95"][0] <= row[name]["50"][0] <= row[name]["50"][1] <= row[name]["95"][1]
    stem = folder / "forecast" / f"sub-small_day-{DAY:g}"
    lower, median, upper = (
        read_nifti(Path(f"{stem}_stat-{name}_displacement.nii.gz")).values for name in ("lower", "median", "upper")
    )
    tissue = twin.history.tissue
    assert np.array_equal(np.isfinite(median), tissue)
    assert (lower[tissue] <= median[tissue]).all()
    assert (median[tissue] <= upper[tissue]).all()
    vectors = read_nifti(Path(f"{stem}_stat-mean_displacementvector.nii.gz")).values
    assert vectors.shape == (*tissue.shape, 3)
    assert (np.linalg.norm(vectors[tissue], axis=1) <= upper[tissue]).mean() > 0.99
    write_forecast_report(folder / "calibration", folder / "forecast", folder / "page.html")
    page = (folder / "page.html").read_text()
    assert "Displacement of tissue within " in page
    assert f"{row['additional_displacement_mm']['median']:.3g}" in page
    assert "λ/s was not measured." in page
    said = "the true value lies inside the 95 % interval in 95 of 100 voxels. It is not a normal range."
    assert page.count(said) == 1


@pytest.mark.long
def test_without_mechanics_there_is_none_and_it_is_said(tmp_path: Path) -> None:
    """No stiffness was looked at; a page without a word would read as if nothing was pushed."""
    settings = QUICK.model_copy(update={"mechanics": False})
    twin = calibrate_into(history(), settings, tmp_path / "calibration")
    assert mass_effect(twin) is None
    forecast_into(twin, [30.0], tmp_path / "forecast")
    record = json.loads((tmp_path / "forecast" / "forecast.json").read_text())
    assert record["mass_effect"] is None
    assert not set(DISPLACEMENTS) & set(record["forecast"][0])
    assert not list((tmp_path / "forecast").glob("*displacement*"))
    write_forecast_report(tmp_path / "calibration", tmp_path / "forecast", tmp_path / "page.html")
    assert "without mechanics" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    "text",
    [
        '{"swelling_kpa": {"median": 0, "log_std": 0.5}}',
        '{"swelling_kpa": {"median": 10, "log_std": 0}}',
        '{"swelling_kpa": 10}',
        '{"displacement_box_mm": 0}',
        '{"displacement_stiffness_draws": 0}',
    ],
)
def test_settings_without_a_meaning_are_refused(text: str) -> None:
    """A known lambda / s would be claimed by a spread of zero; nobody has one."""
    with pytest.raises(InputError):
        parse_settings(TwinSettings, text)


@pytest.mark.long
@pytest.mark.mpi
def test_displacement_is_the_same_on_ranks(twin: Calibration) -> None:
    """Ranks share the stiffness' draws: every figure must be the one of a rank alone, to the last bits."""
    alone, shared = (mass_effect(twin, comm=comm) for comm in (MPI.COMM_SELF, MPI.COMM_WORLD))
    assert alone is not None
    assert shared is not None
    for one, other in zip((*alone.past, alone.now), (*shared.past, shared.now), strict=True):
        np.testing.assert_allclose(other.lengths_mm, one.lengths_mm, rtol=0, atol=1e-6 * one.lengths_mm.max())
        np.testing.assert_allclose(other.mean_mm, one.mean_mm, rtol=0, atol=1e-9 * np.abs(one.mean_mm).max())
