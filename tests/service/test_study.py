"""The study page tells the state of every step from files alone, and stays small where sessions are many."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections import Counter
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from palpate.config.study import read_study
from palpate.errors import InputError
from palpate.leftovers import owner
from palpate.ownership import this_process
from palpate.resources import record_path
from palpate.service.study.progress import study_progress
from palpate.service.study.states import StageState, StudyProgress, StudyUnit
from palpate.service.study.time_left import time_left
from palpate.service.study.usage import usage_by_stage
from palpate.service.study.write import COLUMNS, write_study
from tests.service.browser import PAGE_READY, needs_browser, running_browser
from tests.service.study_files import AT_WORK, NO_WAVES, STEPS, StudyFiles, mixed_study


@pytest.fixture
def files(tmp_path: Path) -> StudyFiles:
    """A study without any session yet."""
    return StudyFiles(tmp_path)


def _states(unit: StudyUnit) -> dict[str, str]:
    return {one.stage.name: one.state.value for one in unit.stages if one.state is not StageState.UNASKED}


def _seen(files: StudyFiles) -> StudyProgress:
    return study_progress(files.results, read_study(files.write_table()))


def test_every_state_is_told(tmp_path: Path) -> None:
    """Done, failed and why, running and how far, warnings, not begun: what a person asks of a study overnight."""
    files = mixed_study(tmp_path, 20)
    progress = _seen(files)
    units = {unit.subject: unit for unit in progress.sessions}
    assert _states(units["00000"]) == dict.fromkeys(STEPS, "done")
    waiting = {"derived": "not begun", "report": "not begun"}
    assert _states(units["00003"]) == {"ingest": "done", "mesh": "done", "invert": "failed"} | waiting
    assert _states(units["00017"]) == {"ingest": "done", "mesh": "done", "invert": "running"} | waiting
    assert _states(units["00018"]) == dict.fromkeys(STEPS, "not begun")
    reasons = [one.reason for subject in ("00003", "00017") for one in units[subject].stages if one.reason]
    assert reasons == [NO_WAVES, AT_WORK]
    assert units["00006"].codes == ("few-slices", "weak-waves")
    assert "started on" in progress.workflow


def test_sessions_without_a_table_are_those_with_a_folder(tmp_path: Path) -> None:
    """Results are copied without the study's table; a tumour is found by its folder."""
    files = mixed_study(tmp_path, 20)
    progress = study_progress(files.results)
    assert len(progress.sessions) == 18
    assert [(unit.subject, unit.state.value) for unit in progress.tumours] == [
        ("00000", "done"),
        ("00001", "not begun"),
    ]


def test_a_log_without_a_sentence_is_a_failure_unless_somebody_works(files: StudyFiles) -> None:
    """A job that was killed for its memory says nothing; it must not be shown as running for days."""
    files.session("01", ("ingest", "mesh"))
    log = files.log("sub-01_ses-01_invert", f"[   90.0 s] {AT_WORK}")
    ended = "it ended without a sentence, as where it was killed; its log ends: "
    assert [one.reason for one in _seen(files).sessions[0].stages if one.reason] == [f"{ended}{AT_WORK}"]
    files.lock()
    assert _states(_seen(files).sessions[0])["invert"] == "running"
    os.utime(log, (1.7e9, 1.7e9))  # of a workflow before
    assert _states(_seen(files).sessions[0])["invert"] == "failed"


def test_the_newest_attempt_counts(files: StudyFiles) -> None:
    """A step that failed at its first attempt and is at its tenth is no failure; the first line is no error."""
    files.session("01", ("ingest", "mesh"))
    for attempt in range(1, 11):
        lines = [f"palpate: attempt {attempt} on node1, Slurm job 7, 2026-11-30 08:00:00"]
        lines += [f"palpate: {NO_WAVES}"] if attempt < 10 else [f"[   90.0 s] {AT_WORK}"]
        files.log("sub-01_ses-01_invert", *lines, attempt=attempt)
    files.lock()
    status = _seen(files).sessions[0].stages[2]
    assert (status.state, status.reason) == (StageState.RUNNING, AT_WORK)


def test_an_output_that_a_living_process_writes_is_running(files: StudyFiles) -> None:
    """Steps by hand lock nothing; the hidden name of what they write tells who does."""
    folder = files.session("01", ("ingest",))
    for name, state in (
        (f".partial-{owner(os.getpid())}-mesh", "running"),
        (".partial-01234567-1-1-mesh", "not begun"),
    ):
        (folder / name).mkdir()
        assert _states(_seen(files).sessions[0])["mesh"] == state
        (folder / name).rmdir()


