"""Liver exams of one or two directions: thick slices, interpolated images, a vessel, and the scanner's own maps."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from scipy import ndimage

from palpate.config.ingest import IngestSettings
from palpate.config.phantom import PhantomSettings
from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.dicom.registry import read_acquisitions
from palpate.imaging.dicom.scanner_maps import scanner_maps
from palpate.imaging.files.nifti import read_nifti
from palpate.imaging.files.wavefield_folder import read_wave_fields
from palpate.imaging.ingest import ingest
from palpate.imaging.phantom.ge import write_waves
from palpate.imaging.phantom.grid import ScanGrid, block, rotation
from palpate.imaging.phantom.identity import Identity
from palpate.imaging.phantom.scan import Scan
from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.acquired_grid import acquired_grid, on_acquired_grid
from tests.imaging.drawn_files import write_seg
from tests.imaging.scanner import edit

PERSON = Identity("01", "01", "liver")
STORED, ACQUIRED, USED, SLICES = (96, 96), (80, 48), (80, 48), 4
PIXEL_MM, SPACING_MM = 3.0, 11.0
NOISE_RAD, SIGNAL = 0.06, 400.0
WAVE_RAD, LENGTH_MM, DECAY_MM = 1.5, 40.0, 200.0
OFFSETS = 4
STIFFNESS_PA, CONFIDENCE = 2100, 960
SETTINGS = PhantomSettings(lesion=None, offsets=OFFSETS, frequency_hz=60.0)
NAME = "sub-01_ses-01"


@dataclass(frozen=True)
class Liver:
    """An exam and its truth.

    Attributes:
        folder: DICOM of three series of one direction each, the last one through the slices.
        grid: voxels as stored.
    """

    folder: Path
    grid: ScanGrid


def wave_rad(points_mm: np.ndarray) -> np.ndarray:
    """U through the slices as phase: a wave that decays along the rows, radians, of points in image axes."""
    along = points_mm[..., 0] + 0.3 * points_mm[..., 1]
    return WAVE_RAD * np.exp(-(2j * np.pi / LENGTH_MM + 1.0 / DECAY_MM) * along / np.hypot(1.0, 0.3))


def places_mm(shape: tuple[int, ...], edges_mm: tuple[float, float]) -> np.ndarray:
    """Middles of voxels from the corner of the image, along its rows and columns, mm."""
    index = np.moveaxis(np.indices(shape, dtype=np.float64), 0, -1)
    return (index[..., :2] + 0.5) * np.array(edges_mm)


def body_of(points_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Body and the vessel in it."""
    away = (points_mm - 144.0) / np.array([115.0, 90.0])
    return (away**2).sum(axis=-1) < 1.0, np.linalg.norm(points_mm - [170.0, 150.0], axis=-1) < 12.0


