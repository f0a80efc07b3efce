"""Bounds of a state, and models that fail."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from worlds.scalar_tumour import Doses, ScalarTumour

from palpate.twin.assimilation.assimilate import assimilate, present_draws
from palpate.twin.assimilation.gaussian import linearised
from palpate.twin.assimilation.record import begin_record
from palpate.twin.assimilation.setup import Method
from palpate.twin.state_space.model import StateBound
from tests.twin.assimilation.test_late_results import VISITS, scalar_setup

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _BoundedTumour(ScalarTumour):
    """The scalar tumour where ln V cannot be below 1.5, far above what is measured last."""

    @property
    def states(self) -> tuple[StateBound, ...]:
        """Bounds of ln V."""
        return (StateBound("ln_volume_ml", 1.5, 4.6),)


@dataclass(frozen=True, slots=True)
class _BrokenTumour(ScalarTumour):
    """A model that overflows on its way."""

    def step(self, x: Values, theta: Values, u: Doses, t0: float, t1: float, noise: Values) -> Values:
        """Return no number."""
        del theta, u, t0, t1, noise
        return np.full_like(x, np.nan)


@pytest.mark.parametrize("method", ["extended", "unscented", "ensemble"])
def test_updates_stay_within_bounds(method: Method) -> None:
    """A linear update knows no bounds; a model that gets a negative volume may fail or return nonsense."""
    setup = replace(scalar_setup(method), model=_BoundedTumour())
    record = assimilate(setup, begin_record(setup, "sub-01"), VISITS, 60.0)
    assert record.checkpoints[-1].belief.moments()[0][0] >= 1.5
    assert present_draws(setup, record, 100)[0].min() >= 1.5


def test_a_derivative_at_a_bound_has_one_side() -> None:
    """Half of a difference that is cut at the bound would be half of the derivative."""
    found = linearised(lambda z: np.sqrt(4.0 + z), np.zeros(1), np.eye(1), lambda z: np.maximum(z, 0.0))
    assert found.cross[0, 0] == pytest.approx(0.25, rel=1e-4)


@pytest.mark.parametrize("method", ["extended", "unscented", "ensemble", "sequential"])
def test_a_model_that_fails_is_said(method: Method) -> None:
    """NaN must not become the state of a patient."""
    setup = replace(scalar_setup(method), model=_BrokenTumour())
    with pytest.raises(RuntimeError, match=r"not finite|finite density"):
        assimilate(setup, begin_record(setup, "sub-01"), VISITS, 60.0)
