"""Stiffness on tetrahedra: integrals of the map, its draws, files that others read, surfaces of regions."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import meshio
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import Delaunay
from scipy.spatial.transform import Rotation

from palpate.config.mesh_maps import MeshMapsSettings
from palpate.errors import InputError
from palpate.imaging.files.draws import open_draws, write_draws
from palpate.imaging.files.maps import read_map, write_map, write_mask
from palpate.imaging.files.moduli import MODULI
from palpate.imaging.registration.placement import Placement, not_moved, write_placement
from palpate.imaging.registration.rigid import Rigid
from palpate.meshing.conforming.mesh_file import read_tetrahedra, write_tetrahedra
from palpate.meshing.conforming.tetrahedral_mesh import TetrahedralMesh, signed_volumes_mm3
from palpate.meshing.maps_out.mesh_maps import write_mesh_maps
from palpate.meshing.maps_out.surfaces import surface_of, write_surfaces
from tests.conftest import Outcome

LABEL, SHAPE, COUNT = "sub-01_ses-01", (5, 5, 4), 20
TURN = Rotation.from_euler("zyx", [0.4, -0.2, 0.1]).as_matrix()
AFFINE_MM = np.eye(4)
AFFINE_MM[:3, :3] = TURN * [-2.0, 2.0, 3.0]
AFFINE_MM[:3, 3] = [20.0, -30.0, 10.0]
VOXEL_MM3 = 12.0
MASK = np.linalg.norm((np.indices(SHAPE).T - [2.0, 2.0, 1.5]) / [2.6, 2.5, 2.1], axis=-1).T <= 1.0
MIDDLE_MM = AFFINE_MM[:3, :3] @ [2.0, 2.0, 1.5] + AFFINE_MM[:3, 3]


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """A session whose map has another value in each voxel, with correlated draws."""
    mre, rng = tmp_path / "session" / "mre", np.random.default_rng(0)
    mre.mkdir(parents=True)
    voxels = np.argwhere(MASK)
    draws = []
    for level, modulus in zip((3.0, 1.0), MODULI, strict=True):
        mean = np.where(MASK, level * np.exp(0.3 * rng.normal(size=SHAPE)), np.nan)
        for statistic in ("mean", "std", "lower", "upper"):
            path = mre / f"{LABEL}_stat-{statistic}_{modulus}.nii.gz"
            write_map(path, mean, AFFINE_MM, units="kPa", description="")
        draws.append(
            mean[MASK] * np.exp(0.1 * rng.normal(size=(COUNT, 1)) + 0.2 * rng.normal(size=(COUNT, len(voxels))))
        )
    write_mask(mre / f"{LABEL}_desc-informed_mask.nii.gz", MASK, AFFINE_MM, description="")
    write_draws(mre / f"{LABEL}_samples.h5", [(slice(0, len(voxels)), *draws)], voxels, np.ones(COUNT), AFFINE_MM)
    record = {"frequency_hz": 50.0, "density_kg_m3": 1000.0, "converged": True, "warnings": []}
    (mre / f"{LABEL}_inversion.json").write_text(json.dumps(record))
    return mre.parent


def box(half_mm: float, count: int = 60, middle_mm: NDArray[np.float64] = MIDDLE_MM) -> TetrahedralMesh:
    """A box of tetrahedra in no order, whose faces lie across voxels."""
    corners = np.array(np.meshgrid(*[[-1.0, 1.0]] * 3)).reshape(3, -1).T
    inner = np.random.default_rng(1).uniform(-0.9, 0.9, (count, 3))
    points = np.concatenate([corners, inner]) * half_mm + middle_mm
    cells = Delaunay(points).simplices.astype(np.int64)
    turned = signed_volumes_mm3(points, cells) < 0.0
    cells[turned] = cells[turned][:, [1, 0, 2, 3]]
    cells = cells[signed_volumes_mm3(points, cells) > 1e-6]
    return TetrahedralMesh(points, cells, np.arange(len(cells)) % 2 + 1, {1: "grey", 2: "white"})


def on_mesh(session: Path, mesh: TetrahedralMesh, out: Path, settings: MeshMapsSettings | None = None) -> meshio.Mesh:
    """Write the maps on a mesh and read them as another program does."""
    folder = out.parent / f"{out.name}-tetrahedra"
    folder.mkdir()
    write_tetrahedra(folder / "labels_mesh.h5", mesh)
    write_mesh_maps(session, folder, out, settings or MeshMapsSettings())
    return meshio.read(out / f"{LABEL}_mesh.xdmf")


def test_integrals_are_the_maps(session: Path, tmp_path: Path) -> None:
    """A mesh around the whole map holds all of its stiffness, in the mean and in each draw; other cells have none."""
    mesh = box(11.0)
    found = on_mesh(session, mesh, tmp_path / "out").cell_data
    draws = open_draws(session / "mre" / f"{LABEL}_samples.h5", SHAPE)
    share = found["covered_share"][0]
    covered_mm3 = share * mesh.volumes_mm3
    assert covered_mm3.sum() == pytest.approx(MASK.sum() * VOXEL_MM3, rel=1e-6)
    in_draws = meshio.read(tmp_path / "out" / f"{LABEL}_mesh-draws.xdmf").cell_data
    vtu = meshio.read(tmp_path / "out" / f"{LABEL}_mesh-draws.vtu").cell_data
    for at, modulus in enumerate(MODULI):
        mean = found[f"{modulus}_mean_kpa"][0]
        assert np.array_equal(np.isnan(mean), share == 0.0)
        assert 0.1 < np.isnan(mean).mean() < 0.9
        of_map = read_map(session / "mre" / f"{LABEL}_stat-mean_{modulus}.nii.gz").values[MASK].astype(float)
        assert np.nansum(mean * covered_mm3) == pytest.approx(of_map.sum() * VOXEL_MM3, rel=1e-6)
        assert of_map.min() * (1.0 - 1e-9) <= np.nanmin(mean) <= np.nanmax(mean) <= of_map.max() * (1.0 + 1e-9)
        drawn = np.stack([in_draws[f"{modulus}_draw-{n:03d}_kpa"][0] for n in range(1, COUNT + 1)], axis=1)
        totals = draws.at(np.arange(len(draws.voxels)))[at].sum(axis=1) * VOXEL_MM3
        assert np.nansum(drawn * covered_mm3[:, None], axis=0) == pytest.approx(totals, rel=1e-6)
        assert found[f"{modulus}_std_kpa"][0] == pytest.approx(drawn.std(axis=1, ddof=1), rel=1e-5, nan_ok=True)
        assert np.array_equal(vtu[f"{modulus}_draws_kpa"][0], drawn, equal_nan=True)


def test_a_part_of_the_map(session: Path, tmp_path: Path) -> None:
    """A mesh within the map holds what lies within the mesh, measured here by points instead of by cutting."""
    mesh = box(2.0)
    found = on_mesh(session, mesh, tmp_path / "out").cell_data
    assert found["covered_share"][0] == pytest.approx(1.0)
    values = read_map(session / "mre" / f"{LABEL}_stat-mean_storagemodulus.nii.gz").values
    steps = (np.arange(60) + 0.5) / 60 * 4.0 - 2.0
    points = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3) + MIDDLE_MM
    index = np.rint((points - AFFINE_MM[:3, 3]) @ np.linalg.inv(AFFINE_MM[:3, :3]).T).astype(int)
    mean = np.average(found["storagemodulus_mean_kpa"][0], weights=mesh.volumes_mm3)
    assert mean == pytest.approx(values[tuple(index.T)].mean(), rel=5e-3)


def test_files_state_units_and_frame(session: Path, tmp_path: Path) -> None:
    """Millimetres in R A S and kilopascals, in the files themselves and in the record; arrays are plain bytes."""
    mesh, out = box(11.0), tmp_path / "out"
    seen = on_mesh(session, mesh, out, MeshMapsSettings(draws=3))
    with h5py.File(out / f"{LABEL}_mesh.h5") as file:
        assert file.attrs["frame"] == "world R A S, millimetres"
        assert file["cell_fields/storagemodulus_mean_kpa"].attrs["unit"] == "kPa"
        arrays = [file["points_mm"], file["cells"], file["labels"], *file["cell_fields"].values()]
        assert all(one.chunks is None and one.compression is None for one in arrays)
        assert len([name for name in file["cell_fields"] if "_draw-" in name]) == 2 * 3
    for page in (f"{LABEL}_mesh.xdmf", f"{LABEL}_mesh-draws.xdmf"):
        assert "world R A S, millimetres, of the anatomy; moduli in kPa; NaN" in (out / page).read_text()
    vtu = meshio.read(out / f"{LABEL}_mesh.vtu")
    again = read_tetrahedra(out / f"{LABEL}_mesh.h5")
    for points, cells in (
        (seen.points, seen.cells_dict["tetra"]),
        (vtu.points, vtu.cells_dict["tetra"]),
        (again.points_mm, again.cells),
    ):
        assert np.array_equal(points, mesh.points_mm)
        assert np.array_equal(cells, mesh.cells)
    for name, values in seen.cell_data.items():
        assert np.array_equal(vtu.cell_data[name][0], values[0], equal_nan=True)
    record = json.loads((out / f"{LABEL}_mesh.json").read_text())
    assert (record["units"]["moduli"], record["outside_the_map"], record["draws_written"]) == ("kPa", "NaN", 3)
    assert record["covered_ml"] == pytest.approx(MASK.sum() * VOXEL_MM3 / 1e3)
    assert str(tmp_path) not in json.dumps(record)


def test_a_mesh_of_the_t1_meets_its_voxels(session: Path, tmp_path: Path) -> None:
    """The head moved between elastogram and T1: values are carried along, and so are surfaces."""
    motion = Rigid(np.array([0.1, 0.05, -0.2, 6.0, -4.0, 9.0]), np.array([3.0, 4.0, 5.0]))
    at_rest = box(11.0)
    moved = TetrahedralMesh(motion.moved(at_rest.points_mm), at_rest.cells, at_rest.labels, at_rest.names)
    there = on_mesh(session, at_rest, tmp_path / "rest", MeshMapsSettings(space="elastogram")).cell_data
    (session / "wavefield").mkdir()
    write_placement(session / "wavefield", LABEL, Placement("registered", motion, np.zeros((6, 6)), 0.0))
    found = on_mesh(session, moved, tmp_path / "moved").cell_data
    for name, values in there.items():
        assert found[name][0] == pytest.approx(values[0], rel=1e-6, abs=1e-9, nan_ok=True)
    write_mesh_maps(
        session,
        tmp_path / "moved-tetrahedra",
        tmp_path / "with",
        MeshMapsSettings(draws=0),
        lambda run, _: [("Stiff 1", run.informed)],
    )
    points = meshio.read(tmp_path / "with" / f"{LABEL}_surface-stiff-1.stl").points
    assert points.mean(axis=0) == pytest.approx(motion.moved(MIDDLE_MM), abs=1.0)
    assert not list((tmp_path / "with").glob("*draws*"))
    write_placement(session / "wavefield", LABEL, not_moved("failed", "Lost."))
    with pytest.raises(InputError, match="not known"):
        write_mesh_maps(session, tmp_path / "moved-tetrahedra", tmp_path / "with", MeshMapsSettings())


def _regions() -> dict[str, NDArray[np.bool_]]:
    rng, empty = np.random.default_rng(2), np.zeros((14, 12, 10), dtype=bool)
    ball = np.linalg.norm(np.indices(empty.shape).T - [6.0, 5.0, 4.0], axis=-1).T
    pieces = empty.copy()
    pieces[2:4, 2, 2] = pieces[4, 3, 3] = pieces[9, 9, 8] = pieces[0, 0, 0] = True
    return {
        "a voxel": (ball < 0.5),
        "a ball": (ball < 4.0),
        "a shell": (ball < 4.5) & (ball > 2.0),
        "a plate": (np.indices(empty.shape)[2] == 9),
        "pieces that touch": pieces,
        "all of it": ~empty,
        "crumbs": rng.random(empty.shape) < 0.2,
    }


@pytest.mark.parametrize("name", _regions())
def test_surfaces_are_closed_and_keep_the_volume(name: str, tmp_path: Path) -> None:
    """A simulator needs an inside: each edge has two sides, normals point outwards, and the volume is the voxels'."""
    mask = _regions()[name]
    (entry,) = write_surfaces(tmp_path, "sub-01", [(name, mask)], AFFINE_MM)
    path = tmp_path / str(entry["file"])
    assert b"world R A S, millimetres" in path.read_bytes()[:80]
    read = meshio.read(path)
    places, own = np.unique(read.points, axis=0, return_inverse=True)
    triangles = own.ravel()[read.cells_dict["triangle"]]
    forth = np.concatenate([triangles[:, [a, (a + 1) % 3]] for a in range(3)])
    edges, back = (sorted(map(tuple, one.tolist())) for one in (forth, forth[:, ::-1]))
    assert edges == back
    a, b, c = (places[triangles[:, k]].astype(float) for k in range(3))
    volume_mm3 = float(np.einsum("ni,ni->", a, np.cross(b, c)) / 6.0)
    assert volume_mm3 == pytest.approx(mask.sum() * VOXEL_MM3, rel=0.02)
    assert entry["volume_ml"] == pytest.approx(volume_mm3 / 1e3, rel=1e-3)
    middle = (np.argwhere(mask) @ AFFINE_MM[:3, :3].T + AFFINE_MM[:3, 3]).mean(axis=0)
    centroid = np.einsum("ni,nj->j", np.einsum("ni,ni->n", a, np.cross(b, c))[:, None], a + b + c) / (24.0 * volume_mm3)
    assert centroid == pytest.approx(middle, abs=0.5)


