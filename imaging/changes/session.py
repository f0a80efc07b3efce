"""One of two sessions that are compared: its posterior, what its records say, and the images that place it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.changes.between_scans import Organ
from palpate.imaging.derived.statistics import demand_draws
from palpate.imaging.files.draws import DrawsFile
from palpate.imaging.files.json_object import read_json
from palpate.imaging.files.nifti import Volume, read_nifti, read_volume
from palpate.imaging.files.stiffness_folder import StiffnessMaps, read_stiffness
from palpate.imaging.registration.placement import Placement, not_moved, read_placement
from palpate.system_files import matching

_LABEL: Final = re.compile(r"sub-(?P<subject>[A-Za-z0-9]+)(?:_ses-(?P<session>[A-Za-z0-9]+))?")
_ORGANS: Final[Mapping[str, Organ]] = {
    **dict.fromkeys(("BRAIN", "HEAD", "SKULL", "NEURO", "CEREBELLUM", "BRAINSTEM"), "brain"),
    **dict.fromkeys(("LIVER", "HEPATIC"), "liver"),
}
"""Organ by the DICOM attribute Body Part Examined; regions such as ABDOMEN name no organ."""


@dataclass(frozen=True, slots=True)
class ComparedSession:
    """Session at one frequency.

    Attributes:
        folder: folder of the session.
        run: posterior of the run.
        draws: its joint draws.
        wavefield: wave-field folder; None where the session holds none.
        record: record of ingest; empty where there is none.
        placement: placement of the T1 on the elastogram.
    """

    folder: Path
    run: StiffnessMaps
    draws: DrawsFile
    wavefield: Path | None
    record: Mapping[str, Any]
    placement: Placement

    @property
    def subject(self) -> str:
        """Label of the person; empty where the run's label names none."""
        found = _LABEL.match(self.run.label)
        return found["subject"] if found else ""

    @property
    def session(self) -> str:
        """Label of the session; that of the run where it names none."""
        found = _LABEL.match(self.run.label)
        return (found["session"] or "") if found else self.run.label

    @property
    def centre_mm(self) -> NDArray[np.float64]:
        """Centre of the voxels with draws, world RAS, mm, shape (3,)."""
        affine_mm = self.run.affine_mm
        return np.asarray(affine_mm[:3, :3] @ self.draws.voxels.mean(axis=0) + affine_mm[:3, 3])

    @property
    def body_part(self) -> str:
        """Body part that the scan's headers state; empty where they state none."""
        dicom = self.record.get("dicom")
        return str(dicom.get("BodyPartExamined") or "").upper() if isinstance(dicom, Mapping) else ""

    @property
    def organ(self) -> Organ | None:
        """Organ that the headers state, or that the mask by an atlas of the brain implies; None where unknown."""
        mask = self.record.get("mask")
        by_atlas = isinstance(mask, Mapping) and mask.get("source") == "atlas"
        return "brain" if by_atlas else _ORGANS.get(self.body_part)

    @property
    def frame_uid(self) -> str:
        """Identifier of the frame of reference as the record has it; empty where there is none."""
        dicom = self.record.get("dicom")
        return str(dicom.get("FrameOfReferenceUID") or "") if isinstance(dicom, Mapping) else ""

    @property
    def anatomy_path(self) -> Path | None:
        """T1 whose place on the elastogram is known; None where there is none."""
        found = matching(self.wavefield, "*_T1w.nii.gz") if self.wavefield is not None else ()
        return found[0] if found and self.placement.usable else None

    def anatomy(self) -> Volume | None:
        """Read the T1; None where there is none whose place is known."""
        return None if self.anatomy_path is None else read_volume(self.anatomy_path)

    def magnitude(self) -> Volume | None:
        """Read the magnitude on the voxels of the maps; None where there is none."""
        path = None if self.wavefield is None else self.wavefield / f"{self.run.label}_magnitude.nii.gz"
        if path is None or not path.exists():
            return None
        volume = read_nifti(path)
        return volume if volume.values.shape == self.run.informed.shape else None


def read_session(folder: Path) -> tuple[ComparedSession, ...]:
    """Read the posteriors of a session, one for each frequency.

    Args:
        folder: session folder with `mre/` and, where there is one, `wavefield/`; or its `mre` folder.

    Raises:
        InputError: there are no maps, no draws or too few, or several runs of one frequency.
    """
    runs = read_stiffness(folder)
    for run in runs:
        same = [one.label for one in runs if one.frequency_hz == run.frequency_hz]
        if len(same) > 1:
            raise InputError(
                folder,
                found=f"{len(same)} runs at {run.frequency_hz:g} Hz: {', '.join(same)}",
                expected="one run of each frequency in a session",
                advice="Give each run a session folder of its own, and compare these.",
            )
    return tuple(_compared(folder, run) for run in runs)


def _compared(folder: Path, run: StiffnessMaps) -> ComparedSession:
    draws = run.draws(folder)
    demand_draws(draws.path, draws.count)
    beside = (folder if (folder / "mre").is_dir() else folder.parent) / "wavefield"
    wavefield = beside if beside.is_dir() else None
    record_path = beside / f"{run.label}_ingest.json"
    record = read_json(record_path, record="ingest") if record_path.exists() else {}
    placement = not_moved("assumed") if wavefield is None else read_placement(wavefield, run.label)
    return ComparedSession(folder, run, draws, wavefield, record, placement)


def same_image(first: Volume, second: Volume) -> bool:
    """Return whether two images are one: equal voxels at equal places."""
    return (
        first.values.shape == second.values.shape
        and bool(np.allclose(first.affine_mm, second.affine_mm, rtol=0.0, atol=1e-4))
        and bool(np.array_equal(first.values, second.values))
    )
