"""`palpate config`: settings of a study, their JSON schema, and profiles of the workflow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

config = typer.Typer(
    help="Show a study's settings with their meanings, their JSON schema, or a profile of the workflow."
)

_Section = Annotated[str | None, typer.Option(help="One section alone, such as ingest or inversion.")]


@config.command()
def show(
    path: Annotated[
        Path | None, typer.Argument(metavar="config", help="config.yaml of a study; default: all default settings.")
    ] = None,
    section: _Section = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as --settings of a command takes it.")] = False,
) -> None:
    """Print all settings that are in force as YAML: those of a file, and defaults for keys that it does not set.

    A comment above each key says what it means and in which unit. The output is a valid config.yaml.
    """
    from palpate.config.listing import settings_text

    print(settings_text(path, section, as_json=as_json))


@config.command()
def schema(section: _Section = None) -> None:
    """Print the JSON schema of config.yaml, for editors and other programs: keys, types, bounds and meanings."""
    from palpate.config.listing import schema_text

    print(schema_text(section))


@config.command()
def profile(name: Annotated[str, typer.Argument(help="local or slurm.")]) -> None:
    """Print a profile of the workflow, to be adapted: cores, memory, launcher, partition and account.

    Write it to config.yaml in a folder of its own, and name that folder: `palpate run --profile FOLDER`.
    """
    from palpate.pipeline.places import profile_text

    print(profile_text(name), end="")
