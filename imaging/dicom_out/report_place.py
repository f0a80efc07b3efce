"""Places of regions in structured reports: a sphere, outlines on planes, or a segment of another DICOM object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage

from palpate.imaging.dicom_out.dicom_identity import MapIdentity

type Point = tuple[float, float, float]
type Outline = tuple[Point, ...]

_INSIDE: Final = 0.5
_LPS: Final = np.array([-1.0, -1.0, 1.0])


class Place(Protocol):
    """Place of a region."""

    def reference(self, identity: MapIdentity) -> dict[str, Any]:
        """Return the argument by which highdicom's volumetric measurements take the place.

        Args:
            identity: identity of the report, whose frame of reference coordinates are in.
        """
        ...

    def evidence(self, identity: MapIdentity) -> Dataset | None:
        """Return the DICOM object that the place refers to, as far as a report cites it; None where there is none.

        Args:
            identity: identity of the report.
        """
        ...


@dataclass(frozen=True, slots=True)
class SpherePlace:
    """Sphere in the elastogram's world.

    Attributes:
        centre_mm: centre, world RAS, mm.
        radius_mm: radius, mm.
    """

    centre_mm: Point
    radius_mm: float

    def reference(self, identity: MapIdentity) -> dict[str, Any]:
        """Return an ellipsoid by the ends of its three axes."""
        steps = np.concatenate([(axis, -axis) for axis in self.radius_mm * np.eye(3)]).reshape(6, 3)
        return _surface(hd.sr.GraphicTypeValues3D.ELLIPSOID, [np.array(self.centre_mm) + steps], identity)

    def evidence(self, identity: MapIdentity) -> Dataset | None:  # noqa: ARG002 - coordinates need no object
        """Return None: coordinates cite no object."""
        return None


@dataclass(frozen=True, slots=True)
class OutlinePlace:
    """Outlines on parallel planes, each from its first corner back to it.

    Attributes:
        outlines_mm: corners of each outline in order, world RAS of the elastogram, mm; two outlines at least.
    """

    outlines_mm: tuple[Outline, ...]

    def reference(self, identity: MapIdentity) -> dict[str, Any]:
        """Return polygons."""
        polygons = [np.array(one) for one in self.outlines_mm]
        return _surface(hd.sr.GraphicTypeValues3D.POLYGON, polygons, identity)

    def evidence(self, identity: MapIdentity) -> Dataset | None:  # noqa: ARG002 - coordinates need no object
        """Return None: coordinates cite no object."""
        return None


@dataclass(frozen=True, slots=True)
class SegmentPlace:
    """Segment of a DICOM Segmentation of the same study.

    Attributes:
        sop_instance_uid: identifier of the segmentation.
        series_instance_uid: identifier of its series.
        segment_number: number of the segment.
    """

    sop_instance_uid: str
    series_instance_uid: str
    segment_number: int

    def reference(self, identity: MapIdentity) -> dict[str, Any]:
        """Return a reference to the segment."""
        series = hd.sr.SourceSeriesForSegmentation(identity.source.series_instance_uid)
        return {
            "referenced_segment": hd.sr.ReferencedSegment(
                str(SegmentationStorage), self.sop_instance_uid, self.segment_number, source_series=series
            )
        }

    def evidence(self, identity: MapIdentity) -> Dataset | None:
        """Return the segmentation by its identifiers."""
        cited = Dataset()
        cited.SOPClassUID, cited.SOPInstanceUID = SegmentationStorage, self.sop_instance_uid
        cited.StudyInstanceUID, cited.SeriesInstanceUID = identity.source.study_instance_uid, self.series_instance_uid
        return cited


def outline_place(shares: NDArray[np.float64], affine_mm: NDArray[np.float64]) -> OutlinePlace:
    """Return the outlines of a region on the slices of a grid.

    A region on one slice is outlined on both faces of the slice, since a surface needs two planes. A region that fills
    half of no voxel is outlined by half of its largest share.

    Args:
        shares: share of each voxel inside the region, 0 to 1, shape (i, j, k).
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
    """
    from skimage.measure import find_contours

    level = min(_INSIDE, 0.5 * float(shares.max()))
    slices = [int(k) for k in np.flatnonzero((shares > level).any(axis=(0, 1)))]
    outlines: list[NDArray[np.float64]] = []
    for k in slices:
        for flat in find_contours(np.pad(shares[..., k], 1), level):
            heights = (k - 0.5, k + 0.5) if len(slices) == 1 else (float(k),)
            outlines += [np.column_stack([flat - 1.0, np.full(len(flat), one)]) for one in heights]
    placed = (one @ affine_mm[:3, :3].T + affine_mm[:3, 3] for one in outlines)
    return OutlinePlace(tuple(tuple((float(x), float(y), float(z)) for x, y, z in one) for one in placed))


def _surface(
    kind: hd.sr.GraphicTypeValues3D, shapes_mm: list[NDArray[np.float64]], identity: MapIdentity
) -> dict[str, Any]:
    """Return a surface in the frame of reference of the elastogram; coordinates go from RAS to LPS."""
    return {
        "referenced_volume_surface": hd.sr.VolumeSurface(
            kind,
            [one * _LPS for one in shapes_mm],
            identity.source.frame_of_reference_uid,
            source_series=hd.sr.SourceSeriesForSegmentation(identity.source.series_instance_uid),
        )
    }
