"""JSON sidecar of a wave field: every look-up is checked, every error names the file and the key."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.files.json_object import read_json
from palpate.imaging.limits.plausible import demand_directions
from palpate.imaging.limits.stated import METRES_PER_UNIT, numbers_in, unit_vectors
from palpate.renamed import old_keys, with_current_keys

_KNOWN: Final = (
    "MechanicalFrequency",
    "Units",
    "Density",
    "DensityAssumed",
    "MotionEncodingKnown",
    "NoiseStd",
    "LinearPhaseErrorStd",
    "Directions",
    "SliceThicknessMm",
    "AcquiredMatrix",
    "NoiseCorrelation",
    "TimeConvention",
)
_TIME: Final = re.compile(r"exp\(([+-]?)(?:[ij]\*?(?:omega|w|\u03c9)\*?t|(?:omega|w|\u03c9)\*?t\*?[ij])\)")
_SPACE: Final = 3


class Sidecar:
    """Content of a sidecar.

    Args:
        path: JSON file.

    Raises:
        InputError: the file is missing, or not a JSON object.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        example = '{"MechanicalFrequency": 50.0, "Units": "um", "Density": 1000.0}'
        self.facts: dict[str, object] = read_json(
            path, what="the sidecar of the wave field", advice=f"Write it, such as {example}."
        )
        self._demand_spelling()
        self.facts = self._under_current_keys()

    def number(
        self, key: str, *, above: float = -math.inf, at_least: float = -math.inf, default: float | None = None
    ) -> float:
        """Return the finite number under a key, within its bounds; the default where the key is absent or null."""
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

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Return true or false under a key; the default where the key is absent or null."""
        value = self.facts.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise InputError(
                self.path, found=f"{key}: {value!r}", expected=f"{key}: true or false", advice="Correct the sidecar."
            )
        return value

    def directions(self, components: int) -> NDArray[np.float64]:
        """Return unit vectors in R A S along which the components lie, shape (n, 3); R, A, S where nothing is stated.

        Args:
            components: number n of the displacement's components.

        Raises:
            InputError: the sidecar states another number of unit vectors; they are nearly dependent; or they are absent
                where there are fewer than three components.
        """
        value = self.facts.get("Directions")
        if value is None and components == _SPACE:
            return np.eye(_SPACE)
        rows = unit_vectors(value, components)
        if rows is None:
            raise InputError(
                self.path,
                found=f"Directions: {value!r}" if "Directions" in self.facts else "no Directions",
                expected=f"Directions: {components} independent unit vectors in R, A, S, one for each component of the "
                "displacement",
                advice="State the direction of every component that is there, such as [[0, 0, 1]] for one along S.",
            )
        demand_directions(self.path, rows, key="Directions")
        return rows

    def conjugated(self) -> bool:
        """Return whether the field follows exp(-i omega t), so that its complex conjugate is the wave field.

        Raises:
            InputError: the convention is stated in other words.
        """
        value = self.facts.get("TimeConvention")
        if value is None:
            return False
        match = _TIME.fullmatch("".join(value.lower().split())) if isinstance(value, str) else None
        if match is None:
            raise InputError(
                self.path,
                found=f"TimeConvention: {value!r}",
                expected='TimeConvention: "exp(+i omega t)" or "exp(-i omega t)"',
                advice="Say which sign of time the complex displacement has.",
            )
        return match[1] == "-"

    def _under_current_keys(self) -> dict[str, object]:
        """Return the facts under the names that keys have now; raise InputError where two names have two values."""
        try:
            return with_current_keys("wave field", self.facts)
        except ValueError as error:
            old, new = next(iter(old_keys("wave field").items()))
            raise InputError(
                self.path,
                found=f"two values, under {old} and {new}",
                expected=f"{new}, its name now, alone",
                advice=f"Remove {old}.",
            ) from error

    def _demand_spelling(self) -> None:
        """Raise InputError where a key is one of the known ones but for capitals, hyphens or underscores."""
        plain = {_plain(key): key for key in (*_KNOWN, *old_keys("wave field"))}
        for key in self.facts:
            meant = plain.get(_plain(key))
            if meant is not None and key != meant:
                raise InputError(
                    self.path,
                    found=f"a key {key!r}",
                    expected=f"{meant!r}, as keys are written here",
                    advice="Correct the key: what stands under another one is not read.",
                )

    def acquired_matrix(self) -> tuple[int, int] | None:
        """Return columns and rows that the scanner measured; None where nothing is stated."""
        value = self.facts.get("AcquiredMatrix")
        if value is None:
            return None
        numbers = numbers_in(value)
        if numbers is None or numbers.shape != (2,) or np.any(numbers < 1) or np.any(numbers != np.rint(numbers)):
            raise InputError(
                self.path,
                found=f"AcquiredMatrix: {value!r}",
                expected="AcquiredMatrix: two whole numbers, columns and rows",
                advice="Correct the sidecar.",
            )
        return int(numbers[0]), int(numbers[1])

    def noise_correlation(self) -> tuple[float, float] | None:
        """Return the correlation of the noise of neighbours along i and j; None where nothing is stated."""
        value = self.facts.get("NoiseCorrelation")
        if value is None:
            return None
        numbers = numbers_in(value)
        if numbers is None or numbers.shape != (2,) or np.any(np.abs(numbers) >= 1.0):
            raise InputError(
                self.path,
                found=f"NoiseCorrelation: {value!r}",
                expected="NoiseCorrelation: two numbers between -1 and 1, along i and j",
                advice="Correct the sidecar.",
            )
        return float(numbers[0]), float(numbers[1])

    def metres_per_unit(self) -> float:
        """Return the length, metres, of the unit in which the displacement and its noise are stored."""
        unit = self.facts.get("Units")
        if not isinstance(unit, str) or unit not in METRES_PER_UNIT:
            raise InputError(
                self.path,
                found=f"Units: {unit!r}" if "Units" in self.facts else "no Units",
                expected="Units: one of nm, um, mm, m",
                advice="Say in which unit of length the displacement is stored.",
            )
        return METRES_PER_UNIT[unit]


def _plain(key: str) -> str:
    return "".join(letter for letter in key.lower() if letter.isalnum())
