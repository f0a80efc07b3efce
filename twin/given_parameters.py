"""Named parameters of the growth model from a file, in the units that their names end in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.section import parse_object
from palpate.config.text_file import read_text_file
from palpate.errors import InputError
from palpate.twin.priors import ALPHA, DIFFUSIVITY, KILL, OFFSET, PROLIFERATION, Unknown, Unknowns
from palpate.units import mm2_day_to_m2_s, per_day_to_per_s

type Values = NDArray[np.float64]

_NAMES: Final[Mapping[str, tuple[str, float]]] = {
    PROLIFERATION: ("k_1_day", per_day_to_per_s(1.0)),
    DIFFUSIVITY: ("d_mm2_day", mm2_day_to_m2_s(1.0)),
    ALPHA: ("alpha_1_gy", 1.0),
    OFFSET: ("outline_offset_mm", 1.0),
}
"""Names in a file and units in SI by the names of the unknowns; the others have no unit and keep their names."""
_EXAMPLE: Final = "Write YAML such as k_1_day: 0.05, one line for each parameter, or the same as JSON."


def file_name(unknown: str) -> str:
    """Return the name of an unknown in a file.

    Args:
        unknown: name of the unknown, as palpate.twin.priors has it.
    """
    if unknown.startswith(KILL):
        return f"kill_{unknown.removeprefix(KILL)}_1_g"
    return _NAMES.get(unknown, (unknown, 1.0))[0]


def read_parameters(path: Path) -> dict[str, float]:
    """Return the numbers of a file by their names.

    Args:
        path: JSON or YAML file.

    Raises:
        InputError: the file cannot be read, holds no parameter, or a value is not a finite number.
    """
    content = parse_object(read_text_file(path, expected="named parameters", advice=_EXAMPLE), str(path))
    if not content:
        raise InputError(path, found="no parameter", expected="at least one", advice=_EXAMPLE)
    return {name: _number(path, name, value) for name, value in content.items()}


def standardised(given: Mapping[str, float], unknown: Unknowns, where: Path) -> Values:
    """Return xi with the given numbers, every other entry at its prior median, shape (p,).

    Args:
        given: numbers by their names in a file.
        unknown: layout of xi.
        where: file of the numbers, named in errors.

    Raises:
        InputError: a name is of no parameter of this tumour, or a number lies outside its range.
    """
    at = {file_name(one.name): (number, one) for number, one in enumerate(unknown.single)}
    xi = np.zeros(unknown.size)
    for name, value in given.items():
        if name not in at:
            raise InputError(
                where,
                found=f"the parameter {name!r}",
                expected=f"some of {', '.join(at)}",
                advice="Correct the name; a treatment that this tumour is not given has no parameter.",
            )
        number, one = at[name]
        xi[number] = (_transformed(one, value, name, where) - one.mean) / one.std
    return xi


def _transformed(one: Unknown, value: float, name: str, where: Path) -> float:
    """Return the number on the scale on which its prior is normal."""
    if one.scale == "mm":
        return value
    if value <= 0.0 or (one.scale == "logit" and value >= 1.0):
        expected = "a number between 0 and 1" if one.scale == "logit" else "a number above 0"
        raise InputError(
            where, found=f"{name} of {value:g}", expected=expected, advice="Correct the number or its unit."
        )
    if one.scale == "logit":
        return float(np.log(value / (1.0 - value)))
    return float(np.log(value * _NAMES.get(one.name, ("", 1.0))[1]))


def _number(path: Path, name: str, value: Any) -> float:  # noqa: ANN401 (whatever a file holds)
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        found = f"{name} of {str(value)[:40]!r}"
        raise InputError(path, found=found, expected="a finite number", advice=_EXAMPLE)
    return float(value)
