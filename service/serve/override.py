"""Overrides: another choice that a clinician made than the one shown, with the reason, as data.

The free texts of an override are never repeated: not in an error, not in the audit trail, and not on the terminal.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

from palpate.errors import InputError

GROUNDS: Final[Mapping[str, str]] = {
    "clinical-judgement": "findings or experience that the figures do not hold",
    "other-evidence": "another examination or result",
    "patient-choice": "what the patient wants",
    "doubt": "figures that seemed wrong, or too uncertain",
    "not-feasible": "a choice that cannot be carried out",
    "other": "something else",
}
"""Grounds by which overrides are counted, and what each means."""
MOST_BYTES: Final = 16 << 10
"""Largest form, bytes."""
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_LABEL: Final = re.compile(r"[0-9A-Za-z]{1,64}")
_LENGTHS: Final = {"chosen": (1, 500), "reason": (1, 2000), "instead_of": (0, 500)}
"""Fewest and most characters of each free text."""
_ADVICE: Final = "docs/overrides.md shows a form."
_TURNS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of writing, so that a text shows another order than it has."""


@dataclass(frozen=True, slots=True)
class OverrideForm:
    """Form of an override, as a clinician fills it in.

    Attributes:
        shown: SHA-256 of the bytes of the answer that was shown.
        chosen: choice in words, 1 to 500 characters.
        ground: one of GROUNDS.
        reason: reason in words, 1 to 2000 characters.
        instead_of: choice that the answer spoke for, at most 500 characters; empty where it is clear from the answer.
        session: label of the session; empty for none.
    """

    shown: str
    chosen: str
    ground: str
    reason: str
    instead_of: str = ""
    session: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be kept; no value is repeated.

        Raises:
            InputError: a field has another form.
        """
        if _DIGEST.fullmatch(self.shown) is None:
            raise _refused("shown", "no digest", "the SHA-256 of the answer that was shown, 64 digits from 0 to f")
        if self.ground not in GROUNDS:
            raise _refused("ground", "another word", f"one of {', '.join(GROUNDS)}")
        if self.session:
            demand_label("session", self.session)
        for name, (least, most) in _LENGTHS.items():
            _demand_text(name, getattr(self, name), least, most)


@dataclass(frozen=True, slots=True)
class Override:
    """Override as it is kept.

    Attributes:
        form: form that the clinician filled in.
        study: name of the study.
        subject: label of the subject.
        person: name of whoever chose, as the token has it; "local" without tokens.
        purpose: purpose of use.
        recorded: time at which it was kept, ISO 8601, UTC.
    """

    form: OverrideForm
    study: str
    subject: str
    person: str
    purpose: str
    recorded: str

    def __post_init__(self) -> None:
        """Refuse a subject that is no label.

        Raises:
            InputError: it is none.
        """
        demand_label("subject", self.subject)

    @classmethod
    def now(cls, form: OverrideForm, *, study: str, subject: str, person: str, purpose: str) -> Override:
        """Return an override that is made now.

        Args:
            form: form that the clinician filled in.
            study: name of the study.
            subject: label of the subject.
            person: name of whoever chose.
            purpose: purpose of use.
        """
        return cls(form, study, subject, person, purpose, datetime.now(UTC).isoformat(timespec="milliseconds"))

    def record(self) -> dict[str, str]:
        """Return its fields by name."""
        about = {name: getattr(self, name) for name in _ABOUT}
        return about | {("shown_sha256" if name == "shown" else name): text for name, text in asdict(self.form).items()}

    def content(self) -> bytes:
        """Return the bytes of its file: one JSON object, keys in order."""
        return (json.dumps(self.record(), sort_keys=True, ensure_ascii=True) + "\n").encode()


_ABOUT: Final = tuple(one.name for one in fields(Override) if one.name != "form")
_FORM: Final = tuple(one.name for one in fields(OverrideForm))


def override_of(content: bytes) -> Override:
    """Return the override that a file holds.

    Args:
        content: bytes of the file.

    Raises:
        ValueError: they hold none.
    """
    told = json.loads(content)
    if not isinstance(told, dict) or set(told) != {*_ABOUT, *_FORM} - {"shown"} | {"shown_sha256"}:
        raise ValueError("no override")
    told["shown"] = told.pop("shown_sha256")
    try:
        return Override(OverrideForm(**{name: told[name] for name in _FORM}), **{name: told[name] for name in _ABOUT})
    except InputError as error:
        raise ValueError("no override") from error


def form_of(content: bytes, shown: str = "") -> OverrideForm:
    """Return the form that a request or file holds.

    Args:
        content: JSON object.
        shown: digest of the answer that was shown, where it is known otherwise; empty for the one in the form.

    Raises:
        InputError: it is no such form; the error repeats none of its values.
    """
    if len(content) > MOST_BYTES:
        raise _refused("the form", f"more than {MOST_BYTES >> 10} kB", f"at most {MOST_BYTES >> 10} kB")
    try:
        told = json.loads(content.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _refused("the form", "no JSON object in UTF-8 with each key once", "one JSON object") from error
    if not isinstance(told, dict):
        raise _refused("the form", "JSON of another kind", "one object with text in each field")
    if shown:
        told = {"shown": shown, **told}
        if told["shown"] != shown:
            raise _refused("shown", "the digest of another answer than the one given", "its digest, or none")
    _demand_fields(told)
    return OverrideForm(**told)


def demand_label(where: str, label: str) -> None:
    """Refuse what is no label of a subject or session.

    Args:
        where: field or option that holds it.
        label: text of a user.

    Raises:
        InputError: it is none.
    """
    if _LABEL.fullmatch(label) is None:
        raise _refused(where, "no label", "letters and digits, at most 64")


def schema() -> dict[str, Any]:
    """Return the JSON schema of a form."""
    texts: dict[str, Any] = {
        name: {"type": "string", "minLength": least, "maxLength": most} for name, (least, most) in _LENGTHS.items()
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["shown", "chosen", "ground", "reason"],
        "properties": {
            "shown": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "SHA-256 of the answer's bytes."},
            "ground": {"type": "string", "enum": list(GROUNDS)},
            "session": {"type": "string", "pattern": "^[0-9A-Za-z]{0,64}$"},
            **texts,
        },
    }


def _demand_fields(told: Mapping[str, object]) -> None:
    if set(told) - set(_FORM):
        raise _refused("the form", "a field that no override has", f"the fields {', '.join(_FORM)}")
    missing = [one for one in ("shown", "chosen", "ground", "reason") if one not in told]
    if missing:
        raise _refused(missing[0], "none", "a value")
    other = [name for name, value in told.items() if not isinstance(value, str)]
    if other:
        raise _refused(other[0], "no text", "text")


def _demand_text(where: str, text: str, least: int, most: int) -> None:
    if len(text) > most or len(text.strip()) < least:
        raise _refused(where, "a text that is too long or empty", f"{least} to {most} characters")
    breaks = "\n" if where == "reason" else ""
    odd = any(
        one not in breaks and (unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") or one in _TURNS) for one in text
    )
    if odd:
        expected = "plain text" + (" with \\n between lines" if breaks else " on one line")
        raise _refused(where, "control characters, or ones that turn the direction of writing", expected)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key twice")
    return found


def _refused(where: str, found: str, expected: str) -> InputError:
    return InputError(where, found=found, expected=expected, advice=_ADVICE)
