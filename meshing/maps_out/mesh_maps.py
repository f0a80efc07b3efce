"""Folder of stiffness on tetrahedra, for simulators of brain shift and of implants.

For each run, `<stem>` being the run and, where it holds several, the frequency:

    <stem>_mesh.h5             mesh and fields, contiguous and uncompressed
    <stem>_mesh.xdmf           page that shows mean, standard deviation, covered share and label of each cell
    <stem>_mesh-draws.xdmf     page that shows the joint draws, from the same HDF5
    <stem>_mesh.vtu            mean, standard deviation, covered share and label
    <stem>_mesh-draws.vtu      joint draws: one array a modulus, one component a draw
    <stem>_surface-<name>.stl  closed surface of each region
    <stem>_mesh.json           units, frame, and what the fields are

Fields: {storagemodulus,lossmodulus}_{mean,std}_kpa, {storagemodulus,lossmodulus}_draw-<n>_kpa, covered_share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from palpate.config.mesh_maps import MeshMapsSettings
from palpate.errors import InputError
from palpate.imaging.derived.statistics import demand_draws
from palpate.imaging.files.draws import DrawsFile
from palpate.imaging.files.kinds_of_maps import refuse_other_maps
from palpate.imaging.files.stiffness_folder import StiffnessMaps, read_stiffness
from palpate.imaging.registration.placement import Placement, not_moved, read_placement
from palpate.meshing.conforming.mesh_file import read_label_mesh
from palpate.meshing.conforming.tetrahedral_mesh import TetrahedralMesh
from palpate.meshing.maps_out.cell_fields import MeshedMap, meshed_map
from palpate.meshing.maps_out.cell_files import FRAME, InFiles, write_cell_files
from palpate.meshing.maps_out.surfaces import write_surfaces
from palpate.outputs import claim_folder
from palpate.progress import say
from palpate.provenance import input_digests, versions
from palpate.renamed import record_text

type Regions = Callable[[StiffnessMaps, DrawsFile], Iterable[tuple[str, NDArray[np.bool_]]]]
"""Function that finds regions on a run's grid: the name and the voxels of each, shape (i, j, k)."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Mesh in its world, and the way there from the elastogram.

    Attributes:
        mesh: mesh of tetrahedra.
        world: words for its world.
        placement: motion from the elastogram to it.
    """

    mesh: TetrahedralMesh
    world: str
    placement: Placement

    @property
    def seen_mm(self) -> NDArray[np.float64]:
        """Nodes in the elastogram's world, shape (n, 3)."""
        back = np.linalg.inv(self.placement.motion.matrix_mm)
        return np.asarray(self.mesh.points_mm @ back[:3, :3].T + back[:3, 3])


def write_mesh_maps(
    mre: Path, mesh: Path, out: Path, settings: MeshMapsSettings, regions: Regions | None = None
) -> tuple[Path, ...]:
    """Write mean, standard deviation and joint draws of every run on the cells of a mesh, and surfaces of regions.

    Args:
        mre: folder of finished stiffness maps, kPa, with their joint draws, or the session folder that holds it.
        mesh: folder of palpate mesh with tetrahedra, or their HDF5 file.
        out: folder to write; an interrupted run leaves no partial result.
        settings: world of the mesh, and number of draws.
        regions: search for regions whose surfaces are written; None writes none.

    Returns:
        The files written.

    Raises:
        InputError: maps, draws or mesh cannot be used, they do not lie in one place, or there are fewer draws than were
            asked for.
    """
    target = claim_folder(out, "maps", {"mre": mre, "mesh": mesh})
    refuse_other_maps(out, "mesh")
    tetrahedra = read_label_mesh(mesh)
    runs = read_stiffness(mre)
    home = mre / "mre" if (mre / "mre").is_dir() else mre
    digests = input_digests({"mre": mre, "mesh": mesh})
    with target.writing() as partial:
        for run in runs:
            place = _place(home.parent / "wavefield", run, tetrahedra, settings)
            carried = _carried(run, place, mesh, settings)
            count = carried.draws.count if settings.draws is None else settings.draws
            write_cell_files(partial, run.stem, carried, place.mesh, InFiles(place.world, count))
            record = _record(carried, place, count) | {"input_digests": digests}
            found = [] if regions is None else list(regions(run, carried.draws))
            affine_mm = place.placement.motion.matrix_mm @ run.affine_mm
            record["surfaces"] = write_surfaces(partial, run.stem, found, affine_mm)
            (partial / f"{run.stem}_mesh.json").write_text(record_text("mesh maps", record), encoding="utf-8")
        names = sorted(path.name for path in partial.iterdir() if not path.name.startswith("."))
    return tuple(out / name for name in names)


