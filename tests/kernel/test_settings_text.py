"""Settings as people write them: what is read, and that a complaint speaks of their text and not of a library."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import BaseModel, ValidationError

from palpate.config.ingest import IngestSettings
from palpate.config.inversion import InversionSettings
from palpate.config.phantom import PhantomSettings
from palpate.config.section import SECTIONS, WHOLE, Section, parse_settings
from palpate.config.setting_errors import settings_error
from palpate.config.settings import Settings, load_settings, read_settings
from palpate.errors import InputError
from tests.conftest import Command, Outcome, user_environment

LIBRARY_WORDS: Final = (
    "input should",
    "invalid json",
    "value error",
    "valid dictionary",
    "unable to parse",
    "nonetype",
)
"""Pieces of what pydantic, json and PyYAML say."""

WRONG: Final = ("some text", True, None, -1e12, 1e12, 0, 0.5, float("nan"), [], [[]], {}, {"a": 1}, [1, 2, "c"])
"""Values of every kind; for each setting some of them are wrong."""


def _leaves(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every setting, sections included."""
    for name, field in model.model_fields.items():
        yield (*path, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _leaves(field.annotation, (*path, name))


def _nested(path: tuple[str, ...], value: object) -> dict[str, Any]:
    """Return keys and values with one value at the end of a path."""
    return {path[0]: _nested(path[1:], value) if path[1:] else value}


def _complaint(content: dict[str, Any]) -> str | None:
    """Return the sentence about a configuration; None where nothing is wrong with it."""
    try:
        Settings.model_validate(content)
    except ValidationError as error:
        return str(settings_error("config", error, Settings))
    return None


def test_every_complaint_is_in_our_words() -> None:
    """Whatever value stands under whatever key, the sentence names the key and repeats no library."""
    complaints = 0
    for path in _leaves(Settings):
        for value in WRONG:
            sentence = _complaint({"sessions": "a.tsv", "results": "r"} | _nested(path, value))
            if sentence is None:
                continue
            complaints += 1
            assert path[-1] in sentence or path[-2] in sentence, (path, value, sentence)
            assert not any(word in sentence.lower() for word in LIBRARY_WORDS), (path, value, sentence)
            assert "that the schema allows" not in sentence, (path, value, sentence)
    assert complaints > 500


SENTENCES: Final = [
    ("foo", "'foo', which is neither JSON nor a file; expected settings, or the path of their file"),
    ("[1, 2]", "--settings: found a list ([1, 2]); expected keys with values."),
    ("null", "--settings: found no keys; expected keys with values."),
    ("3.5", "--settings: found a single value (3.5); expected keys with values."),
    ('"text"', "--settings: found a single value ('text'); expected keys with values."),
    ("", "--settings: found an empty text; expected keys with values."),
    (" \n", "--settings: found an empty text; expected keys with values."),
    ('{"key": ""}', "key = ''; expected a path. Correct key."),
    ('{"key": " "}', "key = ' '; expected a path. Correct key."),
    ('{"arrays": {"variable": ""}}', "arrays.variable = ''; expected text. Correct arrays.variable."),
    ('{"density_kg_m3": true}', "density_kg_m3 = true; expected a number. Correct density_kg_m3."),
    ('{"arrays": {"voxel_mm": [1, true, 2]}}', "arrays.voxel_mm = [1, true, 2]; expected a number."),
    ('{"no_motion_series": [true]}', "no_motion_series = [true]; expected a number."),
    ("{density_kg_m3: 2026-01-31}", 'density_kg_m3 = "2026-01-31"; expected a number.'),
    ('{"inversion": {}, "mesh": {}}', "the sections inversion, mesh, of other steps; expected the section ingest"),
    ('{"inversion": {"samples": 30}}', "the section inversion, of other steps; expected the section ingest"),
    ('{"ingest": {}, "densty": 3}', "unknown key densty beside ingest; expected sections of the configuration"),
    ('{"sessions": "a", "results": "b", "ingst": {}}', "unknown key ingst beside results; expected sections"),
    ("{", "text that is neither JSON nor YAML (line 1, column 2)"),
    ('{"density_kg_m3": NaN}', "density_kg_m3 = 'NaN'; expected a finite number."),
    ('{"density_kg_m3": "1030 kg"}', "density_kg_m3 = '1030 kg'; expected a number. Correct density_kg_m3."),
    ('{"density_kg_m3": -1}', "density_kg_m3 = -1; expected a number above 0."),
    ('{"density_kg_m3": 1, "density_kg_m3": 2}', "key density_kg_m3 twice"),
    ('{"mask_by": "hand"}', "mask_by = 'hand'; expected 'auto', 'magnitude', 'atlas' or 'waves'."),
    ('{"arrays": {"voxel_mm": [1, 2]}}', "no arrays.voxel_mm.2; expected a value"),
    ('{"density": 1030}', "unknown key density; expected one of arrays,"),
]


@pytest.mark.parametrize(("text", "said"), SENTENCES, ids=[text for text, _ in SENTENCES])
def test_sentence_says_what_is_wrong(text: str, said: str) -> None:
    """The sentence is all that a user gets."""
    with pytest.raises(InputError) as caught:
        parse_settings(IngestSettings, text)
    assert said in str(caught.value)


def _aliases(depth: int) -> str:
    lines = ["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, depth)]
    return "\n".join([*lines, f"encoding_matrix: *a{depth - 1}"])


@pytest.mark.parametrize(
    ("text", "said"),
    [(_aliases(12), "repeated by aliases"), ("encoding_matrix: &a [*a]", "neither JSON nor YAML")],
    ids=["of aliases", "of itself"],
)
def test_aliases_that_multiply_are_refused(text: str, said: str, tmp_path: Path) -> None:
    """A kilobyte of them stands for 300 000 million values, and would fill the memory."""
    (tmp_path / "ingest.yaml").write_text(text)
    with pytest.raises(InputError, match=said):
        parse_settings(IngestSettings, str(tmp_path / "ingest.yaml"))


def test_a_device_is_no_settings_file() -> None:
    """It has no end."""
    with pytest.raises(InputError, match="more than 64 MB"):
        parse_settings(IngestSettings, "/dev/zero")


def test_settings_that_do_not_fit_together() -> None:
    """A rule between keys is told as the rule, beside what was given."""
    with pytest.raises(
        InputError, match=r"found .*shape.*; expected settings that fit together\. The imaged block needs"
    ):
        parse_settings(PhantomSettings, '{"shape": [2, 2, 2]}')


@pytest.mark.parametrize(
    "text",
    [
        '{"density_kg_m3": 1030}',
        "{density_kg_m3: 1030}",
        "density_kg_m3: 1.03e+3\n",
        "ingest:\n  density_kg_m3: 1030\n",
    ],
)
def test_forms_of_the_same_settings(text: str, tmp_path: Path) -> None:
    """JSON, YAML in braces, a file of the section and a file with the section under its key mean the same."""
    path = tmp_path / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    wanted = IngestSettings(density_kg_m3=1030.0)
    assert parse_settings(IngestSettings, str(path)) == wanted
    if text.startswith("{"):
        assert parse_settings(IngestSettings, text) == wanted


def test_whole_configuration_serves_each_step(tmp_path: Path) -> None:
    """A study's config.yaml is what a user has at hand; a step takes its own section of it, and an empty one too."""
    path = tmp_path / "config.yaml"
    path.write_text("sessions: s.tsv\nresults: r\ningest:\n  density_kg_m3: 1030\ninversion:\n", encoding="utf-8")
    assert parse_settings(IngestSettings, str(path)).density_kg_m3 == 1030.0
    assert parse_settings(InversionSettings, str(path)) == InversionSettings()
    assert read_settings(path).inversion == InversionSettings()
    with pytest.raises(InputError, match="sessions = null; expected a path"):
        load_settings({"sessions": None, "results": "r"} | {"ingest": None})


@pytest.mark.parametrize("text", ['{"ingest": {"density_kg_m3": 1030}, "mesh": {}}', '{"mesh": {}, "ingest": null}'])
def test_step_takes_its_section_out_of_several(text: str) -> None:
    """Sections of a configuration, without its table and results, are a configuration all the same."""
    assert parse_settings(IngestSettings, text).density_kg_m3 == (1030.0 if "1030" in text else None)


def test_sections_know_their_key() -> None:
    """A step finds its section in a whole configuration by the class alone; each is a section to the others."""
    named = {name for name in Settings.model_fields if Settings._is_section(name)}
    assert named == set(SECTIONS)
    assert named | set(WHOLE) == set(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            assert field.annotation.section_key() == name


def test_json_of_the_workflow_is_read_unchanged() -> None:
    """Rules hand sections over as JSON."""
    section = PhantomSettings(noise_percent=1.5)
    assert parse_settings(PhantomSettings, json.dumps(section.model_dump(mode="json"))) == section


BEFORE_WORK: Final = """
import importlib, sys
from palpate.errors import InputError
for name, arguments in {commands}:
    try:
        getattr(importlib.import_module("palpate.cli." + name), name)(**arguments, settings='{{"nonsense": 1}}')
    except InputError as error:
        assert "nonsense" in str(error), error
    else:
        raise AssertionError(name)
heavy = [name for name in sys.modules if name in {heavy}]
assert not heavy, heavy
"""


def test_settings_are_checked_before_anything_heavy_is_loaded() -> None:
    """A spelling mistake is told at once, not after the finite elements have been loaded."""
    nowhere = dict.fromkeys(("out", "mre", "wavefield", "source", "history", "calibration", "session", "sessions"), "x")
    takes = {
        "ingest": ("mre", "out"),
        "invert": ("wavefield", "out"),
        "mesh": ("source", "out"),
        "maps": ("mre", "wavefield", "out"),
        "report": ("session", "out"),
        "tumour": ("sessions", "out"),
        "calibrate": ("history", "out"),
        "assimilate": ("history", "out"),
        "forecast": ("calibration", "out"),
        "phantom": ("out",),
    }
    further = {"ingest": {"label": "sub-01"}, "tumour": {"subject": "01"}}
    commands = [(name, {one: nowhere[one] for one in given} | further.get(name, {})) for name, given in takes.items()]
    heavy = ("numpy", "dolfinx", "petsc4py", "pydicom", "nibabel", "matplotlib")
    script = BEFORE_WORK.format(commands=commands, heavy=heavy)
    done = subprocess.run(
        [sys.executable, "-c", script], env=user_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


MISSING: Final = [
    ("mesh", "nosuch.nii.gz", "--out", "o"),
    ("mesh", "nosuch.NII.GZ", "--out", "o"),
    ("mesh", "nosuch", "--out", "o"),
    ("invert", "nosuch", "--out", "o"),
    ("ingest", "nosuch", "--label", "x", "--out", "o"),
    ("maps", "nosuch", "--wavefield", "w", "--out", "o"),
    ("overlay", "nosuch", "--wavefield", "w", "--out", "o"),
    ("report", "--session", "nosuch", "--out", "o.html"),
    ("calibrate", "nosuch", "--out", "o"),
    ("assimilate", "nosuch", "--out", "o"),
    ("forecast", "nosuch", "--out", "o"),
    ("outlook", "nosuch", "--forecast", "f", "--out", "o.html"),
    ("deidentify", "nosuch", "--out", "o", "--key", "k"),
]


@pytest.mark.parametrize("arguments", MISSING, ids=lambda arguments: " ".join(arguments[:2]))
def test_missing_input_is_named(
    arguments: tuple[str, ...],
    palpate_inside: Callable[..., Outcome],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The sentence speaks of the file that the user named and that is not there, not of one derived from it."""
    monkeypatch.chdir(tmp_path)
    outcome = palpate_inside(*arguments)
    assert outcome.code == 2
    assert outcome.printed.splitlines()[-1].startswith("palpate: nosuch"), outcome.printed


def test_usage_error_names_the_commands_own_help(palpate: Command) -> None:
    """`palpate --help` does not say what `palpate mesh` takes."""
    assert "Try 'palpate mesh --help'." in palpate("mesh").stderr
    assert "Try 'palpate --help'." in palpate("inver").stderr
