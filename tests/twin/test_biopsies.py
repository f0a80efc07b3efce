"""Biopsies as point observations: what they predict, what their errors are, and that nothing changes without them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.imaging.tumour.history import Biopsy, TumourHistory
from palpate.imaging.tumour.history_file import read_history, write_history
from palpate.twin.calibration.calibrate import prepared
from palpate.twin.calibration.posterior import CalibrationProblem
from palpate.twin.priors import BIOPSY
from tests.twin.small import EDGE_MM, SETTINGS, history

QUICK = SETTINGS.model_copy(update={"mechanics": False})
AT = (6, 6, 8)


def sampled(*biopsies: Biopsy, on_scan: int = 1) -> TumourHistory:
    """The small tumour with samples at one scan."""
    plain = history()
    scans = list(plain.scans)
    scans[on_scan] = replace(scans[on_scan], biopsies=biopsies)
    return replace(plain, scans=tuple(scans))


def biopsy(index: tuple[float, float, float] = AT, density: float = 0.4, std: float = 0.1) -> Biopsy:
    """A sample at a place in voxels."""
    x, y, z = (EDGE_MM * one for one in index)
    return Biopsy((x, y, z), density, std)


def predicted(own: CalibrationProblem, xi: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The biopsies' predicted data, and the density of their scan as a volume."""
    states = own.states(xi)
    scan = next(at for at, its in enumerate(own.observations.scans) if its and its[-1].kind == BIOPSY)
    volume = np.full(own.observations.tissue.shape, np.nan)
    volume[own.observations.tissue] = states[scan]
    reading = own.observations.scans[scan][-1]
    return reading.average @ reading.of(states[scan], xi, own.dynamics.unknowns)[0], volume


def test_without_biopsies_the_data_are_the_same() -> None:
    """The mechanism is off where no table names a sample."""
    one, other = prepared(history(), QUICK).observations, prepared(sampled(), QUICK).observations
    assert (one.values == other.values).all()
    assert [len(its) for its in one.scans] == [len(its) for its in other.scans]


def test_a_sample_shows_the_density_at_its_point() -> None:
    """At a voxel's middle the voxel's own density, between two of them in between, whatever the patient's gain."""
    own = prepared(sampled(biopsy(), biopsy((6.5, 6, 8))), QUICK)
    xi = 0.3 * np.random.default_rng(2).standard_normal(own.dynamics.unknowns.size)
    found, volume = predicted(own, xi)
    assert found[0] == pytest.approx(volume[AT])
    low, high = sorted((volume[AT], volume[7, 6, 8]))
    assert low < found[1] < high


def test_derivative_is_that_of_the_prediction() -> None:
    """Gauss-Newton goes where the data point."""
    own = prepared(sampled(biopsy()), QUICK)
    size = own.dynamics.unknowns.size
    xi, along = np.zeros(size), np.random.default_rng(3).standard_normal(size)
    states, jacobian = own.tangents(xi)
    seen = own.observations
    row = sum(len(one.values) for its in seen.scans[:2] for one in its) - 1
    h = 1e-4
    ahead, behind = (predicted(own, s * h * along)[0][0] for s in (1.0, -1.0))
    assert float(jacobian[row] @ along) == pytest.approx((ahead - behind) / (2 * h), rel=1e-4)
    assert states[1].shape == (int(seen.tissue.sum()),)


def test_a_sample_narrows_the_density_at_its_point() -> None:
    """An exact sample in a known place leaves nothing open there, and a worthless one leaves all as it was."""
    known = {"registration_std_mm": 0.0}

    def left(std: float, place_mm: float) -> float:
        own = prepared(sampled(biopsy(std=std)), QUICK.model_copy(update=known | {"biopsy_std_mm": place_mm}))
        _, jacobian = own.tangents(np.zeros(own.dynamics.unknowns.size))
        row = sum(len(one.values) for its in own.observations.scans[:2] for one in its) - 1
        hessian = np.eye(jacobian.shape[1]) + jacobian.T @ own.observations.errors(0.0).solve(jacobian)
        return float(jacobian[row] @ np.linalg.solve(hessian, jacobian[row]))

    exact, usual, displaced, worthless = left(1e-4, 0.0), left(0.1, 0.0), left(0.1, 6.0), left(1.0, 50.0)
    assert exact < usual < displaced < worthless
    assert exact < 0.1 * worthless


def test_history_keeps_samples(tmp_path: Path) -> None:
    """Calibration reads the file."""
    tumour = sampled(biopsy(), biopsy((3, 4, 5), 0.0, 0.05))
    write_history(tmp_path / "history.h5", tumour)
    assert [scan.biopsies for scan in read_history(tmp_path / "history.h5").scans] == [
        scan.biopsies for scan in tumour.scans
    ]
