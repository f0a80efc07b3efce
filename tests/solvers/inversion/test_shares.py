"""Zones that share data: together they never know more than the whole, and their intervals are never too narrow.

Each zone obeys some of the equations and gets its share chi_z of each datum. Splitting U into one copy per zone only
relaxes the whole's problem, so that sum_z misfit_z <= misfit of the whole for every G*, and at equal fit

    sum_z H_z <= H.

And with y_z the zone's weighted residual field of a direction m, m^T H_z m = |y_z|^2, the score m^T sum_z g_z has the
variance |sum_z sqrt(chi_z) y_z|^2 <= sum_z |y_z|^2 (Cauchy-Schwarz, as sum_z chi_z = 1): the Hessian that the posterior
uses is at least the information that the data hold.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sparse
from numpy.typing import NDArray

from palpate.meshing.zones import Zone, cut_zones
from palpate.solvers.inversion.zone.equilibrium import equilibrium_of
from palpate.solvers.inversion.zone.likelihood import PRESSURE_FREEDOM, ZoneData
from tests.laws.chance import assert_mean_square, assert_mean_square_not_above
from tests.laws.operators import assert_not_above
from tests.solvers.inversion.cases import UNIT_VOXEL, consistent, linearise, plane_wave_data, unit_noise, varied

SHAPE = (7, 5, 5)


@pytest.fixture(scope="module")
def whole() -> ZoneData:
    """A box as one zone, with waves that obey its equations, so that each zone's equations hold as well."""
    (zone,) = cut_zones(np.ones(SHAPE, dtype=bool), width_voxels=SHAPE, stride_voxels=SHAPE)
    rough = plane_wave_data(zone, noise=0.0, tolerance=0.0)
    return replace(rough, displacement=consistent(rough, varied(zone, 1)))


@pytest.fixture(scope="module")
def parts() -> list[Zone]:
    """The same box as overlapping zones whose cells are cells of the whole."""
    zones = cut_zones(np.ones(SHAPE, dtype=bool), width_voxels=(5, 5, 5), stride_voxels=(2, 5, 5))
    assert len(zones) == 2
    return zones


def _part(whole: ZoneData, zone: Zone) -> ZoneData:
    def own(values: NDArray[np.complex128]) -> NDArray[np.complex128]:
        return values.reshape(-1, 3)[zone.voxels].ravel()

    phase_errors = sparse.csr_matrix((3 * len(zone.voxels), 0))
    return replace(
        whole, zone=zone, displacement=own(whole.displacement), phase_errors=phase_errors, probe=own(whole.probe)
    )


def _own(zone: Zone, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The zone's part of values over the whole, shape (2 N, ...) to (2 n, ...)."""
    return np.concatenate([part[zone.voxels] for part in np.split(values, 2)])


def _hessian(data: ZoneData, m: NDArray[np.float64]) -> NDArray[np.float64]:
    hessian = linearise(data, m).curvature(np.eye(len(m)))
    return np.asarray(0.5 * (hessian + hessian.T))


def test_every_datum_is_used_once(parts: list[Zone]) -> None:
    """Shares of a voxel add up to one: more would count data twice, fewer would waste them."""
    total = np.zeros(np.prod(SHAPE))
    for zone in parts:
        total[zone.voxels] += zone.weight
        assert np.all(zone.weight > 0)
    assert total == pytest.approx(1.0)


def test_zones_together_never_know_more_than_the_whole(whole: ZoneData, parts: list[Zone]) -> None:
    """sum_z H_z <= H: else joining zones would invent information, and intervals would be too narrow."""
    m = varied(whole.zone, 1)
    total = np.zeros((len(m), len(m)))
    for zone in parts:
        at = np.concatenate([zone.voxels, zone.voxels + len(whole.zone.voxels)])
        total[np.ix_(at, at)] += _hessian(_part(whole, zone), _own(zone, m))
    full = _hessian(whole, m)
    # Each zone pins its pressures anew, which counts that tiny prior several times where zones overlap.
    assert_not_above(total, full, tolerance=PRESSURE_FREEDOM * len(parts))
    assert np.trace(total) > 0.0


def test_zones_together_misfit_never_exceeds_the_whole(whole: ZoneData, parts: list[Zone]) -> None:
    """The same far from the truth, for the likelihood itself and with noise: splitting only relaxes."""
    seen = replace(whole, displacement=whole.displacement + unit_noise(whole.zone, 5))
    m = varied(whole.zone, 6, size=0.5)
    total = sum(linearise(_part(seen, zone), _own(zone, m)).misfit for zone in parts)
    assert total <= linearise(seen, m).misfit * (1 + len(parts) * PRESSURE_FREEDOM)


@pytest.fixture(scope="module")
def directions(whole: ZoneData) -> NDArray[np.float64]:
    """A uniform change of G', one of G'', one along the box and a random one, shape (4, 2 N)."""
    size = len(whole.zone.voxels)
    ones, zeros, along = np.ones(size), np.zeros(size), whole.zone.ijk[:, 0] - 3.0
    rough = np.random.default_rng(7).standard_normal(2 * size)
    return np.stack([np.r_[ones, zeros], np.r_[zeros, ones], np.r_[along, zeros], rough])


def _scores(
    whole: ZoneData, zones: list[Zone], directions: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores m^T sum_z g_z of independent noise, shape (directions, count), and m^T sum_z H_z m, shape (directions,).

    The noise is made small and the score divided by that, which leaves its linear part.
    """
    m, small = varied(whole.zone, 1), 1e-3
    scores, stated = np.zeros((len(directions), count)), np.zeros(len(directions))
    for zone in zones:
        equilibrium = equilibrium_of(zone, UNIT_VOXEL, whole.inertia)
        own = np.stack([_own(zone, v) for v in directions])
        quiet = linearise(_part(whole, zone), _own(zone, m), equilibrium)
        stated += np.sum(own.T * quiet.curvature(own.T), axis=0)
        for draw in range(count):
            seen = replace(whole, displacement=whole.displacement + small * unit_noise(whole.zone, draw))
            loud = linearise(_part(seen, zone), _own(zone, m), equilibrium)
            scores[:, draw] += own @ (loud.gradient - quiet.gradient) / small
    return scores, stated


def test_one_zone_states_its_information_exactly(whole: ZoneData, directions: NDArray[np.float64]) -> None:
    """Variance of the score = Hessian (the information equality): intervals of one zone are neither wide nor narrow."""
    scores, stated = _scores(whole, [whole.zone], directions, 50)
    for found, variance in zip(scores, stated, strict=True):
        assert_mean_square(found, variance)


def test_zones_never_overstate_their_information(
    whole: ZoneData, parts: list[Zone], directions: NDArray[np.float64]
) -> None:
    """Variance of the joined score <= sum_z H_z: intervals from shared data are conservative."""
    scores, stated = _scores(whole, parts, directions, 50)
    for found, variance in zip(scores, stated, strict=True):
        assert_mean_square_not_above(found, variance)
