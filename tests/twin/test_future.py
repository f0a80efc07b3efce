"""One future: a draw on a day is the same whichever days, schedules and ranks are asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mpi4py import MPI

from palpate.imaging.tumour.history import DrugDose, Irradiation
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.forecast.future import Future
from palpate.twin.forecast.predict import predict, predict_days
from tests.twin.drawn import drawn
from tests.twin.small import SETTINGS, SHAPE


@pytest.fixture(scope="module")
def twin() -> Calibration:
    """Draws under stress, whose last scan is on day 70."""
    return drawn(4)


def test_day_140_is_one_day_140(twin: Calibration) -> None:
    """Alone, after day 110, among parts of days and on the way to a later day: to the last bit.

    Drift and stress by pieces that depended on the day asked for left a correlation of 0.33 between the first two.
    """
    alone = predict(twin, 140.0).densities
    seen: dict[float, np.ndarray] = {}
    after = predict_days(twin, (110.0, 140.0))
    among = predict_days(twin, (80.25, 110.5, 140.0, 150.0), on_the_way=(71.0, 139.0))
    predict(twin, 160.0, on_the_way=(90.0, 140.0), look=lambda n, day, u: seen.update({day: u}) if n == 3 else None)
    np.testing.assert_array_equal(after[1].densities, alone)
    np.testing.assert_array_equal(among[2].densities, alone)
    np.testing.assert_array_equal(seen[140.0].astype(np.float32), alone[3])
    np.testing.assert_array_equal(among[1].densities, predict(twin, 110.5).densities)


def test_a_draw_does_not_depend_on_the_number_of_draws(twin: Calibration) -> None:
    """A run of fewer draws must show the same futures of those it has, or runs could not be compared draw by draw.

    Without stress, which follows all draws' mean density.
    """
    plain = replace(twin, stress=None)
    few = replace(
        plain,
        draws=replace(
            plain.draws,
            xi=plain.draws.xi[:2],
            density=plain.draws.density[:2],
            front_error_mm=plain.draws.front_error_mm[:2],
            front_error=plain.draws.front_error[:2],
        ),
    )
    np.testing.assert_array_equal(predict(few, 100.0).densities, predict(plain, 100.0).densities[:2])


def test_a_schedule_changes_nothing_before_it_differs(twin: Calibration) -> None:
    """Schedules are compared draw by draw: what is planned for day 120 must not change the chances of day 119.

    A dose of a drug in the same piece is one more term of a sum that is rounded.
    """
    beam, drug = Irradiation(120.0, np.full(SHAPE, 2.0)), DrugDose(120.0, "temozolomide", 300.0)
    history = replace(
        twin.history,
        irradiations=(*twin.history.irradiations, beam),
        drug_doses=(*twin.history.drug_doses, drug),
    )
    plain, treated = (predict_days(one, (119.0, 140.0)) for one in (twin, replace(twin, history=history)))
    ahead = Future(replace(twin, history=history, stress=None), 140.0, MPI.COMM_SELF)
    without = Future(replace(twin, stress=None), 140.0, MPI.COMM_SELF)
    first, other = (next(one.advanced(0, (119.0,))) for one in (ahead, without))
    np.testing.assert_allclose(first, other, rtol=1e-12, atol=1e-15)
    # The stress of a piece is that of all its days, so that it sees the treatment a little earlier.
    apart = treated[0].burdens_ml() / plain[0].burdens_ml() - 1.0
    assert np.abs(apart).max() < 2e-3
    assert (treated[1].burdens_ml() < 0.99 * plain[1].burdens_ml()).all()


def test_the_front_moves_as_a_brownian_motion(twin: Calibration) -> None:
    """Its spread after 30 and 100 days is q times the root of time, and the later part knows nothing of the earlier."""
    many = replace(
        twin,
        stress=None,
        draws=replace(
            twin.draws,
            xi=np.zeros((400, twin.draws.xi.shape[1])),
            density=np.repeat(twin.draws.density[:1], 400, axis=0),
            front_error_mm=np.full(400, 1.5),
            front_error=np.zeros((400, twin.draws.front_error.shape[1])),
        ),
    )
    (early, late), by_voxels_mm = Future(many, 170.0, MPI.COMM_SELF).front_errors_mm((100.0, 170.0))
    assert early.std() == pytest.approx(1.5 * np.sqrt(0.3), rel=0.05)
    assert late.std() == pytest.approx(1.5, rel=0.05)
    assert abs(np.corrcoef(early.ravel(), (late - early).ravel())[0, 1]) < 0.05
    np.testing.assert_allclose(by_voxels_mm[1], by_voxels_mm[0] * 100.0 / 75.0)
    assert by_voxels_mm[0].std() > 0.0


def test_without_a_front_model_error_fronts_stay(twin: Calibration) -> None:
    """A run whose front error is switched off is the model alone: voxels may not move its front by chance either."""
    known = replace(
        twin,
        settings=SETTINGS.model_copy(update={"front_error_mm": 0.0}),
        draws=replace(twin.draws, front_error_mm=np.zeros(4), front_error=0.0 * twin.draws.front_error),
        stress=None,
    )
    for one in Future(known, 100.0, MPI.COMM_SELF).front_errors_mm((100.0,)):
        assert not one.any()


@pytest.mark.mpi
def test_two_ranks_meet_the_same_future(twin: Calibration) -> None:
    """Ranks share voxels: sums are rounded otherwise, and chances are the same."""
    alone, shared = (predict(twin, 120.0, comm).densities for comm in (MPI.COMM_SELF, MPI.COMM_WORLD))
    np.testing.assert_allclose(shared, alone, rtol=0, atol=1e-6)
