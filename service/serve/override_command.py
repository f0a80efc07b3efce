"""Overrides from the command line: the same records and the same line in the audit trail as over HTTP."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from palpate.bounded_read import OversizeError, read_bounded
from palpate.config.serve import ServeSettings
from palpate.content_digest import digest
from palpate.errors import InputError
from palpate.service.serve.audit import AuditTrail, TrailError
from palpate.service.serve.consent import PURPOSES, ConsentFolder
from palpate.service.serve.events import RequestFacts, event_of
from palpate.service.serve.folders import KeptFolders, demand_apart
from palpate.service.serve.override import Override, demand_label, form_of
from palpate.service.serve.override_check import OVERRIDE, SHOWN
from palpate.service.serve.override_store import TEXTS, FoundOverrides, KeptOverride, OverrideStore
from palpate.service.serve.refusals import RequestRefusal
from palpate.service.serve.results import ServedResults
from palpate.service.serve.tokens import LOCAL

_CREATED = 201
_MACHINE = "127.0.0.1"


def keep_override(
    results: Path, subject: str, form: Path, shown: Path | None, purpose: str, settings: ServeSettings
) -> KeptOverride:
    """Keep an override, and a line of it in the audit trail.

    Args:
        results: folder of results.
        subject: label of the subject.
        form: file with the form, JSON.
        shown: file with the answer that was shown; None where the form states its digest.
        purpose: purpose of use, a word.
        settings: settings of the service.

    Raises:
        InputError: the form, subject, session or purpose cannot be used, or the folders cannot be written.
    """
    demand_label("--subject", subject)
    served = ServedResults.of(results)
    folders = KeptFolders.of(settings)
    demand_apart(served.root, folders)
    _demand_permission(subject, purpose, settings)
    filled = form_of(_content(form), "" if shown is None else _digest_of(shown))
    try:
        served.subject(subject)
        if filled.session:
            served.session(subject, filled.session)
        made = Override.now(filled, study=settings.study, subject=subject, person=LOCAL, purpose=purpose)
        kept = OverrideStore(folders.overrides).keep(made)
        asyncio.run(_line(kept, folders))
    except RequestRefusal as refusal:
        raise InputError(**refusal.body["error"]) from refusal
    except (OSError, TrailError) as error:
        found = "a folder of the service that cannot be written"
        advice = "Name others in --settings (audit, audit_heads, overrides)."
        raise InputError(folders.overrides, found=found, expected="room and rights", advice=advice) from error
    return kept


def list_overrides(subject: str, settings: ServeSettings) -> FoundOverrides:
    """Return the overrides of a subject, or of all.

    Args:
        subject: label of the subject; empty for all.
        settings: settings of the service.

    Raises:
        InputError: there is no folder of overrides.
    """
    if subject:
        demand_label("--subject", subject)
    folder = KeptFolders.of(settings).overrides
    if not folder.is_dir():
        advice = "Name it as overrides in --settings, or keep an override first."
        raise InputError(folder, found="no folder", expected="the folder of overrides", advice=advice)
    return OverrideStore(folder).find(subject)


def listed_text(found: FoundOverrides, form: str) -> str:
    """Return overrides as the service lists them.

    Args:
        found: the overrides.
        form: name of the format.

    Raises:
        InputError: there is no such format.
    """
    if form not in TEXTS:
        advice = "Leave --format out for JSON."
        raise InputError("--format", found="another word", expected=f"one of {', '.join(TEXTS)}", advice=advice)
    return TEXTS[form](found)


async def _line(kept: KeptOverride, folders: KeptFolders) -> None:
    made = kept.override
    facts = RequestFacts(made.person, PURPOSES[made.purpose], made.subject, made.form.session)
    facts.named += [f"{OVERRIDE}{kept.sha256}", f"{SHOWN}{made.form.shown}"]
    path = f"/api/v1/subjects/{made.subject}/overrides"
    trail = AuditTrail(folders.audit, folders.heads)
    try:
        await trail.add(event_of(facts, "POST", path, b"", _MACHINE, _CREATED, made.study, "palpate override"))
    finally:
        trail.close()


def _demand_permission(subject: str, purpose: str, settings: ServeSettings) -> None:
    if purpose not in PURPOSES:
        advice = "Leave --purpose out for care."
        raise InputError("--purpose", found="another word", expected=f"one of {', '.join(PURPOSES)}", advice=advice)
    if settings.consent != "required" or settings.consents is None:
        return
    if not ConsentFolder(settings.consents).permits(subject, purpose, datetime.now(UTC)):
        found = f"none that permits the purpose {purpose} now"
        advice = "Whoever keeps the consents of the study can tell why."
        raise InputError("consent", found=found, expected="an active FHIR Consent of this subject", advice=advice)


def _content(form: Path) -> bytes:
    try:
        return read_bounded(form)
    except (OSError, OversizeError) as error:
        advice = "docs/overrides.md shows a form."
        raise InputError(form, found="no file that can be read", expected="a form, JSON", advice=advice) from error


def _digest_of(shown: Path) -> str:
    if not shown.is_file():
        advice = "Keep the answer as palpate query or the service gave it."
        raise InputError("--shown", found="no such file", expected="the answer that was shown", advice=advice)
    return digest(shown)
