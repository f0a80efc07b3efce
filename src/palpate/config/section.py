"""Base of every section of the configuration: frozen, without unknown keys, and read from text or file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn, Self, TypeAliasType, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from palpate.config.setting_errors import settings_error, shown_value
from palpate.config.text_file import read_text_file
from palpate.errors import InputError
from palpate.renamed import current_settings
from palpate.run_crate.command import note_settings

_OPTION = "--settings"
_MOST_VALUES: Final = 10_000
"""Largest number of values in a settings file, aliases written out."""
_ADVICE = 'Write JSON such as {"key": 1.5}, or name a YAML or JSON file.'


WHOLE: Final = ("sessions", "results", "forms")
"""Keys of a study's configuration that are not sections."""
SECTIONS: Final = (
    *("phantom", "ingest", "mesh", "inversion", "maps", "derived", "report", "regions"),
    *("tumour", "twin", "forecast", "provenance"),
)
"""Keys of its sections. Their classes are not imported here: each is part of the programs of its own steps alone."""


class Section(BaseModel):
    """Settings of one step. The docstring under each field is its description in the JSON schema."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @classmethod
    def section_key(cls) -> str:
        """Return the key of this section in a study's configuration, such as "ingest"."""
        return cls.__name__.removesuffix("Settings").lower()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with some settings changed, which may have their old names here as in a file."""
        changes = current_settings(self.section_key(), dict(update or {}))
        assert isinstance(changes, dict)
        return super().model_copy(update=changes, deep=deep)

    @model_validator(mode="before")
    @classmethod
    def _as_of_now(cls, content: object) -> object:
        """Read old names, and leave out sections without a key, as they remain where all their lines are comments."""
        content = current_settings(cls.section_key(), content)
        if not isinstance(content, Mapping):
            return content
        return {name: value for name, value in content.items() if value is not None or not cls._is_section(name)}

    @field_validator("*", mode="before")
    @classmethod
    def _no_look_alikes(cls, value: object, info: ValidationInfo) -> object:
        """Refuse true where a number belongs, which Python takes for 1, and empty text, which it takes for a folder."""
        field = cls.model_fields[str(info.field_name)]
        kinds = set(_kinds(field.annotation))
        if kinds & {int, float} and bool not in kinds and any(isinstance(one, bool) for one in _parts(value)):
            raise PydanticCustomError("number_wanted", "a number")
        if kinds & {str, Path} and any(isinstance(one, str) and not one.strip() for one in _parts(value)):
            raise PydanticCustomError("text_wanted", "a path" if Path in kinds else "text")
        return value

    @classmethod
    def _is_section(cls, name: object) -> bool:
        field = cls.model_fields.get(str(name))
        return field is not None and isinstance(field.annotation, type) and issubclass(field.annotation, Section)


def _kinds(annotation: object) -> Iterator[type]:
    """Yield the plain types of which the annotation of a setting is made up."""
    if isinstance(annotation, TypeAliasType):
        yield from _kinds(annotation.__value__)
    elif get_origin(annotation) is None and isinstance(annotation, type):
        yield annotation
    else:
        for one in get_args(annotation):
            yield from _kinds(one)


def _parts(value: object) -> Iterator[object]:
    """Yield a value, or the values in a list or mapping."""
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else None
    if inside is None:
        yield value
    else:
        for one in inside:
            yield from _parts(one)


def parse_settings[S: Section](model: type[S], text: str | None) -> S:
    """Return the settings of one step from its --settings option.

    Args:
        model: the section's class.
        text: JSON (YAML in braces is read too), or the path of a YAML or JSON file; either holds the section alone, or
            a study's whole configuration or several sections of it, of which this step takes its own. None gives the
            defaults.

    Raises:
        InputError: the text is neither, it holds sections of other steps alone, or a key or value is not one that the
            section knows.
    """
    found = model() if text is None else _parsed(model, text)
    note_settings(_without_paths(found))
    return found


def _parsed[S: Section](model: type[S], text: str) -> S:
    """Return the settings in the text of an option, or in the file that it names."""
    inline = _is_content(text)
    where = _OPTION if inline else text
    content = parse_object(text, _OPTION) if inline else _of_file(text)
    try:
        return model.model_validate(_own_part(content, model, where))
    except ValidationError as error:
        raise settings_error(where, error, model) from error


def _without_paths(settings: Section) -> dict[str, Any]:
    """Return settings as JSON values without those that are paths: they tell nothing elsewhere, and may hold names."""
    paths = {name for name in type(settings).model_fields if isinstance(getattr(settings, name), Path)}
    return settings.model_dump(mode="json", exclude=paths)


def _is_content(text: str) -> bool:
    """Return whether an option's text is meant as the settings themselves and not as the name of their file."""
    if not text.strip():
        raise InputError(_OPTION, found="an empty text", expected="keys with values", advice=_ADVICE)
    if text.lstrip().startswith(("{", "[", '"')):
        return True
    try:
        json.loads(text)
    except ValueError:
        return False
    return not Path(text).exists()


