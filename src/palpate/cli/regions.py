"""`palpate regions`: a table of the stiffness of labelled, drawn or named regions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from palpate.cli.frame_options import ContourImage, Registration


def regions(
    results: Annotated[
        Path, typer.Argument(help="Session folder with mre/ and wavefield/, or a folder of results with sub-*/ses-*.")
    ],
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Labels: NIfTI or .mgz of whole numbers, DICOM Segmentation (every segment), RT Structure Set (every "
            "ROI); file.dcm#name takes one. For several sessions write {subject} and {session} in the name."
        ),
    ] = None,
    names: Annotated[
        Path | None,
        typer.Option(
            help="Names of the labels: labels.tsv or BIDS dseg.tsv (index, name), or a lookup table of FreeSurfer. "
            "Default: the table beside the labels."
        ),
    ] = None,
    sphere: Annotated[
        list[str] | None,
        typer.Option(help="Sphere X,Y,Z,RADIUS in mm (R A S) of the elastogram's world; may be given several times."),
    ] = None,
    atlas: Annotated[
        bool,
        typer.Option("--atlas", help="Add the halves of an average brain, and grey, white and fluid of each (slow)."),
    ] = False,
    sessions: Annotated[
        Path | None,
        typer.Option(help="Table of sessions: its column labels, or else mask, names the labels of each session."),
    ] = None,
    space: Annotated[
        str,
        typer.Option(
            help="World of the labels: auto, elastogram or t1. auto: by frame of reference, series and voxels."
        ),
    ] = "auto",
    out: Annotated[
        Path | None,
        typer.Option(help="Table to write. Default: regions.tsv in the session, group_regions.tsv in the results."),
    ] = None,
    registration: Registration = None,
    contour_image: ContourImage = None,
    wavefield: Annotated[
        Path | None,
        typer.Option(help="Folder of palpate ingest, with the T1 and its place; default: wavefield in the session."),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Key file that palpate ingest used; default: your own key.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of processes for several sessions; default: the cores.")
    ] = None,
    settings: Annotated[
        str | None, typer.Option(help="The regions settings: JSON, or a YAML or JSON file, such as quantities.")
    ] = None,
) -> None:
    """Write mean, standard deviation and 95 % interval of G', G'', |G*| (kPa) and loss tangent of regions as a table.

    The value of a region is its volume-weighted mean in each joint draw; the interval is that of these means. A voxel
    counts by the share of it that lies inside. Regions on the T1 are carried by the recorded registration, whose error
    is part of the interval. One row for each region and quantity: volume (mL), share that the map covers, informed
    share, draws and Monte-Carlo errors. Regions may overlap. Contours on a planning CT come with --registration or
    --contour-image, whose error (mm) is part of the interval too. A record of the same name, such as regions.json,
    tells the columns and warnings. Other quantities: --settings '{"quantities": ["magnitude", "wave_speed"]}'.

    For a folder of results one table holds every session. Without labels it gathers the regions.tsv of the sessions.
    """
    from palpate.config.regions import RegionsSettings
    from palpate.config.section import parse_settings

    chosen = parse_settings(RegionsSettings, settings)
    from palpate.imaging.region_values.command import RegionsCommand, write_regions
    from palpate.imaging.region_values.worlds import demand_space
    from palpate.progress import say

    command = RegionsCommand(
        results=results,
        labels=labels,
        names=names,
        spheres=tuple(sphere or ()),
        atlas=atlas,
        sessions=sessions,
        space=demand_space(space),
        wavefield=wavefield,
        key=key,
        workers=workers,
        settings=chosen,
        registration=registration,
        contour_image=contour_image,
    )
    written, rows = write_regions(command, out)
    say(f"{rows} rows in {written}")
