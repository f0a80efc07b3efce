"""`palpate override`: another choice that a clinician made than the one shown, with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

override = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Keep, as data, what a clinician chose instead of what was shown, and list what was kept.",
)


@override.command()
def keep(
    results: Annotated[Path, typer.Argument(help="Folder of finished results, with sub-*/ses-*/mre.")],
    form: Annotated[Path, typer.Argument(help="Form, JSON: shown, chosen, ground, reason (docs/overrides.md).")],
    subject: Annotated[str, typer.Option(help="Label of the subject, such as 01.")],
    shown: Annotated[
        Path | None, typer.Option(help="File with the answer that was shown; default: its digest is in the form.")
    ] = None,
    purpose: Annotated[str, typer.Option(help="Purpose of use: care, research, trial or training.")] = "care",
    settings: Annotated[
        str | None,
        typer.Option(help="The serve settings: JSON, or a YAML or JSON file (study, overrides, audit, consent)."),
    ] = None,
) -> None:
    """Keep an override beside the audit trail of palpate serve, and print its digest (SHA-256, 64 digits).

    The form says what was chosen, on which ground and for what reason, in words; the answer that was shown is named by
    its SHA-256. The words stay in the record: neither the terminal nor the audit trail repeats them. Nothing is
    written into the results, and no record is replaced. Research use only.
    """
    from palpate.config.section import parse_settings
    from palpate.config.serve import ServeSettings
    from palpate.progress import say
    from palpate.service.serve.override_command import keep_override

    kept = keep_override(results, subject, form, shown, purpose, parse_settings(ServeSettings, settings))
    say(f"kept, with a line in the audit trail of study {kept.override.study}")
    print(kept.sha256)


@override.command()
def show(
    subject: Annotated[str, typer.Option(help="Label of the subject; default: all.")] = "",
    format: Annotated[str, typer.Option(help="json or csv.")] = "json",  # noqa: A002 - the option's name
    settings: Annotated[
        str | None, typer.Option(help="The serve settings: JSON, or a YAML or JSON file (overrides, audit).")
    ] = None,
) -> None:
    """Print the overrides that were kept, in order of time, as the service lists them.

    In CSV an apostrophe stands before what a spreadsheet would take for a formula. Files that are not as they were kept
    are named as damaged; palpate verify audit --overrides compares all with the audit trail.
    """
    from palpate.config.section import parse_settings
    from palpate.config.serve import ServeSettings
    from palpate.service.serve.override_command import list_overrides, listed_text

    print(listed_text(list_overrides(subject, parse_settings(ServeSettings, settings)), format), end="")
