"""Simulated patients on the rung `radial`: a ball of tumour under radiotherapy and a drug, scanned on several dates.

    u_t = D (u'' + 2 u' / r) + k u (1 - u),     w = r u:   w_t = D w'' + k w (1 - u),

so that diffusion is exact in sines of r, and reaction is exact too (Strang splitting in steps of up to four days).
Rates are drawn from the twin's priors, visits and treatments from what is usual. Model and truth are the same: what is
tested with it is the statistics of a calibration, not its physics.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.twin import TwinSettings
from palpate.twin.clocks.shift import TREATMENTS, Shift, StreamClock
from palpate.twin.clocks.state_space import DatedRecord, scan_name
from palpate.twin.priors import Unknown, logit
from palpate.twin.state_space.event import Event
from palpate.twin.state_space.model import StateBound

type Values = NDArray[np.float64]

SHELL_MM: Final = 1.0
SHELLS: Final = 60
STEP_DAYS: Final = 4.0
"""Longest step of the splitting; treatments within it are halved between its beginning and its end."""
DRIFT_LOG_STD: Final = 0.4
"""Standard deviation of ln k after a hundred days, as the twin has it."""
ALPHA_BETA_GY: Final = 10.0
STEEPNESS: Final = 2.0
FLOOR_ML: Final = 0.05
"""Volume added before a root or logarithm is taken, so that an empty scan has a finite value."""
ERRORS: Final = (0.6, 0.6, 0.08, 0.05)
"""Standard deviations of one scan's numbers: two radii, mm, the logarithm of the burden, the density in the middle."""
CENTRE_MM: Final = 5.0


@dataclass(frozen=True, slots=True)
class Course:
    """Treatment of a patient.

    Attributes:
        fractions: days of fractions.
        doses: days of doses of the drug.
        gray: dose of a fraction.
        grams: amount of a dose of the drug.
        until: day before which treatments are past, so that a shift of their clock moves them.
    """

    fractions: Values
    doses: Values
    gray: float = 2.0
    grams: float = 0.14
    until: float = np.inf

    def moved(self, shift: Shift) -> Course:
        """Return the treatment where one stream of its dates is late by some days."""
        own = {"fractions": "radiotherapy", "doses": "temozolomide"}
        changed = {}
        for name, stream in own.items():
            if shift.stream in (stream, TREATMENTS):
                days = getattr(self, name)
                changed[name] = np.sort(np.where(days < self.until, days - shift.days, days))
        return replace(self, **changed)


