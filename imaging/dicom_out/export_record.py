"""Record beside a folder of DICOM objects: what was written, what could not be and why. It names no patient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from palpate.errors import InputError
from palpate.imaging.dicom_out.content import ExportOutcome
from palpate.output_kinds import FileKind, json_kind
from palpate.outputs import OutputFile, OutputFolder, claim_file, claim_folder
from palpate.progress import say
from palpate.provenance import versions
from palpate.renamed import record_text
from palpate.system_files import matching

DICOM_RECORD: Final = FileKind(
    "maps", "record of DICOM objects", (".json",), json_kind("written", "not_written", "versions")
)
"""Kind of the JSON file beside a folder of DICOM objects."""


def record_beside(out: Path) -> Path:
    """Return the path of the record beside a folder: the folder holds DICOM and nothing else."""
    out = out.absolute()
    return out.with_name(f"{out.name}.json")


@dataclass(frozen=True, slots=True)
class ExportClaim:
    """Folder of DICOM objects, and the record beside it, that may be written.

    Attributes:
        folder: the folder.
        record: the record.
    """

    folder: OutputFolder
    record: OutputFile

    @contextmanager
    def writing(self, export: ExportOutcome) -> Iterator[Path]:
        """Give a hidden folder to fill; it and the record take their names if the block succeeds.

        Args:
            export: outcome, which the block fills.
        """
        with self.record.writing() as told, self.folder.writing() as partial:
            yield partial
            _write_record(told, export, partial)
        _say(export)


def claim_export(out: Path, inputs: Mapping[str, Path | None]) -> ExportClaim:
    """Check that a folder of DICOM objects and its record may be written, before any work.

    Args:
        out: the folder.
        inputs: each file and folder that is read, by its role in words.

    Raises:
        InputError: they may not, or the folder holds maps of derived quantities.
    """
    folder = claim_folder(out, "maps", inputs)
    record = claim_file(record_beside(out), DICOM_RECORD, inputs)
    if out.is_dir() and matching(out, "*_stat-*.nii.gz"):
        raise InputError(
            out,
            found="maps of derived quantities by palpate maps --derived",
            expected="a new folder, or an earlier one of DICOM maps",
            advice="Name another folder: palpate replaces the folder of --out as a whole.",
        )
    return ExportClaim(folder, record)


def _write_record(path: Path, export: ExportOutcome, folder: Path) -> None:
    """Write what was written, what not, and warnings; names are relative to the folder."""
    written = [
        {"kind": one.kind, "name": one.path.relative_to(folder).as_posix(), "shows": one.words}
        for one in export.written
    ]
    content = {
        "written": written,
        "not_written": export.not_written,
        "warnings": [one.as_record() for one in export.warnings],
        "versions": versions(),
    }
    path.write_text(record_text("dicom", content), encoding="utf-8")


def _say(export: ExportOutcome) -> None:
    """Say what was not written, and the warnings."""
    for reason, kinds, of in _grouped(export):
        say(f"{of}: no {', '.join(kinds)}: {reason}")
    for warning in export.warnings:
        say(f"warning: {warning}")


def _grouped(export: ExportOutcome) -> list[tuple[str, list[str], str]]:
    """Return each reason once, with the kinds and the run that it concerns."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in export.not_written:
        found.setdefault((one["reason"], one["of"]), []).append(one["kind"])
    return [(reason, kinds, of) for (reason, of), kinds in found.items()]
