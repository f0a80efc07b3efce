"""--out never replaces what it did not make: the law for every command, every input and every way to spell a path.

The table below has a row for each command; a command or an input without one fails, so that a new one meets the law.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Literal, get_type_hints

import pytest
import typer
from typer.models import OptionInfo

from palpate.cli import COMMANDS
from palpate.outputs import claim_folder
from tests.conftest import Outcome

type Kind = Literal["folder", "file", "labels", "table"]


@dataclass(frozen=True)
class Row:
    """One command as the law knows it.

    Attributes:
        writes: whether --out is a folder or a file.
        inputs: each parameter that names something to read, and what it is.
        further: arguments without which the command does not start.
        also_writes: parameters that name another output beside --out.
    """

    writes: Literal["folder", "file"]
    inputs: dict[str, Kind] = field(default_factory=dict)
    further: Sequence[str] = ()
    also_writes: tuple[str, ...] = ()


ROWS: dict[tuple[str, ...], tuple[Row, ...]] = {
    ("phantom",): (Row("folder"),),
    ("fetch",): (Row("folder", further=("http://127.0.0.1:9/dicom-web", "--study", "1.2")),),
    ("deidentify",): (Row("folder", {"source": "folder", "key": "file"}),),
    ("ingest",): (Row("folder", {"mre": "folder", "anatomy": "folder", "mask": "file"}, ("--label", "sub-01")),),
    ("mesh",): (Row("folder", {"source": "folder"}), Row("folder", {"source": "labels", "names": "file"})),
    ("invert",): (Row("folder", {"wavefield": "folder", "mesh": "folder", "labels": "labels"}),),
    ("maps",): (
        Row("folder", {"mre": "folder", "wavefield": "folder", "scan": "folder", "key": "file", "anatomy": "folder"}),
        Row("folder", {"mre": "folder"}, ("--derived",)),
        Row("folder", {"mre": "folder", "mesh": "folder"}),
    ),
    ("overlay",): (Row("folder", {"mre": "folder", "wavefield": "folder"}),),
    ("regions",): (
        Row(
            "file",
            {
                "results": "folder",
                "wavefield": "folder",
                "sessions": "table",
                "labels": "labels",
                "names": "file",
                "key": "file",
                "registration": "file",
                "contour_image": "folder",
            },
        ),
    ),
    ("report",): (Row("file", {"session": "folder", "truth": "folder"}),),
    ("change",): (
        Row(
            "file",
            {"session_a": "folder", "session_b": "folder", "labels": "labels", "names": "file"},
            also_writes=("map_folder",),
        ),
    ),
    ("query",): (
        Row("file", {"session": "folder", "mask": "file"}),
        Row("file", {"session": "folder", "seg": "file"}),
        Row("file", {"session": "folder", "roi": "file", "registration": "file"}),
        Row("file", {"session": "folder", "roi": "file", "contour_image": "folder"}),
        Row("file", {"session": "folder", "key": "file"}, ("--sphere", "0,0,0,5")),
        Row("file", {"session": "folder", "scan": "folder"}, ("--sphere", "0,0,0,5", "--format", "sr")),
    ),
    ("tumour",): (Row("file", {"sessions": "table", "stiffness": "folder", "key": "file"}, ("--subject", "01")),),
    ("calibrate",): (Row("folder", {"history": "file"}),),
    ("assimilate",): (Row("file", {"history": "file", "calibration": "folder"}),),
    ("forecast",): (
        Row("folder", {"calibration": "folder", "mesh": "folder", "parameters": "file"}),
        Row("folder", {"calibration": "folder", "do": "file"}),
    ),
    ("outlook",): (Row("file", {"calibration": "folder", "forecast": "folder", "anatomy": "folder"}),),
    ("trial",): (Row("folder", {"trial": "file"}),),
    ("plan",): (Row("folder", {"calibration": "folder", "limits": "file"}),),
    ("causes",): (Row("file", {"history": "file", "graph": "file"}, ("--treatment", "a", "--outcome", "b")),),
    ("prior", "learn"): (Row("file", {"calibrations": "folder"}),),
    ("prior", "pool"): (Row("file", {"priors": "file"}),),
    ("status",): (Row("file", {"results": "folder", "sessions": "table"}),),
    ("verify", "maps"): (Row("file", {"results": "folder", "truth": "folder"}),),
    ("verify", "forecast"): (Row("file", {"results": "folder", "truth": "file"}),),
    ("verify", "heldout"): (Row("file", {"results": "folder", "participants": "file", "reference": "file"}),),
    ("verify", "credibility"): (Row("file", {"results": "folder", "records": "folder"}),),
    ("verify", "calibration"): (Row("file", {"results": "folder", "sessions": "table"}),),
}
"""What each command reads and writes."""


def _commands() -> Iterator[tuple[tuple[str, ...], Callable[..., None]]]:
    """Every command's function as the command line has it, groups taken apart."""
    for name in COMMANDS:
        named = getattr(importlib.import_module(f"palpate.cli.{name}"), name)
        if isinstance(named, typer.Typer):
            for one in named.registered_commands:
                assert one.callback is not None
                yield (name, one.callback.__name__), one.callback
        else:
            yield (name,), named


