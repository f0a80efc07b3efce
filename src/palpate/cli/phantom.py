"""`palpate phantom`: the in-silico patient with known truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def phantom(
    out: Annotated[Path, typer.Option(help="Folder for the study: sessions.tsv, DICOM and truth.")],
    settings: Annotated[str | None, typer.Option(help="The phantom settings: JSON, or a YAML or JSON file.")] = None,
    vendor: Annotated[
        str | None,
        typer.Option(
            help="Format of the MRE: siemens, ge, ge-brain, philips or philips-enhanced; overrides the settings."
        ),
    ] = None,
    patients: Annotated[
        int | None,
        typer.Option(
            min=1, help="Make a cohort of so many patients, who differ in anatomy, stiffness, lesion, waves and noise."
        ),
    ] = None,
    longitudinal: Annotated[
        bool,
        typer.Option("--longitudinal", help="Add a patient with a tumour over time, even if the settings have none."),
    ] = False,
    ranks: Annotated[
        int | None, typer.Option(min=1, help="Number of MPI ranks that must be connected; refuse any other number.")
    ] = None,
) -> None:
    """Make an in-silico patient: MRE and T1 DICOM as from a scanner, with the true stiffness beside them.

    Lengths are mm, moduli kPa, displacements um. The wave solve runs in parallel under `mpiexec -n N palpate phantom`.
    """
    from palpate.config.phantom import PhantomSettings
    from palpate.config.section import parse_settings

    chosen = parse_settings(PhantomSettings, settings)
    if vendor is not None:
        chosen = parse_settings(PhantomSettings, json.dumps(chosen.model_dump(mode="json") | {"vendor": vendor}))
    if longitudinal and chosen.longitudinal is None:
        chosen = parse_settings(PhantomSettings, json.dumps(chosen.model_dump(mode="json") | {"longitudinal": {}}))
    from palpate.solvers.ranks import all_ranks
    from palpate.solvers.virtual_patient import create

    create(out, chosen, patients, comm=all_ranks(ranks))
