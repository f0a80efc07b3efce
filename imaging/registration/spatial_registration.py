"""DICOM Spatial Registration: rigid or affine maps between frames of reference, each named by its identifier.

Item s of the object holds the matrix M_s that takes points of its frame of reference to the registered one, in L P S
millimetres (PS3.3, C.20.2): x_r = M_s x_s. From frame a to frame b therefore

    x_b = M_b^-1 M_a x_a,     with M = 1 for the registered frame itself,

so that either direction is found by the identifiers alone. With F = diag(-1, -1, 1, 1) a matrix in R A S is F M F.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import DeformableSpatialRegistrationStorage, SpatialRegistrationStorage

from palpate.errors import InputError
from palpate.imaging.dicom.geometry import LPS_TO_RAS
from palpate.imaging.dicom.parsing import UNREADABLE, parse, silence
from palpate.imaging.dicom.persons import person_of
from palpate.imaging.dicom.sources import unread
from palpate.imaging.files.plain_names import shown
from palpate.imaging.limits.input_limits import Budget
from palpate.imaging.registration.given_matrix import demand_motion
from palpate.quality_warning import QualityWarning

type SameFrame = Callable[[str, str], bool]
"""Function that tells whether two identifiers stand for one frame of reference."""

_EXPECTED: Final = "a DICOM Spatial Registration (rigid or affine)"
_AGAIN: Final = "Export the rigid registration again from the planning system."
_KINDS: Final = ("RIGID", "RIGID_SCALE", "AFFINE")
_SAME_MM: Final = 0.01
_HEAD_MM: Final = 100.0
"""Distance from the origin at which two matrices are compared, mm."""


@dataclass(frozen=True, slots=True)
class RegisteredFrame:
    """Frame of reference in a registration.

    Attributes:
        frame_uid: its unique identifier.
        to_registered_mm: map of its points to the registered frame, world RAS millimetres, shape (4, 4).
        warnings: warnings about that map.
    """

    frame_uid: str
    to_registered_mm: NDArray[np.float64]
    warnings: tuple[QualityWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class SpatialRegistration:
    """Content of a DICOM Spatial Registration.

    Attributes:
        where: name of the file in errors.
        frames: its frames of reference, the registered one among them.
        person: number, name and birth date of its patient; only ever compared.
    """

    where: str
    frames: tuple[RegisteredFrame, ...]
    person: tuple[str, ...] = field(repr=False)

    def between(
        self, start: str, end: str, same: SameFrame
    ) -> tuple[NDArray[np.float64], tuple[QualityWarning, ...]] | None:
        """Return the map from one frame of reference to another, and warnings about it.

        Args:
            start: identifier of the frame whose points are given.
            end: identifier of the frame whose points are wanted.
            same: function that tells whether two identifiers stand for one frame.

        Returns:
            Matrix in world RAS millimetres, shape (4, 4), and warnings; None where the file does not hold both frames.

        Raises:
            InputError: the file places one of the frames in two ways.
        """
        first, last = self._of(start, same), self._of(end, same)
        if first is None or last is None:
            return None
        matrix = np.linalg.solve(last.to_registered_mm, first.to_registered_mm)
        return matrix, tuple(dict.fromkeys((*first.warnings, *last.warnings)))

    def _of(self, frame_uid: str, same: SameFrame) -> RegisteredFrame | None:
        found = [one for one in self.frames if same(one.frame_uid, frame_uid)]
        if any(not _alike(one.to_registered_mm, other.to_registered_mm) for one, other in pairwise(found)):
            raise InputError(
                self.where,
                found="one frame of reference with two different matrices",
                expected="one matrix for each frame of reference",
                advice="Export the registration that is meant as an object of its own.",
            )
        return found[0] if found else None


def read_spatial_registration(path: Path) -> SpatialRegistration:
    """Read a DICOM Spatial Registration.

    Raises:
        InputError: the file is unreadable, of another kind or deformable, names no frame of reference, or a matrix is
            no motion of a patient.
    """
    where = shown(path)
    try:
        budget = Budget(where)
        budget.demand_file_size(path.stat().st_size)
        content = path.read_bytes()
        with silence():
            image = parse(io.BytesIO(content), len(content), budget)
            return _registration(image, where)
    except UNREADABLE as error:
        found = "a file that cannot be read to its end as a registration"
        refusal = InputError(where, found=found, expected=_EXPECTED, advice=_AGAIN)
        raise (unread(error, where) or refusal) from error


def _registration(image: pydicom.FileDataset, where: str) -> SpatialRegistration:
    kind = image.get("SOPClassUID")
    if kind == DeformableSpatialRegistrationStorage:
        raise InputError(
            where,
            found="a deformable registration, which holds no exact map both ways",
            expected=_EXPECTED,
            advice="Register the images rigidly, or carry the region in the planning system and export it there.",
        )
    if kind != SpatialRegistrationStorage:
        raise InputError(where, found="a DICOM object of another kind", expected=_EXPECTED, advice=_AGAIN)
    registered = str(image.get("FrameOfReferenceUID") or "")
    items = [one for one in image.get("RegistrationSequence") or [] if one.get("FrameOfReferenceUID")]
    if not registered or not items:
        found = "a registration that does not name its frames of reference"
        raise InputError(where, found=found, expected="a Frame of Reference UID of each image", advice=_AGAIN)
    frames = [_frame(one, where) for one in items]
    own = RegisteredFrame(registered, np.eye(4))
    return SpatialRegistration(where, (own, *frames), person_of(image))


def _frame(item: Dataset, where: str) -> RegisteredFrame:
    registrations = list(item.get("MatrixRegistrationSequence") or [])
    steps = [one for registration in registrations for one in registration.get("MatrixSequence") or []]
    if not steps:
        raise InputError(where, found="a frame of reference without a matrix", expected=_EXPECTED, advice=_AGAIN)
    matrices: list[NDArray[np.float64]] = []
    warnings: list[QualityWarning] = []
    for one in steps:
        kind = str(one.get("FrameOfReferenceTransformationMatrixType") or "").strip().upper()
        numbers = np.array(one.get("FrameOfReferenceTransformationMatrix") or [], dtype=np.float64)
        if kind not in _KINDS or numbers.size != 16:
            found = f"a matrix of {numbers.size} numbers of no known type" if kind not in _KINDS else "no 4 x 4 matrix"
            raise InputError(where, found=found, expected=f"16 numbers of type {', '.join(_KINDS)}", advice=_AGAIN)
        matrices.append(numbers.reshape(4, 4))
        warnings += demand_motion(matrices[-1], where, kind)
    flip = np.eye(4)
    flip[:3, :3] = LPS_TO_RAS
    return RegisteredFrame(str(item.FrameOfReferenceUID), flip @ _product(matrices, where) @ flip, tuple(warnings))


def _product(matrices: Sequence[NDArray[np.float64]], where: str) -> NDArray[np.float64]:
    """Return the product of a frame's matrices, shape (4, 4).

    Raises:
        InputError: it depends on their order, which programs do not agree about.
    """
    one, other = np.eye(4), np.eye(4)
    for matrix in matrices:
        one, other = one @ matrix, matrix @ other
    if not _alike(one, other):
        raise InputError(
            where,
            found=f"{len(matrices)} matrices for one frame of reference, whose order changes their product",
            expected="one matrix for each frame of reference",
            advice="Export the registration again with a single matrix.",
        )
    return one


def _alike(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Return whether two matrices place the points of a head alike."""
    away = np.abs(one - other)
    return bool(np.all(away[:3, 3] + _HEAD_MM * away[:3, :3].sum(axis=1) < _SAME_MM))
