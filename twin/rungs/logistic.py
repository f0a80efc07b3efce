"""Logistic rung: the burden of a tumour in one number, in closed form between events.

    u' = k e^b u (1 - u / K) - treatment,     z = ln(u / (K - u)),     z' = k e^b without treatment

The state is z and the drift b. Whatever numbers they are, 0 < u < K. The largest burden is K = u_0 + room, so that no
start is beyond it. Steps are exact, so that it does not matter how a time is cut. Two states move together or towards
each other, as d z(t1) / d z(t0) = 1 / (1 + c exp(z)) is at most one, for drugs and fractions alike.

Continuous dependence (see certificate): |dz| grows by k_max |db| a day; a kill by K in total changes z by at most
(1 + K) |d ln K|, for w = -dz / d ln K obeys w' = K' (1 + exp(z) (1 - w)) <= K' where w >= 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.twin import TwinSettings
from palpate.twin.dynamics import kills_1_g
from palpate.twin.priors import ALPHA, GAIN, KILL, PROLIFERATION, Unknown
from palpate.twin.rungs.cells import DRIFT, PROLIFERATION_NOISE, CellRates, cell_priors, cell_rates, drifted, natural
from palpate.twin.rungs.observed import (
    BURDEN,
    ENHANCING_VOLUME,
    FLAIR_VOLUME,
    VISIBLE_BURDEN,
    StreamObservation,
    log_column,
)
from palpate.twin.rungs.regimen import Regimen, TreatmentPiece
from palpate.twin.state_space.advance import daily
from palpate.twin.state_space.dependence import Dependence, ParameterBox
from palpate.twin.state_space.model import StateBound
from palpate.units import days_to_s, per_day_to_per_s

type Values = NDArray[np.float64]

START_ML: Final = "burden_ml"
"""Name of the parameter: burden u_0 on day 0, ml of packed cells."""
ROOM_ML: Final = "room_ml"
"""Name of the parameter: burden that can be added, K - u_0, ml."""
ENHANCING_RATIO: Final = "enhancing_per_burden"
"""Name of the parameter: enhancing volume over burden."""
FLAIR_RATIO: Final = "flair_per_burden"
"""Name of the parameter: volume that is bright on FLAIR over burden."""
ROOM: Final = (200.0, 0.7)
"""Median, ml, and standard deviation of the logarithm of the room to grow: brains hold a few hundred ml of tumour."""
ENHANCING: Final = (0.65, 0.4)
"""Median and spread of the logarithm of the enhancing volume over the burden, those of the radial rung's
prior after 45 days (docs/theory/state-space.md)."""
FLAIR: Final = (1.35, 0.17)
"""Median and spread of the logarithm of the volume on FLAIR over the burden, from the same draws."""


ABSENT: Final = 1e-13
"""Exponent of a kill in a piece below which a drug is taken as absent."""


@dataclass(frozen=True, slots=True, eq=False)
class LogisticPiece:
    """Time of the logistic rung without an event, in closed form.

    Attributes:
        start: first day.
        end: last day.
        first: logit z at the start, after the events of that day, shape (draws,).
        last: logit z at the end, shape (draws,).
        rates: rates of growth and death, constant in the piece.
    """

    start: float
    end: float
    first: Values
    last: Values
    rates: CellRates

    @property
    def drugs(self) -> bool:
        """Whether any drug is present, so that the burden may fall and rise within the piece."""
        if not self.rates.acting(self.start, self.end):
            return False
        ends = np.full(self.first.shape, self.end)
        return bool(self.rates.log_kill(self.start, ends).max(initial=0.0) > ABSENT)

    def logit(self, draws: NDArray[np.int64], days: Values) -> Values:
        """Return z of some draws, each at a time of its own, shape (some,).

        Args:
            draws: numbers of the draws, shape (some,).
            days: a time of the piece for each, shape (some,).
        """
        return _moved(self.first[draws], *self.rates.of(draws).flow_to(self.start, days))

    def slope_1_day(self, draws: NDArray[np.int64], days: Values) -> Values:
        """Return d ln u / dt of some draws, each at a time of its own, 1/day, shape (some,)."""
        own = self.rates.of(draws)
        free = np.exp(-np.logaddexp(0.0, self.logit(draws, days)))
        return np.asarray(own.growth_1_day * free - own.kill_1_day(days))


@dataclass(frozen=True, slots=True)
class LogisticModel:
    """Logistic rung of one tumour.

    Attributes:
        settings: settings of the twin, with priors, drift and drugs.
        parameters: parameters in the order of theta.
    """

    settings: TwinSettings
    parameters: tuple[Unknown, ...]
    rung: str = "logistic"
    states: tuple[StateBound, ...] = (StateBound("logit_of_capacity"), StateBound(DRIFT))
    noises: tuple[str, ...] = (PROLIFERATION_NOISE,)

    def start(self, theta: Values) -> Values:
        """See Model."""
        z = np.log(natural(self.parameters, theta, START_ML)) - np.log(natural(self.parameters, theta, ROOM_ML))
        return np.stack([z, np.zeros_like(z)], axis=1)

    def step(self, x: Values, theta: Values, u: Regimen, t0: float, t1: float, noise: Values) -> Values:
        """See Model."""
        *_, last = self.path(x, theta, u, t0, t1, noise)
        return np.stack([last.last, self.drift_after(x[:, 1], noise[:, 0], t1 - t0)], axis=1)

    def drift_after(self, drift: Values, noise: Values, days: float) -> Values:
        """Return the drift b after a step, shape (draws,).

        Args:
            drift: drift at its beginning, shape (draws,).
            noise: increment of the Brownian motion over the root of the step's length, shape (draws,).
            days: length of the step.
        """
        return drifted(drift, noise, days, self.settings)[1]

    def path(
        self, x: Values, theta: Values, u: Regimen, t0: float, t1: float, noise: Values
    ) -> Iterator[LogisticPiece]:
        """Yield the pieces of a step, between events, in order; their last state is that of `step`.

        Args:
            x: state on day t0, shape (draws, 2).
            theta: parameters as standard normal numbers, shape (draws, parameters).
            u: treatment.
            t0: first day.
            t1: last day.
            noise: see Model.step, shape (draws, 1).
        """
        within, _ = drifted(x[:, 1], noise[:, 0], t1 - t0, self.settings)
        rates = cell_rates(self.parameters, theta, within, u, self.settings)
        z = x[:, 0]
        acting = rates.acting(t0, t1)
        for piece in u.pieces(t0, t1, (*daily(t0, t1), *(one.day for one in u.drug_doses)) if acting else ()):
            z = _killed(z, log_survival(piece, rates))
            log_a, c = rates.flow(piece.start, piece.end)
            last = _moved(z, log_a, c)
            yield LogisticPiece(piece.start, piece.end, z, last, rates)
            z = last

    def burden_ml(self, x: Values, theta: Values) -> Values:
        """Return the burden u of each draw, ml of packed cells, shape (draws,).

        Args:
            x: state, shape (draws, 2).
            theta: parameters as standard normal numbers, shape (draws, parameters).
        """
        return self.capacity_ml(theta) * np.exp(-np.logaddexp(0.0, -x[:, 0]))

    def capacity_ml(self, theta: Values) -> Values:
        """Return the largest burden K of each draw, ml, shape (draws,)."""
        return natural(self.parameters, theta, START_ML) + natural(self.parameters, theta, ROOM_ML)

    @property
    def observations(self) -> tuple[StreamObservation, ...]:
        """Streams that this rung knows: ln volumes and ln burdens, in ml; of its burden all is visible."""

        def volume(ratio: str | None) -> StreamObservation:
            def shown(x: Values, theta: Values) -> Values:
                share = 1.0 if ratio is None else natural(self.parameters, theta, ratio)
                return log_column(share * self.burden_ml(x, theta))

            return StreamObservation(streams[ratio], (f"ln_{streams[ratio]}_ml",), shown)

        streams = {
            ENHANCING_RATIO: ENHANCING_VOLUME,
            FLAIR_RATIO: FLAIR_VOLUME,
            None: BURDEN,
            GAIN: VISIBLE_BURDEN,
        }
        return tuple(map(volume, streams))

    def certificate(self, u: Regimen, t0: float, t1: float, box: ParameterBox) -> Dependence:
        """Return Lipschitz constants of the step between two days, for (z, b) and all parameters, in maximum norms.

        L = k_max exp(drift), and C sums k L t for ln k, and 1 + K for each ln K, times the parameters' prior standard
        deviations, where K is the largest total exponent of the kill by fractions or by a drug.

        Args:
            u: treatment.
            t0: first day.
            t1: last day.
            box: set of parameters and drifts.
        """
        most = cell_rates(
            self.parameters, np.full((1, len(self.parameters)), box.reach), np.array([box.drift]), u, self.settings
        )
        rate = float(most.growth_1_day[0])
        by_theta = 0.0
        kills = total_kills(most, u, t0, t1, self.settings)
        for one in self.parameters:
            if one.name == PROLIFERATION:
                by_theta += one.std * rate * (t1 - t0)
            elif one.name in kills:
                by_theta += one.std * (1.0 + kills[one.name])
        return Dependence(rate, by_theta)


def total_kills(most: CellRates, u: Regimen, t0: float, t1: float, settings: TwinSettings) -> dict[str, float]:
    """Return the total exponent of the kill between two days by each parameter that was at work.

    Args:
        most: rates of one draw, the largest that are considered.
        u: treatment.
        t0: first day.
        t1: last day.
        settings: settings of the twin.
    """
    given = [one for one in u.fractions if t0 <= one.day < t1]
    doses = [np.array([max(one.dose_gy, *one.doses_gy, 0.0)]) for one in given]
    kills = [-most.log_survival(dose, one.day).sum() for dose, one in zip(doses, given, strict=True)]
    found = {ALPHA: float(sum(kills))} if given else {}
    per_gram = kills_1_g(u.drugs, settings)
    for course, at, unit in zip(most.courses, most.drugs, per_gram, strict=True):
        exposure = float(course.exposure(days_to_s(t0), np.array(days_to_s(t1)))) / float(unit)
        found[KILL + course.drug] = float(most.kill_1_g[0, at]) * exposure
    return found


def logistic_model(settings: TwinSettings, burden_ml: float, burden_log_std: float = 0.3) -> LogisticModel:
    """Return the logistic rung of a tumour.

    Args:
        settings: settings of the twin.
        burden_ml: prior median of the burden on day 0, ml of packed cells.
        burden_log_std: prior standard deviation of its logarithm.
    """
    k = settings.proliferation_1_day
    first = (
        Unknown(PROLIFERATION, float(np.log(per_day_to_per_s(k.median))), k.log_std),
        Unknown(START_ML, float(np.log(burden_ml)), burden_log_std),
        Unknown(ROOM_ML, float(np.log(ROOM[0])), ROOM[1]),
        Unknown(ENHANCING_RATIO, float(np.log(ENHANCING[0])), ENHANCING[1]),
        Unknown(FLAIR_RATIO, float(np.log(FLAIR[0])), FLAIR[1]),
        Unknown(GAIN, 0.0, settings.cellularity_gain_log_std),
    )
    return LogisticModel(settings, cell_priors(first, settings))


def log_survival(piece: TreatmentPiece, rates: CellRates) -> Values:
    """Return the logarithm of the share that survives the events at the beginning of a piece, shape (draws,).

    Args:
        piece: time between two events, with those at its beginning.
        rates: rates of every draw.
    """
    total = np.zeros(len(rates.growth_1_day))
    for operation in piece.operations:
        total += np.log1p(-operation.share)
    for fraction in piece.fractions:
        total += rates.log_survival(np.array([fraction.dose_gy]), fraction.day)[0]
    return total


def _moved(z: Values, log_a: Values, c: Values) -> Values:
    """Return the logit after growth and death without an event."""
    if not c.any():
        return z + log_a
    with np.errstate(divide="ignore"):
        return np.asarray(z + log_a - np.logaddexp(0.0, np.log(c) + z))


def _killed(z: Values, log_share: Values) -> Values:
    """Return the logit after a share S survives: ln S - ln(1 - S + exp(-z))."""
    if not log_share.any():
        return z
    return log_share - np.logaddexp(np.log(np.maximum(-np.expm1(log_share), 1e-300)), -z)
