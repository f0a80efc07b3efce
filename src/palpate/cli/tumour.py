"""`palpate tumour`: from a subject's dated images and treatments to one history."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer


def tumour(
    sessions: Annotated[Path, typer.Argument(help="The table of sessions, sessions.tsv.")],
    subject: Annotated[str, typer.Option(help="Label of the subject, without sub-.")],
    out: Annotated[Path, typer.Option(help="HDF5 file to write; an interrupted run leaves no partial file.")],
    drug: Annotated[
        list[str] | None, typer.Option(help="Drug that the configuration describes; repeat for each; default: any.")
    ] = None,
    stiffness: Annotated[
        Path | None, typer.Option(help="Folder of palpate invert (kPa), whose draws are carried to the tumour's grid.")
    ] = None,
    stiffness_session: Annotated[str, typer.Option(help="Session whose elastogram gave --stiffness.")] = "",
    key: Annotated[
        Path | None,
        typer.Option(help="Key file with which palpate deidentify wrote the T1, for an RTDOSE; default: your own key."),
    ] = None,
    box_mm: Annotated[
        float,
        typer.Option(
            help="Edge of the boxes on which displacement will be computed (twin.displacement_box_mm), mm; 0 for a "
            "twin without mechanics.",
            min=0.0,
        ),
    ] = 9.0,
    voxel_mm: Annotated[
        float, typer.Option(help="Edge to which the twin will average voxels (twin.voxel_mm), mm.", min=0.1)
    ] = 3.0,
    settings: Annotated[str | None, typer.Option(help="The tumour settings: JSON, or a YAML or JSON file.")] = None,
) -> None:
    """Read a tumour's maps of every date (cellularity 0..1, or ADC in mm2/s), regions, dose (Gy) and drugs (mg).

    Everything is put on the grid of the first scan. Days count from it, and no date is kept. Later dates are registered
    to the first by their T1 images where both have one. At least two dates are needed. docs/longitudinal.md describes
    the table and the folders. A JSON file beside the output lists what was read: courses of radiotherapy, doses of
    drugs, notes and warnings.
    """
    from palpate.config.section import parse_settings
    from palpate.config.study import read_study
    from palpate.config.tumour import TumourSettings
    from palpate.outputs import claim_file
    from palpate.progress import say

    chosen = parse_settings(TumourSettings, settings)
    from palpate.imaging.tumour.head import demand_head
    from palpate.imaging.tumour.history_file import HISTORY, write_history_with_record
    from palpate.imaging.tumour.reading import read_tumour
    from palpate.imaging.tumour.record import HISTORY_RECORD, record_beside

    inputs = {"table of sessions": sessions, "stiffness": stiffness, "key": key}
    claim_file(out, HISTORY, inputs)
    claim_file(record_beside(out), HISTORY_RECORD, inputs)
    study = read_study(sessions)
    of_subject = [path for one in study if one.subject == subject for path in one.paths]
    claim_file(out, HISTORY, {f"{number} of the table": path for number, path in enumerate(of_subject)})
    found = read_tumour(
        study,
        subject,
        chosen,
        table=sessions,
        drugs=None if drug is None else {one.lower() for one in drug},
        stiffness=None if stiffness is None else (stiffness_session, stiffness),
        key_file=key,
    )
    history, remarks = found.history, found.remarks
    if box_mm > 0.0:
        where = f"tumour images of sub-{subject}"
        small = demand_head(where, history.tissue, history.edges_mm, box_mm, voxel_mm)
        remarks = replace(remarks, warnings=(*remarks.warnings, *small))
        for warning in small:
            say(f"sub-{subject}: WARNING: {warning}")
    write_history_with_record(out, history, remarks)
    say(
        f"sub-{subject}: {len(history.scans)} scans, {len(history.irradiations)} fractions, "
        f"{len(history.drug_doses)} doses of drugs, {len(history.surgeries)} resections in {out}"
    )
