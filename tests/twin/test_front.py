"""How much too fast fronts are on the twin's voxels: the formula against fronts that were grown, and who is warned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from palpate.solvers.growth.model import GrowthModel
from palpate.solvers.growth.parameters import Parameters
from palpate.solvers.growth.space.voxels import voxels
from palpate.solvers.growth.treatment.treatment import Treatment
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.calibration.draws import Draws
from palpate.twin.calibration.posterior import Statistics
from palpate.twin.front import front_excess, front_warnings, settled_excess
from palpate.twin.lattice import TwinLattice
from palpate.twin.priors import DIFFUSIVITY, PROLIFERATION
from palpate.units import days_to_s, mm2_day_to_m2_s, mm_to_m, per_day_to_per_s
from tests.twin.small import EDGE_MM, SETTINGS, history, problem

HALF, WHOLE = 400.0, 800.0


def grown_speed(d_mm2_day: float, k_1_day: float, edge_mm: float) -> float:
    """Speed of a front along an axis between the days HALF and WHOLE, mm a day."""
    length_mm = 60.0 + 3.6 * WHOLE * np.sqrt(d_mm2_day * k_1_day)
    count = int(np.ceil(length_mm / edge_mm))
    place = voxels(np.ones((count, 1, 1), np.bool_), np.full(3, mm_to_m(edge_mm)))
    start = (np.arange(count) * edge_mm < 20.0).astype(np.float64)
    log_d = np.full(count, np.log(mm2_day_to_m2_s(d_mm2_day)))
    log_k = np.full(count, np.log(per_day_to_per_s(k_1_day)))
    model = GrowthModel(place.space, (days_to_s(HALF), days_to_s(WHOLE)), Treatment())
    before, after = model.forecast(Parameters(log_d, log_k, 0.0), start).states
    return float((after - before).sum()) * edge_mm / (WHOLE - HALF)


@pytest.mark.parametrize("d_mm2_day", [0.01, 0.02, 0.05, 0.1, 0.3])
def test_a_settled_front_is_as_much_too_fast_as_the_formula_says(d_mm2_day: float) -> None:
    """On the twin's 3 mm and by its own steps, from the low end of D's prior to where fronts are resolved.

    A front that began as a step lags behind a settled one by 1.5 h / s ln t (Bramson), which is put back; what is left
    of it, and the error of the time steps, stay below two percent.
    """
    k_1_day, edge_mm = 0.05, 3.0
    continuum = 2.0 * np.sqrt(d_mm2_day * k_1_day)
    ratio = edge_mm**2 * k_1_day / d_mm2_day
    tails = np.geomspace(1e-2, 12.0, 20_000)
    tail = float(np.interp(ratio, 2.0 * (tails * np.sinh(tails) - np.cosh(tails) + 1.0), tails))
    delay = 1.5 * edge_mm / tail * np.log(WHOLE / HALF) / (WHOLE - HALF)
    settled = grown_speed(d_mm2_day, k_1_day, edge_mm) + delay
    assert settled / continuum - 1.0 == pytest.approx(float(settled_excess(np.array(ratio))), abs=0.02)


def test_the_mean_over_directions_is_that_of_three_fifths() -> None:
    """Fronts of a tumour go all ways: along diagonals voxels are closer, and the error of the axes would overstate."""
    # Evenly over the sphere, along a spiral of golden angles.
    height = np.linspace(-0.99, 0.99, 100)
    angle = np.pi * (1.0 + np.sqrt(5.0)) * np.arange(100)
    away = np.sqrt(1.0 - height**2)
    directions = np.stack([away * np.cos(angle), away * np.sin(angle), height], axis=1)
    for ratio in (1.0, 4.5, 22.5, 60.0):

        def over(tail: float, cosines: np.ndarray, p: float = ratio) -> float:
            return float((1.0 + 2.0 / p * np.sum(np.cosh(tail * cosines) - 1.0)) * np.sqrt(p) / (2.0 * tail))

        exact = [minimize_scalar(over, bounds=(1e-3, 25.0), args=(one,), method="bounded").fun for one in directions]
        assert float(settled_excess(np.array(0.6 * ratio))) == pytest.approx(np.mean(exact) - 1.0, abs=0.01)


def twin(d_mm2_day: float, k_1_day: float, spread: float = 0.1) -> Calibration:
    """A twin without mechanics whose draws lie around known rates; white matter everywhere."""
    settings = SETTINGS.model_copy(update={"mechanics": False})
    tumour = history()
    tumour = replace(tumour, white=tumour.tissue.astype(np.float64))
    own = problem(settings)
    layout = own.dynamics.unknowns
    xi = np.zeros((24, layout.size))
    wander = spread * np.random.default_rng(5).standard_normal(24)
    for name, value in (
        (DIFFUSIVITY, mm2_day_to_m2_s(d_mm2_day)),
        (PROLIFERATION, per_day_to_per_s(k_1_day)),
    ):
        at = layout.names.index(name)
        xi[:, at] = (np.log(value) + wander - layout.single[at].mean) / layout.single[at].std
    density = np.tile(own.states(np.zeros(layout.size))[-1].astype(np.float32), (24, 1))
    past, fronts = np.zeros((1, 3, density.shape[1]), np.float32), np.zeros((24, 1))
    draws = Draws(xi, density, past, np.ones(24), fronts, 1.0, 1, 0.3)
    shape = tumour.tissue.shape
    grid = TwinLattice((0, 0, 0), (1, 1, 1), shape, shape, tumour.affine_mm)  # type: ignore[arg-type]
    went = Statistics(True, 1, 1, 1.0, 1.0, 10)
    field = own.observations.field
    mode, covariance = np.zeros(layout.size), np.eye(layout.size)
    return Calibration(settings, grid, tumour, layout, mode, covariance, 1.0, None, field, draws, went)


def test_a_narrow_front_is_warned_of_with_its_size_and_a_wide_one_is_not() -> None:
    """The page must say it where it applies and nowhere else: a warning on every patient would be read by nobody."""
    narrow, wide = twin(0.02, 0.05), twin(0.4, 0.03)
    expected = float(settled_excess(np.array(0.6 * EDGE_MM**2 * 0.05 / 0.02)))
    assert expected == pytest.approx(0.40, abs=0.02)
    found = front_excess(narrow)
    assert float(np.median(found.excess)) == pytest.approx(expected, rel=0.01)
    assert float(np.median(found.widths_mm)) == pytest.approx(np.sqrt(0.02 / 0.05), rel=0.05)
    (warning,) = front_warnings(narrow)
    assert warning.code == "front-under-resolved"
    assert f"{100 * np.median(found.excess):.0f} % faster" in warning.sentence
    assert "more than 20 % in 24" in warning.sentence
    assert float(np.median(front_excess(wide).excess)) < 0.05
    assert front_warnings(wide) == ()
