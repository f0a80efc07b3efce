"""What a killed run leaves is cleared by the next one, and nothing that anybody still needs goes with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from palpate import leftovers
from palpate.leftovers import final_path, left_by, owner, partial_of, replaced_of, sweep, sweep_of
from palpate.output_marker import MARKER
from palpate.outputs import claim_folder
from palpate.provenance import atomic_file

DAYS_AGO = time.time() - 30 * 86400.0
ELSEWHERE = "0123abcd"
"""A machine that is not this one."""


@pytest.fixture
def dead() -> str:
    """A process of this machine that has ended, as hidden names call it."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    who = owner(process.pid)
    process.kill()
    process.wait()
    return who


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _fill(folder: Path, content: str = "x") -> Path:
    folder.mkdir()
    (folder / "map").write_text(content)
    return folder


def test_next_run_clears_what_a_dead_one_left(dead: str, tmp_path: Path) -> None:
    """A partial result takes room and looks like a result; whoever writes there next removes it."""
    _fill(tmp_path / f".partial-{dead}-mre")
    _fill(tmp_path / f".partial-{dead}-other")
    (tmp_path / f".partial-{dead}-page.html").write_text("hal")
    with claim_folder(tmp_path / "mre", "invert", {}).writing() as partial:
        (partial / "map").write_text("whole")
    assert _names(tmp_path) == {"mre"}


def test_only_copy_is_put_back(dead: str, tmp_path: Path) -> None:
    """Killed between two renames, the earlier result has a hidden name only; deleting it would lose hours of work."""
    _fill(tmp_path / f".replaced-{dead}-mre", "only copy")
    (tmp_path / f".replaced-{dead}-mre" / MARKER).write_text("")
    _fill(tmp_path / f".partial-{dead}-mre")
    sweep(tmp_path)
    assert _names(tmp_path) == {"mre"}
    assert (tmp_path / "mre" / "map").read_text() == "only copy"


def test_replaced_copy_goes_where_the_new_result_is(dead: str, tmp_path: Path) -> None:
    """Killed after both renames, the new result is whole and the old one is not needed."""
    _fill(tmp_path / f".replaced-{dead}-mre", "old")
    _fill(tmp_path / "mre", "new")
    sweep(tmp_path)
    assert _names(tmp_path) == {"mre"}
    assert (tmp_path / "mre" / "map").read_text() == "new"


def test_living_writer_keeps_its_files(tmp_path: Path) -> None:
    """Two runs may write side by side; neither may delete what the other is writing, however long it takes."""
    for hidden in (partial_of(tmp_path / "mre"), replaced_of(tmp_path / "mesh")):
        _fill(hidden)
        os.utime(hidden, (DAYS_AGO, DAYS_AGO))
    before = _names(tmp_path)
    sweep(tmp_path)
    assert _names(tmp_path) == before


