"""Program for test_wave_ranks: solve one wave on however many ranks and save it at fixed points.

Usage: mpiexec -n N python wave_on_ranks.py OUT.npy
"""

from __future__ import annotations

import sys

import numpy as np
from mpi4py import MPI

from palpate.imaging.phantom.lattice import kuhn_lattice
from palpate.solvers.wave import Tetrahedra, WaveProblem, distribute, solve_wave

points_mm, cells = kuhn_lattice(np.zeros(3), np.eye(3), np.full(3, 5.0), np.ones((6, 5, 4), dtype=np.bool_))
problem = WaveProblem(
    modulus_pa=lambda x: 3000 + 1000j + 800 * np.sin(300 * x[:, 0]) * np.cos(250 * x[:, 2]),
    boundary_displacement_m=lambda x: 1e-5 * np.exp(-1j * 150 * x[:, :1]) * np.array([0.2, 1, 0.5j]),
    frequency_hz=50.0,
)
solution = solve_wave(distribute(MPI.COMM_WORLD, Tetrahedra(points_mm * 1e-3, cells)), problem)
# Among the points are mesh vertices, which several ranks own a copy of.
values = solution.at(np.vstack([points_mm[::7], np.random.default_rng(0).uniform(-9, 9, (50, 3))]) * 1e-3)
if MPI.COMM_WORLD.rank == 0:
    np.save(sys.argv[1], values)
