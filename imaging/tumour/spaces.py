"""World coordinates of a subject's dates, and the way from the first scan's to those of a treatment's file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from palpate.config.registration import RegistrationSettings
from palpate.errors import InputError
from palpate.imaging.anatomy.foreign_frame import ForeignFrame, GivenRegistration, KnownFrame
from palpate.imaging.anatomy.way_between import way_between, words
from palpate.imaging.deidentify.identifiers import same_identifier
from palpate.imaging.deidentify.key import Key
from palpate.imaging.deidentify.key_file import known_key
from palpate.imaging.files.named_within import named_by
from palpate.imaging.registration.rigid import Rigid
from palpate.imaging.registration.way import FrameWay, same_frame
from palpate.imaging.tumour.treatments import TreatmentRow
from palpate.quality_warning import QualityWarning

_CARRY: Final = (
    "Name a registration of the planning image and a T1 of the subject in the column registration (DICOM Spatial "
    "Registration or ITK transform), or resample the file to a T1 in the planning system; if palpate deidentify wrote "
    "the T1, give its key (ingest.key)."
)


@dataclass(frozen=True, slots=True)
class ImageSpace:
    """World coordinates of one date.

    Attributes:
        motion: motion from the first scan's world to this one; None where they are the same.
        frame_uid: unique identifier of its frame of reference; empty where the files state none.
        uncertainty_mm: uncertainty of the motion, mm; None where it was not measured.
        patient: PatientID of its T1, only ever compared; empty where the files state none.
    """

    motion: Rigid | None
    frame_uid: str = ""
    uncertainty_mm: float | None = None
    patient: str = field(default="", repr=False)

    @property
    def way(self) -> FrameWay:
        """Way from the first scan's world to this one, with the uncertainty of the motion as that of a shift."""
        if self.motion is None:
            return same_frame()
        covariance = np.diag([0.0] * 3 + [(self.uncertainty_mm or 0.0) ** 2 / 3.0] * 3)
        return FrameWay("placement of the T1", self.motion.matrix_mm, self.motion.centre_mm, covariance)


