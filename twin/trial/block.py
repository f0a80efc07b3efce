"""Block of virtual patients: all of them in every arm, with the same chances in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.trial import TrialSettings
from palpate.twin.events.follow import BURDEN, ENHANCING, VISIBLE, FollowUp, SmallModel
from palpate.twin.events.rules import ENHANCING_RISE, LEAST_ML, VISIBLE_RISE, EventRule, RiseAboveNadir, VolumeHazard
from palpate.twin.events.times import EventTimes, first_events
from palpate.twin.state_space.chances import Chances
from palpate.twin.trial.arms import TrialArm
from palpate.twin.trial.cohort import HAZARD, PatientSource, drawn_covariates, noise, uniforms
from palpate.twin.trial.covariates import covariate_values

type Values = NDArray[np.float64]

PATIENTS: Final = {"logistic": 2500, "radial": 500}
"""Number of patients of a block by rung. It is part of what a trial's last bits are, so that nobody may choose it."""


@dataclass(frozen=True, slots=True, eq=False)
class BlockOutcome:
    """Events and volumes of the patients of a block.

    Attributes:
        covariates: covariates on day 0, in their own units, shape (patients, covariates).
        days: day of the first event, or the last day, shape (arms, patients).
        kinds: kind of the first event (palpate.twin.events.times), shape (arms, patients).
        log_ml: ln V of the compared volume, V in ml, shape (arms, patients).
    """

    covariates: Values
    days: Values
    kinds: NDArray[np.int64]
    log_ml: Values

    @staticmethod
    def joined(blocks: Sequence[BlockOutcome]) -> BlockOutcome:
        """Return the outcome of all patients, in order.

        Args:
            blocks: outcomes of the blocks, in order.
        """
        return BlockOutcome(
            np.concatenate([one.covariates for one in blocks]),
            np.concatenate([one.days for one in blocks], axis=1),
            np.concatenate([one.kinds for one in blocks], axis=1),
            np.concatenate([one.log_ml for one in blocks], axis=1),
        )


@dataclass(frozen=True, slots=True, eq=False)
class TrialPlan:
    """Everything on which the outcome of a trial's patients depends.

    Attributes:
        settings: the trial.
        model: rung.
        arms: arms.
        source: source of the patients.
        covariates: names of the covariates.
    """

    settings: TrialSettings
    model: SmallModel
    arms: tuple[TrialArm, ...]
    source: PatientSource
    covariates: tuple[str, ...]

    @property
    def blocks(self) -> tuple[range, ...]:
        """Patients of each block."""
        size, each = self.settings.cohort.size, PATIENTS[self.model.rung]
        return tuple(range(first, min(first + each, size)) for first in range(0, size, each))

    @property
    def quantity(self) -> str:
        """Quantity that the event rule watches."""
        return {"visible": VISIBLE, "enhancing": ENHANCING, "hazard": BURDEN}[self.settings.outcome.event]

    @property
    def volume(self) -> str:
        """Quantity that is compared on a day."""
        return BURDEN if self.settings.outcome.event == "hazard" else self.quantity

    @property
    def volume_day(self) -> int:
        """Day on which it is compared."""
        asked, last = self.settings.outcome.volume_day, self.settings.outcome.until_day
        return last if asked is None else asked

    def outcome(self, patients: range) -> BlockOutcome:
        """Return what happens to some patients in every arm; it does not depend on the other blocks.

        Args:
            patients: numbers of the patients of one block.
        """
        asked = self.settings.outcome
        chances = Chances(self.settings.cohort.seed, tuple(patients))
        own = FollowUp(self.model, self.source.theta(self.model, chances), noise(chances, asked.until_day))
        drawn = drawn_covariates(self.settings.cohort, chances)
        times, volumes = [], []
        for arm in self.arms:
            rule = self._rule(own, drawn, chances)
            kept = own.run(arm.regimen, self.quantity, (rule,), (self.volume_day,), asked.from_day)
            times.append(self._times(rule, arm))
            volumes.append(kept[self.volume_day])
        return BlockOutcome(
            covariate_values(self.covariates, own, drawn),
            np.stack([one.days for one in times]),
            np.stack([one.kinds for one in times]),
            np.stack(volumes),
        )

    def _rule(self, own: FollowUp, drawn: dict[str, Values], chances: Chances) -> EventRule:
        asked, count = self.settings.outcome, len(own.theta)
        if asked.event != "hazard":
            usual = VISIBLE_RISE if asked.event == "visible" else ENHANCING_RISE
            return RiseAboveNadir(count, asked.above_nadir or usual, least_ml=LEAST_ML)
        assert asked.baseline_1_day is not None  # demanded by the settings
        means = {one.name: one.mean for one in self.settings.cohort.drawn}
        constant = np.zeros(count)
        for name, effect in asked.effects.items():
            values = covariate_values((name,), own, drawn)[:, 0]
            constant += effect * (values - means.get(name, 0.0))
        thresholds = -np.log(uniforms(chances, HAZARD))
        return VolumeHazard(asked.baseline_1_day, asked.per_ln_ml, constant, thresholds)

    def _times(self, rule: EventRule, arm: TrialArm) -> EventTimes:
        asked = self.settings.outcome
        operated = np.full(rule.days.shape, arm.operation_day) if asked.operations_compete else None
        return first_events(rule.days, float(asked.until_day), operated)
