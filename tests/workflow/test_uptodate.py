"""What is planned again follows from contents, settings and the program, and from nothing else."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.workflow.study_copy import SCAN, Workflow, copy_checkout, write_study

ALL = {"ingest", "mesh", "invert", "maps", "overlay", "report"}
pytestmark = pytest.mark.xdist_group("up-to-date")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of its own, which each test leaves as it was."""
    return copy_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def finished(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with all outputs and their receipts."""
    home = tmp_path_factory.mktemp("study")
    write_study(home)
    workflow = Workflow(checkout, home)
    workflow.finish()
    assert workflow.planned() == {}
    return home


@pytest.fixture
def study(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished study, as `cp -r` makes it: elsewhere, with new times, without Snakemake's records.

    Files get times in an order of their own: inputs newer than all that was made of them.
    """
    home = tmp_path / "moved"
    ignored = shutil.ignore_patterns(".snakemake", ".snakemake_timestamp")
    shutil.copytree(finished, home, ignore=ignored, copy_function=shutil.copyfile)
    for path in (home / SCAN).rglob("*"):
        os.utime(path)
    return home


def _edit(path: Path, pattern: str, by: str) -> None:
    text, count = re.subn(pattern, by, path.read_text(), count=1, flags=re.M)
    assert count == 1
    path.write_text(text)


def test_moved_study_plans_nothing(checkout: Path, study: Path) -> None:
    """A study that is copied to another disk is the same study; hours of inversions must not hang on times.

    So it is with the tables that `palpate verify` and `palpate regions` add to a session, which no step reads.
    """
    for name in ("scores.json", "regions.tsv"):
        (study / "results" / "sub-A" / "ses-01" / "mre" / name).write_text("{}")
    assert Workflow(checkout, study).planned() == {}


def test_moved_study_with_snakemakes_records_plans_nothing(checkout: Path, tmp_path: Path) -> None:
    """Snakemake's own records name absolute paths, so that a study that is moved with them would look changed."""
    home = tmp_path / "moved"
    write_study(home)
    workflow = Workflow(checkout, home)
    done = workflow.run("results/sub-box/ses-01/mesh")
    assert done.returncode == 0, done.stdout + done.stderr
    home.rename(tmp_path / "again")
    assert Workflow(checkout, tmp_path / "again").planned("results/sub-box/ses-01/mesh") == {}


def test_content_decides_and_not_time_or_size(checkout: Path, study: Path) -> None:
    """Tools that write headers anew keep sizes and often times: a scan that was corrected must be read again."""
    workflow = Workflow(checkout, study)
    image = study / SCAN / "IM0001"
    before = image.stat()
    image.write_bytes(image.read_bytes()[::-1])
    os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))
    plan = workflow.planned()
    assert set(plan) == ALL
    assert plan["ingest"] == {"input-mre"}
    assert plan["invert"] == {"earlier-step"}


def test_input_of_a_later_step_alone(checkout: Path, study: Path) -> None:
    """A wave field whose mask somebody corrected is what the later steps read; the first step has nothing to do."""
    (study / "results" / "sub-box" / "ses-01" / "wavefield" / "content").write_text("corrected")
    plan = Workflow(checkout, study).planned()
    assert "ingest" not in plan
    assert plan["mesh"] == plan["invert"] | {"input-wavefield"} - {"earlier-step"}


def test_output_by_other_hands_is_made_again(checkout: Path, study: Path) -> None:
    """A step that was run by hand with other settings replaces the output, and must not pass for the workflow's."""
    session = study / "results" / "sub-A" / "ses-01"
    shutil.rmtree(session / "anat")
    (session / "anat").mkdir()
    (session / "report.html").write_text("another page")
    assert Workflow(checkout, study).planned() == {"overlay": {"receipt"}, "report": {"output"}}


def test_settings_reach_their_step_and_what_follows(checkout: Path, study: Path) -> None:
    """A choice of the inversion must make new maps, and neither wave field nor mesh again."""
    plan = Workflow(checkout, study).planned(config=["inversion={'max_iterations': 7}"])
    assert plan == {"invert": {"settings"}} | {name: {"earlier-step"} for name in ("maps", "overlay", "report")}


def test_settings_of_a_step_whose_output_was_removed(checkout: Path, study: Path) -> None:
    """People delete meshes to save space: maps that came from another mesh must not pass for those of the new one."""
    workflow = Workflow(checkout, study)
    for subject in ("A", "box"):
        shutil.rmtree(study / "results" / f"sub-{subject}" / "ses-01" / "mesh")
    assert workflow.planned() == {}
    plan = workflow.planned(config=["mesh={'zone_width_mm': 30.0}"])
    assert set(plan) == ALL - {"ingest"}
    assert plan["invert"] == {"earlier-step"}


def test_phantoms_and_comments_change_nothing(checkout: Path, study: Path) -> None:
    """The in-silico patient is no part of a real study, and what a comment says is no part of any."""
    kept = {}
    for path in [*(checkout / "imaging" / "phantom").glob("*.py"), *(checkout / "solvers").glob("virtual_*.py")]:
        kept[path] = path.read_text()
        path.write_text(kept[path] + "\nfurther = 1\n")
    for path in (checkout / "solvers" / "inversion").glob("*.py"):
        kept[path] = path.read_text()
        path.write_text("# A remark.\n\n" + kept[path].replace('"""', '"""In other words: ', 1))
    try:
        assert Workflow(checkout, study).planned() == {}
    finally:
        for path, text in kept.items():
            path.write_text(text)


def test_unit_runs_every_step_that_converts(checkout: Path, study: Path) -> None:
    """A factor of units that was wrong made wrong numbers wherever it was used."""
    units = checkout / "src" / "palpate" / "units.py"
    kept = units.read_text()
    _edit(units, r"^PA_PER_KPA = .*$", "PA_PER_KPA = 1001.0")
    try:
        plan = Workflow(checkout, study).planned()
    finally:
        units.write_text(kept)
    assert set(plan) == ALL
    assert plan["ingest"] == plan["mesh"] == plan["invert"] == {"program"}
    assert "program" in plan["report"]


def test_page_asset_runs_the_page_and_a_rule_its_step(checkout: Path, study: Path) -> None:
    """The look of the page lies in files that are no Python; what a rule says to its command decides as much."""
    style, rules = checkout / "service/report/assets/page.css", checkout / "workflow/rules/outputs.smk"
    kept = {path: path.read_text() for path in (style, rules)}
    style.write_text(kept[style] + "\nbody { margin: 1px; }\n")
    _edit(rules, "palpate overlay ", "palpate overlay --grid t1 ")
    try:
        assert Workflow(checkout, study).planned() == {"report": {"program"}, "overlay": {"rule"}}
    finally:
        for path, text in kept.items():
            path.write_text(text)
