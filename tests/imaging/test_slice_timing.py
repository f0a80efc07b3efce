"""Slices of a free-running actuator: their times tell directions whose offsets run backwards, whatever the wave."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.checks.phase_checks import check_offsets
from palpate.imaging.waves.harmonics import forward_in_time
from palpate.imaging.waves.reconstruct import reconstruct
from palpate.quality_warning import QualityWarning
from tests.imaging.scanner import Scan

TIMES_MS = (0.0, 213.0, 107.0, 319.0, 55.0)
"""Interleaved slices; at 50 Hz they are spread over the period."""


def _acquisition(times_ms: tuple[float, ...] | None = TIMES_MS, **changes: float) -> PhaseAcquisition:
    scan = Scan(shape=(14, 12, 5), offsets=4, slice_time_ms=times_ms, **changes)  # type: ignore[arg-type]
    phase = scan.phase_rad()
    return PhaseAcquisition(
        phase_rad=phase,
        magnitude=np.ones_like(phase),
        affine_mm=np.diag([2.0, 2.0, 4.0, 1.0]),
        frequency_hz=scan.frequency_hz,
        encoding_axes=np.eye(3),
        slice_time_s=np.asarray(TIMES_MS) / 1e3,
        menc_um_per_rad=4.0,
        run=0,
        facts={},
    )


def _checked(acquisition: PhaseAcquisition, **settings: object) -> tuple[QualityWarning, ...]:
    mask = np.ones(acquisition.phase_rad.shape[2:], dtype=bool)
    chosen = IngestSettings.model_validate(settings)
    return check_offsets(reconstruct(acquisition, mask, chosen), mask)[1]


def _backwards(acquisition: PhaseAcquisition, *numbers: int) -> PhaseAcquisition:
    phase = acquisition.phase_rad.copy()
    for number in numbers:
        phase[number] = forward_in_time(phase[number])
    return replace(acquisition, phase_rad=phase)


@pytest.mark.parametrize("noise_rad", [0.0, 0.3])
@pytest.mark.parametrize("number", range(3))
def test_one_direction_backwards_is_refused_by_its_cause(number: int, noise_rad: float) -> None:
    """Its slices turn by phases of their own, so that the best single phase of the component names a wrong shift."""
    with pytest.raises(InputError) as refused:
        _checked(_backwards(_acquisition(noise_rad=noise_rad, seed=number), number))
    assert f"time offsets of encoding direction {number + 1} that run backwards" in refused.value.found
    assert "Export the series again" in refused.value.advice


def test_all_directions_backwards_name_the_setting() -> None:
    """The scanner may count its offsets down; the setting that says so makes them right."""
    faulty = _backwards(_acquisition(), 0, 1, 2)
    (warning,) = _checked(faulty)
    assert warning.code == "sign-of-time"
    assert "time_step_sign to negative" in warning.advice
    assert _checked(faulty, time_step_sign="negative") == ()


@pytest.mark.parametrize("seed", range(3))
def test_sound_offsets_pass(seed: int) -> None:
    """Free-running slices, and slices at one time of the vibration, whatever times their headers state."""
    sound, at_once = _acquisition(seed=seed, noise_rad=0.3), _acquisition(None, seed=seed, noise_rad=0.3)
    for one in (sound, at_once, _backwards(at_once, 0)):
        assert _checked(one) == ()
