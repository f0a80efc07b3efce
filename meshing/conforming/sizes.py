"""Wanted edge lengths: short at interfaces, longer away from them, never too long for a wave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from palpate.config.mesh import TetrahedraSettings
from palpate.meshing.conforming.tetrahedral_mesh import TetrahedralMesh, interface_faces
from palpate.units import kpa_to_pa, m_to_mm


def edge_lengths_mm(mesh: TetrahedralMesh, settings: TetrahedraSettings) -> NDArray[np.float64]:
    """Return the wanted length h(x) = min(edge + gradation * d(x), largest, lambda(x) / n) at nodes, shape (nodes,).

    d is the distance to the nearest interface, lambda = sqrt(|G*| / rho) / f the wavelength in the label's tissue.

    Args:
        mesh: tetrahedra of the lattice.
        settings: edge, gradation and largest length; frequency, moduli by name of tissue and n elements a wavelength.
    """
    at_interface = np.unique(interface_faces(mesh))
    distance_mm, _ = cKDTree(mesh.points_mm[at_interface]).query(mesh.points_mm)
    lengths = np.minimum(settings.edge_mm + settings.gradation * distance_mm, settings.largest_mm)
    for label, name in mesh.names.items():
        longest_mm = wave_limit_mm(settings, name)
        if longest_mm is not None:
            nodes = np.unique(mesh.cells[mesh.labels == label])
            lengths[nodes] = np.minimum(lengths[nodes], longest_mm)
    return np.asarray(lengths)


def wave_limit_mm(settings: TetrahedraSettings, name: str) -> float | None:
    """Return the longest edge for a wave in the tissue of that name; None where no frequency or modulus is given."""
    if settings.frequency_hz is None or name not in settings.modulus_kpa:
        return None
    speed_m_s = float(np.sqrt(kpa_to_pa(settings.modulus_kpa[name]) / settings.density_kg_m3))
    return m_to_mm(speed_m_s / settings.frequency_hz) / settings.elements_per_wavelength
