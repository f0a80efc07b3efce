"""Waves inside the in-silico patient."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.config.longitudinal import LongitudinalSettings
from palpate.config.phantom import PhantomSettings
from palpate.errors import InputError
from palpate.imaging.anatomy.atlas import Atlas, load_atlas
from palpate.imaging.phantom.cohort import cohort
from palpate.imaging.phantom.grid import ScanGrid, scan_grid
from palpate.imaging.phantom.lattice import forward_lattice
from palpate.imaging.phantom.study import write_sessions, write_study
from palpate.imaging.phantom.tissue import FIBRES, Head, build_head
from palpate.imaging.phantom.tumour_scene import tumour_scene
from palpate.imaging.phantom.tumour_study import write_tumour_patient
from palpate.outputs import claim_folder
from palpate.progress import say
from palpate.solvers.ranks import all_ranks
from palpate.solvers.virtual_tumour import grow
from palpate.solvers.wave import Tetrahedra, WaveProblem, WaveStatistics, distribute, solve_wave
from palpate.units import kpa_to_pa, m_to_mm, mm_to_m, um_to_m

_SIDES = np.concatenate([np.eye(3), -np.eye(3)])
"""Directions of travel, shape (6, 3): a wave enters from every side, so that no region is without shear."""
_JITTER = 0.35
"""Largest deviation of a wave's direction from the normal of its side, relative to unit length, in each component."""

_LEAST_BRAIN = 0.1
"""Smallest share of the block that must be brain."""
_ELEMENTS_PER_WAVELENGTH = 4.0
"""Fewest quadratic elements for each wavelength in solid tissue."""


