"""Names that changed: for one version the old ones are read, and old JSON keys are written beside the new."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from palpate import __version__
from palpate.config.section import Section, checked_settings
from palpate.config.settings import Settings
from palpate.config.twin import TwinSettings
from palpate.errors import InputError
from palpate.renamed import (
    KEYS,
    OPTIONS,
    PLACE_WARNINGS,
    REMOVED_IN,
    SETTINGS,
    WARNINGS,
    Form,
    RenamedKey,
    RenamedOption,
    RenamedSetting,
    current_arguments,
    current_settings,
    with_current_keys,
    with_old_keys,
)
from tests.conftest import CHECKOUT, Outcome

FOLDERS = ("src/palpate", "imaging", "meshing", "solvers", "twin", "service")
PAGE = CHECKOUT / "docs" / "renamed.md"


def _sections(model: type[Section] = Settings) -> Iterator[tuple[str, type[Section]]]:
    """Yield every section class with its key, those inside sections too."""
    for field in model.model_fields.values():
        for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(kind, type) and issubclass(kind, Section):
                yield kind.section_key(), kind
                yield from _sections(kind)


CLASSES = dict(_sections())


def _given(one: RenamedSetting) -> list[tuple[object, object]]:
    """Values under the old name and what they are under the new: every word, or the default."""
    if one.words:
        return [(word, one.form.to_new(word)) for word in one.words]
    default = CLASSES[one.section].model_fields[one.new].get_default(call_default_factory=True)
    return [(default, default)]


@pytest.mark.parametrize("one", SETTINGS, ids=lambda one: f"{one.section}.{one.old}")
def test_an_old_setting_is_read(one: RenamedSetting, capsys: pytest.CaptureFixture[str]) -> None:
    """A study's configuration goes on working, says what to rename, and cannot say two things at once."""
    model = CLASSES[one.section]
    assert one.new in model.model_fields
    assert one.old not in model.model_fields
    for old, new in _given(one):
        capsys.readouterr()
        by_new = checked_settings(model, {one.new: new})
        assert capsys.readouterr().err == ""
        assert checked_settings(model, {one.old: old}) == by_new
        said = capsys.readouterr().err
        assert f"{one.section}.{one.old}" in said
        assert f"{one.section}.{one.new}" in said
        assert model().model_copy(update={one.old: old}) == by_new
        assert checked_settings(model, {one.old: old, one.new: new}) == by_new
        with pytest.raises(InputError, match=rf"{one.section}\.{one.old}.*another thing"):
            checked_settings(model, {one.old: old, one.new: "something else"})


def test_a_word_that_an_old_setting_never_had_is_refused() -> None:
    """It must not silently become the default."""
    for one in SETTINGS:
        for wrong in ("nonsense", None, ["keyed"]) if one.words else ():
            with pytest.raises(InputError, match=rf"{one.section}\.{one.new}"):
                checked_settings(CLASSES[one.section], {one.old: wrong})


def test_a_setting_keeps_its_place_and_records_are_read_quietly(capsys: pytest.CaptureFixture[str]) -> None:
    """Calibrations of earlier versions hold their settings; nobody can rename these."""
    given = {"seed": 3, "front_drift_mm": 2.0, "draws": 40}
    renamed = current_settings("twin", given, quiet=True)
    assert list(renamed) == ["seed", "front_error_mm", "draws"]  # type: ignore[call-overload]
    assert TwinSettings.model_validate(renamed).front_error_mm == 2.0
    assert capsys.readouterr().err == ""


def _value(form: Form) -> list[object]:
    """Values under the new name."""
    if form in (WARNINGS, PLACE_WARNINGS):
        return [[], [{"code": "a-code", "sentence": "A sentence.", "advice": "An advice."}]]
    if form.to_old is Form().to_old:
        return [{"50": 1.02}]
    words = ("pseudonymised", "pseudonymised before", "retained", "pseudonym", "scan")
    return [word for word in words if _converts(form, word)]


def _converts(form: Form, word: str) -> bool:
    try:
        form.to_old(word)
    except (KeyError, TypeError):
        return False
    return True


def _record(key: RenamedKey, inner: Mapping[str, object]) -> dict[str, Any]:
    """A record whose object at the key's place is `inner`, in a list where the place is below something."""
    found: Any = dict(inner)
    for name in reversed(key.at.split(".") if key.at else ()):
        found = {name: [found, found]}
    return found  # type: ignore[no-any-return]


