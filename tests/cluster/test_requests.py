"""Memory, time and ranks that an inversion asks for, against the runs of docs/scaling.md."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from palpate.cluster.problem_size import ProblemSize, sizes_of_mesh
from palpate.cluster.requests import (
    MOST_TWIN_RANKS,
    UNKNOWN_MINUTES,
    UNKNOWN_RANK_MB,
    inversion_cores,
    inversion_minutes,
    output_mb,
    rank_mb,
    ranks_of,
    twin_ranks,
)

BRAIN_2_MM = (13**3, 11**3)
BRAIN_1_25_MM = (21**3, 19**3)
MEASURED = [
    (ProblemSize(20_593, 36, *BRAIN_2_MM, 1), 2, 1.66, 3.6),
    (ProblemSize(62_610, 80, *BRAIN_2_MM, 1), 4, 1.65, 9.1),
    (ProblemSize(189_713, 522, *BRAIN_2_MM, 1), 2, 5.45, 37.6),
    (ProblemSize(26_460, 8, *BRAIN_1_25_MM, 1), 2, 5.28, 8.2),
    (ProblemSize(51_084, 18, *BRAIN_1_25_MM, 1), 2, 5.61, 16.6),
]
"""Size, ranks, memory of a rank (GiB) and wall time (min) as measured."""


@pytest.mark.parametrize(("size", "ranks", "gib", "minutes"), MEASURED, ids=lambda value: str(value)[:24])
def test_requests_cover_what_was_measured_and_little_more(
    size: ProblemSize, ranks: int, gib: float, minutes: float
) -> None:
    """A job that asks for too little is ended hours later; one that asks for far too much waits in the queue."""
    asked = rank_mb([size], ranks, draws=100, directions=250) / 1024
    assert 1.1 * gib < asked < 1.7 * gib
    assert 2 * minutes < inversion_minutes([size], ranks) < 20 + 10 * minutes


def test_an_attempt_asks_for_as_much_again() -> None:
    """A job that was ended for memory or time would be ended again."""
    size = MEASURED[0][0]
    first, second = (rank_mb([size], 2, draws=100, directions=250, attempt=one) for one in (1, 2))
    assert 1.9 * first < second < 2.1 * first
    assert inversion_minutes([size], 2, attempt=3) > 2 * inversion_minutes([size], 2)
    assert output_mb([size], 4000, draws=100, attempt=2) >= 8000


def test_before_the_mesh_there_are_defaults() -> None:
    """Snakemake plans all jobs before the first mesh is there."""
    assert rank_mb([], 32, draws=100, directions=250, attempt=2) == 2 * UNKNOWN_RANK_MB
    assert inversion_minutes([], 32) == UNKNOWN_MINUTES
    assert ranks_of([], 32) == 32
    assert output_mb([], 4000, draws=200) == 4000


def test_ranks_are_no_more_than_zones() -> None:
    """A rank without zones holds a processor and waits; the executor refuses a launcher for one rank."""
    few = ProblemSize(700, 3, *BRAIN_2_MM, 1)
    assert ranks_of([few], 32) == 3
    assert ranks_of([ProblemSize(700, 1, *BRAIN_2_MM, 1)], 32) == 2
    assert ranks_of([ProblemSize(700, 3, *BRAIN_2_MM, 4)], 32) == 12
    assert ranks_of([few], 1) == 1


def test_more_ranks_need_less_memory_each_and_less_time() -> None:
    """Zones are shared; this is what a user is told to do where memory is short."""
    size = MEASURED[2][0]
    by_ranks = [rank_mb([size], ranks, draws=100, directions=250) for ranks in (2, 8, 32)]
    assert by_ranks == sorted(by_ranks, reverse=True)
    assert inversion_minutes([size], 32) < inversion_minutes([size], 2)


@pytest.mark.parametrize("text", ["", "{}", '{"zones": "many"}', "[]"])
def test_a_record_that_cannot_be_read_gives_defaults(text: str, tmp_path: Path) -> None:
    """The mesh is refused by the step that reads it, with a sentence, and not while jobs are planned."""
    (tmp_path / "sub-A_mesh.json").write_text(text)
    assert sizes_of_mesh(tmp_path) == ()
    assert sizes_of_mesh(tmp_path / "nowhere") == ()


def test_sizes_are_those_of_the_mesh(tmp_path: Path) -> None:
    """Frequencies of one run share zones, but each has its own work."""
    record = {"zones": 8, "largest_zone_nodes": 2197, "mask_voxels": 5808, "zone_nodes": [13, 13, 13]}
    (tmp_path / "sub-A_mesh.json").write_text(json.dumps(record | {"frequencies": [{}, {}]}))
    (size,) = sizes_of_mesh(tmp_path)
    assert size == ProblemSize(5808, 8, 2197, 1331, 2)
    assert size.works == 16


@pytest.mark.parametrize(
    ("cores", "waiting", "ranks"), [(2, 1, 2), (2, 2, 1), (8, 2, 4), (8, 50, 1), (64, 1, MOST_TWIN_RANKS), (None, 1, 1)]
)
def test_a_tumour_takes_its_share_of_the_cores(cores: int | None, waiting: int, ranks: int) -> None:
    """One rank left a core idle for half of the demo; more ranks than cores for each of many tumours waste both."""
    assert twin_ranks(cores, waiting) == ranks


@pytest.mark.parametrize(
    ("cores", "beside", "taken"), [(2, True, 1), (2, False, 2), (8, True, 4), (1, True, 1), (None, True, 64)]
)
def test_an_inversion_leaves_half_of_the_cores_to_a_tumour(cores: int | None, *, beside: bool, taken: int) -> None:
    """On all cores, it waits for a calibration on one of them, and the other one is idle."""
    assert inversion_cores(cores, beside=beside) == taken
