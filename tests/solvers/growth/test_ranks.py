"""One forecast for every number of ranks."""

from __future__ import annotations

import numpy as np
import pytest
from dolfinx import fem, mesh
from mpi4py import MPI

from palpate.solvers.growth.parameters import block
from palpate.solvers.growth.scheme.diffusion import diffusion
from palpate.solvers.growth.space.tetrahedra import tetrahedra
from palpate.solvers.growth.space.voxels import voxels
from tests.solvers.growth.patient import SHAPE, patient
from tests.solvers.growth.test_diffusion import tensors

pytestmark = pytest.mark.mpi

CLOSE = 1e-11
"""Sums of some ten terms in another order, a hundred times in a row."""


def test_forecast_gradient_and_tangents() -> None:
    """A cluster must say what a laptop says: states, burden, every part of the gradient, and tangents."""
    found = []
    for comm in (MPI.COMM_WORLD, MPI.COMM_SELF):
        who = patient(comm)
        kept = who.model.forecast(who.parameters, who.density, keep=True)
        gradient = who.model.gradient(kept, list(kept.states))
        _, changes = who.model.tangents(who.parameters, who.density, [block([who.direction(), who.direction()])])
        fields = [*kept.states, gradient.density, gradient.log_diffusivity, gradient.log_proliferation]
        fields += [column for change in changes for column in change.T]
        found.append(([who.voxels.to_volume(one) for one in fields], gradient.log_alpha, gradient.log_sensitivities))
    for one, other in zip(*(fields for fields, _, _ in found), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=CLOSE * np.abs(other).max())
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=CLOSE)
    np.testing.assert_allclose(found[0][2], found[1][2], rtol=CLOSE)


def test_fibres() -> None:
    """Selling's steps reach beyond the next slab, so more than the next layer has to be exchanged."""
    rng = np.random.default_rng(2)
    u, d = rng.random(SHAPE), np.exp(rng.normal(size=SHAPE))
    after = []
    for comm in (MPI.COMM_WORLD, MPI.COMM_SELF):
        place = voxels(d > 0.4, np.ones(3), comm, tensors(SHAPE)[1])
        step = diffusion(place.space, place.from_volume(d), 1e-3)
        after.append(place.to_volume(step.step(place.from_volume(u), 2.0)))
    np.testing.assert_allclose(after[0], after[1], rtol=0, atol=CLOSE)


def test_tetrahedra() -> None:
    """DOLFINx's own partition: moments of a drop do not depend on it."""
    moments = []
    for comm in (MPI.COMM_WORLD, MPI.COMM_SELF):
        box = mesh.create_box(comm, [[0, 0, 0], [6, 7, 8]], [6, 7, 8])
        linear = fem.functionspace(box, ("Lagrange", 1))
        place = tetrahedra(linear)
        x = linear.tabulate_dof_coordinates()[: place.size]
        u = np.exp(-((x - 2.0) ** 2).sum(axis=1))
        after = diffusion(place, 1.0 + 0.1 * x[:, 0], 1e-3).step(u, 2.0)
        moments.append([place.integral_m3(after * x[:, i]) for i in range(3)] + [place.integral_m3(after**2)])
    np.testing.assert_allclose(moments[0], moments[1], rtol=CLOSE)
