"""Names that changed on disk and on the command line: the only place that knows the old ones.

Settings, options, columns and JSON keys are accepted under their old names, and old JSON keys are written beside the
new ones, until version `REMOVED_IN`, in which this table is emptied. Everywhere else a name has its new form alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from palpate.errors import InputError
from palpate.progress import say
from palpate.quality_warning import QualityWarning

REMOVED_IN: Final = "0.2.0"
"""Version that no longer knows the old names."""
_TRANSPARENT: Final = "per_frequency"
"""Key under which a record repeats itself for each frequency."""


class Form(NamedTuple):
    """Conversion between the values under the old and under the new name.

    Attributes:
        to_old: value under the old name, from that under the new.
        to_new: value under the new name, from that under the old; KeyError or TypeError for an unknown word.
        merged: value of a record that states both, from the new and the old one.
    """

    to_old: Callable[[Any], Any] = lambda value: value
    to_new: Callable[[Any], Any] = lambda value: value
    merged: Callable[[Any, Any], Any] = lambda new, _: new


SAME: Final = Form()


def _worded(words: Mapping[str, str]) -> Form:
    """Return the conversion of words, old to new."""
    back = {new: old for old, new in words.items()}
    return Form(lambda new: back[new], lambda old: words[old])


@dataclass(frozen=True, slots=True)
class RenamedSetting:
    """Setting with another name.

    Attributes:
        section: key of the section, such as "inversion".
        old: name before.
        new: name now.
        form: conversion of the values.
        words: words of the old setting, for the error about another one; empty where any value may stand.
    """

    section: str
    old: str
    new: str
    form: Form = SAME
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RenamedKey:
    """JSON key with another name.

    Attributes:
        record: kind of record, such as "inversion".
        at: keys that lead to the object that holds it, joined by dots; empty for the record itself. Lists on the way
            stand for each of their entries.
        old: name before.
        new: name now.
        form: conversion of the values.
    """

    record: str
    at: str
    old: str
    new: str
    form: Form = SAME


@dataclass(frozen=True, slots=True)
class RenamedOption:
    """Option of the command line with another name.

    Attributes:
        command: words of the command, such as ("verify", "maps").
        old: name before.
        new: name now.
    """

    command: tuple[str, ...]
    old: str
    new: str


def _sentences(warnings: Sequence[Mapping[str, str]]) -> list[str]:
    """Return warnings as the sentences of older records, which stated convergence elsewhere."""
    return [f"{one['sentence']} {one['advice']}".strip() for one in warnings if one["code"] != "not-converged"]


def _warnings(sentences: Sequence[object]) -> list[dict[str, str]]:
    """Return sentences of an older record as warnings."""
    if isinstance(sentences, str) or not all(isinstance(one, str) for one in sentences):
        raise TypeError("sentences")
    advice = "Run the step again for its code and advice."
    stated = [str(one).strip() for one in sentences]
    return [QualityWarning("older-record", one, advice).as_record() for one in stated if one]


def _joined(warnings: object, sentences: Sequence[object]) -> list[Any]:
    """Return warnings with those sentences that none of them states, so that none is lost that stands in one list."""
    stated = list(warnings) if isinstance(warnings, list | tuple) else [warnings] if warnings else []
    said = [str(one.get("sentence") or "") if isinstance(one, Mapping) else str(one) for one in stated]
    return [*stated, *(one for one in _warnings(sentences) if not any(s and s in one["sentence"] for s in said))]


def _equal(new: Any, old: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a value that both names state."""
    if new != old:
        raise ValueError("two values")
    return new


WARNINGS: Final = Form(_sentences, _warnings, _joined)
"""Sentences that became objects of code, sentence and advice."""
PLACE_WARNINGS: Final = WARNINGS._replace(to_old=lambda warnings: [one["sentence"] for one in warnings])
"""Sentences without advice that became objects of code, sentence and advice."""

SETTINGS: Final = (
    RenamedSetting(
        "ingest",
        "uids",
        "identifiers",
        _worded({"keyed": "pseudonymised", "retained": "retained"}),
        ("retained", "keyed"),
    ),
    RenamedSetting("inversion", "coupling", "cross_correlation"),
    RenamedSetting("inversion", "informed_above", "informed_variance_reduction"),
    RenamedSetting("longitudinal", "before_days", "days_before_first_scan"),
    RenamedSetting("longitudinal", "begin_mm", "initial_radius_mm"),
    RenamedSetting("longitudinal", "fibres", "diffusivity_anisotropy"),
    RenamedSetting("longitudinal", "growth_pa", "tumour_pressure_pa"),
    RenamedSetting("longitudinal", "half_mm", "half_edge_mm"),
    RenamedSetting("longitudinal", "moved_mm", "head_shift_mm"),
    RenamedSetting("longitudinal", "mre_error_mm", "mre_error_length_mm"),
    RenamedSetting("longitudinal", "turned_deg", "head_rotation_deg"),
    RenamedSetting(
        "maps", "uids", "identity", _worded({"keyed": "pseudonym", "retained": "scan"}), ("retained", "keyed")
    ),
    RenamedSetting("tetrahedra", "growth", "gradation"),
    RenamedSetting("twin", "displacement_stiffnesses", "displacement_stiffness_draws"),
    RenamedSetting("twin", "drift_per_100_days", "proliferation_log_std_per_100_days"),
    RenamedSetting("twin", "front_drift_log_std", "front_error_log_std"),
    RenamedSetting("twin", "front_drift_mm", "front_error_mm"),
    RenamedSetting("twin", "gain_std", "cellularity_gain_log_std"),
)
"""Settings with another name."""

