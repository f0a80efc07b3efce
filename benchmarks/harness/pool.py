"""Items of a benchmark in several processes, and their scores as a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
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


def write_scores(path: Path, scores: Sequence[DataclassInstance]) -> None:
    """Write the scores of all items as JSON, whole or not at all."""
    with atomic_file(path) as partial_file:
        partial_file.write_text(json.dumps([asdict(one) for one in scores], indent=2) + "\n", encoding="utf-8")
