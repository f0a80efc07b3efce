"""A forecast on tetrahedra holds the cells that it holds on voxels, and opens where meshes are looked at."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import meshio
import numpy as np
import pytest

from palpate.errors import InputError
from palpate.meshing.conforming.kuhn import kuhn_split
from palpate.meshing.conforming.mesh_file import write_tetrahedra
from palpate.meshing.conforming.tetrahedral_mesh import TetrahedralMesh
from palpate.meshing.field_file import read_fields
from palpate.twin.calibration.calibrate import Calibration, calibrate
from palpate.twin.calibration_file import save_calibration
from palpate.twin.forecast.predict import Forecast, predict
from palpate.twin.priors import INFILTRATED_ABOVE
from palpate.twin.products.forecast_folder import forecast_into
from palpate.twin.products.on_mesh import meshed_lattice
from tests.conftest import Command
from tests.twin.small import EDGE_MM, SETTINGS, SHAPE, history

CUBE_MM = 7.0


@pytest.fixture(scope="module")
def twin() -> Calibration:
    """A tumour whose calibration was stopped early: what is carried to a mesh need not be a good forecast."""
    return calibrate(history(), SETTINGS.model_copy(update={"max_iterations": 3, "draws": 20}))


def block(cubes: tuple[int, int, int], start_mm: tuple[float, float, float]) -> TetrahedralMesh:
    """A block of tetrahedra whose nodes lie anywhere but on a plane of voxels."""
    to_world = np.diag([CUBE_MM, CUBE_MM, CUBE_MM, 1.0])
    to_world[:3, 3] = start_mm
    mesh = kuhn_split(np.ones(cubes, dtype=np.int16), to_world, {1: "brain"})
    points = mesh.points_mm + np.random.default_rng(0).uniform(-0.8, 0.8, mesh.points_mm.shape)
    return TetrahedralMesh(points, mesh.cells, mesh.labels, mesh.names)


def integral_ml(points_mm: np.ndarray, cells: np.ndarray, values: np.ndarray) -> float:
    """Of a function that is linear in each cell."""
    corners = points_mm[cells]
    volumes = np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1])) / 6.0
    return float((volumes * values[cells].mean(axis=1)).sum()) / 1e3


@pytest.mark.long
def test_mesh_holds_the_cells_of_the_voxels(twin: Calibration, tmp_path: Path, palpate_inside: Command) -> None:
    """Read back by a foreign reader: the burden is the voxels', values stay in 0..1, bounds enclose the mean.

    The mesh reaches beyond the lattice, as a brain does, and its nodes are on no voxel.
    """
    mesh = block((10, 10, 10), (-8.0, -9.0, -10.0))
    given = tmp_path / "given"
    given.mkdir()
    write_tetrahedra(given / "labels_mesh.h5", mesh)
    save_calibration(twin, given / "calibration.h5")
    done = palpate_inside("forecast", given, "--after-days", 20, "--mesh", given, "--out", tmp_path / "forecast")
    assert done.code == 0, done.printed  # type: ignore[attr-defined]
    seen = meshio.read(tmp_path / "forecast" / "sub-small_day-90_mesh.xdmf")
    data = seen.point_data
    assert all(values.min() >= 0.0 and values.max() <= 1.0 for values in data.values())
    assert (data["density_lower"] <= data["density_upper"]).all()
    assert data["visible_probability"].max() > 0.5
    found = predict(twin, 90.0)
    burden_ml = integral_ml(seen.points, seen.cells_dict["tetra"], data["density_mean"])
    assert burden_ml == pytest.approx(found.burdens_ml().mean(), rel=1e-6)
    visible_ml = integral_ml(seen.points, seen.cells_dict["tetra"], data["visible_probability"])
    assert visible_ml == pytest.approx(found.volumes_ml(found.thresholds(INFILTRATED_ABOVE)).mean(), rel=1e-6)
    (told,) = json.loads((tmp_path / "forecast" / "forecast.json").read_text())["meshes"]
    assert told["share_of_cells_in_mesh"] == pytest.approx(1.0)
    again = read_fields(tmp_path / "forecast" / "sub-small_day-90_mesh.h5")
    assert np.array_equal(again.nodes["density_mean"], data["density_mean"])


@pytest.mark.long
def test_what_lies_outside_the_mesh_is_what_is_missing(twin: Calibration) -> None:
    """A mesh that ends within the tumour holds its own part of every voxel and no more."""
    tissue = twin.history.tissue
    sure = Forecast(90.0, np.full((len(twin.draws.xi), int(tissue.sum())), 0.25, np.float32), twin)
    mesh = block((4, 10, 10), (12.0, -9.0, -10.0))
    place = meshed_lattice(twin.history, mesh, Path("mesh"))
    inside = meshed_lattice(replace(twin.history, tissue=np.ones_like(tissue)), mesh, Path("mesh"))
    filled = inside.carry.T @ inside.node_volumes_mm3  # volume of each voxel within the mesh
    held_mm3 = 0.25 * filled.reshape(tissue.shape)[tissue].sum()
    burden_ml = integral_ml(mesh.points_mm, mesh.cells, place.fields(sure)["density_mean"])
    assert 1e3 * burden_ml == pytest.approx(held_mm3)
    assert held_mm3 < 0.9 * 0.25 * tissue.sum() * EDGE_MM**3


@pytest.mark.long
def test_bounds_are_those_of_each_draw_on_the_mesh(twin: Calibration) -> None:
    """Quantiles of carried draws, not carried quantiles: of a node's mean, errors of voxels partly cancel."""
    found = predict(twin, 90.0)
    place = meshed_lattice(twin.history, block((10, 10, 10), (-8.0, -9.0, -10.0)), Path("mesh"))
    carried = np.stack([place.carry @ draw.astype(np.float64) for draw in found.densities])
    fields = place.fields(found)
    assert np.allclose(fields["density_lower"], np.quantile(carried, 0.05, axis=0), atol=1e-12)
    assert np.allclose(fields["density_upper"], np.quantile(carried, 0.95, axis=0), atol=1e-12)


@pytest.mark.long
def test_mesh_of_another_place_is_refused_and_nothing_is_left(twin: Calibration, tmp_path: Path) -> None:
    """A mesh in the scanner's world of another date would show an empty brain."""
    far = block((4, 4, 4), tuple(2.0 * EDGE_MM * size for size in SHAPE))  # type: ignore[arg-type]
    (tmp_path / "mesh").mkdir()
    write_tetrahedra(tmp_path / "mesh" / "labels_mesh.h5", far)
    with pytest.raises(InputError, match="holds 0% of the tumour"):
        forecast_into(twin, [20.0], tmp_path / "forecast", tmp_path / "mesh")
    with pytest.raises(InputError, match="no such file"):
        forecast_into(twin, [20.0], tmp_path / "forecast", tmp_path / "nothing")
    assert not (tmp_path / "forecast").exists()
