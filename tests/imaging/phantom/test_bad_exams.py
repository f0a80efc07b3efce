"""Liver exams with something amiss, from DICOM to the record: slices, breath-holds, directions, regions, confidence."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from palpate.config.ingest import IngestSettings
from palpate.config.phantom import PhantomSettings
from palpate.errors import InputError
from palpate.imaging.dicom.registry import read_acquisitions
from palpate.imaging.files.nifti import write_nifti
from palpate.imaging.files.wavefield_folder import read_wave_fields
from palpate.imaging.ingest import ingest
from palpate.imaging.phantom.ge import write_waves
from palpate.imaging.phantom.grid import ScanGrid, block
from palpate.imaging.phantom.identity import Identity
from palpate.imaging.phantom.scan import acquire
from palpate.imaging.wavefield import WaveField
from tests.imaging.scanner import edit

NAME = "sub-01_ses-01"
SHAPE, PIXEL_MM, SLICE_MM = (36, 30, 4), 5.0, 10.0
OFFSETS = 4
SETTINGS = PhantomSettings(
    lesion=None, offsets=OFFSETS, frequency_hz=60.0, noise_percent=3.0, motion_rad=0.0, slice_interval_ms=0.0
)
PER_SLICE = 2 * OFFSETS


def _grid() -> ScanGrid:
    grid = block(np.array([10.0, -20.0, 40.0]), np.diag([-1.0, -1.0, 1.0]), SHAPE, PIXEL_MM)
    affine = grid.affine_mm.copy()
    affine[:3, 2] *= SLICE_MM / PIXEL_MM
    return replace(grid, affine_mm=affine)


GRID = _grid()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three series of GE's liver sequence through an ellipse with a vessel: along rows, down them, through slices."""
    i, j = (PIXEL_MM * (np.indices(SHAPE)[axis] - SHAPE[axis] / 2.0) for axis in range(2))
    body = (i / 78.0) ** 2 + (j / 64.0) ** 2 < 1.0
    contrast = body * np.where(np.hypot(i - 25.0, j + 15.0) < 11.0, 0.2, 1.0)
    wave = np.exp(-(0.175j + 0.004) * (i + 0.3 * j)) + 0.5 * np.exp((0.17j - 0.003) * j)
    displacement = 1e-6 * wave[..., None] * np.array([4.0, 3.0j, 9.0])
    folder = tmp_path_factory.mktemp("exam") / "in"
    folder.mkdir()
    write_waves(folder, Identity("01", "01", "exam"), SETTINGS, GRID, acquire(SETTINGS, GRID, displacement, contrast))
    return folder


def series(sound: Path, target: Path, *numbers: int) -> Path:
    """Copy some series; 9 is the one through the slices."""
    target.mkdir()
    for number in numbers:
        shutil.copytree(sound / f"series{number:03d}_mre", target / f"series{number:03d}_mre")
    return target


def every(folder: Path, change: Callable[[pydicom.Dataset], object]) -> None:
    """Change every image below a folder."""
    for path in sorted(folder.rglob("*.dcm")):
        edit(path, change)


def place_of(image: pydicom.Dataset) -> int:
    """Index of an image's slice."""
    offset = np.asarray(image.ImagePositionPatient, dtype=float)[2] - GRID.affine_mm[2, 3]
    return round(offset / SLICE_MM)


def made(source: Path, out: Path, mask: Path | None = None, **settings: object) -> tuple[WaveField, dict]:
    """The wave field and its record."""
    chosen = IngestSettings.model_validate(settings)
    ingest(source, NAME, out, anatomy=None, settings=chosen, mask=mask)
    (field,) = read_wave_fields(out)
    return field, json.loads((out / f"{NAME}_ingest.json").read_text())


def codes(record: dict) -> set[str]:
    """Codes of a record's warnings beyond those of any exam of one direction."""
    found = {one["code"] for part in (record, *record["frequencies"]) for one in part["warnings"]}
    return found - {"fewer-directions", "direction-assumed", "not-an-organ"}


def test_a_sound_exam_raises_nothing(sound: Path, tmp_path: Path) -> None:
    """What follows is about what is amiss."""
    _, record = made(series(sound, tmp_path / "in", 9), tmp_path / "out")
    assert codes(record) == set()
    assert record["frequencies"][0]["slices"]["largest_jump_mm"] < 1.0


def _rolled(which: list[int], voxels: tuple[int, int]) -> Callable[[pydicom.Dataset], object]:
    def change(image: pydicom.Dataset) -> None:
        if place_of(image) in which:
            stored = np.frombuffer(image.PixelData, np.int16).reshape(image.Rows, image.Columns)
            image.PixelData = np.roll(stored, voxels[::-1], axis=(0, 1)).tobytes()

    return change


