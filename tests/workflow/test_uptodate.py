"""What is planned again follows from contents, settings and the program, and from nothing else."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from palpate.program import Program
from tests.workflow.study_copy import SCAN, Workflow, copy_checkout, write_study

ALL = {"ingest", "mesh", "invert", "maps", "derived", "overlay", "report"}
OF_ARRAYS = {"ingest", "mesh", "invert", "derived", "report"}
EVERYTHING = {(rule, "A") for rule in ALL} | {(rule, "box") for rule in OF_ARRAYS}
type Edit = Callable[[str, Callable[[str], str]], None]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of its own, which each test leaves as it was."""
    return copy_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def finished(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with all outputs and their receipts."""
    home = tmp_path_factory.mktemp("study")
    write_study(home)
    Workflow(checkout, home).finish()
    return home


@pytest.fixture
def study(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished study, as `cp -r` makes it: elsewhere, with new times, without Snakemake's records.

    Times come in an order of their own: inputs and first steps are newer than all that was made of them.
    """
    home = tmp_path / "moved"
    ignored = shutil.ignore_patterns(".snakemake", ".snakemake_timestamp")
    shutil.copytree(finished, home, ignore=ignored, copy_function=shutil.copyfile)
    for number, path in enumerate(sorted(home.rglob("*"), reverse=True)):
        os.utime(path, (1.7e9 + number, 1.7e9 + number))
    return home


@pytest.fixture
def edit(checkout: Path) -> Iterator[Edit]:
    """Edit a file of the checkout until the test is over."""
    kept: dict[Path, str] = {}

    def change(name: str, by: Callable[[str], str]) -> None:
        path = checkout / name
        kept[path] = path.read_text()
        path.write_text(by(kept[path]))
        assert path.read_text() != kept[path]

    yield change
    for path, text in kept.items():
        path.write_text(text)


def test_moved_study_plans_nothing(checkout: Path, study: Path) -> None:
    """A study that is copied to another disk is the same study; hours of inversions must not hang on times.

    Nor on what no step needs any more or reads at all: people remove meshes to save space, and `palpate verify` and
    `palpate regions` add tables.
    """
    session = study / "results" / "sub-A" / "ses-01"
    shutil.rmtree(session / "mesh")
    for name in ("scores.json", "regions.tsv"):
        (session / "mre" / name).write_text("{}")
    assert Workflow(checkout, study).planned() == {}


def test_contents_and_settings_decide(checkout: Path, study: Path) -> None:
    """Tools that write headers anew keep sizes and often times: a scan that was corrected must be read again.

    Where the mesh was removed, maps that came from it must not pass for those of the mesh that would be made now.
    """
    image = study / SCAN / "IM0001"
    before = image.stat()
    image.write_bytes(image.read_bytes()[::-1])
    os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))
    shutil.rmtree(study / "results" / "sub-box" / "ses-01" / "mesh")
    plan = Workflow(checkout, study).planned(config=["mesh={'zone_width_mm': 30.0}"])
    assert set(plan) == EVERYTHING - {("ingest", "box")}
    assert plan["ingest", "A"] == {"input-mre"}
    assert plan["mesh", "box"] == set()


