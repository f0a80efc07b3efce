"""`palpate change`: what has changed between two sessions of one person."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

import typer


class Physiology(StrEnum):
    """Whether the variation between two scans of unchanged tissue is in the intervals."""

    ON = "on"
    OFF = "off"


class NamedOrgan(StrEnum):
    """Organ of both sessions."""

    AUTO = "auto"
    BRAIN = "brain"
    LIVER = "liver"
    OTHER = "other"


_ORGANS: Final[dict[NamedOrgan, Literal["brain", "liver", "other"] | None]] = {
    NamedOrgan.AUTO: None,
    NamedOrgan.BRAIN: "brain",
    NamedOrgan.LIVER: "liver",
    NamedOrgan.OTHER: "other",
}


def change(
    session_a: Annotated[Path, typer.Argument(help="Folder of the earlier session, with mre/ and wavefield/.")],
    session_b: Annotated[Path, typer.Argument(help="Folder of the later session of the same person.")],
    labels: Annotated[Path, typer.Option(help="Labels (NIfTI or .mgz) in the world of an elastogram or T1.")],
    out: Annotated[Path, typer.Option(help="Table to write (TSV; kPa and ratios); a JSON record goes beside it.")],
    names: Annotated[
        Path | None,
        typer.Option(help="Names of the labels, as for palpate regions; default: the table beside the labels."),
    ] = None,
    map_folder: Annotated[
        Path | None,
        typer.Option("--map", help="Folder for maps of the change (NIfTI, kPa and ratios) on the voxels of A."),
    ] = None,
    physiology: Annotated[
        Physiology, typer.Option(help="Whether intervals hold what differs between scans of unchanged tissue.")
    ] = Physiology.ON,
    organ: Annotated[
        NamedOrgan, typer.Option(help="Organ, which decides how much scans of unchanged tissue differ.")
    ] = NamedOrgan.AUTO,
) -> None:
    """Write difference (kPa) and ratio of every region between two sessions of one person, with 95 % intervals.

    A difference is session B less session A, a ratio B over A. Intervals hold the posteriors of both sessions, the
    error of the registration between them, voxels at the edges of regions, and what differs between two scans of
    unchanged tissue (published test-retest studies). --physiology off leaves the last out. Density and half of the
    error by fibres are the same in both sessions and cancel. A region counts as changed where the interval of its ratio
    excludes 1; beside it stands what the published rule says (19 % in the liver, 0.14 kPa in the brain).

    Labels lie where their own coordinates say. Sessions of two people, of two organs or without a common frequency
    are refused.
    """
    from palpate.imaging.changes.compare import compare_sessions
    from palpate.progress import say

    found = compare_sessions(
        session_a,
        session_b,
        labels,
        out,
        names=names,
        maps=map_folder,
        organ=_ORGANS[organ],
        physiology=physiology is Physiology.ON,
    )
    rows = [one for pair in found for one in pair.changes]
    changed = sorted({one.name for one in rows if one.change.changed})
    told = f"changed: {', '.join(changed)}" if changed else "no region has changed"
    between = "with" if physiology is Physiology.ON else "without"
    say(f"{len(rows)} rows in {out}, {between} the variation between scans; {told}")
