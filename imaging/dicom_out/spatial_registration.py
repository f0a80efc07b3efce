"""Rigid motion between two frames of reference as a DICOM Spatial Registration."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import SpatialRegistrationStorage

from palpate.imaging.dicom_out.image_grid import RAS_TO_LPS, decimals
from palpate.imaging.dicom_out.object_header import ObjectText, coded, save, state_body_part

_BY_CONTENT: Final = Code("125024", "DCM", "Image Content-based Alignment")
_NOT_MOVED: Final = Code("125021", "DCM", "Frame of Reference Identity")


def write_spatial_registration(
    path: Path, motion_mm: NDArray[np.float64], frame_uid: str, text: ObjectText, comment: str
) -> None:
    """Write the motion of a frame of reference to that of the text's identity.

    Args:
        path: file to write; the caller makes sure that no partial file is left.
        motion_mm: world RAS points of the moved frame to those of the identity's frame, mm, shape (4, 4).
        frame_uid: identifier of the frame that is moved.
        text: words and identifiers of the object; its identity is that of the frame that stays.
        comment: sentence about how the motion was found, and how well.
    """
    made = text.new(SpatialRegistrationStorage, "REG")
    made.ContentLabel, made.ContentDescription, made.ContentCreatorName = "PALPATE", text.description[:64], ""
    stays = text.identity.source.frame_of_reference_uid
    made.RegistrationSequence = [
        _registered(stays, np.eye(4), _NOT_MOVED, ""),
        _registered(frame_uid, RAS_TO_LPS @ motion_mm @ RAS_TO_LPS, _BY_CONTENT, comment),
    ]
    state_body_part(made, text.identity)
    save(made, path)


def _registered(frame_uid: str, matrix_mm: NDArray[np.float64], how: Code, comment: str) -> Dataset:
    """Return the item of one frame of reference."""
    matrix, transform, item = Dataset(), Dataset(), Dataset()
    matrix.FrameOfReferenceTransformationMatrixType = "RIGID"
    matrix.FrameOfReferenceTransformationMatrix = decimals(matrix_mm.ravel())
    transform.MatrixSequence, transform.RegistrationTypeCodeSequence = [matrix], [coded(how)]
    transform.FrameOfReferenceTransformationComment = comment
    item.FrameOfReferenceUID, item.MatrixRegistrationSequence = frame_uid, [transform]
    return item
