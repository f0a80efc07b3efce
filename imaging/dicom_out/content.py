"""Everything that is written on one grid of images, and the one place where it becomes DICOM files.

Names of files, `<name>` being run, frequency and grid:

    <name>_stat-<statistic>_<quantity>/0001.dcm, ...   MR series, one file a slice, stored value in pascal
    <name>_stat-<statistic>_<quantity>.dcm             float Parametric Map
    <name>_desc-regions_{rtstruct,seg}.dcm             regions
    <name>_desc-regions_sr.dcm                         report of their figures
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from palpate.config.maps import Kind
from palpate.imaging.dicom_out.dicom_source import DicomSource
from palpate.imaging.dicom_out.image_grid import ImageGrid
from palpate.imaging.dicom_out.measurement_report import ReportFacts, write_measurement_report
from palpate.imaging.dicom_out.mr_series import LARGEST, WrittenSeries, write_mr_series
from palpate.imaging.dicom_out.object_header import ObjectText, content_digest
from palpate.imaging.dicom_out.parametric_map import write_parametric_map
from palpate.imaging.dicom_out.quantities import SEGMENTATION_SERIES, STRUCTURES_SERIES, DicomQuantity
from palpate.imaging.dicom_out.region_masks import RegionMask
from palpate.imaging.dicom_out.report_place import RegionPlace, SegmentPlace, outline_place
from palpate.imaging.dicom_out.report_regions import ReportRegion
from palpate.imaging.dicom_out.segmentation import write_segmentation
from palpate.imaging.dicom_out.structure_set import write_structure_set
from palpate.imaging.files.maps import Map
from palpate.quality_warning import QualityWarning

type RegionWriter = Callable[[Path, Sequence[RegionMask], ImageGrid, ObjectText], None]
"""Function that writes regions on a grid as one object."""

REGION_KINDS: Final[tuple[Kind, ...]] = ("rtstruct", "seg", "sr")
"""Kinds of objects about regions."""
_REGION_WRITERS: Final[tuple[tuple[Kind, int, RegionWriter], ...]] = (
    ("rtstruct", STRUCTURES_SERIES, write_structure_set),
    ("seg", SEGMENTATION_SERIES, write_segmentation),
)
_RESEARCH: Final = "Research software, not a medical device."


class ReportedFigures(Protocol):
    """Figures of a region for the report."""

    @property
    def name(self) -> str:
        """Name of the region."""
        ...

    @property
    def comments(self) -> tuple[str, ...]:
        """Sentences about the region for the reader."""
        ...

    def reported(self, place: RegionPlace) -> ReportRegion:
        """Return the region as the report states it.

        Args:
            place: place of the region on the images of the report.
        """
        ...


@dataclass(frozen=True, slots=True)
class ImageContent:
    """Map to be written as an image.

    Attributes:
        name: name of file or folder, without ending.
        the_map: values in the quantity's unit, NaN where there is none; for an MR series on the planes of the grid.
        quantity: quantity that the values represent.
        description: description of the series, at most 64 characters.
    """

    name: str
    the_map: Map
    quantity: DicomQuantity
    description: str


@dataclass(frozen=True, slots=True)
class GridContent:
    """Content of one run, or of one day of a forecast, on one grid.

    Attributes:
        grid: planes of the images, with identity.
        stem: run, and frequency or day where there are several, for names of files.
        title: run and frequency, or day, in words, for descriptions of series.
        made: time at which the content was computed.
        series: maps for MR series.
        maps: maps for Parametric Maps.
        regions: regions on the planes of the grid, each with a voxel at least.
        figures: figures of regions by their names, for the report.
        source: scan that everything was computed from; None where it was no DICOM.
        remarks: sentences about the values for the comments of images.
        no_regions: sentence why there is no region, where there ought to be one; empty where not.
        no_figures: sentence why there are no figures of regions, where there are none.
    """

    grid: ImageGrid
    stem: str
    title: str
    made: datetime
    series: tuple[ImageContent, ...] = ()
    maps: tuple[ImageContent, ...] = ()
    regions: tuple[RegionMask, ...] = ()
    figures: tuple[ReportedFigures, ...] = ()
    source: DicomSource | None = None
    remarks: tuple[str, ...] = ()
    no_regions: str = ""
    no_figures: str = ""


@dataclass(frozen=True, slots=True)
class WrittenObject:
    """File, or folder of a series, that was written.

    Attributes:
        kind: kind of object.
        path: the file or folder.
        words: content in words.
    """

    kind: Kind
    path: Path
    words: str


@dataclass(slots=True)
class ExportOutcome:
    """Outcome of an export: objects, kinds that were left out, and warnings.

    Attributes:
        written: objects.
        not_written: reasons by kind, each with the run or day, as entries of the record.
        warnings: warnings about what was written.
    """

    written: list[WrittenObject] = field(default_factory=list)
    not_written: list[dict[str, str]] = field(default_factory=list)
    warnings: list[QualityWarning] = field(default_factory=list)

    def leave_out(self, kinds: Collection[str], stem: str, reason: str) -> None:
        """Record why kinds are not written for a run or day."""
        self.not_written += [{"kind": kind, "of": stem, "reason": reason} for kind in kinds]


def write_content(folder: Path, content: GridContent, kinds: Collection[Kind], export: ExportOutcome) -> None:
    """Write the objects of some kinds that a grid's content gives.

    Args:
        folder: folder to write in; the caller makes sure that no partial one is left.
        content: the content.
        kinds: kinds that are asked for.
        export: record that is added to.
    """
    if "mr" in kinds:
        found = [_write_series(folder, content, one, export) for one in content.series]
        if found and not content.grid.images:
            # Viewers draw regions on a series that has their planes.
            content = replace(content, grid=_on_series(content.grid, found[0]))
    if "pm" in kinds:
        export.written += [_write_map(folder, content, one) for one in content.maps]
    if content.regions:
        export.written += _write_regions(folder, content, kinds)
        if "seg" in kinds:
            export.warnings += [one for one in _misread(content.grid) if one not in export.warnings]
        if "sr" in kinds:
            _write_report(folder, content, kinds, export)
    elif content.no_regions:
        name = content.grid.named(content.stem)
        export.leave_out([kind for kind in REGION_KINDS if kind in kinds], name, content.no_regions)


def _on_series(grid: ImageGrid, found: WrittenSeries) -> ImageGrid:
    """Return a grid of which no image is known with those of a series that was written on it."""
    first = found.images[0]
    source = replace(
        grid.identity.source,
        series_instance_uid=found.series_uid,
        sop_instance_uid=first.sop_instance_uid,
        sop_class_uid=first.sop_class_uid,
    )
    return replace(grid, identity=replace(grid.identity, source=source), images=found.images)


def _write_series(folder: Path, content: GridContent, image: ImageContent, export: ExportOutcome) -> WrittenSeries:
    values, grid = image.the_map.values, content.grid
    path = folder / image.name
    base = _digest(content, image.quantity.code, image.description, np.ascontiguousarray(values).tobytes())
    text = ObjectText(grid.identity, image.description, image.quantity.series_number, content.made, base)
    found = write_mr_series(path, values, grid, image.quantity, text, remarks=content.remarks, source=content.source)
    if found.clipped:
        export.warnings.append(_clipped(image, found.clipped))
    export.written.append(WrittenObject("mr", path, image.quantity.meaning))
    return found


def _clipped(image: ImageContent, count: int) -> QualityWarning:
    scale = image.quantity.stored
    unit = image.quantity.unit.value
    sentence = (
        f"{image.name}: {count} voxels exceed what 16 bits hold; the MR series stores {LARGEST} for them, which means "
        f"{LARGEST / scale.per_unit:.4g} {unit} or more."
    )
    advice = "Take their values from the Parametric Map or the NIfTI; check whether they lie in tissue."
    return QualityWarning("above-16-bits", sentence, advice)


def _write_map(folder: Path, content: GridContent, image: ImageContent) -> WrittenObject:
    path = folder / f"{image.name}.dcm"
    write_parametric_map(
        path,
        image.the_map,
        image.quantity,
        content.grid.identity,
        description=image.description,
        made=content.made,
    )
    return WrittenObject("pm", path, image.quantity.meaning)


def _write_regions(folder: Path, content: GridContent, kinds: Collection[Kind]) -> Iterator[WrittenObject]:
    """Write structure set and segmentation of the same regions."""
    name = f"{content.grid.named(content.stem)}_desc-regions"
    words = ", ".join(one.name for one in content.regions)
    for kind, number, write in _REGION_WRITERS:
        if kind in kinds:
            path = folder / f"{name}_{kind}.dcm"
            write(path, content.regions, content.grid, _regions_text(content, kind, number))
            yield WrittenObject(kind, path, words)


def _misread(grid: ImageGrid) -> tuple[QualityWarning, ...]:
    """Return the warning that viewers misplace the segments, where frames of one bit a pixel begin within a byte."""
    columns, rows, _ = grid.shape
    if columns * rows % 8 == 0:
        return ()
    sentence = (
        f"The segmentation has {columns} columns and {rows} rows, whose product is no multiple of 8: OHIF up to 3.13 "
        "and some other viewers draw its segments torn, although it keeps to the standard."
    )
    return (
        QualityWarning("segments-torn", sentence, "Look at the structure set there, which holds the same regions."),
    )


def _write_report(folder: Path, content: GridContent, kinds: Collection[Kind], export: ExportOutcome) -> None:
    """Write the report of the regions' figures, which names segments where a segmentation is written, else outlines."""
    named = {one.name: (number, one) for number, one in enumerate(content.regions, start=1)}
    told = [one for one in content.figures if one.name in named]
    path = folder / f"{content.grid.named(content.stem)}_desc-regions_sr.dcm"
    if not told:
        export.leave_out(["sr"], content.grid.named(content.stem), content.no_figures)
        return
    text = _regions_text(content, "seg", SEGMENTATION_SERIES)
    regions = []
    for one in told:
        number, region = named[one.name]
        place: RegionPlace = SegmentPlace(str(text.uid("instance", 1)), str(text.uid("series")), number)
        if "seg" not in kinds:
            place = outline_place(region.mask.astype(np.float64), region.affine_mm)
        regions.append(one.reported(place))
    comments = (_RESEARCH, *content.remarks, *(comment for one in told for comment in one.comments))
    facts = ReportFacts(f"Figures of regions {content.title}"[:64], content.made, comments)
    write_measurement_report(path, regions, content.grid.identity, facts)
    export.written.append(WrittenObject("sr", path, ", ".join(one.name for one in told)))


def _regions_text(content: GridContent, kind: Kind, number: int) -> ObjectText:
    """Return words and identifiers of an object that holds the regions."""
    masks = [(one.name, one.words, np.packbits(one.mask).tobytes()) for one in content.regions]
    base = _digest(content, kind, masks)
    return ObjectText(content.grid.identity, f"Regions {content.title}", number, content.made, base)


def _digest(content: GridContent, *parts: object) -> str:
    """Return the digest that identifiers of an object on this grid follow from."""
    grid = content.grid
    return content_digest(grid.identity.source, grid.shape, grid.affine_mm.tobytes(), content.title, *parts)
