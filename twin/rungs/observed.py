"""Streams of measurements that the rungs know, and the numbers in which each is compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

type Values = NDArray[np.float64]

ENHANCING_VOLUME: Final = "enhancing_volume"
"""Stream: volume that takes up contrast agent, or is necrotic within."""
FLAIR_VOLUME: Final = "flair_volume"
"""Stream: volume that is bright on FLAIR, with everything within."""
BURDEN: Final = "burden"
"""Stream: volume of all tumour cells, packed."""
VISIBLE_BURDEN: Final = "visible_burden"
"""Stream: burden within what is bright on FLAIR, as a map of cellularity shows it, with the gain of its scale."""
CENTROID: Final = "centroid"
"""Stream: middle of what is bright on FLAIR."""
FRONT_RADIUS: Final = "front_radius"
"""Stream: radius of a ball with the volume that is bright on FLAIR."""
FRONT_MODES: Final = "front_modes"
"""Stream: displacement of the edge seen on FLAIR since the first scan, in three shapes."""
LEAST_ML: Final = 0.01
"""Volume that is added before a logarithm is taken, ml: below it a scan shows nothing, and zero has no logarithm."""


@dataclass(frozen=True, slots=True)
class StreamObservation:
    """Observation of one stream by a rung.

    Attributes:
        stream: name of the stream.
        quantities: names of the numbers, each with its unit.
        shown: function h of the states and parameters of all draws.
    """

    stream: str
    quantities: tuple[str, ...]
    shown: Callable[[Values, Values], Values]

    def h(self, x: Values, theta: Values) -> Values:
        """See Observation."""
        return self.shown(x, theta)


def log_ml(volume_ml: Values) -> Values:
    """Return ln(V + LEAST_ML), in the shape of the volumes V, ml; the value of an event is made by the same function.

    Args:
        volume_ml: volumes V, ml.
    """
    return np.asarray(np.log(volume_ml + LEAST_ML))


def log_column(volume_ml: Values) -> Values:
    """Return ln(V + LEAST_ML) of each draw as the one number of a stream, shape (draws, 1)."""
    return log_ml(volume_ml)[:, None]