def _at(key: RenamedKey, record: Mapping[str, Any]) -> dict[str, Any]:
    """The object at the key's place."""
    found: Any = record
    for name in key.at.split(".") if key.at else ():
        found = found[name][1]
    return found  # type: ignore[no-any-return]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key.record}: {key.at}.{key.old}")
def test_an_old_key_is_written_beside_and_read_alone(key: RenamedKey) -> None:
    """Scripts of one version ago read what is written now, and folders of one version ago are read now."""
    for value in _value(key.form):
        new = _record(key, {key.new: value, "other": 1})
        both = with_old_keys(key.record, new)
        assert _at(key, both)[key.new] == value
        assert _at(key, both)[key.old] == key.form.to_old(value)
        assert with_current_keys(key.record, both) == with_current_keys(key.record, new) == new
        old = _at(key, with_current_keys(key.record, _record(key, {key.old: key.form.to_old(value), "other": 1})))
        assert set(old) == {key.new, "other"}
        assert key.form.to_old(old[key.new]) == key.form.to_old(value) or key.form in (WARNINGS, PLACE_WARNINGS)


def test_what_a_record_repeats_is_renamed_there() -> None:
    """Per frequency, and in the settings that a record keeps."""
    new = {
        "misfit": {"40": 1.0, "60": 1.1},
        "settings": {"cross_correlation": 0.5, "informed_variance_reduction": 0.5},
        "per_frequency": [{"misfit": {"40": 1.0}, "prior": {"mixture": [{"cross_correlation": 0.4}]}}],
    }
    written = with_old_keys("inversion", new)
    assert written["settings"]["coupling"] == 0.5
    assert written["settings"]["informed_above"] == 0.5
    (own,) = written["per_frequency"]
    assert own["misfit_per_frequency"] == {"40": 1.0}
    assert own["prior"]["hypotheses"] == [{"cross_correlation": 0.4, "coupling": 0.4}]
    assert with_current_keys("inversion", written) == new


def test_old_warnings_are_not_lost() -> None:
    """A sentence that stands in the old list alone becomes a warning; one that both state is no second one."""
    stated = {"code": "a-code", "sentence": "A sentence.", "advice": "An advice."}
    record = {"warnings": [stated], "doubts": ["A sentence. An advice.", "An older doubt."]}
    first, second = with_current_keys("inversion", record)["warnings"]
    assert first == stated
    assert (second["code"], second["sentence"]) == ("older-record", "An older doubt.")
    for wrong in ("none", [1], 3):
        with pytest.raises(TypeError):
            with_current_keys("placement", {"doubts": wrong})


def test_every_kind_of_record_is_written_by_the_table() -> None:
    """A writer that dumps JSON by itself would leave the old keys out."""
    written = set()
    for path in (path for folder in FOLDERS for path in (CHECKOUT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "record_text":
                (first, *_) = node.args
                written |= {first.value} if isinstance(first, ast.Constant) else set()
    assert written >= {key.record for key in KEYS}


@pytest.mark.parametrize("one", OPTIONS, ids=lambda one: one.old)
def test_an_old_option_is_read(
    one: RenamedOption, palpate_inside: Callable[..., Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    """A script goes on working, and the help shows the new name alone."""
    shown = palpate_inside(*one.command, "--help").printed
    assert f"{one.new} " in shown
    assert f"{one.old} " not in shown
    for given, renamed in (([one.old, "3"], [one.new, "3"]), ([f"{one.old}=3"], [f"{one.new}=3"])):
        assert current_arguments(["-q", *one.command, "x", *given]) == ["-q", *one.command, "x", *renamed]
        assert f"{one.old} is called {one.new} now" in capsys.readouterr().err
    assert current_arguments(["ingest", "x", one.old]) == ["ingest", "x", one.old]
    both = palpate_inside(*one.command, "x", one.old, "3", one.new, "4")
    assert both.code == 2
    assert one.new in both.printed


def test_the_page_lists_every_name() -> None:
    """Whoever reads of an old name must find the new one."""
    page = PAGE.read_text(encoding="utf-8")
    for old, new in [(one.old, one.new) for one in (*SETTINGS, *KEYS, *OPTIONS)]:
        assert f"`{old}`" in page or f".{old}`" in page, old
        assert new in page, new
    assert REMOVED_IN in page


def test_old_names_go_in_time() -> None:
    """For one version means that they go; whoever raises the version empties the table."""
    assert [int(part) for part in __version__.split(".")] < [int(part) for part in REMOVED_IN.split(".")]