def _paths(command: Callable[..., None]) -> dict[str, bool]:
    """Parameters of a command that are paths, and whether each is an option."""
    hints = get_type_hints(command, include_extras=True)
    path_like = {name: hint for name, hint in hints.items() if "Path" in str(hint)}
    return {name: any(isinstance(one, OptionInfo) for one in hint.__metadata__) for name, hint in path_like.items()}


def test_every_command_and_input_has_a_row() -> None:
    """A command that nobody thought of here would write where it likes."""
    rows = {words: {"out"}.union(*({*row.inputs, *row.also_writes} for row in rows)) for words, rows in ROWS.items()}
    writing = {words: paths for words, command in _commands() if (paths := set(_paths(command))) and "out" in paths}
    assert writing == rows
    without = {("config", "show"), ("config", "schema"), ("config", "profile"), ("check",), ("run",)}  # its steps write
    # Folders of the service are refused within the results by tests/service/test_serve.py.
    without |= {("serve",), ("verify", "audit"), ("verify", "consent"), ("verify", "provenance")}
    without |= {("override", "keep"), ("override", "show")}
    assert {words for words, _ in _commands()} - set(writing) == without


def _make(root: Path, name: str, kind: Kind) -> Path:
    """Something to read, which need not be readable: the refusal comes before."""
    home = root / f"of-{name}"
    home.mkdir()
    if kind == "folder":
        path = home / name
        path.mkdir()
        (path / "sub-01_stat-mean_storagemodulus.nii.gz").write_text("x")
        (path / "scores.html").write_text("mine")
        return path
    path = home / {"file": f"{name}.bin", "labels": "dseg.nii.gz", "table": "sessions.tsv"}[kind]
    path.write_text("subject\tsession\tgrowth\n01\t01\tgrowth\n" if kind == "table" else "x")
    if kind == "table":
        (home / "growth").mkdir()
        (home / "growth" / "roi.nii.gz").write_text("x")
    return path


def _arguments(words: tuple[str, ...], inputs: dict[str, Path], row: Row, out: Path) -> list[str]:
    is_option = _paths(dict(_commands())[words])
    positional = [str(path) for name, path in inputs.items() if not is_option[name]]
    options = [
        text for name, path in inputs.items() if is_option[name] for text in (f"--{name.replace('_', '-')}", str(path))
    ]
    return [*words, *positional, *row.further, *options, "--out", str(out)]


def _digest(root: Path) -> str:
    """Every name and byte below a folder; links by where they point."""
    total = sha256()
    for path in sorted(root.rglob("*")):
        total.update(f"{path.relative_to(root)}\0{path.is_dir()}\0{path.is_symlink()}\0".encode())
        if path.is_file():
            total.update(path.read_bytes())
    return total.hexdigest()


