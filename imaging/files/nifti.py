"""Volumes in files: NIfTI (one file or .hdr and .img) and FreeSurfer's .mgz, read strictly; NIfTI, written plainly.

A NIfTI file may state two affines, each with a code for the space it leads to. A patient's images belong together in
the coordinates of the scanner, so that of two affines that differ

    scanner (1) is taken before aligned (2), and aligned before a template's (3 Talairach, 4 MNI 152, 5 other),

with a warning; two that have the same code and differ are refused. A file that has only a template's affine is marked
as such: steps that place images by world coordinates alone must not take it for the scanner's.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Final

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.files.plain_names import shown
from palpate.imaging.limits.input_limits import demand_gzip_fits
from palpate.imaging.limits.plausible import shear_of
from palpate.machine_failures import machine_fault
from palpate.progress import say

# What nibabel raises on damaged bytes; it promises no common class.
_UNREADABLE: Final = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    MemoryError,
    struct.error,
    zlib.error,
    nib.filebasedimages.ImageFileError,
    nib.spatialimages.HeaderDataError,
    nib.spatialimages.ImageDataError,
)
_COMPRESSED: Final = (".gz", ".mgz")
_BEST_COMPRESSION: Final = 1032
"""Largest size of a gzip file's content over the size of the file."""
_TEMPLATES: Final = {3: "Talairach", 4: "MNI 152", 5: "another template"}
_SPACES: Final = {1: "scanner", 2: "aligned"} | _TEMPLATES
_SAME_AFFINE_VOXELS: Final = 0.5
"""Shift up to which two affines are equal, voxels.

A quaternion near half a turn is exact to 4e-4 rad only, 0.1 mm in a head.
"""
_MGH_FLAG_AT: Final = 28
"""Position of the flag of valid coordinates in the header of an .mgh file, bytes from its start."""
_ENDINGS: Final = (".nii", ".nii.gz", ".hdr", ".img", ".img.gz", ".mgz", ".mgh")
_SLAB_VALUES: Final = 4_000_000
_SHEAR: Final = 1e-3
"""Cosine between voxel axes up to which they count as orthogonal; float32 affines leave about 1e-6."""


@dataclass(frozen=True, slots=True)
class Volume:
    """Voxel values and their place in the world.

    Attributes:
        values: real numbers, shape (i, j, k) or (i, j, k, component).
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
        of_template: whether the file states that its world is a template's (such as MNI 152), not the scanner's.
    """

    values: NDArray[np.float64]
    affine_mm: NDArray[np.float64]
    of_template: bool = False


