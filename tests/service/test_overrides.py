"""Overrides: kept as they were written, named in the trail, and never repeated where they do not belong."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from palpate.service.serve import override_store
from palpate.service.serve.derived import derived_of
from palpate.service.serve.override_check import check_overrides
from tests.conftest import Outcome
from tests.service.conftest import SessionFiles
from tests.service.serve_client import Issuer, ServiceClient, bearer, running

SPHERE = "/api/v1/subjects/01/sessions/01/region?sphere=-16,-10,27,8"
PLACE = "/api/v1/subjects/01/overrides"
PLANTED = "Secretword"

type Inside = Callable[..., Outcome]


@pytest.fixture(scope="module")
def results(finished_session: SessionFiles) -> Path:
    return finished_session.folder.parent.parent


@pytest.fixture
def client(results: Path, tmp_path: Path) -> Iterator[ServiceClient]:
    with running(results, tmp_path / "service") as found:
        yield found


def _form(**changed: object) -> dict[str, Any]:
    told: dict[str, object] = {
        "shown": "ab" * 32,
        "chosen": f"biopsy first, {PLANTED}",
        "instead_of": "radiotherapy, schedule B",
        "ground": "other-evidence",
        "reason": f"PET of the day before.\nSee {PLANTED}.",
        "session": "01",
    }
    return {name: value for name, value in (told | changed).items() if value is not None}


def _kept(client: ServiceClient, **changed: object) -> str:
    answer = client.ask(PLACE, "POST", json=_form(**changed))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["override"])


def _files(client: ServiceClient) -> list[Path]:
    return sorted(one for one in client.folders.overrides.rglob("*") if one.is_file())


def _trail(client: ServiceClient) -> str:
    return "".join(one.read_text() for one in sorted(client.folders.audit.iterdir()))


def test_what_was_chosen_is_kept_with_what_was_shown(client: ServiceClient) -> None:
    """The answer is called by the digest of its bytes, which its header and its line in the trail state, too."""
    shown = client.ask(SPHERE)
    digest = hashlib.sha256(shown.content).hexdigest()
    assert shown.headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(bytes.fromhex(digest)).decode()}:"
    assert client.trail_end()["entity"][-1]["name"] == f"answer {digest}"
    name = _kept(client, shown=digest)
    (one,) = client.ask(PLACE).json()["overrides"]
    expected = {"override": name, "study": "study", "subject": "01", "session": "01", "person": "local"}
    expected |= {"purpose": "care", "shown_sha256": digest} | {
        key: _form()[key] for key in ("chosen", "reason", "ground")
    }
    assert expected.items() <= one.items()
    state = check_overrides(client.folders.overrides, client.folders.audit)
    assert (state.number, state.faults, state.notes) == (1, (), ())


def test_its_line_names_it_and_repeats_no_word_of_it(client: ServiceClient) -> None:
    """FHIR AuditEvent: who, about whom, the digests of the record and of what was shown."""
    name = _kept(client)
    event = client.trail_end()
    assert (event["resourceType"], event["action"], event["outcome"]) == ("AuditEvent", "C", "0")
    assert event["purposeOfEvent"][0]["coding"][0]["code"] == "TREAT"
    names = [one["name"] for one in event["entity"]]
    assert names[1:4] == ["sub-01 ses-01", f"override {name}", f"shown {'ab' * 32}"]
    assert PLANTED not in _trail(client)
    assert hashlib.sha256(_files(client)[0].read_bytes()).hexdigest() == name


LONG = "x" * 3000
REFUSED: dict[str, tuple[bytes | dict[str, Any], int]] = {
    "reason too long": (_form(reason=PLANTED + LONG), 400),
    "choice too long": (_form(chosen=PLANTED + LONG[:600]), 400),
    "body too long": (_form(reason=PLANTED + LONG * 10), 413),
    "empty reason": (_form(reason=" \n "), 400),
    "null byte": (_form(chosen=f"{PLANTED}\0"), 400),
    "escape of a terminal": (_form(reason=f"{PLANTED}\x1b[2J"), 400),
    "second line in a choice": (_form(chosen=f"{PLANTED}\nforged: line"), 400),
    "separator of lines": (_form(reason=f"{PLANTED}\u2028x"), 400),
    "text that is turned round": (_form(chosen=f"{PLANTED}\u202egnihton"), 400),
    "half a character": (json.dumps(_form(reason=PLANTED)).replace(PLANTED, PLANTED + "\\ud800").encode(), 400),
    "no digest": (_form(shown=PLANTED), 400),
    "digest in large letters": (_form(shown="AB" * 32), 400),
    "unknown ground": (_form(ground=PLANTED), 400),
    "session by a path": (_form(session="../../etc"), 400),
    "session that is not there": (_form(session="77"), 404),
    "unknown field": (_form(**{PLANTED: "x"}), 400),
    "person of its own": (_form(person="director"), 400),
    "missing field": (_form(reason=None), 400),
    "number as text": (_form(reason=7), 400),
    "key twice": (json.dumps(_form()).replace("{", '{"reason": "first", ', 1).encode(), 400),
    "nested without end": (b"[" * 16000, 400),
    "list": (b"[]", 400),
    "no JSON": (PLANTED.encode(), 400),
    "other encoding": (json.dumps(_form()).encode("utf-16"), 400),
    "nothing": (b"", 400),
}


def test_bad_forms_are_refused_and_not_repeated(client: ServiceClient) -> None:
    """Nothing is kept, and no word of them is in the answer, in the trail or beside it."""
    for name, (form, status) in REFUSED.items():
        content = form if isinstance(form, bytes) else json.dumps(form).encode()
        answer = client.ask(PLACE, "POST", content=content)
        assert answer.status_code == status, (name, answer.text)
        assert set(answer.json()["error"]) == {"where", "found", "expected", "advice"}, name
        assert PLANTED not in answer.text, name
    assert PLANTED not in _trail(client)
    assert not _files(client)


@pytest.mark.parametrize("subject", ["77", "01%2f..%2f01", "%2e%2e", "*"])
def test_subjects_that_are_not_there_have_none(subject: str, client: ServiceClient) -> None:
    """Labels are letters and digits, and a subject is one of the results."""
    for method in ("POST", "GET"):
        given = {"json": _form()} if method == "POST" else {}
        assert client.ask(f"/api/v1/subjects/{subject}/overrides", method, **given).status_code in (404, 422)
    assert not _files(client)


def test_who_may_keep_and_read(results: Path, tmp_path: Path) -> None:
    """Planners keep, readers read, auditors read all of the study; another study's scopes and purposes do nothing."""
    issuer = Issuer(tmp_path)
    with running(results, tmp_path / "service", tokens=issuer.settings) as client:

        def ask(path: str, scope: str, method: str = "GET") -> httpx.Response:
            given = {"json": _form()} if method == "POST" else {}
            return client.ask(path, method, headers=bearer(issuer.token(time.time(), scope=scope)), **given)

        for scope, status in (
            ("study:study:planner", 201),
            ("study:study:reader", 403),
            ("study:study:auditor", 403),
            ("study:other:planner", 403),
            ("study:studyX:planner study:other:auditor", 403),
            ("study:study:planner purpose:research", 403),
        ):
            assert ask(PLACE, scope, "POST").status_code == status, scope
        assert client.ask(PLACE, "POST", json=_form()).status_code == 401
        (only,) = ask(PLACE, "study:study:reader").json()["overrides"]
        assert only["person"] == "planner-7"
        assert ask(PLACE, "study:study:auditor").status_code == 403
        assert ask(PLACE, "study:other:reader").status_code == 403
        assert len(ask("/api/v1/overrides", "study:study:auditor").json()["overrides"]) == 1
        for scope in ("study:study:planner", "study:other:auditor"):
            assert ask("/api/v1/overrides", scope).status_code == 403


