"""Regions drawn as DICOM Segmentation or RT Structure Set, against shapes whose volume is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from palpate.config.ingest import IngestSettings
from palpate.config.study import read_study
from palpate.errors import InputError
from palpate.imaging.anatomy.user_mask import read_user_mask
from palpate.imaging.deidentify.key import Key
from palpate.imaging.files.nifti import Volume
from palpate.imaging.ingest import ingest
from palpate.imaging.regions.read import read_region
from tests.imaging.drawn_files import FRAME, PERSON, write_rtstruct, write_seg

type Array = NDArray[np.float64]

SEMI_AXES_MM = np.array([34.0, 22.0, 27.0])
VOLUME_MM3 = 4.0 / 3.0 * np.pi * float(np.prod(SEMI_AXES_MM))
SHAPE = (48, 24, 10)
EDGES_MM = np.array([2.0, 3.0, 8.0])
TURNS = {"axial": Rotation.identity(), "oblique": Rotation.from_euler("xyz", [25.0, -35.0, 50.0], degrees=True)}


def affine(turn: Rotation) -> Array:
    """A grid around the world's origin, its axes turned."""
    found = np.eye(4)
    found[:3, :3] = turn.as_matrix() * EDGES_MM
    found[:3, 3] = -found[:3, :3] @ ((np.array(SHAPE) - 1.0) / 2.0)
    return found


def centres(affine_mm: Array) -> Array:
    return np.moveaxis(np.indices(SHAPE, dtype=float), 0, -1) @ affine_mm[:3, :3].T + affine_mm[:3, 3]


def ellipsoid(points_mm: Array, turn: Rotation) -> NDArray[np.bool_]:
    """The ellipsoid whose axes are turned with the grid."""
    return np.asarray(np.sum((points_mm @ turn.as_matrix() / SEMI_AXES_MM) ** 2, axis=-1) <= 1.0)


def ellipses(turn: Rotation, heights_mm: Array, scale: float = 1.0) -> list[Array]:
    """The ellipsoid's outlines on planes across its third axis."""
    angle = np.linspace(0.0, 2.0 * np.pi, 180, endpoint=False)
    found = []
    for height in heights_mm[np.abs(heights_mm) < scale * SEMI_AXES_MM[2]]:
        size = np.sqrt(scale**2 - (height / SEMI_AXES_MM[2]) ** 2) * SEMI_AXES_MM[:2]
        flat = np.stack([size[0] * np.cos(angle), size[1] * np.sin(angle), np.full(len(angle), height)], axis=1)
        found.append(flat @ turn.as_matrix().T)
    return found


def magnitude(affine_mm: Array) -> Volume:
    return Volume(np.ones(SHAPE), affine_mm)


HEIGHTS_MM = EDGES_MM[2] * (np.arange(SHAPE[2]) - (SHAPE[2] - 1) / 2.0)


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_a_segment_comes_back_voxel_by_voxel(kind: str, turn: str, tmp_path: Path) -> None:
    """Every kind of segmentation, in a slab at any angle, is the array that was written; the other one is left out."""
    affine_mm = affine(TURNS[turn])
    drawn = ellipsoid(centres(affine_mm), TURNS[turn])
    other = np.zeros(SHAPE, dtype=bool)
    other[:3, :3, :3] = True
    path = write_seg(tmp_path / "seg.dcm", {"Liver": drawn, "Spleen": other}, affine_mm, kind)
    for choice in ("Liver", "liver", "1"):
        mask, facts = read_user_mask(Path(f"{path}#{choice}"), magnitude(affine_mm), FRAME)
        np.testing.assert_array_equal(mask, drawn)
        assert (facts["kind"], facts["region_number"], facts["region_name"]) == ("SEG", 1, "Liver")
        assert facts["kept_share"] == pytest.approx(1.0)


def test_shares_count_from_a_half_on(tmp_path: Path) -> None:
    """A fractional voxel lies inside from a half on; its volume is that of its share."""
    affine_mm = affine(TURNS["oblique"])
    shares = np.zeros(SHAPE)
    shares[4:8, 4:8, 4:8], shares[8:10, 4:8, 4:8], shares[10:12, 4:8, 4:8] = 1.0, 0.6, 0.3
    path = write_seg(tmp_path / "seg.dcm", {"tumour": shares}, affine_mm, "FRACTIONAL")
    np.testing.assert_array_equal(read_user_mask(path, magnitude(affine_mm), FRAME)[0], shares > 0.5)
    assert read_region(path).shape.volume_mm3 == pytest.approx(shares.sum() * np.prod(EDGES_MM), rel=1e-3)


