"""Radial rung: invasion and growth of a ball of tumour, in shells.

    du/dt = (1 / r^2) d/dr(r^2 D du/dr) + k e^b u (1 - u) - treatment,     no flux at the outer radius

Strang splitting: half a step of growth and death in place, diffusion, half a step; both are exact, and steps end on
whole days. The state is the density u of the shells and the drift b. Growth and kills keep 0 <= u <= 1, diffusion
makes means, so the bounds hold, and the step asserts them. A state outside is taken as the nearest one inside.

Continuous dependence (see certificate): growth and kills multiply differences by at most exp(k t), diffusion by at most
one. A change of b by db changes growth by at most k / 4 |db| a day, as u (1 - u) <= 1/4. A change by dq of the mean
number of steps of the random walk changes means of numbers in 0..1 by at most |dq|, the distance of two Poisson
distributions, and one of ln D by q |d ln D|. A kill by K in total changes u by at most K exp(-K) |d ln K|. The
number of terms of the walk changes with q, which adds at most shells.TAIL a day.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.twin import TwinSettings
from palpate.twin.dynamics import LOGIT_LIMIT, WAVE
from palpate.twin.priors import (
    ALPHA,
    DIFFUSIVITY,
    ENHANCING_ABOVE,
    GAIN,
    INFILTRATED_ABOVE,
    PLATEAU,
    PLATEAU_LOGIT,
    PROLIFERATION,
    WIDTH,
    WIDTH_LOG,
    Unknown,
    logit,
)
from palpate.twin.rungs.cells import (
    DRIFT,
    PROLIFERATION_NOISE,
    CellRates,
    cell_priors,
    cell_rates,
    drifted,
    natural,
)
from palpate.twin.rungs.logistic import total_kills
from palpate.twin.rungs.observed import (
    BURDEN,
    ENHANCING_VOLUME,
    FLAIR_VOLUME,
    FRONT_RADIUS,
    VISIBLE_BURDEN,
    StreamObservation,
    log_column,
)
from palpate.twin.rungs.regimen import Regimen, TreatmentPiece
from palpate.twin.rungs.shells import RandomWalk, Shells
from palpate.twin.state_space.advance import daily
from palpate.twin.state_space.dependence import Dependence, ParameterBox
from palpate.twin.state_space.model import StateBound
from palpate.units import m2_s_to_mm2_day, mm2_day_to_m2_s, per_day_to_per_s

type Values = NDArray[np.float64]
type Mask = NDArray[np.bool_]

RADIUS_MM: Final = "radius_mm"
"""Name of the parameter: radius at which the density at the first scan is a quarter of its largest, mm."""
SHELLS: Final = 160
"""Number of shells by default."""
EXTENT_MM: Final = 80.0
"""Outer radius by default, mm: a ball with the volume of an adult's brain has a radius of some 68 mm."""
WHITE_SHARE: Final = 0.5
"""Share of white matter around the tumour by default."""
ROUNDING: Final = 1e-12
"""Largest distance of a density from 0..1 in the step."""