_RECORDED_SETTINGS: Final = {
    ("calibration", "settings"): "twin",
    ("ingest", "settings"): "ingest",
    ("inversion", "settings"): "inversion",
    ("label mesh", "settings"): "tetrahedra",
    ("mesh", "settings.tetrahedra"): "tetrahedra",
    ("truth", "settings.longitudinal"): "longitudinal",
    ("tumour truth", "settings"): "longitudinal",
}
"""Sections whose settings records repeat, by record and place."""

_PRIOR: Final = (("inversion", "prior"), ("inversion", "prior.mixture"))

KEYS: Final = (
    RenamedKey("inversion", "", "doubts", "warnings", WARNINGS),
    RenamedKey("inversion", "", "misfit_per_frequency", "misfit"),
    RenamedKey("inversion", "", "slice_turns", "slice_phase_errors"),
    RenamedKey("inversion", "prior", "hypotheses", "mixture"),
    RenamedKey("inversion", "prior", "region_factors", "region_scales"),
    *(RenamedKey(record, at, "coupling", "cross_correlation") for record, at in _PRIOR),
    RenamedKey("ingest", "anatomy.registration", "doubts", "warnings", PLACE_WARNINGS),
    RenamedKey("ingest", "frequencies.directions", "image_drift_rad", "linear_phase_error_rad"),
    RenamedKey(
        "ingest",
        "identifiers",
        "kind",
        "status",
        _worded({"keyed": "pseudonymised", "keyed before": "pseudonymised before", "retained": "retained"}),
    ),
    RenamedKey("placement", "", "doubts", "warnings", PLACE_WARNINGS),
    RenamedKey("placement", "figures", "information", "mutual_information"),
    RenamedKey("placement", "figures", "information_at_rest", "mutual_information_unmoved"),
    RenamedKey("placement", "figures", "information_displaced", "mutual_information_displaced"),
    RenamedKey("label mesh", "", "way", "method"),
    RenamedKey("label mesh", "", "pinched_places", "non_manifold_places"),
    RenamedKey("calibration", "", "doubts", "warnings", WARNINGS),
    RenamedKey("calibration", "", "front_drift_mm_per_100_days", "front_error_mm_per_100_days"),
    RenamedKey("calibration", "statistics", "effective_share", "effective_sample_fraction"),
    RenamedKey("forecast", "forecast", "further_displacement_mm", "additional_displacement_mm"),
    RenamedKey("forecast", "mass_effect", "seen", "at_scans"),
    RenamedKey("forecast", "mass_effect", "largest", "largest_quantile"),
    RenamedKey("forecast", "mass_effect", "stiffnesses", "stiffness_draws"),
    RenamedKey("wave field", "", "DriftStd", "LinearPhaseErrorStd", Form(merged=_equal)),
)
"""Keys of records with another name; those of settings that records repeat follow from SETTINGS."""

OPTIONS: Final = (
    RenamedOption(("forecast",), "--after", "--after-days"),
    RenamedOption(("verify", "maps"), "--margin", "--margin-voxels"),
)
"""Options with another name."""

TREATMENT_COLUMNS: Final[Mapping[str, str]] = {"amount": "amount_mg"}
"""Columns of treatments.tsv with another name, old to new."""


def current_settings(section: str, given: object, *, quiet: bool = False) -> object:
    """Return the settings of a section under their new names.

    Args:
        section: key of the section, such as "inversion".
        given: keys and values as a user wrote them; anything else is returned as it is.
        quiet: whether nothing is said about old names, as where a record repeats them.

    Raises:
        InputError: an old and a new name have different values, or an old setting has a word that it never had.
    """
    if not isinstance(given, Mapping):
        return given
    found = dict(given)
    for one in SETTINGS:
        if one.section == section and one.old in found:
            found = _renamed_setting(one, found, quiet=quiet)
    return found