def zero_filled(signal: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Images of shape (..., i, j, k) on more voxels of the same field of view, by zeros in k-space."""
    for axis, count in zip((-3, -2), shape, strict=True):
        kept = signal.shape[axis]
        cycles = np.arange(kept) - kept // 2
        place = (np.arange(count) + 0.5) / count
        basis = np.exp(2j * np.pi * np.outer(place, cycles))
        own = np.exp(-2j * np.pi * np.outer(cycles, (np.arange(kept) + 0.5) / kept)) / kept
        signal = np.moveaxis(np.tensordot(basis @ own, signal, axes=(1, axis)), 0, axis)
    return signal


def measure() -> Scan:
    """Signals at the acquired matrix with white noise, interpolated like a scanner does it."""
    generator = np.random.default_rng(4)
    points = places_mm((*ACQUIRED, SLICES), (288.0 / ACQUIRED[0], 288.0 / ACQUIRED[1]))
    body, vessel = body_of(points)
    magnitude = SIGNAL * np.where(vessel, 0.1, 1.0) * body * np.exp(-points[..., 0] / 800.0)
    times = np.exp(2j * np.pi * np.arange(OFFSETS) / OFFSETS)[:, None, None, None]
    phase = np.stack([scale * (wave_rad(points) * times).real for scale in (0.3, 0.6, 1.0)])
    signal = magnitude * np.exp(1j * phase)
    noise = generator.normal(scale=NOISE_RAD * SIGNAL, size=(2, *signal.shape))
    stored = zero_filled(signal + noise[0] + 1j * noise[1], STORED)
    return Scan(
        phase_rad=np.angle(stored),
        magnitude=np.abs(stored),
        encoding_axes=np.eye(3),
        slice_times_ms=np.zeros(SLICES),
        noise_std_um=0.0,
        wrapped_share=0.0,
    )


@pytest.fixture(scope="module")
def liver(tmp_path_factory: pytest.TempPathFactory) -> Liver:
    """Three interpolated series of GE's liver sequence, in slices that lie obliquely, with the third one's maps."""
    axes = rotation((4.0, -3.0, 2.0)) @ np.diag([-1.0, -1.0, 1.0])
    grid = block(np.zeros(3), axes, (*STORED, SLICES), PIXEL_MM)
    affine = grid.affine_mm.copy()
    affine[:3, 2] *= SPACING_MM / PIXEL_MM
    grid = replace(grid, affine_mm=affine)
    scan = measure()
    folder = tmp_path_factory.mktemp("liver") / "in"
    folder.mkdir()
    write_waves(folder, PERSON, SETTINGS, grid, replace(scan, encoding_axes=grid.axes.T))
    every(folder, _as_interpolated)
    for role, value in ((0, STIFFNESS_PA), (7, CONFIDENCE)):
        _derive(folder, role, value)
    return Liver(folder, grid)


def every(folder: Path, change: Callable[[pydicom.Dataset], object]) -> None:
    """Change every file below a folder."""
    for path in sorted(folder.rglob("*.dcm")):
        edit(path, change)


def _as_interpolated(image: pydicom.Dataset) -> None:
    image.AcquisitionMatrix = [ACQUIRED[0], 0, 0, ACQUIRED[1]]
    image.InPlanePhaseEncodingDirection = "COL"
    image.SliceThickness, image.SpacingBetweenSlices = 10, SPACING_MM
    del image.TriggerTime


def _derive(folder: Path, role: int, value: int) -> None:
    """Write a map of one value, as the scanner numbers those that it makes of series 9."""
    target = folder / f"series{900 + role}"
    target.mkdir()
    sources = sorted((folder / "series009_mre").iterdir())[: SLICES * OFFSETS : OFFSETS]
    for path in sources:
        shutil.copy(path, target / path.name)

    def change(image: pydicom.Dataset) -> None:
        image.SeriesNumber, image.SeriesInstanceUID = 900 + role, PERSON.uid("map", role)
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = PERSON.uid(
            "map", role, image.InstanceNumber
        )
        image.PixelData = np.full((image.Rows, image.Columns), value, dtype=np.int16).tobytes()

    every(target, change)


def some(liver: Liver, target: Path, *numbers: int) -> Path:
    """Copy some series of the exam."""
    target.mkdir()
    for one in liver.folder.iterdir():
        if int(one.name[6:9]) in numbers:
            shutil.copytree(one, target / one.name)
    return target


def read(folder: Path, **settings: object) -> tuple[PhaseAcquisition, ...]:
    """Return the acquisitions of a folder."""
    return read_acquisitions(folder, IngestSettings.model_validate(settings))[0]


def ingested(folder: Path, out: Path, **settings: object) -> WaveField:
    """Return the wave field of a folder as it is read back."""
    ingest(folder, NAME, out, anatomy=None, settings=IngestSettings.model_validate(settings))
    (field,) = read_wave_fields(out)
    return field


@pytest.fixture(scope="module")
def out(liver: Liver, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wave-field folder of the exam of one direction."""
    place = tmp_path_factory.mktemp("out")
    ingested(some(liver, place / "in", 9, 900, 907), place / "field")
    return place / "field"


def test_the_wave_comes_out(liver: Liver, out: Path) -> None:
    """Amplitude and phase of the wave, its direction, frequency, grid and noise are those that were put in."""
    (field,) = read_wave_fields(out)
    assert field.frequency_hz == 60.0
    assert field.directions is not None
    assert field.directions == pytest.approx(liver.grid.axes.T[2:], abs=1e-6)
    assert field.mask.shape == (*USED, SLICES)
    assert field.voxel_size_mm == pytest.approx([3.6, 6.0, SPACING_MM])
    assert field.slice_thickness_mm == 10.0
    assert field.acquired_matrix == ACQUIRED
    corner = np.array([-0.5, -0.5, 0.0, 1.0])
    assert (field.affine_mm @ corner)[:3] == pytest.approx((liver.grid.affine_mm @ corner)[:3], abs=1e-3)
    truth = wave_rad(places_mm(field.mask.shape, (3.6, 6.0)))[field.mask]
    found = 1e6 * field.displacement_m[..., 0][field.mask]
    scale = np.vdot(truth, found) / np.vdot(truth, truth)
    assert scale == pytest.approx(1.0, abs=0.02)
    noise_rad = NOISE_RAD * np.sqrt(2.0 / OFFSETS) * np.exp(144.0 / 800.0)
    assert np.sqrt(np.mean(np.abs(found - scale * truth) ** 2) / 2.0) == pytest.approx(noise_rad, rel=0.25)
    assert field.noise_std_m == pytest.approx(1e-6 * noise_rad, rel=0.2)
    assert field.noise_correlation == pytest.approx((0.0, 0.0), abs=0.1)


def test_noise_by_voxel_follows_the_signal(out: Path) -> None:
    """One coefficient a voxel says nothing about that voxel; pooled over neighbours it follows the coil's shading."""
    (field,) = read_wave_fields(out)
    assert field.noise_map_m is not None
    expected = NOISE_RAD * np.sqrt(2.0 / OFFSETS) * np.exp(places_mm(field.mask.shape, (3.6, 6.0))[..., 0] / 800.0)
    ratio = 1e6 * field.noise_map_m[..., 0][field.mask] / expected[field.mask]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.1)
    assert np.percentile(np.abs(ratio - 1.0), 95) < 0.5