def test_an_owner_with_a_heartbeat_is_running(files: StudyFiles) -> None:
    """A run on a node of the cluster cannot be seen from here; the file that it touches can."""
    folder = files.session("01", ("ingest", "mesh"))
    files.log("sub-01_ses-01_invert", f"[   90.0 s] {AT_WORK}")
    (folder / ".owner-mre.json").write_text("{}")
    status = _seen(files).sessions[0].stages[2]
    assert (status.state, status.reason) == (StageState.RUNNING, AT_WORK)
    os.utime(folder / ".owner-mre.json", (1.7e9, 1.7e9))
    files.lock()  # the workflow lives on, the run has died
    assert _states(_seen(files).sessions[0])["invert"] == "failed"


def test_an_owner_on_this_machine_is_judged_by_its_process(files: StudyFiles) -> None:
    """A killed run is over at once, however new its heartbeat; one that is suspended is none that has died."""
    folder = files.session("01", ("ingest", "mesh"))
    files.log("sub-01_ses-01_invert", f"[   90.0 s] {AT_WORK}")
    files.lock()
    beside = folder / ".owner-mre.json"
    with subprocess.Popen(["sleep", "60"]) as run:
        beside.write_text(json.dumps(asdict(replace(this_process("run"), who=owner(run.pid)))))
        os.utime(beside, (1.7e9, 1.7e9))
        assert _states(_seen(files).sessions[0])["invert"] == "running"
        run.kill()
    os.utime(beside)
    assert _states(_seen(files).sessions[0])["invert"] == "failed"


