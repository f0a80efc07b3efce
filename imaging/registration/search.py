"""Search for a registration: from coarse to fine, from several starts, and what of its end is believed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Search:
    """Search for the maximum of mutual information, and what of a maximum is believed.

    Attributes:
        blurs_mm: standard deviations of the blur of both images, from coarse to fine, mm.
        steps_mm: length of the first steps of the search at each blur, mm.
        start_mm: distance between the first start and the other starts, mm.
        start_deg: angle between the first start and the other starts, degrees.
        starts: number of starts: the first one and others around it.
        fewest_agreeing: least number of starts that must end at the best maximum.
        most_mm: largest shift from the first start that is accepted, mm.
        most_deg: largest turn from the first start that is accepted, degrees.
        shared_mm: error along each axis that all groups of cubes share, mm.
        margin_mm: width of the moved image around the tissue that is compared, mm.
        what: name of the image that is registered, in sentences.
    """

    blurs_mm: tuple[float, ...]
    steps_mm: tuple[float, ...]
    start_mm: float
    start_deg: float
    starts: int
    fewest_agreeing: int
    most_mm: float
    most_deg: float
    shared_mm: float
    margin_mm: float
    what: str


SAME_VISIT = Search(
    blurs_mm=(3.0, 1.5, 0.7),
    steps_mm=(2.0, 1.0, 0.5),
    start_mm=8.0,
    start_deg=8.0,
    starts=7,
    fewest_agreeing=3,
    # A head moves by less between two scans of one visit; larger turns are intended.
    most_mm=30.0,
    most_deg=20.0,
    # What heads without noise still show (decision 0045).
    shared_mm=0.08,
    margin_mm=25.0,
    what="anatomy",
)
"""Search around the place that the files of one visit state."""

PLANNING_CT = Search(
    blurs_mm=(6.0, 3.0, 1.5, 0.7),
    steps_mm=(4.0, 2.0, 1.0, 0.5),
    start_mm=12.0,
    start_deg=12.0,
    starts=9,
    fewest_agreeing=3,
    # From where the heads' middles or tops meet; heads lie on other rests.
    most_mm=60.0,
    most_deg=45.0,
    # Distortion and unlike contrast, which no group shows alone (decision 0114).
    shared_mm=0.5,
    margin_mm=40.0,
    what="CT",
)
"""Search for a CT of another examination, from where the heads lie on each other."""