def test_the_region_is_no_organ(out: Path) -> None:
    """It leaves out vessel and edge, holds the tissue with waves, and says beside the mask that nobody drew it."""
    (field,) = read_wave_fields(out)
    body, vessel = body_of(places_mm(field.mask.shape, (3.6, 6.0)))
    assert not (field.mask & (vessel | ~body)).any()
    inner, _ = body_of(144.0 + (places_mm(field.mask.shape, (3.6, 6.0)) - 144.0) * 1.15)
    far = np.linalg.norm(places_mm(field.mask.shape, (3.6, 6.0)) - [170.0, 150.0], axis=-1) > 24.0
    assert field.mask[inner & far].mean() > 0.95
    assert json.loads((out / f"{NAME}_mask.json").read_text())["OrganSegmentation"] is False
    record = json.loads((out / f"{NAME}_ingest.json").read_text())
    assert record["mask"]["source"] == "waves"
    (of_frequency,) = record["frequencies"]
    codes = {one["code"] for one in of_frequency["warnings"]}
    assert {"fewer-directions", "direction-assumed", "not-an-organ"} <= codes
    matrices = of_frequency["matrices"]
    assert [matrices[name] for name in ("stored", "acquired", "used")] == [list(STORED), list(ACQUIRED), list(USED)]
    assert matrices["slice_thickness_mm"] == 10.0
    assert of_frequency["divergence_over_curl"] is None
    assert of_frequency["skipped_checks"]
    # All slices move alike and lie in place.
    assert of_frequency["slices"]["largest_phase_rad"] < 0.05
    assert of_frequency["slices"]["largest_shift_mm"] < 1.0


def test_the_scanners_maps_are_kept(out: Path, liver: Liver) -> None:
    """Stiffness in kPa and confidence up to 1 on the scanner's own grid, with what was found in the sidecar."""
    for kind, value, unit in (("stiffness", 2.1, "kPa"), ("confidence", 0.96, "1")):
        stem = f"{NAME}_acq-60Hz_desc-scanner_{kind}"
        volume = read_nifti(out / f"{stem}.nii.gz")
        assert volume.values == pytest.approx(np.full((*STORED, SLICES), value))
        assert volume.affine_mm == pytest.approx(liver.grid.affine_mm, abs=1e-4)
        facts = json.loads((out / f"{stem}.json").read_text())
        assert (facts["Units"], facts["SeriesNumber"]) == (unit, {"stiffness": 900, "confidence": 907}[kind])
    rows = (out / f"{NAME}_series.tsv").read_text().splitlines()
    roles = [row.split("\t")[4] for row in rows if row.startswith("90")]
    assert roles == ["scanner's stiffness", "scanner's confidence"]


