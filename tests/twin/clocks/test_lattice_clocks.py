"""Clocks on the twin's lattice: the draws have shifts, and a planted one is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI

from palpate.twin.calibration.calibrate import calibrate, prepared
from palpate.twin.calibration.posterior import laplace
from palpate.twin.calibration_file import load_calibration, save_calibration
from palpate.twin.clocks.dated_history import shifted
from palpate.twin.clocks.lattice_fit import DatedTumour, clock_posterior
from palpate.twin.clocks.shift import AS_DATED, Shift
from palpate.twin.forecast.predict import predict
from tests.twin.small import SETTINGS, history, problem, simulated

FEW = SETTINGS.model_copy(update={"mechanics": False, "draws": 20})


def test_a_shift_is_that_of_another_history() -> None:
    """Growth under a shift is that of the same history with other dates, also where it was planned from the first."""
    tumour = DatedTumour(problem(FEW), history())
    shift = Shift("radiotherapy", 4)
    other = replace(history(), irradiations=shifted(history(), shift).irradiations)
    xi = 0.2 * np.random.default_rng(0).standard_normal(tumour.problem.dynamics.unknowns.size)
    under, plain = tumour.under(shift).states(xi), prepared(other, FEW).states(xi)
    assert np.array(under) == pytest.approx(np.array(plain), abs=1e-12)


def test_the_last_scans_density_is_carried_to_its_recorded_day() -> None:
    """A scan made five days before its date leaves five days to grow; a shift of none leaves the density as it is."""
    tumour = DatedTumour(problem(FEW), history())
    xi = np.zeros(tumour.problem.dynamics.unknowns.size)
    late, early = (tumour.present(Shift("scan of day 70", days), xi) for days in (5, -5))
    recorded = tumour.problem.states(xi)[-1]
    assert tumour.under(Shift("scan of day 70", 5)).states(xi)[-1].sum() < recorded.sum()
    for one in (late, early):  # the rate's drift from interval to interval differs a little
        assert one.sum() == pytest.approx(recorded.sum(), rel=1e-3)


@pytest.mark.long
def test_draws_have_shifts_and_a_file_keeps_them(tmp_path: Path) -> None:
    """A forecast goes on from each draw's own dates, and bounds of parameters are those over all shifts."""
    found = calibrate(history(), FEW)
    assert 0.0 < found.clocks.as_dated < 1.0
    assert len(found.draws.stream) == FEW.draws
    assert (found.draws.stream >= -1).all()
    assert np.array_equal(found.draws.stream == -1, found.draws.shift_days == 0)
    save_calibration(found, tmp_path / "calibration.h5")
    again = load_calibration(tmp_path / "calibration.h5")
    assert again.clocks == found.clocks
    assert again.estimates() == found.estimates()
    assert np.array_equal(again.draws.shift_days, found.draws.shift_days)
    days = [again.dated(again.dates_of(number)).irradiations[0].day for number in range(FEW.draws)]
    names = [one.stream for one in found.clocks.estimates]
    radiotherapy = [at in (names.index("treatments"), names.index("radiotherapy")) for at in found.draws.stream]
    assert days == [30.0 - days * moves for days, moves in zip(found.draws.shift_days, radiotherapy, strict=True)]
    assert np.isfinite(predict(again, 90.0).burdens_ml()).all()


@pytest.mark.long
def test_a_planted_shift_of_a_scan_is_found_on_the_lattice() -> None:
    """Data drawn by the model itself with the second scan twenty days earlier than its date."""
    own = problem(FEW)
    plant = Shift("scan of day 25", 20)
    truth = DatedTumour(own, history()).under(plant)
    xi = np.zeros(own.dynamics.unknowns.size)
    seen = simulated(truth, xi, np.random.default_rng(3))
    recorded = replace(own, observations=seen.observations)
    found = clock_posterior(DatedTumour(recorded, history()), laplace(recorded, renewals=0))
    flagged = found.summary.flagged
    assert flagged is not None
    assert flagged.stream == plant.stream
    assert 0 < flagged.lower < flagged.shift_days


@pytest.mark.mpi
def test_evidence_is_that_of_any_number_of_ranks() -> None:
    """A shift found on one rank alone would be an error of the machine."""
    settings = FEW.model_copy(update={"outline_modes": 2, "stiffness_modes": 0})
    alone, shared = (problem(settings, comm) for comm in (MPI.COMM_SELF, MPI.COMM_WORLD))
    found = laplace(alone, renewals=0)
    own, other = (clock_posterior(DatedTumour(one, history()), found) for one in (alone, shared))
    assert other.log_evidences == pytest.approx(own.log_evidences, abs=1e-6)
    assert own.hypotheses[0] == AS_DATED
