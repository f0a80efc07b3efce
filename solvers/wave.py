"""Time-harmonic waves in near-incompressible viscoelastic tissue.

With the time convention u(t) = Re(U exp(+i omega t)) and G* = G' + i G'', the displacement U and the
pressure p satisfy

    div(2 G* eps(U)) - grad p + rho omega^2 U + b = 0,      div U + p / kappa = 0,

with U given on the boundary, except where it is free of traction. Tissue with fibres along f may be stiffer by phi in
shear along them than across; with the modulus across, G_0 = G* / (1 + 2/5 phi), of which G* is the isotropic part, the
stress is then

    2 G_0 (eps + phi (eps f f^T + f f^T eps - 2 (f . eps f) f f^T)) - p I          (Spencer 1984, no tension along f).

Displacement and pressure are approximated on tetrahedra with Taylor-Hood elements (P2-P1), so that the solution does
not lock as kappa / |G*| grows; G* is evaluated at the quadrature points and may vary within an element.

The matrix is complex symmetric (not Hermitian): MUMPS factorises it as L D L^T, compressing far-apart blocks to low
rank; GMRES with that factor as preconditioner then solves to full accuracy (docs/phantom.md has the figures).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import basix.ufl
import dolfinx.fem.petsc
import numpy as np
import ufl
from dolfinx import fem, geometry, mesh
from mpi4py import MPI
from numpy.typing import NDArray
from petsc4py import PETSc

from palpate.errors import InputError
from palpate.solvers.compiled import expression, form

type PointFunction = Callable[[NDArray[np.float64]], NDArray[np.complex128]]
"""Complex function of coordinates (n, 3) in metres, with values of shape (n,) for scalars or (n, 3) for vectors."""

type RealPointFunction = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Real function of coordinates (n, 3) in metres, with values of shape (n,)."""

QUADRATURE_DEGREE = 4
"""Degree of polynomials that the quadrature integrates exactly: products of two quadratic displacements."""
COMPRESSION_TOLERANCE = 1e-3
"""Relative accuracy of the compressed factor: coarse, because GMRES then removes the error in a few cheap steps."""
SOLUTION_TOLERANCE = 1e-10
"""Relative residual at which GMRES stops."""
RESIDUAL_LIMIT = 1e-8
"""Largest accepted relative residual of the solution."""
MAX_ITERATIONS = 60
"""Largest number of GMRES iterations."""


@dataclass(frozen=True, slots=True)
class Tetrahedra:
    """Tetrahedral mesh as plain arrays.

    Attributes:
        points_m: vertex coordinates, shape (n, 3), metres.
        cells: vertex indices of each tetrahedron, shape (m, 4).
    """

    points_m: NDArray[np.float64]
    cells: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Refuse arrays that cannot be a mesh."""
        if self.points_m.ndim != 2 or self.points_m.shape[1] != 3:
            raise ValueError(f"points_m must have shape (n, 3), not {self.points_m.shape}")
        if self.cells.ndim != 2 or self.cells.shape[1] != 4 or not len(self.cells):
            raise ValueError(f"cells must have shape (m > 0, 4), not {self.cells.shape}")
        if self.cells.min() < 0 or self.cells.max() >= len(self.points_m):
            raise ValueError("cells name vertices that points_m does not have")


@dataclass(frozen=True, slots=True)
class WaveProblem:
    """Boundary value problem of a time-harmonic wave.

    Attributes:
        modulus_pa: complex shear modulus G*(x), pascal.
        boundary_displacement_m: displacement U on the boundary, metres.
        frequency_hz: frequency, hertz; omega is 2 pi times it.
        density_kg_m3: mass density rho.
        bulk_modulus_pa: bulk modulus kappa, real, pascal.
        traction_free: function of points (n, 3) that returns whether each lies on the part of the boundary without
            traction; None if there is no such part.
        anisotropy: anisotropy phi(x), not less than 0; None for isotropic tissue.
        fibres: direction f of the fibres, a unit vector.
        body_force: body force b as a UFL expression of the spatial coordinate, N/m^3; None for zero.
    """

    modulus_pa: PointFunction
    boundary_displacement_m: PointFunction
    frequency_hz: float
    density_kg_m3: float = 1000.0
    bulk_modulus_pa: float = 2.2e9
    traction_free: Callable[[NDArray[np.float64]], NDArray[np.bool_]] | None = None
    anisotropy: RealPointFunction | None = None
    fibres: tuple[float, float, float] = (1.0, 0.0, 0.0)
    body_force: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        """Refuse numbers without a physical meaning."""
        for name in ("frequency_hz", "density_kg_m3", "bulk_modulus_pa"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")

    @property
    def omega(self) -> float:
        """Angular frequency, rad/s."""
        return 2 * np.pi * self.frequency_hz


@dataclass(frozen=True, slots=True)
class WaveStatistics:
    """Cost and accuracy of a solve.

    Attributes:
        unknowns: number of displacement and pressure degrees of freedom.
        cells: number of tetrahedra.
        assembly_s, factorisation_s, solution_s: wall times, seconds.
        iterations: number of GMRES steps.
        relative_residual: residual |A x - b| / |b| of the linear system.
        factor_memory_mb: memory that MUMPS used for the factor on all ranks, megabytes.
    """

    unknowns: int
    cells: int
    assembly_s: float
    factorisation_s: float
    solution_s: float
    iterations: int
    relative_residual: float
    factor_memory_mb: int


@dataclass(frozen=True, slots=True)
class WaveSolution:
    """Computed wave.

    Attributes:
        displacement: displacement U as a DOLFINx function (vector P2), metres.
        pressure: pressure p as a DOLFINx function (P1), pascal.
        statistics: cost and accuracy.
    """

    displacement: fem.Function
    pressure: fem.Function
    statistics: WaveStatistics

    def at(self, points_m: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Return U at points, shape (n, 3), metres; equal on every rank; NaN outside the mesh. Collective."""
        return evaluate(self.displacement, points_m)