@dataclass(frozen=True)
class SphericalTumour:
    """Tumour of the rung `radial`; follows palpate.twin.state_space.model.Model."""

    settings: TwinSettings = field(default_factory=TwinSettings)
    rung: str = "radial"

    @property
    def states(self) -> tuple[StateBound, ...]:
        """Density in every shell, and the drift of ln k."""
        return (*(StateBound(f"density_{i}", 0.0, 1.0) for i in range(SHELLS)), StateBound("drift"))

    @cached_property
    def parameters(self) -> tuple[Unknown, ...]:
        """Rates with the twin's priors, per day and mm2 per day; the first outline; thresholds."""
        own = self.settings
        return (
            Unknown("k", np.log(own.proliferation_1_day.median), own.proliferation_1_day.log_std),
            Unknown("D", np.log(own.diffusivity_mm2_day.median), own.diffusivity_mm2_day.log_std),
            Unknown("alpha", np.log(own.alpha_1_gy.median), own.alpha_1_gy.log_std),
            Unknown("kill", np.log(0.1), 0.7),
            Unknown("radius", 14.0, 4.0, "mm"),
            Unknown("width", -0.5, 0.4),
            Unknown("enhancing", logit(own.enhancing_above), own.threshold_logit_std, "logit"),
            Unknown("infiltrated", logit(own.infiltrated_above), own.threshold_logit_std, "logit"),
        )

    @property
    def noises(self) -> tuple[str, ...]:
        """One Brownian motion of ln k."""
        return ("drift",)

    @cached_property
    def _sines(self) -> tuple[Values, Values]:
        n = SHELLS
        i = np.arange(1, n + 1)
        basis = np.sqrt(2.0 / (n + 1)) * np.sin(np.pi * np.outer(i, i) / (n + 1))
        return basis, (np.pi * i / ((n + 1) * SHELL_MM)) ** 2

    @cached_property
    def radii_mm(self) -> Values:
        """Radii at which the density is kept."""
        return SHELL_MM * np.arange(1, SHELLS + 1)

    def value(self, theta: Values, name: str) -> Values:
        """Return the transformed parameter of every draw, shape (draws, 1)."""
        at = [one.name for one in self.parameters].index(name)
        one = self.parameters[at]
        return one.mean + one.std * theta[:, at : at + 1]

    def start(self, theta: Values) -> Values:
        """Return the density at the first scan: a travelling wave around the outline."""
        width = np.exp(self.value(theta, "width") + 0.5 * (self.value(theta, "D") - self.value(theta, "k")))
        z = np.clip((self.radii_mm - self.value(theta, "radius")) / (np.sqrt(6.0) * width), -30, 30)
        return np.concatenate([0.98 / (1.0 + np.exp(z)) ** 2, np.zeros((len(theta), 1))], axis=1)

    def step(self, x: Values, theta: Values, u: Course, t0: float, t1: float, noise: Values) -> Values:
        """Return the state on a later day."""
        drift = x[:, -1:] + DRIFT_LOG_STD * np.sqrt((t1 - t0) / 100.0) * noise
        # ln k moves along a line from one value to the other: its mean is used.
        k = np.exp(self.value(theta, "k") + 0.5 * (x[:, -1:] + drift))
        d, alpha = np.exp(self.value(theta, "D")), np.exp(self.value(theta, "alpha"))
        kill = np.exp(self.value(theta, "kill")) * u.grams
        a_fraction = alpha * u.gray * (1.0 + u.gray / ALPHA_BETA_GY)
        basis, squares = self._sines
        density, r = x[:, :-1], self.radii_mm
        pieces = max(1, int(np.ceil((t1 - t0) / STEP_DAYS)))
        ends = np.linspace(t0, t1, pieces + 1)
        log_kill = _counts(u.fractions, ends)[:, None, None] * a_fraction + _counts(u.doses, ends)[:, None, None] * kill
        alive = np.exp(-0.5 * log_kill)
        spread, growth = np.exp(-d * squares * (ends[1] - ends[0])), np.exp(0.5 * k * (ends[1] - ends[0]))
        for share in alive:
            density = _grown(density * share, growth)
            density = np.clip((((density * r) @ basis) * spread) @ basis / r, 0.0, 1.0)
            density = _grown(density, growth) * share
        return np.concatenate([density, drift], axis=1)

    def burdens_ml(self, x: Values) -> Values:
        """Return the integral of the density, mL, shape (draws,)."""
        return np.asarray(x[:, :-1] @ (4e-3 * np.pi * SHELL_MM * self.radii_mm**2))

    def volumes_ml(self, x: Values, theta: Values, name: str) -> Values:
        """Return the volume above a threshold, mL, shape (draws,)."""
        inside = np.clip(x[:, :-1], 1e-9, 1.0 - 1e-9)
        z = STEEPNESS * (np.log(inside) - np.log1p(-inside) - self.value(theta, name))
        share = 1.0 / (1.0 + np.exp(-np.clip(z, -60, 60)))
        return np.asarray(share @ (4e-3 * np.pi * SHELL_MM * self.radii_mm**2))


@dataclass(frozen=True, slots=True)
class BallScan:
    """Scan of a ball: radii of both volumes, logarithm of the burden, density in the middle."""

    model: SphericalTumour
    stream: str = "scan"
    quantities: tuple[str, ...] = ("enhancing radius mm", "infiltrated radius mm", "ln burden", "central density")

    def h(self, x: Values, theta: Values) -> Values:
        """Return the numbers of a scan without errors."""
        radii = [
            np.cbrt(3e3 * (self.model.volumes_ml(x, theta, name) + FLOOR_ML) / (4.0 * np.pi))
            for name in ("enhancing", "infiltrated")
        ]
        middle = x[:, :-1][:, self.model.radii_mm <= CENTRE_MM].mean(axis=1)
        return np.stack([*radii, np.log(self.model.burdens_ml(x) + FLOOR_ML), middle], axis=1)


def _counts(days: Values, ends: Values) -> Values:
    """Return the number of treatments in each piece of time, its beginning included."""
    return np.diff(np.searchsorted(days, ends, side="left")).astype(np.float64)


