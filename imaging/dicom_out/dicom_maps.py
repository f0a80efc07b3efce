"""DICOM folder of a session: its stiffness as objects for archives, planning and navigation, or a note why not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from palpate.config.maps import KINDS, Kind, MapsSettings
from palpate.imaging.dicom.anatomy import Anatomy
from palpate.imaging.dicom_out.content import ExportOutcome, WrittenObject, write_content
from palpate.imaging.dicom_out.dicom_identity import MapIdentity
from palpate.imaging.dicom_out.export_record import claim_export
from palpate.imaging.dicom_out.identities import Identities
from palpate.imaging.dicom_out.image_grid import ImageGrid
from palpate.imaging.dicom_out.planning_image import NoPlanningImageError, planning_dicom
from palpate.imaging.dicom_out.planning_place import Frames, planning_place, write_registration
from palpate.imaging.dicom_out.stiffness_content import RunToWrite, on_own_grid, on_planning_grid, own_maps
from palpate.imaging.exam_record import reports_an_organ
from palpate.imaging.files.draws import open_draws
from palpate.imaging.files.json_object import read_json
from palpate.imaging.files.maps import read_map
from palpate.imaging.files.stiffness_folder import StiffnessMaps, read_stiffness
from palpate.imaging.registration.placement import read_placement
from palpate.system_files import matching

NOTE_NAME: Final = "no_dicom_source.txt"
"""Name of the note that is written where no DICOM maps can be."""
_NOTE: Final = (
    "There are no DICOM maps here because the wave field did not come from DICOM: there is no study and no frame of\n"
    "reference that they could join. The same maps are in the mre folder as NIfTI, in kPa.\n"
)
_NOT_DICOM: Final = "The wave field did not come from DICOM: there is no study and no frame of reference to join."
_NO_DRAWS: Final = "There are no joint draws (*_samples.h5), which values between voxels need."
_MAPS: Final[tuple[Kind, ...]] = ("pm",)
_ON_PLANNING: Final[tuple[Kind, ...]] = tuple(one for one in KINDS if one != "registration")


def write_dicom_maps(
    mre: Path,
    wavefield: Path,
    out: Path,
    *,
    settings: MapsSettings,
    scan: Path | None = None,
    key: Path | None = None,
    anatomy: Path | None = None,
) -> tuple[Path, ...]:
    """Write the stiffness of every run and frequency as DICOM objects, and a record of them beside the folder.

    Args:
        mre: folder of finished stiffness maps, kPa.
        wavefield: the folder that they were computed from, with `<label>_ingest.json` where palpate ingest made it.
        out: the folder to write; an interrupted run leaves no partial result.
        settings: settings of the maps, which choose kinds and the identity that they carry.
        scan: the DICOM that palpate ingest read, from which patient, study and frame of reference are read again; not
            needed for maps under a pseudonym.
        key: the key's file; None takes the user's own.
        anatomy: the T1 as DICOM, the planning image.

    Returns:
        The files and folders of series written; none where there is no study to join.

    Raises:
        InputError: the maps or the record of ingest cannot be used, scan, T1 or key are not those of the record, or
            images disagree on whose they are.
    """
    inputs = {"mre": mre, "wavefield": wavefield, "scan": scan, "key": key, "anatomy": anatomy}
    claim = claim_export(out, inputs)
    runs = read_stiffness(mre)
    session = _Session.of(wavefield, Identities(settings, scan, key, out), anatomy, runs)
    export = ExportOutcome()
    with claim.writing(export) as partial:
        for run in runs:
            session.write_run(partial, run, export)
        session.write_registrations(partial, min(run.made_s for run in runs), export)
        if not export.written:
            (partial / NOTE_NAME).write_text(_note(session, export), encoding="utf-8")
    return tuple(out / one.path.name for one in export.written)


@dataclass(frozen=True, slots=True)
class _Session:
    """Identities of a session and the planning image.

    Attributes:
        wavefield: wave-field folder.
        identities: choice of identity.
        records: record of ingest of each run.
        scans: identity for objects on each run's own grid; None where it did not come as DICOM.
        planning: grid of the planning image; a sentence where there is none.
    """

    wavefield: Path
    identities: Identities
    records: Mapping[str, Mapping[str, Any]]
    scans: Mapping[str, MapIdentity | None]
    planning: ImageGrid | str

    @classmethod
    def of(
        cls, wavefield: Path, identities: Identities, anatomy: Path | None, runs: Collection[StiffnessMaps]
    ) -> _Session:
        labels = sorted({run.label for run in runs})
        paths = {label: wavefield / f"{label}_ingest.json" for label in labels}
        records = {label: read_json(path, record="ingest") if path.exists() else {} for label, path in paths.items()}
        subject = labels[0].partition("_")[0]
        scans = {label: identities.of_scan(records[label], paths[label], subject) for label in labels}
        try:
            read = _read_planning(wavefield, anatomy)
            assert anatomy is not None
            planning = identities.of_planning(read, anatomy, records[labels[0]], subject, scans[labels[0]])
        except NoPlanningImageError as reason:
            return cls(wavefield, identities, records, scans, str(reason))
        return cls(wavefield, identities, records, scans, planning)

    def write_run(self, folder: Path, run: StiffnessMaps, export: ExportOutcome) -> None:
        """Write one run at one frequency on every grid that it can lie on."""
        record, scan = self.records[run.label], self.scans[run.label]
        kinds = self.identities.settings.kinds or KINDS
        draws = None if run.samples_path is None else open_draws(run.samples_path, run.informed.shape)
        one = RunToWrite(run, draws, reports_an_organ(record), kinds, None if scan is None else scan.source)
        if scan is None:
            export.leave_out(["pm"] if "pm" in kinds else [], run.stem, _NOT_DICOM)
        elif "pm" in kinds:
            write_content(folder, own_maps(one, scan), _MAPS, export)
        reason = self._write_planning(folder, one, export)
        if reason is None:
            return
        export.leave_out([kind for kind in _ON_PLANNING if kind in kinds], f"{run.stem} on the T1's grid", reason)
        if scan is not None and (one.organ or self.identities.settings.kinds is not None):
            write_content(folder, on_own_grid(one, scan), kinds, export)

    def _write_planning(self, folder: Path, one: RunToWrite, export: ExportOutcome) -> str | None:
        """Write what lies on the planning image's grid; return the reason where nothing can be."""
        if isinstance(self.planning, str):
            return self.planning
        if one.draws is None:
            return _NO_DRAWS
        placement = read_placement(self.wavefield, one.run.label)
        reason, warnings = planning_place(placement, Frames.of(self.scans[one.run.label], self.planning))
        if reason is not None:
            return reason
        export.warnings += [warning for warning in warnings if warning not in export.warnings]
        content, lost = on_planning_grid(one, self.planning, placement)
        for name in lost:
            export.leave_out(["rtstruct", "seg"], f"{one.run.stem}, region {name}", "It lies between the T1's voxels.")
        write_content(folder, content, one.kinds, export)
        return None

    def write_registrations(self, folder: Path, made_s: float, export: ExportOutcome) -> None:
        """Write the motion between the frames of reference of each run and the planning image, where they differ."""
        kinds = self.identities.settings.kinds or KINDS
        if "registration" not in kinds or isinstance(self.planning, str):
            return
        for label, scan in self.scans.items():
            placement = read_placement(self.wavefield, label)
            found = write_registration(folder, label, scan, self.planning, placement, made_s)
            if isinstance(found, WrittenObject):
                export.written.append(found)
            else:
                export.leave_out(["registration"], label, found)


def _note(session: _Session, export: ExportOutcome) -> str:
    """Return why a folder holds no object."""
    if not any(session.scans.values()):
        return _NOTE
    return "There is nothing here of the kinds that were asked for:\n" + "".join(
        f"{reason}\n" for reason in dict.fromkeys(one["reason"] for one in export.not_written)
    )


def _read_planning(wavefield: Path, anatomy: Path | None) -> Anatomy:
    """Read the planning image.

    Raises:
        NoPlanningImageError: there is none.
    """
    copies = matching(wavefield, "*_T1w.nii.gz")
    return planning_dicom(anatomy, read_map(copies[0]) if copies else None)