@dataclass(frozen=True, slots=True)
class FileWorld:
    """World of a treatment's file, seen from the first scan's.

    Attributes:
        motion: map from the first scan's world to the file's; None where they are the same.
        note: origin of the map, in a sentence; empty where the file lies in the world of a session.
        warnings: warnings about the map.
    """

    motion: Rigid | FrameWay | None
    note: str = ""
    warnings: tuple[QualityWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class Spaces:
    """World coordinates of all dates of a subject.

    Attributes:
        by_label: world of each session; the first entry is the first scan's.
        key_file: file of the key with which palpate deidentify may have pseudonymised the T1; None for the user's own.
        settings: uncertainty and direction of registrations that the table names.
    """

    by_label: Mapping[str, ImageSpace]
    key_file: Path | None = None
    settings: RegistrationSettings = field(default_factory=RegistrationSettings)

    def of(self, row: TreatmentRow) -> ImageSpace:
        """Return the world that a line's column space names; the first scan's where it is empty.

        Raises:
            InputError: no session of that name has tumour maps.
        """
        name = row.space.removeprefix("ses-") or next(iter(self.by_label))
        if name not in self.by_label:
            raise InputError(
                row.where,
                found=f"space {row.space[:30]!r}",
                expected=f"one of {', '.join(self.by_label)}",
                advice="Name a session with tumour maps.",
            )
        return self.by_label[name]

    def key_for(self, frame_uid: str) -> Key | None:
        """Return the key, where no T1 has a frame of reference as it stands; else nobody needs to have one."""
        alike = any(one.frame_uid == frame_uid for one in self.by_label.values())
        return None if alike or not frame_uid else known_key(self.key_file)

    def proved_by_key(self, frame_uid: str, patient: str) -> bool:
        """Return whether the key shows that a file belongs to a de-identified T1, whose PatientID is a pseudonym."""
        key = self.key_for(frame_uid)
        return key is not None and any(
            same_identifier(one.frame_uid, frame_uid, key) or one.patient == key.pseudonym(patient)
            for one in self.by_label.values()
        )

    def world_of(self, row: TreatmentRow, column: str, foreign: ForeignFrame) -> FileWorld:
        """Return the world of a file that a line names.

        Args:
            row: line of the table of treatments.
            column: column that names the file.
            foreign: frame of reference of the file; without identifier where it is NIfTI.

        Raises:
            InputError: the file lies in another frame of reference, and the line names no usable way to it; or in one
                that several T1 share though the head moved between them, and the line names none of them.
        """
        chosen = [self.of(row)] if row.space else list(self.by_label.values())
        key = self.key_for(foreign.frame_uid)
        fits = [one for one in chosen if same_identifier(one.frame_uid, foreign.frame_uid, key)]
        if fits:
            _demand_one_place(row, column, fits)
            return FileWorld(fits[0].motion, warnings=_not_needed(row))
        if row.registration is not None:
            return self._carried(row, column, foreign, key)
        if not foreign.frame_uid:
            return FileWorld(self.of(row).motion)
        if not any(one.frame_uid for one in self.by_label.values()):
            what = "RTDOSE" if column == "dose_file" else "contours"
            note = f"{what} taken as aligned: no T1 came as DICOM to compare frames of reference"
            return FileWorld(self.of(row).motion, note)
        raise InputError(
            f"{row.where}, column {column}",
            found="a frame of reference that no T1 of the subject has",
            expected="a file planned on one of these images, or carried to it",
            advice=_CARRY,
        )

    def _carried(self, row: TreatmentRow, column: str, foreign: ForeignFrame, key: Key | None) -> FileWorld:
        names = [row.space.removeprefix("ses-")] if row.space else list(self.by_label)
        if row.space:
            self.of(row)
        known = [
            KnownFrame(f"the T1 of ses-{one}", self.by_label[one].frame_uid, self.by_label[one].way) for one in names
        ]
        assert row.registration is not None
        given = GivenRegistration(row.registration, settings=self.settings, key=key or known_key(self.key_file))
        with named_by(f"{row.where}, column registration ({row.registration.name})", row.registration):
            way = way_between(known, foreign, given)
            if way.source == "spatial registration" and not row.space:
                # The file names a frame of reference, which several T1 may share.
                last = {one.frame_uid: one.way for one in known}
                other = way_between([replace(one, way=last[one.frame_uid]) for one in known], foreign, given)
                if not np.allclose(way.matrix_mm, other.matrix_mm):
                    raise _several(row, "registration")
        note = f"line {row.line} of the table of treatments: {column} carried to the first scan by {words(way)}"
        return FileWorld(way, note, way.warnings)


def _demand_one_place(row: TreatmentRow, column: str, fits: Sequence[ImageSpace]) -> None:
    """Refuse a frame of reference that several T1 share, unless the head lay alike: the file may belong to any of them.

    Raises:
        InputError: the head moved between these T1.
    """
    if not all(np.allclose(one.way.matrix_mm, fits[0].way.matrix_mm) for one in fits):
        raise _several(row, column)


def _several(row: TreatmentRow, column: str) -> InputError:
    return InputError(
        f"{row.where}, column {column}",
        found="a frame of reference that the T1 of several sessions share, between which the head moved",
        expected="the session on whose T1 the file was planned",
        advice="Name it in the column space.",
    )


def _not_needed(row: TreatmentRow) -> tuple[QualityWarning, ...]:
    if row.registration is None:
        return ()
    sentence = (
        f"The registration of line {row.line} of the table of treatments is not used: its file lies in the frame "
    )
    return (QualityWarning("registration-not-needed", f"{sentence}of reference of a T1.", "Empty the cell."),)
