"""What a command used stands beside its output, by rank, and changes nothing that is compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from palpate import receipt, resources
from palpate.content_digest import digest
from palpate.output_marker import read_mark, stranger_in
from palpate.outputs import claim_folder
from palpate.resources import RankUse, Use, begin, gather_use, note_use, read_use, record_path
from palpate.run_crate.names import CRATE
from tests.conftest import Outcome
from tests.workflow.study_copy import FIELD, write_study


@pytest.fixture
def recorded() -> Iterator[Callable[[str], None]]:
    """Begin to record a command in this process; without one again afterwards."""
    yield begin
    begin("")


@pytest.mark.usefixtures("recorded")
def test_a_command_leaves_its_record(tmp_path: Path, palpate_inside: Callable[..., Outcome]) -> None:
    """A reservation can only be chosen by what steps used; that must cost no bit of what they made."""
    write_study(tmp_path)
    kept = []
    for _ in range(2):
        assert palpate_inside("mesh", tmp_path / FIELD, "--out", tmp_path / "mesh").code == 0
        files = [path for path in (tmp_path / "mesh").iterdir() if not path.name.startswith(CRATE)]  # it holds the time
        kept.append({path.name: path.read_bytes() for path in files})
    assert kept[0] == kept[1]
    told = json.loads((tmp_path / ".mesh.resources.json").read_text())["resources"]
    assert set(told) == {"command", "finished", "wall_s", "ranks", "host", "cpu_s", "peak_memory_mb", "requested"}
    assert (told["command"], told["ranks"], told["requested"]) == ("mesh", 1, {})
    assert len(told["host"]) == len(told["cpu_s"]) == len(told["peak_memory_mb"]) == 1
    assert told["peak_memory_mb"][0] > 20.0
    assert told["cpu_s"][0] > 0.0


def test_the_record_is_not_compared(tmp_path: Path, recorded: Callable[[str], None]) -> None:
    """Else every step after one that ran again would run again; and the folder above could not be replaced."""
    recorded("ingest")
    claimed = claim_folder(tmp_path / "out", "ingest", {})
    with claimed.writing() as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "file").write_text("x")
    before = digest(tmp_path)
    note_use(tmp_path / "out" / "inner" / "file")
    assert record_path(tmp_path / "out" / "inner" / "file").exists()
    assert digest(tmp_path) == before
    assert stranger_in(claimed.path, read_mark(claimed.path)) is None


def test_what_the_workflow_reserved_stands_beside_what_was_used(
    tmp_path: Path, recorded: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The study page compares the two; the order carries the reservation, and neither its output nor receipt do."""
    reserved = {"mem_mb": 4000.0, "runtime": 30.0, "threads": 1.0}
    order = receipt.Order("mesh", tmp_path / "mesh", {}, {}, requested=reserved)
    assert receipt.Order.from_json(order.to_json()).requested == reserved
    monkeypatch.setattr(receipt, "_same_program", lambda _: True)
    receipt.begin(order.to_json())
    recorded("mesh")
    try:
        with claim_folder(tmp_path / "mesh", "mesh", {}).writing():
            pass
    finally:
        receipt._begun.clear()
    found = read_use(record_path(tmp_path / "mesh"))
    assert found is not None
    assert found.requested == reserved
    assert "mem_mb" not in (tmp_path / "mesh" / receipt.NAME).read_text()


@pytest.mark.mpi
def test_every_rank_is_in_the_record(shared_tmp_path: Path, recorded: Callable[[str], None]) -> None:
    """A job of 32 ranks needs the memory of 32; figures of one rank made people reserve a thirty-second of it."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    recorded("invert")
    used = gather_use(comm)
    assert len(used) == comm.size
    if comm.rank == 0:
        note_use(shared_tmp_path / "mre")
        found = read_use(record_path(shared_tmp_path / "mre"))
        assert found is not None
        assert len(found.ranks) == comm.size
        assert found.peak_memory_mb >= sum(one.peak_memory_mb for one in used) - 0.1 * comm.size
    comm.barrier()


def test_nothing_is_recorded_outside_a_command(tmp_path: Path, recorded: Callable[[str], None]) -> None:
    """A Python session has used far more than one call; and what goes to others names no host."""
    for command in ("", "deidentify"):
        recorded(command)
        note_use(tmp_path / "out")
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"resources": {"host": 1}}', '{"resources": []}', "\xff"])
def test_a_broken_record_is_none(text: str, tmp_path: Path) -> None:
    """A study page of thousands of sessions must not end at one of them."""
    path = tmp_path / f".mre{resources.NAME}"
    path.write_text(text, encoding="latin-1")
    assert read_use(path) is None


def test_a_record_comes_back() -> None:
    """What is written is what is read, to the precision that is stated."""
    used = Use("invert", "2026-11-30T15:26:01+00:00", 12.5, (RankUse("a", 1.25, 10.5), RankUse("b", 2.5, 20.0)))
    assert Use.of_record(json.loads(json.dumps(used.as_record()))) == used
    assert (used.cpu_s, used.peak_memory_mb) == (3.75, 30.5)
