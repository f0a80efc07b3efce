"""Settings and their schema as text: what `palpate config` prints."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any, Final

import yaml

from palpate.config.section import Section
from palpate.config.settings import Settings, read_settings
from palpate.errors import InputError

_WIDTH: Final = 118


def settings_text(path: Path | None, section: str | None, *, as_json: bool = False) -> str:
    """Return the settings that are in force, with the meaning of each key.

    Args:
        path: config.yaml; None for the defaults.
        section: one section alone; None for all.
        as_json: whether to give JSON without meanings instead of YAML.

    Raises:
        InputError: the configuration cannot be used, or there is no such section.
    """
    if path is not None:
        settings = read_settings(path)
    else:
        settings = Settings(sessions=Path("sessions.tsv"), results=Path("results"))
    chosen: Section = settings if section is None else _section(settings, section)
    if as_json:
        return json.dumps(chosen.model_dump(mode="json"))
    lines = _lines(chosen, 0)
    if section is not None:
        lines = [f"{section}:", *(f"  {line}" if line else line for line in lines)]
    return "\n".join(lines)


def schema_text(section: str | None = None) -> str:
    """Return the JSON schema of config.yaml.

    Args:
        section: one section alone; None for all.

    Raises:
        InputError: there is no such section.
    """
    if section is None:
        return json.dumps(Settings.model_json_schema(), indent=2)
    defaults = Settings(sessions=Path("sessions.tsv"), results=Path("results"))
    return json.dumps(type(_section(defaults, section)).model_json_schema(), indent=2)


def _section(settings: Settings, name: str) -> Section:
    found = getattr(settings, name, None) if name in Settings.model_fields else None
    if not isinstance(found, Section):
        sections = [key for key in Settings.model_fields if isinstance(getattr(settings, key), Section)]
        raise InputError("--section", found=name, expected=f"one of {', '.join(sections)}", advice="Choose one.")
    return found


def _lines(section: Section, depth: int) -> list[str]:
    """YAML of a section, a comment above each key."""
    lines: list[str] = []
    values = section.model_dump(mode="json")
    for key, field in type(section).model_fields.items():
        meaning = " ".join((field.description or "").split())
        indent = "  " * depth
        lines += [f"{indent}# {line}" for line in textwrap.wrap(meaning, _WIDTH - len(indent))]
        inner = getattr(section, key)
        if isinstance(inner, Section):
            lines += [f"{indent}{key}:", *_lines(inner, depth + 1)]
        else:
            lines += [f"{indent}{line}" for line in _dumped({key: values[key]})]
    return lines


def _dumped(content: dict[str, Any]) -> list[str]:
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, default_flow_style=False, width=_WIDTH)
    return text.rstrip("\n").split("\n")
