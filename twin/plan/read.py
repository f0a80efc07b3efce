"""Inputs of a plan: the file of the limits."""

from __future__ import annotations

from pathlib import Path

from palpate.config.limits import LimitsSettings
from palpate.config.region_choice import split_choice
from palpate.config.section import parse_settings
from palpate.errors import InputError


def read_limits(path: Path) -> LimitsSettings:
    """Return the settings in a file of limits.

    Args:
        path: YAML or JSON file.

    Raises:
        InputError: the file cannot be read, or a key or value in it is none of limits.
    """
    if not path.is_file():
        advice = "Name the YAML file of the limits (docs/plan.md)."
        raise InputError(path, found="no such file", expected="limits of a plan", advice=advice)
    return parse_settings(LimitsSettings, str(path))


def limit_files(limits: LimitsSettings, path: Path) -> dict[str, Path]:
    """Return the files that limits name, by what they are.

    Args:
        limits: limits of the plan.
        path: file of the limits; others are relative to its folder.
    """
    found = {
        f"organ {at}": split_choice(path.parent / str(one.mask or one.contour))[0]
        for at, one in enumerate(limits.organs, start=1)
    }
    return found | ({} if limits.dose is None else {"dose": path.parent / limits.dose.file})
