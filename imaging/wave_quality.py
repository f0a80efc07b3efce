"""Quality of a wave field: maps by voxel, one picture, and the check that waves are strong enough.

Beside each wave field that `palpate ingest` writes, `<stem>` being label and frequency:

    <stem>_desc-noise_map.nii.gz     sigma of real and imaginary part of each component, um, (i, j, k, n), where known
    <stem>_desc-osssnr_map.nii.gz    signal-to-noise of the octahedral shear strain
    <stem>_quality.png               amplitude, both maps, harmonics, wraps, directions in which the waves travel

Sigma of a voxel rests on three numbers where there are eight offsets, so it scatters by 40 %; the inversion uses the
root mean square over the mask from the sidecar.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypedDict

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.displacement import oss_snr_map, strain_shows, world_noise_map
from palpate.imaging.files.maps import write_map
from palpate.imaging.files.nifti import write_nifti
from palpate.imaging.files.wavefield_folder import frequency_text
from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.harmonics import harmonics
from palpate.imaging.waves.neighbour_noise import measured_noise
from palpate.imaging.waves.reconstruct import Reconstruction
from palpate.imaging.waves.wave_directions import wave_directions
from palpate.units import m_to_um, um_to_m


def write_wave_quality(
    folder: Path,
    field: WaveField,
    noise_m: NDArray[np.float64] | None = None,
    reconstruction: Reconstruction | None = None,
) -> None:
    """Write the maps and the picture of one wave field.

    The caller ensures that an interrupted run leaves no partial result.

    Args:
        folder: wave-field folder.
        field: wave field to describe.
        noise_m: standard deviation sigma of each component, metres, NaN outside the mask, shape (i, j, k, n); None
            where it was not measured.
        reconstruction: reconstruction at the field's frequency; None where the wave field came without phase images.
    """
    stem = f"{field.label}_acq-{frequency_text(field.frequency_hz)}Hz"
    noise_um = None if noise_m is None else m_to_um(noise_m)
    snr = strain_snr(field)
    if noise_um is not None:
        write_nifti(folder / f"{stem}_desc-noise_map.nii.gz", noise_um.astype(np.float32), field.affine_mm)
    if snr is not None:
        words = "signal-to-noise of the octahedral shear strain"
        path = folder / f"{stem}_desc-osssnr_map.nii.gz"
        write_map(path, snr, field.affine_mm, units="1", description=words)
    _write_picture(folder / f"{stem}_quality.png", reconstruction, field, noise_um, snr)


def noise_map_um(reconstruction: Reconstruction, mask: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """Return sigma along each encoding axis in each voxel, micrometres, shape (i, j, k, direction).

    It is NaN outside the mask; None if not measured.
    """
    measured = [one.noise.voxel_std_rad for one in reconstruction.directions if one.noise is not None]
    if len(measured) < len(reconstruction.directions):
        return None
    return np.where(mask[..., None], np.stack(measured, axis=-1) * reconstruction.menc_um_per_rad, np.nan)


def noise_map_m(reconstruction: Reconstruction, mask: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """Return sigma of each component in each voxel, metres, NaN outside, shape (i, j, k, n); None if not measured."""
    encoded_um = noise_map_um(reconstruction, mask)
    if encoded_um is None:
        return None
    return np.asarray(um_to_m(world_noise_map(encoded_um, reconstruction.acquisition.encoding_axes)))


def strain_snr(field: WaveField) -> NDArray[np.float64] | None:
    """Return the signal-to-noise of the octahedral strain, NaN outside the mask; None without noise or when too thin.

    Where the noise is not stated, it is estimated from differences between neighbouring voxels.
    """
    noise_m = field.noise_std_m or measured_noise(field.displacement_m, field.mask)
    if noise_m <= 0.0 or not strain_shows(field.mask.shape, field.directions):
        return None
    snr = oss_snr_map(field.displacement_m, field.mask, field.affine_mm, noise_m, **strain_facts(field))
    return np.where(field.mask, snr, np.nan)


class StrainFacts(TypedDict):
    """Facts of a wave field on which the strain of its noise depends."""

    directions: NDArray[np.float64] | None
    correlation: tuple[float, float] | None


def strain_facts(field: WaveField) -> StrainFacts:
    """Return the arguments of oss_snr and oss_snr_map beyond displacement and noise."""
    return {"directions": field.directions, "correlation": field.noise_correlation}


def gate(label: str, snr: float, least: float, choice: Literal["warn", "refuse"]) -> bool:
    """Return whether waves are strong enough to be inverted.

    Args:
        label: label of the wave field, for the error.
        snr: median signal-to-noise of the octahedral strain; NaN where it could not be measured, which passes.
        least: least signal-to-noise wanted.
        choice: reaction to a smaller one: a warning, or an error.

    Raises:
        InputError: the waves are too weak, and the choice is to refuse.
    """
    passed = not snr < least
    if not passed and choice == "refuse":
        raise InputError(
            label,
            found=f"waves with an octahedral-shear-strain SNR of {snr:.2g}",
            expected=f"at least least_oss_snr = {least:g}",
            advice="Scan again with more vibration or more averages, or set weak_waves to warn.",
        )
    return passed


def _write_picture(
    path: Path,
    reconstruction: Reconstruction | None,
    field: WaveField,
    noise_um: NDArray[np.float64] | None,
    snr: NDArray[np.float64] | None,
) -> None:
    figure = Figure(figsize=(11.0, 6.6), layout="constrained")
    (amplitude, noise, strain), (bars, wraps, travel) = figure.subplots(2, 3)
    k = int(field.mask.sum(axis=(0, 1)).argmax())
    unit = "um" if field.motion_encoding_known else "a.u."
    length = np.where(field.mask, m_to_um(np.linalg.norm(np.abs(field.displacement_m), axis=-1)), np.nan)
    edges_mm = field.voxel_size_mm
    for axes in (amplitude, noise, strain):
        axes.set_aspect(float(edges_mm[1] / edges_mm[0]))
    _show(amplitude, length[..., k], f"amplitude |U|, {unit}", "viridis")
    worst = None if noise_um is None else noise_um.max(axis=-1)[..., k]
    _show(noise, worst, f"noise, worst direction, {unit}", "magma")
    _show(strain, None if snr is None else snr[..., k], "strain SNR", "cividis", top_percent=95.0)
    if reconstruction is None:
        _show(bars, None, "harmonics", "viridis")
        _show(wraps, None, "wraps", "viridis")
    else:
        _show_phases(bars, wraps, reconstruction, field.mask)
    _show_travel(travel, field)
    figure.savefig(path, dpi=90, metadata={"Software": None})


def _show_phases(bars: Axes, wraps: Axes, reconstruction: Reconstruction, mask: NDArray[np.bool_]) -> None:
    """Draw harmonics and wraps of the phase along each encoding direction."""
    phases = [one.unwrapped.phase_rad[:, mask] for one in reconstruction.directions]
    heights = np.array([np.median(np.abs(harmonics(one)[1:]), axis=1) for one in phases])
    for number, row in enumerate(heights):
        bars.bar(np.arange(1, row.size + 1) + 0.25 * (number - 1), row, 0.25, label=f"encoding {number + 1}")
    bars.set(yscale="log", xlabel="harmonic", ylabel="median amplitude, rad", xticks=range(1, heights.shape[1] + 1))
    bars.legend(frameon=False, fontsize=8)
    shares = [(one.unwrapped.wrapped_share, one.unwrapped.repaired_share) for one in reconstruction.directions]
    _paired_bars(wraps, 100.0 * np.array(shares))


def _show(
    axes: Axes, values: NDArray[np.float64] | None, title: str, colours: str, *, top_percent: float = 99.0
) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()
    if values is None or not np.isfinite(values).any():
        axes.text(0.5, 0.5, "not measured", ha="center", va="center")
        return
    top = float(np.nanpercentile(values, top_percent))
    image = axes.imshow(
        values.T, cmap=mpl.colormaps[colours], vmin=0.0, vmax=top, interpolation="nearest", aspect=axes.get_aspect()
    )
    assert axes.figure is not None
    axes.figure.colorbar(image, ax=axes, shrink=0.8)


def _paired_bars(axes: Axes, percent: NDArray[np.float64]) -> None:
    """Draw wraps and repaired voxels of each direction, shape (direction, 2)."""
    for column, words in enumerate(("neighbours across a wrap", "voxels unwrapped anew")):
        axes.bar(np.arange(len(percent)) + 0.35 * (column - 0.5), percent[:, column], 0.35, label=words)
    axes.set(xticks=range(len(percent)), xticklabels=[f"encoding {n + 1}" for n in range(len(percent))], ylabel="%")
    axes.legend(frameon=False, fontsize=8)


def _show_travel(axes: Axes, field: WaveField) -> None:
    travel = wave_directions(field)
    axes.set_title("where the waves travel, share of flux", fontsize=10)
    if travel is None:
        axes.set_axis_off()
        return
    shares = travel.towards()
    axes.bar(list(shares), [100.0 * share for share in shares.values()], color="#0b6e6e")
    axes.set_ylabel("%")
    share = travel.divergence_share
    divergence = "divergence not measured" if share is None else f"divergence over curl {share:.2f}"
    axes.set_xlabel(f"directionality {travel.directionality:.2f}, {divergence}")
