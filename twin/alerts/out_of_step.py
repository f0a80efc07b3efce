"""Warnings of a calibration that say that the twin is out of step with its patient."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from palpate.imaging.files.json_object import read_json
from palpate.quality_warning import QualityWarning, recorded_warnings

CALIBRATION_RECORD: Final = "calibration.json"
OUT_OF_STEP: Final = ("scan-not-as-predicted", "clock-shifted", "calibration-not-converged")
"""Codes of these warnings."""


def out_of_step(calibration: Path) -> tuple[QualityWarning, ...]:
    """Return the warnings that say why a twin is out of step with its patient; none where it is not.

    Args:
        calibration: folder of palpate calibrate.

    Raises:
        InputError: the record beside the calibration is missing or cannot be read.
    """
    record = read_json(calibration / CALIBRATION_RECORD, what="the record of palpate calibrate", record="calibration")
    return tuple(one for one in recorded_warnings(record) if one.code in OUT_OF_STEP)


def out_of_step_if_known(calibration: Path) -> tuple[QualityWarning, ...] | None:
    """Return these warnings, or None where no record lies beside the calibration, so that nobody can tell.

    Args:
        calibration: folder of palpate calibrate.

    Raises:
        InputError: the record beside the calibration cannot be read.
    """
    return out_of_step(calibration) if (calibration / CALIBRATION_RECORD).is_file() else None
