"""Objects for planning systems: each voxel keeps value and place, each region its voxels, and no rule is broken."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.uid import EnhancedMRImageStorage, MRImageStorage, generate_uid
from scipy import ndimage
from scipy.spatial.transform import Rotation
from skimage.draw import polygon2mask

from palpate.config.maps import Kind
from palpate.imaging.dicom_out.content import ExportOutcome, GridContent, ImageContent, write_content
from palpate.imaging.dicom_out.dicom_identity import MapIdentity, identity_of, pseudonym_of
from palpate.imaging.dicom_out.dicom_source import DicomSource
from palpate.imaging.dicom_out.image_grid import ImageGrid, ImageReference
from palpate.imaging.dicom_out.object_header import ObjectText
from palpate.imaging.dicom_out.outlines import outlines
from palpate.imaging.dicom_out.quantities import SERIES_QUANTITIES
from palpate.imaging.dicom_out.region_masks import RegionMask
from palpate.imaging.dicom_out.spatial_registration import write_spatial_registration
from palpate.imaging.files.maps import Map
from palpate.imaging.regions.polygon import Polygons, crosses_itself
from palpate.imaging.regions.read import read_region
from tests.imaging.dicom_judge import errors_in, needs_dciodvfy, places_ras_mm, series_in

MADE = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
SHAPE = (18, 16, 7)
AXES = {
    "sagittal": np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    "oblique": Rotation.from_euler("xyz", [17.0, -23.0, 41.0], degrees=True).as_matrix() @ np.diag([-1.0, -1.0, 1.0]),
}
MEAN = SERIES_QUANTITIES["storagemodulus", "mean"]


def _identity() -> MapIdentity:
    """The identity that a T1 of an invented person states."""
    source = DicomSource(*(str(generate_uid(entropy_srcs=[name])) for name in "abcd"), body_part="BRAIN")
    header = pydicom.Dataset()
    header.SpecificCharacterSet = "ISO_IR 100"
    header.PatientName, header.PatientID, header.PatientBirthDate = "Bäcker^Zoë", "7", "19600102"
    header.StudyDate, header.StudyTime, header.StudyID = "20260304", "090000", "9"
    return identity_of(header, source)


def _grid(name: str, *, enhanced: bool = False, nobody: bool = False) -> ImageGrid:
    affine_mm = np.eye(4)
    affine_mm[:3, :3] = AXES[name] @ np.diag([0.9, 1.1, 2.3])
    affine_mm[:3, 3] = [12.5, 31.25, -8.0]
    one_file = (ImageReference(str(EnhancedMRImageStorage), "1.2.3.9", k + 1) for k in range(SHAPE[2]))
    files = (ImageReference(str(MRImageStorage), f"1.2.3.{k + 1}") for k in range(SHAPE[2]))
    identity = _identity()
    if nobody:
        identity = pseudonym_of(replace(identity.source, body_part=""), None, "sub-01")
    return ImageGrid(identity, affine_mm, SHAPE, tuple(one_file if enhanced else files), "T1w", "HFS")


def _values() -> NDArray[np.float32]:
    """kPa, NaN outside; one value beyond 16 bits, one that rounds to nothing."""
    values = np.random.default_rng(5).lognormal(1.0, 0.4, SHAPE).astype(np.float32)
    values[:4] = np.nan
    values[10, 10, 3], values[11, 10, 3] = 70.0, 0.0002
    return values


def _regions(grid: ImageGrid) -> tuple[RegionMask, ...]:
    """A large region with holes, and a small one within it."""
    blobs = ndimage.gaussian_filter(np.random.default_rng(3).standard_normal(SHAPE), 1.5)
    largest = np.unravel_index(int(blobs.argmax()), SHAPE)
    parts, _ = ndimage.label(blobs > np.quantile(blobs, 0.9))
    large, small = blobs > np.quantile(blobs, 0.3), parts == parts[largest]
    words = "Voxels"
    return (
        RegionMask("informed", words, "informed", large, grid.affine_mm),
        RegionMask("stiff-1", words, "stiff", small, grid.affine_mm),
    )


def _write(folder: Path, grid: ImageGrid, *kinds: Kind) -> ExportOutcome:
    series = ImageContent("mean", Map(_values(), grid.affine_mm, "kPa", ""), MEAN, "G' mean [Pa]")
    maps = replace(series, name="map")
    content = GridContent(
        grid,
        "run",
        "50 Hz",
        MADE,
        (series,),
        (maps,),
        _regions(grid),
        source=_identity().source,
        remarks=("Registered.",),
    )
    folder.mkdir()
    export = ExportOutcome()
    write_content(folder, content, kinds or ("mr", "pm", "rtstruct", "seg"), export)
    return export


@pytest.mark.parametrize("name", ["sagittal", "oblique"])
def test_every_pixel_of_a_series_has_value_and_place(name: str, tmp_path: Path) -> None:
    """A planner reads stiffness as the stored value at a place: pascal, the T1's own planes, 0 where there is none."""
    grid = _grid(name)
    export = _write(tmp_path / "dicom", grid, "mr")
    images = series_in(tmp_path / "dicom" / "mean")
    assert len(images) == SHAPE[2]
    for k, image in enumerate(images):
        here = (places_ras_mm(image) - grid.affine_mm[:3, 3]) @ np.linalg.inv(grid.affine_mm[:3, :3]).T
        index = np.rint(here).astype(int)
        np.testing.assert_allclose(here, index, atol=1e-3)
        np.testing.assert_array_equal(index[..., 2], k)
        expected_pa = 1e3 * _values()[tuple(np.moveaxis(index, -1, 0))]
        stored = image.pixel_array
        np.testing.assert_array_equal(stored == 0, np.isnan(expected_pa))
        usual = expected_pa < 65_535
        assert np.abs(stored - expected_pa)[usual].max() <= 1.0
        assert image.PixelPaddingValue == 0
        assert "RescaleSlope" not in image
        assert (image.WindowCenter, image.WindowWidth) == (2200, 4400)
        assert image.ReferencedImageSequence[0].ReferencedSOPInstanceUID == grid.images[k].sop_instance_uid
        assert image.FrameOfReferenceUID == grid.identity.source.frame_of_reference_uid
    (warning,) = export.warnings
    assert warning.code == "above-16-bits"
    assert "1 voxels" in warning.sentence
    (mapping,) = images[3].RealWorldValueMappingSequence
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueLastValueMapped) == (1.0, 65_534)
    assert images[3].pixel_array.max() == 65_535
    assert images[3].SeriesDescription.startswith("65535=or more")