@pytest.mark.parametrize(("which", "voxels"), [([2], (1, 0)), pytest.param([2, 3], (0, 3), marks=pytest.mark.long)])
def test_a_slice_of_another_breath_hold_is_named(
    which: list[int], voxels: tuple[int, int], sound: Path, tmp_path: Path
) -> None:
    """One slice by a voxel, half of them by three: headers know nothing of it, the images do, also when relabelled."""
    folder = series(sound, tmp_path / "in", 9)
    every(folder, _rolled(which, voxels))
    _, record = made(folder, tmp_path / "out")
    assert "slices-moved" in codes(record)
    jump_mm = record["frequencies"][0]["slices"]["largest_jump_mm"]
    assert jump_mm == pytest.approx(PIXEL_MM * max(voxels), abs=1.5)
    _, again = made(tmp_path / "out", tmp_path / "again")
    assert "slices-moved" in codes(again)


def _slices_reversed(image: pydicom.Dataset) -> None:
    """Numbered from the last slice to the first; waves before magnitudes, offsets forward."""
    kind, rest = divmod(int(image.InstanceNumber) - 1, OFFSETS * SHAPE[2])
    k, offset = divmod(rest, OFFSETS)
    image.InstanceNumber = 1 + OFFSETS * (SHAPE[2] * kind + SHAPE[2] - 1 - k) + offset


def test_slices_numbered_from_the_other_end_are_in_place(sound: Path, tmp_path: Path) -> None:
    """Positions decide, not numbers or names of files."""
    folder = series(sound, tmp_path / "in", 9)
    (before,), _ = read_acquisitions(folder, IngestSettings())
    every(folder, _slices_reversed)
    for path in sorted(folder.rglob("*.dcm")):
        number = int(pydicom.dcmread(path, stop_before_pixels=True).InstanceNumber)
        path.rename(path.with_name(f"r{number:05d}.dcm"))
    (after,), _ = read_acquisitions(folder, IngestSettings())
    np.testing.assert_array_equal(after.phase_rad, before.phase_rad)
    np.testing.assert_array_equal(after.affine_mm, before.affine_mm)


def _dropped(which: int) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for path in sorted(folder.rglob("*.dcm")):
            if place_of(pydicom.dcmread(path, stop_before_pixels=True)) == which:
                path.unlink()

    return spoil


def _doubled(height_mm: float) -> Callable[[Path], None]:
    """One slice again, with numbers and identifiers of its own, so far from where it was."""

    def spoil(folder: Path) -> None:
        for path in sorted(folder.rglob("*.dcm")):
            image = pydicom.dcmread(path)
            if place_of(image) != 1:
                continue
            image.InstanceNumber += 1000
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{image.InstanceNumber}"
            x, y, z = image.ImagePositionPatient
            image.ImagePositionPatient = [x, y, float(z) + height_mm]
            image.save_as(path.with_name(f"again{path.name}"), enforce_file_format=True)

    return spoil


def _without_promise(spoil: Callable[[Path], None]) -> Callable[[Path], None]:
    """The same where no header says how many slices there are."""

    def both(folder: Path) -> None:
        spoil(folder)
        every(folder, lambda image: image.__delitem__((0x0021, 0x104F)))

    return both


SLICES: dict[str, tuple[Callable[[Path], None], str]] = {
    "one missing in the middle": (_dropped(1), "gaps of 10 to 20 mm.*a slice is missing"),
    "one missing at an end": (_dropped(0), "3 slices.*expected 4"),
    "one twice in its place": (_doubled(0.0), f"{2 * PER_SLICE} images of slice 2 of 4"),
    "one twice between others": (_without_promise(_doubled(5.0)), "gaps of 5 to 10 mm"),
}


@pytest.mark.parametrize("name", SLICES)
def test_slices_that_do_not_make_a_stack_are_refused(name: str, sound: Path, tmp_path: Path) -> None:
    """A wave across slices would jump or stand still there."""
    spoil, expected = SLICES[name]
    folder = series(sound, tmp_path / "in", 9)
    spoil(folder)
    with pytest.raises(InputError) as refused:
        read_acquisitions(folder, IngestSettings())
    assert re.search(expected, str(refused.value))


@pytest.mark.parametrize(
    "gap_mm", [20.0, pytest.param(5.0, marks=pytest.mark.long), pytest.param(40.0, marks=pytest.mark.long)]
)
def test_gaps_between_slices(gap_mm: float, sound: Path, tmp_path: Path) -> None:
    """Waves of 35 mm are followed over 15 mm; thickness and distance of slices are kept apart."""
    folder = series(sound, tmp_path / "in", 9)

    def pull_apart(image: pydicom.Dataset) -> None:
        k = place_of(image)
        x, y, z = image.ImagePositionPatient
        image.ImagePositionPatient = [x, y, float(z) + k * gap_mm]
        image.SliceThickness, image.SpacingBetweenSlices = SLICE_MM, SLICE_MM + gap_mm

    every(folder, pull_apart)
    field, record = made(folder, tmp_path / "out")
    assert field.voxel_size_mm[2] == pytest.approx(SLICE_MM + gap_mm)
    assert field.slice_thickness_mm == SLICE_MM
    assert codes(record) == ({"slices-far-apart"} if gap_mm > 5.0 else set())


