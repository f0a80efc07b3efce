"""The JSON sidecar of a wave field: every look-up is checked, every error names the file and the key."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from palpate.errors import InputError
from palpate.imaging.json_object import read_json

METRES_PER_UNIT: Final[Mapping[str, float]] = {
    "nm": 1e-9,
    "um": 1e-6,
    "\N{MICRO SIGN}m": 1e-6,
    "\N{GREEK SMALL LETTER MU}m": 1e-6,
    "mm": 1e-3,
    "m": 1.0,
}


class Sidecar:
    """The content of a sidecar.

    Args:
        path: the JSON file.

    Raises:
        InputError: it is missing, or not a JSON object.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        example = '{"MechanicalFrequency": 50.0, "Units": "um", "Density": 1000.0}'
        self.facts: dict[str, object] = read_json(
            path, what="the sidecar of the wave field", advice=f"Write it, such as {example}."
        )

    def number(
        self, key: str, *, above: float = -math.inf, at_least: float = -math.inf, default: float | None = None
    ) -> float:
        """The finite number under a key, above or at least a bound; the default where the key is absent or null."""
        value = self.facts.get(key)
        if value is None and default is not None:
            return default
        allowed = f"a number above {above:g}" if above > -math.inf else f"a number of at least {at_least:g}"
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(
                self.path,
                found=f"{key}: {value!r}" if key in self.facts else f"no {key}",
                expected=f"{key}: {allowed}",
                advice="Correct the sidecar.",
            )
        try:
            value = float(value)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value) or value <= above or value < at_least:
            raise InputError(
                self.path, found=f"{key}: {value!r}", expected=f"{key}: {allowed}", advice="Correct the sidecar."
            )
        return value

    def flag(self, key: str) -> bool:
        """What is under a key; false where it is absent or null."""
        value = self.facts.get(key)
        if value is not None and not isinstance(value, bool):
            raise InputError(
                self.path, found=f"{key}: {value!r}", expected=f"{key}: true or false", advice="Correct the sidecar."
            )
        return bool(value)

    def metres_per_unit(self) -> float:
        """The length of the unit in which the displacement and its noise are stored."""
        unit = self.facts.get("Units")
        if not isinstance(unit, str) or unit not in METRES_PER_UNIT:
            raise InputError(
                self.path,
                found=f"Units: {unit!r}" if "Units" in self.facts else "no Units",
                expected="Units: one of nm, um, mm, m",
                advice="Say in which unit of length the displacement is stored.",
            )
        return METRES_PER_UNIT[unit]
