"""Entry of one wave field in the importer's record and log, whatever its source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from palpate.config.ingest import IngestSettings
from palpate.imaging.checks.passivity import apparent_modulus_pa
from palpate.imaging.checks.wave_checks import wave_warnings
from palpate.imaging.displacement import oss_snr
from palpate.imaging.files.wavefield_folder import relative_noise
from palpate.imaging.wave_quality import gate, strain_facts
from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.neighbour_noise import measured_noise
from palpate.imaging.waves.signal_voids import with_signal
from palpate.imaging.waves.wave_directions import wave_directions
from palpate.progress import say
from palpate.quality_warning import QualityWarning
from palpate.units import m_to_um


def field_record(
    field: WaveField,
    settings: IngestSettings,
    *,
    encoding_axes: NDArray[np.float64] | None = None,
    warnings: Sequence[QualityWarning] = (),
) -> dict[str, object]:
    """Check a wave field, log its figures and warnings, and return the figures as JSON values.

    Args:
        field: wave field to check; medians are over its mask, the strain's over its voxels with signal.
        settings: ingest settings of the study, with the least strain signal-to-noise and the reaction to less.
        encoding_axes: axes along which the scanner encoded, in R A S, shape (3, 3), where they are known.
        warnings: warnings of earlier steps.

    Raises:
        InputError: the waves are too weak, and the settings refuse such waves.
    """
    travel, modulus = wave_directions(field), apparent_modulus_pa(field)
    sound = with_signal(field)
    noise_m = sound.noise_std_m or measured_noise(sound.displacement_m, sound.mask)
    snr = oss_snr(sound.displacement_m, sound.mask, sound.affine_mm, noise_m, **strain_facts(sound))
    strong = gate(field.label, snr, settings.least_oss_snr, settings.weak_waves)
    found = [*warnings, *wave_warnings(field, encoding_axes=encoding_axes)]
    if not strong:
        found.append(_weak_waves(snr, settings.least_oss_snr))
    relative = relative_noise(field)
    _say(field, relative, found)
    return {
        "frequency_hz": field.frequency_hz,
        "motion_encoding_known": field.motion_encoding_known,
        "mean_displacement_um": float(
            m_to_um(np.linalg.norm(np.abs(field.displacement_m[field.mask]), axis=-1).mean())
        ),
        "noise_std_um": None if field.noise_std_m is None else m_to_um(field.noise_std_m),
        "noise_percent_of_mean_displacement": None if relative is None else 100.0 * relative,
        "oss_snr": snr if np.isfinite(snr) else None,
        "oss_snr_noise": "stated" if field.noise_std_m is not None else "measured between neighbours",
        "least_oss_snr": settings.least_oss_snr,
        "waves_strong_enough": strong,
        "divergence_over_curl": None if travel is None else travel.divergence_share,
        "apparent_loss_tangent": None if modulus is None else modulus.imag / modulus.real,
        "warnings": [one.as_record() for one in found],
    }


def _weak_waves(snr: float, least: float) -> QualityWarning:
    sentence = f"The waves are weak: octahedral-shear-strain SNR {snr:.2g}, and {least:g} is wanted."
    advice = "Scan again with more vibration or more averages; intervals of this scan will be wide."
    return QualityWarning("weak-waves", sentence, advice)


def _say(field: WaveField, relative: float | None, warnings: Sequence[QualityWarning]) -> None:
    """Say in one line what a finished wave field holds, and what a user should look at."""
    noise = "unknown noise" if relative is None else f"noise {100 * relative:.1f} % of mean |u|"
    say(f"{field.label}: {field.frequency_hz:g} Hz, {int(field.mask.sum())} voxels, {noise}")
    if not field.motion_encoding_known:
        say(f"{field.label}: motion encoding unknown; displacement is in arbitrary units, moduli are not affected")
    for one in warnings:
        say(f"{field.label}: {one}")
