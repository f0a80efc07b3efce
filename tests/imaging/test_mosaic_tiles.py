"""Which slice each tile of a Siemens mosaic shows, and what its pixels say against its headers."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.deidentify.folder import deidentify
from palpate.imaging.dicom.registry import read_acquisitions
from palpate.imaging.dicom.siemens_csa import csa_header, slice_normal
from tests.imaging.scanner import Scan, edit, write_mre

SCAN = Scan(shape=(6, 5, 3), offsets=3, slice_time_ms=(0.0, 213.0, 107.0), row=(0.0, 0.6, 0.8), column=(1.0, 0.0, 0.0))
NORMAL = np.cross(SCAN.row, SCAN.column)
CSA = "SIEMENS CSA HEADER"


def _read(folder: Path) -> PhaseAcquisition:
    (acquisition,), _ = read_acquisitions(folder, IngestSettings())
    return acquisition


def _edit_all(folder: Path, change: Callable[[pydicom.Dataset], object]) -> None:
    for path in sorted(folder.rglob("*.ima")):
        edit(path, change)


def _new_style(normal: Sequence[float]) -> bytes:
    """A CSA header of type 2 as the library writes it."""
    return csa_header({"SliceNormalVector": ("FD", [f"{value:.8f}" for value in normal]), "Other": ("LO", ["x"])})


def _old_style(normal: Sequence[float]) -> bytes:
    """A CSA header of type 1: no mark, and lengths of items counted from that of the first tag's."""
    tags = [("EchoLinePosition", b"IS", ["1"]), ("SliceNormalVector", b"FD", [f"{value:.8f}" for value in normal])]
    header = struct.pack("<II", len(tags), 77)
    for name, vr, values in tags:
        header += name.encode().ljust(64, b"\0") + struct.pack("<i4s3i", len(values), vr, 6, 6, 77)
        for value in [text.encode() + b"\0" for text in values] + [b""] * (6 - len(values)):
            # The length is stated with the number of items of the first tag on top.
            header += struct.pack("<4i", len(value) + 6, len(value) + 6, 77, len(value))
            header += value.ljust(-(-len(value) // 4) * 4, b"\0")
    return header


def _state_normal(image: pydicom.Dataset, value: bytes) -> None:
    image.private_block(0x0029, CSA, create=True).add_new(0x10, "OB", value)


def _tiles(image: pydicom.Dataset) -> NDArray[np.uint16]:
    """The tiles, shape (tile, rows, columns)."""
    pixels = image.pixel_array
    rows, columns = pixels.shape[0] // 2, pixels.shape[1] // 2
    return pixels.reshape(2, rows, 2, columns).swapaxes(1, 2).reshape(4, rows, columns)


def _set_tiles(image: pydicom.Dataset, tiles: NDArray[np.uint16]) -> None:
    rows, columns = tiles.shape[1:]
    joined = tiles.reshape(2, 2, rows, columns).swapaxes(1, 2).reshape(2 * rows, 2 * columns)
    image.PixelData = np.ascontiguousarray(joined).tobytes()


def _top_down(image: pydicom.Dataset, style: Callable[[Sequence[float]], bytes]) -> None:
    """Store the same slices from the top down, as the scanner does where the protocol says so."""
    tiles = _tiles(image)
    tiles[:3] = tiles[:3][::-1].copy()
    _set_tiles(image, tiles)
    top = np.array(image.ImagePositionPatient, float) + 2 * SCAN.spacing_mm[2] * NORMAL
    image.ImagePositionPatient = [f"{value:.9f}" for value in top]
    image[0x0019, 0x1029].value = list(image[0x0019, 0x1029].value)[::-1]
    _state_normal(image, style(-NORMAL))


@pytest.mark.parametrize("style", [_new_style, _old_style])
def test_the_order_of_tiles_moves_no_slice(style: Callable[[Sequence[float]], bytes], tmp_path: Path) -> None:
    """Slices lie where the slice normal of the CSA header says: from the bottom up or down, the same measurement.

    Taken for ascending, a scan that was stored from the top down is mirrored along its slices and beside the head.
    """
    write_mre(tmp_path / "mre", SCAN)
    before = _read(tmp_path / "mre")
    _edit_all(tmp_path / "mre", lambda image: _top_down(image, style))
    after = _read(tmp_path / "mre")
    np.testing.assert_array_equal(after.phase_rad, before.phase_rad)
    np.testing.assert_array_equal(after.magnitude, before.magnitude)
    np.testing.assert_array_equal(after.slice_time_s, before.slice_time_s)
    np.testing.assert_allclose(after.affine_mm, before.affine_mm, atol=1e-6)
    np.testing.assert_array_equal(after.encoding_axes, before.encoding_axes)


@pytest.mark.parametrize("value", [_new_style(NORMAL), _old_style(NORMAL), b"\0" * 40, b"SV10\4\3\2\1 cut short"])
def test_headers_that_say_nothing_new_change_nothing(value: bytes, tmp_path: Path) -> None:
    """The usual direction, an emptied header and a damaged one leave tiles in their usual order, along the normal."""
    write_mre(tmp_path / "mre", SCAN)
    before = _read(tmp_path / "mre")
    _edit_all(tmp_path / "mre", lambda image: _state_normal(image, value))
    after = _read(tmp_path / "mre")
    np.testing.assert_array_equal(after.phase_rad, before.phase_rad)
    np.testing.assert_array_equal(after.affine_mm, before.affine_mm)


def test_deidentified_mosaics_keep_their_direction(tmp_path: Path) -> None:
    """The CSA header may hold names and goes, but for the one vector without which slices are mirrored."""
    write_mre(tmp_path / "mre", SCAN)
    _edit_all(tmp_path / "mre", lambda image: _top_down(image, _new_style))
    before = _read(tmp_path / "mre")
    deidentify(tmp_path / "mre", tmp_path / "clean", tmp_path / "key", subject="01")
    after = _read(tmp_path / "clean")
    np.testing.assert_array_equal(after.phase_rad, before.phase_rad)
    np.testing.assert_array_equal(after.affine_mm, before.affine_mm)
    for path in (tmp_path / "clean").rglob("*.dcm"):
        kept = pydicom.dcmread(path)[0x0029, 0x1010].value
        assert slice_normal(kept) == pytest.approx(-NORMAL)
        assert b"Other" not in kept


def _seventh_tile(image: pydicom.Dataset) -> None:
    """Signal in the tile after the last slice."""
    tiles = _tiles(image)
    tiles[3] = tiles[2]
    _set_tiles(image, tiles)


def _empty_last(image: pydicom.Dataset) -> None:
    tiles = _tiles(image)
    tiles[2] = 0
    _set_tiles(image, tiles)


def _four_slices(image: pydicom.Dataset) -> None:
    image[0x0019, 0x100A].value = 4
    image[0x0019, 0x1029].value = [0.0, 213.0, 107.0, 320.0]


def _acquired(image: pydicom.Dataset) -> None:
    """The matrix of a larger tile: the whole image is one slice."""
    image.AcquisitionMatrix, image.InPlanePhaseEncodingDirection = [12, 0, 0, 10], "COL"


SPOILT: dict[str, tuple[Callable[[pydicom.Dataset], object], str]] = {
    "signal beyond the count": (_seventh_tile, "signal in tile 4 .*empty tiles after slice 3"),
    "fewer tiles than counted": (_empty_last, "no signal in slice 3 of 3"),
    "one slice too many": (_four_slices, "no signal in slice 4 of 4"),
    "times of fewer slices": (
        lambda image: setattr(image[0x0019, 0x1029], "value", [0.0, 1.0]),
        "2 slice times .*of 3 slices",
    ),
    "tiles smaller than acquired": (_acquired, "tiles of 6 x 5.*number of slices may be wrong"),
    "a normal across the slices": (
        lambda image: _state_normal(image, _new_style(SCAN.row)),
        "slice normal .*90 degrees off",
    ),
    "a normal in one series only": (
        lambda image: _state_normal(image, _new_style(-NORMAL)) if "P" in image.ImageType else None,
        "same grid",
    ),
}


@pytest.mark.parametrize("what", SPOILT)
def test_headers_that_contradict_the_pixels_are_refused(what: str, tmp_path: Path) -> None:
    """Each of these was read without a word, with slices dropped or at wrong places."""
    change, expected = SPOILT[what]
    write_mre(tmp_path / "mre", SCAN)
    _edit_all(tmp_path / "mre", change)
    with pytest.raises(InputError) as caught:
        _read(tmp_path / "mre")
    assert re.search(expected, str(caught.value))


def test_the_count_may_stand_in_the_csa_header(tmp_path: Path) -> None:
    """Some exports drop group 0019 and keep 0029."""
    write_mre(tmp_path / "mre", SCAN)
    before = _read(tmp_path / "mre")

    def move(image: pydicom.Dataset) -> None:
        for element in (0x0010, 0x100A, 0x1029):
            del image[0x0019, element]
        _state_normal(image, csa_header({"NumberOfImagesInMosaic": ("US", ["3"])}))

    _edit_all(tmp_path / "mre", move)
    np.testing.assert_array_equal(_read(tmp_path / "mre").phase_rad, before.phase_rad)


def test_magnitudes_are_paired_by_what_headers_say(tmp_path: Path) -> None:
    """Where an archive gave every image the same number, times pair them; without times nothing does."""
    write_mre(tmp_path / "mre", SCAN)
    before = _read(tmp_path / "mre")

    def renumber(image: pydicom.Dataset) -> None:
        image.AcquisitionTime = f"1015{int(image.InstanceNumber):02d}.5"
        image.InstanceNumber = 1

    _edit_all(tmp_path / "mre", renumber)
    for number, path in enumerate(sorted((tmp_path / "mre").rglob("*.ima"))):
        path.rename(path.with_name(f"{(number * 7) % 31:04d}_{number}.ima"))
    np.testing.assert_array_equal(_read(tmp_path / "mre").magnitude, before.magnitude)
    _edit_all(tmp_path / "mre", lambda image: delattr(image, "AcquisitionTime"))
    with pytest.raises(InputError, match="which magnitude image belongs to which phase image"):
        _read(tmp_path / "mre")
