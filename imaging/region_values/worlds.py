"""World in which regions were drawn, the elastogram's, the T1's or another, and the way from the elastogram to it.

Regions lie where their own world coordinates say. A file on the voxels of the elastogram lies in its world; one on the
voxels of the T1 in that of the T1, from which the recorded registration leads to the elastogram. Other NIfTI files are
taken to be drawn on the T1 where the session has one, as segmentations of brains are.
DICOM files state a frame of reference. Where T1 and elastogram share it, the series that the file names and its voxels
or planes tell on which of them it was drawn; where nothing tells, it is refused. Spheres lie in the elastogram's world.
Into any other world, such as a planning CT's, leads a registration or a CT that the user names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.anatomy.foreign_frame import ForeignFrame, GivenRegistration, of_region
from palpate.imaging.anatomy.session_frames import SessionFrames, session_frames
from palpate.imaging.anatomy.way_between import words
from palpate.imaging.deidentify.identifiers import recorded_identifiers, same_identifier
from palpate.imaging.deidentify.key import Key
from palpate.imaging.deidentify.key_file import known_key
from palpate.imaging.files.json_object import read_json
from palpate.imaging.files.nifti import read_grid
from palpate.imaging.files.stiffness_folder import StiffnessMaps
from palpate.imaging.region_values.drawn_on import SessionImage, World, drawn_on
from palpate.imaging.region_values.motion import UncertainMotion, motion_to_anatomy
from palpate.imaging.region_values.way_motion import motion_by
from palpate.imaging.regions.region import DrawnRegion
from palpate.imaging.registration.placement import Placement, placement_warnings, read_placement
from palpate.imaging.registration.way import FrameWay
from palpate.quality_warning import QualityWarning
from palpate.system_files import matching

if TYPE_CHECKING:
    from palpate.imaging.region_values.label_map import LabelMap

type Space = Literal["auto"] | World
type NamedWorld = World | Literal["other"]

_OF_SESSION: Final = ("same frame of reference", "placement of the T1")
"""Sources of ways that need nothing that a user names."""
_CARRY: Final = (
    "Name a registration (--registration) or the CT on which they were drawn (--contour-image), or draw them on images "
    "of the same examination; where one of the two was pseudonymised, do the same with the other, or name its key with "
    "--key."
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
        frames: frames of reference of the session, from which a registration that a user names leads to others.
        image: T1 whose place is known, or else the magnitude; None where there is neither.
    """

    run: StiffnessMaps
    anatomy: tuple[NDArray[np.float64], tuple[int, ...]] | None
    placement: Placement
    ingest: Mapping[str, Any]
    frames: SessionFrames
    image: Path | None = None

    @property
    def slices_mm(self) -> NDArray[np.float64]:
        """Affine of the images whose slices contours on a single plane may have been drawn on, shape (4, 4)."""
        return self.run.affine_mm if self.anatomy is None else self.anatomy[0]

    def way_to(
        self,
        drawn: LabelMap | DrawnRegion,
        space: Space = "auto",
        key: Path | None = None,
        given: GivenRegistration | None = None,
    ) -> Way:
        """Return the way from the elastogram to the world in which labels or a region were drawn.

        Args:
            drawn: labels or region.
            space: the world, where a user names it.
            key: file of the key that may have made identifiers of the record; None for the user's own.
            given: registration or CT that the user names to carry regions of another world; None for none.

        Raises:
            InputError: the frame of reference is another one to which no way leads, nothing tells on which image of the
                session a region was drawn, the session has no T1, or its place is not known.
        """
        if isinstance(drawn, DrawnRegion) and drawn.kind == "sphere":
            return Way("elastogram", None, ())
        unused: tuple[QualityWarning, ...] = ()
        if given is not None and given.named:
            foreign = of_region(drawn) if isinstance(drawn, DrawnRegion) else ForeignFrame(drawn.where, "")
            way = self.frames.way_to(foreign, replace(given, key=self._key_for(drawn, key)))
            if way.source not in _OF_SESSION:
                _demand_no_space(space)
                return Way("other", motion_by(way), way.warnings, words(way), way)
            unused = tuple(one for one in way.warnings if one.code == "registration-not-needed")
        world, warnings = self._world_of(drawn, space, key)
        warnings = (*warnings, *unused)
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
        own = drawn.on_grid(self.run.affine_mm, self.run.informed.shape)
        return "elastogram" if own or self.anatomy is None else "t1", ()

    def _world_of_frame(
        self, region: DrawnRegion, space: Space, key: Path | None
    ) -> tuple[World, tuple[QualityWarning, ...]]:
        """Return the world of a region whose file states a frame of reference."""
        frames: dict[World, str] = {"elastogram": self.frame_uid, "t1": self.anatomy_frame_uid}
        used = self._key_for(region, key)
        fits: list[World] = [world for world, frame in frames.items() if same_identifier(region.frame_uid, frame, used)]
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
        possible = self._possible(fits)
        if space != "auto":
            if space not in possible and self.anatomy is not None:
                raise _contradicted(region, possible[0])
            return space, told
        found = possible[0] if len(possible) == 1 else drawn_on(region, self._images, used)
        if found is None and (self.placement.moves or not self.placement.usable):
            raise _untold(region)
        return found or "elastogram", told

    def _possible(self, fits: Sequence[World]) -> tuple[World, ...]:
        """Return the worlds in which a region may lie, from those whose frame of reference is known to be its own."""
        if self.anatomy is None:
            return ("elastogram",)
        anatomy = self.ingest.get("anatomy")
        apart = isinstance(anatomy, Mapping) and anatomy.get("same_frame_of_reference") is False
        if len(fits) == 1 and (fits[0] == "t1" or self.anatomy_frame_uid or apart):
            return (fits[0],)
        # A T1 that came as NIfTI states no frame of reference: its DICOM files may have had the region's.
        return ("elastogram", "t1")

    @property
    def _images(self) -> tuple[SessionImage, ...]:
        """Images on which a region in the frame of reference of both may have been drawn."""
        recorded = self.ingest.get("anatomy")
        of_t1 = recorded.get("dicom") if isinstance(recorded, Mapping) else None
        series = _identifier(self.ingest.get("dicom"), "SeriesInstanceUID")
        elastogram = SessionImage("elastogram", self.run.affine_mm, self.run.informed.shape, series)
        if self.anatomy is None:
            return (elastogram,)
        return elastogram, SessionImage("t1", *self.anatomy, _identifier(of_t1, "SeriesInstanceUID"))

    def _key_for(self, drawn: LabelMap | DrawnRegion, key: Path | None) -> Key | None:
        """Return the key, where identifiers are pseudonyms and none is a region's as it stands."""
        uid = drawn.frame_uid if isinstance(drawn, DrawnRegion) else ""
        pseudonyms = recorded_identifiers(self.ingest).status == "pseudonymised"
        return known_key(key) if pseudonyms and uid not in (self.frame_uid, self.anatomy_frame_uid) else None

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
        world: the world in which they were drawn, "other" where a user names a way to it.
        motion: motion of points of the elastogram to it; None where it is the elastogram's own.
        warnings: warnings about the way.
        words: words for the way to another world and its error; empty for the worlds of the session.
        by: way that a user names to another world; None for the worlds of the session.
    """

    world: NamedWorld
    motion: UncertainMotion | None
    warnings: tuple[QualityWarning, ...]
    words: str = ""
    by: FrameWay | None = None


def demand_space(given: str) -> Space:
    """Return the world that a user names.

    Raises:
        InputError: there is no such world.
    """
    known: tuple[Space, ...] = ("auto", *get_args(World.__value__))
    found = next((one for one in known if one == given.strip().casefold()), None)
    if found is None:
        expected, advice = f"one of {', '.join(known)}", "Leave --space out for auto."
        raise InputError("--space", found=repr(given[:40]), expected=expected, advice=advice)
    return found


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
    ingest = read_json(record, record="ingest") if record.exists() else {}
    placement = read_placement(wavefield, run.label)
    magnitude = wavefield / f"{run.label}_magnitude.nii.gz"
    usable = [*(images[:1] if placement.usable else []), *([magnitude] if magnitude.exists() else [])]
    return Worlds(
        run=run,
        anatomy=read_grid(images[0]) if images else None,
        placement=placement,
        ingest=ingest,
        frames=session_frames(wavefield, run.label, ingest),
        image=usable[0] if usable else None,
    )


def _frame_of(identifiers: object) -> str:
    return _identifier(identifiers, "FrameOfReferenceUID")


def _identifier(identifiers: object, name: str) -> str:
    return str(identifiers.get(name) or "") if isinstance(identifiers, Mapping) else ""


def _demand_no_space(space: Space) -> None:
    """Refuse a world of the session beside a way to another one."""
    if space != "auto":
        raise InputError(
            "--space",
            found=f"{space} beside --registration or --contour-image, which say where the regions lie",
            expected="one of them",
            advice="Leave --space out, or the registration if the regions lie in the session's own coordinates.",
        )


def _contradicted(region: DrawnRegion, world: World) -> InputError:
    own, other = ("the T1", "elastogram") if world == "t1" else ("the elastogram", "t1")
    return InputError(
        region.where,
        found=f"the frame of reference of {own} alone, against --space {other}",
        expected="the world that the file states",
        advice="Leave --space out.",
    )


def _untold(region: DrawnRegion) -> InputError:
    return InputError(
        region.where,
        found="regions of which neither series nor voxels or planes tell whether they were drawn on the T1 or on the "
        "elastogram, which share a frame of reference though the patient may have moved between them",
        expected="regions on the voxels or slices of one of them",
        advice="Say on which they were drawn with --space t1 or --space elastogram.",
    )


def _unmeasured() -> QualityWarning:
    sentence = "Nobody measured how well the T1 lies on the elastogram, so that intervals of regions do not hold it."
    return QualityWarning("region-place-unmeasured", sentence, "Compare the T1 with the magnitude image in a viewer.")


def _unstated() -> QualityWarning:
    sentence = "The elastogram states no frame of reference: nothing shows that the regions lie in its coordinates."
    return QualityWarning("region-frame-unknown", sentence, "Look at the regions on the magnitude.")
