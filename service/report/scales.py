"""Colour scales that cover the whole map, or say by a marked end how much lies beyond them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

MODULUS_COLOURS: Final = "viridis"
"""Colour map of moduli."""
SPREAD_COLOURS: Final = "magma"
"""Colour map of standard deviations."""
SHARE_COLOURS: Final = "cividis"
"""Colour map of probabilities and shares."""
_ROOM: Final = 1.4
"""Largest value over the scale's quantile up to which the scale is stretched to the largest value."""
_QUANTILE: Final = 98.0


@dataclass(frozen=True, slots=True)
class Scale:
    """Colours of a map, from zero to the top.

    Attributes:
        colours: name of the colour map.
        top: value of the last colour, in the map's unit.
        unit: unit of the map; empty for a share.
        above: share of the map's voxels with a value above the top; they have the last colour.
    """

    colours: str
    top: float
    unit: str
    above: float = 0.0

    @classmethod
    def of(cls, values: NDArray[np.floating], colours: str, top: float, unit: str) -> Scale:
        """Return the scale of a map with a chosen top.

        Args:
            values: values of the map, any shape; those that are not finite do not count.
            colours: name of the colour map.
            top: value of the last colour.
            unit: unit of the map.
        """
        known = values[np.isfinite(values)]
        return cls(colours, top, unit, float((known > top).mean()) if known.size else 0.0)

    @property
    def top_words(self) -> str:
        """Value of the last colour with its unit."""
        return f"{self.top:g} {self.unit}".rstrip()

    @property
    def end_words(self) -> str:
        """Statement on the voxels above the top; empty where there are none."""
        if self.above == 0.0:
            return ""
        percent = 100.0 * self.above
        share = f"{percent:.0f}" if percent >= 1.0 else "fewer than 1"
        return f"above {self.top_words}: {share} % of voxels"


def covering_top(values: NDArray[np.floating], counted: NDArray[np.bool_]) -> float:
    """Return the top of a scale: above every value, or above 98 % of those that count where few are far larger.

    Args:
        values: values of the map, shape (i, j, k).
        counted: voxels for whose contrast the scale is chosen, same shape.
    """
    known = np.isfinite(values)
    inside = values[known & counted] if (known & counted).any() else values[known]
    if not inside.size:
        return 1.0
    most, largest = float(np.percentile(inside, _QUANTILE)), float(values[known].max())
    return round_up(largest if largest <= _ROOM * most else most)


def round_up(value: float) -> float:
    """Return the next number with two significant digits; 1 for what is not positive."""
    if value <= 0.0:
        return 1.0
    step = 10.0 ** (np.floor(np.log10(value)) - 1.0)
    return float(f"{np.ceil(value / step - 1e-9) * step:.2g}")


def colour_nodes(name: str, count: int = 33) -> dict[str, list[int]]:
    """Return a colour map as the viewer takes it; its first node is transparent, so that nothing is painted outside.

    Args:
        name: name of the colour map in matplotlib.
        count: number of nodes.
    """
    positions = np.linspace(0.0, 1.0, count)
    rgb = np.round(255 * mpl.colormaps[name](positions)[:, :3]).astype(int)
    red, green, blue = ([int(rgb[0, channel]), *rgb[:, channel].tolist()] for channel in range(3))
    places = [0, 1, *np.round(255 * positions[1:]).astype(int).tolist()]
    return {"R": red, "G": green, "B": blue, "A": [0, *[255] * count], "I": places}
