"""The lattice rung is today's twin: its growth, its draws and what its images show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palpate.errors import InputError
from palpate.twin.calibration.calibrate import calibrated
from palpate.twin.forecast.predict import present
from palpate.twin.observation.errors import Field
from palpate.twin.outline import spread_out
from palpate.twin.priors import ENHANCING_ABOVE, INFILTRATED_ABOVE
from palpate.twin.rungs.build import calibrated_lattice, events, lattice_rung
from palpate.twin.rungs.front_modes import front_modes
from palpate.twin.rungs.frozen_stress import FrozenStress
from palpate.twin.rungs.lattice import STEP_S
from palpate.twin.rungs.lattice_observations import lattice_observations
from palpate.twin.rungs.observed import BURDEN, ENHANCING_VOLUME, FLAIR_VOLUME
from tests.twin.rungs import rung
from tests.twin.small import EDGE_MM, SETTINGS, SHAPE, history, problem


def test_it_grows_as_the_calibration_does() -> None:
    """From the same xi without drift, by the same steps, under the same frozen stress, through all scans."""
    own, rng = problem(), np.random.default_rng(0)
    xi = rng.standard_normal(own.dynamics.unknowns.size)
    xi[own.dynamics.unknowns.drift_slice()] = 0.0
    daily = replace(own.dynamics, models=tuple(replace(one, step_s=STEP_S) for one in own.dynamics.models))
    model = rung("lattice").model
    drifts = own.dynamics.unknowns.drift_slice()
    theta = np.append(np.delete(xi, np.arange(drifts.start, drifts.stop)), 0.0)[None]
    assert theta.shape[1] == len(model.parameters)
    x, still = model.start(theta), np.zeros((1, len(model.noises)))
    found = [x[0, : model.voxels]]
    for first, last in ((0.0, 25.0), (25.0, 70.0)):
        x = model.step(x, theta, events(history()), first, last, still)
        found.append(x[0, : model.voxels])
    np.testing.assert_allclose(found, daily.states(xi), atol=1e-10)


def test_differences_do_not_grow_faster_than_cells() -> None:
    """The check at run time finds nothing, through treatment and stress."""
    own = rung("lattice")
    theta = own.theta(2)
    assert own.model.dependence(own.model.start(theta), theta, own.treated, 0.0, 60.0) == ()


def test_stress_of_a_day() -> None:
    """Pieces hold from their day on, the first also before and the last without end."""
    stress = FrozenStress((0.0, 25.0, 70.0), np.arange(3.0)[:, None, None] * np.ones((3, 1, 4)))
    assert [float(stress.on(day)[0, 0]) for day in (-3.0, 0.0, 24.9, 25.0, 69.0, 70.0, 900.0)] == [0, 0, 0, 1, 1, 2, 2]
    with pytest.raises(ValueError, match="patterns"):
        FrozenStress((0.0, 0.0), np.zeros((2, 1, 4)))


def test_treatment_without_a_parameter_is_refused() -> None:
    """An unknown alpha would be one per gray."""
    bare = lattice_rung(replace(history(), irradiations=(), drug_doses=()), SETTINGS)
    theta = np.zeros((1, len(bare.parameters)))
    x, still = bare.start(theta), np.zeros((1, len(bare.noises)))
    for missing in ({"irradiations": ()}, {"drug_doses": ()}):
        with pytest.raises(InputError, match="no parameter"):
            bare.step(x, theta, replace(events(history()), **missing), 0.0, 60.0, still)


def test_modes_of_the_front_are_displacements() -> None:
    """A ball that becomes larger or smaller moves its front alike everywhere; one that is shifted keeps its size."""
    whole = history()
    at = (np.indices(SHAPE) + 0.5) * EDGE_MM
    middle = (np.array(SHAPE) * EDGE_MM / 2.0)[:, None, None, None]

    def inside(radius: float, shift: float = 0.0) -> np.ndarray:
        away = np.linalg.norm(at - middle - np.array([0.0, shift, 0.0])[:, None, None, None], axis=0)
        return np.clip(0.5 + (radius - away) / EDGE_MM, 0.0, 1.0)

    scan = replace(whole.scans[0], roi=(inside(12.0) >= 0.5).astype(np.uint8), drawn=True)
    scan = replace(scan, cellularity=np.full(SHAPE, np.nan), cellularity_std=np.full(SHAPE, np.nan))
    one = replace(whole, tissue=np.ones(SHAPE, np.bool_), scans=(scan, *whole.scans[1:]))
    points = np.argwhere(scan.roi) * EDGE_MM
    modes = front_modes(one, Field(spread_out(points, 30), 15.0))
    shares = np.stack([inside(r).ravel() for r in (12.0, 16.0, 9.0)] + [inside(12.0, 2.0).ravel()])
    found = modes.of(shares)
    np.testing.assert_allclose(found[1:, 0] - found[0, 0], [4.0, -3.0, 0.0], atol=0.6)
    assert np.abs(found[3, 1:] - found[0, 1:]).max() > 0.5
    assert np.abs(found[1, 1:] - found[0, 1:]).max() < 0.3


@pytest.mark.long
def test_calibrated_draws_show_what_the_forecast_shows() -> None:
    """Volumes and burden on the day of the last scan, draw by draw, with thresholds and front errors of their own."""
    calibration, own = calibrated(history(), SETTINGS)
    model, x, theta = calibrated_lattice(calibration, own, 120.0)
    assert x.shape == (SETTINGS.draws, len(model.states))
    assert theta.shape == (SETTINGS.draws, len(model.parameters))
    np.testing.assert_allclose(model.front_error_mm(theta), calibration.draws.front_error_mm)
    now = present(calibration)
    shown = {one.stream: np.exp(one.h(x, theta)[:, 0]) - 0.01 for one in lattice_observations(model)}
    for name, stream in ((ENHANCING_ABOVE, ENHANCING_VOLUME), (INFILTRATED_ABOVE, FLAIR_VOLUME)):
        np.testing.assert_allclose(shown[stream], now.volumes_ml(now.thresholds(name)), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(shown[BURDEN], now.burdens_ml(), rtol=1e-4)
    noise = np.random.default_rng(0).standard_normal((len(x), len(model.noises)))
    later = model.step(x, theta, events(history()), 70.0, 100.0, noise)
    assert np.isfinite(later).all()