def test_a_scale_that_cannot_be_is_not_applied(liver: Liver, tmp_path: Path) -> None:
    """Stiffness of 20 Pa is none: then the values stay as stored, and no unit is claimed."""
    folder = some(liver, tmp_path / "in", 9, 900)
    every(
        folder / "series900",
        lambda one: setattr(one, "PixelData", np.full((one.Rows, one.Columns), 20, dtype=np.int16).tobytes()),
    )
    (acquisition,), export = read_acquisitions(folder, IngestSettings())
    (found,) = scanner_maps(export.series, acquisition)
    assert (found.units, found.units_from, found.scale) == (None, "not stated", 1.0)
    assert found.values.max() == 20.0


def test_two_directions_that_are_not_at_right_angles(liver: Liver, tmp_path: Path) -> None:
    """They can be read: each component stays along its own direction, and the record states their angle."""
    folder = some(liver, tmp_path / "in", 8, 9)
    field = ingested(folder, tmp_path / "out", encoding_matrix=[[0, 0.6, 0.8], [0, 0, 1]])
    assert field.directions == pytest.approx(np.array([[0, 0.6, 0.8], [0, 0, 1]]) @ liver.grid.axes.T, abs=1e-6)
    strengths = np.linalg.norm(field.displacement_m[field.mask], axis=0)
    assert strengths[0] / strengths[1] == pytest.approx(0.6, abs=0.02)
    record = json.loads((tmp_path / "out" / f"{NAME}_ingest.json").read_text())["frequencies"][0]
    assert record["angle_between_directions_deg"] == pytest.approx(36.87, abs=0.01)
    assert "direction-assumed" not in {one["code"] for one in record["warnings"]}


def test_opposite_encodings_are_one_direction(liver: Liver, tmp_path: Path) -> None:
    """Two rows of opposite sign are no two directions; their difference has twice the phase and no static one."""
    folder = some(liver, tmp_path / "in", 8, 9)
    (found,) = read(folder, encoding_matrix=[[0, 0, 1], [0, 0, -1]])
    assert found.encoding_axes == pytest.approx(liver.grid.axes.T[2:], abs=1e-6)
    assert found.encoding_gain == 2.0


def test_several_series_are_not_guessed(liver: Liver, tmp_path: Path) -> None:
    """Two directions or one direction twice: only the settings can say."""
    folder = some(liver, tmp_path / "in", 8, 9)
    with pytest.raises(InputError, match=r"2 series of waves, whose headers do not say.*encoding_matrix"):
        read(folder)
    found = read(folder, encoding_matrix=[[0, 0, 1]])
    assert [(one.run, len(one.encoding_axes)) for one in found] == [(0, 1), (1, 1)]


def _no_frequency(image: pydicom.Dataset) -> None:
    del image[0x0043, 0x10A2]