@dataclass(frozen=True)
class RadialModel:
    """Radial rung of one tumour.

    Attributes:
        settings: settings of the twin, with priors, drift and drugs.
        parameters: parameters in the order of theta.
        shells: shells of the state.
    """

    settings: TwinSettings
    parameters: tuple[Unknown, ...]
    shells: Shells
    rung: str = "radial"
    noises: tuple[str, ...] = (PROLIFERATION_NOISE,)

    @property
    def states(self) -> tuple[StateBound, ...]:
        """See Model."""
        middles = (f"density_at_{radius:.4g}_mm" for radius in self.shells.radii_mm)
        return (*(StateBound(name, 0.0, 1.0) for name in middles), StateBound(DRIFT))

    def start(self, theta: Values) -> Values:
        """See Model; the density is a travelling wave's (palpate.twin.outline)."""
        k, d = natural(self.parameters, theta, PROLIFERATION), natural(self.parameters, theta, DIFFUSIVITY)
        width_mm = 1e3 * WAVE * natural(self.parameters, theta, WIDTH) * np.sqrt(d / k)
        outside = self.shells.radii_mm - natural(self.parameters, theta, RADIUS_MM)[:, None]
        root = 1.0 / (1.0 + np.exp(np.clip(outside / width_mm[:, None], -LOGIT_LIMIT, LOGIT_LIMIT)))
        density = natural(self.parameters, theta, PLATEAU)[:, None] * root**2
        return np.concatenate([density, np.zeros((len(theta), 1))], axis=1)

    def step(self, x: Values, theta: Values, u: Regimen, t0: float, t1: float, noise: Values) -> Values:
        """See Model."""
        within, after = drifted(x[:, -1], noise[:, 0], t1 - t0, self.settings)
        rates = cell_rates(self.parameters, theta, within, u, self.settings)
        spread = self._diffusivity_mm2_day(theta)
        density = np.clip(x[:, :-1].T, 0.0, 1.0)
        found = np.empty_like(density)
        # A cavity changes the walk, and closes after an operation: time is cut there.
        days = [t0, *sorted({one.day for one in u.operations if one.radius_mm is not None and t0 < one.day < t1}), t1]
        for first, last in pairwise(days):
            cavity = self._cavity(u, first)
            density[cavity] = 0.0
            for walk in self.shells.walks(spread, cavity):
                own = np.ascontiguousarray(density[:, walk.draws])
                found[:, walk.draws] = self._between(own, rates.of(walk.draws), walk, u, (first, last))
            density = found.copy()
        return np.concatenate([_within_bounds(density).T, after[:, None]], axis=1)

    def after_events(self, x: Values, theta: Values, u: Regimen, day: float) -> Values:
        """Return the state after the operations and fractions of a day, which `step` applies before all else.

        Args:
            x: state on that day, shape (draws, states).
            theta: parameters as standard normal numbers, shape (draws, parameters).
            u: treatment.
            day: day of the events.
        """
        rates = cell_rates(self.parameters, theta, x[:, -1], u, self.settings)
        (piece,) = u.pieces(day, np.nextafter(day, np.inf))
        density = np.clip(x[:, :-1].T, 0.0, 1.0)
        density[self._cavity(u, day)] = 0.0
        return np.concatenate([self._treated(density, piece, rates).T, x[:, -1:]], axis=1)

    def burden_ml(self, x: Values) -> Values:
        """Return the burden of each draw, ml of packed cells, shape (draws,).

        Args:
            x: state, shape (draws, states).
        """
        return np.asarray(x[:, :-1] @ self.shells.volumes_ml)

    def volume_ml(self, x: Values, above: Values) -> Values:
        """Return the volume where the density exceeds a threshold, ml, shape (draws,).

        The logit of the density is taken as linear across each shell.

        Args:
            x: state, shape (draws, states).
            above: threshold of each draw, shape (draws,).
        """
        return np.asarray(_shares_above(x[:, :-1], above) @ self.shells.volumes_ml)

    @property
    def observations(self) -> tuple[StreamObservation, ...]:
        """Streams that this rung knows: ln volumes and ln burden, volumes in ml, and the radius of the front, mm."""

        def seen_ml(x: Values, theta: Values, name: str) -> Values:
            return self.volume_ml(x, natural(self.parameters, theta, name))

        def radius_mm(x: Values, theta: Values) -> Values:
            return np.cbrt(3e3 * seen_ml(x, theta, INFILTRATED_ABOVE) / (4.0 * np.pi))[:, None]

        def visible_ml(x: Values, theta: Values) -> Values:
            above = natural(self.parameters, theta, INFILTRATED_ABOVE)
            seen = _shares_above(x[:, :-1], above) * x[:, :-1]
            return np.asarray(natural(self.parameters, theta, GAIN) * (seen @ self.shells.volumes_ml))

        return (
            StreamObservation(
                ENHANCING_VOLUME, ("ln_enhancing_volume_ml",), lambda x, t: log_column(seen_ml(x, t, ENHANCING_ABOVE))
            ),
            StreamObservation(
                FLAIR_VOLUME, ("ln_flair_volume_ml",), lambda x, t: log_column(seen_ml(x, t, INFILTRATED_ABOVE))
            ),
            StreamObservation(BURDEN, ("ln_burden_ml",), lambda x, _: log_column(self.burden_ml(x))),
            StreamObservation(VISIBLE_BURDEN, ("ln_visible_burden_ml",), lambda x, t: log_column(visible_ml(x, t))),
            StreamObservation(FRONT_RADIUS, ("front_radius_mm",), radius_mm),
        )

    def certificate(self, u: Regimen, t0: float, t1: float, box: ParameterBox) -> Dependence:
        """Return Lipschitz constants of the step between two days, for (u, b) and all parameters, in maximum norms.

        With k the largest rate and q = 3 D / h^2 the largest number of steps of the random walk a day, L = k + k / 4. C
        sums k t / 4 for ln k, q t for ln D, and for each kill the sum of min(K, 1 / e) over its fractions, or K, times
        the prior standard deviations.

        Args:
            u: treatment.
            t0: first day.
            t1: last day.
            box: set of parameters and drifts.
        """
        corner = np.full((1, len(self.parameters)), box.reach)
        most = cell_rates(self.parameters, corner, np.array([box.drift]), u, self.settings)
        k, q = float(most.growth_1_day[0]), self.shells.rate_1_mm2 * float(self._diffusivity_mm2_day(corner)[0])
        kills = total_kills(most, u, t0, t1, self.settings)
        if ALPHA in kills:  # x exp(-x) is at most 1 / e for one fraction; fractions add up
            fractions = sum(t0 <= one.day < t1 for one in u.fractions)
            kills[ALPHA] = min(kills[ALPHA], fractions * float(np.exp(-1.0)))
        by = {PROLIFERATION: 0.25 * k * (t1 - t0), DIFFUSIVITY: q * (t1 - t0), **kills}
        return Dependence(1.25 * k, sum(one.std * by[one.name] for one in self.parameters if one.name in by))

    def _diffusivity_mm2_day(self, theta: Values) -> Values:
        """Return D of each draw, mm2/day, shape (draws,)."""
        return np.asarray(m2_s_to_mm2_day(natural(self.parameters, theta, DIFFUSIVITY)))

    def _cavity(self, u: Regimen, day: float) -> Mask:
        """Return the shells in cavities made until a day, and on it, shape (shells,)."""
        radii = [one.radius_mm for one in u.operations if one.radius_mm is not None and one.day <= day]
        return np.asarray(self.shells.radii_mm < max(radii, default=0.0))

    def _between(
        self, density: Values, rates: CellRates, walk: RandomWalk, u: Regimen, span: tuple[float, float]
    ) -> Values:
        """Return the density of a block after a time in which no cavity is made but at its beginning."""
        since = span[0]
        for piece in u.pieces(*span, daily(*span)):
            if piece.operations or piece.fractions:
                density = _grown(density, rates, since, piece.start)
                density = self._treated(density, piece, rates)
                since = piece.start
            middle = 0.5 * (piece.start + piece.end)
            density = walk.spread(_grown(density, rates, since, middle), piece.end - piece.start)
            since = middle
        return _grown(density, rates, since, span[1])

    def _treated(self, density: Values, piece: TreatmentPiece, rates: CellRates) -> Values:
        """Return the density after the events at the beginning of a piece; balls were removed before."""
        for one in piece.operations:
            if one.radius_mm is None:
                density = density * (1.0 - one.share)
        for fraction in piece.fractions:
            density = density * np.exp(rates.log_survival(fraction.at(self.shells.radii_mm), fraction.day))
        return density


