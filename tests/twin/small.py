"""A small tumour over time, seen as the twin's observation model says: made for laws, not to look like a patient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.config.twin import TwinSettings
from palpate.imaging.tumour.history import (
    ENHANCING,
    NON_ENHANCING,
    DrugDose,
    Irradiation,
    TumourHistory,
    TumourScan,
)
from palpate.twin.calibration.calibrate import prepared
from palpate.twin.calibration.posterior import CalibrationProblem

SHAPE = (13, 12, 11)
EDGE_MM = 4.0
DAYS = (0.0, 25.0, 70.0)
SETTINGS = TwinSettings(voxel_mm=EDGE_MM, block_mm=8.0, outline_modes=3, draws=24, max_iterations=30)


def history() -> TumourHistory:
    """A ball that is seen growing on three dates, with two fractions and a dose of a drug between them."""
    at = (np.indices(SHAPE) + 0.5) * EDGE_MM
    middle = (np.array(SHAPE) * EDGE_MM / 2.0)[:, None, None, None]
    distance = np.linalg.norm(at - middle, axis=0)
    tissue = np.ones(SHAPE, dtype=np.bool_)
    tissue[:2] = False
    white = np.where(np.indices(SHAPE)[1] > SHAPE[1] // 3, 0.9, 0.2)
    scans = []
    for day, radius in zip(DAYS, (8.0, 11.0, 13.0), strict=True):
        roi = np.where(distance < radius - 3.0, ENHANCING, np.where(distance < radius + 2.0, NON_ENHANCING, 0))
        cells = np.where((roi > 0) & tissue, 0.9 / (1.0 + np.exp((distance - radius) / 2.0)), np.nan)
        scans.append(TumourScan(day, cells, np.where(np.isfinite(cells), 0.12, np.nan), roi.astype(np.uint8)))
    return TumourHistory(
        "small",
        np.diag([EDGE_MM, EDGE_MM, EDGE_MM, 1.0]),
        tissue,
        np.where(tissue, white, 0.0),
        tuple(scans),
        tuple(Irradiation(day, np.full(SHAPE, 2.0)) for day in (30.0, 31.0)),
        (DrugDose(32.0, "temozolomide", 150.0),),
    )


def problem(settings: TwinSettings = SETTINGS, comm: MPI.Comm = MPI.COMM_SELF) -> CalibrationProblem:
    """The problem of the history above."""
    return prepared(history(), settings, comm)


def simulated(own: CalibrationProblem, xi: NDArray[np.float64], rng: np.random.Generator) -> CalibrationProblem:
    """The same problem with data that the observation model draws at xi."""
    states = own.states(xi)
    errors = own.errors()
    shared = errors.columns @ rng.standard_normal(errors.columns.shape[1])
    noise = errors.blocks.half_times(rng.standard_normal(len(errors.columns)))
    values = own.observations.predicted(states, xi, own.dynamics.unknowns) + shared + noise
    scans, at = [], 0
    for scan in own.observations.scans:
        readings = []
        for one in scan:
            readings.append(replace(one, values=values[at : at + len(one.values)]))
            at += len(one.values)
        scans.append(tuple(readings))
    return replace(own, observations=replace(own.observations, scans=tuple(scans)))
