"""Consents: FHIR R4 Consent resources by subject and purpose; the newest version decides.

A purpose is asked for by one of four words, or by its code of HL7. Without a consent that permits it, the answer is no.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, Final

from palpate.bounded_read import OversizeError, read_bounded
from palpate.errors import InputError

PURPOSES: Final[Mapping[str, str]] = {
    "care": "TREAT",
    "research": "HRESCH",
    "trial": "CLINTRCH",
    "training": "MLTRAINING",
}
"""Purposes, and the codes by which consents name them; that of the training of models is palpate's own."""
_SUBJECT: Final = re.compile(r"(?:Patient/)?sub-(?P<label>[0-9A-Za-z]+)")


@dataclass(frozen=True, slots=True)
class Permission:
    """One version of one consent about one purpose.

    Attributes:
        subject: label of the subject.
        purpose: code of the purpose.
        permits: whether it permits the use, within its period.
        stated: time from which it holds.
        version: number of the version.
        start: start of the period in which it permits; None for none.
        end: end of that period; None for none.
        file: name of its file.
    """

    subject: str
    purpose: str
    permits: bool
    stated: datetime
    version: int
    start: datetime | None
    end: datetime | None
    file: str

    def holds(self, now: datetime) -> bool:
        """Return whether it permits the use at a time.

        Args:
            now: the time.
        """
        return self.permits and (self.start is None or self.start <= now) and (self.end is None or now < self.end)


class ConsentFolder:
    """Folder of consents, read again as soon as a file in it changes.

    Args:
        folder: the folder.

    Raises:
        InputError: there is no such folder, or a file in it is no consent.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, Lock()
        self._stamp: tuple[tuple[str, int, int, int], ...] = ()
        self._found: tuple[Permission, ...] = ()
        self._read()

    def latest(self, subject: str, purpose: str) -> Permission | None:
        """Return what the newest consent of a subject states about a purpose; None where none states anything.

        Args:
            subject: label of the subject.
            purpose: word or code of the purpose.

        Raises:
            InputError: a file of the folder is no consent: then nothing is permitted.
        """
        code = PURPOSES.get(purpose, purpose)
        about = [one for one in self._read() if one.subject == subject and one.purpose == code]
        # Of two versions of one time, the one that permits less decides.
        return max(about, key=lambda one: (one.stated, one.version, not one.permits), default=None)

    def permits(self, subject: str, purpose: str, now: datetime | None = None) -> bool:
        """Return whether a subject's newest consent permits a purpose.

        Args:
            subject: label of the subject.
            purpose: word or code of the purpose.
            now: time of the use; None for now.

        Raises:
            InputError: a file of the folder is no consent.
        """
        found = self.latest(subject, purpose)
        return found is not None and found.holds(now or datetime.now(UTC))

    def subjects(self) -> list[str]:
        """Return the labels of all subjects that consents name, in order."""
        return sorted({one.subject for one in self._read()})

    def _read(self) -> tuple[Permission, ...]:
        try:
            with os.scandir(self._folder) as entries:
                files = [(one.name, one.stat()) for one in entries if one.name.endswith(".json")]
        except OSError as error:
            raise InputError(
                "consents",
                found="no folder that can be read",
                expected="a folder of FHIR Consent resources",
                advice="Name it in consents.",
            ) from error
        stamp = tuple(sorted((name, one.st_mtime_ns, one.st_size, one.st_ino) for name, one in files))
        with self._lock:
            if stamp != self._stamp:
                found = tuple(each for name, *_ in stamp for each in read_consent(self._folder / name))
                self._found, self._stamp = found, stamp
            return self._found


def read_consent(path: Path) -> tuple[Permission, ...]:
    """Return what one consent states, purpose by purpose.

    Args:
        path: FHIR R4 Consent, JSON.

    Raises:
        InputError: the file is none, or does not say whom, when and what it concerns.
    """
    try:
        content = json.loads(read_bounded(path).decode("utf-8"))
        return tuple(_permissions(content, path.name))
    except (OSError, OversizeError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"consent {path.name[:60]}",
            found="a file that is no FHIR Consent with patient sub-<label>, dateTime, status and purposes",
            expected="resourceType Consent, R4",
            advice="Correct it; until then nothing is permitted.",
        ) from error


def _permissions(content: Mapping[str, Any], file: str) -> Iterator[Permission]:
    if content["resourceType"] != "Consent":
        raise ValueError("another resource")
    patient, provision = content["patient"], content.get("provision") or {}
    named = patient.get("reference") or patient["identifier"]["value"]
    subject = _SUBJECT.fullmatch(str(named))
    if subject is None:
        raise ValueError("no subject of a study")
    if provision.get("provision"):
        raise ValueError("nested provisions, which may except what the outer one permits")
    period = provision.get("period") or {}
    purposes = [str(one["code"]) for one in provision.get("purpose") or ()]
    for purpose in purposes or list(PURPOSES.values()):
        yield Permission(
            subject=subject["label"],
            purpose=PURPOSES.get(purpose, purpose),
            permits=content["status"] == "active" and provision.get("type", "permit") == "permit" and bool(purposes),
            stated=_moment(str(content["dateTime"])),
            version=int((content.get("meta") or {}).get("versionId", 0)),
            start=_moment(period["start"]) if period.get("start") else None,
            end=_moment(period["end"]) if period.get("end") else None,
            file=file,
        )


def _moment(text: str) -> datetime:
    """Return a time of FHIR; a day begins at midnight, and a time without a zone is UTC."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def withdrawn(folder: ConsentFolder, purposes: Sequence[str] = tuple(PURPOSES)) -> list[tuple[str, str, Permission]]:
    """Return the subjects whose newest consent no longer permits a purpose, with the purpose and that consent.

    Args:
        folder: folder of consents.
        purposes: purposes to look at.

    Raises:
        InputError: a file of the folder is no consent.
    """
    now = datetime.now(UTC)
    asked = ((one, purpose, folder.latest(one, purpose)) for one in folder.subjects() for purpose in purposes)
    return [(one, purpose, found) for one, purpose, found in asked if found is not None and not found.holds(now)]
