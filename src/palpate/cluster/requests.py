"""Memory, time and ranks that a job asks of a cluster, by the size of its problem and by its attempt.

The constants are fits to the measured runs of docs/scaling.md, rounded up. A cluster ends a job that takes more than it
asked for, so that a request is larger than what is expected; each further attempt asks for as much again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from palpate.cluster.problem_size import ProblemSize

RANK_MB: Final = 1200
"""Memory of a rank with all libraries and the arrays that do not grow with zones, MiB."""

MATRICES_OF_A_ZONE: Final = 6
"""Number of matrices over a zone's nodes that a rank holds while it works on the zone."""

FACTOR_BYTES_PER_NODE: Final = 6000
"""Memory of a zone's Hessian factor and directions by node, bytes, at DIRECTIONS directions."""

DIRECTIONS: Final = 250
"""Number of directions (inversion.hessian_rank) at which FACTOR_BYTES_PER_NODE was measured."""

MARGIN: Final = 1.25
"""Requested over expected memory."""

UNKNOWN_RANK_MB: Final = 4000
"""Memory of a rank where the size is not known yet, MiB."""

RANK_SECONDS_PER_WORK: Final = 3e-4
"""Seconds of a rank for a zone's work of one (inner nodes to the power 1.5), with draws and all other phases."""

SHARED_BY: Final = 32
"""Number of ranks at which half of the time goes into what ranks do not share."""

UNKNOWN_MINUTES: Final = 480
"""Time of an inversion where its size is not known yet, min."""

SLOWER_MACHINE: Final = 2.0
"""Requested over expected time: other machines, and neighbours on the same one."""

START_MINUTES: Final = 20
"""Time for starting, waiting for files and writing, min."""

BYTES_PER_DRAW: Final = 16
"""Memory of one voxel in one joint draw: G' and G'' in double precision, bytes."""

MOST_RANKS: Final = 64
"""Largest number of ranks of an inversion where neither cores nor a profile limit it."""

MOST_TWIN_RANKS: Final = 8
"""Largest number of ranks that a calibration or a forecast takes by itself: a tenth of its work is not shared."""

TWIN_MB: Final = 8000
"""Memory of a calibration or a forecast on one rank, MiB."""

TWIN_RANK_MB: Final = 4000
"""Memory of each rank of a calibration or a forecast on several ranks, MiB."""

_MB: Final = 2**20


def ranks_of(sizes: Sequence[ProblemSize], most: int) -> int:
    """Return the number of ranks of an inversion: no more than zones, since a rank without zones only waits.

    Args:
        sizes: sizes of the session's inversions; none where they are not known.
        most: number of ranks that the profile allows.

    Returns:
        One where the profile allows one, else at least two, because the executor of Slurm refuses a launcher for one.
    """
    useful = max((size.works for size in sizes), default=most)
    return min(most, max(2, useful))


def rank_mb(sizes: Sequence[ProblemSize], ranks: int, *, draws: int, directions: int, attempt: int = 1) -> int:
    """Return the memory that a rank of an inversion asks for, MiB.

    Args:
        sizes: sizes of the session's inversions, which run one after the other; none where they are not known.
        ranks: number of ranks.
        draws: number of joint draws (inversion.samples).
        directions: number of directions of a zone's Hessian (inversion.hessian_rank).
        attempt: number of the attempt, from 1.
    """
    expected = max((_expected_rank_mb(one, ranks, draws, directions) for one in sizes), default=None)
    asked = UNKNOWN_RANK_MB if expected is None else MARGIN * expected
    return _rounded(asked * attempt, 100)


def _expected_rank_mb(size: ProblemSize, ranks: int, draws: int, directions: int) -> float:
    matrices = MATRICES_OF_A_ZONE * 8 * size.zone_nodes**2
    zones = math.ceil(size.works / ranks)
    factors = zones * size.zone_nodes * FACTOR_BYTES_PER_NODE * directions / DIRECTIONS
    return RANK_MB + (matrices + factors + size.voxels * draws * BYTES_PER_DRAW) / _MB


def inversion_minutes(sizes: Sequence[ProblemSize], ranks: int, *, attempt: int = 1) -> int:
    """Return the time that an inversion asks for, min.

    Args:
        sizes: sizes of the session's inversions, which run one after the other; none where they are not known.
        ranks: number of ranks.
        attempt: number of the attempt, from 1.
    """
    if not sizes:
        return UNKNOWN_MINUTES * attempt
    rank_seconds = sum(RANK_SECONDS_PER_WORK * size.works * size.inner_nodes**1.5 for size in sizes)
    at_once = ranks / (1 + ranks / SHARED_BY)
    return _rounded((START_MINUTES + SLOWER_MACHINE * rank_seconds / at_once / 60) * attempt, 10)


def inversion_cores(cores: int | None, *, beside: bool) -> int:
    """Return the number of cores of an inversion on this machine: all, or half beside a tumour.

    A tumour's steps wait for one another and follow from no inversion. On all cores each would hold up the other, and
    on half of them both lose less to ranks. The number follows from the study and not from what has finished, since
    maps of different numbers of ranks agree only to the solver's tolerance.

    Args:
        cores: number of cores that the workflow may use; None where it is not limited.
        beside: whether the study has a tumour whose steps do not wait for this inversion.
    """
    most = MOST_RANKS if cores is None else cores
    return max(1, most // 2) if beside and cores is not None else most


def twin_ranks(cores: int | None, waiting: int) -> int:
    """Return the number of ranks of a tumour's calibration or forecast: its share of the cores.

    One rank for each of many jobs wastes nothing; where fewer jobs than cores are left, cores would stay idle.

    Args:
        cores: number of cores that the workflow may use on this machine; None where jobs run elsewhere.
        waiting: number of jobs that could use several ranks and are still to be done: this step of all tumours, this
            one included, and inversions.
    """
    return 1 if cores is None else min(MOST_TWIN_RANKS, max(1, cores // max(1, waiting)))


def twin_rank_mb(ranks: int, *, attempt: int = 1) -> int:
    """Return the memory that a rank of a tumour's calibration or forecast asks for, MiB.

    Args:
        ranks: number of ranks; each holds all voxels and a factor of the elastic system.
        attempt: number of the attempt, from 1.
    """
    return (TWIN_MB if ranks == 1 else TWIN_RANK_MB) * attempt


def output_mb(sizes: Sequence[ProblemSize], least: int, *, draws: int, attempt: int = 1) -> int:
    """Return the memory that a step on finished draws asks for, MiB.

    Args:
        sizes: sizes of the session's inversions; none where they are not known.
        least: memory of the step beside the draws, MiB.
        draws: number of joint draws (inversion.samples).
        attempt: number of the attempt, from 1.
    """
    voxels = max((size.voxels for size in sizes), default=0)
    return _rounded((least + 2 * voxels * draws * BYTES_PER_DRAW / _MB) * attempt, 100)


def _rounded(value: float, step: int) -> int:
    return step * math.ceil(value / step)
