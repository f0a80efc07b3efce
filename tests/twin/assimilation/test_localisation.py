"""Localisation: thirty members for a field of 240 points."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.twin.assimilation.assimilate import assimilate
from palpate.twin.assimilation.ensemble import gaspari_cohn
from palpate.twin.assimilation.record import begin_record
from palpate.twin.assimilation.setup import AssimilationSetup, FilterSettings, Localisation
from palpate.twin.assimilation.smoother import smooth
from palpate.twin.priors import Unknown
from palpate.twin.state_space.event import Event
from palpate.twin.state_space.model import StateBound

type Values = NDArray[np.float64]

POINTS, CENTRES, LENGTH_MM = 240, 120, 4.0
PLACES_MM = np.stack([np.arange(POINTS) * 2.0, np.zeros(POINTS), np.zeros(POINTS)], axis=1)
SEEN = np.arange(0, POINTS, 4)
SHAPES = np.exp(-0.5 * ((PLACES_MM[:, :1] - np.linspace(0.0, 478.0, CENTRES)) / LENGTH_MM) ** 2)


@dataclass(frozen=True)
class Field:
    """A field on a line, a sum of shapes with independent coefficients, that decays slowly."""

    rung: str = "field"
    states: tuple[StateBound, ...] = tuple(StateBound(f"point_{at}") for at in range(POINTS))
    parameters: tuple[Unknown, ...] = tuple(Unknown(f"shape_{at}", 0.0, 1.0, "mm") for at in range(CENTRES))
    noises: tuple[str, ...] = ()

    def start(self, theta: Values) -> Values:
        """Return the field on day 0."""
        return theta @ SHAPES.T

    def step(self, x: Values, theta: Values, u: None, t0: float, t1: float, noise: Values) -> Values:
        """Return the field on day t1."""
        del theta, u, noise
        return x * np.exp(-0.01 * (t1 - t0))


@dataclass(frozen=True)
class Points:
    """The field at every fourth point."""

    stream: str = "points"
    quantities: tuple[str, ...] = tuple(f"point_{at}" for at in SEEN)

    def h(self, x: Values, theta: Values) -> Values:
        """Return the field at the points."""
        del theta
        return x[:, SEEN]


TAPER = Localisation(PLACES_MM, {"points": PLACES_MM[SEEN]}, 10.0)


def _errors(taper: Localisation | None, seed: int) -> tuple[float, float]:
    """Root mean square error of the filtered and of the first day's smoothed field, over its prior spread."""
    rng = np.random.default_rng([7, seed])
    model = Field()
    theta = rng.standard_normal((1, CENTRES))
    first = model.start(theta)
    last = model.step(first, theta, None, 0.0, 10.0, np.zeros((1, 0)))
    events = tuple(
        Event(day, day, "points", field[0, SEEN] + 0.3 * rng.standard_normal(len(SEEN)), 0.09 * np.eye(len(SEEN)))
        for day, field in ((0.0, first), (10.0, last))
    )
    settings = FilterSettings("ensemble", 30, seed)
    setup = AssimilationSetup(model, (Points(),), None, (), settings, localisation=taper)
    record = assimilate(setup, begin_record(setup, "sub-01"), events, 10.0)
    filtered = record.checkpoints[-1].belief.moments()[0][:POINTS] - last[0]
    smoothed = smooth(setup, record)[0].moments()[0][:POINTS] - first[0]
    spread = np.sqrt(np.mean(SHAPES**2) * CENTRES)
    return float(np.sqrt(np.mean(filtered**2)) / spread), float(np.sqrt(np.mean(smoothed**2)) / spread)


def test_localisation_lets_thirty_members_do() -> None:
    """The taper halves the error of filter and smoother; without it thirty members span too few fields."""
    local = np.mean([_errors(TAPER, seed) for seed in range(5)], axis=0)
    everywhere = np.mean([_errors(None, seed) for seed in range(5)], axis=0)
    assert (local < 0.55).all()
    assert (everywhere > 1.6 * local).all()


def test_gaspari_cohn() -> None:
    """One at no distance, zero from twice the radius on, smooth between, and positive definite as a covariance."""
    np.testing.assert_allclose(gaspari_cohn(np.array([0.0, 1.0, 2.0, 5.0])), [1.0, 5.0 / 24.0, 0.0, 0.0], atol=1e-12)
    distances = np.abs(np.subtract.outer(np.arange(40), np.arange(40))) / 3.0
    assert np.linalg.eigvalsh(gaspari_cohn(distances)).min() > -1e-12


@pytest.mark.parametrize(
    "taper",
    [
        Localisation(PLACES_MM[1:], {}, 10.0),
        Localisation(PLACES_MM, {"points": PLACES_MM}, 10.0),
        Localisation(PLACES_MM, {"other": PLACES_MM[SEEN]}, 10.0),
    ],
)
def test_tapers_that_do_not_fit(taper: Localisation) -> None:
    """A taper of other places would cut true correlations."""
    setup = AssimilationSetup(Field(), (Points(),), None, (), FilterSettings("ensemble", 30))
    with pytest.raises(ValueError, match="places of"):
        replace(setup, localisation=taper)