def test_names_of_surfaces(tmp_path: Path) -> None:
    """Names become ASCII, no file replaces another, and an empty region has none."""
    mask = _regions()["a voxel"]
    given = [("Läsion 1/steif", mask), ("Lasion 1 steif", mask), ("脑", mask), ("nothing", mask & False)]
    entries = write_surfaces(tmp_path, "sub-01", given, AFFINE_MM)
    names = ["lasion-1-steif", "lasion-1-steif-2", "region"]
    assert [one["file"] for one in entries] == [f"sub-01_surface-{name}.stl" for name in names]
    assert surface_of(mask, AFFINE_MM).volume_mm3 == pytest.approx(VOXEL_MM3, rel=1e-3)


def test_command(session: Path, tmp_path: Path, palpate_inside: Callable[..., Outcome]) -> None:
    """A stranger's slips are told, each with what to do; one command's kinds of maps do not replace each other."""
    folder, out = tmp_path / "tetrahedra", tmp_path / "out"
    folder.mkdir()
    given = ("maps", session / "mre", "--mesh", folder, "--out", out)

    def refused(said: str, *words: object) -> None:
        done = palpate_inside(*(words or given))
        assert done.code == 2, done.printed
        assert said in " ".join(done.printed.split())

    refused("palpate mesh labels.nii.gz --names labels.tsv --out tetrahedra")
    (folder / "sub-01_zones.h5").write_bytes(b"")
    refused("found zones of the inversion")
    write_tetrahedra(folder / "labels_mesh.h5", box(5.0, 20, MIDDLE_MM + 200.0))
    refused("no part lies within the map")
    write_tetrahedra(folder / "labels_mesh.h5", box(11.0, 20))
    refused("found 21", *given, "--settings", '{"draws": 21}')
    refused("draws", *given, "--settings", '{"draws": -1}')
    refused("--derived beside it", *given, "--derived")
    refused("inside the input mre", *given[:-1], session / "mre" / "out")
    assert not out.exists()
    done = palpate_inside(*given)
    assert done.code == 0, done.printed
    assert "5 files of stiffness on tetrahedra" not in done.printed
    assert "6 files of stiffness on tetrahedra" in done.printed
    refused("maps on a mesh", "maps", session / "mre", "--derived", "--out", out)
    assert palpate_inside(*given).code == 0
    (session / "mre" / f"{LABEL}_samples.h5").unlink()
    refused("no joint draws")