@pytest.mark.parametrize("turn", TURNS)
def test_contours_enclose_their_ellipsoid(turn: str, tmp_path: Path) -> None:
    """Drawn on the slices, the voxels are those whose centres lie in the ellipsoid, at any angle of the acquisition."""
    affine_mm = affine(TURNS[turn])
    path = write_rtstruct(tmp_path / "rs.dcm", {"Liver": ellipses(TURNS[turn], HEIGHTS_MM)}, frame=FRAME)
    mask, facts = read_user_mask(path, magnitude(affine_mm), FRAME)
    wanted = ellipsoid(centres(affine_mm), TURNS[turn])
    assert np.count_nonzero(mask != wanted) <= 0.01 * wanted.sum()  # polygons cut corners, files round to 0.0001 mm
    assert facts["contour_planes"] == np.count_nonzero(np.abs(HEIGHTS_MM) < SEMI_AXES_MM[2])
    assert facts["contour_spacing_mm"] == pytest.approx(EDGES_MM[2], abs=1e-3)
    assert not facts["warnings"]


def test_contours_across_the_slices_keep_their_volume(tmp_path: Path) -> None:
    """Contours every 3 mm on planes turned against the slices: sampling them is all that is lost."""
    path = write_rtstruct(tmp_path / "rs.dcm", {"Liver": ellipses(TURNS["oblique"], np.arange(-30.0, 31.0, 3.0))})
    affine_mm = affine(TURNS["axial"])
    region = read_region(path, affine_mm)
    assert region.shape.volume_mm3 == pytest.approx(VOLUME_MM3, rel=0.01)
    mask, _ = read_user_mask(path, magnitude(affine_mm), FRAME)
    truth = ellipsoid(centres(affine_mm), TURNS["oblique"])
    assert 2.0 * np.sum(mask & truth) / (mask.sum() + truth.sum()) > 0.97


def _square(side: float, height: float, at: float = 0.0) -> Array:
    corners = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]) * side / 2.0 + at
    return np.column_stack([corners, np.full(4, height)])


def _keyhole(height: float) -> Array:
    """A square with a square hole, as one contour that goes in and comes back along one edge."""
    outer, inner = _square(40.0, height)[[0, 1, 2, 3, 0]], _square(20.0, height)[[0, 3, 2, 1, 0]]
    return np.concatenate([outer, inner])


@pytest.mark.parametrize(
    ("contours", "area_mm2"),
    [
        (lambda height: [_square(40.0, height), _square(20.0, height)], 1200.0),
        (lambda height: [_square(40.0, height), _square(20.0, height), _square(10.0, height)], 1300.0),
        (lambda height: [_keyhole(height)], 1200.0),
        (lambda height: [_square(10.0, height, -10.0), _square(10.0, height, 10.0)], 200.0),
    ],
)
def test_holes_are_cut(contours: Callable[[float], list[Array]], area_mm2: float, tmp_path: Path) -> None:
    """A contour within a contour is a hole, one within the hole an island; a keyhole does the same with one line."""
    drawn = [one for height in (-4.0, 4.0) for one in contours(height)]
    path = write_rtstruct(tmp_path / "rs.dcm", {"Liver": drawn})
    region = read_region(path)
    assert region.shape.volume_mm3 == pytest.approx(16.0 * area_mm2, rel=2e-3)
    grid = np.diag([0.5, 0.5, 8.0, 1.0])
    grid[:3, 3] = [-24.75, -24.75, -4.0]
    assert region.inside(grid, (100, 100, 2)).sum() * 0.25 == pytest.approx(2.0 * area_mm2)
    assert not region.warnings


def test_what_was_not_drawn_stays_outside(tmp_path: Path) -> None:
    """Two planes are missing between two lobes: nobody drew there, and the record says how often."""
    drawn = [_square(40.0, height) for height in (0.0, 5.0, 10.0, 25.0, 30.0)]
    region = read_region(write_rtstruct(tmp_path / "rs.dcm", {"Liver": drawn}))
    heights = np.array([-2.4, 12.4, 12.6, 17.5, 22.4, 22.6, 32.4, 32.6])
    points = np.column_stack([np.zeros((len(heights), 2)), heights])
    assert region.shape.shares(points).astype(bool).tolist() == [True, True, False, False, False, True, True, False]
    assert [one.code for one in region.warnings] == ["contours-missing"]


def test_overlapping_contours_are_named(tmp_path: Path) -> None:
    """By the even-odd rule the common part is a hole; whoever meant to join them has to know."""
    drawn = [one for height in (0.0, 5.0) for one in (_square(20.0, height), _square(20.0, height, 8.0))]
    region = read_region(write_rtstruct(tmp_path / "rs.dcm", {"Liver": drawn}))
    assert [one.code for one in region.warnings] == ["contours-overlap"]


