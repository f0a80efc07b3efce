"""Wave-field folder: wave fields on disk, read strictly and written in one way.

For each run and frequency, with `<label>` such as `sub-01_ses-01` or `sub-01_ses-01_run-1`:

    <label>_acq-<f>Hz_part-real_wavefield.nii.gz    Re U, float32 (i, j, k, 3), world axes R, A, S
    <label>_acq-<f>Hz_part-imag_wavefield.nii.gz    Im U
    <label>_acq-<f>Hz_wavefield.json                MechanicalFrequency (Hz), Units, Density (kg/m3); optional: NoiseStd
                                                    and LinearPhaseErrorStd (in Units), DensityAssumed,
                                                    MotionEncodingKnown, Directions, SliceThicknessMm,
                                                    AcquiredMatrix [columns, rows], NoiseCorrelation [i, j],
                                                    TimeConvention
    <label>_acq-<f>Hz_desc-noise_map.nii.gz         optional: standard deviation by voxel and direction, in Units
    <label>_mask.nii.gz                             tissue = 1

Time convention: u(t) = Re(U exp(+i omega t)); a field whose sidecar states "exp(-i omega t)" is conjugated here.
Directions are unit vectors in R, A, S along which the components of the last axis lie; three that are not R, A, S are
turned into R, A, S here. A component that was not measured is left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.checks.complex_parts import demand_real_and_imaginary
from palpate.imaging.checks.stated_twice import demand_different_fields
from palpate.imaging.displacement import to_world, world_noise, world_noise_map
from palpate.imaging.files.finite import demand_finite
from palpate.imaging.files.named_within import named_within
from palpate.imaging.files.nifti import StoredVolume, Volume, read_nifti, read_stored, same_grid, write_nifti
from palpate.imaging.files.wavefield_sidecar import Sidecar
from palpate.imaging.limits.plausible import (
    demand_density,
    demand_displacement,
    demand_frequency,
    demand_measured,
    demand_tissue,
)
from palpate.imaging.limits.stated import METRES_PER_UNIT
from palpate.imaging.wavefield import WaveField
from palpate.renamed import record_text
from palpate.system_files import matching

_FIELD_FILE = re.compile(
    r"(?P<label>[A-Za-z0-9][A-Za-z0-9_-]*?)_acq-(?P<frequency>-?[0-9]+(?:\.[0-9]+)?)Hz"
    r"_part-(?P<part>real|imag)_wavefield\.nii(?:\.gz)?"
)
_NAME_RULE = "a name like sub-01_ses-01_acq-50Hz_part-real_wavefield.nii.gz"
_LAYOUT = "a wave-field folder: part-real and part-imag NIfTI, a JSON sidecar per frequency, and a mask"


def frequency_text(frequency_hz: float) -> str:
    """Return the frequency as file names state it: 50.0 -> "50", 62.5 -> "62.5"."""
    return f"{frequency_hz:.6g}"


def is_wave_field_folder(path: Path) -> bool:
    """Return whether the path is a folder with at least one file named as part of a wave field."""
    return path.is_dir() and bool(matching(path, "*_wavefield.*"))


def read_wave_fields(folder: Path | str) -> tuple[WaveField, ...]:
    """Read and check every wave field of a folder, ordered by label, then frequency.

    Args:
        folder: wave-field folder; see the module's docstring.

    Returns:
        One valid WaveField for each run and frequency, in SI units.

    Raises:
        InputError: something is missing, unreadable, inconsistent or physically impossible; the error names the file.
    """
    folder = Path(folder)
    with named_within(folder):
        return _read_all(folder)


def _read_all(folder: Path) -> tuple[WaveField, ...]:
    if not folder.is_dir():
        raise InputError(folder, found="no such folder", expected=_LAYOUT, advice="Check the path.")
    parts = _find_parts(folder)
    if not parts:
        raise InputError(
            folder, found="no *_wavefield.nii.gz", expected=_LAYOUT, advice="Run palpate ingest on the DICOM first."
        )
    fields = [_read_one(folder, label, files) for (label, _), files in sorted(parts.items())]
    seen: set[tuple[str, float]] = set()
    for field in fields:
        key = (field.label, field.frequency_hz)
        if key in seen:
            raise InputError(
                folder,
                found=f"two wave fields of {field.label} at {field.frequency_hz:g} Hz",
                expected="one for each run and frequency",
                advice="Remove one, or give it another run label.",
            )
        seen.add(key)
    demand_different_fields(folder, fields, [files["real"].name for _, files in sorted(parts.items())])
    return tuple(sorted(fields, key=lambda field: (field.label, field.frequency_hz)))


def write_wave_field(folder: Path, field: WaveField, *, sidecar: Mapping[str, object] | None = None) -> None:
    """Write one wave field into a folder, in micrometres and float32.

    The folder must exist. The caller ensures that an interrupted run leaves no partial folder, because a folder may
    hold several fields.

    Args:
        folder: folder to write into; files of the same label and frequency are replaced.
        field: wave field to write.
        sidecar: further facts for the sidecar; its fixed keys cannot be overridden.
    """
    per_metre = 1.0 / METRES_PER_UNIT["um"]
    stem = f"{field.label}_acq-{frequency_text(field.frequency_hz)}Hz"
    for part, values in (("real", field.displacement_m.real), ("imag", field.displacement_m.imag)):
        path = folder / f"{stem}_part-{part}_wavefield.nii.gz"
        write_nifti(path, np.asarray(values * per_metre, dtype=np.float32), field.affine_mm)
    facts: dict[str, object] = {
        **(sidecar or {}),
        "MechanicalFrequency": field.frequency_hz,
        "Units": "um",
        "Density": field.density_kg_m3,
        "TimeConvention": "exp(+i omega t)",
        "MotionEncodingKnown": field.motion_encoding_known,
    }
    if field.density_assumed:
        facts["DensityAssumed"] = True
    if field.noise_std_m is not None:
        facts["NoiseStd"] = field.noise_std_m * per_metre
    if field.linear_phase_error_std_m > 0:
        facts["LinearPhaseErrorStd"] = field.linear_phase_error_std_m * per_metre
    if field.slice_thickness_mm is not None:
        facts["SliceThicknessMm"] = field.slice_thickness_mm
    if field.acquired_matrix is not None:
        facts["AcquiredMatrix"] = list(field.acquired_matrix)
    if field.noise_correlation is not None:
        facts["NoiseCorrelation"] = list(field.noise_correlation)
    if field.directions is not None:
        facts["Directions"] = field.directions.tolist()
    if field.noise_map_m is not None:
        noise = np.asarray(field.noise_map_m * per_metre, dtype=np.float32)
        write_nifti(folder / f"{stem}_desc-noise_map.nii.gz", noise, field.affine_mm)
    (folder / f"{stem}_wavefield.json").write_text(record_text("wave field", facts), encoding="utf-8")
    write_nifti(folder / f"{field.label}_mask.nii.gz", field.mask.astype(np.uint8), field.affine_mm)


def _find_parts(folder: Path) -> dict[tuple[str, str], dict[str, Path]]:
    """Return the field files, by (label, frequency text), then by part."""
    parts: dict[tuple[str, str], dict[str, Path]] = {}
    for path in matching(folder, "*_wavefield.nii*"):
        match = _FIELD_FILE.fullmatch(path.name)
        if match is None:
            raise InputError(path, found="an unexpected file name", expected=_NAME_RULE, advice="Rename the file.")
        files = parts.setdefault((match["label"], match["frequency"]), {})
        if match["part"] in files:
            raise InputError(
                path, found="the same part twice", expected="either .nii or .nii.gz", advice="Remove one of them."
            )
        files[match["part"]] = path
    return parts


def _read_one(folder: Path, label: str, files: Mapping[str, Path]) -> WaveField:
    """Read the field of one label and frequency from its two parts, its sidecar and its mask."""
    present = next(iter(files.values()))
    for part in ("real", "imag"):
        if part not in files:
            raise InputError(
                present,
                found=f"no part-{part} partner",
                expected="both part-real and part-imag",
                advice="Add the missing file.",
            )
    real = _read_part(files["real"])
    imag = _read_part(files["imag"])
    _demand_same_grid(files["imag"], imag, files["real"], real)
    if imag.values.shape != real.values.shape:
        raise InputError(
            files["imag"],
            found=f"{imag.values.shape[3]} components",
            expected=f"{real.values.shape[3]} as in {files['real'].name}",
            advice="Write both parts of every component.",
        )
    sidecar_path = folder / f"{present.name.partition('_part-')[0]}_wavefield.json"
    sidecar = Sidecar(sidecar_path)
    frequency_hz = sidecar.number("MechanicalFrequency", above=0.0)
    demand_frequency(sidecar_path, frequency_hz, key="MechanicalFrequency")
    _demand_named_frequency(present, sidecar_path, frequency_hz)
    density_kg_m3 = sidecar.number("Density", above=0.0)
    demand_density(sidecar_path, density_kg_m3, key="Density")
    metres = sidecar.metres_per_unit()
    directions = sidecar.directions(real.values.shape[3])
    mask_path = _mask_path(folder, label)
    mask = _read_mask(mask_path)
    _demand_same_grid(mask_path, mask, files["real"], real)
    inside = np.asarray(mask.values != 0)
    demand_tissue(mask_path, inside)
    second = -imag.values if sidecar.conjugated() else imag.values
    encoded = np.asarray((real.values + 1j * second) * metres, dtype=np.complex128)
    if not np.any(encoded[inside]):
        raise InputError(
            files["real"],
            found="no displacement anywhere inside the mask",
            expected="a vibrating tissue",
            advice="Check the export of the wave field.",
        )
    named = "Directions" in sidecar.facts
    demand_measured(files["real"], encoded[inside], names=tuple("123" if named else "RAS")[: len(directions)])
    calibrated = sidecar.flag("MotionEncodingKnown", default=True)
    if calibrated:
        demand_displacement(files["real"], encoded[inside], key=f"Units in {sidecar_path.name}")
    noise = _noise_by_voxel(folder, present.name.partition("_part-")[0], directions, inside, real.affine_mm)
    noise_std = _stated_noise(sidecar, noise, directions, inside)
    error_std = sidecar.number("LinearPhaseErrorStd", at_least=0.0, default=0.0)
    thickness_mm = sidecar.number("SliceThicknessMm", above=0.0, default=math.nan)
    field = WaveField(
        displacement_m=encoded
        if len(directions) < 3 or np.array_equal(directions, np.eye(3))
        else to_world(np.moveaxis(encoded, -1, 0), directions),
        mask=inside,
        affine_mm=real.affine_mm,
        frequency_hz=frequency_hz,
        # A stated zero says that the field is noise free or that nobody knew; neither is a measured noise level.
        noise_std_m=noise_std * metres if noise_std > 0 else None,
        density_kg_m3=density_kg_m3,
        label=label,
        linear_phase_error_std_m=_noise_along_world(error_std * metres, directions),
        density_assumed=sidecar.flag("DensityAssumed"),
        motion_encoding_known=calibrated,
        slice_thickness_mm=None if math.isnan(thickness_mm) else thickness_mm,
        acquired_matrix=sidecar.acquired_matrix(),
        directions=directions if len(directions) < 3 else None,
        noise_map_m=None if noise is None else np.asarray(noise * metres),
        noise_correlation=sidecar.noise_correlation(),
    )
    demand_real_and_imaginary(files["real"], field, real.values + 1j * imag.values, directions)
    return field


def _noise_by_voxel(
    folder: Path,
    stem: str,
    directions: NDArray[np.float64],
    inside: NDArray[np.bool_],
    affine_mm: NDArray[np.float64],
) -> NDArray[np.float64] | None:
    """Return the map of noise by voxel and component, in the folder's unit, shape (i, j, k, n); None without a map."""
    values = _read_noise_map(folder, stem, directions, inside, affine_mm)
    return values if values is None or len(directions) < 3 else world_noise_map(values, directions)


