"""The wheel is the whole of palpate: its program, its data, and the pipeline, which runs far from any checkout."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import yaml

from palpate.cli import COMMANDS
from palpate.program import Program
from tests.conftest import CHECKOUT
from tests.package.building import build, copy_sources, environment_with, files_of, package_files, run_from
from tests.workflow.study_copy import FIELD, write_study

QUICK = {"fit_prior": False, "max_iterations": 2, "hessian_rank": 20, "samples": 20}
STEPS = sorted(set(COMMANDS) - {"run", "config", "verify", "phantom"})


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    home = tmp_path_factory.mktemp("built")
    return build("wheel", copy_sources(home / "sources"), home / "wheel")


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that holds the wheel and no checkout."""
    return environment_with(wheel, tmp_path_factory.mktemp("environment"))


def test_wheel_holds_each_file_of_the_package(wheel: Path) -> None:
    """A rule, a profile or a template that stays behind is missed at the first run, on somebody else's machine."""
    assert files_of(wheel) == set(package_files(CHECKOUT))


def test_wheel_holds_files_where_the_checkout_has_links(wheel: Path) -> None:
    """A link in a wheel is a file with a path in it."""
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("palpate/pipeline/Snakefile") == (CHECKOUT / "Snakefile").read_bytes()
        rules = sorted(name for name in archive.namelist() if name.endswith(".smk"))
        held = [archive.read(name) for name in rules]
    assert held == [path.read_bytes() for path in sorted((CHECKOUT / "workflow" / "rules").glob("*.smk"))]


def test_wheel_is_the_same_program(wheel: Path, tmp_path: Path) -> None:
    """A study that a checkout has begun goes on with the wheel: nothing of it is out of date."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    installed, here = Program(tmp_path / "palpate"), Program()
    assert {name: installed.digest(name) for name in STEPS} == {name: here.digest(name) for name in STEPS}


def test_study_is_inverted_in_an_empty_folder(programs: Path, tmp_path: Path) -> None:
    """One command after the installation, and nothing of the environment is written, which may belong to root."""
    write_study(tmp_path / "given")
    table = tmp_path / "given" / "sessions.tsv"
    table.write_text(f"subject\tsession\tmre\nbox\t01\t{FIELD}\n")
    empty = tmp_path / "an empty: folder"
    empty.mkdir()
    (tmp_path / "quick.yaml").write_text(yaml.safe_dump({"inversion": QUICK}))
    before = _written(programs.parent)
    given = ("../given/sessions.tsv", "--results", "2026", "--config", "../quick.yaml", "--cores", "1")
    target = "2026/sub-box/ses-01/mre"
    done = run_from(programs, "run", *given, "--", target, cwd=empty, extra={"PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((empty / target / "sub-box_ses-01_inversion.json").read_text())
    assert record["settings"]["samples"] == QUICK["samples"]
    assert str(CHECKOUT) not in done.stdout + done.stderr
    assert _written(programs.parent) == before


def _written(environment: Path) -> dict[str, int]:
    """Return the files of an environment with the times when they were written."""
    return {str(path): path.lstat().st_mtime_ns for path in environment.rglob("*") if not path.is_dir()}
