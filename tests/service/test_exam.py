"""Report of an exam with a region: the interval of a mean, what counts, the scanner beside it, and the flags."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.config.report import ReportSettings
from palpate.imaging.files.maps import Map, write_map
from palpate.imaging.files.stiffness_folder import MODULI, Marginals, StiffnessMaps
from palpate.imaging.wavefield import WaveField
from palpate.service.exam.exam import exam_of
from palpate.service.exam.record import exam_record
from palpate.service.exam.region import away_from_edge, reported_region
from palpate.service.exam.scanner import read_scanner
from palpate.service.report.exam_panel import exam_panel
from palpate.service.report.session import RunView

type Mask = NDArray[np.bool_]
type Array = NDArray[np.float64]

SHAPE = (24, 16, 4)
VOXEL_MM = np.array([3.0, 6.0, 10.0])
AFFINE_MM = np.diag([*VOXEL_MM, 1.0])
DRAWS = 99
COMMON = 2.0 * np.exp(0.1 * np.linspace(-1.0, 1.0, DRAWS))
"""Draws of a level that all voxels share, kPa."""


def _view(
    folder: Path, region: Mask, covered: Mask, source: str = "user", informed: Mask | None = None, draws: int = DRAWS
) -> RunView:
    """A run whose draws of |G*| are a shared level, 20 % higher in each following slice, and independent noise."""
    rng = np.random.default_rng(5)
    voxels = np.argwhere(covered)
    level = COMMON[:draws, None] * (1.0 + 0.2 * voxels[:, 2]) * (1.0 + 0.02 * rng.standard_normal((draws, len(voxels))))
    with h5py.File(folder / "samples.h5", "w") as file:
        file["voxels"] = voxels.astype(np.int32)
        file["storagemodulus_kpa"], file["lossmodulus_kpa"] = (0.8 * level).astype("f4"), (0.6 * level).astype("f4")
    moduli = {}
    for modulus, part in zip(MODULI, (0.8, 0.6), strict=True):
        values = np.full(SHAPE, np.nan, np.float32)
        values[covered] = part * level.mean(axis=0)
        one = Map(values, AFFINE_MM, "kPa", "")
        direct = Map(np.where(covered, np.float32(2.0 * part), np.float32(np.nan)), AFFINE_MM, "kPa", "")
        moduli[modulus] = Marginals(one, one, one, one, direct)
    informed = covered if informed is None else informed
    maps = StiffnessMaps("sub-01", "sub-01", 60.0, moduli, informed, folder / "samples.h5", None, {}, 0.0)
    waves = np.exp(1j * np.indices(SHAPE).sum(axis=0))[..., None]
    field = WaveField(waves, AFFINE_MM, 60.0, mask=covered, directions=[[0.0, 0.0, 1.0]], label="sub-01")
    mask = {"source": source, **({"organ_segmentation": False} if source == "waves" else {"kind": "SEG"})}
    grey = Map(np.ones(SHAPE, np.float32), AFFINE_MM, "1", "")
    drawn = region if source == "user" else None
    return RunView(maps, (), field, grey, {"mask": mask, "frequencies": []}, None, None, drawn)


def _write_scanner(folder: Path) -> None:
    """The scanner's maps on pixels of half the edge: 3 kPa plus 1 a slice, confident in every other pixel of a row."""
    fine_mm = np.diag([1.5, 3.0, 10.0, 1.0])
    fine_mm[:3, 3] = [-0.75, -1.5, 0.0]
    shape = (48, 32, 4)
    slices = np.indices(shape)[2]
    confidence = np.where(np.indices(shape)[0] % 2 == 0, 1.0, 0.5)
    stem = "sub-01_acq-60Hz_desc-scanner"
    write_map(folder / f"{stem}_stiffness.nii.gz", 3.0 + slices, fine_mm, units="kPa", description="")
    write_map(folder / f"{stem}_confidence.nii.gz", confidence, fine_mm, units="1", description="")


def _elsewhere() -> Array:
    """The grid, a metre away."""
    found = AFFINE_MM.copy()
    found[:3, 3] = 1000.0
    return found


def _box() -> Mask:
    region = np.zeros(SHAPE, dtype=bool)
    region[4:20, 3:13, :3] = True
    return region