def test_one_slice_is_as_thick_as_the_elastograms(tmp_path: Path) -> None:
    """A region on a single slice has the thickness of the slices it was drawn on, or none that anybody knows."""
    path = write_rtstruct(tmp_path / "rs.dcm", {"Liver": [_square(20.0, HEIGHTS_MM[4])]})
    mask, _ = read_user_mask(path, magnitude(affine(TURNS["axial"])), FRAME)
    assert set(np.nonzero(mask)[2]) == {4}
    for turn in (None, affine(TURNS["oblique"])):
        with pytest.raises(InputError, match="on a single plane"):
            read_region(path, turn)


BOW = np.array([[0.0, 0.0, 0.0], [20.0, 20.0, 0.0], [20.0, 0.0, 0.0], [0.0, 18.0, 0.0]])
BENT = np.array([[0.0, 0.0, 0.0], [20.0, 0.0, 0.0], [20.0, 20.0, 3.0], [0.0, 20.0, 0.0]])
UP = np.array([0.0, 0.0, 5.0])
BAD_CONTOURS: dict[str, tuple[list[Array], str, str]] = {
    "crossing itself": ([BOW, BOW + UP], "CLOSED_PLANAR", "crosses itself"),
    "open": ([_square(9.0, 0.0), _square(9.0, 5.0)], "OPEN_PLANAR", "type OPEN_PLANAR"),
    "points": ([np.zeros((1, 3))], "POINT", "type POINT"),
    "bent": ([BENT, BENT + UP], "CLOSED_PLANAR", "leave parallel planes"),
    "a line": ([_square(9.0, 0.0)[:2], _square(9.0, 5.0)[:2]], "CLOSED_PLANAR", "enclose no area"),
    "twice": ([_square(9.0, 0.0), _square(9.0, 0.0), _square(9.0, 5.0)], "CLOSED_PLANAR", "twice on one plane"),
    "none": ([], "CLOSED_PLANAR", "without contours"),
    "elsewhere": ([_square(9.0, 500.0), _square(9.0, 505.0)], "CLOSED_PLANAR", "touches no voxel"),
}


@pytest.mark.parametrize("what", BAD_CONTOURS)
def test_contours_that_enclose_nothing_clear_are_refused(what: str, tmp_path: Path) -> None:
    """Each of these would give a region that somebody guessed; no error names the person or the ROI."""
    contours, kind, found = BAD_CONTOURS[what]
    path = write_rtstruct(tmp_path / "rs.dcm", {"Mustermann": contours}, kind)
    with pytest.raises(InputError, match=found) as error:
        read_user_mask(Path(f"{path}#1"), magnitude(affine(TURNS["axial"])), FRAME)
    assert "Mustermann" not in str(error.value)
    assert PERSON not in str(error.value)


@pytest.mark.parametrize("choice", ["", "Pancreas", "7", "twin"])
def test_several_regions_need_a_choice(choice: str, tmp_path: Path) -> None:
    """The error lists numbers, and names of which every word is an organ's; names may be persons'."""
    squares = [_square(9.0, 0.0), _square(9.0, 5.0)]
    names = ["Liver, left lobe", "Mustermann", "twin", "Twin"]
    path = write_rtstruct(tmp_path / "rs.dcm", dict.fromkeys(names, squares))
    if choice == "twin":
        assert read_region(Path(f"{path}#twin")).number == 3  # as it is written, before in any case of letters
        choice = "TWIN"
    with pytest.raises(InputError, match=r"one ROI of 1 \(Liver, left lobe\), 2, 3, 4") as error:
        read_region(Path(f"{path}#{choice}") if choice else path)
    assert "Mustermann" not in str(error.value)


def _edit(path: Path, change: Callable[[pydicom.Dataset], None]) -> Path:
    with path.open("rb") as file:
        image = pydicom.dcmread(file)
    change(image)
    image.save_as(path)
    return path


def _uneven(image: pydicom.Dataset) -> None:
    place = image.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0]
    place.ImagePositionPatient = [*place.ImagePositionPatient[:2], place.ImagePositionPatient[2] + 3.0]


def _cut(image: pydicom.Dataset) -> None:
    image.PixelData = image.PixelData[:-64]