def distribute(comm: MPI.Comm, tetrahedra: Tetrahedra | None) -> mesh.Mesh:
    """Spread a mesh over the ranks; only rank 0's argument is read. Collective."""
    element = basix.ufl.element("Lagrange", "tetrahedron", 1, shape=(3,))
    if comm.rank == 0:
        if tetrahedra is None:
            raise ValueError("rank 0 must bring the mesh")
        points, cells = tetrahedra.points_m, tetrahedra.cells
    else:
        points, cells = np.empty((0, 3)), np.empty((0, 4), dtype=np.int64)
    return mesh.create_mesh(comm, cells, element, points)


def solve_wave(domain: mesh.Mesh, problem: WaveProblem) -> WaveSolution:
    """Compute the wave. Collective over the mesh's ranks.

    Args:
        domain: tetrahedral mesh, coordinates in metres.
        problem: the equation's coefficients and boundary values.

    Returns:
        Displacement, pressure and statistics.

    Raises:
        InputError: the linear solver did not reach its accuracy (the message says what to try).
    """
    start = time.perf_counter()
    taylor_hood = basix.ufl.mixed_element(
        [
            basix.ufl.element("Lagrange", "tetrahedron", 2, shape=(3,)),
            basix.ufl.element("Lagrange", "tetrahedron", 1),
        ]
    )
    space = fem.functionspace(domain, taylor_hood)
    bilinear, linear, pressure_unit = _forms(space, problem)
    condition = _boundary_condition(space, problem)
    matrix = dolfinx.fem.petsc.assemble_matrix(bilinear, bcs=[condition])
    matrix.assemble()
    right_hand_side = dolfinx.fem.petsc.assemble_vector(linear)
    dolfinx.fem.petsc.apply_lifting(right_hand_side, [bilinear], [[condition]])
    right_hand_side.ghostUpdate(addv=PETSc.InsertMode.ADD, mode=PETSc.ScatterMode.REVERSE)
    dolfinx.fem.petsc.set_bc(right_hand_side, [condition])
    assembled = time.perf_counter()
    solution, statistics = _factorise_and_solve(space, matrix, right_hand_side, assembled - start)
    displacement, pressure = solution.sub(0).collapse(), solution.sub(1).collapse()
    pressure.x.array[:] *= pressure_unit
    return WaveSolution(displacement, pressure, statistics)


