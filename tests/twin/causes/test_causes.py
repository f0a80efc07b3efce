"""Graphs and effects on history: textbook graphs, effects that are known, and questions that have no answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from palpate.twin.causes.estimate import CausalEstimate, adjusted, e_value, g_formula_contrast
from palpate.twin.causes.graph import CausalGraph
from tests.conftest import Outcome


def graph(*arrows: str, hidden: str = "") -> CausalGraph:
    """A graph from arrows such as "ab"."""
    return CausalGraph(frozenset((one[0], one[1]) for one in arrows), frozenset(hidden))


def test_back_door_sets_of_textbook_graphs() -> None:
    """A confounder, a mediator, a collider (M), a chain with two ways to close it, and a hidden confounder."""
    assert graph("ct", "cy", "ty").back_door_sets("t", "y") == (frozenset("c"),)
    assert graph("tm", "my").back_door_sets("t", "y") == (frozenset(),)
    assert graph("am", "bm", "at", "by", "ty").back_door_sets("t", "y") == (frozenset(),)
    chain = graph("ab", "bt", "ac", "cy", "ty")
    assert set(chain.back_door_sets("t", "y")) == {frozenset("a"), frozenset("b"), frozenset("c")}
    assert graph("ut", "uy", "ty", hidden="u").back_door_sets("t", "y") == ()
    butterfly = graph("am", "bm", "at", "by", "mt", "my", "ty")
    assert not butterfly.closes("t", "y", ["m"])  # m is a confounder and a collider
    assert frozenset("am") in butterfly.back_door_sets("t", "y")


def test_consequences_close_nothing_and_cycles_are_no_graphs() -> None:
    """A mediator among the adjusted would hide the effect; a cycle has no order of causes."""
    assert not graph("tm", "my", "ty").closes("t", "y", ["m"])
    with pytest.raises(ValueError, match="cause of itself"):
        graph("ab", "bc", "ca")


def test_adjustment_finds_the_effect_that_the_contrast_turns_round() -> None:
    """Effect -1 for each, more for large ones; large ones are treated: the contrast is positive."""
    rng = np.random.default_rng(0)
    size = rng.standard_normal(4000)
    treated = (rng.random(4000) < 1.0 / (1.0 + np.exp(-3.0 * size))).astype(float)
    outcome = 2.0 * size - treated * (1.0 + 0.5 * size) + rng.standard_normal(4000)
    plain = adjusted(treated, outcome, np.zeros((4000, 0)))
    fair = adjusted(treated, outcome, size[:, None])
    assert plain.lower > 0.5
    assert fair.lower < -1.0 < fair.upper
    assert abs(fair.estimate + 1.0) < 0.15


def test_errors_are_by_subject() -> None:
    """Rows that repeat a subject ten times say no more than one row: the interval must not narrow."""
    rng = np.random.default_rng(1)
    x, a = rng.standard_normal(200), rng.integers(2, size=200).astype(float)
    y = a + x + rng.standard_normal(200)
    once = adjusted(a, y, x[:, None])
    many = adjusted(np.repeat(a, 10), np.repeat(y, 10), np.repeat(x, 10)[:, None], np.repeat(np.arange(200), 10))
    assert many.std == pytest.approx(once.std, rel=0.05)


def test_the_g_formula_follows_a_confounder_that_treatment_changes() -> None:
    """Two decisions: the state between is changed by the first and decides the second; no single regression is right.

    The true difference of always and never is -1 (first, of which -0.5 goes through the state) - 1 = -2.
    """
    rng = np.random.default_rng(2)
    n = 20_000
    start = rng.standard_normal(n)
    first = (rng.random(n) < 1.0 / (1.0 + np.exp(-2.0 * start))).astype(float)
    state = start - 0.5 * first + 0.5 * rng.standard_normal(n)
    second = (rng.random(n) < 1.0 / (1.0 + np.exp(-2.0 * state))).astype(float)
    outcome = state - 0.5 * first - second + 0.3 * rng.standard_normal(n)
    histories = [start[:, None], np.column_stack([start, first, state])]
    found = g_formula_contrast(histories, [first, second], outcome, ((1.0, 1.0), (0.0, 0.0)), resamples=20)
    assert found.estimate == pytest.approx(-2.0, abs=0.05)
    assert found.lower < -2.0 < found.upper
    both, neither = (first == 1) & (second == 1), (first == 0) & (second == 0)
    assert outcome[both].mean() - outcome[neither].mean() > -1.0


def test_e_values_are_the_published_formula() -> None:
    """A risk ratio of 2 needs 3.41; an interval that holds zero needs nothing."""
    size = np.log(2.0) / 0.91
    assert e_value(CausalEstimate(size, 0.1, size - 0.2, size + 0.2), 1.0)[0] == pytest.approx(2.0 + np.sqrt(2.0))
    assert e_value(CausalEstimate(0.1, 0.1, -0.1, 0.3), 1.0)[1] == 1.0


TABLE = "subject\tvolume\tchemo\tafter\tshrinkage\n"
EDGES = ["volume -> chemo", "volume -> after", "chemo -> after", "chemo -> shrinkage", "shrinkage -> after"]


def question(folder: Path, *, hidden: bool = False) -> list[str]:
    """Files of a question, as arguments."""
    rng = np.random.default_rng(3)
    rows = []
    for at in range(300):
        v = rng.standard_normal()
        a = float(rng.random() < 1.0 / (1.0 + np.exp(-2.0 * v)))
        s = a + 0.1 * rng.standard_normal()
        rows.append(f"{at}\t{v:.4f}\t{a:g}\t{2 * v - s + 0.3 * rng.standard_normal():.4f}\t{s:.4f}\n")
    (folder / "history.tsv").write_text(TABLE + "".join(rows))
    edges = [*EDGES, "frailty -> chemo", "frailty -> after"] if hidden else EDGES
    (folder / "graph.yaml").write_text(json.dumps({"edges": edges, "hidden": ["frailty"] if hidden else []}))
    names = ("history.tsv", "graph.yaml", "causes.json")
    table, drawn, out = (str(folder / one) for one in names)
    return ["causes", table, "--graph", drawn, "--treatment", "chemo", "--outcome", "after", "--out", out]


def test_the_command_adjusts_by_the_graph(tmp_path: Path, palpate_inside: Callable[..., Outcome]) -> None:
    """The contrast is positive, the effect -1; the record names the set and says that the graph allows it."""
    done = palpate_inside(*question(tmp_path))
    assert done.code == 0, done.printed
    record = json.loads((tmp_path / "causes.json").read_text())
    assert record["sets"] == [["volume"]]
    assert record["identified"]
    assert record["naive"]["estimate"] > 0.0 > record["adjusted"]["upper"]
    assert abs(record["adjusted"]["estimate"] + 1.0) < 0.25


def test_a_hidden_confounder_is_not_passed_over(tmp_path: Path, palpate_inside: Callable[..., Outcome]) -> None:
    """No set closes the back door: the record says that the difference is no effect, and what it would take."""
    done = palpate_inside(*question(tmp_path, hidden=True), "--adjust", "volume")
    assert done.code == 0, done.printed
    record = json.loads((tmp_path / "causes.json").read_text())
    assert (record["sets"], record["identified"]) == ([], False)
    assert [one["code"] for one in record["warnings"]] == ["effect-not-identified"]
    assert "frailty" in record["warnings"][0]["sentence"]
    assert record["e_value"]["interval"] > 1.0


BAD = {
    "consequence": (("--adjust", "shrinkage"), "shrinkage, on which chemo acts"),
    "unknown column": (("--adjust", "shoes"), "'shoes'"),
    "outcome before treatment": (("--outcome", "volume"), "volume, on which chemo does not act"),
}


@pytest.mark.parametrize("name", BAD)
def test_questions_without_an_answer(name: str, tmp_path: Path, palpate_inside: Callable[..., Outcome]) -> None:
    """Refused by name, with nothing written."""
    further, told = BAD[name]
    done = palpate_inside(*question(tmp_path), *further)
    assert done.code == 2
    assert told in done.printed
    assert not (tmp_path / "causes.json").exists()


def test_a_cycle_is_refused_with_the_file(tmp_path: Path, palpate_inside: Callable[..., Outcome]) -> None:
    """Feedback over time needs names by time."""
    arguments = question(tmp_path)
    (tmp_path / "graph.yaml").write_text("edges: [volume -> chemo, chemo -> volume]")
    done = palpate_inside(*arguments)
    assert done.code == 2
    assert "graph.yaml: found a cycle" in done.printed