def radial_model(
    settings: TwinSettings,
    radius_mm: float,
    shells: Shells | None = None,
    white: float = WHITE_SHARE,
) -> RadialModel:
    """Return the radial rung of a tumour.

    D is that of the tissue around the tumour, ln D = ln D_w - (1 - w) ln(D_w / D_g), with the prior that follows from
    those of D_w and of the ratio.

    Args:
        settings: settings of the twin.
        radius_mm: prior median of the radius on day 0, mm.
        shells: shells of the state; None for SHELLS of them to EXTENT_MM.
        white: share w of white matter around the tumour.
    """
    k, d, ratio = settings.proliferation_1_day, settings.diffusivity_mm2_day, settings.white_to_grey
    grey = 1.0 - white
    log_d = np.log(mm2_day_to_m2_s(d.median)) - grey * np.log(ratio.median)
    std = settings.threshold_logit_std
    first = (
        Unknown(PROLIFERATION, float(np.log(per_day_to_per_s(k.median))), k.log_std),
        Unknown(DIFFUSIVITY, float(log_d), float(np.hypot(d.log_std, grey * ratio.log_std))),
        Unknown(WIDTH, *WIDTH_LOG),
        Unknown(RADIUS_MM, float(np.log(radius_mm)), settings.outline_std_mm / radius_mm),
        Unknown(PLATEAU, *PLATEAU_LOGIT, "logit"),
        Unknown(ENHANCING_ABOVE, logit(settings.enhancing_above), std, "logit"),
        Unknown(INFILTRATED_ABOVE, logit(settings.infiltrated_above), std, "logit"),
        Unknown(GAIN, 0.0, settings.cellularity_gain_log_std),
    )
    return RadialModel(settings, cell_priors(first, settings), shells or Shells(SHELLS, EXTENT_MM))


def _grown(density: Values, rates: CellRates, start: float, end: float) -> Values:
    """Return the density after growth and death in place, a u / (1 + b u), shape (shells, draws)."""
    if not start < end:
        return density
    log_a, c = rates.flow(start, end)
    crowded = density * (c + np.expm1(log_a))
    crowded += 1.0
    return np.asarray(density * np.exp(log_a) / crowded)


def _shares_above(density: Values, above: Values) -> Values:
    """Return the share of each shell where the density exceeds a threshold of each draw, shape (draws, shells)."""
    inside = np.clip(density, 1e-12, 1.0 - 1e-12)
    z = np.log(inside) - np.log1p(-inside) - (np.log(above) - np.log1p(-above))[:, None]
    fall = np.maximum(np.abs(np.gradient(z, axis=1)), 1e-9)
    return np.asarray(np.clip(0.5 + z / fall, 0.0, 1.0))


def _within_bounds(density: Values) -> Values:
    """Return the density, rounded into 0..1.

    Raises:
        RuntimeError: it left these bounds by more than rounding, or is no number.
    """
    low, high = float(density.min(initial=0.0)), float(density.max(initial=0.0))
    if not (low >= -ROUNDING and high <= 1.0 + ROUNDING):
        raise RuntimeError(f"density left its bounds: {low} to {high}")
    return np.clip(density, 0.0, 1.0)
