"""Conforming mesh of labels, made by the first of three ways whose result passes a quality check.

The ways, smoothest interfaces first: MMG on the lattice after its stairs were made slopes; MMG on the stairs
themselves, which it rounds only a little; the plain lattice, whose angles are 45 degrees or more. A mesh passes if
every dihedral angle is at least LEAST_ANGLE_DEG and every label's volume is within LARGEST_VOLUME_ERROR of its
voxels' volume.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from palpate.config.mesh import TetrahedraSettings
from palpate.errors import InputError
from palpate.imaging.anatomy.segmentation import Segmentation
from palpate.meshing.conforming.cubes import label_cubes
from palpate.meshing.conforming.kuhn import kuhn_split
from palpate.meshing.conforming.polish import fit_volumes, open_angles, smooth_stairs
from palpate.meshing.conforming.quality import dihedral_angles_deg
from palpate.meshing.conforming.remesh import remesh
from palpate.meshing.conforming.sizes import edge_lengths_mm
from palpate.meshing.conforming.tetrahedral_mesh import TetrahedralMesh
from palpate.progress import say

LEAST_ANGLE_DEG = 10.0
"""Smallest dihedral angle of an accepted mesh, degrees (decision 0040)."""

LARGEST_VOLUME_ERROR = 0.02
"""Largest relative error of the volume of a label in an accepted mesh (decision 0040)."""

_POLISHED_DEG = 12.0
"""Angle below which cells are opened up, so that the quality check is passed with room to spare."""

_DEVIATION = 0.5
"""Largest distance by which MMG may move interfaces, in edge lengths."""

_SMOOTHED_DEG = 15.0
"""Smallest angle of the smoothed lattice from which MMG starts."""


@dataclass(frozen=True, slots=True)
class MeshedLabels:
    """Mesh that passed the quality check, and the way in which it was made.

    Attributes:
        mesh: mesh that passed the check.
        way: way of meshing, in words.
        pinched: number of places where a label still touches itself across an edge or corner only.
        crumbs: number of voxels of each label in pieces too small for a cube, which were left out.
    """

    mesh: TetrahedralMesh
    way: str
    pinched: int
    crumbs: Mapping[int, int]


def mesh_labels(segmentation: Segmentation, settings: TetrahedraSettings, where: str = "labels") -> MeshedLabels:
    """Return a conforming mesh of all labels.

    Args:
        segmentation: labels of voxels and their names.
        settings: edge lengths, millimetres, and the memory that may be used.
        where: the file that errors name.

    Raises:
        InputError: a label is thinner than an element, or the mesh would be too large.
    """
    cubes = label_cubes(segmentation, settings, where)
    lattice = kuhn_split(cubes.labels, cubes.affine_mm, segmentation.names)
    say(f"lattice: {len(lattice.cells)} tetrahedra, {cubes.pinched} pinched places left")
    wanted_mm3 = segmentation.volumes_mm3
    lengths_mm = edge_lengths_mm(lattice, settings)
    slopes = fit_volumes(smooth_stairs(lattice, _SMOOTHED_DEG, settings.edge_mm), wanted_mm3, _SMOOTHED_DEG)
    for way, start in (("MMG on smoothed interfaces", slopes), ("MMG on the lattice's stairs", lattice)):
        mesh = remesh(start, lengths_mm, _DEVIATION * settings.edge_mm)
        if mesh is None:
            say(f"{way}: no mesh")
            continue
        mesh = open_angles(mesh, _POLISHED_DEG, settings.edge_mm)
        mesh = fit_volumes(mesh, wanted_mm3, LEAST_ANGLE_DEG)
        fault = gate_fault(mesh, wanted_mm3)
        say(f"{way}: {len(mesh.cells)} tetrahedra, {fault or 'accepted'}")
        if not fault:
            return MeshedLabels(mesh, way, cubes.pinched, cubes.crumbs)
    fault = gate_fault(lattice, wanted_mm3)
    if fault:
        raise InputError(
            where,
            found=f"labels that no way of meshing keeps: {fault}",
            expected=f"volumes within {LARGEST_VOLUME_ERROR:.0%} and angles of at least {LEAST_ANGLE_DEG:g} degrees",
            advice=f"Use elements smaller than edge_mm = {settings.edge_mm:g}, or merge the label with its neighbour.",
        )
    return MeshedLabels(lattice, "plain lattice: interfaces are stepped", cubes.pinched, cubes.crumbs)


def gate_fault(mesh: TetrahedralMesh, wanted_mm3: Mapping[int, float]) -> str | None:
    """Return the reason why a mesh fails the quality check; None if it passes.

    Args:
        mesh: mesh that is already valid: no cell is inverted and each face is shared by at most two.
        wanted_mm3: volume of each label's voxels, mm3.
    """
    angle_deg = float(dihedral_angles_deg(mesh.points_mm, mesh.cells).min())
    if angle_deg < LEAST_ANGLE_DEG:
        return f"a dihedral angle of {angle_deg:.1f} degrees"
    errors = volume_errors(mesh, wanted_mm3)
    worst = max(errors, key=lambda label: abs(errors[label]))
    if abs(errors[worst]) > LARGEST_VOLUME_ERROR:
        return f"label {mesh.names[worst]!r} with {errors[worst]:+.1%} of its volume"
    return None


def volume_errors(mesh: TetrahedralMesh, wanted_mm3: Mapping[int, float]) -> dict[int, float]:
    """Return the relative error of each label's volume.

    Args:
        mesh: any mesh with these labels.
        wanted_mm3: volume of each label's voxels, mm3.
    """
    volumes = mesh.label_volumes_mm3
    return {label: volumes[label] / wanted_mm3[label] - 1.0 for label in wanted_mm3}