def test_process_that_nobody_has_asked_after_has_ended(tmp_path: Path) -> None:
    """In a container without an init it keeps its number for ever, and with it the lock of a killed workflow."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    who = owner(process.pid)
    assert leftovers.has_ended(who) is False
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it ends, and stays
    assert leftovers.has_ended(who) is True
    _fill(tmp_path / f".partial-{who}-mre")
    sweep(tmp_path)
    assert not _names(tmp_path)
    process.wait()


def test_number_of_a_process_that_another_one_has_now(tmp_path: Path) -> None:
    """Process numbers come again; a process that began at another time is another one."""
    machine, process, start = owner(os.getpid()).split("-")
    _fill(tmp_path / f".partial-{machine}-{process}-{int(start) - 1}-mre")
    sweep(tmp_path)
    assert not _names(tmp_path)


@pytest.mark.parametrize("name", [f".partial-{ELSEWHERE}-7-7-mre", ".partial-7-mre"])
def test_other_machines_are_left_alone_for_days(name: str, tmp_path: Path) -> None:
    """On a shared disk nobody can ask whether a process of another machine, or of no known one, still lives."""
    hidden = _fill(tmp_path / name)
    sweep(tmp_path)
    assert _names(tmp_path) == {name}
    for path in (hidden / "map", hidden):
        os.utime(path, (DAYS_AGO, DAYS_AGO))
    (hidden / "late").write_text("still writing")
    os.utime(hidden, (DAYS_AGO, DAYS_AGO))
    sweep(tmp_path)
    assert _names(tmp_path) == {name}
    os.utime(hidden / "late", (DAYS_AGO, DAYS_AGO))
    os.utime(hidden, (DAYS_AGO, DAYS_AGO))
    sweep(tmp_path)
    assert not _names(tmp_path)


def test_owner_that_a_jumping_clock_makes_old_keeps_its_files(tmp_path: Path) -> None:
    """Where the clock jumps by weeks, or two machines disagree, all that another one writes now looks abandoned."""
    hidden, owned = _fill(tmp_path / f".partial-{ELSEWHERE}-7-7-mre"), tmp_path / ".owner-mre.json"
    owned.write_text(f'{{"who": "{ELSEWHERE}-7-7"}}')
    for path in (hidden / "map", hidden, owned):
        os.utime(path, (DAYS_AGO, DAYS_AGO))
    sweep(tmp_path)
    assert hidden.exists()
    owned.write_text(f'{{"who": "{ELSEWHERE}-8-8"}}')  # another run has watched it for long enough, and taken over
    sweep(tmp_path)
    assert not hidden.exists()


def test_other_hidden_names_are_not_ours(dead: str, tmp_path: Path) -> None:
    """A user's own hidden files may begin like ours."""
    names = {".partial", ".partial-notes", f".partial-{dead}", ".replaced-by-me", f"partial-{dead}-mre"}
    for name in names:
        (tmp_path / name).write_text("mine")
    os.utime(tmp_path / ".partial-notes", (DAYS_AGO, DAYS_AGO))
    sweep(tmp_path)
    assert _names(tmp_path) == names


def test_link_is_removed_and_not_followed(dead: str, tmp_path: Path) -> None:
    """Clearing must not reach outside the folder."""
    _fill(tmp_path / "kept")
    (tmp_path / f".partial-{dead}-mre").symlink_to(tmp_path / "kept", target_is_directory=True)
    sweep(tmp_path)
    assert _names(tmp_path) == {"kept"}
    assert _names(tmp_path / "kept") == {"map"}


def test_supervisor_clears_after_its_worker_only(dead: str, tmp_path: Path) -> None:
    """It knows who is dead without asking, and must not touch others."""
    _fill(tmp_path / f".partial-{dead}-mre")
    other = _fill(tmp_path / f".partial-{ELSEWHERE}-7-7-mre")
    assert left_by(tmp_path, dead)
    sweep_of(tmp_path, dead)
    assert not left_by(tmp_path, dead)
    assert _names(tmp_path) == {other.name}


def test_hidden_names_are_not_shown(tmp_path: Path) -> None:
    """A sentence names the output, not the name under which it was being written."""
    assert final_path(partial_of(tmp_path / "mre") / "a.json") == tmp_path / "mre" / "a.json"
    assert final_path(tmp_path / ".partial-notes") == tmp_path / ".partial-notes"


def test_places_are_told_to_the_supervisor(tmp_path: Path) -> None:
    """It must know of every folder in which its worker writes, whatever bytes are in the name."""
    heard, tell = os.pipe()
    leftovers.report_to(tell)
    try:
        folder = tmp_path / "a\nb"
        with atomic_file(folder / "map.json") as partial:
            partial.write_text("{}")
        leftovers.notify("keeps", tmp_path)
    finally:
        leftovers.report_to(None)
        os.close(tell)
    with os.fdopen(heard, "rb") as file:
        told = file.read().split(b"\0")
    assert told == [b"writes", os.fsencode(folder), b"keeps", os.fsencode(tmp_path), b""]


def test_killed_writer_in_truth(tmp_path: Path) -> None:
    """The same with a process that SIGKILL ends while it writes: nobody cleans up, and the next run does."""
    script = (
        "import pathlib, sys, time\n"
        "from palpate.outputs import claim_folder\n"
        "with claim_folder(pathlib.Path(sys.argv[1]), 'invert', {}).writing() as partial:\n"
        "    (partial / 'half').write_text('x'); print('writing', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, tmp_path / "mre"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(_names(tmp_path)) == 2  # what it wrote, and its owner file
    sweep(tmp_path)
    assert _names(tmp_path) == {".owner-mre.json"}  # the next run of this output says that it takes over