def test_removed_outputs_are_no_failures(files: StudyFiles) -> None:
    """People remove meshes to save space, and pages to have them made again."""
    folder = files.session("01")
    (folder / "mesh").rmdir()
    (folder / "report.html").unlink()
    used = record_path(folder / "report.html")
    told = json.loads(used.read_text())
    told["resources"]["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
    used.write_text(json.dumps(told))
    states = _states(_seen(files).sessions[0])
    assert (states["mesh"], states["report"]) == ("removed", "not begun")


def test_no_place_outside_the_results_is_repeated(files: StudyFiles) -> None:
    """The folder of a scan is often named after the patient."""
    files.session("01", ())
    files.log(
        "sub-01_ses-01_ingest", "palpate: /scans/Muster Erika/mre: found no image; expected MRE. Look in /scans/Erika."
    )
    reason = _seen(files).sessions[0].stages[0].reason
    assert reason == "an input: found no image; expected MRE. Look in …"
    files.log("sub-01_ses-01_ingest", f"palpate: {files.results}/sub-01/x: found a file; expected a folder. Move it.")
    assert _seen(files).sessions[0].stages[0].reason == "sub-01/x: found a file; expected a folder. Move it."


def test_time_left_follows_from_finished_steps(files: StudyFiles) -> None:
    """Medians of finished steps, the pace at which they ran, and never less than what one session takes alone."""
    done_s = sum(seconds for _, seconds, _ in STEPS.values())
    for subject in ("01", "02", "03", "04"):
        files.session(subject)
    files.row("05")
    left = time_left(_seen(files))
    assert left.serial_s == pytest.approx(done_s)
    assert left.at_once == pytest.approx(4.0)
    assert left.elapsed_s == pytest.approx(done_s)
    assert (left.steps, left.unknown) == (5, ())
    for number in range(6, 14):
        files.row(f"{number:02d}")
    assert time_left(_seen(files)).elapsed_s == pytest.approx(9 * done_s / 4.0)


def test_unknown_steps_are_named(files: StudyFiles) -> None:
    """A sum that silently leaves out the longest step would promise the maps tonight."""
    files.session("01", ("ingest", "mesh"))
    left = time_left(_seen(files))
    assert left.serial_s == 0.0
    assert left.unknown == ("invert", "derived", "report")


def test_used_stands_beside_requested(files: StudyFiles) -> None:
    """Four ranks of 1800 MB need 7200 MB; the page must not set the memory of one beside the request for all."""
    files.session("01")
    usage = {one.name: one for one in usage_by_stage(_seen(files))}
    invert = usage["invert"]
    assert (invert.ranks, invert.memory_mb.most, invert.memory_mb.requested) == (4, 7200.0, 4000.0)
    assert invert.memory_mb.most_share == pytest.approx(1.8)
    assert (invert.wall_s.typical, invert.wall_s.requested) == (600.0, 1800.0)
    assert invert.threads.typical == pytest.approx(3.6)
    assert list(usage) == list(STEPS)


def test_page_table_and_json_agree(tmp_path: Path) -> None:
    """Three forms of one look; a program must not be told another state than a person."""
    files = mixed_study(tmp_path, 40)
    for ending in ("html", "tsv", "json"):
        write_study(files.results, files.results / f"study.{ending}", files.table)
        write_study(files.results, files.results / f"study.{ending}", files.table)  # its own earlier file is replaced
    page = (files.results / "study.html").read_text(encoding="utf-8")
    head, *rows = [line.split("\t") for line in (files.results / "study.tsv").read_text().splitlines()]
    told = json.loads((files.results / "study.json").read_text())["study"]
    assert tuple(head) == COLUMNS
    assert [(row[0], row[2], row[3]) for row in rows] == [(one["subject"], one["step"], one["state"]) for one in told]
    cells = Counter(re.findall(r"<td(?: class=\"\w+\")?>(done|failed|running|not begun)</td>", page))
    assert cells == Counter(one["state"] for one in told)
    assert 'href="sub-00006/ses-01/report.html"' in page
    assert re.search(r'(src|href)="https?:', page) is None
    assert "38 of 40" not in page
    assert f"invert</strong>, 2 times: {NO_WAVES}" in page


def test_other_endings_and_empty_folders_are_refused(files: StudyFiles, tmp_path: Path) -> None:
    """One sentence each, before anything is written."""
    with pytest.raises(InputError, match=r"expected \.html, \.tsv or \.json"):
        write_study(files.results, tmp_path / "study.csv")
    with pytest.raises(InputError, match="found no session"):
        write_study(files.results, tmp_path / "study.html")
    with pytest.raises(InputError, match="found no such folder"):
        write_study(tmp_path / "nowhere", tmp_path / "study.html")
    assert not list(tmp_path.glob("study.*"))


def test_broken_records_do_not_end_the_page(files: StudyFiles) -> None:
    """One session of thousands whose record is cut off is one warning."""
    folder = files.session("01")
    (folder / "mre" / "sub-01_ses-01_inversion.json").write_text('{"warnings": [')
    (folder / ".mre.resources.json").write_text("{")
    (files.results / "logs" / "sub-01_ses-01_maps.log").mkdir()
    (unit,) = _seen(files).sessions
    assert unit.codes == ("unreadable-record",)
    assert unit.stages[2].used is None


@needs_browser
def test_the_page_is_searched_and_fits_a_telephone(tmp_path: Path) -> None:
    """Words choose rows by label, state or warning; nothing is wider than the screen, and the policy lets it run."""
    files = mixed_study(tmp_path, 40)
    write_study(files.results, tmp_path / "study.html", files.table)
    shown = "document.getElementById('filter-count').textContent"
    with running_browser(tmp_path / "profile") as browser:
        for width in (390, 1440):
            browser.size(width, 844)
            browser.open(tmp_path / "study.html", PAGE_READY)
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
            for words, count in (("weak-waves", 2), ("failed 00023", 1), ("nobody", 0)):
                write = f"document.getElementById('filter').value = '{words}'"
                browser.evaluate(f"{write}; document.getElementById('filter').dispatchEvent(new Event('input'))")
                browser.wait_for(f"{shown} === '{count} shown'", 10.0)


@pytest.mark.long
def test_ten_thousand_sessions(tmp_path: Path) -> None:
    """Less than 10 MB, in less than 20 s of processor time, and few rows are unfolded."""
    files = StudyFiles(tmp_path)
    for number in range(9_500):
        files.session(f"{number:05d}", warnings=("few-slices",) if number % 10 == 0 else ())
    for number in range(9_500, 10_000):
        files.row(f"{number:05d}")
    files.write_table()
    began = time.process_time()
    write_study(files.results, tmp_path / "study.html", files.table)
    assert time.process_time() - began < 20.0
    assert (tmp_path / "study.html").stat().st_size < 10e6
    assert (tmp_path / "study.html").read_text().count('class="group" open') == 0
