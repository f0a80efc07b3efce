"""Way from the second session to the first, by a T1 that both share or by registration of one image on the other."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.changes.places import Edge, Places, SessionWorld, shared_links
from palpate.imaging.changes.session import ComparedSession, same_image
from palpate.imaging.files.nifti import Volume
from palpate.imaging.registration.placement import Placement
from palpate.imaging.registration.register import register
from palpate.imaging.registration.rigid import at_rest
from palpate.quality_warning import QualityWarning

_RECORDED: Final = "recorded placement ({})"
_ASSUMED: Final = _RECORDED.format("assumed")
_ELASTOGRAMS: Final[tuple[SessionWorld, SessionWorld]] = ("elastogram A", "elastogram B")
_EXACT: Final = np.zeros((6, 6))
_FEWEST_ALONG_AXIS: Final = 4
"""Least number of voxels along each axis of an image that can be registered: thinner ones cannot be blurred."""


def places_of(first: ComparedSession, second: ComparedSession) -> tuple[Places, tuple[QualityWarning, ...]]:
    """Return the worlds of two sessions with a way from the second elastogram to the first.

    Args:
        first: session A.
        second: session B.

    Raises:
        InputError: no T1 is shared, and no registration of the images that are there succeeds.
    """
    edges = [*_placement_edges(first, "elastogram A", "T1 of A"), *_placement_edges(second, "elastogram B", "T1 of B")]
    places = Places(tuple(edges))
    if _one_scan(first, second):
        rest = at_rest(np.zeros(3))
        both = Edge("elastogram B", "elastogram A", rest, _EXACT, "both sessions are one scan")
        return places.with_edge(both), (_one_scan_warning(),)
    one, other = first.anatomy(), second.anatomy()
    if one is not None and other is not None and same_image(one, other):
        shared = Edge("T1 of B", "T1 of A", at_rest(np.zeros(3)), _EXACT, "both sessions have one T1")
        return places.with_edge(shared), ()
    reasons: list[str] = []
    for attempt in (_on_anatomy_of_second, _on_anatomy_of_first, _on_magnitude):
        edge = attempt(first, second, reasons)
        if edge is not None:
            return places.with_edge(edge), ()
    if not reasons and first.frame_uid and first.frame_uid == second.frame_uid:
        edge = Edge("elastogram B", "elastogram A", at_rest(np.zeros(3)), _EXACT, "one frame of reference")
        return places.with_edge(edge), (_not_registered(),)
    found = "; ".join(reasons) if reasons else "neither a T1 nor magnitude images of four slices or more in both"
    raise InputError(
        "the sessions",
        found=f"no way from session B to session A: {found}",
        expected="one T1 in both sessions, or images that can be registered",
        advice="Ingest both sessions with one T1 (--anatomy), and compare them again.",
    )


def _placement_edges(session: ComparedSession, start: SessionWorld, end: SessionWorld) -> list[Edge]:
    """Return the recorded placement of a session's T1; nothing where there is no T1 whose place is known."""
    if session.anatomy_path is None:
        return []
    placement = session.placement
    return [Edge(start, end, placement.motion, placement.covariance, _RECORDED.format(placement.status))]


def _one_scan(first: ComparedSession, second: ComparedSession) -> bool:
    """Return whether both sessions are results of one scan, by folder or by the digest of its wave field."""
    if first.folder.resolve() == second.folder.resolve():
        return True
    digests = [one.run.inversion.get("input_digests") for one in (first, second)]
    fields = [one.get("wavefield") if isinstance(one, dict) else None for one in digests]
    return fields[0] is not None and fields[0] == fields[1]


def _on_anatomy_of_second(first: ComparedSession, second: ComparedSession, reasons: list[str]) -> Edge | None:
    """Register A's magnitude and B's T1."""
    found = _registered(first, second.anatomy(), reasons, "A's magnitude on B's T1")
    return _edge("elastogram A", "T1 of B", found, "registration of A's magnitude on B's T1")


def _on_anatomy_of_first(first: ComparedSession, second: ComparedSession, reasons: list[str]) -> Edge | None:
    """Register B's magnitude and A's T1."""
    found = _registered(second, first.anatomy(), reasons, "B's magnitude on A's T1")
    return _edge("elastogram B", "T1 of A", found, "registration of B's magnitude on A's T1")


def _on_magnitude(first: ComparedSession, second: ComparedSession, reasons: list[str]) -> Edge | None:
    """Register B's magnitude on A's; where the scanner's coordinates differ, both are laid centre on centre before."""
    fixed = first.magnitude()
    if fixed is None:
        return None
    shift = np.eye(4)
    shift[:3, 3] = second.centre_mm - first.centre_mm
    moved = Volume(fixed.values, shift @ fixed.affine_mm)
    found = _registered(second, moved, reasons, "B's magnitude on A's")
    return _edge(
        "elastogram B", "elastogram A", found, "registration of B's magnitude on A's", after_mm=np.linalg.inv(shift)
    )


def _registered(moving: ComparedSession, fixed: Volume | None, reasons: list[str], what: str) -> Placement | None:
    """Return the placement of one image on a session's magnitude; None where it failed, with the reason added."""
    magnitude = moving.magnitude()
    if magnitude is None or fixed is None:
        return None
    if min(*magnitude.values.shape, *fixed.values.shape) < _FEWEST_ALONG_AXIS or np.ptp(fixed.values) == 0.0:
        return None
    tissue = moving.run.moduli["storagemodulus"].mean.covered
    found = register(magnitude, tissue, fixed)
    if not found.usable:
        reasons.append(f"{what}: {' '.join(found.warnings)}")
        return None
    return found


def _edge(
    start: SessionWorld,
    end: SessionWorld,
    found: Placement | None,
    words: str,
    after_mm: NDArray[np.float64] | None = None,
) -> Edge | None:
    if found is None:
        return None
    return Edge(start, end, found.motion, found.covariance, words, np.eye(4) if after_mm is None else after_mm)


def assumed_places(places: Places, world: SessionWorld) -> tuple[QualityWarning, ...]:
    """Warn where labels reach one session by a placement that was only assumed.

    Args:
        places: worlds of both sessions.
        world: world of the labels.
    """
    ways = [places.way(one, world) or () for one in _ELASTOGRAMS]
    shared = shared_links(*ways)
    names = [
        start
        for start, way in zip(_ELASTOGRAMS, ways, strict=True)
        if any(edge.words == _ASSUMED and edge.link not in shared for edge, _ in way)
    ]
    if not names:
        return ()
    sentence = (
        f"The T1 was never registered to {' and '.join(names)}; it is taken to lie where its file states, and the "
        "intervals hold no error of that."
    )
    return (QualityWarning("change-not-registered", sentence, "Ingest with registration: auto."),)


def _one_scan_warning() -> QualityWarning:
    sentence = "Both sessions are results of one scan: the table tells nothing of a change of tissue."
    return QualityWarning("change-one-scan", sentence, "Name the folders of two scans.")


def _not_registered() -> QualityWarning:
    sentence = (
        "Both sessions have one frame of reference and no images that could be registered; the person is taken not to "
        "have moved between them, and the intervals hold no error of that."
    )
    return QualityWarning("change-not-registered", sentence, "Ingest both sessions with their magnitude or with a T1.")
