"""Innovations: numbers of scans against their prediction by the scans before, as a linear model has them exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palpate.twin.calibration.posterior import CalibrationProblem, evidence
from palpate.twin.observation.block_covariance import BlockCovariance, DenseBlock
from palpate.twin.observation.errors import SharedErrors, shared_errors
from palpate.twin.observation.innovations import drawn_innovations, linear_innovations
from palpate.twin.observation.likelihood import Observations
from palpate.twin.observation.summaries import CELLULARITY, REGIONS, summaries
from tests.twin.small import EDGE_MM, problem

VOXEL_ML = EDGE_MM**3 / 1e3
DRAWN = 150


@pytest.fixture(scope="module")
def small() -> CalibrationProblem:
    """The problem of a small tumour."""
    return problem()


def _linear(small: CalibrationProblem) -> tuple[np.ndarray, np.ndarray, SharedErrors]:
    """Return F and J at xi = 0 and the covariance of the errors."""
    xi = np.zeros(small.dynamics.unknowns.size)
    states, jacobian = small.tangents(xi)
    return small.observations.predicted(states, xi, small.dynamics.unknowns), jacobian, small.errors()


def test_derivatives_of_numbers_are_those_of_the_data(small: CalibrationProblem) -> None:
    """All covariances of the numbers go by these derivatives."""
    its = small.observations.scans[1]
    y = np.concatenate([one.values for one in its])
    change = 1e-5 * np.random.default_rng(0).standard_normal(len(y))
    pairs = zip(summaries(its, y + change, y, VOXEL_ML), summaries(its, y, y, VOXEL_ML), strict=True)
    for (moved, _), (_, here) in pairs:
        assert moved.values - here.values == pytest.approx(here.derivative @ change, rel=2e-3, abs=1e-10)


def test_a_longer_tumour_has_the_first_mode_and_a_moved_one_the_centroid(small: CalibrationProblem) -> None:
    """Numbers in millimetres that are not those of the front would send a reader to the wrong place."""
    (one,) = [one for one in small.observations.scans[1] if one.kind == "infiltrated_above"]
    points = (np.indices((24, 24, 24)).reshape(3, -1).T + 0.5) * 2.0
    away = points - 24.0
    distance = np.linalg.norm(away, axis=1)
    x, y, z = (away / distance[:, None]).T

    def ball(eta: np.ndarray, shift_mm: float = 0.0) -> np.ndarray:
        apart = np.linalg.norm(away - [shift_mm, 0.0, 0.0], axis=1)
        return np.clip(0.5 + (14.0 + eta - apart) / 2.0, 0.0, 1.0)

    plain = replace(one, points_mm=points, voxels=np.ones(len(points)), values=ball(np.zeros(len(points))))
    around = plain.values

    def numbers(values: np.ndarray) -> np.ndarray:
        ((told, expected),) = summaries((plain,), values, around, 8e-3)
        return told.values - expected.values

    longer = numbers(ball(0.8 * (z**2 - x**2)))
    assert longer[4:] == pytest.approx([0.8, 0.4, 0.0], abs=0.08)
    assert numbers(ball(0.8 * 2.0 * x * y))[4:] == pytest.approx([0.0, 0.0, 0.8], abs=0.08)
    assert numbers(ball(np.zeros(len(points)), 1.0))[1:4] == pytest.approx([1.0, 0.0, 0.0], abs=0.05)
    assert numbers(ball(np.full(len(points), 1.0)))[0] == pytest.approx(3.0 * np.log(15.0 / 14.0), rel=0.05)


def test_innovations_are_those_of_the_dense_gaussian(small: CalibrationProblem) -> None:
    """Low rank, blocks and earlier scans one by one give what conditioning the whole Gaussian gives."""
    predicted, jacobian, errors = _linear(small)
    seen, mode = small.observations, 0.1 * np.ones(small.dynamics.unknowns.size)
    found = linear_innovations(seen, seen.values - predicted, jacobian, mode, errors)
    assert [(one.day, one.stream) for one in found] == [
        (day, stream) for day in seen.days[1:] for stream in (CELLULARITY, REGIONS)
    ]
    whole = errors.blocks.dense() + errors.columns @ errors.columns.T + jacobian @ jacobian.T
    mean = predicted - jacobian @ mode
    ends = np.cumsum([0, *(sum(len(one.values) for one in its) for its in seen.scans)])
    for number in (1, 2):
        past, own = slice(0, ends[number]), slice(ends[number], ends[number + 1])
        gain = np.linalg.solve(whole[past, past], whole[past, own]).T
        ahead = mean[own] + gain @ (seen.values[past] - mean[past])
        spread = whole[own, own] - gain @ whole[past, own]
        pairs = summaries(seen.scans[number], seen.values[own], predicted[own], seen.voxel_ml)
        for (_, expected), one in zip(pairs, [one for one in found if one.day == seen.days[number]], strict=True):
            g = expected.derivative
            assert one.predicted == pytest.approx(expected.values + g @ (ahead - predicted[own]), rel=1e-6, abs=1e-8)
            assert one.covariance == pytest.approx(g @ spread @ g.T, rel=1e-5, abs=1e-10)


def test_normalised_innovations_are_standard_normal(small: CalibrationProblem) -> None:
    """Under the model itself: mean 0, variance 1, and those of one scan tell nothing of another's."""
    predicted, jacobian, errors = _linear(small)
    rng, mode = np.random.default_rng(3), np.zeros(small.dynamics.unknowns.size)
    scale = 0.05  # keeps the logarithms linear; everything else is
    rows = []
    for _ in range(DRAWN):
        own = errors.blocks.half_times(rng.standard_normal(len(predicted)))
        off = own + errors.columns @ rng.standard_normal(errors.columns.shape[1])
        residual = scale * (off + jacobian @ rng.standard_normal(len(mode)))
        told = linear_innovations(_with(small, predicted + residual), residual, jacobian, mode, errors)
        rows.append([one.normalised / scale for one in told])
    z = np.array([np.concatenate(one) for one in rows])
    first = sum(len(one) for one in rows[0][:2])
    assert z.var(axis=0).mean() == pytest.approx(1.0, abs=0.15)
    assert np.abs(z.mean(axis=0)).max() < 4.0 / np.sqrt(DRAWN)
    assert np.abs(np.corrcoef(z.T)[:first, first:]).max() < 4.0 / np.sqrt(DRAWN)


