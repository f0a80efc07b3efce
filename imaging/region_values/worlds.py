"""World in which regions were drawn, the elastogram's or the T1's, and the way from the elastogram to it.

Regions lie where their own world coordinates say. A file on the voxels of the elastogram lies in its world; one on the
voxels of the T1 in that of the T1, from which the recorded registration leads to the elastogram. Other NIfTI files are
taken to be drawn on the T1 where the session has one, as segmentations of brains are. DICOM files state a frame of
reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.deidentify.identifiers import recorded_identifiers, same_identifier
from palpate.imaging.deidentify.key_file import known_key
from palpate.imaging.files.json_object import read_json
from palpate.imaging.files.nifti import read_grid, read_volume
from palpate.imaging.files.stiffness_folder import StiffnessMaps
from palpate.imaging.region_values.atlas_regions import LaidAtlas, lay_atlas
from palpate.imaging.region_values.label_map import LabelMap
from palpate.imaging.region_values.motion import UncertainMotion, motion_to_anatomy
from palpate.imaging.regions.region import DrawnRegion
from palpate.imaging.registration.placement import Placement, not_moved, placement_warnings, read_placement
from palpate.quality_warning import QualityWarning
from palpate.system_files import matching

type World = Literal["elastogram", "t1"]
type Space = Literal["auto"] | World

_CARRY: Final = (
    "Draw the regions on images of the same examination, or carry them there and export them again; where one of the "
    "two was pseudonymised, do the same with the other, or name its key with --key."
)


@dataclass(frozen=True, slots=True)
class Worlds:
    """Worlds of a run.

    Attributes:
        run: posterior of the run.
        anatomy: affine of the T1, voxel indices to world RAS millimetres, shape (4, 4), and its shape; None where the
            session has none.
        placement: placement of the T1 on the elastogram.
        ingest: record of ingest; empty where there is none.
        image: T1 whose place is known, or else the magnitude; None where there is neither.
    """

    run: StiffnessMaps
    anatomy: tuple[NDArray[np.float64], tuple[int, ...]] | None
    placement: Placement
    ingest: Mapping[str, Any]
    image: Path | None = None

    def lay_atlas(self) -> LaidAtlas:
        """Return the atlas of the brain laid on the T1, or on the magnitude where there is no T1.

        Raises:
            InputError: the session has neither, or the atlas cannot be laid on it.
        """
        if self.image is None:
            raise InputError(
                self.run.label,
                found="neither a T1 whose place is known nor a magnitude",
                expected="an image of the head, on which the atlas can be laid",
                advice="Run palpate ingest with the T1 of the visit, or name labels with --labels.",
            )
        on_anatomy = self.image.name.endswith("_T1w.nii.gz")
        return lay_atlas(
            read_volume(self.image), self.run.label, self.placement if on_anatomy else not_moved("aligned")
        )

    @property
    def slices_mm(self) -> NDArray[np.float64]:
        """Affine of the images whose slices contours on a single plane may have been drawn on, shape (4, 4)."""
        return self.run.affine_mm if self.anatomy is None else self.anatomy[0]

    def way_to(self, drawn: LabelMap | DrawnRegion, space: Space = "auto", key: Path | None = None) -> Way:
        """Return the way from the elastogram to the world in which labels or a region were drawn.

        Args:
            drawn: labels or region.
            space: the world, where a user names it.
            key: file of the key that may have made identifiers of the record; None for the user's own.

        Raises:
            InputError: the frame of reference is another one, the session has no T1, or its place is not known.
        """
        world, warnings = self._world_of(drawn, space, key)
        if world == "elastogram":
            return Way("elastogram", None, warnings)
        if self.anatomy is None or not self.placement.usable:
            raise InputError(
                drawn.where,
                found="regions on the T1, "
                + (
                    "which the session does not have"
                    if self.anatomy is None
                    else "whose place on the elastogram is not known"
                ),
                expected="a T1 that was laid on the elastogram",
                advice="Draw them on the elastogram's magnitude, or run palpate ingest with the T1 of the visit.",
            )
        known = () if self.placement.uncertainty_mm is not None else (_unmeasured(),)
        told = (*warnings, *placement_warnings(self.placement), *known)
        return Way("t1", motion_to_anatomy(self.placement), told)

    def _world_of(
        self, drawn: LabelMap | DrawnRegion, space: Space, key: Path | None
    ) -> tuple[World, tuple[QualityWarning, ...]]:
        if isinstance(drawn, DrawnRegion) and drawn.kind in ("SEG", "RTSTRUCT"):
            return self._world_of_frame(drawn, space, key)
        if space != "auto":
            return space, ()
        sphere = isinstance(drawn, DrawnRegion) and drawn.kind == "sphere"
        own = drawn.on_grid(self.run.affine_mm, self.run.informed.shape)
        return "elastogram" if sphere or own or self.anatomy is None else "t1", ()

    def _world_of_frame(
        self, region: DrawnRegion, space: Space, key: Path | None
    ) -> tuple[World, tuple[QualityWarning, ...]]:
        """Return the world of a region whose file states a frame of reference."""
        frames = {"elastogram": self.frame_uid, "t1": self.anatomy_frame_uid}
        known = recorded_identifiers(self.ingest).status == "pseudonymised" and region.frame_uid not in frames.values()
        used = known_key(key) if known else None
        fits = [world for world, frame in frames.items() if same_identifier(region.frame_uid, frame, used)]
        if not fits and (not region.frame_uid or any(frames.values())):
            raise InputError(
                region.where,
                found="another frame of reference than the session's images"
                if region.frame_uid
                else "no frame of reference",
                expected="regions in the frame of reference of the elastogram or the T1",
                advice=_CARRY,
            )
        told = () if fits else (_unstated(),)
        on_anatomy = self.anatomy is not None and region.on_grid(*self.anatomy)
        if space == "auto":
            space = "t1" if fits == ["t1"] or on_anatomy else "elastogram"
        return space, told

    @property
    def frame_uid(self) -> str:
        """Frame of reference of the elastogram, as the record has it; empty where it states none."""
        return _frame_of(self.ingest.get("dicom"))

    @property
    def anatomy_frame_uid(self) -> str:
        """Frame of reference of the T1, as the record has it; empty where it states none."""
        anatomy = self.ingest.get("anatomy")
        if self.anatomy is None or not isinstance(anatomy, Mapping):
            return ""
        # Records of older versions state only whether it is the elastogram's.
        shared = self.frame_uid if anatomy.get("same_frame_of_reference") is True else ""
        return _frame_of(anatomy.get("dicom")) or shared


@dataclass(frozen=True, slots=True)
class Way:
    """Way from the elastogram to the world of regions.

    Attributes:
        world: the world in which they were drawn.
        motion: motion of points of the elastogram to it; None where it is the elastogram's own.
        warnings: warnings about the way.
    """

    world: World
    motion: UncertainMotion | None
    warnings: tuple[QualityWarning, ...]


def worlds_of(run: StiffnessMaps, wavefield: Path) -> Worlds:
    """Return the worlds of a run.

    Args:
        run: posterior of the run.
        wavefield: folder of palpate ingest; it need not exist.

    Raises:
        InputError: the T1, or the record of its place, cannot be read.
    """
    images = matching(wavefield, "*_T1w.nii.gz") if wavefield.is_dir() else []
    record = wavefield / f"{run.label}_ingest.json"
    placement = read_placement(wavefield, run.label)
    magnitude = wavefield / f"{run.label}_magnitude.nii.gz"
    usable = [*(images[:1] if placement.usable else []), *([magnitude] if magnitude.exists() else [])]
    return Worlds(
        run=run,
        anatomy=read_grid(images[0]) if images else None,
        placement=placement,
        ingest=read_json(record, record="ingest") if record.exists() else {},
        image=usable[0] if usable else None,
    )


def _frame_of(identifiers: object) -> str:
    return str(identifiers.get("FrameOfReferenceUID") or "") if isinstance(identifiers, Mapping) else ""


def _unmeasured() -> QualityWarning:
    sentence = "Nobody measured how well the T1 lies on the elastogram, so that intervals of regions do not hold it."
    return QualityWarning("region-place-unmeasured", sentence, "Compare the T1 with the magnitude image in a viewer.")


def _unstated() -> QualityWarning:
    sentence = "The elastogram states no frame of reference: nothing shows that the regions lie in its coordinates."
    return QualityWarning("region-frame-unknown", sentence, "Look at the regions on the magnitude.")