def test_nothing_is_kept_without_consent(results: Path, tmp_path: Path) -> None:
    """An override is a use of the subject's data; one kept before withdrawal is listed as derived."""
    folder = tmp_path / "consents"
    folder.mkdir()
    told = {"resourceType": "Consent", "status": "active", "patient": {"reference": "Patient/sub-01"}}
    told |= {"dateTime": "2026-01-01", "provision": {"type": "permit", "purpose": [{"code": "TREAT"}]}}
    (folder / "one.json").write_text(json.dumps(told))
    with running(results, tmp_path / "service", consent="required", consents=folder) as client:
        _kept(client)
        (folder / "two.json").write_text(json.dumps(told | {"status": "inactive", "dateTime": "2026-02-01"}))
        assert client.ask(PLACE, "POST", json=_form()).status_code == 403
        assert client.ask(PLACE).status_code == 403
        assert len(_files(client)) == 1
        derived = {one.what: one.count for one in derived_of(results, "01", client.folders.audit)}
    assert derived["overrides"] == 1
    assert "answers" not in derived


def test_cells_of_the_table_are_no_formulas(client: ServiceClient) -> None:
    """Whatever stands at the beginning of a text, a spreadsheet shows it as text, and it can be read back."""
    texts = ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", " =1+1", "＝1", 'plain, with "marks"']
    for text in texts:
        _kept(client, chosen=text, reason=f"{text}\n=second line")
    answer = client.ask(f"{PLACE}?format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert {row["chosen"].removeprefix("'") for row in rows} == set(texts)
    for row in rows:
        assert not row["chosen"].strip().startswith(("=", "+", "-", "@", "＝"))
        assert not row["reason"].strip().startswith(("=", "+", "-", "@", "＝"))


def test_changes_of_the_folder_are_found(client: ServiceClient, palpate_inside: Inside) -> None:
    """A byte flipped in each of 20 places, a record that is gone, and one that was put in."""
    _kept(client)
    (path,) = _files(client)
    content = path.read_bytes()
    path.chmod(0o600)
    check = ("verify", "audit", client.folders.audit, "--heads", client.folders.heads)
    check = (*check, "--overrides", client.folders.overrides)
    assert palpate_inside(*check).code == 0
    for place in random.Random(5).sample(range(len(content)), 20):
        damaged = bytearray(content)
        damaged[place] ^= 1 << (place % 7)
        path.write_bytes(bytes(damaged))
        assert check_overrides(client.folders.overrides, client.folders.audit).faults, place
        listed = client.ask(PLACE).json()
        assert (listed["overrides"], listed["damaged"]) == ([], [f"sub-01/{path.name}"])
    assert palpate_inside(*check).code == 2
    path.unlink()
    done = palpate_inside(*check)
    assert done.code == 2
    assert "is gone; the trail names it" in done.printed
    path.write_bytes(content)
    other = content.replace(b"other-evidence", b"patient-choice")
    path.with_name(f"{hashlib.sha256(other).hexdigest()}.json").write_bytes(other)
    done = palpate_inside(*check)
    assert done.code == 0
    assert "has no line" in done.printed


def test_a_full_disk_keeps_nothing(client: ServiceClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither half a record nor its partial file, and the next one is kept."""
    monkeypatch.setattr(override_store.os, "link", _full)
    assert client.ask(PLACE, "POST", json=_form()).status_code == 503
    monkeypatch.undo()
    assert not _files(client)
    _kept(client)
    assert len(_files(client)) == 1


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_one_subject_cannot_fill_the_disk(client: ServiceClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a most; it is said, and nothing is replaced."""
    monkeypatch.setattr(override_store, "MOST", 2)
    for status in (201, 201, 413):
        assert client.ask(PLACE, "POST", json=_form()).status_code == status
    assert len(_files(client)) == 2
    assert all(one.stat().st_mode & 0o777 == 0o400 for one in _files(client))


def test_the_command_keeps_and_shows_what_the_service_does(
    client: ServiceClient, results: Path, tmp_path: Path, palpate_inside: Inside
) -> None:
    """The same records, the same list to the last byte, and a line in the same trail."""
    settings = json.dumps({name: str(getattr(client.folders, name)) for name in ("audit", "overrides")})
    settings = json.dumps(json.loads(settings) | {"audit_heads": str(client.folders.heads)})
    answer = tmp_path / "answer.json"
    answer.write_bytes(client.ask(SPHERE).content)
    form = tmp_path / "form.json"
    form.write_text(json.dumps(_form(shown=None)))
    done = palpate_inside(
        "override", "keep", results, form, "--subject", "01", "--shown", answer, "--settings", settings
    )
    assert done.code == 0, done.printed
    assert PLANTED not in done.printed
    name = _kept(client)
    found = client.ask(PLACE)
    (first, second) = found.json()["overrides"]
    assert first["override"] in done.printed
    assert second["override"] == name
    assert first["shown_sha256"] == hashlib.sha256(answer.read_bytes()).hexdigest()
    same = ("study", "subject", "session", "person", "purpose", "chosen", "instead_of", "ground", "reason")
    assert {key: first[key] for key in same} == {key: second[key] for key in same}
    for form_name in ("json", "csv"):
        printed = palpate_inside("override", "show", "--subject", "01", "--settings", settings, "--format", form_name)
        assert printed.printed.encode() == client.ask(f"{PLACE}?format={form_name}").content
    state = check_overrides(client.folders.overrides, client.folders.audit)
    assert not state.faults
    assert state.notes == (f"override {name}: no line names the answer that was shown; it came from elsewhere",)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--subject", "01/ses-01"), "letters and digits"),
        (("--subject", "77"), "no subject"),
        (("--subject", "01", "--purpose", "fun"), "one of care"),
        (("--subject", "01", "--shown", "nothing.json"), "no such file"),
    ],
)
def test_the_command_says_what_is_wrong(
    options: tuple[str, ...], words: str, results: Path, tmp_path: Path, palpate_inside: Inside
) -> None:
    """Exit code 2, and nothing is kept."""
    form = tmp_path / "form.json"
    form.write_text(json.dumps(_form()))
    settings = json.dumps({"audit": str(tmp_path / "home" / "audit")})
    done = palpate_inside("override", "keep", results, form, *options, "--settings", settings)
    assert done.code == 2
    assert words in done.printed
    assert not [one for one in (tmp_path / "home").rglob("*.json*") if one.is_file()]


def test_the_folder_lies_outside_the_results(results: Path, tmp_path: Path, palpate_inside: Inside) -> None:
    """Results are handed on; what clinicians wrote is not."""
    form = tmp_path / "form.json"
    form.write_text(json.dumps(_form()))
    settings = json.dumps({"audit": str(tmp_path / "audit"), "overrides": str(results / "overrides")})
    done = palpate_inside("override", "keep", results, form, "--subject", "01", "--settings", settings)
    assert done.code == 2
    assert not (results / "overrides").exists()
    assert [one.name for one in tmp_path.iterdir()] == ["form.json"]
