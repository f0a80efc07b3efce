"""The DICOM folder of a session: every stiffness map that has a scan to refer to, or a note where there is none."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from palpate.imaging.dicom_source import DicomSource, dicom_source
from palpate.imaging.json_object import read_json
from palpate.imaging.parametric_map import QUANTITIES, write_parametric_map
from palpate.imaging.stiffness_folder import Stiffness, read_stiffness
from palpate.imaging.wavefield_folder import frequency_text
from palpate.provenance import atomic_directory, refuse_foreign_folder

NOTE_NAME: Final = "no_dicom_source.txt"
_NOTE: Final = (
    "There are no DICOM maps here because the wave field did not come from DICOM: there is no study and no frame of\n"
    "reference that they could join. The same maps are in the mre folder as NIfTI, in kPa.\n"
)


def write_dicom_maps(mre: Path, wavefield: Path, out: Path) -> tuple[Path, ...]:
    """Write mean and standard deviation of every run and frequency as DICOM Parametric Maps.

    Args:
        mre: folder of finished stiffness maps, kPa.
        wavefield: the folder that they were computed from, with `<label>_ingest.json` where palpate ingest made it.
        out: the folder to write; it appears whole or not at all.

    Returns:
        The files written; none where the source was not DICOM.

    Raises:
        InputError: if the maps or the record of ingest cannot be used.
    """
    refuse_foreign_folder(out)
    runs = read_stiffness(mre)
    sources = {run.label: _source(wavefield, run.label) for run in runs}
    written: list[Path] = []
    with atomic_directory(out) as partial:
        for run in runs:
            source = sources[run.label]
            if source is not None:
                written += [out / path.name for path in _write_run(partial, run, source)]
        if not written:
            (partial / NOTE_NAME).write_text(_NOTE, encoding="utf-8")
    return tuple(written)


def _source(wavefield: Path, label: str) -> DicomSource | None:
    """The scan behind a run, as ingest recorded it."""
    record = wavefield / f"{label}_ingest.json"
    return dicom_source(read_json(record), record) if record.exists() else None


def _write_run(folder: Path, run: Stiffness, source: DicomSource) -> list[Path]:
    """Write the maps of one run at one frequency."""
    paths = []
    subject = run.label.partition("_")[0]
    for (statistic, modulus), quantity in QUANTITIES.items():
        marginals = run.moduli[modulus]
        path = folder / f"{run.stem}_stat-{statistic}_{modulus}.dcm"
        write_parametric_map(
            path,
            marginals.mean if statistic == "mean" else marginals.std,
            quantity,
            source,
            subject=subject,
            description=f"{quantity.code} kPa {frequency_text(run.frequency_hz)} Hz {run.label}",
            made=_made(run),
        )
        paths.append(path)
    return paths


def _made(run: Stiffness) -> datetime:
    """When the run was inverted; the maps' own date, so that exporting again gives the same files."""
    return datetime.fromtimestamp(run.made_s, tz=UTC)
