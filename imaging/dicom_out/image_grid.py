"""Grid of the images that written objects lie on, with the patient, study and frame of reference that they take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.valuerep import DSfloat

from palpate.imaging.dicom_out.dicom_identity import MapIdentity
from palpate.imaging.files.nifti import voxel_indices

RAS_TO_LPS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Conversion of points from NIfTI's world axes to DICOM's, shape (4, 4)."""


@dataclass(frozen=True, slots=True)
class ImageReference:
    """Reference to one image.

    Attributes:
        sop_class_uid: class of the image.
        sop_instance_uid: identifier of its file.
        frame: number of its frame, from 1; None in a file of one image.
    """

    sop_class_uid: str
    sop_instance_uid: str
    frame: int | None = None

    def as_item(self) -> Dataset:
        """Return the item of a sequence of references."""
        item = Dataset()
        item.ReferencedSOPClassUID = self.sop_class_uid
        item.ReferencedSOPInstanceUID = self.sop_instance_uid
        if self.frame is not None:
            item.ReferencedFrameNumber = self.frame
        return item


@dataclass(frozen=True, slots=True)
class ImageGrid:
    """Stack of image planes.

    Attributes:
        identity: patient, study and frame of reference; its source is one image of the stack's series.
        affine_mm: indices of columns i, rows j, slices k to world RAS millimetres, at right angles, shape (4, 4).
        shape: number of columns, rows and slices.
        images: image of each slice that objects refer to; empty where only the source is known.
        space: BIDS label of the grid in file names, "T1w"; empty for the elastogram's own grid.
        patient_position: position of the patient in the scanner, such as "HFS"; empty where it is not known.
    """

    identity: MapIdentity
    affine_mm: NDArray[np.float64]
    shape: tuple[int, int, int]
    images: tuple[ImageReference, ...] = ()
    space: str = ""
    patient_position: str = ""

    @property
    def affine_lps_mm(self) -> NDArray[np.float64]:
        """Indices (i, j, k) to world LPS millimetres, shape (4, 4)."""
        return np.asarray(RAS_TO_LPS @ self.affine_mm)

    @property
    def slice_mm(self) -> float:
        """Distance of neighbouring slices, mm."""
        return float(np.linalg.norm(self.affine_mm[:3, 2]))

    @property
    def references(self) -> tuple[ImageReference, ...]:
        """Images that objects on this grid refer to: those of the slices, or the source where they are not known."""
        source = self.identity.source
        return self.images or (ImageReference(source.sop_class_uid, source.sop_instance_uid),)

    def named(self, stem: str) -> str:
        """Return a stem of file names with the label of the grid.

        Args:
            stem: run, and frequency where there are several.
        """
        return f"{stem}_space-{self.space}" if self.space else stem

    def place(self, image: Dataset) -> None:
        """State rows, columns, orientation and spacing of the planes in a header."""
        affine = self.affine_lps_mm[:3, :3]
        edges = np.linalg.norm(affine, axis=0)
        image.ImageOrientationPatient = decimals((affine / edges)[:, :2].T.ravel())
        image.PixelSpacing = decimals(edges[[1, 0]])
        image.SliceThickness, image.SpacingBetweenSlices = decimals(edges[[2, 2]])
        image.Columns, image.Rows = self.shape[:2]

    def corner_mm(self, k: int) -> NDArray[np.float64]:
        """Return the centre of the first pixel of a slice, LPS, mm, shape (3,)."""
        return np.asarray(self.affine_lps_mm[:3] @ [0.0, 0.0, k, 1.0])


def nearest_on[T: np.generic](
    values: NDArray[T], affine_mm: NDArray[np.float64], grid: ImageGrid, back_mm: NDArray[np.float64], outside: T
) -> NDArray[T]:
    """Return for each voxel of a grid the value of the voxel of another one in which its centre lies, slice by slice.

    Args:
        values: values on their own voxels, shape (a, b, c).
        affine_mm: indices of these voxels to world RAS millimetres, shape (4, 4).
        grid: planes of the images.
        back_mm: world points of the images to those of the values, shape (4, 4).
        outside: value of voxels whose centre lies in none.

    Returns:
        Values, shape (i, j, k) of the grid.
    """
    found = np.full(grid.shape, outside, dtype=values.dtype)
    to_own_mm = back_mm @ grid.affine_mm
    plane = np.moveaxis(np.indices((*grid.shape[:2], 1), dtype=np.float64), 0, -1)[:, :, 0]
    for k in range(grid.shape[2]):
        points_mm = (plane + np.array([0.0, 0.0, k])) @ to_own_mm[:3, :3].T + to_own_mm[:3, 3]
        index = np.floor(voxel_indices(affine_mm, points_mm) + 0.5).astype(np.intp)
        within = np.all((index >= 0) & (index < values.shape), axis=-1)
        found[within, k] = values[tuple(index[within].T)]
    return found


def decimals(values: NDArray[np.float64]) -> list[DSfloat]:
    """Return numbers as DICOM decimal strings, rounded to what their 16 characters hold."""
    return [DSfloat(float(value), auto_format=True) for value in values]


def upright[T: np.generic](
    values: NDArray[T], affine_mm: NDArray[np.float64]
) -> tuple[NDArray[T], NDArray[np.float64]]:
    """Return a volume with rows and columns turned the way a reader expects an image; nothing is resampled.

    As far as the obliquity of the slab allows, columns run to the left, rows to the back or down.

    Args:
        values: volume, shape (i, j, k).
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
    """
    affine = affine_mm.copy()
    for axis in (0, 1):
        direction = affine[:3, axis].copy()
        dominant = int(np.argmax(np.abs(direction)))
        # In R A S, left, back and down are all negative.
        if direction[dominant] > 0.0:
            values = np.flip(values, axis)
            affine[:3, 3] += direction * (values.shape[axis] - 1)
            affine[:3, axis] = -direction
    return values, affine
