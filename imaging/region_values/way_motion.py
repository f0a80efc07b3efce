"""Motion of a region by a way from another frame of reference, such as that of a planning CT."""

from __future__ import annotations

from palpate.imaging.region_values.motion import NODE, UncertainMotion
from palpate.imaging.registration.way import FrameWay


def motion_by(way: FrameWay) -> UncertainMotion:
    """Return the motion from the elastogram to the frame in which a region was drawn, with the way's uncertainty.

    Args:
        way: way from the elastogram to that frame.
    """
    return UncertainMotion(way, way.displaced(NODE), centred=way.assumed)
