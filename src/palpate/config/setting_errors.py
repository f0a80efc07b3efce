"""Error messages about settings: a library's finding as one sentence for the author of the settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from palpate.errors import InputError

_SHOWN: Final = 60
"""Longest piece of a value that an error repeats."""

_NUMBER, _WHOLE, _SWITCH, _LIST, _KEYS = "a number", "a whole number", "true or false", "a list", "keys with values"

_EXPECTED: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    **dict.fromkeys(("float_type", "float_parsing"), lambda _: _NUMBER),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), lambda _: _WHOLE),
    **dict.fromkeys(("bool_type", "bool_parsing"), lambda _: _SWITCH),
    **dict.fromkeys(("tuple_type", "list_type", "set_type", "frozen_set_type", "iterable_type"), lambda _: _LIST),
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type", "mapping_type"), lambda _: _KEYS),
    "string_type": lambda _: "text",
    "path_type": lambda _: "a path",
    "finite_number": lambda _: "a finite number",
    "missing": lambda _: "a value",
    "greater_than": lambda limits: f"a number above {limits['gt']:g}",
    "greater_than_equal": lambda limits: f"a number of at least {limits['ge']:g}",
    "less_than": lambda limits: f"a number below {limits['lt']:g}",
    "less_than_equal": lambda limits: f"a number of at most {limits['le']:g}",
    "string_pattern_mismatch": lambda limits: f"text of the form {limits['pattern']}",
    "literal_error": lambda limits: str(limits["expected"]),
    "too_short": lambda limits: f"a list of at least {limits['min_length']} entries",
    "too_long": lambda limits: f"a list of at most {limits['max_length']} entries",
}
"""Noun phrase for what a value should be, by the library's name of the error."""

_LIBRARYS_OWN: Final = frozenset(get_args(ErrorType))


def settings_error(where: str, error: ValidationError, model: type[BaseModel]) -> InputError:
    """Return the first complaint of a failed validation as the one sentence that a user sees.

    Args:
        where: file or option that holds the settings.
        error: the failed validation.
        model: class of the settings.
    """
    first = error.errors(include_url=False)[0]
    keys = _keys(model, first["loc"])
    key = ".".join(keys)
    if first["type"] == "extra_forbidden":
        known = ", ".join(sorted(_fields_at(model, first["loc"][:-1])))
        return InputError(where, found=f"unknown key {key}", expected=f"one of {known}", advice="Check the spelling.")
    if first["type"] == "missing":
        return InputError(where, found=f"no {key}", expected=f"a value for {key}", advice=f"Add {key}.")
    found = f"{key} = {shown_value(first['input'])}" if key else shown_value(first["input"])
    if first["type"] == "value_error":
        reason = first["msg"].removeprefix("Value error, ")
        return InputError(where, found=found, expected="settings that fit together", advice=_sentence(reason))
    advice = f"Correct {key}." if key else "Write keys with values (`palpate config show` prints them all)."
    return InputError(where, found=found, expected=_expected(first), advice=advice)


def _expected(first: ErrorDetails) -> str:
    """Return the expected value in our words for the library's errors, and in their own words for our checks."""
    if first["type"] in _EXPECTED:
        return _EXPECTED[first["type"]](first.get("ctx", {}))
    return "a value that the schema allows" if first["type"] in _LIBRARYS_OWN else first["msg"]


def shown_value(value: object) -> str:
    """Return a value as it would stand in JSON, shortened; what JSON does not know, such as YAML's dates, as text."""
    try:
        text = repr(value) if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    except (TypeError, ValueError):  # keys that JSON does not know, a mapping inside itself
        text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _sentence(text: str) -> str:
    """Return a text that begins with a capital and ends with a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Return the parts of a place that a user wrote; a library also names the alternatives of a type."""
    keys = []
    inner: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, int):
            keys.append(str(part))
        elif inner is None or part in inner.model_fields or not keys or (location[-1] is part and not _is_type(part)):
            keys.append(part)
            inner = _section_of(inner, part)
    return keys


def _is_type(part: str) -> bool:
    """Return whether a part of a place is a library's name of a type and not a key."""
    return "[" in part or part in {"tuple", "list", "float", "int", "str", "bool", "path", "none"}


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[str, ...]:
    """Return the names of the keys allowed at a place of the configuration."""
    inner: type[BaseModel] | None = model
    for part in location:
        inner = _section_of(inner, str(part)) or inner
    return tuple(inner.model_fields) if inner else ()


def _section_of(model: type[BaseModel] | None, name: str) -> type[BaseModel] | None:
    """Return the class of the section under a key, also where the section may be absent; None for no section."""
    if model is None or name not in model.model_fields:
        return None
    annotation = model.model_fields[name].annotation
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None