def _read_noise_map(
    folder: Path,
    stem: str,
    directions: NDArray[np.float64],
    inside: NDArray[np.bool_],
    affine_mm: NDArray[np.float64],
) -> NDArray[np.float64] | None:
    """Noise by voxel and direction in the folder's unit, shape (i, j, k, n); None where there is no map.

    Raises:
        InputError: two maps, another grid, or values in the mask that are no standard deviation.
    """
    paths = [path for end in (".nii.gz", ".nii") if (path := folder / f"{stem}_desc-noise_map{end}").exists()]
    if not paths:
        return None
    if len(paths) > 1:
        raise InputError(
            paths[1], found="the same map twice", expected="either .nii or .nii.gz", advice="Remove one of them."
        )
    volume = read_nifti(paths[0])
    found = _fault_of_noise_map(volume, (*inside.shape, len(directions)), inside, affine_mm)
    if found is not None:
        raise InputError(
            paths[0],
            found=found,
            expected=f"the standard deviation by voxel and direction, shape {(*inside.shape, len(directions))}, on the "
            "grid of the wave field: finite, not below 0, and above 0 somewhere in every direction",
            advice="Write the map anew on the grid of the wave field, or remove it.",
        )
    return volume.values


def _fault_of_noise_map(
    volume: Volume, shape: tuple[int, ...], inside: NDArray[np.bool_], affine_mm: NDArray[np.float64]
) -> str | None:
    """Return what is wrong with a noise map; None where nothing is."""
    if volume.values.shape != shape:
        return f"an array of shape {volume.values.shape}"
    if not same_grid(volume.affine_mm, affine_mm, inside.shape):
        return "another affine"
    known = volume.values[inside]
    bad = int(np.count_nonzero(~np.isfinite(known)))
    if bad:
        return f"{bad} values in the mask that are not finite (NaN or infinite)"
    if known.min() < 0.0:
        return "noise below 0 in the mask"
    silent = np.flatnonzero(~known.any(axis=0))
    return f"no noise anywhere in the mask along direction {silent[0] + 1}" if silent.size else None