def test_the_interval_is_that_of_the_draws(tmp_path: Path) -> None:
    """Errors that voxels share do not average out: the interval is the shared level's, 1.8 to 2.2, not its 480th."""
    region = _box()
    covered = region.copy()
    covered[4] = False
    exam = exam_of(_view(tmp_path, region, covered), ReportSettings())
    assert exam is not None
    assert exam.figures is not None
    whole = exam.figures.whole
    assert whole.magnitude.values == pytest.approx(1.2 * COMMON, rel=0.004)
    assert (whole.magnitude.lower, whole.magnitude.upper) == pytest.approx((1.2 * 1.81, 1.2 * 2.21), rel=0.01)
    assert whole.voxels == 450
    assert whole.volume_ml == pytest.approx(450 * 0.18)
    assert whole.area_cm2 == pytest.approx(450 * 0.18)
    assert whole.direct_kpa == pytest.approx(2.0)
    assert whole.scanner_kpa is None
    assert exam.figures.covered_share == pytest.approx(15 / 16)
    assert exam.reported.left_out == {"no value": 30, "edge": 0, "vessel or void": 0, "low confidence": 0}
    for k, part in exam.figures.slices.items():
        assert part.magnitude.mean == pytest.approx((1.0 + 0.2 * k) * COMMON.mean(), rel=0.005)
        assert part.area_cm2 == pytest.approx(150 * 0.18)
    # Of three equally large steps of 0.4 kPa.
    assert exam.figures.spread.std_kpa == pytest.approx(0.4 * np.sqrt(2.0 / 3.0), rel=0.02)
    assert exam.figures.spread.iqr_kpa == pytest.approx(0.8, rel=0.02)


def test_the_scanner_stands_beside_it_over_the_same_pixels(tmp_path: Path) -> None:
    """A voxel counts by the share of its pixels in which the scanner is confident, and the scanner's mean has these."""
    _write_scanner(tmp_path)
    view = _view(tmp_path, _box(), _box())
    object.__setattr__(view, "pixels", read_scanner(tmp_path, "sub-01", 60.0, view.stiffness.moduli[MODULI[0]].mean))
    exam = exam_of(view, ReportSettings())
    assert exam is not None
    assert exam.figures is not None
    assert exam.figures.confident_share == pytest.approx(0.5)
    assert exam.figures.whole.voxels == pytest.approx(240)
    assert exam.figures.whole.scanner_kpa == pytest.approx(4.0)
    assert [part.scanner_kpa for part in exam.figures.slices.values()] == pytest.approx([3.0, 4.0, 5.0])
    over = exam.figures.whole.over_scanner
    assert over is not None
    assert over.mean == pytest.approx(100.0 * (1.2 * COMMON.mean() / 4.0 - 1.0), abs=0.3)
    (told,) = json.loads(exam_record([exam]))["exams"]
    assert told["slices"][2]["scanner_kpa"] == pytest.approx(5.0)
    assert told["slices"][2]["position_mm"][2] == 20.0
    assert told["change"]["above_kpa"] == pytest.approx(1.19 * told["magnitude"]["mean_kpa"])
    assert told["within_edge"]["edge_mm"] == 10.0
    panel = exam_panel(exam)
    assert panel.slices is not None
    assert [row.cells[3].text for row in panel.slices.rows] == ["3.00 kPa", "4.00 kPa", "5.00 kPa"]
    assert exam_of(_view(tmp_path, _box(), _box(), "magnitude"), ReportSettings()) is None


CONFIDENCE: dict[str, tuple[float | None, Array, tuple[int, ...], float | None, float]] = {
    # Value, affine, shape; the share of the region's pixels that is confident, and the voxels that count.
    "none": (None, AFFINE_MM, SHAPE, None, 480.0),
    "zero everywhere": (0.0, AFFINE_MM, SHAPE, 0.0, 0.0),
    "on larger pixels": (1.0, np.diag([6.0, 12.0, 10.0, 1.0]), (12, 8, 4), 1.0, 480.0),
    "on two of the slices": (1.0, np.diag([3.0, 6.0, 10.0, 1.0]), (24, 16, 2), 2.0 / 3.0, 320.0),
    "of another place": (1.0, _elsewhere(), SHAPE, 0.0, 0.0),
}