def _inside(path: Path, row: Row) -> Path:
    if path.is_file():
        return path / "new"
    if row.writes == "folder":
        return path / "new" / "deeper"
    return next(path.glob("*.nii.gz"))


def _link(path: Path, row: Row) -> Path:
    link = path.parents[1] / "link"
    link.symlink_to(next(path.glob("*.nii.gz")) if row.writes == "file" and path.is_dir() else path)
    return link


PLACES: dict[str, Callable[[Path, Row], Path]] = {
    "same": lambda path, _: path,
    "dotted": lambda path, _: path.parent / ".." / path.parent.name / path.name,
    "inside": _inside,
    "read-name-inside": lambda path, row: path / ("new.nii.gz" if row.writes == "file" else "sub-02"),
    "another-kind-inside": lambda path, row: path / ("scores.html" if row.writes == "file" else "scores.html/new"),
    "contains": lambda path, _: path.parent,
    "link": _link,
    "below-a-link": lambda path, row: _link(path, row) / "new",
}

CASES = [
    pytest.param(words, row, name, place, id=f"{'-'.join(words)}-{number}-{name}-{place}")
    for words, rows in ROWS.items()
    for number, row in enumerate(rows)
    for name in row.inputs
    for place in PLACES
]


@pytest.mark.parametrize(("words", "row", "name", "place"), CASES)
def test_inputs_are_never_touched(
    words: tuple[str, ...], row: Row, name: str, place: str, tmp_path: Path, palpate_inside: Callable[..., Outcome]
) -> None:
    """Whatever --out says of an input, the command refuses with one sentence, and every byte stays in place."""
    inputs = {one: _make(tmp_path, one, kind) for one, kind in row.inputs.items()}
    out = PLACES[place](inputs[name], row)
    before = _digest(tmp_path)
    done = palpate_inside(*_arguments(words, inputs, row, out))
    assert done.code == 2, done.printed
    assert len(done.printed.splitlines()) == 1
    told = (
        "found the input",
        "inside the input",
        "contains the input",
        "found a file",
        "found a folder",
        "did not write",
    )
    assert any(words in done.printed for words in told), done.printed
    assert _digest(tmp_path) == before


@pytest.mark.parametrize("words", [words for words, rows in ROWS.items() if rows[0].writes == "folder"])
def test_outputs_of_other_steps_are_never_touched(
    words: tuple[str, ...], tmp_path: Path, palpate_inside: Callable[..., Outcome]
) -> None:
    """A mistyped --out must not cost the result of another step, even where it is no input."""
    (row, *_) = ROWS[words]
    inputs = {one: _make(tmp_path, one, kind) for one, kind in row.inputs.items()}
    for other in {"invert", "ingest"} - set(words):
        with claim_folder(tmp_path / other, other, {}).writing() as folder:
            (folder / "posterior").write_text("hours")
        before = _digest(tmp_path)
        done = palpate_inside(*_arguments(words, inputs, row, tmp_path / other))
        assert done.code == 2
        assert f"the output of palpate {other}" in done.printed
        assert _digest(tmp_path) == before


@pytest.mark.parametrize("words", ROWS)
def test_place_that_stores_nothing_is_refused_before_any_work(
    words: tuple[str, ...], tmp_path: Path, palpate_inside: Callable[..., Outcome]
) -> None:
    """Permissions let the administrator write to /proc; no command may find out after hours that it cannot."""
    (row, *_) = ROWS[words]
    inputs = {one: _make(tmp_path, one, kind) for one, kind in row.inputs.items()}
    done = palpate_inside(*_arguments(words, inputs, row, Path("/proc/palpate")))
    assert done.code == 2
    assert done.printed.startswith("palpate: /proc: found ")
    assert "expected a folder in which palpate can be written" in done.printed
    assert len(done.printed.splitlines()) == 1