@pytest.mark.parametrize(
    ("matrix", "angle"),
    [
        ([[0, np.sin(np.radians(80.0)), np.cos(np.radians(80.0))], [0, 0, 1]], 80.0),
        pytest.param([[0, 0.5, 0], [0, 0, 1]], 90.0, marks=pytest.mark.long),
    ],
)
def test_two_directions(matrix: list[list[float]], angle: float, sound: Path, tmp_path: Path) -> None:
    """At any angle, and a row of half a length is an encoding of half the sensitivity."""
    folder = series(sound, tmp_path / "in", 8, 9)
    field, record = made(folder, tmp_path / "out", encoding_matrix=matrix)
    assert field.directions is not None
    assert np.linalg.norm(field.directions, axis=1) == pytest.approx([1.0, 1.0])
    assert record["frequencies"][0]["angle_between_directions_deg"] == pytest.approx(angle, abs=0.01)
    assert codes(record) == set()
    size = np.linalg.norm(field.displacement_m[field.mask], axis=0)
    assert size[0] / size[1] == pytest.approx((1.0 if angle < 90.0 else 1.0 / np.linalg.norm(matrix[0])) / 3.0, rel=0.1)


@pytest.mark.parametrize(
    ("matrix", "found"),
    [
        ([[0, 0.2, 0.98], [0, 0, 1]], "the closest two 11.5 degrees apart"),
        ([[0, 0, 0], [0, 0, 0]], "no direction can be made"),
    ],
)
def test_two_directions_that_are_hardly_two(matrix: list[list[float]], found: str, sound: Path, tmp_path: Path) -> None:
    """Between them there would be noise; a direction without length is none."""
    folder = series(sound, tmp_path / "in", 8, 9)
    with pytest.raises(InputError, match=found):
        read_acquisitions(folder, IngestSettings.model_validate({"encoding_matrix": matrix}))


def test_parallel_rows_are_one_direction(sound: Path, tmp_path: Path) -> None:
    """Measured twice, and not two components of which one is made of noise."""
    folder = series(sound, tmp_path / "in", 8, 9)
    (found,), _ = read_acquisitions(folder, IngestSettings(encoding_matrix=((0, 0, 1), (0, 0, 1))))
    assert np.abs(found.encoding_axes) == pytest.approx(np.abs(GRID.axes.T[2:]), abs=1e-6)


def _drawn(tmp_path: Path, region: NDArray[np.bool_]) -> Path:
    path = tmp_path / "region.nii.gz"
    write_nifti(path, region.astype(np.uint8), GRID.affine_mm)
    return path


def _box(slices: list[int], i: slice = slice(8, 28), j: slice = slice(8, 22)) -> NDArray[np.bool_]:
    region = np.zeros(SHAPE, dtype=bool)
    for k in slices:
        region[i, j, k] = True
    return region


@pytest.mark.parametrize("slices", [[2], [0, 2]])
def test_a_drawn_region_is_inverted_where_it_was_drawn(slices: list[int], sound: Path, tmp_path: Path) -> None:
    """On one slice, or with one left out: each piece of it, not the largest, and the slices beside it as margin."""
    region = _box(slices)
    field, record = made(series(sound, tmp_path / "in", 9), tmp_path / "out", _drawn(tmp_path, region))
    assert codes(record) == set()
    assert (field.mask & region).sum() > 0.9 * region.sum()
    assert set(slices) < set(field.mask.any(axis=(0, 1)).nonzero()[0].tolist())


OUTSIDE = {
    "one voxel": (_box([1], slice(12, 13), slice(12, 13)), "a mask of 1 voxel on"),
    "few voxels": (_box([1], slice(12, 17), slice(12, 17)), "a mask of 25 voxels on"),
    "nothing": (np.zeros(SHAPE, dtype=bool), "no voxel above 0"),
    "air": (_box([0, 1, 2, 3], slice(0, 4), slice(0, 4)), "of the drawn region with a usable phase.*in air"),
}


@pytest.mark.parametrize("what", OUTSIDE)
def test_a_region_that_misses_the_liver_is_refused(what: str, sound: Path, tmp_path: Path) -> None:
    """A mean over air, or over a point, looks like any other mean."""
    region, found = OUTSIDE[what]
    with pytest.raises(InputError, match=found):
        made(series(sound, tmp_path / "in", 9), tmp_path / "out", _drawn(tmp_path, region))


def test_without_waves_there_is_no_region(sound: Path, tmp_path: Path) -> None:
    """Where the actuator was off nothing is gated; the setting that could widen the region is named."""
    folder = series(sound, tmp_path / "in", 9)
    generator = np.random.default_rng(0)

    def silence(image: pydicom.Dataset) -> None:
        if image[0x0043, 0x102F].value == 1:
            noise = generator.normal(scale=100.0, size=(image.Rows, image.Columns))
            image.PixelData = np.rint(noise).astype(np.int16).tobytes()

    every(folder, silence)
    with pytest.raises(InputError, match="least_wave_snr"):
        made(folder, tmp_path / "out")
