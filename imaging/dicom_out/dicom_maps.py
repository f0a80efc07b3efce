"""DICOM folder of a session: every stiffness map that has a scan to refer to, or a note where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from palpate.config.maps import MapsSettings
from palpate.errors import InputError
from palpate.imaging.deidentify.identifiers import Identifiers, recorded_identifiers
from palpate.imaging.deidentify.key import Key
from palpate.imaging.deidentify.key_file import key_name, known_key, open_key
from palpate.imaging.dicom_out.dicom_identity import MapIdentity, pseudonym_of
from palpate.imaging.dicom_out.dicom_origin import REMEDIES, scan_identity
from palpate.imaging.dicom_out.dicom_source import DicomSource, dicom_source
from palpate.imaging.dicom_out.parametric_map import QUANTITIES, write_parametric_map
from palpate.imaging.files.json_object import read_json
from palpate.imaging.files.kinds_of_maps import refuse_other_maps
from palpate.imaging.files.stiffness_folder import StiffnessMaps, read_stiffness
from palpate.imaging.files.wavefield_folder import frequency_text
from palpate.outputs import claim_folder

NOTE_NAME: Final = "no_dicom_source.txt"
"""Name of the note that is written where no DICOM maps can be."""
_NOTE: Final = (
    "There are no DICOM maps here because the wave field did not come from DICOM: there is no study and no frame of\n"
    "reference that they could join. The same maps are in the mre folder as NIfTI, in kPa.\n"
)


def write_dicom_maps(
    mre: Path,
    wavefield: Path,
    out: Path,
    *,
    settings: MapsSettings,
    scan: Path | None = None,
    key: Path | None = None,
) -> tuple[Path, ...]:
    """Write mean and standard deviation of every run and frequency as DICOM Parametric Maps.

    Args:
        mre: folder of finished stiffness maps, kPa.
        wavefield: the folder that they were computed from, with `<label>_ingest.json` where palpate ingest made it.
        out: the folder to write; an interrupted run leaves no partial result.
        settings: settings of the maps, which choose the identity that they carry.
        scan: the DICOM that palpate ingest read, from which patient, study and frame of reference are read again; not
            needed for maps under a pseudonym.
        key: the key's file; None takes the user's own.

    Returns:
        The files written; none where the source was not DICOM.

    Raises:
        InputError: the maps or the record of ingest cannot be used, scan or key are not those of the record, or the
            scan's images disagree on whose they are.
    """
    target = claim_folder(out, "maps", {"mre": mre, "wavefield": wavefield, "scan": scan, "key": key})
    refuse_other_maps(out, "dicom")
    runs = read_stiffness(mre)
    identities = _Identities(settings, scan, key, out)
    whose = {label: _identity(wavefield, label, identities) for label in sorted({run.label for run in runs})}
    written: list[Path] = []
    with target.writing() as partial:
        for run in runs:
            identity = whose[run.label]
            if identity is not None:
                written += [out / path.name for path in _write_run(partial, run, identity)]
        if not written:
            (partial / NOTE_NAME).write_text(_NOTE, encoding="utf-8")
    return tuple(written)


@dataclass(frozen=True, slots=True)
class _Identities:
    """Choice of whose identity maps carry, and what is needed to find it.

    Attributes:
        settings: the scan's own identity or a pseudonym.
        scan: the DICOM that palpate ingest read.
        key: the key's file; None for the user's own.
        out: the folder to write.
    """

    settings: MapsSettings
    scan: Path | None
    key: Path | None
    out: Path

    def of(self, recorded: DicomSource, identifiers: Identifiers, subject: str) -> MapIdentity:
        """Return the identity for the maps of a recorded scan.

        Raises:
            InputError: scan or key are missing or not those of the record.
        """
        if self.settings.identity == "pseudonym":
            key = None if identifiers.status == "pseudonymised" else open_key(self.key, away_from=self.out)
            return pseudonym_of(recorded, key, subject)
        key = self._key_of(identifiers) if identifiers.status == "pseudonymised" else known_key(self.key)
        if self.scan is None:
            raise InputError(
                "--scan",
                found="none",
                expected="the DICOM folder or zip that palpate ingest read: patient and study are read from it",
                advice=REMEDIES,
            )
        return scan_identity(recorded, self.scan, key)

    def _key_of(self, identifiers: Identifiers) -> Key:
        """Return the key that made a record's identifiers.

        Raises:
            InputError: there is none, or another one.
        """
        key = known_key(self.key)
        if key is None or key.fingerprint != identifiers.key_fingerprint:
            raise InputError(
                key_name(self.key),
                found="none" if key is None else f"another one, of fingerprint {key.fingerprint}",
                expected=f"the key that palpate ingest had, of fingerprint {identifiers.key_fingerprint}",
                advice="Give its file with --key (setting ingest.key), or set maps.identity to pseudonym.",
            )
        return key


def _identity(wavefield: Path, label: str, identities: _Identities) -> MapIdentity | None:
    """Return the identity for the maps of a run; None where it did not come as DICOM."""
    path = wavefield / f"{label}_ingest.json"
    record = read_json(path, record="ingest") if path.exists() else {}
    recorded = dicom_source(record, path)
    subject = label.partition("_")[0]
    return None if recorded is None else identities.of(recorded, recorded_identifiers(record), subject)


def _write_run(folder: Path, run: StiffnessMaps, identity: MapIdentity) -> list[Path]:
    """Write the maps of one run at one frequency."""
    paths = []
    for (statistic, modulus), quantity in QUANTITIES.items():
        marginals = run.moduli[modulus]
        path = folder / f"{run.stem}_stat-{statistic}_{modulus}.dcm"
        write_parametric_map(
            path,
            marginals.mean if statistic == "mean" else marginals.std,
            quantity,
            identity,
            description=f"{quantity.code} kPa {frequency_text(run.frequency_hz)} Hz {run.label}",
            made=_made(run),
        )
        paths.append(path)
    return paths


def _made(run: StiffnessMaps) -> datetime:
    """Return when the run was inverted; the maps' own date, so that exporting again gives the same files."""
    return datetime.fromtimestamp(run.made_s, tz=UTC)