def _grown(density: Values, growth: Values) -> Values:
    grown = density * growth
    return np.asarray(grown / (1.0 + density * (growth - 1.0)))


@dataclass(frozen=True, slots=True, eq=False)
class RadialPatient:
    """A simulated patient.

    Attributes:
        xi: true unknowns, drifts until the last scan among them.
        days: true days of scans.
        record: record with every date right.
        rng: generator for what comes after.
    """

    xi: Values
    days: tuple[float, ...]
    record: DatedRecord[Course]
    rng: np.random.Generator


def patient(seed: int, number: int) -> RadialPatient:
    """Return a patient; it depends on seed and number alone. Tumours that would not be imaged are drawn again."""
    for attempt in range(200):
        rng = np.random.default_rng([seed, number, attempt])
        found = _drawn(rng)
        if found is not None:
            return found
    raise RuntimeError(f"no tumour for patient {number}")


def _drawn(rng: np.random.Generator) -> RadialPatient | None:
    model = SphericalTumour()
    first = float(rng.integers(14, 25))
    begin = first + float(rng.integers(4, 15))
    weekdays = np.array([begin + 7 * (i // 5) + i % 5 for i in range(30)])
    concurrent = begin + np.arange(42.0)
    after = begin + 42 + 28
    cycles = np.concatenate([after + 28 * c + np.arange(5.0) for c in range(6)])
    middle = begin + float(rng.integers(14, 29))
    post = begin + 42 + float(rng.integers(21, 36))
    days = [0.0, first, middle, post]
    for _ in range(int(rng.integers(1, 4))):
        days.append(days[-1] + float(rng.integers(30, 57)))
    course = Course(weekdays, np.concatenate([concurrent, cycles]), until=days[-1])
    xi = rng.standard_normal(len(model.parameters) + len(days) - 1)
    scan = BallScan(model)
    empty = DatedRecord(model, (scan,), (), course, Course.moved)
    bare = replace(empty, events=tuple(_event(day, np.zeros(4)) for day in days))
    states = bare.states(xi[None])
    theta = xi[None, : len(model.parameters)]
    shown = np.array([model.volumes_ml(one, theta, "infiltrated")[0] for one in states])
    rim = np.array([one[0, int(0.85 * SHELLS)] for one in states])
    if shown[0] < 2.0 or rim.max() > 1e-3:
        return None
    values = [scan.h(one, theta)[0] + np.array(ERRORS) * rng.standard_normal(4) for one in states]
    events = tuple(_event(day, value) for day, value in zip(days, values, strict=True))
    return RadialPatient(xi, tuple(days), replace(bare, events=events), rng)


def _event(day: float, value: Values) -> Event:
    return Event(day, day, "scan", value, np.diag(np.square(ERRORS)))


def misdated(own: RadialPatient, shift: Shift) -> tuple[DatedRecord[Course], Shift]:
    """Return the patient's record with one stream's dates late by some days, and that shift by its recorded name.

    Args:
        own: patient.
        shift: shift, its stream named by true days.
    """
    record = own.record
    if not shift.stream.startswith("scan"):
        return replace(record, treatment=record.treatment.moved(replace(shift, days=-shift.days))), shift
    days = {day: day + shift.days * (scan_name(day) == shift.stream) for day in own.days}
    events = tuple(replace(one, acquired=days[one.acquired], available=days[one.acquired]) for one in record.events)
    until = max(days.values())
    (moved,) = [there for day, there in days.items() if scan_name(day) == shift.stream]
    treatment = replace(record.treatment, until=until)
    return replace(record, events=events, treatment=treatment), replace(shift, stream=scan_name(moved))


def clocks(record: DatedRecord[Any]) -> tuple[StreamClock, ...]:
    """Return the streams of a record, with the shifts that keep the order of scans."""
    found = [StreamClock(TREATMENTS), StreamClock("radiotherapy"), StreamClock("temozolomide")]
    days = record.days
    for number, day in enumerate(days):
        # A late date d means that the scan was made on d - s: s is bounded by the scan before.
        latest = 28 if number == 0 else min(28, int(day - days[number - 1]) - 1)
        earliest = -28 if number == len(days) - 1 else -min(28, int(days[number + 1] - day) - 1)
        found.append(StreamClock(scan_name(day), min(earliest, 0), max(latest, 0)))
    return tuple(found)