BAD_SEGMENTS: dict[str, tuple[Callable[[pydicom.Dataset], None], str]] = {
    "uneven": (_uneven, "do not lie evenly"),
    "cut": (_cut, "cannot be read to its end|truncated"),
    "another frame": (lambda one: setattr(one, "FrameOfReferenceUID", "1.2.3"), "another frame of reference"),
    "no frame": (lambda one: delattr(one, "FrameOfReferenceUID"), "no frame of reference"),
    "no segments": (lambda one: setattr(one, "SegmentSequence", []), "no segment"),
    "another class": (lambda one: setattr(one, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.4"), "as mask that is neither"),
}


@pytest.mark.parametrize("what", BAD_SEGMENTS)
def test_segmentations_that_tell_no_place_are_refused(what: str, tmp_path: Path) -> None:
    """A segment must lie where the elastogram is, and be whole."""
    affine_mm = affine(TURNS["axial"])
    drawn = ellipsoid(centres(affine_mm), TURNS["axial"])
    change, found = BAD_SEGMENTS[what]
    path = _edit(write_seg(tmp_path / "seg.dcm", {"Liver": drawn}, affine_mm), change)
    with pytest.raises(InputError, match=found) as error:
        read_user_mask(path, magnitude(affine_mm), FRAME)
    assert PERSON not in str(error.value)


def test_frames_of_reference_are_compared_through_the_key(tmp_path: Path) -> None:
    """A region on the original fits its de-identified scan by the key alone; without any frame it is in doubt."""
    affine_mm = affine(TURNS["axial"])
    path = write_rtstruct(tmp_path / "rs.dcm", {"Liver": ellipses(TURNS["axial"], HEIGHTS_MM)}, frame=FRAME)
    key = Key(b"k" * 32)
    assert read_user_mask(path, magnitude(affine_mm), key.identifier(FRAME), key)[0].any()
    with pytest.raises(InputError, match="another frame of reference"):
        read_user_mask(path, magnitude(affine_mm), key.identifier(FRAME), None)
    _, facts = read_user_mask(path, magnitude(affine_mm), "", None)
    assert [one["code"] for one in facts["warnings"]] == ["region-frame-unknown"]


def test_a_region_of_another_patient_is_refused(tmp_path: Path) -> None:
    """A copied image keeps its frame of reference: one frame does not prove one patient. Nobody is named."""
    affine_mm = affine(TURNS["axial"])
    path = write_rtstruct(tmp_path / "rs.dcm", {"Liver": ellipses(TURNS["axial"], HEIGHTS_MM)}, frame=FRAME)
    other, key = ("1234", "huber maria", "19800101"), Key(b"k" * 32)
    with pytest.raises(InputError, match="region of another patient than the scan's") as refused:
        read_user_mask(path, magnitude(affine_mm), FRAME, key, other)
    assert not [one for one in ("4711", PERSON, "Mustermann", *other) if one in str(refused.value)]
    # The numbers decide, or the key that makes one from the other, or a frame that the key makes.
    for frame, person in ((FRAME, ("4711", "", "")), (FRAME, (key.pseudonym("4711"), "", "")), ("", ("4711", "", ""))):
        assert read_user_mask(path, magnitude(affine_mm), frame, key, person)[0].any()
    assert read_user_mask(path, magnitude(affine_mm), key.identifier(FRAME), key, ("sub-01", "", ""))[0].any()
    _, facts = read_user_mask(path, magnitude(affine_mm), FRAME, key, ("", "", ""))
    assert [one["code"] for one in facts["warnings"]] == ["region-patient-unknown"]


def test_a_file_whose_name_holds_the_mark_is_a_file(tmp_path: Path) -> None:
    """`scan#2.dcm` is a name, and `scan#2.dcm#1` a region in it."""
    path = write_rtstruct(tmp_path / "scan#2.dcm", {"Liver": [_square(9.0, 0.0), _square(9.0, 5.0)]})
    assert read_region(path).number == read_region(Path(f"{path}#Liver")).number == 1


def test_a_table_of_sessions_names_the_region(tmp_path: Path) -> None:
    """The column mask has a file and the region in it; the file alone must exist."""
    for name in ("mre", "rs.dcm", "liver.nii.gz"):
        (tmp_path / name).touch()
    table = tmp_path / "sessions.tsv"
    rows = [f"0{number}\t01\tmre\t{mask}" for number, mask in enumerate(["rs.dcm#Liver, left", "liver.nii.gz", "n/a"])]
    table.write_text("\n".join(["subject\tsession\tmre\tmask", *rows]))
    found = [(one.mask, one.mask_region) for one in read_study(table)]
    assert found == [(tmp_path / "rs.dcm", "Liver, left"), (tmp_path / "liver.nii.gz", ""), (None, "")]
    table.write_text("subject\tsession\tmre\tmask\n01\t01\tmre\tnone.dcm#Liver")
    with pytest.raises(InputError, match="column mask"):
        read_study(table)


def test_a_region_for_arrays_is_refused(tmp_path: Path) -> None:
    """Arrays of displacement bring their own mask; one that is named beside them must not be passed over."""
    (tmp_path / "waves.mat").write_bytes(b"x")
    drawn = write_rtstruct(tmp_path / "rs.dcm", {"Liver": [_square(9.0, 0.0), _square(9.0, 5.0)]})
    with pytest.raises(InputError, match="a mask for displacement arrays"):
        ingest(tmp_path / "waves.mat", "sub-01", tmp_path / "out", anatomy=None, settings=IngestSettings(), mask=drawn)