def test_regions_are_the_same_voxels_when_read_back(tmp_path: Path) -> None:
    """On an oblique grid, with holes and touching corners: volume within 2 % and Dice 0.98 are asked, all is met."""
    grid = _grid("oblique")
    _write(tmp_path / "dicom", grid, "rtstruct", "seg")
    voxel_mm3 = float(np.prod([0.9, 1.1, 2.3]))
    for kind in ("rtstruct", "seg"):
        for region in _regions(grid):
            drawn = read_region(tmp_path / "dicom" / f"run_space-T1w_desc-regions_{kind}.dcm#{region.name}")
            inside = drawn.inside(grid.affine_mm, SHAPE)
            assert np.array_equal(inside, region.mask), (kind, region.name)
            assert drawn.shape.volume_mm3 == pytest.approx(region.mask.sum() * voxel_mm3, rel=0.005)
            assert drawn.frame_uid == grid.identity.source.frame_of_reference_uid
    structures = pydicom.dcmread(tmp_path / "dicom" / "run_space-T1w_desc-regions_rtstruct.dcm")
    contour = structures.ROIContourSequence[0].ContourSequence[0]
    assert contour.ContourImageSequence[0].ReferencedSOPInstanceUID in {one.sop_instance_uid for one in grid.images}


def test_other_readers_find_the_same_voxels(tmp_path: Path) -> None:
    """Read by other code than the library's own, on an oblique grid: volume within 2 % and Dice 0.98 at least."""
    grid = _grid("oblique")
    _write(tmp_path / "dicom", grid, "rtstruct", "seg")
    into_voxels = np.linalg.inv(grid.affine_mm) @ np.diag([-1.0, -1.0, 1.0, 1.0])
    structures = pydicom.dcmread(tmp_path / "dicom" / "run_space-T1w_desc-regions_rtstruct.dcm")
    segments = pydicom.dcmread(tmp_path / "dicom" / "run_space-T1w_desc-regions_seg.dcm")
    for number, region in enumerate(_regions(grid)):
        drawn = np.zeros(SHAPE, dtype=bool)
        for contour in structures.ROIContourSequence[number].ContourSequence:
            corners = np.reshape([float(x) for x in contour.ContourData], (-1, 3))
            index = corners @ into_voxels[:3, :3].T + into_voxels[:3, 3]
            drawn[:, :, round(index[0, 2])] ^= polygon2mask(SHAPE[:2], index[:, :2])
        marked = np.zeros(SHAPE, dtype=bool)
        for frame, pixels in zip(segments.PerFrameFunctionalGroupsSequence, segments.pixel_array, strict=True):
            if frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number + 1:
                corner = np.asarray(frame.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
                marked[:, :, round((into_voxels[:3, :3] @ corner + into_voxels[:3, 3])[2])] = pixels.T
        for found in (drawn, marked):
            both = 2.0 * (found & region.mask).sum() / (found.sum() + region.mask.sum())
            assert both >= 0.98
            assert found.sum() == pytest.approx(region.mask.sum(), rel=0.02)


def test_a_segmentation_that_viewers_tear_is_told(tmp_path: Path) -> None:
    """A reader must know that the picture of a right file may be wrong, and where the right one is."""
    assert _write(tmp_path / "even", _grid("oblique"), "seg").warnings == []
    odd = replace(_grid("oblique"), shape=(17, 15, 7), images=())
    cut = [replace(one, mask=one.mask[:17, :15]) for one in _regions(odd)]
    export = ExportOutcome()
    (tmp_path / "odd").mkdir()
    write_content(tmp_path / "odd", GridContent(odd, "run", "50 Hz", MADE, regions=tuple(cut)), ("seg",), export)
    assert [one.code for one in export.warnings] == ["segments-torn"]


def test_outlines_enclose_their_pixels_and_nothing_else() -> None:
    """Even-odd readers and readers that fill each contour must find the same pixels, whatever the holes."""
    generator = np.random.default_rng(0)
    for _ in range(60):
        inside = generator.random(generator.integers(1, 13, 2)) < generator.uniform(0.2, 0.95)
        inside[0, 0] = True
        parts = outlines(inside)
        assert len(parts) == ndimage.label(inside)[1]
        rows, columns = np.mgrid[: inside.shape[0], : inside.shape[1]]
        centres = np.stack([columns.ravel(), rows.ravel()], axis=1) + 0.5
        together = Polygons.of(parts).enclose(centres)
        alone = np.sum([Polygons.of([part]).enclose(centres) for part in parts], axis=0)
        np.testing.assert_array_equal(together.reshape(inside.shape), inside)
        np.testing.assert_array_equal(alone.reshape(inside.shape), inside)
        assert not any(crosses_itself(part) for part in parts)


def test_a_registration_moves_points_between_the_frames(tmp_path: Path) -> None:
    """A planning system multiplies the matrix with LPS points of the elastogram and must arrive on the T1."""
    motion_mm = np.eye(4)
    motion_mm[:3, :3] = Rotation.from_euler("xyz", [3.0, -5.0, 7.0], degrees=True).as_matrix()
    motion_mm[:3, 3] = [4.0, -2.0, 1.0]
    text = ObjectText(_identity(), "MRE to T1", 9034, MADE, "base")
    write_spatial_registration(tmp_path / "reg.dcm", motion_mm, "1.2.3.77", text, "rigid")
    made = pydicom.dcmread(tmp_path / "reg.dcm")
    assert made.FrameOfReferenceUID == _identity().source.frame_of_reference_uid
    matrices = {
        one.FrameOfReferenceUID: np.reshape(
            one.MatrixRegistrationSequence[0].MatrixSequence[0].FrameOfReferenceTransformationMatrix, (4, 4)
        ).astype(float)
        for one in made.RegistrationSequence
    }
    np.testing.assert_array_equal(matrices[made.FrameOfReferenceUID], np.eye(4))
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    point_ras_mm = np.array([10.0, -20.0, 30.0, 1.0])
    np.testing.assert_allclose(flip @ matrices["1.2.3.77"] @ flip @ point_ras_mm, motion_mm @ point_ras_mm, atol=1e-6)


@needs_dciodvfy
@pytest.mark.parametrize("nobody", [False, True])
def test_dciodvfy_finds_no_error_in_any_kind(nobody: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """An archive may refuse what breaks the standard; a series is judged by one slice with a clipped value.

    Rules differ where the part of the body is not known.
    """
    grid = _grid("oblique", nobody=nobody, enhanced=nobody)
    _write(tmp_path / "dicom", grid)
    text = ObjectText(grid.identity, "MRE to T1", 9034, MADE, "base")
    write_spatial_registration(tmp_path / "dicom" / "reg.dcm", np.eye(4), "1.2.3.77", text, "rigid")
    judged = [*(tmp_path / "dicom").glob("*.dcm"), tmp_path / "dicom" / "mean" / "0004.dcm"]
    assert len(judged) == 5
    assert {path.name: errors_in(path) for path in judged} == {path.name: [] for path in judged}


def test_the_same_content_gives_the_same_files(tmp_path: Path) -> None:
    """Sent again, a result must replace itself in an archive."""
    for name in ("a", "b"):
        _write(tmp_path / name, _grid("oblique"), "mr", "rtstruct", "seg")
    files = {path.relative_to(tmp_path / "a"): path.read_bytes() for path in (tmp_path / "a").rglob("*.dcm")}
    assert len(files) == SHAPE[2] + 2
    assert files == {path.relative_to(tmp_path / "b"): path.read_bytes() for path in (tmp_path / "b").rglob("*.dcm")}
