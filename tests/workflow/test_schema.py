"""config.yaml and its JSON schema follow from the typed settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from palpate.config.__main__ import main
from palpate.config.listing import schema_text
from palpate.config.section import Section
from palpate.config.settings import Settings, read_settings
from palpate.errors import InputError
from tests.conftest import CHECKOUT


def test_committed_schema_is_current() -> None:
    """Editors and people read the schema file; regenerate it with `python -m palpate.config schema`."""
    assert (CHECKOUT / "workflow" / "schemas" / "config.schema.json").read_text(
        encoding="utf-8"
    ) == schema_text() + "\n"


def test_every_setting_is_described() -> None:
    """A setting without meaning or unit is a trap: each has the docstring that becomes its description."""

    def sections(schema: dict[str, object]) -> list[dict[str, dict[str, object]]]:
        definitions = schema.get("$defs", {})
        assert isinstance(definitions, dict)
        return [part["properties"] for part in (schema, *definitions.values()) if "properties" in part]

    bare = [
        name
        for properties in sections(Settings.model_json_schema())
        for name, field in properties.items()
        if "description" not in field and "$ref" not in field  # a section describes itself
    ]
    assert not bare


def test_section_survives_the_way_to_a_step() -> None:
    """A rule hands its section over as JSON; the step must see exactly what the workflow checked."""
    settings = read_settings(CHECKOUT / "config.yaml")
    names = [name for name in Settings.model_fields if isinstance(getattr(settings, name), Section)]
    assert len(names) >= 5
    for name in names:
        section = getattr(settings, name)
        assert type(section).model_validate_json(section.model_dump_json()) == section
        assert json.loads(main([str(CHECKOUT / "config.yaml"), name])) == section.model_dump(mode="json")


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"a: [", b"", b"- a"], ids=str)
def test_unreadable_configuration_is_refused(content: bytes | None, tmp_path: Path) -> None:
    """The file is typed by hand; whatever it holds ends in one sentence."""
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"config\.yaml"):
        read_settings(path)


def test_unknown_section_is_refused() -> None:
    """`python -m palpate.config` is pasted into terminals."""
    with pytest.raises(InputError, match="one of sessions, results"):
        main([str(CHECKOUT / "config.yaml"), "inverion"])
