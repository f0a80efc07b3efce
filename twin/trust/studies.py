"""Calibrations of a study's results folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from palpate.errors import InputError

FILE: Final = "calibration.h5"
"""Name of a calibration's file in its folder."""


def calibration_files(given: Sequence[Path]) -> tuple[Path, ...]:
    """Return the files of calibrations, each once, in order of their paths.

    Args:
        given: results folders with sub-*/twin/calibration, or folders of palpate calibrate.

    Raises:
        InputError: a folder holds no calibration.
    """
    found: list[Path] = []
    for folder in given:
        own = [folder / FILE] if (folder / FILE).is_file() else sorted(folder.glob(f"sub-*/twin/calibration/{FILE}"))
        if not own:
            raise InputError(
                folder,
                found="no calibration" if folder.is_dir() else "no such folder",
                expected="a results folder with sub-*/twin/calibration, or a folder of palpate calibrate",
                advice="Name the results folder of a study whose tumours were calibrated.",
            )
        found += [path.resolve() for path in own]
    return tuple(dict.fromkeys(found))
