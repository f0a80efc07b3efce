"""Choice of whose patient, study and frame of reference the objects of a session carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palpate.config.maps import MapsSettings
from palpate.errors import InputError
from palpate.imaging.deidentify.identifiers import Identifiers, recorded_identifiers
from palpate.imaging.deidentify.key import Key
from palpate.imaging.deidentify.key_file import key_advice, key_name, known_key, open_key
from palpate.imaging.dicom.anatomy import Anatomy
from palpate.imaging.dicom_out.dicom_identity import MapIdentity, pseudonym_of
from palpate.imaging.dicom_out.dicom_origin import REMEDIES, scan_identity
from palpate.imaging.dicom_out.dicom_source import DicomSource, dicom_source
from palpate.imaging.dicom_out.image_grid import ImageGrid
from palpate.imaging.dicom_out.planning_image import (
    NoPlanningImageError,
    demand_same_person,
    planning_grid,
    planning_grid_of_nobody,
)


@dataclass(frozen=True, slots=True)
class Identities:
    """Choice of whose identity objects carry, and what is needed to find it.

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

    @property
    def pseudonymous(self) -> bool:
        """Whether objects carry a pseudonym."""
        return self.settings.identity == "pseudonym"

    def of_scan(self, record: Mapping[str, Any], where: Path, subject: str) -> MapIdentity | None:
        """Return the identity for objects on the elastogram's grid; None where it did not come as DICOM.

        Args:
            record: record of ingest.
            where: its file, for errors.
            subject: label of the subject, such as "sub-01".

        Raises:
            InputError: scan or key are missing or not those of the record.
        """
        recorded = dicom_source(record, where)
        return None if recorded is None else self._of(recorded, recorded_identifiers(record), subject)

    def of_planning(
        self, read: Anatomy, anatomy: Path, record: Mapping[str, Any], subject: str, scan: MapIdentity | None
    ) -> ImageGrid:
        """Return the planning image's grid with the identity of objects on it.

        Args:
            read: the T1.
            anatomy: folder or archive that it was read from.
            record: record of ingest; empty where there is none.
            subject: label of the subject, such as "sub-01".
            scan: identity for objects on the elastogram's grid; None where it did not come as DICOM.

        Raises:
            NoPlanningImageError: under a pseudonym, where the key is not at hand.
            InputError: the T1 is of another person than the scan, or its images disagree.
        """
        if not self.pseudonymous:
            grid = planning_grid(read, anatomy)
            if scan is not None:
                demand_same_person(scan, grid.identity)
            return grid
        identifiers = recorded_identifiers(record)
        if identifiers.status == "pseudonymised":
            key = known_key(self.key)
            fits = key is not None and key.fingerprint == identifiers.key_fingerprint
            return planning_grid_of_nobody(read, key if fits else None, subject)
        return planning_grid_of_nobody(read, open_key(self.key, away_from=self.out), subject)

    def _of(self, recorded: DicomSource, identifiers: Identifiers, subject: str) -> MapIdentity:
        if self.pseudonymous:
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
                advice=f"{key_advice(self.key)} Or set maps.identity to pseudonym.",
            )
        return key


__all__ = ["Identities", "NoPlanningImageError"]
