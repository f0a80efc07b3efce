"""A receipt says what an output was made from, and is given for nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from palpate import receipt
from palpate.content_digest import content_of, digest
from palpate.errors import InputError
from palpate.outputs import claim_file, claim_folder, demand_replaceable
from palpate.program import Program
from palpate.provenance import atomic_file, atomic_files
from palpate.receipt import NAME, Order, UpToDate, begin
from palpate.service.report.page import PAGE
from tests.conftest import Outcome

COMMAND = "overlay"


@pytest.fixture
def order(tmp_path: Path) -> Iterator[Order]:
    """An order with one input, a folder, and one output, a folder."""
    given = tmp_path / "given"
    given.mkdir()
    (given / "image").write_text("grey")
    made_by = {"program": Program().source_digest(COMMAND), "settings": "a"}
    yield Order(COMMAND, tmp_path / "out", {"mre": (given,)}, made_by)
    receipt._begun.clear()


def _carry_out(order: Order) -> None:
    begin(order.to_json())
    with claim_folder(order.output, order.command, {}).writing() as partial:
        (partial / "map").write_text("stiff")


def _change(order: Order) -> str | None:
    return UpToDate().change(order)


def test_finished_step_is_up_to_date(order: Order) -> None:
    """The receipt lies in the folder, so that both appear together and travel together."""
    _carry_out(order)
    assert (order.output / NAME).is_file()
    assert _change(order) is None
    order.output.rename(order.output.with_name("elsewhere"))
    assert _change(replace(order, output=order.output.with_name("elsewhere"))) is None


def test_receipt_names_nobody(order: Order) -> None:
    """A scan's folder is often named after the patient."""
    source = order.inputs["mre"][0].rename(order.output.with_name("Doe^Jane"))
    _carry_out(replace(order, inputs={"mre": (source,)}))
    assert "Doe" not in (order.output / NAME).read_text()


@pytest.mark.parametrize("changed", [{"settings": "b"}, {"program": "b"}])
def test_other_makers_are_seen(changed: dict[str, str], order: Order) -> None:
    """Settings and program decide the result as the inputs do."""
    _carry_out(order)
    assert _change(replace(order, made_by={**order.made_by, **changed})) == next(iter(changed))


