"""Events of the audit trail: what a request asked, as a FHIR R4 AuditEvent."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from palpate.service.query.fhir import SUBJECTS

_TYPES: Final = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_INTERACTIONS: Final = "http://hl7.org/fhir/restful-interaction"
_REASONS: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_ACTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "GET": ("R", "read"),
    "HEAD": ("R", "read"),
    "POST": ("C", "create"),
    "DELETE": ("D", "delete"),
}
_LONGEST: Final = 1000


@dataclass(slots=True)
class RequestFacts:
    """Facts about a request that its trail tells, filled in as they become known.

    Attributes:
        person: name of whoever asks, as the token has it; "local" without tokens.
        purpose: purpose of use; empty where none is known.
        subject: label of the subject; empty for none.
        session: label of the session; empty for none.
        regions: digests of uploaded regions.
        named: further things by their digests: an answer, an override, what was shown.
        reason: reason of a refusal; empty for none.
    """

    person: str = ""
    purpose: str = ""
    subject: str = ""
    session: str = ""
    regions: list[str] = field(default_factory=list)
    named: list[str] = field(default_factory=list)
    reason: str = ""


def event_of(
    facts: RequestFacts,
    method: str,
    path: str,
    query: bytes,
    address: str,
    status: int,
    study: str,
    observer: str = "palpate serve",
) -> dict[str, Any]:
    """Return the event of a request, without its place in the chain.

    Args:
        facts: facts about the request.
        method: method of HTTP.
        path: path of the address.
        query: query of the address.
        address: network address of the client.
        status: status code of the answer.
        study: name of the study.
        observer: program that was asked.
    """
    action, interaction = _ACTIONS.get(method, ("E", "operation"))
    told: dict[str, Any] = {
        "type": {"system": _TYPES, "code": "rest", "display": "Restful Operation"},
        "subtype": [{"system": _INTERACTIONS, "code": interaction}],
        "action": action,
        "recorded": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "outcome": "0" if status < 400 else "4" if status < 500 else "8",
        "outcomeDesc": f"{status} {facts.reason}".strip()[:_LONGEST],
        "agent": [
            {
                "who": {"identifier": {"value": facts.person or "unknown"}},
                "requestor": True,
                "network": {"address": address, "type": "2"},
            }
        ],
        "source": {"site": study, "observer": {"display": observer}},
        "entity": [
            {
                "name": f"{method[:10]} {path[:_LONGEST]}",
                "query": base64.b64encode(query[:_LONGEST]).decode("ascii"),
                "role": {"system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "24"},
            }
        ],
    }
    if facts.purpose:
        told["purposeOfEvent"] = [{"coding": [{"system": _REASONS, "code": facts.purpose}]}]
    if facts.subject:
        named = f"sub-{facts.subject}" + (f" ses-{facts.session}" if facts.session else "")
        person = {"type": "Patient", "identifier": {"system": SUBJECTS, "value": f"sub-{facts.subject}"}}
        told["entity"].append({"what": person, "name": named})
    told["entity"] += [{"name": f"region {one}"} for one in facts.regions]
    told["entity"] += [{"name": one} for one in facts.named]
    return told
