"""A forecast as DICOM: the T1's voxels show the lattice's values in whole numbers, or a sentence says why none do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest

from palpate.config.maps import MapsSettings
from palpate.errors import InputError
from palpate.imaging.files.nifti import write_nifti
from palpate.imaging.regions.read import read_region
from palpate.twin.products.forecast_dicom import write_forecast_dicom
from tests.imaging.dicom_judge import errors_in, needs_dciodvfy, places_ras_mm, series_in
from tests.imaging.scanner import STUDY, Scan, edit, write_t1

DAY = "sub-02_day-110"
AFFINE_MM = np.diag([4.0, 4.0, 4.0, 1.0]) + np.array([[0, 0, 0, 2.0], [0, 0, 0, 2.0], [0, 0, 0, 12.0], [0, 0, 0, 0]])
SETTINGS = MapsSettings(kinds=("mr", "seg", "sr", "registration"))
VOLUME = {"median": 3.1, "mean": 3.3, "std": 0.8, "50": [2.8, 3.7], "95": [1.9, 5.2]}
MOVED = {"median": 1.5, "mean": 1.6, "95": [0.9, 2.4]}
"""Without a standard deviation, as earlier versions wrote it."""
ROW = {"day": 110.0, "visible_ml": VOLUME, "displacement_mm": MOVED}


def _density() -> np.ndarray:
    """0..1, NaN outside the tissue, 0 in a part of it."""
    values = np.random.default_rng(0).random((4, 5, 3)).astype(np.float32)
    values[0], values[1] = np.nan, 0.0
    return values


@pytest.fixture
def forecast(tmp_path: Path) -> Path:
    """What palpate forecast leaves of one day."""
    folder = tmp_path / "forecast"
    folder.mkdir()
    (folder / "forecast.json").write_text(json.dumps({"subject": "02", "forecast": [ROW]}))
    write_nifti(folder / f"{DAY}_stat-mean_density.nii.gz", _density(), AFFINE_MM)
    probability = np.nan_to_num(_density())
    write_nifti(folder / f"{DAY}_desc-visible_probability.nii.gz", probability, AFFINE_MM)
    return folder


def _t1(folder: Path, corner_mm: tuple[float, float, float] = (1.0, 1.0, 9.0)) -> Path:
    """A T1 of 1.5 mm whose rows run to the left and columns to the back, from a corner in R A S."""
    right, front, low = corner_mm
    scan = Scan(corner_mm=(-right - 18.0, -front - 21.0, low))
    values = np.random.default_rng(1).integers(1, 900, (14, 15, 9)).astype(np.uint16)
    write_t1(folder, values, scan, (1.5, 1.5, 1.5))
    for path in folder.iterdir():
        edit(path, lambda image: setattr(image, "BodyPartExamined", "BRAIN"))
    return folder


def test_voxels_of_the_t1_show_the_lattice_in_thousandths(forecast: Path, tmp_path: Path) -> None:
    """Bounds and probabilities hold for voxels of the lattice: each voxel of the T1 takes the one it lies in."""
    out = tmp_path / "twin" / "dicom"
    write_forecast_dicom(forecast, out, settings=SETTINGS, anatomy=_t1(tmp_path / "t1"))
    images = series_in(out / f"{DAY}_space-T1w_stat-mean_density")
    assert len(images) == 9
    seen = 0
    for image in images:
        index = (places_ras_mm(image) - AFFINE_MM[:3, 3]) / 4.0
        nearest = np.floor(index + 0.5).astype(int)
        within = np.all((nearest >= 0) & (nearest < _density().shape), axis=-1)
        expected = np.full(within.shape, np.nan)
        expected[within] = _density()[tuple(nearest[within].T)]
        stored = image.pixel_array
        np.testing.assert_array_equal(stored == 0, np.isnan(expected))
        apart = np.abs(stored / 1e3 - expected)[stored > 0]
        assert apart.size == 0 or apart.max() <= 0.001
        seen += apart.size
        (mapping,) = image.RealWorldValueMappingSequence
        assert (mapping.RealWorldValueSlope, mapping.MeasurementUnitsCodeSequence[0].CodeValue) == (0.001, "1")
    assert seen > 200
    everything = [pydicom.dcmread(path) for path in out.rglob("*.dcm")]
    assert {one.StudyInstanceUID for one in everything} == {STUDY}
    sure = read_region(out / f"{DAY}_space-T1w_desc-regions_seg.dcm#visible P50").shape.volume_mm3
    possible = read_region(out / f"{DAY}_space-T1w_desc-regions_seg.dcm#visible P5").shape.volume_mm3
    assert 0.0 < sure < possible


def test_the_report_states_the_forecasts_figures(forecast: Path, tmp_path: Path) -> None:
    """Archives and registries read volumes with intervals, and the segment that they belong to, without palpate."""
    out = tmp_path / "dicom"
    write_forecast_dicom(forecast, out, settings=SETTINGS, anatomy=_t1(tmp_path / "t1"))
    report = pydicom.dcmread(out / f"{DAY}_space-T1w_desc-regions_sr.dcm")
    segments = pydicom.dcmread(out / f"{DAY}_space-T1w_desc-regions_seg.dcm")
    stated: dict[str, list[tuple[float, str]]] = {}
    for item in report.iterall():
        if item.keyword == "ContentSequence":
            for one in item.value:
                if one.ValueType == "NUM":
                    (measured,) = one.MeasuredValueSequence
                    unit = measured.MeasurementUnitsCodeSequence[0].CodeValue
                    code = one.ConceptNameCodeSequence[0].CodeValue
                    stated.setdefault(code, []).append((float(measured.NumericValue), unit))
    assert stated["VISIBLE-VOLUME"] == [(3.3, "mL"), (3.1, "mL"), (0.8, "mL"), (1.9, "mL"), (5.2, "mL")]
    assert stated["DISPLACEMENT"] == [(1.6, "mm"), (1.5, "mm"), (0.9, "mm"), (2.4, "mm")]
    assert stated["FORECAST-DAY"] == [(110.0, "d")]
    assert {str(one.value) for one in report.iterall() if one.keyword == "ReferencedSOPInstanceUID"} >= {
        segments.SOPInstanceUID
    }
    texts = [str(one.value) for one in report.iterall() if one.keyword == "TextValue"]
    assert any("forecasts of the whole tumor" in text for text in texts)


@needs_dciodvfy
def test_it_breaks_no_rule(forecast: Path, tmp_path: Path) -> None:
    """An archive may refuse what breaks the standard."""
    out = tmp_path / "dicom"
    write_forecast_dicom(forecast, out, settings=SETTINGS, anatomy=_t1(tmp_path / "t1"))
    judged = [*out.glob("*.dcm"), *out.glob("*/0005.dcm")]
    assert {path.name: errors_in(path) for path in judged} == {path.name: [] for path in judged}


def test_what_cannot_be_joined_is_told(forecast: Path, tmp_path: Path) -> None:
    """A T1 as NIfTI has no study; a T1 of another place must not show the tumour where it is not."""
    nifti = tmp_path / "T1w.nii.gz"
    write_nifti(nifti, np.ones((4, 5, 3), np.float32), AFFINE_MM)
    assert write_forecast_dicom(forecast, tmp_path / "none", settings=SETTINGS, anatomy=nifti) == ()
    assert "NIfTI" in (tmp_path / "none" / "no_dicom_source.txt").read_text()
    record = json.loads((tmp_path / "none.json").read_text())
    assert {one["kind"] for one in record["not_written"]} == {"mr", "seg", "sr", "registration"}
    far = _t1(tmp_path / "far", (60.0, 1.0, 9.0))
    with pytest.raises(InputError, match="of the forecast's tissue"):
        write_forecast_dicom(forecast, tmp_path / "other", settings=SETTINGS, anatomy=far)
    assert not (tmp_path / "other").exists()


def test_every_series_says_that_it_is_the_populations(forecast: Path, tmp_path: Path) -> None:
    """A planning system shows descriptions of series and nothing of palpate's records."""
    path = forecast / "forecast.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"basis": "population, not this patient"}))
    out = tmp_path / "dicom"
    write_forecast_dicom(forecast, out, settings=MapsSettings(), anatomy=_t1(tmp_path / "t1"))
    said = {pydicom.dcmread(one, stop_before_pixels=True).SeriesDescription for one in out.rglob("*.dcm")}
    assert len(said) > 4
    assert all("population, not this patient" in one and len(one) <= 64 for one in said)