def checked_settings[S: Section](model: type[S], given: S | Mapping[str, Any] | None) -> S:
    """Return the settings that a Python session gives.

    Args:
        model: the section's class.
        given: the section, or keys and values of it; None gives the defaults.

    Raises:
        InputError: a key or value is not one that the section knows.
    """
    if given is None:
        return model()
    if isinstance(given, model):
        return given
    try:
        return model.model_validate(dict(given) if isinstance(given, Mapping) else given)
    except ValidationError as error:
        raise settings_error("settings", error, model) from error


def _of_file(name: str) -> dict[str, Any]:
    """Return the keys and values of a settings file."""
    path = Path(name)
    try:
        there = path.exists()
    except (OSError, ValueError):  # such as a name that no file system takes
        there = False
    if not there:
        found = f"{name[:60]!r}, which is neither JSON nor a file"
        raise InputError(_OPTION, found=found, expected="settings, or the path of their file", advice=_ADVICE)
    return parse_object(read_text_file(path, expected="settings in YAML or JSON", advice=_ADVICE), name)


def parse_object(text: str, where: str) -> dict[str, Any]:
    """Return the keys and values of JSON text, else of YAML, which also reads what people take for JSON.

    Args:
        text: JSON or YAML.
        where: file or option that holds it, for errors.

    Raises:
        InputError: the text is neither, names a key twice, or holds no keys.
    """
    try:
        content = json.loads(text, object_pairs_hook=lambda pairs: _once(pairs, where), parse_constant=_no_number)
    except (ValueError, RecursionError):
        content = _yaml(text, where)
    if not isinstance(content, dict):
        raise InputError(where, found=_in_words(content), expected="keys with values", advice=_ADVICE)
    return {str(key): value for key, value in content.items()}


def _yaml(text: str, where: str) -> object:
    """Return the content of YAML text, each key at most once in its mapping."""
    try:
        count, mappings = _looked_through(yaml.compose(text, Loader=yaml.SafeLoader), {})
        if count > _MOST_VALUES:
            raise InputError(
                where,
                found=f"more than {_MOST_VALUES} values, most of them repeated by aliases (*name)",
                expected="settings",
                advice="Write the values out, without anchors (&name) and aliases.",
            )
        for node in mappings:
            _once([(str(key.value), None) for key, _ in node.value], where)
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        found = f"text that is neither JSON nor YAML{place}"
        raise InputError(where, found=found, expected="keys with values", advice=_ADVICE) from error


def _looked_through(node: yaml.Node | None, known: dict[int, int]) -> tuple[int, list[yaml.MappingNode]]:
    """Return the number of values of a YAML document with its aliases written out, and its mappings, each once.

    Args:
        node: part of the document.
        known: numbers of values of the parts seen so far, by identity: aliases of aliases multiply.
    """
    if id(node) in known:
        return known[id(node)], []
    inner: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        inner = [part for pair in node.value for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        inner = list(node.value)
    count, mappings = 1, [node] if isinstance(node, yaml.MappingNode) else []
    for one in inner:
        values, found = _looked_through(one, known)
        count, mappings = count + values, mappings + found
    known[id(node)] = count
    return count, mappings


def _once(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    """Return pairs as a dictionary; the last of two equal keys would win in silence."""
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(where, found=f"key {twice} twice", expected="each key once", advice="Remove one of them.")
    return content


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _in_words(content: object) -> str:
    """Return a noun phrase for content without keys."""
    if content is None:
        return "no keys"
    kind = "a list" if isinstance(content, list) else "a single value"
    return f"{kind} ({shown_value(content)})"


def _own_part(content: dict[str, Any], model: type[Section], where: str) -> object:
    """Return the section out of a study's configuration, or the content where it is the section already.

    Raises:
        InputError: it holds sections of other steps alone, or a whole configuration has a key that none has.
    """
    own, keys = model.section_key(), set(content)
    named = keys & {*WHOLE, *SECTIONS} - set(model.model_fields)
    if not named or own in model.model_fields or (keys - {*WHOLE, *SECTIONS} and not keys & {*WHOLE, own}):
        return content
    strange = sorted(keys - {*WHOLE, *SECTIONS})
    if strange:
        raise InputError(
            where,
            found=f"unknown key {strange[0]} beside {sorted(named)[0]}",
            expected=f"sections of the configuration ({', '.join(SECTIONS)}), or the keys of one alone",
            advice=f"Check the spelling, or move {strange[0]} into its section.",
        )
    if own not in content and not keys & {*WHOLE}:
        raise InputError(
            where,
            found=f"the section{'s' if len(named) > 1 else ''} {', '.join(sorted(named))}, of other steps",
            expected=f"the section {own}, or its keys alone",
            advice=f"Give the section {own}; leave --settings out for its defaults.",
        )
    part = content.get(own)
    return {} if part is None else part
