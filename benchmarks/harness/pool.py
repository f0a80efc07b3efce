"""Items of a benchmark in several processes, and their scores as files, from which a stopped run goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from palpate.provenance import atomic_file

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def in_processes[Item, Result](run: Callable[[Item], Result], items: Iterable[Item], count: int) -> list[Result]:
    """Return the results in the order of the items.

    Args:
        run: function of one item, which a new process can import.
        items: items.
        count: number of processes at a time.
    """
    # Each process starts anew: MPI does not survive a fork.
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        return list(pool.map(run, items))


def scored_once[Item, Score: DataclassInstance](
    item: Item, run: Callable[[Item, Path], Score], kind: type[Score], out: Path
) -> Score:
    """Return an item's score: that of an earlier run with this folder, or a new one, which is kept there.

    Args:
        item: item to score; its text names the file.
        run: function of the item and the folder of its data.
        kind: class of the score, whose attributes are numbers, texts and tuples of them.
        out: folder of data and scores.
    """
    path = out / "scores" / f"{item}.json"
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
        return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()})
    score = run(item, out)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as partial_file:
        partial_file.write_text(json.dumps(asdict(score), indent=2) + "\n", encoding="utf-8")
    return score