def _renamed_setting(one: RenamedSetting, given: dict[Any, Any], *, quiet: bool) -> dict[Any, Any]:
    """Return settings with one of them under its new name, at the same place."""
    old, new, value = f"{one.section}.{one.old}", f"{one.section}.{one.new}", given[one.old]
    try:
        meant = one.form.to_new(value)
    except (KeyError, TypeError) as error:
        raise InputError(
            old,
            found=repr(value) if isinstance(value, str) else type(value).__name__,
            expected=f"{' or '.join(one.words)}, the words of this old name of {new}",
            advice=f"Remove {old} and write {new}: {_choices(one)}.",
        ) from error
    if given.get(one.new, meant) != meant:
        raise InputError(
            old,
            found=f"{value}, where {new}, its name now, says another thing",
            expected="one of the two names",
            advice=f"Remove {old}.",
        )
    if not quiet:
        as_now = f"{old}: {value} is called {new}: {meant} now" if one.words else f"{old} is called {new} now"
        say(f"{as_now}; the old name is read until palpate {REMOVED_IN}")
    return _at_its_place(given, one.old, one.new, meant)


def _at_its_place(given: Mapping[Any, Any], old: str, new: str, value: object) -> dict[Any, Any]:
    """Return an object with a value under its new key, where the old key stood."""
    return {new if name == old else name: value if name == old else kept for name, kept in given.items()}


def _choices(one: RenamedSetting) -> str:
    return " or ".join(f"{one.form.to_new(word)} ({word})" for word in one.words)


def current_arguments(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of the command line with options under their new names.

    Args:
        arguments: words after `palpate`.

    Raises:
        InputError: an option is given under both names.
    """
    found = list(arguments)
    for one in OPTIONS:
        at = [number for number, word in enumerate(found) if word.partition("=")[0] == one.old]
        if not at or not _is_command(found, one.command):
            continue
        if any(word.partition("=")[0] == one.new for word in found):
            advice = f"Use {one.new}: it is the name of {one.old} now."
            raise InputError(one.old, found=f"{one.old} and {one.new}", expected="one of the two", advice=advice)
        say(f"{one.old} is called {one.new} now; the old name is read until palpate {REMOVED_IN}")
        for number in at:
            found[number] = one.new + found[number].removeprefix(one.old)
    return found


def _is_command(arguments: Sequence[str], command: tuple[str, ...]) -> bool:
    """Return whether arguments call a command, after options of palpate itself, which take no value."""
    words = [word for word in arguments if not word.startswith("-")]
    return tuple(words[: len(command)]) == command


def with_old_keys(record: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record to be written, with old keys beside the new ones.

    Args:
        record: kind of record, such as "inversion".
        content: record under its new keys.
    """

    def beside(at: str, one: Mapping[str, Any]) -> dict[str, Any]:
        inner = {name: _in_objects(value, _below(at, name), beside) for name, value in one.items()}
        return inner | {key.old: key.form.to_old(inner[key.new]) for key in _keys(record, at) if key.new in inner}

    return beside("", content)


def record_text(record: str, content: Mapping[str, Any], *, allow_nan: bool = True) -> str:
    """Return the JSON text of a record, with old keys beside the new ones.

    Args:
        record: kind of record, such as "inversion".
        content: record under its new keys.
        allow_nan: whether numbers that JSON does not know are written; ValueError where not.
    """
    return json.dumps(with_old_keys(record, content), indent=2, allow_nan=allow_nan) + "\n"


def with_current_keys(record: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record that was read, under its new keys alone, whichever version wrote it.

    Args:
        record: kind of record, such as "inversion".
        content: record as it stands in its file.

    Raises:
        KeyError: an old key has a value that it never had. TypeError means the same.
        ValueError: an input states two values under an old and a new key.
    """

    def renamed(at: str, one: Mapping[str, Any]) -> dict[str, Any]:
        found = dict(one)
        for key in _keys(record, at):
            if key.old in found and key.new in found:
                found[key.new] = key.form.merged(found[key.new], found.pop(key.old))
            elif key.old in found:
                found = _at_its_place(found, key.old, key.new, key.form.to_new(found[key.old]))
        return {name: _in_objects(value, _below(at, name), renamed) for name, value in found.items()}

    return renamed("", content)


def old_keys(record: str, at: str = "") -> dict[str, str]:
    """Return the old keys of the objects at one place of a record, old to new.

    Args:
        record: kind of record, such as "inversion".
        at: keys that lead to the objects, joined by dots.
    """
    return {one.old: one.new for one in _keys(record, at)}


def _keys(record: str, at: str) -> Iterator[RenamedKey]:
    """Yield the renamed keys of the objects at one place of a record."""
    yield from (one for one in KEYS if (one.record, one.at) == (record, at))
    section = _RECORDED_SETTINGS.get((record, at))
    yield from (RenamedKey(record, at, one.old, one.new, one.form) for one in SETTINGS if one.section == section)


def _below(at: str, name: str) -> str:
    """Return the place of what stands under a key of an object at a place."""
    return at if name == _TRANSPARENT else f"{at}.{name}".lstrip(".")


def _in_objects(value: Any, at: str, change: Callable[[str, Mapping[str, Any]], dict[str, Any]]) -> Any:  # noqa: ANN401 - JSON
    """Return a JSON value whose objects are changed, those in lists too."""
    if isinstance(value, Mapping):
        return change(at, value)
    return [_in_objects(one, at, change) for one in value] if isinstance(value, list) else value
