"""Follow-up of many draws of a small rung under one treatment, day by day, with the rules that date their events."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.twin.events.edge_volume import edge_volume_ml
from palpate.twin.events.piece import LogisticVolumePiece, SampledPiece, VolumePiece
from palpate.twin.events.rules import EventRule
from palpate.twin.priors import ENHANCING_ABOVE, INFILTRATED_ABOVE
from palpate.twin.rungs.cells import natural
from palpate.twin.rungs.logistic import ENHANCING_RATIO, FLAIR_RATIO, LogisticModel
from palpate.twin.rungs.radial import RadialModel
from palpate.twin.rungs.regimen import Regimen

type Values = NDArray[np.float64]
type SmallModel = LogisticModel | RadialModel

VISIBLE: Final = "visible_ml"
"""Quantity: volume that is bright on FLAIR, with everything within, ml."""
ENHANCING: Final = "enhancing_ml"
"""Quantity: volume that takes up contrast agent, ml."""
BURDEN: Final = "burden_ml"
"""Quantity: volume of all tumour cells, packed, ml."""
QUANTITIES: Final = (VISIBLE, ENHANCING, BURDEN)
"""Quantities whose paths can be followed."""
_LEAST_ML: Final = 1e-6
_RATIOS: Final[Mapping[str, str]] = {VISIBLE: FLAIR_RATIO, ENHANCING: ENHANCING_RATIO}
_THRESHOLDS: Final[Mapping[str, str]] = {VISIBLE: INFILTRATED_ABOVE, ENHANCING: ENHANCING_ABOVE}


@dataclass(frozen=True, slots=True, eq=False)
class FollowUp:
    """Draws of one rung and the chances that they meet.

    Attributes:
        model: rung.
        theta: parameters as standard normal numbers, shape (draws, parameters).
        noise: increments of the noise of each whole day from day 0, shape (days, draws).
    """

    model: SmallModel
    theta: Values
    noise: Values

    def run(
        self,
        u: Regimen,
        quantity: str,
        rules: Collection[EventRule],
        volume_days: Collection[int] = (),
        from_day: int = 0,
    ) -> dict[int, Values]:
        """Go through all days under one treatment, and return ln V on some of them, shape (draws,) each.

        Args:
            u: treatment.
            quantity: quantity V that the rules watch, of QUANTITIES, ml.
            rules: rules that date events; they hold what they found.
            volume_days: whole days on which V is kept, before the events of that day.
            from_day: first day on which events are looked for.
        """
        kept: dict[int, Values] = {}
        path = self._logistic if isinstance(self.model, LogisticModel) else self._radial
        for piece in path(u, quantity):
            if piece.start == 0.0 and 0 in volume_days:
                kept[0] = self.first(quantity)
            for rule in rules if piece.start >= from_day else ():
                rule.meet(piece)
            if piece.end in volume_days:
                kept[int(piece.end)] = piece.last
        return kept

    def first(self, quantity: str) -> Values:
        """Return ln V on day 0, before any treatment, shape (draws,).

        Args:
            quantity: quantity V, of QUANTITIES, ml.
        """
        x = self.model.start(self.theta)
        if isinstance(self.model, LogisticModel):
            return np.asarray(self._log_most(self.model, quantity) - np.logaddexp(0.0, -x[:, 0]))
        return self._log_volume(self.model, x, quantity)

    def _logistic(self, u: Regimen, quantity: str) -> Iterator[VolumePiece]:
        model = self.model
        assert isinstance(model, LogisticModel)
        x, log_most = model.start(self.theta), self._log_most(model, quantity)
        for day, noise in enumerate(self.noise):
            drift = x[:, 1]
            for piece in model.path(x, self.theta, u, float(day), float(day + 1), noise[:, None]):
                yield LogisticVolumePiece(piece, log_most)
                last = piece.last
            x = np.stack([last, model.drift_after(drift, noise, 1.0)], axis=1)

    def _radial(self, u: Regimen, quantity: str) -> Iterator[VolumePiece]:
        model = self.model
        assert isinstance(model, RadialModel)
        x = model.start(self.theta)
        before = self._log_volume(model, x, quantity)
        for day, noise in enumerate(self.noise):
            if day in {one.day for one in u.fractions} | {one.day for one in u.operations}:
                treated = model.after_events(x, self.theta, u, float(day))
                before = self._log_volume(model, treated, quantity)
            x = model.step(x, self.theta, u, float(day), float(day + 1), noise[:, None])
            after = self._log_volume(model, x, quantity)
            yield SampledPiece(float(day), float(day + 1), before, after)
            before = after

    def _log_most(self, model: LogisticModel, quantity: str) -> Values:
        """Return the logarithm of the largest volume, ml, shape (draws,)."""
        most = model.capacity_ml(self.theta)
        return np.log(most if quantity == BURDEN else most * natural(model.parameters, self.theta, _RATIOS[quantity]))

    def _log_volume(self, model: RadialModel, x: Values, quantity: str) -> Values:
        """Return ln V, shape (draws,)."""
        if quantity == BURDEN:
            volume = model.burden_ml(x)
        else:
            above = natural(model.parameters, self.theta, _THRESHOLDS[quantity])
            volume = edge_volume_ml(x[:, :-1], above, model.shells)
        return np.log(np.maximum(volume, _LEAST_ML))
