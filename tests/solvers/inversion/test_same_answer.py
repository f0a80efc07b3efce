"""Every number of ranks and every kind of BLAS kernel gives the same answer, in every draw.

What differs between them is rounding. It must not choose anything: signs of eigenvectors, directions among equal
eigenvalues, which directions count, which voxels are outliers. Each of the fields is small, and as hard as can be in
one way: few directions, a model that misfits, noise, labels, symmetric waves.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.solvers.inversion.posterior.joint import TOLERANCE
from tests.conftest import BIN, CHECKOUT, user_environment
from tests.solvers.inversion.small_fields import CASES

RANKS = (2, *(pytest.param(number, marks=pytest.mark.long) for number in (3, 4)))
KERNELS = {"Nehalem": "sse4_2", "Sandybridge": "avx"}
"""OpenBLAS's kernels of 2008 and 2011, and what the processor must have for them. By itself it takes those with AVX2,
or AVX-512 where there is any. They sum in other orders: Hessians differ by some 1e-7 between them."""

type Found = Mapping[str, NDArray[np.generic]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("answers")


def _found(home: Path, *, ranks: int = 1, kernels: str = "") -> Found:
    """What the program finds, run once for each number of ranks and kind of kernel."""
    path = home / f"{ranks}{kernels}.npz"
    if not path.exists():
        launch = (BIN / "mpiexec", "-n", ranks) if ranks > 1 else ()
        command = (*launch, BIN / "python", "-m", "tests.solvers.inversion.small_fields", path)
        chosen = {"OPENBLAS_CORETYPE": kernels} if kernels else {}
        done = subprocess.run(
            [str(part) for part in command],
            cwd=CHECKOUT,
            env=user_environment(chosen),
            capture_output=True,
            text=True,
            timeout=600.0,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    with np.load(path) as file:
        return dict(file)


def _assert_same(name: str, one: Found, other: Found) -> None:
    """The same steps, means and draws to the tolerance of the steps' linear systems.

    Each solves to TOLERANCE posterior standard deviations, and two runs are each off by that in every step and in what
    draws start from. As many conjugate-gradient iterations are a continuous function of their input, so that draws,
    which end at a coarser tolerance, differ by no more than that.
    """
    std, steps = np.asarray(one[f"{name}/std"]), int(one[f"{name}/steps"])
    allowed = 2 * TOLERANCE * (steps + 1)
    assert int(other[f"{name}/steps"]) == steps
    assert bool(other[f"{name}/converged"]) == bool(one[f"{name}/converged"])
    for what, spread in (("mean", std), ("draws", std[..., None]), ("std", std)):
        apart = np.abs(np.subtract(other[f"{name}/{what}"], one[f"{name}/{what}"])) / spread
        assert apart.max() <= allowed, what
    assert np.array_equal(other[f"{name}/informed"], one[f"{name}/informed"])


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("ranks", RANKS)
def test_ranks_do_not_change_the_answer(name: str, ranks: int, home: Path) -> None:
    """The contract of `mpiexec -n N palpate invert`, for up to as many ranks as there are zones."""
    _assert_same(name, _found(home), _found(home, ranks=ranks))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kernels", [pytest.param(name, marks=pytest.mark.long) for name in KERNELS])
def test_processors_do_not_change_the_answer(name: str, kernels: str, home: Path) -> None:
    """A study that moves to another machine, or whose ranks are of two kinds, keeps its maps and its draws."""
    if KERNELS[kernels] not in Path("/proc/cpuinfo").read_text(encoding="utf-8").split():
        pytest.skip(f"this processor has no {KERNELS[kernels]}")
    _assert_same(name, _found(home), _found(home, kernels=kernels))