def _stated_noise(
    sidecar: Sidecar,
    by_voxel: NDArray[np.float64] | None,
    directions: NDArray[np.float64],
    inside: NDArray[np.bool_],
) -> float:
    """Return the noise of a component along R, A, S, in the folder's unit: the sidecar's, or else the map's."""
    stated = sidecar.number("NoiseStd", at_least=0.0, default=0.0)
    if stated > 0.0 or by_voxel is None:
        return _noise_along_world(stated, directions)
    return float(np.sqrt(np.mean(by_voxel[inside] ** 2)))


def _noise_along_world(std: float, directions: NDArray[np.float64]) -> float:
    """Noise of a component along R, A, S from that along three directions."""
    if len(directions) < 3 or np.array_equal(directions, np.eye(3)):
        return std
    return world_noise(np.full(len(directions), std), directions)


def _read_part(path: Path) -> Volume:
    """Read Re U or Im U, shape (i, j, k, n) with n from 1 to 3, and refuse what is not finite."""
    volume = read_nifti(path)
    if volume.values.ndim != 4 or not 1 <= volume.values.shape[3] <= 3:
        raise InputError(
            path,
            found=f"an array of shape {volume.values.shape}",
            expected="shape (i, j, k, 3), the components along R, A, S (or as many as Directions lists)",
            advice="Put the components into the fourth dimension.",
        )
    demand_finite(path, volume.values)
    return volume


