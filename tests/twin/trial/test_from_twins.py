"""Virtual patients from the twins of real ones: each has the rates and the size of a draw, on either small rung."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from palpate.twin.calibration_file import save_calibration
from palpate.twin.events.follow import VISIBLE, FollowUp
from palpate.twin.priors import PROLIFERATION
from palpate.twin.state_space.chances import Chances
from palpate.twin.trial.block import TrialPlan
from palpate.twin.trial.cohort import noise
from palpate.twin.trial.from_twins import FromTwins, twin_draws
from palpate.units import per_s_to_per_day
from tests.twin.drawn import drawn
from tests.twin.trial.trials import planned


def started(plan: TrialPlan) -> FollowUp:
    """The patients of a trial on day 0."""
    chances = Chances(plan.settings.cohort.seed, tuple(plan.blocks[0]))
    return FollowUp(plan.model, plan.source.theta(plan.model, chances), noise(chances, 1))


def test_patients_have_the_sizes_and_rates_of_draws(tmp_path: Path) -> None:
    """Visible volumes of both rungs are those that the twin's draws show, and rates include the drift of the past."""
    patient = drawn(20)
    save_calibration(patient, tmp_path / "twin" / "calibration.h5")
    twin = twin_draws(patient)
    cohort = {"source": "twin", "consented": True, "size": 60, "seed": 3}
    for rung in ("logistic", "radial"):
        plan = planned(tmp_path, cohort=cohort, model=rung)
        assert isinstance(plan.source, FromTwins)
        own = started(plan)
        found = np.exp(own.first(VISIBLE))
        nearest = np.abs(found[:, None] / twin.visible_ml - 1.0).min(axis=1)
        large = found > 1.0
        assert large.mean() > 0.5
        assert nearest[large].max() < (1e-9 if rung == "logistic" else 0.1)
        at = [one.name for one in plan.model.parameters].index(PROLIFERATION)
        k = plan.model.parameters[at].mean + plan.model.parameters[at].std * own.theta[:, at]
        assert np.abs(k[:, None] - twin.transformed[PROLIFERATION]).min(axis=1).max() < 1e-9
    assert 0.005 < per_s_to_per_day(float(np.exp(twin.transformed[PROLIFERATION]).mean())) < 0.5
