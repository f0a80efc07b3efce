"""Record beside a folder of DICOM objects: what was written, what could not be and why. It names no patient."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from palpate.imaging.dicom_out.content import Export
from palpate.output_kinds import FileKind, json_kind
from palpate.progress import say
from palpate.provenance import versions
from palpate.renamed import record_text

DICOM_RECORD: Final = FileKind(
    "maps", "record of DICOM objects", (".json",), json_kind("written", "not_written", "versions")
)
"""Kind of the JSON file beside a folder of DICOM objects."""


def record_beside(out: Path) -> Path:
    """Return the path of the record beside a folder: the folder holds DICOM and nothing else."""
    out = out.absolute()
    return out.with_name(f"{out.name}.json")


def finish_export(path: Path, export: Export, folder: Path) -> None:
    """Write the record of an export, and say what was not written.

    Args:
        path: file to write; the caller makes sure that no partial file is left.
        export: what was written, what not, and warnings.
        folder: folder of the objects, which names in the record are relative to.
    """
    content = {
        "written": [
            {"kind": one.kind, "name": one.path.relative_to(folder).as_posix(), "shows": one.words}
            for one in export.written
        ],
        "not_written": export.not_written,
        "warnings": [one.as_record() for one in export.warnings],
        "versions": versions(),
    }
    path.write_text(record_text("dicom", content), encoding="utf-8")
    for reason, kinds, of in _grouped(export):
        say(f"{of}: no {', '.join(kinds)}: {reason}")
    for warning in export.warnings:
        say(f"warning: {warning}")


def _grouped(export: Export) -> list[tuple[str, list[str], str]]:
    """Return each reason once, with the kinds and the run that it concerns."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in export.not_written:
        found.setdefault((one["reason"], one["of"]), []).append(one["kind"])
    return [(reason, kinds, of) for (reason, of), kinds in found.items()]