def evaluate(function: fem.Function, points_m: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Return a vector function's values at points, shape (n, 3); NaN outside the mesh. Collective.

    The values are equal on every rank.
    """
    domain = function.function_space.mesh
    tree = geometry.bb_tree(domain, domain.topology.dim)
    candidates = geometry.compute_collisions_points(tree, points_m)
    collisions = geometry.compute_colliding_cells(domain, candidates, points_m)
    first = collisions.offsets[:-1]
    inside = np.diff(collisions.offsets) > 0
    values = np.zeros((len(points_m), 3), dtype=np.complex128)
    if inside.any():
        values[inside] = function.eval(points_m[inside], collisions.array[first[inside]])
    # A point on the border between ranks is found by both; the lowest rank that found it answers.
    comm = domain.comm
    owner = np.where(inside, comm.rank, comm.size)
    comm.Allreduce(MPI.IN_PLACE, owner, op=MPI.MIN)
    values[owner != comm.rank] = 0
    comm.Allreduce(MPI.IN_PLACE, values, op=MPI.SUM)
    values[owner == comm.size] = np.nan
    return values


def _forms(space: fem.FunctionSpace, problem: WaveProblem) -> tuple[fem.Form, fem.Form, float]:
    """Return the weak form, symmetric in displacement and pressure, and the unit of the pressure unknown in pascal.

    The pressure unknown is p / p0 with p0 = mean |G*| / element size, so that both blocks have entries of
    one magnitude and MUMPS can choose good pivots.
    """
    domain = space.mesh
    measure = ufl.dx(domain=domain, metadata={"quadrature_degree": QUADRATURE_DEGREE})
    modulus = _at_quadrature_points(domain, problem.modulus_pa)
    local = np.array([np.abs(modulus.x.array).sum(), modulus.x.array.size, _mean_edge_m(domain) / domain.comm.size])
    magnitude_sum, count, edge_m = domain.comm.allreduce(local, op=MPI.SUM)
    unit = float(magnitude_sum / count / edge_m)
    # Constants, not numbers: the compiled form is then the same for every problem and comes from the cache.
    inertia, coupling, softness = (
        fem.Constant(domain, PETSc.ScalarType(value))
        for value in (problem.density_kg_m3 * problem.omega**2, unit, unit**2 / problem.bulk_modulus_pa)
    )
    (u, p), (v, q) = ufl.TrialFunctions(space), ufl.TestFunctions(space)
    strain_u, strain_v = ufl.sym(ufl.grad(u)), ufl.sym(ufl.grad(v))
    elastic = 2 * modulus * ufl.inner(strain_u, strain_v)
    if problem.anisotropy is not None:
        elastic = _along_fibres(domain, problem, modulus, strain_u, strain_v)
    bilinear = (
        elastic
        - inertia * ufl.inner(u, v)
        - coupling * ufl.inner(p, ufl.div(v))
        - coupling * ufl.inner(ufl.div(u), q)
        - softness * ufl.inner(p, q)
    ) * measure
    if problem.body_force is None:
        force = fem.Constant(domain, np.zeros(3, dtype=PETSc.ScalarType))
    else:
        force = problem.body_force(ufl.SpatialCoordinate(domain))
    return form(bilinear), form(ufl.inner(force, v) * measure), unit


def _along_fibres(domain: mesh.Mesh, problem: WaveProblem, modulus: fem.Function, strain_u: Any, strain_v: Any) -> Any:
    """Return the virtual work of the stress in tissue with fibres."""
    assert problem.anisotropy is not None  # the caller asks first
    phi = _at_quadrature_points(domain, problem.anisotropy)
    fibres = fem.Constant(domain, np.asarray(problem.fibres, dtype=PETSc.ScalarType))
    along_u, along_v = ufl.dot(strain_u, fibres), ufl.dot(strain_v, fibres)
    shear = ufl.inner(along_u, along_v) - ufl.dot(fibres, along_u) * ufl.conj(ufl.dot(fibres, along_v))
    return 2 * modulus / (1 + 0.4 * phi) * (ufl.inner(strain_u, strain_v) + 2 * phi * shear)


def _at_quadrature_points(domain: mesh.Mesh, values: PointFunction | RealPointFunction) -> fem.Function:
    """Return a scalar coefficient that holds its own value at each quadrature point."""
    element = basix.ufl.quadrature_element(domain.basix_cell(), degree=QUADRATURE_DEGREE)
    coefficient = fem.Function(fem.functionspace(domain, element))
    points, _ = basix.make_quadrature(basix.CellType.tetrahedron, QUADRATURE_DEGREE)
    cell_map = domain.topology.index_map(domain.topology.dim)
    cells = np.arange(cell_map.size_local + cell_map.num_ghosts, dtype=np.int32)
    coordinates = expression(ufl.SpatialCoordinate(domain), points).eval(domain, cells)
    at_points = values(np.real(coordinates).reshape(-1, 3))
    coefficient.x.array[coefficient.function_space.dofmap.list.ravel()] = at_points
    return coefficient


def _mean_edge_m(domain: mesh.Mesh) -> float:
    """Mean size of this rank's elements, metres."""
    cells = np.arange(domain.topology.index_map(domain.topology.dim).size_local, dtype=np.int32)
    return float(np.mean(domain.h(domain.topology.dim, cells)))


def _boundary_condition(space: fem.FunctionSpace, problem: WaveProblem) -> fem.DirichletBC:
    """Return the given displacement, on all of the boundary that is not free of traction."""
    domain = space.mesh
    dim = domain.topology.dim
    domain.topology.create_connectivity(dim - 1, dim)
    facets = mesh.exterior_facet_indices(domain.topology)
    if problem.traction_free is not None:
        free = problem.traction_free
        middles = mesh.compute_midpoints(domain, dim - 1, facets)
        facets = facets[~free(middles)]
    displacements, _ = space.sub(0).collapse()
    given = fem.Function(displacements)
    given.interpolate(lambda x: problem.boundary_displacement_m(x.T).T)
    dofs = fem.locate_dofs_topological((space.sub(0), displacements), dim - 1, facets)
    return fem.dirichletbc(given, dofs, space.sub(0))


def _factorise_and_solve(
    space: fem.FunctionSpace, matrix: PETSc.Mat, right_hand_side: PETSc.Vec, assembly_s: float
) -> tuple[fem.Function, WaveStatistics]:
    """Return a compressed L D L^T by MUMPS, and GMRES preconditioned with it."""
    domain = space.mesh
    start = time.perf_counter()
    matrix.setOption(PETSc.Mat.Option.SYMMETRIC, True)
    matrix.setOption(PETSc.Mat.Option.HERMITIAN, False)
    solver = PETSc.KSP().create(domain.comm)
    solver.setOptionsPrefix("wave_")
    options = PETSc.Options("wave_")
    options["mat_mumps_icntl_35"] = 1
    options["mat_mumps_cntl_7"] = COMPRESSION_TOLERANCE
    solver.setOperators(matrix)
    solver.setType("gmres")
    solver.setTolerances(rtol=SOLUTION_TOLERANCE, max_it=MAX_ITERATIONS)
    solver.getPC().setType("cholesky")
    solver.getPC().setFactorSolverType("mumps")
    solver.setFromOptions()
    solver.setUp()
    factorised = time.perf_counter()
    solution = fem.Function(space)
    solver.solve(right_hand_side, solution.x.petsc_vec)
    solution.x.scatter_forward()
    residual = right_hand_side.duplicate()
    matrix.mult(solution.x.petsc_vec, residual)
    residual.axpy(-1, right_hand_side)
    relative = float(residual.norm() / right_hand_side.norm())
    if not relative < RESIDUAL_LIMIT:
        raise InputError(
            "wave solve",
            found=f"a relative residual of {relative:.1e}",
            expected=f"below {RESIDUAL_LIMIT:g}",
            advice="Check the moduli for zeros or NaN, and lower the bulk modulus or the frequency.",
        )
    dofmap = space.dofmap
    return solution, WaveStatistics(
        unknowns=dofmap.index_map.size_global * dofmap.index_map_bs,
        cells=domain.topology.index_map(domain.topology.dim).size_global,
        assembly_s=assembly_s,
        factorisation_s=factorised - start,
        solution_s=time.perf_counter() - factorised,
        iterations=solver.getIterationNumber(),
        relative_residual=relative,
        factor_memory_mb=int(solver.getPC().getFactorMatrix().getMumpsInfog(22)),
    )