def _place(wavefield: Path, run: StiffnessMaps, mesh: TetrahedralMesh, settings: MeshMapsSettings) -> _Place:
    if settings.space == "elastogram":
        return _Place(mesh, "elastogram", not_moved("aligned"))
    placement = read_placement(wavefield, run.label)
    if not placement.usable:
        raise InputError(
            wavefield,
            found="a T1 whose place on the elastogram is not known",
            expected="a usable registration, which leads from the maps to a mesh of the anatomy",
            advice='Mend the registration, or give a mesh of labels on the elastogram with {"space": "elastogram"}.',
        )
    return _Place(mesh, "anatomy", placement)


def _carried(run: StiffnessMaps, place: _Place, where: Path, settings: MeshMapsSettings) -> MeshedMap:
    """Return the transfer of a run to the mesh, after a check that it has something to transfer."""
    draws = run.draws()
    demand_draws(draws.path, draws.count)
    if settings.draws is not None and settings.draws > draws.count:
        raise InputError(
            "the setting draws",
            found=f"{settings.draws}",
            expected=f"at most {draws.count}, the draws of {draws.path.name}",
            advice="Ask for fewer, or invert with more samples.",
        )
    carried = meshed_map(run, draws, place.mesh, place.seen_mm)
    if not carried.covered_mm3.any():
        raise InputError(
            where,
            found=f"a mesh of which no part lies within the map of {run.stem}",
            expected=f"a mesh of the same head in the {place.world}'s world (RAS, mm)",
            advice="Mesh labels of this session, or name their world with the setting space.",
        )
    share = float(carried.covered_mm3.sum() / place.mesh.volumes_mm3.sum())
    say(f"{run.stem}: {share:.0%} of the mesh lies within the map, in {np.count_nonzero(carried.covered_mm3)} cells")
    return carried


def _record(carried: MeshedMap, place: _Place, count: int) -> dict[str, object]:
    """Return what the fields are, in the units of users."""
    run, placement = carried.run, place.placement
    return {
        "frame": FRAME,
        "world": place.world,
        "placement": placement.status if place.world == "anatomy" else "the same world",
        "placement_uncertainty_mm": placement.uncertainty_mm,
        "units": {"points": "mm", "moduli": "kPa", "covered_share": "1"},
        "frequency_hz": run.frequency_hz,
        "density_kg_m3": run.inversion.get("density_kg_m3"),
        "fields": {
            "{storagemodulus,lossmodulus}_mean_kpa": "posterior mean, averaged over the cell's part within the map",
            "{storagemodulus,lossmodulus}_std_kpa": "standard deviation of that average over all joint draws",
            "{storagemodulus,lossmodulus}_draw-<n>_kpa": "average in joint draw n; one n is one possible tissue",
            "covered_share": "share of the cell's volume within the map, 0 to 1",
            "label": "label of the mesh",
        },
        "outside_the_map": "NaN",
        "draws": carried.draws.count,
        "draws_written": count,
        "labels": {str(label): place.mesh.names[label] for label in sorted(place.mesh.names)},
        "nodes": len(place.mesh.points_mm),
        "tetrahedra": len(place.mesh.cells),
        "tetrahedra_with_values": int(np.count_nonzero(carried.covered_mm3)),
        "mesh_ml": float(place.mesh.volumes_mm3.sum()) / 1e3,
        "covered_ml": float(carried.covered_mm3.sum()) / 1e3,
        "versions": versions(),
    }