def test_a_new_scan_as_predicted_is_expected_and_a_grown_one_is_not(small: CalibrationProblem) -> None:
    """The verdict that a page shows."""
    predicted, jacobian, errors = _linear(small)
    seen = small.observations
    last = sum(len(one.values) for one in seen.scans[-1])
    own = slice(len(predicted) - last, len(predicted))
    part = shared_errors(errors.blocks.part(own), errors.columns[own])
    rng = np.random.default_rng(5)
    draws = predicted[own] + 0.1 * rng.standard_normal((60, jacobian.shape[1])) @ jacobian[own].T
    as_said = _with(small, predicted).scans[-1]
    for one in drawn_innovations(70.0, as_said, draws, part, seen.voxel_ml):
        assert one.verdict == "as expected"
    grown = tuple(replace(one, values=np.where(one.values > 1e-3, 1.0, one.values)) for one in as_said)
    verdicts = [one.verdict for one in drawn_innovations(70.0, grown, draws, part, seen.voxel_ml)]
    assert "wrong" in verdicts
    assert "as expected" not in verdicts


def test_evidence_of_all_scans_is_the_product_of_predictions(small: CalibrationProblem) -> None:
    """One by one equals all at once, with blocks in B as without them."""
    predicted, jacobian, errors = _linear(small)
    start = small.observations.values - predicted
    whole = errors.blocks.dense() + errors.columns @ errors.columns.T + jacobian @ jacobian.T
    dense = float(start @ np.linalg.solve(whole, start)) + float(np.linalg.slogdet(whole)[1])
    assert evidence(start, jacobian, errors) == pytest.approx(dense, rel=1e-7)


def test_blocks_are_those_of_the_dense_matrix() -> None:
    """Products, solves, halves and parts of a covariance with one dense block."""
    rng = np.random.default_rng(1)
    a = rng.standard_normal((3, 3))
    inner = a @ a.T + np.eye(3)
    own = BlockCovariance(np.arange(1.0, 8.0), (DenseBlock(np.array([2, 3, 5]), np.linalg.cholesky(inner)),))
    dense, v = own.dense(), rng.standard_normal((7, 2))
    assert own.times(v) == pytest.approx(dense @ v)
    assert own.solve(v) == pytest.approx(np.linalg.solve(dense, v))
    assert own.log_determinant == pytest.approx(np.linalg.slogdet(dense)[1])
    half = np.stack([own.half_times(one) for one in np.eye(7)], axis=1)
    assert half @ half.T == pytest.approx(dense)
    assert own.part(slice(2, 7)).dense() == pytest.approx(dense[2:, 2:])


def _with(small: CalibrationProblem, values: np.ndarray) -> Observations:
    """Return the observations with other data."""
    scans, at = [], 0
    for its in small.observations.scans:
        readings = []
        for one in its:
            readings.append(replace(one, values=values[at : at + len(one.values)]))
            at += len(one.values)
        scans.append(tuple(readings))
    return replace(small.observations, scans=tuple(scans))