@dataclass(frozen=True, slots=True)
class StoredVolume:
    """Voxel values in the type in which the file stores them, and their place in the world.

    Masks and labels are bytes.

    Attributes:
        values: values of any numeric type, shape (i, j, k) or (i, j, k, component).
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
        of_template: whether the file states that its world is a template's (such as MNI 152), not the scanner's.
    """

    values: NDArray[np.generic]
    affine_mm: NDArray[np.float64]
    of_template: bool = False

    def slabs(self) -> Iterator[NDArray[np.generic]]:
        """Yield the values in slabs along the last axis, of which none takes much memory when it is converted."""
        last = self.values.shape[-1]
        step = max(1, _SLAB_VALUES * last // max(1, self.values.size))
        for start in range(0, last, step):
            yield self.values[..., start : start + step]


def is_volume_file(path: Path) -> bool:
    """Return whether a file's name, in upper or lower case, is a volume's: NIfTI, .hdr with .img, .mgz or .mgh."""
    name = path.name.lower()
    if not name.endswith(_ENDINGS):
        return False
    # Old DICOM exports call their images .img as well.
    return not name.endswith((".img", ".img.gz")) or any(
        other.name.lower() == name.removesuffix(".gz").removesuffix(".img") + ".hdr" for other in path.parent.iterdir()
    )


def read_volume(path: Path) -> Volume:
    """Read one volume like read_nifti, and leave out further axes of length 1."""
    volume = read_nifti(path)
    single = volume.values.ndim > 3 and set(volume.values.shape[3:]) == {1}
    return replace(volume, values=volume.values.reshape(volume.values.shape[:3])) if single else volume


def read_nifti(path: Path) -> Volume:
    """Read a file of real numbers whose position in the world is stated.

    Raises:
        InputError: the file is missing, truncated or of another format; its voxels are complex or colours; it has no
            usable affine, two that contradict each other, or another unit than millimetres.
    """
    stored = _read(path, np.dtype(np.float64))
    return Volume(np.asarray(stored.values, dtype=np.float64), stored.affine_mm, stored.of_template)


def read_stored(path: Path) -> StoredVolume:
    """Read one volume in its stored type, with the checks of read_nifti, and leave out further axes of length 1."""
    volume = _read(path, None)
    single = volume.values.ndim > 3 and set(volume.values.shape[3:]) == {1}
    return replace(volume, values=volume.values.reshape(volume.values.shape[:3])) if single else volume


def read_grid(path: Path) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    """Return the affine of a volume and its shape from its header, without reading its values.

    Raises:
        InputError: the file cannot be read as NIfTI or .mgz, or its position is not stated.
    """
    try:
        image = nib.load(path)
        if not isinstance(image, nib.Nifti1Pair | nib.MGHImage):
            raise nib.filebasedimages.ImageFileError("another image format")
        affine_mm, code = _placed(path, image)
        shape, unit = tuple(image.shape), _unit(image)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    _demand_position(path, unit, affine_mm, stated=code > 0)
    return affine_mm, shape[:3]


def _read(path: Path, wanted: np.dtype[np.float64] | None) -> StoredVolume:
    """Read a file, converted to a type; None for the type in which it is stored."""
    if not path.exists():
        raise InputError(path, found="no such file", expected="a NIfTI or .mgz file", advice="Check the path.")
    try:
        with path.open("rb"):  # nibabel takes a file that may not be read for one of another format
            pass
        image = nib.load(path)
        _demand_checksum(_data_file(image))
        if not isinstance(image, nib.Nifti1Pair | nib.MGHImage):
            raise nib.filebasedimages.ImageFileError("another image format")
        dtype = image.get_data_dtype()
        _demand_room(image)
        real = dtype.kind in "fiub"
        values = np.asarray(image.dataobj, dtype=wanted) if real else np.empty(0)
        affine_mm, code = _placed(path, image)
        unit = _unit(image)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    if not real:
        raise InputError(
            path,
            found=f"voxels of type {dtype}",
            expected="real numbers",
            advice="Write real and imaginary parts apart.",
        )
    _demand_position(path, unit, affine_mm, stated=code > 0)
    if code in _TEMPLATES:
        _say_once(path, f"coordinates of a template by its header ({_TEMPLATES[code]}), not of the scanner")
    return StoredVolume(values=values, affine_mm=affine_mm, of_template=code in _TEMPLATES)


def _unit(image: nib.spatialimages.SpatialImage) -> str:
    """Return the unit of positions that a file states."""
    return str(image.header.get_xyzt_units()[0]) if isinstance(image, nib.Nifti1Pair) else "mm"


def _unreadable(path: Path, error: Exception) -> Exception:
    """Return the error of a damaged file, or of the machine where that is at fault."""
    refusal = InputError(
        path,
        found="a file that cannot be read to its end as NIfTI or .mgz",
        expected="a complete .nii, .nii.gz, .hdr with .img, or .mgz",
        advice="Copy or write the file again; it may be truncated.",
    )
    return (machine_fault(error, path) if isinstance(error, OSError) else None) or refusal


def _demand_checksum(path: Path) -> None:
    """Raise what gzip raises where a compressed file is damaged: nibabel stops at the last voxel, before the sum.

    Raises:
        InputError: it states or unpacks to more than the limits allow.
    """
    if path.suffix.lower() in _COMPRESSED:
        demand_gzip_fits(path, _stated_bytes)


def _stated_bytes(head: bytes) -> int | None:
    """Return the size that a NIfTI header states; None where it is none."""
    try:
        order = next((one for one in "<>" if struct.unpack_from(one + "i", head)[0] in (348, 540)), None)
        if order is None:
            return None
        if struct.unpack_from(order + "i", head)[0] == 540:
            bits = struct.unpack_from(order + "h", head, 14)[0]
            count, *lengths = struct.unpack_from(order + "8q", head, 16)
        else:
            bits = struct.unpack_from(order + "h", head, 72)[0]
            count, *lengths = struct.unpack_from(order + "8h", head, 40)
    except struct.error:
        return None
    return int(math.prod(max(one, 0) for one in lengths[: max(0, min(count, 7))]) * max(bits, 0) // 8)


def _data_file(image: nib.filebasedimages.FileBasedImage) -> Path:
    """Return the file that holds the voxels, which is the .img file of a pair."""
    return Path(str(image.file_map["image"].filename))


def _demand_room(image: nib.spatialimages.SpatialImage) -> None:
    """Raise ValueError where a damaged header states more voxels than the file can hold, before memory is taken."""
    path = _data_file(image)
    stated = math.prod(image.shape) * image.get_data_dtype().itemsize
    if stated > path.stat().st_size * (_BEST_COMPRESSION if path.suffix.lower() in _COMPRESSED else 1):
        raise ValueError("more voxels than bytes")


def _placed(path: Path, image: nib.spatialimages.SpatialImage) -> tuple[NDArray[np.float64], int]:
    """Return the affine to take, shape (4, 4), and the code of its space; 0 where the file states no affine.

    Raises:
        InputError: two affines claim the same space and differ.
    """
    best = np.asarray(image.affine, dtype=np.float64)
    if isinstance(image, nib.MGHImage):
        # nibabel puts a place of its own there, and the flag with it, where the file says that it has none.
        with nib.openers.ImageOpener(str(_data_file(image))) as stream:
            good_ras = struct.unpack(">h", stream.read(_MGH_FLAG_AT + 2)[_MGH_FLAG_AT:])[0]
        return best, int(good_ras > 0)
    found = {name: getattr(image.header, f"get_{name}")(coded=True) for name in ("sform", "qform")}
    stated = {
        name: (np.asarray(affine, dtype=np.float64), int(code))
        for name, (affine, code) in found.items()
        if code > 0 and affine is not None
    }
    if len(stated) < 2:
        return next(iter(stated.values()), (best, 0))
    (first, first_code), (second, second_code) = stated["sform"], stated["qform"]
    better = "sform" if _rank(first_code) <= _rank(second_code) else "qform"
    code = stated[better][1]
    if same_grid(first, second, image.shape[:3], _SAME_AFFINE_VOXELS):
        return first, code
    apart_mm = corner_distance_mm(first, second, image.shape[:3])
    if _rank(first_code) == _rank(second_code):
        raise InputError(
            path,
            found=f"two affines that differ by up to {apart_mm:.3g} mm and claim the same space "
            f"(sform and qform, both {_space(first_code)})",
            expected="one position of the voxels in the scanner's coordinates",
            advice="Set the right affine as both sform and qform, with code 1 (scanner).",
        )
    _say_once(
        path,
        f"sform ({_space(first_code)}) and qform ({_space(second_code)}) differ by up to "
        f"{apart_mm:.3g} mm; the {better} is taken",
    )
    return stated[better]


def _rank(code: int) -> int:
    """Return 1 for the scanner, 2 for aligned to another image of the patient, 3 for any template."""
    return min(code, 3)


def _space(code: int) -> str:
    return _SPACES.get(code, f"code {code}")


@cache
def _say_once(path: Path, sentence: str) -> None:
    """Log a line about a file, which steps read several times."""
    say(f"{shown(path)}: {sentence}")


def _demand_position(path: Path, unit: str, affine: NDArray[np.float64], *, stated: bool) -> None:
    """Raise InputError where a reader would have to guess the place of the voxels."""
    if not stated:
        raise InputError(
            path,
            found="no statement of where the voxels lie (neither sform nor qform; in .mgz no good RAS)",
            expected="the position of the voxels in world RAS millimetres",
            advice="Write the file with its affine.",
        )
    if unit not in ("mm", "unknown"):
        raise InputError(
            path,
            found=f"voxel positions in {unit}",
            expected="millimetres",
            advice="Convert the affine to mm.",
        )
    if not np.all(np.isfinite(affine)) or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise InputError(
            path,
            found="an affine that is singular or not finite",
            expected="three independent voxel axes",
            advice="Write the file with its true affine.",
        )


def demand_scanner_world(path: Path, volume: Volume | StoredVolume, what: str) -> None:
    """Raise InputError where a file's world is a template's, so that its coordinates place nothing in the patient.

    Args:
        path: file to name in the error.
        volume: content of the file.
        what: name of the kind of file in the error's sentence, such as "mask".
    """
    if volume.of_template:
        raise InputError(
            path,
            found=f"a {what} in the coordinates of a template, by its sform or qform code",
            expected="the coordinates of the patient's own scan",
            advice=f"Carry the {what} to the patient's image; if its coordinates are the scanner's, set the code to 1.",
        )


def demand_box_voxels(path: Path, affine_mm: NDArray[np.float64], what: str) -> None:
    """Raise InputError where voxels are no boxes, which registration, meshes and DICOM cannot hold.

    Args:
        path: file to name in the error.
        affine_mm: voxel indices to world millimetres, shape (4, 4).
        what: name of the kind of file in the error's sentence, such as "anatomy".
    """
    worst = shear_of(affine_mm)
    if worst > _SHEAR:
        raise InputError(
            path,
            found=f"voxel axes that are not orthogonal (cosine {worst:.3f}): slices shifted sideways, as by a tilted "
            "gantry or an affine registration",
            expected="box-shaped voxels",
            advice=f"Resample the {what} to a grid without shear.",
        )


def write_nifti(path: Path, values: NDArray[np.generic], affine_mm: NDArray[np.float64]) -> None:
    """Write an array as it is, in its own type, with its affine as scanner coordinates.

    Args:
        path: file to write or replace, ending .nii.gz.
        values: values to write, shape (i, j, k) or (i, j, k, component).
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
    """
    image = nib.Nifti1Image(values, affine_mm)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine_mm, code="scanner")
    # A quaternion holds no shear: it would be a second position that contradicts the first.
    sheared = shear_of(affine_mm) > _SHEAR
    image.set_qform(None if sheared else affine_mm, code="unknown" if sheared else "scanner")
    nib.save(image, path)


def same_grid(
    first_mm: NDArray[np.float64], second_mm: NDArray[np.float64], shape: tuple[int, ...], tolerance_voxel: float = 0.01
) -> bool:
    """Return whether two affines put all corners of a grid at one place, within a share of the smallest voxel edge."""
    edge = float(np.linalg.norm(first_mm[:3, :3], axis=0).min())
    return corner_distance_mm(first_mm, second_mm, shape) <= tolerance_voxel * edge


def corner_distance_mm(first_mm: NDArray[np.float64], second_mm: NDArray[np.float64], shape: tuple[int, ...]) -> float:
    """Return the largest distance, mm, between the corners of a voxel grid under two affines."""
    top = np.asarray(shape, dtype=np.float64) - 1.0
    corners = np.array([[x, y, z, 1.0] for x in (0.0, top[0]) for y in (0.0, top[1]) for z in (0.0, top[2])])
    return float(np.linalg.norm((corners @ (first_mm - second_mm).T)[:, :3], axis=1).max())


WITHIN_A_VOXEL: Final = np.array(list(product((-1.0, 0.0, 1.0), repeat=3))) / 3.0
"""Points within a voxel, for means over it, in voxels from its centre, shape (27, 3)."""


def voxel_volume_ml(affine_mm: NDArray[np.float64]) -> float:
    """Return the volume of a voxel, millilitres.

    Args:
        affine_mm: voxel indices to world millimetres, shape (4, 4).
    """
    return abs(float(np.linalg.det(affine_mm[:3, :3]))) / 1e3


def voxel_indices(affine_mm: NDArray[np.float64], points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return voxel indices, not rounded, of world points, shape (..., 3)."""
    inverse = np.linalg.inv(affine_mm)
    return np.asarray(points_mm @ inverse[:3, :3].T + inverse[:3, 3])