def _mask_path(folder: Path, label: str) -> Path:
    """Return the mask of a label: the one of that name, or the only mask of the folder."""
    for suffix in (".nii.gz", ".nii"):
        own = folder / f"{label}_mask{suffix}"
        if own.exists():
            return own
    masks = matching(folder, "*_mask.nii*")
    if len(masks) == 1:
        return masks[0]
    raise InputError(
        folder,
        found=f"{len(masks)} masks, none named {label}_mask.nii.gz",
        expected="the mask of the wave field",
        advice="Add it: tissue = 1, background = 0, on the grid of the wave field.",
    )


def _read_mask(path: Path) -> StoredVolume:
    """Read a mask, shape (i, j, k), with only zeros and ones."""
    volume = read_stored(path)
    if volume.values.ndim != 3:
        raise InputError(
            path,
            found=f"an array of shape {volume.values.shape}",
            expected="shape (i, j, k)",
            advice="Write one mask for all components.",
        )
    if any(np.any((one != 0) & (one != 1)) for one in volume.slabs()):
        raise InputError(
            path,
            found="values other than 0 and 1",
            expected="tissue = 1, background = 0",
            advice="Threshold the mask before writing it.",
        )
    return volume


def _demand_same_grid(path: Path, volume: Volume | StoredVolume, reference_path: Path, reference: Volume) -> None:
    """Raise InputError unless both volumes lie on one voxel grid."""
    if volume.values.shape[:3] != reference.values.shape[:3]:
        raise InputError(
            path,
            found=f"a grid of {volume.values.shape[:3]} voxels",
            expected=f"the grid {reference.values.shape[:3]} of {reference_path.name}",
            advice="Resample it onto the wave field's grid.",
        )
    if not same_grid(volume.affine_mm, reference.affine_mm, volume.values.shape[:3]):
        raise InputError(
            path,
            found="another affine",
            expected=f"the voxel positions of {reference_path.name}",
            advice="Resample it onto the wave field's grid.",
        )


def _demand_named_frequency(path: Path, sidecar_path: Path, frequency_hz: float) -> None:
    """Raise InputError unless the sidecar's frequency is the one in the file name."""
    match = _FIELD_FILE.fullmatch(path.name)
    named_hz = float(match["frequency"]) if match else math.nan
    if not math.isclose(named_hz, frequency_hz, rel_tol=1e-4):
        raise InputError(
            sidecar_path,
            found=f"MechanicalFrequency {frequency_hz:g} Hz",
            expected=f"{named_hz:g} Hz as in the name of {path.name}",
            advice="Correct whichever is wrong.",
        )


def relative_noise(field: WaveField) -> float | None:
    """Return sigma / mean |u| in the mask, |u| being the complex vector's length; None where sigma is unknown."""
    if field.noise_std_m is None:
        return None
    length: NDArray[np.float64] = np.linalg.norm(np.abs(field.displacement_m[field.mask]), axis=-1)
    return float(field.noise_std_m / length.mean())