@pytest.mark.parametrize("what", CONFIDENCE)
def test_confidence_that_is_absent_or_elsewhere(what: str, tmp_path: Path) -> None:
    """Without one every pixel counts; where it is 0 or does not reach none does, and the exam says why."""
    value, affine_mm, shape, share, voxels = CONFIDENCE[what]
    stem = "sub-01_acq-60Hz_desc-scanner"
    write_map(tmp_path / f"{stem}_stiffness.nii.gz", np.full(SHAPE, 3.0), AFFINE_MM, units="kPa", description="")
    if value is not None:
        path = tmp_path / f"{stem}_confidence.nii.gz"
        write_map(path, np.full(shape, value), affine_mm, units="1", description="")
    view = _view(tmp_path, _box(), _box())
    object.__setattr__(view, "pixels", read_scanner(tmp_path, "sub-01", 60.0, view.stiffness.moduli[MODULI[0]].mean))
    exam = exam_of(view, ReportSettings())
    assert exam is not None
    assert exam.reported.left_out["low confidence"] == 480 - voxels
    if voxels == 0.0:
        assert exam.figures is None
        (warning,) = exam.warnings
        assert warning.code == "exam-without-figures"
        assert "the scanner's confidence nowhere exceeds 0.95" in warning.sentence
        return
    assert exam.figures is not None
    assert exam.figures.confident_share == (None if share is None else pytest.approx(share))
    assert exam.figures.whole.voxels == pytest.approx(voxels)
    assert exam.figures.whole.scanner_kpa == pytest.approx(3.0)
    assert exam.warnings == ()
    told = {row.name: row.cells[0].text for row in exam_panel(exam).figures.rows}
    unknown = told["Share with scanner's confidence above 0.95"] == "no confidence map: every pixel counts"
    assert unknown == (value is None)


def test_a_region_that_nobody_drew_is_no_organ_and_loses_its_edge(tmp_path: Path) -> None:
    """It is labelled, and what is nearer than 10 mm to its edge does not count; a drawn one stays as it was drawn."""
    gated = exam_of(_view(tmp_path, _box(), _box(), "waves", informed=np.zeros(SHAPE, dtype=bool)), ReportSettings())
    assert gated is not None
    assert gated.figures is not None
    assert gated.organ is False
    assert gated.label.startswith("not an organ segmentation")
    # Three voxels of 3 mm on either side of 16, one of 6 mm on either side of 10; slices are 10 mm apart.
    assert gated.figures.whole.voxels == 3 * 10 * 8
    assert {one.code for one in gated.warnings} == {"region-uninformed"}
    drawn = exam_of(_view(tmp_path, _box(), _box()), ReportSettings())
    assert drawn is not None
    assert drawn.organ is None
    assert drawn.inner is not None
    assert drawn.inner[1].whole.voxels == gated.figures.whole.voxels
    assert drawn.reported.edge_mm == 0.0


def test_edges_are_told_from_vessels_and_borders() -> None:
    """A disc loses its rim, a hole as small as a vessel none, a large hole its rim, and the images' border none."""
    fine = np.array([1.0, 1.0, 10.0])
    i, j = np.indices((121, 121)) - 60.0
    disc = np.repeat((np.hypot(i, j) <= 50.0)[..., None], 2, axis=2)
    holed = disc & ~np.repeat((np.hypot(i, j) <= 4.0)[..., None], 2, axis=2)
    cystic = disc & ~np.repeat((np.hypot(i, j) <= 15.0)[..., None], 2, axis=2)
    area = [np.count_nonzero(away_from_edge(one, fine, 10.0)[..., 0]) for one in (disc, holed, cystic)]
    expected = np.pi * np.array([40.0**2, 40.0**2 - 4.0**2, 40.0**2 - 25.0**2])
    assert area == pytest.approx(expected, rel=0.03)
    assert away_from_edge(np.ones((20, 20, 3), dtype=bool), fine, 10.0).all()
    cut = disc[:, :61]
    assert away_from_edge(cut, fine, 10.0)[60, 60].all()


def test_vessels_and_thin_regions_are_counted() -> None:
    """Bright and dark spots are left out and counted; a region that is all edge counts as a whole, and says so."""
    grey = np.ones(SHAPE)
    grey[8, 8, 1], grey[12, 8, 1] = 3.0, 0.2
    found = reported_region(_box(), _box(), VOXEL_MM, edge_mm=0.0, magnitude=grey, confident=None)
    assert found.left_out["vessel or void"] == 2
    band = np.zeros(SHAPE, dtype=bool)
    band[4:20, 6:8] = True
    thin = reported_region(band, band, VOXEL_MM, edge_mm=10.0, magnitude=None, confident=None)
    assert thin.thin
    assert np.array_equal(thin.shares, band)


def test_without_figures_the_exam_says_why(tmp_path: Path) -> None:
    """Too few draws give no interval, and a region apart from the maps has no voxel that counts: flags, no numbers."""
    apart = np.zeros(SHAPE, dtype=bool)
    apart[:3, :3] = True
    for region, draws in ((_box(), 19), (apart, DRAWS)):
        exam = exam_of(_view(tmp_path, region, _box(), draws=draws), ReportSettings())
        assert exam is not None
        assert exam.figures is None
        assert "exam-without-figures" in {one.code for one in exam.warnings}
        assert json.loads(exam_record([exam]))["exams"][0]["magnitude"] is None
        assert exam_panel(exam).mean is None