UNKNOWN: dict[str, tuple[Callable[[pydicom.Dataset], object], str]] = {
    "no frequency": (_no_frequency, "no vibration frequency.*frequency_hz"),
    "another maker": (lambda one: setattr(one, "Manufacturer", "Acme"), "no MRE phase images that any reader knows"),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_nobody_states_is_refused(what: str, liver: Liver, tmp_path: Path) -> None:
    """The mains is no drive, and an unknown maker's values have no known scale."""
    change, expected = UNKNOWN[what]
    folder = some(liver, tmp_path / "in", 9)
    every(folder, change)
    with pytest.raises(InputError, match=expected):
        read(folder)


def test_a_drawn_region_is_taken_with_a_margin(liver: Liver, out: Path, tmp_path: Path) -> None:
    """A user's segment goes before any gate, in the scan's frame of reference; an image is no region.

    A wavelength of what the gate would have taken is inverted around it: alone, few wavelengths tell nothing.
    """
    folder = some(liver, tmp_path / "in", 9)
    chosen = IngestSettings(max_noise_rad=0.03)  # below the noise of a good part of the body
    image = next(iter((folder / "series009_mre").iterdir()))
    with image.open("rb") as file:
        header = pydicom.dcmread(file, stop_before_pixels=True)
    frame, patient = str(header.FrameOfReferenceUID), str(header.PatientID)
    gated = read_nifti(out / f"{NAME}_mask.nii.gz")
    usable = gated.values > 0
    segment = usable & (np.arange(usable.shape[0])[:, None, None] < np.argwhere(usable)[:, 0].min() + 4)
    path = write_seg(tmp_path / "seg.dcm", {"Liver": segment, "rest": ~segment}, gated.affine_mm, frame=frame)
    with pytest.raises(InputError, match="region of another patient than the scan's"):
        ingest(folder, NAME, tmp_path / "out", anatomy=None, settings=chosen, mask=Path(f"{path}#liver"))
    edit(path, lambda one: setattr(one, "PatientID", patient))
    ingest(folder, NAME, tmp_path / "out", anatomy=None, settings=chosen, mask=Path(f"{path}#liver"))
    record = json.loads((tmp_path / "out" / f"{NAME}_ingest.json").read_text())
    assert (record["mask"]["source"], record["mask"]["kind"], record["mask"]["region_name"]) == ("user", "SEG", "Liver")
    assert "not-an-organ" not in {one["code"] for one in record["frequencies"][0]["warnings"]}
    drawn = read_nifti(tmp_path / "out" / f"{NAME}_desc-drawn_mask.nii.gz")
    np.testing.assert_array_equal(drawn.values > 0, segment)
    (field,) = read_wave_fields(tmp_path / "out")
    assert field.mask[segment].all()  # the same voxels are too noisy, whoever chose the region
    assert not field.mask[~(segment | usable)].any()
    voxel_mm = np.linalg.norm(gated.affine_mm[:3, :3], axis=0)
    away_mm = ndimage.distance_transform_edt(~segment, sampling=voxel_mm)
    assert voxel_mm.max() < away_mm[field.mask].max() <= record["mask"]["margin_mm"] < away_mm[usable].max()
    assert record["mask"]["voxels_of_margin"] == np.count_nonzero(field.mask & ~segment)
    with pytest.raises(InputError, match="a DICOM object as mask"):
        ingest(folder, NAME, tmp_path / "no", anatomy=None, settings=chosen, mask=image)


def test_a_finished_folder_stays_what_it_is(out: Path, tmp_path: Path) -> None:
    """Under a new label its one component, its noise and the note that nobody drew the region are still there."""
    (given,) = read_wave_fields(out)
    ingest(out, "sub-02", tmp_path / "out", anatomy=None, settings=IngestSettings())
    (found,) = read_wave_fields(tmp_path / "out")
    assert found.directions == pytest.approx(given.directions)
    assert found.noise_correlation == given.noise_correlation
    np.testing.assert_array_equal(found.noise_map_m[found.mask], given.noise_map_m[given.mask])
    assert json.loads((tmp_path / "out" / "sub-02_mask.json").read_text())["OrganSegmentation"] is False
    record = json.loads((tmp_path / "out" / "sub-02_ingest.json").read_text())
    assert [one["code"] for one in record["warnings"]] == ["not-an-organ"]


def _plain(matrix: tuple[int, int] | None, shape: tuple[int, int]) -> PhaseAcquisition:
    points = places_mm((*shape, 2), (240.0 / shape[0], 240.0 / shape[1]))
    times = np.exp(2j * np.pi * np.arange(OFFSETS) / OFFSETS)[:, None, None, None]
    # Two turns over the field of view: exactly within every matrix.
    signal = np.exp(2j * np.pi * points[..., 1] / 120.0) + 0.5 * times.real
    affine = np.diag([240.0 / shape[0], 240.0 / shape[1], 10.0, 1.0])
    return PhaseAcquisition(
        phase_rad=np.angle(signal)[None],
        magnitude=np.abs(signal)[None],
        affine_mm=affine,
        frequency_hz=60.0,
        encoding_axes=np.eye(3)[2:],
        slice_time_s=None,
        menc_um_per_rad=None,
        run=0,
        facts={},
        acquired_matrix=matrix,
    )


@pytest.mark.parametrize(
    ("acquired", "used"),
    [((224, 64), (128, 64)), ((64, 224), (64, 128)), ((100, 81), (100, 81)), ((256, 256), None), (None, None)],
)
def test_cutting_k_space(acquired: tuple[int, int] | None, used: tuple[int, int] | None) -> None:
    """A signal within the acquired matrix keeps its values at the larger voxels; other images are untouched."""
    given = _plain(acquired, (256, 256))
    assert acquired_grid(given) == used
    made = on_acquired_grid(given)
    if used is None:
        assert made is given
        return
    assert made.phase_rad.shape[2:4] == used
    truth = _plain(None, used)
    signals = [one.magnitude * np.exp(1j * one.phase_rad) for one in (made, truth)]
    np.testing.assert_allclose(*signals, atol=1e-9)
    corner = np.array([-0.5, -0.5, -0.5, 1.0])
    np.testing.assert_allclose(made.affine_mm @ corner, given.affine_mm @ corner)