def test_a_step_runs_a_second_time_for_the_same_reason(checkout: Path, study: Path) -> None:
    """Snakemake keeps checksums of what a job read, and would not see the second of two changes of one setting."""
    target = "results/sub-box/ses-01/wavefield"
    workflow = Workflow(checkout, study)
    done = workflow.run(target, config=["ingest={'least_wave_snr': 2.0}"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "settings" in done.stdout + done.stderr
    plan = workflow.planned(target, config=["ingest={'least_wave_snr': 2.5}"])
    assert plan == {("ingest", "box"): {"settings"}}


def test_outputs_by_other_hands(checkout: Path, study: Path) -> None:
    """A step that was run by hand, with other settings, must not pass for the workflow's.

    A wave field whose mask somebody corrected is what the later steps read; the step that made it has nothing to do.
    """
    session = study / "results" / "sub-A" / "ses-01"
    shutil.rmtree(session / "anat")
    (session / "anat").mkdir()
    (session / "report.html").write_text("another page")
    (study / "results" / "sub-box" / "ses-01" / "wavefield" / "content").write_text("corrected")
    plan = Workflow(checkout, study).planned()
    made_anew = {("overlay", "A"): {"receipt"}, ("report", "A"): {"output"}}
    later = {("mesh", "box"): {"input-wavefield"}, ("invert", "box"): set(), ("report", "box"): set()}
    later[("derived", "box")] = set()
    assert plan == made_anew | later


def test_record_beside_a_page_is_an_output_too(checkout: Path, study: Path) -> None:
    """Programs read the record instead of the page: one that is gone or was edited must not pass for the page's."""
    results = study / "results"
    (results / "sub-A" / "ses-01" / "report.json").unlink()
    (results / "sub-box" / "ses-01" / "report.json").write_text("another record")
    plan = Workflow(checkout, study).planned()
    assert plan == {("report", "A"): set(), ("report", "box"): {"output"}}


def test_what_somebody_put_into_an_output_stops_the_workflow(checkout: Path, study: Path) -> None:
    """Snakemake removes the output of a step before the step can look at it, and with it whatever lies there.

    Nothing is in the way of a plan, nor of steps that do not run.
    """
    session = study / "results" / "sub-A" / "ses-01"
    (session / "wavefield" / "corrected by hand.txt").write_text("years")
    (session / "mre" / "notes.txt").write_text("years")
    config = ["inversion={'samples': 30}"]
    assert ("invert", "A") in Workflow(checkout, study).planned(config=config)
    done = Workflow(checkout, study).run(config=config)
    assert done.returncode != 0
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("palpate: ")]
    assert "notes.txt: found a file that palpate invert did not write" in said
    assert (session / "mre" / "notes.txt").exists()
    assert (session / "wavefield" / "corrected by hand.txt").exists()


def test_files_of_systems_run_nothing(checkout: Path, study: Path) -> None:
    """Whoever looks at a scan in Windows or macOS leaves a file there that no step reads."""
    for folder in (study / SCAN, study / "results" / "sub-box" / "ses-01" / "wavefield"):
        for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._IM0001"):
            (folder / name).write_bytes(b"icons")
    assert Workflow(checkout, study).planned() == {}


def test_unit_runs_every_step_that_converts(checkout: Path, study: Path, edit: Edit) -> None:
    """A factor of units that was wrong made wrong numbers wherever it was used."""
    commands = ("ingest", "mesh", "invert", "report", "tumour", "calibrate", "forecast", "outlook")
    before = [Program(checkout / "src" / "palpate").source_digest(command) for command in commands]
    edit("src/palpate/units.py", lambda text: re.sub(r"(?m)^PA_PER_KPA = .*$", "PA_PER_KPA = 1001.0", text))
    after = [Program(checkout / "src" / "palpate").source_digest(command) for command in commands]
    assert not set(before) & set(after)
    plan = Workflow(checkout, study).planned()
    assert set(plan) == EVERYTHING
    assert plan["ingest", "A"] == plan["ingest", "box"] == {"program"}


def test_pages_and_rules_run_their_step_and_phantoms_none(checkout: Path, study: Path, edit: Edit) -> None:
    """The look of the page lies in files that are no Python; what a rule says to its command decides as much.

    The in-silico patient is no part of a real study, and what a comment says is no part of any.
    """
    edit("service/report/assets/page.css", lambda text: f"{text}\nbody {{ margin: 1px; }}\n")
    edit("workflow/rules/outputs.smk", lambda text: text.replace("palpate overlay ", "palpate overlay --grid t1 "))
    for folder, pattern in (("imaging/phantom", "*.py"), ("solvers", "virtual_*.py"), ("src/palpate/config", "ph*.py")):
        for path in (checkout / folder).glob(pattern):
            edit(str(path.relative_to(checkout)), lambda text: f"{text}\nfurther = 1\n")
    for path in (checkout / "solvers" / "inversion").glob("*.py"):
        edit(
            str(path.relative_to(checkout)),
            lambda text: "# A remark.\n\n" + text.replace('"""', '"""In other words: ', 1),
        )
    pages = {("report", subject): {"program"} for subject in ("A", "box")}
    assert Workflow(checkout, study).planned() == pages | {("overlay", "A"): {"rule"}}
