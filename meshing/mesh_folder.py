"""Mesh folder: for each run the zones, a summary of the voxels that they cover, and the cells for ParaView."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from palpate.config.mesh import MeshSettings
from palpate.imaging.files.wavefield_folder import read_wave_fields
from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.inversion_grid import inversion_grid
from palpate.meshing.lattice import Lattice, lattice_of_run
from palpate.meshing.refined_zones import nodes_zones, refined
from palpate.meshing.zone_file import write_zones
from palpate.meshing.zone_mesh import coverage, world_mesh, zone_extents
from palpate.meshing.zones import Zone
from palpate.outputs import claim_folder
from palpate.progress import say
from palpate.provenance import digest, versions
from palpate.renamed import record_text
from palpate.units import kpa_to_pa, m_to_mm

REFERENCE_MODULUS_KPA = 2.0
"""Modulus |G*| for which the summary states wavelengths: average brain at 50 Hz. A wavelength grows as its root."""


def zones_path(folder: Path, label: str) -> Path:
    """Return the path of a run's file of zones in a mesh folder."""
    return folder / f"{label}_zones.h5"


def write_mesh_folder(wavefield: Path, out: Path, settings: MeshSettings) -> None:
    """Cut the mask of each run of a wave-field folder into zones and write them.

    For each label: `<label>_zones.h5`, `<label>_mesh.json`, `<label>_mesh.vtu`. Frequencies of one run share them.

    Args:
        wavefield: path of the wave-field folder.
        out: path of the folder to write; an interrupted run leaves no partial result.
        settings: width and stride of the zones.

    Raises:
        InputError: the wave-field folder is not in order, a mask is too thin, or `out` holds somebody else's files.
    """
    target = claim_folder(out, "mesh", {"wavefield": wavefield})
    runs: dict[str, list[WaveField]] = {}
    for field in read_wave_fields(wavefield):
        runs.setdefault(field.label, []).append(inversion_grid(field).field)
    source = digest(wavefield)
    with target.writing() as folder:
        for label, fields in runs.items():
            lattice = lattice_of_run(fields)
            zones = nodes_zones(lattice, settings, f"{label}_mask")
            write_zones(zones_path(folder, label), zones)
            world_mesh(zones, lattice.affine_mm(fields[0].affine_mm)).write(folder / f"{label}_mesh.vtu")
            summary = _summary(refined(zones, lattice), fields, lattice, settings) | {
                "input_digests": {"wavefield": source}
            }
            (folder / f"{label}_mesh.json").write_text(record_text("mesh", summary), encoding="utf-8")
            say(f"{label}: {len(zones)} zones cover {summary['covered_share']:.1%} of the mask")


def _summary(
    zones: Sequence[Zone], fields: Sequence[WaveField], lattice: Lattice, settings: MeshSettings
) -> dict[str, object]:
    """Return what the zones of one run cover, in the units of users."""
    voxel_size_mm = fields[0].voxel_size_mm
    nodes, stride = zone_extents(lattice.spacing_mm, settings, thick=not lattice.plain)
    covered = coverage(zones, int(np.count_nonzero(fields[0].mask)))
    width_mm = [float((count - 1) * edge) for count, edge in zip(nodes, lattice.spacing_mm, strict=True)]
    return {
        **asdict(covered),
        "covered_share": covered.covered_voxels / covered.mask_voxels,
        "uncovered_voxels": covered.mask_voxels - covered.covered_voxels,
        "voxel_size_mm": [float(edge) for edge in voxel_size_mm],
        "node_spacing_mm": [float(edge) for edge in lattice.spacing_mm],
        "zone_nodes": nodes,
        "zone_width_mm": width_mm,
        "zone_stride_voxels": stride,
        "reference_modulus_kpa": REFERENCE_MODULUS_KPA,
        "frequencies": [
            {
                "frequency_hz": field.frequency_hz,
                "reference_wavelength_mm": wavelength_mm,
                "zone_width_wavelengths": [width / wavelength_mm for width in width_mm],
            }
            for field in fields
            if (wavelength_mm := _wavelength_mm(field))
        ],
        "settings": settings.model_dump(),
        "versions": versions(),
    }


def _wavelength_mm(field: WaveField) -> float:
    """Length lambda = sqrt(|G*| / rho) / f of a shear wave in tissue of the reference modulus."""
    speed_m_s = float(np.sqrt(kpa_to_pa(REFERENCE_MODULUS_KPA) / field.density_kg_m3))
    return m_to_mm(speed_m_s / field.frequency_hz)