@pytest.mark.long
@pytest.mark.parametrize("ranks", [1, 2])
def test_dolfinx_reads_the_page(ranks: int, session: Path, tmp_path: Path) -> None:
    """The finite elements that simulators use see the same mesh, on one rank and spread over two."""
    mesh = box(11.0)
    on_mesh(session, mesh, tmp_path / "out", MeshMapsSettings(draws=1))
    script = tmp_path / "read.py"
    script.write_text(
        "import sys\nfrom mpi4py import MPI\nimport dolfinx, ufl\nfrom dolfinx.io import XDMFFile\n"
        "with XDMFFile(MPI.COMM_WORLD, sys.argv[1], 'r') as file:\n    mesh = file.read_mesh(name='Grid')\n"
        "one = dolfinx.fem.form(dolfinx.fem.Constant(mesh, dolfinx.default_scalar_type(1.0)) * ufl.dx)\n"
        "volume = MPI.COMM_WORLD.allreduce(dolfinx.fem.assemble_scalar(one).real)\n"
        "if MPI.COMM_WORLD.rank == 0:\n    print(mesh.topology.index_map(3).size_global, volume)\n"
    )
    launcher = ["mpiexec", "-n", str(ranks)] if ranks > 1 else []
    command = [*launcher, sys.executable, str(script), str(tmp_path / "out" / f"{LABEL}_mesh.xdmf")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    cells, volume_mm3 = done.stdout.split()[-2:]
    assert int(cells) == len(mesh.cells)
    assert float(volume_mm3) == pytest.approx(mesh.volumes_mm3.sum())
