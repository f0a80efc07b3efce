"""Way from a session's images to the frame of reference of a region or dose, mostly that of a planning CT.

In this order: frames that are the same need none; a registration file that the user names; a registration of our own of
the CT on which the region was drawn. Without any of them a region of another frame of reference is refused, since its
coordinates would place it somewhere in the patient, and nobody knows where.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from palpate.errors import InputError
from palpate.imaging.anatomy.foreign_frame import (
    FixedImage,
    ForeignFrame,
    GivenRegistration,
    KnownFrame,
    demand_one_person,
)
from palpate.imaging.dicom.ct import read_ct
from palpate.imaging.files.nifti import read_nifti
from palpate.imaging.files.plain_names import shown
from palpate.imaging.regions.binary import is_dicom_file
from palpate.imaging.registration.placement import Placement
from palpate.imaging.registration.spatial_registration import SpatialRegistration, read_spatial_registration
from palpate.imaging.registration.way import FrameWay, given_way, placement_way
from palpate.progress import say
from palpate.quality_warning import QualityWarning

_NO_WAY: Final = (
    "Name a registration of the two images (DICOM Spatial Registration, or a linear transform of ITK), or the CT on "
    "which it was drawn; where one of the two was pseudonymised, do the same with the other."
)
_FILES: Final = "a DICOM Spatial Registration, or a linear transform of ITK (.tfm, .txt, .mat, .h5)"


def way_between(
    known: Sequence[KnownFrame],
    foreign: ForeignFrame,
    given: GivenRegistration,
    fixed: FixedImage | None = None,
) -> FrameWay:
    """Return the way from a session's images to the frame of reference of a region or dose.

    Args:
        known: frames of reference of the session: first the one that registrations refer to (the T1's), last the one
            that counts where several have one identifier (the elastogram's).
        foreign: frame of reference of the region or dose.
        given: registration or CT that the user names to carry it.
        fixed: MR image to which the CT is registered; None where there is none.

    Raises:
        InputError: there is no way, the file that the user names holds none, or it is of another patient.
    """
    way = next((one.way for one in reversed(known) if given.same(one.frame_uid, foreign.frame_uid)), None)
    if way is not None:
        return replace(way, warnings=(*way.warnings, _not_needed())) if given.named else way
    if given.file is not None:
        way = _by_file(known, foreign, given, given.file)
    elif given.contour_image is not None:
        way = _by_ct(foreign, given, given.contour_image, fixed)
    else:
        raise _no_way(foreign, "and no way to it")
    return way


def words(way: FrameWay) -> str:
    """Return what a way is, and how sure, in words for logs and records."""
    known_mm = float(np.sqrt(np.trace(way.covariance[3:, 3:])))
    source = {
        "spatial registration": "a DICOM Spatial Registration",
        "ITK transform": "a transform of ITK",
        "own registration": "our own registration of the CT",
        "placement of the T1": "the recorded place of the T1",
    }.get(way.source, "one frame of reference")
    return f"{source}, uncertain by {known_mm:.2g} mm"


def _by_file(known: Sequence[KnownFrame], foreign: ForeignFrame, given: GivenRegistration, path: Path) -> FrameWay:
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise InputError(shown(path), found=found, expected=_FILES, advice="Name the file itself.")
    from palpate.imaging.registration.itk_transform import is_transform_file, read_itk_transform

    if is_dicom_file(path):
        return _by_spatial_registration(known, foreign, given, read_spatial_registration(path))
    if not is_transform_file(path):
        raise InputError(shown(path), found="a file of another kind", expected=_FILES, advice="Export it as one.")
    matrix, warnings = read_itk_transform(path)
    if given.settings.registration_fixed == "region":
        matrix = np.linalg.inv(matrix)
    way = given_way("ITK transform", matrix, given.settings.registration_uncertainty_mm, (*warnings, _unproved()))
    return known[0].way.then(way)


def _by_spatial_registration(
    known: Sequence[KnownFrame], foreign: ForeignFrame, given: GivenRegistration, file: SpatialRegistration
) -> FrameWay:
    ours = [one for one in known if any(given.same(one.frame_uid, frame.frame_uid) for frame in file.frames)]
    theirs = foreign.frame_uid or _only_other(known, given, file)
    for one in ours:
        found = file.between(one.frame_uid, theirs, given.same)
        if found is not None:
            demand_one_person(file.where, file.person, foreign, given.key)
            way = given_way("spatial registration", found[0], given.settings.registration_uncertainty_mm, found[1])
            return one.way.then(way)
    lacking = "of the region or dose" if ours else f"of {' or '.join(one.name for one in known)}"
    raise InputError(
        file.where,
        found=f"a registration that does not hold the frame of reference {lacking}",
        expected="both frames of reference, by their identifiers",
        advice="Export the registration of these two images; where one of the two was pseudonymised, do the same with "
        "the registration, or give the key.",
    )


def _only_other(known: Sequence[KnownFrame], given: GivenRegistration, file: SpatialRegistration) -> str:
    """Return the frame of a file that states none itself: the only one of the registration that is not the session's.

    Raises:
        InputError: there are several or none.
    """
    others = {
        frame.frame_uid for frame in file.frames if not any(given.same(one.frame_uid, frame.frame_uid) for one in known)
    }
    if len(others) != 1:
        raise InputError(
            file.where,
            found=f"{len(others)} frames of reference beside the session's, and a NIfTI file that names none",
            expected="one other frame of reference",
            advice="Give the region as DICOM Segmentation or RT Structure Set, or a registration of two images.",
        )
    return others.pop()


def _by_ct(foreign: ForeignFrame, given: GivenRegistration, path: Path, fixed: FixedImage | None) -> FrameWay:
    if fixed is None:
        raise _no_way(foreign, "and no T1 or magnitude of the session to which the CT could be registered")
    if not path.exists():
        raise InputError(shown(path), found="no such file or folder", expected="a CT", advice="Check the path.")
    ct = _registered(fixed.path, fixed.path.stat().st_mtime_ns, path, path.stat().st_mtime_ns)
    if ct.frame_uid and foreign.frame_uid and not given.same(ct.frame_uid, foreign.frame_uid):
        raise InputError(
            ct.where,
            found="a CT of another frame of reference than the region's",
            expected="the CT on which the region was drawn",
            advice="Give that CT.",
        )
    demand_one_person(str(ct.where), ct.person, foreign, given.key)
    if not ct.placement.usable:
        raise InputError(
            ct.where,
            found=f"a CT that could not be registered to {fixed.frame.name}: {' '.join(ct.placement.warnings)}",
            expected="an image of the same head that shows most of it",
            advice="Name a registration file of the two images instead.",
        )
    return fixed.frame.way.then(placement_way(ct.placement, (_look(),), "own registration"))


@dataclass(frozen=True, slots=True)
class _RegisteredCt:
    """CT and its place on an MR image.

    Attributes:
        where: name of its file or folder in errors.
        frame_uid: frame of reference; empty where it came as NIfTI.
        person: number, name and birth date of its patient, only ever compared.
        placement: outcome of the registration.
    """

    where: Path | str
    frame_uid: str
    person: tuple[str, ...] = field(repr=False)
    placement: Placement


@lru_cache(maxsize=4)
def _registered(image: Path, _changed: int, ct_path: Path, _ct_changed: int) -> _RegisteredCt:
    """Register a CT once for all regions that were drawn on it, as long as neither file changes."""
    from palpate.imaging.registration.planning_ct import register_ct

    ct = read_ct(ct_path)
    say("registering the CT to the MR image")
    return _RegisteredCt(ct.where, ct.frame_uid, ct.person, register_ct(read_nifti(image), ct.volume))


def _no_way(foreign: ForeignFrame, words: str) -> InputError:
    states = "another frame of reference than the session's images" if foreign.frame_uid else "no frame of reference"
    return InputError(
        foreign.where,
        found=f"{states}, {words}",
        expected="a region or dose with a way to the session's images",
        advice=_NO_WAY,
    )


def _not_needed() -> QualityWarning:
    sentence = "The registration that was named is not used: region and session share a frame of reference."
    return QualityWarning(
        "registration-not-needed", sentence, "Leave it out, or check that the region is the right one."
    )


def _unproved() -> QualityWarning:
    sentence = "A transform of ITK names no images: nothing shows that it belongs to this patient, or its direction."
    advice = (
        "Look at the region on the magnitude; where it lies elsewhere, the other image was the fixed one "
        "(registration_fixed)."
    )
    return QualityWarning("registration-unproved", sentence, advice)


def _look() -> QualityWarning:
    sentence = "The CT was registered to the MR image by palpate."
    return QualityWarning("ct-registered", sentence, "Compare the outlines with the MR image before you rely on them.")
