"""Regions of a finished session: labels, segments, contours and spheres, with their values in each run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from palpate.config.region_choice import split_choice
from palpate.config.regions import RegionsSettings
from palpate.content_digest import digest
from palpate.errors import InputError
from palpate.imaging.anatomy.foreign_frame import GivenRegistration
from palpate.imaging.derived.statistics import medium_of
from palpate.imaging.files.draws import DrawsFile
from palpate.imaging.files.stiffness_folder import StiffnessMaps, read_stiffness
from palpate.imaging.region_values.atlas_regions import AVERAGE, LaidAtlas, lay_atlas
from palpate.imaging.region_values.label_map import LabelMap, read_label_map
from palpate.imaging.region_values.label_names import demand_names, read_label_names
from palpate.imaging.region_values.label_weights import weighted_labels
from palpate.imaging.region_values.patient import patient_warnings
from palpate.imaging.region_values.place import place_of
from palpate.imaging.region_values.quantities import REGION_QUANTITIES
from palpate.imaging.region_values.region_warnings import InformedRegion, region_warnings, step_warnings
from palpate.imaging.region_values.run_regions import RunRegions
from palpate.imaging.region_values.values import region_values
from palpate.imaging.region_values.weights import WeightedRegion, weighted
from palpate.imaging.region_values.worlds import Space, Way, Worlds, worlds_of
from palpate.imaging.regions.binary import is_dicom_file
from palpate.imaging.regions.every import named_apart, read_every_region
from palpate.imaging.regions.read import read_region
from palpate.imaging.regions.region import DrawnRegion
from palpate.imaging.regions.sphere import read_sphere
from palpate.progress import say
from palpate.quality_warning import QualityWarning

type Drawn = LabelMap | tuple[DrawnRegion, ...]

_ALL: Final = 1.0 + 1e-6


@dataclass(frozen=True, slots=True)
class AskedRegions:
    """Regions that a user asks for.

    Attributes:
        labels: file of labels (NIfTI, .mgz), segments (SEG) or contours (RTSTRUCT), where one region is chosen as
            `file#name`; None for none.
        names: table of names by number; None takes one that lies beside the labels.
        spheres: spheres X,Y,Z,RADIUS in millimetres of the elastogram's world (R A S).
        atlas: whether the regions of the average brain are asked for.
        space: world of the regions, where a user names it.
        key: file of the key of pseudonyms; None for the user's own.
        settings: quantities, and uncertainty of registrations.
        registration: file that leads to the frame of reference of the regions; None for none.
        contour_image: CT on which they were drawn, to be registered; None for none.
    """

    labels: Path | None = None
    names: Path | None = None
    spheres: tuple[str, ...] = ()
    atlas: bool = False
    space: Space = "auto"
    key: Path | None = None
    settings: RegionsSettings = field(default_factory=RegionsSettings)
    registration: Path | None = None
    contour_image: Path | None = None

    @property
    def given(self) -> GivenRegistration:
        """Registration or CT that leads to the frame of reference of the regions.

        Raises:
            InputError: a registration and a CT are named.
        """
        return GivenRegistration(self.registration, self.contour_image, self.settings)


def session_regions(session: Path, asked: AskedRegions, wavefield: Path | None = None) -> tuple[RunRegions, ...]:
    """Return the values of regions in each run and frequency of a session.

    Args:
        session: session folder with `mre/` and, where there is one, `wavefield/`; or the folder of stiffness maps.
        asked: regions and quantities.
        wavefield: folder of palpate ingest; None takes that of the session.

    Raises:
        InputError: a file cannot be used, the session has no joint draws, or no region lies on a map.
    """
    mre = session / "mre" if (session / "mre").is_dir() else session
    runs = read_stiffness(mre)
    of_session = mre.parent / "wavefield" if wavefield is None else wavefield
    labels = _read(asked, worlds_of(runs[0], of_session))
    laid: dict[str, LaidAtlas] = {}
    found = []
    for run in runs:
        worlds = worlds_of(run, of_session)
        if asked.atlas and run.label not in laid:
            laid[run.label] = lay_atlas(worlds)
        found.append(_of_run(run, worlds, labels, asked, laid.get(run.label)))
    return tuple(found)


def _read(asked: AskedRegions, worlds: Worlds) -> Drawn | None:
    """Return the labels or regions of a file; None where none is asked for."""
    if asked.labels is None:
        return None
    path, choice = split_choice(asked.labels)
    if path.is_dir():
        raise InputError(
            "--labels",
            found="a folder",
            expected="one file of labels, segments or contours",
            advice="Name the file in it.",
        )
    if not is_dicom_file(path) and not choice:
        return read_label_map(path, asked.names)
    found = (read_region(asked.labels, worlds.slices_mm),) if choice else read_every_region(path, worlds.slices_mm)
    found = named_apart(found)
    if asked.names is None:
        return found
    names = read_label_names(asked.names)
    numbers = [one.number for one in found if one.number is not None]
    demand_names(found[0].where, numbers, names, asked.names)
    return tuple(replace(one, name=names[one.number]) if one.number in names else one for one in found)


def _of_run(
    run: StiffnessMaps, worlds: Worlds, labels: Drawn | None, asked: AskedRegions, laid: LaidAtlas | None
) -> RunRegions:
    draws = run.draws()
    quantities = [REGION_QUANTITIES[key] for key in asked.settings.quantities]
    medium = medium_of(run.stem, run.inversion, run.frequency_hz, draws.density_kg_m3, quantities)
    regions, facts, warnings = _weighted(worlds, draws, labels, asked)
    if laid is not None:
        regions, warnings = [*regions, *laid.weighted(run, draws)], (*warnings, AVERAGE)
    if _overlapping(regions):
        warnings = (*warnings, _overlap())
    inside = [one for one in regions if one.shares.any()]
    if not inside:
        raise InputError(
            run.stem,
            found=f"no voxel of {'the region' if len(regions) == 1 else f'the {len(regions)} regions'} on the map",
            expected="regions that overlap the voxels with a posterior",
            advice="Look at the regions on the map: their coordinates may be those of another scan or space. "
            "A region that is smaller than a quarter of a voxel may touch none of the points of a voxel.",
        )
    outside = tuple(one.name for one in regions if not one.shares.any())
    if outside:
        say(f"{run.stem}: {len(outside)} of {len(regions)} regions lie outside the map and have no value")
    values = region_values(run, draws, inside, quantities, medium)
    shares = {id(one.region): InformedRegion(one.region, one.informed_share) for one in values}
    warnings = (*step_warnings(worlds.ingest, run), *warnings, *region_warnings(tuple(shares.values())))
    places = tuple(place_of(one, draws.voxels, run.affine_mm) for one in inside)
    return RunRegions(run, draws.count, tuple(values), outside, facts, tuple(dict.fromkeys(warnings)), places)


def _weighted(
    worlds: Worlds, draws: DrawsFile, labels: Drawn | None, asked: AskedRegions
) -> tuple[list[WeightedRegion], dict[str, object], tuple[QualityWarning, ...]]:
    """Return every region on the voxels of a run, facts about them, and warnings."""
    run = worlds.run
    regions: list[WeightedRegion] = []
    warnings: list[QualityWarning] = []
    facts: dict[str, object] = {}
    if isinstance(labels, LabelMap):
        way = worlds.way_to(labels, asked.space, asked.key, asked.given)
        regions += weighted_labels(labels, run, draws, way.motion)
        warnings += way.warnings
        facts |= _facts_of(way)
    for one in (*(labels if isinstance(labels, tuple) else ()), *_spheres(asked)):
        way = worlds.way_to(one, asked.space, asked.key, asked.given)
        regions.append(weighted(one, run, draws, way.motion))
        warnings += [*one.warnings, *way.warnings, *patient_warnings(one, worlds.ingest, way.world, asked.key)]
        facts = _facts_of(way) | facts
    if asked.labels is not None:
        facts["labels_digest"] = digest(split_choice(asked.labels)[0])
    return regions, facts, tuple(dict.fromkeys(warnings))


def _facts_of(way: Way) -> dict[str, object]:
    return {"world": way.world} | ({"registration": way.words} if way.words else {})


def _spheres(asked: AskedRegions) -> Iterator[DrawnRegion]:
    yield from (read_sphere(one) for one in asked.spheres)


def _overlapping(regions: list[WeightedRegion]) -> bool:
    """Return whether the shares of a voxel in all regions together exceed the whole voxel."""
    total = sum((one.shares for one in regions), start=0.0 * regions[0].shares)
    return bool(total.max(initial=0.0) > _ALL)


def _overlap() -> QualityWarning:
    sentence = "Regions overlap: a voxel that lies in several counts in each of them."
    return QualityWarning("regions-overlap", sentence, "Their values are not independent; do not add their volumes.")
