"""A step that is killed between any two of its file operations leaves nothing that stops the next run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from palpate import receipt
from palpate.leftovers import sweep
from palpate.output_kinds import FileKind, json_kind
from palpate.outputs import claim_file, claim_folder, demand_replaceable, writing_together
from palpate.ownership import owning
from palpate.program import Program
from palpate.receipt import Order, begin

PAGE = FileKind("report", "page", (".json",), json_kind("page"))
RECORD = FileKind("report", "record", (".json",), json_kind("record"))
OPERATIONS = 14
"""More than a step does below."""

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def _killed_after(operations: int, run: Callable[[], None]) -> None:
    """Run something in a copy of this process, which ends without a word after so many renames, links and removals."""
    if (child := os.fork()) == 0:
        _die_after(operations, run)
    os.waitpid(child, 0)


def _die_after(operations: int, run: Callable[[], None]) -> NoReturn:
    left = iter(range(operations))

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as the function that it stands for
            if next(left, None) is None:
                os._exit(1)
            return change(*arguments, **named)

        return changed

    for name in ("replace", "rename", "link", "unlink", "mkdir", "rmdir"):
        setattr(os, name, counted(getattr(os, name)))
    run()
    os._exit(0)


def _order(folder: Path, settings: str) -> Order:
    made_by = {"program": Program().source_digest("report"), "settings": settings}
    return Order("report", folder / "page.json", {}, made_by, beside=(folder / "record.json",))


def _write_page(order: Order) -> None:
    begin(order.to_json())
    page, record = claim_file(order.output, PAGE, {}), claim_file(order.beside[0], RECORD, {})
    with writing_together(page, record) as partials:
        for partial, kind in zip(partials, ("page", "record"), strict=True):
            partial.write_text(json.dumps({kind: order.made_by["settings"]}))
    receipt._begun.clear()


@pytest.mark.parametrize("operations", range(OPERATIONS))
def test_new_page_beside_the_receipt_of_the_earlier_one(operations: int, tmp_path: Path) -> None:
    """It passed for a page that somebody had edited: the command and the workflow refused to replace it, for ever."""
    first, then = _order(tmp_path, "a"), _order(tmp_path, "b")
    _write_page(first)
    _killed_after(operations, lambda: _write_page(then))
    sweep(tmp_path)
    for path, kind in ((then.output, PAGE), (then.beside[0], RECORD)):
        demand_replaceable(path, "report", kind)
    _write_page(then)
    assert json.loads(then.output.read_text()) == {"page": "b"}
    assert receipt.UpToDate().change(then) is None
    assert receipt.UpToDate().change(replace(then, made_by=first.made_by)) == "settings"


@pytest.mark.parametrize("operations", range(OPERATIONS))
def test_scores_that_the_marker_does_not_know_yet(operations: int, tmp_path: Path) -> None:
    """A command that is killed while it adds scores to maps must not keep the maps from being made again."""
    with claim_folder(tmp_path / "mre", "invert", {}).writing() as partial:
        (partial / "map").write_text("stiff")
    scores = tmp_path / "mre" / "scores.json"

    def score(value: float) -> None:
        with claim_file(scores, RECORD, {}).writing() as hidden:
            hidden.write_text(json.dumps({"record": value}))

    if operations % 2:
        score(0.5)
    _killed_after(operations, lambda: score(0.95))
    claim_folder(tmp_path / "mre", "invert", {})
    score(0.95)
    with claim_folder(tmp_path / "mre", "invert", {}).writing() as partial:
        (partial / "map").write_text("stiffer")
    assert (tmp_path / "mre" / "map").read_text() == "stiffer"


@pytest.mark.parametrize("operations", range(6))
def test_owner_file_that_is_being_made(operations: int, tmp_path: Path) -> None:
    """Names of a moment stayed beside results for good; those of a dead owner must not keep the next run off either."""

    def own() -> None:
        with owning(tmp_path / "mre"):
            os._exit(1)

    own_and_leave = own if operations % 2 else lambda: _own_and_end(tmp_path / "mre")
    _killed_after(operations, own_and_leave)
    with owning(tmp_path / "mre"):
        assert (tmp_path / ".owner-mre.json").exists()
    assert list(tmp_path.iterdir()) == []


def _own_and_end(output: Path) -> None:
    with owning(output):
        pass