@dataclass(frozen=True, slots=True)
class ShearWaves:
    """Sum of plane shear waves, u(x) = sum_n a_n d_n exp(i (phi_n - k n_n . (x - x_n))), all without divergence.

    Attributes:
        directions: unit vectors n of travel, shape (w, 3).
        amplitudes_m: amplitudes a d exp(i phi), complex, across the direction of travel, shape (w, 3), metres.
        origins_m: points x_n at which each wave has its full amplitude, shape (w, 3), metres.
        wavenumber: wavenumber k, complex with Im k <= 0 where the waves are damped, 1/m.
    """

    directions: NDArray[np.float64]
    amplitudes_m: NDArray[np.complex128]
    origins_m: NDArray[np.float64]
    wavenumber: complex

    def __call__(self, points_m: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Return the displacement at points, shape (n, 3), metres."""
        path = np.einsum("nwc,wc->nw", points_m[:, None, :] - self.origins_m, self.directions)
        return np.asarray(np.exp(-1j * self.wavenumber * path) @ self.amplitudes_m)


def create(out: Path, settings: PhantomSettings, patients: int | None = None, *, comm: MPI.Comm | None = None) -> None:
    """Make in-silico patients and write their study. Collective; rank 0 writes.

    Args:
        out: folder to create, or to replace where palpate wrote it.
        settings: settings of the patient; for a cohort, those that its members have in common.
        patients: number of patients, who differ as people and scans do; None for the one that the settings describe.
        comm: communicator of the ranks that share the work; all ranks of the job by default.

    Raises:
        InputError: the folder holds somebody else's files, or the atlas is not installed.
    """
    comm = comm or all_ranks()
    target = claim_folder(out, "phantom", {})
    atlas = load_atlas()
    members = [settings] if patients is None else list(cohort(settings, atlas, patients))
    for member in members:
        _demand_resolved_waves(member)
    writing = target.writing() if comm.rank == 0 else nullcontext(None)
    rows = []
    with writing as partial:
        for member in members:
            head = build_head(member, atlas)
            grid = scan_grid(member, atlas)
            _demand_brain(head, grid)
            say(f"sub-{member.subject}: head ready, {grid.shape} voxels of {member.voxel_mm:g} mm")
            displacement_m, statistics = vibrate(comm, member, head, grid)
            seconds = statistics.assembly_s + statistics.factorisation_s + statistics.solution_s
            say(f"waves at {member.frequency_hz:g} Hz: {statistics.unknowns} unknowns in {seconds:.0f} s")
            if partial is not None:
                scan, row = write_study(partial, member, head, grid, displacement_m)
                rows.append(row)
                say(f"scan: noise {scan.noise_std_um:.2f} um, {scan.wrapped_share:.1%} of samples wrapped")
        if partial is not None and settings.longitudinal is not None:
            rows += _tumour_patient(partial, settings.longitudinal, atlas)
        if partial is not None:
            write_sessions(partial, rows)
    say(f"study written to {out}")
    comm.Barrier()


def _tumour_patient(root: Path, settings: LongitudinalSettings, atlas: Atlas) -> list[dict[str, str]]:
    """Grow a tumour and write its images; the rows of the table of sessions."""
    scene = tumour_scene(settings, atlas)
    truth = grow(settings, scene)
    say(f"sub-{settings.subject}: tumour grown on {int(scene.tissue.sum())} voxels in {truth.seconds:.0f} s")
    rows = write_tumour_patient(root, settings, scene, truth)
    say(f"sub-{settings.subject}: {len(rows)} dates of {settings.voxel_mm:g} mm")
    return list(rows)


def _demand_brain(head: Head, grid: ScanGrid) -> None:
    """Raise InputError where hardly any brain is imaged."""
    imaged = float(head.in_brain(grid.points_mm).mean())
    if imaged < _LEAST_BRAIN:
        raise InputError(
            "phantom.centre_mm",
            found=f"a block with {imaged:.0%} brain",
            expected=f"at least {_LEAST_BRAIN:.0%}",
            advice="Move the block into the head; the default centre is -30, -14, 30.",
        )


def _demand_resolved_waves(settings: PhantomSettings) -> None:
    """Raise InputError where the elements cannot carry the waves."""
    softest_pa = kpa_to_pa(min(settings.grey.storage_kpa, settings.white.storage_kpa))
    wavelength_mm = float(m_to_mm(np.sqrt(softest_pa / settings.density_kg_m3) / settings.frequency_hz))
    if settings.element_edge_mm > wavelength_mm / _ELEMENTS_PER_WAVELENGTH:
        raise InputError(
            "phantom.element_mm",
            found=f"{settings.element_edge_mm:g} mm",
            expected=f"at most {wavelength_mm / _ELEMENTS_PER_WAVELENGTH:.1f} mm at {settings.frequency_hz:g} Hz",
            advice="Choose smaller elements or a lower frequency.",
        )


def incoming_waves(settings: PhantomSettings, points_m: NDArray[np.float64]) -> ShearWaves:
    """Return one wave from each of the six sides of the domain, with seeded direction, polarisation and phase.

    In a block the waves are damped like waves in average tissue; for the whole brain they only drive the skull
    and keep their amplitude.

    Args:
        settings: amplitude, frequency, tissue, seed.
        points_m: vertices of the domain, shape (n, 3), metres.
    """
    generator = np.random.default_rng([settings.seed, 2])
    directions = _SIDES + _JITTER * generator.uniform(-1, 1, _SIDES.shape)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    across = np.cross(directions, generator.standard_normal(_SIDES.shape))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    phases = np.exp(2j * np.pi * generator.uniform(size=(len(_SIDES), 1)))
    middle = (points_m.min(axis=0) + points_m.max(axis=0)) / 2
    reach = ((points_m - middle) @ directions.T).min(axis=0)
    tissue = (settings.grey.storage_kpa + settings.white.storage_kpa) / 2 + 0.5j * (
        settings.grey.loss_kpa + settings.white.loss_kpa
    )
    omega = 2 * np.pi * settings.frequency_hz
    wavenumber = complex(omega * np.sqrt(settings.density_kg_m3 / kpa_to_pa(tissue)))
    if settings.extent == "whole-brain":
        wavenumber = complex(wavenumber.real)
    return ShearWaves(
        directions=directions,
        amplitudes_m=np.asarray(um_to_m(settings.amplitude_um) * phases * across, dtype=np.complex128),
        origins_m=middle + reach[:, None] * directions,
        wavenumber=wavenumber,
    )


def driven(
    settings: PhantomSettings,
    points_m: NDArray[np.float64],
    modulus_kpa: Callable[[NDArray[np.float64]], NDArray[np.complex128]],
) -> WaveProblem:
    """Return the problem of the wave that the settings' incoming waves drive through tissue.

    Args:
        settings: frequency, density, bulk modulus and incoming waves.
        points_m: vertices of the domain, shape (n, 3), metres.
        modulus_kpa: function that returns G* in kPa at points in millimetres, shape (n, 3).
    """
    return WaveProblem(
        modulus_pa=lambda x: kpa_to_pa(modulus_kpa(m_to_mm(x))),
        boundary_displacement_m=incoming_waves(settings, points_m),
        frequency_hz=settings.frequency_hz,
        density_kg_m3=settings.density_kg_m3,
        bulk_modulus_pa=kpa_to_pa(settings.bulk_modulus_kpa),
    )


def vibrate(
    comm: MPI.Comm, settings: PhantomSettings, head: Head, grid: ScanGrid
) -> tuple[NDArray[np.complex128], WaveStatistics]:
    """Compute the displacement at the voxel centres of the scan. Collective; equal on every rank.

    Returns:
        U along world R, A, S, shape (i, j, k, 3), metres, zero outside the brain; and the cost of the solve.
    """
    points_mm, cells = forward_lattice(settings, grid, head)
    points_m = mm_to_m(points_mm)
    domain = distribute(comm, Tetrahedra(points_m, cells))
    problem = driven(settings, points_m, head.modulus_kpa_at)
    if head.anisotropy is not None:
        problem = replace(problem, anisotropy=lambda x: head.anisotropy_at(m_to_mm(x)), fibres=FIBRES)
    solution = solve_wave(domain, problem)
    voxels_mm = grid.points_mm
    inside = head.in_brain(voxels_mm)
    displacement_m = np.zeros((*grid.shape, 3), dtype=np.complex128)
    displacement_m[inside] = solution.at(mm_to_m(voxels_mm[inside]))
    return displacement_m, solution.statistics