def test_contents_decide(order: Order) -> None:
    """Same name, size and time, other content; then the same content again, in a file of its own."""
    _carry_out(order)
    image = order.inputs["mre"][0] / "image"
    state = image.stat()
    image.write_text("pink")
    os.utime(image, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert _change(order) == "input-mre"
    image.unlink()
    image.write_text("grey")
    assert _change(order) is None
    image.with_name("more").write_text("")
    assert _change(order) == "input-mre"


def test_other_roles_are_seen(order: Order) -> None:
    """Labels that a session gains must reach its inversion."""
    _carry_out(order)
    labels = order.inputs["mre"][0] / "image"
    assert _change(replace(order, inputs={**order.inputs, "labels": (labels,)})) == "inputs"


def test_file_has_its_receipt_beside_it(order: Order) -> None:
    """A page that somebody replaced is not the page that the receipt is about."""
    page = replace(order, output=order.output.with_name("page.html"))
    begin(page.to_json())
    with atomic_file(page.output) as partial:
        partial.write_text("page")
    assert _change(page) is None
    page.output.write_text("pagE")
    assert _change(page) == "output"


def test_file_beside_an_output_has_a_receipt_of_its_own(order: Order) -> None:
    """A record beside a page is judged as the page is; nothing is made from it, so that it may be missing."""
    page, record = (order.output.with_name(f"page.{ending}") for ending in ("html", "json"))
    asked = replace(order, output=page, beside=(record,))
    assert Order.from_json(asked.to_json()).beside == (record,)
    begin(asked.to_json())
    with atomic_files(page, record) as (partial, partial_record):
        partial.write_text("page")
        partial_record.write_text("record")
    assert _change(asked) is None
    record.write_text("rec0rd")
    assert _change(asked) == "output"
    record.unlink()
    assert _change(asked) is None
    record.with_name(f".{record.name}{NAME}").unlink()
    record.write_text("record")
    assert _change(asked) == "receipt"


def test_file_that_was_edited_is_kept(order: Order, tmp_path: Path) -> None:
    """A re-run, by the workflow or by hand, would replace a page that somebody wrote remarks into."""
    page = tmp_path / "report.html"
    text = '<!doctype html><title>Stiffness of sub-01</title><meta name="generator" content="palpate report">'
    begin(replace(order, output=page).to_json())
    with claim_file(page, PAGE, {}).writing() as partial:
        partial.write_text(text)
    demand_replaceable(page, "report", PAGE)
    page.write_text(f"{text}<p>My remarks")
    for claim in (lambda: claim_file(page, PAGE, {}), lambda: demand_replaceable(page, "report", PAGE)):
        with pytest.raises(InputError, match="changed after palpate had written it"):
            claim()
    page.unlink()
    begin(order.to_json())
    for _ in range(2):  # by hand: the old receipt says nothing of this page
        with claim_file(page, PAGE, {}).writing() as partial:
            partial.write_text(f"{text}<p>Another page")


def test_output_without_receipt_is_made_again(order: Order) -> None:
    """What a step by hand, an earlier version or somebody else left there is of unknown origin."""
    _carry_out(order)
    receipt._begun.clear()
    with claim_folder(order.output, order.command, {}).writing() as partial:
        (partial / "map").write_text("stiff")
    assert _change(order) == "receipt"
    (order.output / NAME).write_text("{")
    assert _change(order) == "receipt"


def test_final_folder_is_as_it_was_written(order: Order) -> None:
    """No later step reads it and would notice damage; an added note is no damage, a lost file is."""
    final = replace(order, final=True)
    _carry_out(final)
    assert _change(final) is None
    made = order.output / "map"
    made.with_name("notes.txt").write_text("mine")
    assert _change(final) is None
    made.write_text("stifF")
    assert _change(final) == "output"
    assert _change(order) is None  # later steps read it: a correction by hand
    made.write_text("stiff")
    assert _change(final) is None
    made.unlink()
    assert _change(final) == "output"


def test_missing_output_is_no_change(order: Order) -> None:
    """Snakemake sees itself what is missing."""
    assert _change(order) is None


def test_removed_intermediate_is_judged_by_the_receipt_of_what_came_of_it(order: Order) -> None:
    """What was made from a folder that is gone must still be compared with how that folder would be made now."""
    _carry_out(order)
    later = Order(COMMAND, order.output.with_name("later"), {"out": (order.output,)}, order.made_by, {}, {"out": order})
    _carry_out(later)
    (order.output / "map").unlink()
    assert _change(later) == "input-out"
    (order.output / NAME).unlink()
    assert _change(later) == "earlier-step"
    for path in order.output.iterdir():
        path.unlink()
    order.output.rmdir()
    assert _change(later) is None
    other = replace(order, made_by={**order.made_by, "settings": "b"})
    assert _change(replace(later, makers={"out": other})) == "earlier-step"
    (order.inputs["mre"][0] / "image").write_text("pink")
    assert _change(later) == "earlier-step"


def test_input_that_changes_meanwhile_gets_no_receipt(order: Order) -> None:
    """A scan that is still being copied was read in part."""
    begin(order.to_json())
    with claim_folder(order.output, order.command, {}).writing() as partial:
        (partial / "map").write_text("stiff")
        (order.inputs["mre"][0] / "image").write_text("pink")
    assert _change(order) == "receipt"
    begin(order.to_json())
    with claim_folder(order.output, order.command, {}).writing() as partial:
        (partial / "map").write_text("stiff")
        (order.inputs["mre"][0] / "image").unlink()
    assert _change(order) == "receipt"


def test_step_refuses_what_changed_since_the_start(
    order: Order, palpate_inside: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step takes its modules from the disk when it begins: an edit meanwhile would mix two programs in one study."""
    table = order.inputs["mre"][0] / "image"
    orders = {
        f"the source of palpate {COMMAND}": replace(order, made_by={"program": "before"}),
        str(table): replace(order, frozen={table: "before"}),
    }
    for where, asked in orders.items():
        monkeypatch.setenv(receipt.ORDER, asked.to_json())
        out = order.output
        ended = palpate_inside(COMMAND, order.inputs["mre"][0], "--wavefield", order.inputs["mre"][0], "--out", out)
        assert ended.code == 2
        (line,) = ended.printed.splitlines()
        assert line.startswith(f"palpate: {where}: found another")
        assert "Start the workflow again" in line
    begin(replace(order, frozen={table: digest(table)}).to_json())


@pytest.mark.parametrize("text", ["", "{}", "[]", json.dumps({"command": 1, "output": 2, "inputs": 3})])
def test_other_orders_are_refused(text: str) -> None:
    """Somebody may set the variable by hand."""
    with pytest.raises(InputError, match=receipt.ORDER):
        begin(text)


def test_linked_folders_are_read_once(tmp_path: Path) -> None:
    """Scans are often linked into a study; a link that leads back must not be followed for ever."""
    scan = tmp_path / "scan"
    scan.mkdir()
    (scan / "image").write_text("grey")
    study = tmp_path / "study"
    study.mkdir()
    (study / "mre").symlink_to(scan)
    (scan / "back").symlink_to(study)
    before = content_of([study])
    (scan / "image").write_text("pink")
    assert content_of([study]).digest != before.digest


def test_links_that_meet_again_or_lead_nowhere_end(tmp_path: Path) -> None:
    """Two links in each of 40 folders to the next are a million million ways to the last; one file is one file."""
    for level in range(40):
        (tmp_path / f"level{level}").mkdir()
    for level in range(39):
        for side in ("left", "right"):
            (tmp_path / f"level{level}" / side).symlink_to(tmp_path / f"level{level + 1}")
    (tmp_path / "level39" / "image").write_text("grey")
    (tmp_path / "level0" / "loop").symlink_to("loop")
    before = content_of([tmp_path / "level0"])
    (tmp_path / "level39" / "image").write_text("pink")
    assert content_of([tmp_path / "level0"]).digest != before.digest
