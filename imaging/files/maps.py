"""Maps of one number per voxel (stiffness, its spread, a mask) as NIfTI files with a JSON sidecar."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import palpate
from palpate.errors import InputError
from palpate.imaging.files.json_object import read_json
from palpate.imaging.files.nifti import read_nifti, write_nifti
from palpate.provenance import atomic_file

NIFTI_ENDING = ".nii.gz"
"""Ending of the maps that are written."""


@dataclass(frozen=True, slots=True)
class Map:
    """Map of one number per voxel, with its unit and its place in the world.

    Attributes:
        values: values in `units`, shape (i, j, k), float32; NaN where the map holds no value (outside its mask).
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4); may be oblique and anisotropic.
        units: unit of the values, such as "kPa", or "1" for a mask or a ratio.
        description: meaning of the values, in words.
        source_digest: digest of the data the map was computed from; None where it was not stated.
    """

    values: NDArray[np.float32]
    affine_mm: NDArray[np.float64]
    units: str
    description: str
    source_digest: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is not a map.

        Raises:
            ValueError: if the values are not a volume, or the affine is not invertible or not (4, 4).
        """
        if self.values.ndim != 3:
            raise ValueError(f"values: shape (i, j, k) expected, got {self.values.shape}")
        if self.affine_mm.shape != (4, 4) or not np.all(np.isfinite(self.affine_mm)):
            raise ValueError(f"affine_mm: finite, shape (4, 4) expected, got {self.affine_mm.shape}")
        if np.linalg.det(self.affine_mm[:3, :3]) == 0.0:
            raise ValueError("affine_mm: the three voxel edges must span a volume")
        if not self.units:
            raise ValueError("units: a unit is needed ('1' for a ratio)")

    @property
    def covered(self) -> NDArray[np.bool_]:
        """Voxels for which the map holds a value, shape (i, j, k)."""
        return np.isfinite(self.values)


def sidecar_path(path: Path) -> Path:
    """Return the path of the JSON file that describes the NIfTI file `path`: its stem with the ending `.json`."""
    return path.with_name(path.name.removesuffix(NIFTI_ENDING) + ".json")


def write_map(
    path: Path,
    values: ArrayLike,
    affine_mm: ArrayLike,
    *,
    units: str,
    description: str,
    source_digest: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write a map and its sidecar.

    An interrupted run leaves no partial file. Equal input gives equal bytes.

    Args:
        path: file to write, ending `.nii.gz`; the sidecar gets the same stem.
        values: values in `units`, shape (i, j, k), stored as float32; NaN outside the mask.
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
        units: unit of the values, such as "kPa".
        description: meaning of the values, in words.
        source_digest: digest of the data the map was computed from.
        details: further entries of the sidecar.

    Raises:
        ValueError: the arguments do not make a map (see Map) or the path has another ending.
    """
    the_map = Map(
        values=np.asarray(values, dtype=np.float32),
        affine_mm=np.asarray(affine_mm, dtype=np.float64),
        units=units,
        description=description,
        source_digest=source_digest,
    )
    _write(path, the_map.values, the_map, details or {})


def write_mask(
    path: Path, mask: ArrayLike, affine_mm: ArrayLike, *, description: str, source_digest: str | None = None
) -> None:
    """Write a mask as 0 and 1 (uint8) with a sidecar of units "1".

    Args:
        path: file to write, ending `.nii.gz`; the sidecar gets the same stem.
        mask: mask to write, shape (i, j, k), bool.
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
        description: meaning of a voxel inside the mask.
        source_digest: digest of the data the mask was computed from.

    Raises:
        ValueError: the arguments do not make a map (see Map) or the path has another ending.
    """
    inside = np.asarray(mask, dtype=bool)
    the_map = Map(
        values=inside.astype(np.float32),
        affine_mm=np.asarray(affine_mm, dtype=np.float64),
        units="1",
        description=description,
        source_digest=source_digest,
    )
    _write(path, inside.astype(np.uint8), the_map, {})


def read_map(path: Path, *, units: str | None = None) -> Map:
    """Read a map and, where there is one, its sidecar.

    Args:
        path: NIfTI file with one value per voxel.
        units: unit that the caller expects; None for any. A file without a sidecar is taken to be in it.

    Raises:
        InputError: the file or its sidecar cannot be read, is not a volume, or has another unit.
    """
    volume = read_nifti(path)
    described = sidecar_path(path)
    sidecar = read_json(described, advice="Write the map again.") if described.exists() else {}
    found_units = sidecar.get("Units", units or "1")
    if units is not None and found_units != units:
        raise InputError(
            sidecar_path(path),
            found=f"Units {found_units!r}",
            expected=f"Units {units!r}",
            advice="Convert the values, or name the right file.",
        )
    if volume.values.ndim != 3:
        raise InputError(
            path,
            found=f"an array of shape {volume.values.shape}",
            expected="one number per voxel, shape (i, j, k)",
            advice="Name the file of a map.",
        )
    return Map(
        values=np.asarray(volume.values, dtype=np.float32),
        affine_mm=volume.affine_mm,
        units=str(found_units),
        description=str(sidecar.get("Description", "")),
        source_digest=sidecar.get("SourceDigest"),
    )


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Read a mask: True where the file's value is above one half.

    Raises:
        InputError: the file or its sidecar cannot be read, is not a volume, or has another unit.
    """
    return np.asarray(read_map(path).values > 0.5)


def _write(path: Path, stored: NDArray[np.generic], the_map: Map, details: Mapping[str, Any]) -> None:
    """Put the NIfTI file and its sidecar in place, each in one step."""
    if not path.name.endswith(NIFTI_ENDING):
        raise ValueError(f"path: a name ending {NIFTI_ENDING} expected, got {path.name}")
    sidecar = {
        "Units": the_map.units,
        "Description": the_map.description,
        **details,
        "SourceDigest": the_map.source_digest,
        "Versions": {"palpate": palpate.__version__, "numpy": np.__version__},
    }
    # Left in reverse order: the sidecar takes its name first, so a map that is there always has its unit beside it.
    with atomic_file(path) as partial, atomic_file(sidecar_path(path)) as partial_sidecar:
        partial_sidecar.write_text(json.dumps(sidecar, indent=2) + "\n", encoding="utf-8")
        write_nifti(partial, stored, the_map.affine_mm)
