"""Displacement as other laboratories publish it: complex arrays without statement of units, axes or mask.

Two layouts are read:

    a folder of <name>_<f>Hz_disp_re.nii.gz and <name>_<f>Hz_disp_im.nii.gz, shape (i, j, k, 3), as in the Brain
    Biomechanics Imaging Repository (micrometres, 1.5 mm), with at most one *_mask.nii.gz;

    a MATLAB file (up to version 7) with a complex variable of shape (i, j, k, 3) or (i, j, k, 3, frequency), as the
    BIOQIC server's simulated phantom (1 mm). Its place is unknown: i, j, k are taken for R, A, S.

The ingest section's `arrays` states what the files do not; nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.arrays import ArraySettings
from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.checks.complex_parts import demand_real_and_imaginary
from palpate.imaging.checks.stated_twice import demand_different_fields
from palpate.imaging.files.finite import demand_finite
from palpate.imaging.files.matlab_file import read_matlab
from palpate.imaging.files.named_within import named_within
from palpate.imaging.files.nifti import StoredVolume, Volume, demand_box_voxels, read_nifti, read_stored, same_grid
from palpate.imaging.limits.plausible import demand_displacement, demand_frequency, demand_measured, demand_tissue
from palpate.imaging.limits.stated import METRES_PER_UNIT
from palpate.imaging.wavefield import ASSUMED_DENSITY_KG_M3, WaveField
from palpate.system_files import matching

_FILE: Final = re.compile(r"(?P<name>.+)_(?P<frequency>[0-9]+(?:\.[0-9]+)?)Hz_disp_(?P<part>re|im)\.nii(?:\.gz)?")


def is_displacement_array(path: Path) -> bool:
    """Return whether the path is a MATLAB file or a folder with at least one *_disp_re or *_disp_im NIfTI."""
    if path.is_dir():
        return bool(matching(path, "*_disp_re.nii*") or matching(path, "*_disp_im.nii*"))
    return path.suffix.lower() == ".mat"


def read_displacement_arrays(path: Path, label: str, settings: IngestSettings) -> tuple[WaveField, ...]:
    """Read wave fields of every frequency, ordered by frequency; their noise is unknown.

    Args:
        path: folder or MATLAB file.
        label: label of the wave fields.
        settings: ingest settings with unit, axes and mask of the arrays, density, and the sign of time.

    Raises:
        InputError: a file is missing, unreadable, of a wrong shape or not finite, or the settings lack a statement that
            it needs.
    """
    with named_within(path):
        return _read_all(path, label, settings)


def _read_all(path: Path, label: str, settings: IngestSettings) -> tuple[WaveField, ...]:
    metres = METRES_PER_UNIT[_needed(path, "units", settings.arrays.units, "Say in which unit displacement is stored.")]
    if path.is_dir():
        arrays, mask, affine_mm = _read_folder(path, settings.arrays)
    else:
        arrays, mask, affine_mm = _read_matlab(path, settings.arrays)
    conjugated = settings.time_step_sign == "negative"
    fields = []
    for frequency_hz, values in sorted(arrays.items()):
        displacement_m = np.asarray(metres * (values.conj() if conjugated else values), dtype=np.complex128)
        inside = np.any(displacement_m != 0, axis=-1) if mask is None else mask
        where = f"{path} at {frequency_hz:g} Hz"
        demand_frequency(where, frequency_hz)
        demand_displacement(where, displacement_m[inside], key=f"arrays.units (read as {settings.arrays.units})")
        demand_tissue(where, inside)
        demand_measured(where, displacement_m[inside], names=("R", "A", "S"))
        fields.append(
            WaveField(
                displacement_m=displacement_m,
                mask=inside,
                affine_mm=affine_mm,
                frequency_hz=frequency_hz,
                noise_std_m=None,
                density_kg_m3=settings.density_kg_m3 or ASSUMED_DENSITY_KG_M3,
                label=label,
                density_assumed=settings.density_kg_m3 is None,
            )
        )
        turn = _turn(affine_mm, settings.arrays)
        demand_real_and_imaginary(where, fields[-1], values @ turn, turn.T)
    demand_different_fields(path, fields, _names(path, [one.frequency_hz for one in fields]))
    return tuple(fields)


def _names(path: Path, frequencies_hz: Sequence[float]) -> list[str] | None:
    """Return the name of one file of each frequency; None where all are in one file."""
    if not path.is_dir():
        return None
    found = [match for one in matching(path, "*_disp_??.nii*") if (match := _FILE.fullmatch(one.name))]
    return [next(one.string for one in found if float(one["frequency"]) == hz) for hz in frequencies_hz]


def _needed[T](path: Path, name: str, value: T | None, advice: str) -> T:
    """Return a setting that must be there."""
    if value is None:
        raise InputError(
            path,
            found="an array that does not say it",
            expected=f"arrays.{name} in the ingest section",
            advice=f"{advice} Set it as arrays: {{{name}: ...}}.",
        )
    return value


type _Arrays = tuple[Mapping[float, NDArray[np.complex128]], NDArray[np.bool_] | None, NDArray[np.float64]]
"""Displacement along R, A, S by frequency; mask, None for all voxels that move; affine."""


def _read_folder(folder: Path, settings: ArraySettings) -> _Arrays:
    """Return the arrays of a folder of NIfTI files, which lie on one grid."""
    _needed(folder, "components", settings.components, "Say along which axes the components lie: world or image.")
    parts: dict[tuple[str, float], dict[str, Volume]] = {}
    reference: Volume | None = None
    for path in matching(folder, "*_disp_??.nii*"):
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise InputError(
                path,
                found="a name without frequency",
                expected="a name like sub_50Hz_disp_re.nii.gz",
                advice="Rename the file.",
            )
        volume = read_nifti(path)
        reference = reference or volume
        demand_box_voxels(path, volume.affine_mm, "wave field")
        _demand_shape(path, volume.values.shape, (*reference.values.shape[:3], 3))
        _demand_grid(path, volume, reference)
        files = parts.setdefault((match["name"], float(match["frequency"])), {})
        if match["part"] in files:
            raise InputError(path, found="the same part twice", expected="each once", advice="Remove one of them.")
        files[match["part"]] = volume
    assert reference is not None
    arrays: dict[float, NDArray[np.complex128]] = {}
    turn = _turn(reference.affine_mm, settings)
    for (name, frequency_hz), files in parts.items():
        if len(files) != 2 or frequency_hz in arrays or frequency_hz <= 0:
            raise InputError(
                folder,
                found=f"{' and '.join(files)} of {name} at {frequency_hz:g} Hz"
                + (", and another array of that frequency" if frequency_hz in arrays else ""),
                expected="one re and one im file for each frequency above 0",
                advice="Complete the pair; give every scan a folder of its own.",
            )
        arrays[frequency_hz] = np.asarray((files["re"].values + 1j * files["im"].values) @ turn.T)
        demand_finite(folder, arrays[frequency_hz])
    return arrays, _mask_of_folder(folder, settings, reference), reference.affine_mm


def _turn(affine_mm: NDArray[np.float64], settings: ArraySettings) -> NDArray[np.float64]:
    """Return the axes along which stored components lie, in R A S, as columns, shape (3, 3); voxels are boxes."""
    if settings.components != "image":
        return np.eye(3)
    return np.asarray(affine_mm[:3, :3] / np.linalg.norm(affine_mm[:3, :3], axis=0))


def _mask_of_folder(folder: Path, settings: ArraySettings, reference: Volume) -> NDArray[np.bool_] | None:
    shape = reference.values.shape[:3]
    if settings.mask != "file":
        return np.ones(shape, dtype=np.bool_) if settings.mask == "all" else None
    masks = matching(folder, "*_mask.nii*")
    if len(masks) != 1:
        raise InputError(
            folder,
            found=f"{len(masks)} files named *_mask.nii.gz",
            expected="one mask, tissue = 1",
            advice="Add it, or set arrays: {mask: nonzero} or {mask: all}.",
        )
    volume = read_stored(masks[0])
    _demand_shape(masks[0], volume.values.shape, shape)
    _demand_grid(masks[0], volume, reference)
    return _as_mask(masks[0], volume.values)


def _read_matlab(path: Path, settings: ArraySettings) -> _Arrays:
    """Return the arrays of a MATLAB file, whose axes become the world's."""
    content = read_matlab(path)
    values = _displacement_variable(path, content, settings.variable)
    frequencies = _needed(path, "frequencies_hz", settings.frequencies_hz, "Say the frequency, or one for each array.")
    edges = _needed(path, "voxel_mm", settings.voxel_mm, "Say the edges of a voxel along i, j, k.")
    stacked = values if values.ndim == 5 else values[..., np.newaxis]
    if stacked.shape[4] != len(frequencies) or len(set(frequencies)) != len(frequencies):
        raise InputError(
            path,
            found=f"{stacked.shape[4]} arrays in the variable",
            expected=f"as many as the {len(frequencies)} different numbers in arrays.frequencies_hz",
            advice="State the frequency of each array, in the order of the last axis.",
        )
    demand_finite(path, stacked)
    arrays = {float(hz): np.ascontiguousarray(stacked[..., n]) for n, hz in enumerate(frequencies)}
    return arrays, _mask_of_matlab(path, content, settings, stacked.shape[:3]), np.diag([*edges, 1.0])


