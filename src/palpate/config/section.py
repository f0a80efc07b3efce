"""What every section of the configuration shares: frozen, no unknown keys, and an error a user can act on."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from palpate.errors import InputError


class Section(BaseModel):
    """A step's own settings. The docstring under each field is its description in the JSON schema."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def parse_settings[S: Section](model: type[S], text: str | None) -> S:
    """The settings of one step from the JSON text of its --settings option.

    Args:
        model: the section's class.
        text: a JSON object; None gives the defaults.

    Raises:
        InputError: the text is not JSON, or a key or value is not one the section knows.
    """
    if text is None:
        return model()
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise settings_error("--settings", error, model) from error


def settings_error(where: str, error: ValidationError, model: type[BaseModel]) -> InputError:
    """The first complaint of a failed validation, as the one sentence a user sees."""
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"]) or "the whole text"
    shown = first["input"] if isinstance(first["input"], str | int | float | bool) else type(first["input"]).__name__
    found = f"{key} = {shown!r}" if first["loc"] else f"{shown!r}"
    if first["type"] == "extra_forbidden":
        known = ", ".join(_fields_at(model, first["loc"][:-1]))
        return InputError(where, found=f"unknown key {key}", expected=f"one of {known}", advice="Check the spelling.")
    advice = f"Correct {key}." if first["loc"] else "Write one JSON object."
    return InputError(where, found=found, expected=_lower_first(first["msg"]), advice=advice)


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Names of the keys allowed at a place of the configuration."""
    for part in location:
        inner = model.model_fields[str(part)].annotation if str(part) in model.model_fields else None
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
    return sorted(model.model_fields)


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
