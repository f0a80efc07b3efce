"""Laws of shifts of dates: a planted one is found, none is not invented, and what cannot be told widens intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palpate.twin.clocks.evidence import ClockEvidence, ShiftedFit
from palpate.twin.clocks.mixture import Mixture, log_weight
from palpate.twin.clocks.posterior import PI, ClockPosterior
from palpate.twin.clocks.shift import AS_DATED, Shift, StreamClock
from palpate.twin.clocks.words import clock_warnings
from tests.twin.clocks.logistic import posterior, record

DAYS = (0.0, 10.0, 20.0, 40.0, 50.0, 60.0, 75.0, 90.0, 105.0)
FRACTIONS = tuple(float(day) for day in range(24, 54))
XI = np.array([0.2, -0.1, 0.3])


@pytest.mark.parametrize("late", [14, -14])
def test_a_planted_shift_is_found_with_its_sign(late: int) -> None:
    """Radiotherapy that is dated two weeks wrong is flagged by name, sign and days; scans saw when it took place."""
    own = record(DAYS, FRACTIONS, XI)
    wrong = replace(own, treatment=tuple(day + late for day in FRACTIONS))
    found = posterior(wrong).summary
    assert found.flagged is not None
    assert found.flagged.stream == "radiotherapy"
    assert found.flagged.lower <= late <= found.flagged.upper
    assert abs(found.flagged.shift_days - late) <= 3
    (warning,) = clock_warnings(found)
    assert warning.code == "clock-shifted"
    assert warning.sentence.startswith("Radiotherapy looks ")
    assert f"days {'late' if late > 0 else 'early'} (" in warning.sentence
    assert "table of treatments" in warning.advice


def test_a_scan_with_a_wrong_date_is_found() -> None:
    """One scan out of nine lies off the curve of the others, to the side of its sign."""
    own = record(DAYS, (), XI)
    events = tuple(replace(one, acquired=28.0, available=28.0) if one.acquired == 20.0 else one for one in own.events)
    found = posterior(replace(own, events=events)).summary
    assert found.flagged is not None
    assert found.flagged.stream == "scan of day 28"
    assert found.flagged.shift_days == pytest.approx(8.0, abs=2.0)
    assert "table of sessions" in clock_warnings(found)[0].advice


def test_right_dates_are_not_flagged() -> None:
    """A warning on every patient would be read by nobody."""
    found = posterior(record(DAYS, FRACTIONS, XI)).summary
    assert found.flagged is None
    assert found.as_dated > PI
    assert clock_warnings(found) == []


def test_all_streams_shifted_together_change_nothing() -> None:
    """Dates mean something against each other alone: another day 0 gives the same evidence of every shift."""
    own = record(DAYS, FRACTIONS, XI)
    later = 14.0
    events = tuple(replace(one, acquired=one.acquired + later, available=one.available + later) for one in own.events)
    moved = replace(own, events=events, treatment=tuple(day + later for day in FRACTIONS))
    assert posterior(moved).log_evidences == pytest.approx(posterior(own).log_evidences, abs=1e-6)


def test_an_unidentified_shift_is_said() -> None:
    """Between two scans nobody sees when four fractions were given: no shift is more probable than before."""
    own = record((0.0, 30.0), (13.0, 14.0, 15.0, 16.0), XI)
    (estimate,) = posterior(own, scans=False).estimates
    assert not estimate.flagged
    assert not estimate.identified


def test_a_shift_left_open_widens_alpha() -> None:
    """Of fractions from scan to scan, some may have come after the second: fewer fractions with a larger alpha each."""
    found = posterior(record((0.0, 30.0), tuple(float(day) for day in range(2, 30)), XI), scans=False)
    assert found.summary.flagged is None
    lower, upper = Mixture(found).quantiles((0.05, 0.95))[:, 2]
    as_dated = 2.0 * 1.645 * np.sqrt(found.evidence.dated.covariance[2, 2])
    assert upper - lower > 1.1 * as_dated


def test_flat_evidence_leaves_the_prior() -> None:
    """Where images know nothing of dates, every shift is as probable as before, and draws have shifts in that share."""
    fit = ShiftedFit(AS_DATED, 0.0, np.zeros(2), np.eye(2))
    clock = StreamClock("radiotherapy")
    fits = tuple(replace(fit, shift=Shift("radiotherapy", days)) for days in (-28, -14, 14, 28))
    found = ClockPosterior(ClockEvidence((clock,), fit, fits))
    assert found.as_dated == pytest.approx(PI)
    assert not found.estimates[0].identified
    drawn = Mixture(found).draw(400, np.random.default_rng(0))
    assert np.mean([one.shift != AS_DATED for one, _ in drawn]) == pytest.approx(1.0 - PI, abs=0.01)


def test_weights_correct_a_wrong_evidence() -> None:
    """A fit whose evidence is off by a factor does not make its shift as much more probable: the weights undo it."""
    fit = ShiftedFit(AS_DATED, 0.0, np.zeros(2), np.eye(2))
    wrong = replace(fit, shift=Shift("radiotherapy", 1), log_evidence=2.0)
    mixture = Mixture(ClockPosterior(ClockEvidence((StreamClock("radiotherapy", 0, 1),), fit, (wrong,))))
    drawn = mixture.draw(4000, np.random.default_rng(1))
    weights = np.exp([log_weight(one, xi, 0.5 * float(xi @ xi)) for one, xi in drawn])
    shifted = np.array([one.shift != AS_DATED for one, _ in drawn])
    assert weights[shifted].sum() / weights.sum() == pytest.approx(1.0 - PI, abs=0.01)


def test_limits_of_a_clock_hold_zero() -> None:
    """A stream whose recorded date were impossible could not be compared with it."""
    with pytest.raises(ValueError, match="around 0"):
        StreamClock("radiotherapy", 1, 5)