def _displacement_variable(path: Path, content: Mapping[str, object], name: str | None) -> NDArray[np.complex128]:
    """Return the variable of that name, or the only complex one with three components in its fourth dimension."""
    arrays = {
        key: value for key, value in content.items() if isinstance(value, np.ndarray) and not key.startswith("__")
    }
    fitting = [
        key
        for key, value in arrays.items()
        if value.ndim in (4, 5) and value.shape[3] == 3 and np.iscomplexobj(value) and name in (None, key)
    ]
    if len(fitting) != 1:
        shown = ", ".join(f"{key} {value.shape} {value.dtype}" for key, value in arrays.items()) or "no array"
        raise InputError(
            path,
            found=shown,
            expected=f"{name or 'one variable'}, complex, shape (i, j, k, 3) or (i, j, k, 3, frequency)",
            advice="Name the displacement by arrays: {variable: ...}.",
        )
    return np.asarray(arrays[fitting[0]], dtype=np.complex128)


def _mask_of_matlab(
    path: Path, content: Mapping[str, object], settings: ArraySettings, shape: tuple[int, ...]
) -> NDArray[np.bool_] | None:
    if settings.mask != "file":
        return np.ones(shape, dtype=np.bool_) if settings.mask == "all" else None
    values = content.get("mask")
    if not isinstance(values, np.ndarray):
        raise InputError(
            path,
            found="no variable 'mask'",
            expected="tissue = 1 on the array's grid",
            advice="Add it, or set arrays: {mask: nonzero} or {mask: all}.",
        )
    _demand_shape(path, values.shape, shape)
    return _as_mask(path, values)


def _as_mask(path: Path, values: NDArray[np.generic]) -> NDArray[np.bool_]:
    if not np.all(np.isin(values, (0, 1))) or not np.any(values):
        raise InputError(
            path,
            found="a mask that is empty or has values other than 0 and 1",
            expected="tissue = 1, background = 0",
            advice="Threshold the mask before writing it.",
        )
    return np.asarray(values != 0)


def _demand_shape(path: Path, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if shape != expected:
        raise InputError(
            path,
            found=f"an array of shape {shape}",
            expected=f"shape {expected}",
            advice="Put the three components into the fourth dimension; all files must lie on one grid.",
        )


def _demand_grid(path: Path, volume: Volume | StoredVolume, reference: Volume) -> None:
    if not same_grid(volume.affine_mm, reference.affine_mm, volume.values.shape[:3]):
        raise InputError(
            path,
            found="another affine than in the other files",
            expected="one voxel grid",
            advice="Resample it onto that grid.",
        )
