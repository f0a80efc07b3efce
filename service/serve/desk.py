"""Desk of one worker: the results, uploads, consents and threads that its answers need."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from palpate.service.serve.consent import PURPOSES, ConsentFolder
from palpate.service.serve.events import RequestFacts
from palpate.service.serve.kept import RegionStore
from palpate.service.serve.limits import WorkPool
from palpate.service.serve.opened import SessionCache
from palpate.service.serve.override_store import OverrideStore
from palpate.service.serve.refusals import RequestRefusal, not_found
from palpate.service.serve.results import ServedResults
from palpate.service.serve.tokens import AskingPerson


@dataclass(frozen=True)
class ServiceDesk:
    """Things that the answers of one worker need.

    Attributes:
        results: folder of results.
        cache: opened sessions.
        regions: uploaded regions.
        pool: threads that compute.
        overrides: overrides of clinicians.
        study: name of the study.
        consents: consents; None where nothing is gated.
        key: file of the key of pseudonyms; None for the user's own.
        demands_tokens: whether persons have to bring tokens.
        uploading: permission to read one upload at a time into memory.
    """

    results: ServedResults
    cache: SessionCache
    regions: RegionStore
    pool: WorkPool
    overrides: OverrideStore
    study: str
    consents: ConsentFolder | None = None
    key: Path | None = None
    demands_tokens: bool = False
    uploading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    def admit(self, person: AskingPerson, facts: RequestFacts, subject: str, purpose: str, session: str = "") -> None:
        """Note whom a request is about, and refuse it where role, purpose or consent do not allow it.

        Args:
            person: whoever asks.
            facts: facts about the request, which are filled in.
            subject: label of the subject.
            purpose: purpose of use.
            session: label of the session; empty for none.

        Raises:
            RequestRefusal: it is not allowed.
            InputError: the consents cannot be read: then nothing is permitted.
        """
        facts.subject, facts.session, facts.purpose = subject, session, PURPOSES[purpose]
        person.demand("reader", "planner")
        if person.purposes is not None and purpose not in person.purposes:
            raise RequestRefusal(
                403,
                "purpose",
                found=f"{purpose}, for which the token is not made",
                expected=" or ".join(sorted(person.purposes)),
                advice="Ask for the purpose of your token.",
            )
        if self.consents is not None and not self.consents.permits(subject, purpose):
            raise RequestRefusal(
                403,
                "consent",
                found=f"none that permits the purpose {purpose} now",
                expected="an active FHIR Consent of this subject",
                advice="Whoever keeps the consents of the study can tell why.",
            )

    def map(self, subject: str, session: str, name: str) -> Path:
        """Return the file of a map.

        Args:
            subject: label of the subject.
            session: label of the session.
            name: name of the map.

        Raises:
            RequestRefusal: there is none.
        """
        found = next((one for one in self.results.maps(subject, session) if one.name == name), None)
        if found is None:
            raise not_found("map")
        return found

    def close(self) -> None:
        """End the threads."""
        self.pool.close()
