"""Voxels and meshes on one rank or several: the same numbers, to rounding, as the serial operators give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI

from palpate.errors import InputError
from palpate.meshing.field_file import MeshFields, read_fields, write_fields
from palpate.meshing.transfer import overlap
from palpate.solvers.mesh_transfer import (
    distribute_labels,
    gather_cells,
    gather_nodes,
    scatter_cells,
    scatter_nodes,
    voxel_transfer,
)
from tests.meshing.test_transfer import GRID, SHAPE, shaken

pytestmark = pytest.mark.mpi

COMM = MPI.COMM_WORLD


def test_ranks_agree_with_serial_operators() -> None:
    """Growth on a cluster must start from the same density as on a laptop, and hand the same one back."""
    mesh = shaken()
    serial = overlap(mesh.points_mm, mesh.cells, GRID, SHAPE)
    domain, labels = distribute_labels(COMM, mesh if COMM.rank == 0 else None)
    assert COMM.allreduce(len(labels.values)) == len(mesh.cells)
    assert COMM.allreduce(int((labels.values == 2).sum())) == int((mesh.labels == 2).sum())
    transfer = voxel_transfer(domain, GRID, SHAPE)
    voxels = np.random.default_rng(4).random(SHAPE)
    nodes, cells = transfer.to_nodes(voxels), transfer.to_cells(voxels)
    expected_nodes, expected_cells = serial.nodes_from_voxels(voxels), serial.cells_from_voxels(voxels)
    for found, expected in ((gather_nodes(nodes), expected_nodes), (gather_cells(cells), expected_cells)):
        if found is not None:
            assert found == pytest.approx(expected, rel=1e-12)
    assert transfer.from_nodes(nodes) == pytest.approx(serial.voxels_from_nodes(expected_nodes), rel=1e-12, nan_ok=True)
    assert transfer.from_cells(cells) == pytest.approx(serial.voxels_from_cells(expected_cells), rel=1e-12, nan_ok=True)


def test_values_find_their_nodes_and_cells() -> None:
    """What one number of ranks wrote, another reads: values follow the file's numbers, not the ranks'."""
    mesh = shaken()
    domain, _ = distribute_labels(COMM, mesh if COMM.rank == 0 else None)
    transfer = voxel_transfer(domain, GRID, SHAPE)
    slope = np.array([1.0, -2.0, 0.5])
    root = COMM.rank == 0
    linear = scatter_nodes(transfer.linear, mesh.points_mm @ slope if root else None)
    places_mm = 1e3 * transfer.linear.tabulate_dof_coordinates()
    assert linear.x.array.real == pytest.approx(places_mm @ slope)
    constant = scatter_cells(transfer.constant, mesh.points_mm[mesh.cells].mean(axis=1) @ slope if root else None)
    middles_mm = 1e3 * transfer.constant.tabulate_dof_coordinates()
    assert constant.x.array.real == pytest.approx(middles_mm @ slope)


def test_all_ranks_refuse_alike() -> None:
    """A rank that alone refuses would leave the others waiting for ever."""
    mesh = shaken()
    domain, _ = distribute_labels(COMM, mesh if COMM.rank == 0 else None)
    far = GRID.copy()
    far[:3, 3] += 12.0
    with pytest.raises(InputError, match="outside the voxels"):
        voxel_transfer(domain, far, SHAPE)


def test_what_one_number_of_ranks_wrote_any_number_reads(shared_tmp_path: Path) -> None:
    """A restart through the file: gathered, written by rank 0, read and spread again, the values are the same bits."""
    mesh = shaken()
    domain, _ = distribute_labels(COMM, mesh if COMM.rank == 0 else None)
    transfer = voxel_transfer(domain, GRID, SHAPE)
    voxels = np.random.default_rng(6).random(SHAPE)
    nodes, cells = transfer.to_nodes(voxels), transfer.to_cells(voxels)
    gathered_nodes, gathered_cells = gather_nodes(nodes), gather_cells(cells)
    read = None
    if COMM.rank == 0:
        assert gathered_nodes is not None
        assert gathered_cells is not None
        fields = MeshFields(mesh, {"density": gathered_nodes}, {"amount": gathered_cells})
        write_fields(shared_tmp_path, "state", fields)
        read = read_fields(shared_tmp_path / "state.h5")
    again, _ = distribute_labels(COMM, None if read is None else read.mesh)
    restarted = voxel_transfer(again, GRID, SHAPE)
    back_nodes = scatter_nodes(restarted.linear, None if read is None else read.nodes["density"])
    back_cells = scatter_cells(restarted.constant, None if read is None else read.cells["amount"])
    for found, expected in ((gather_nodes(back_nodes), gathered_nodes), (gather_cells(back_cells), gathered_cells)):
        if found is not None:
            np.testing.assert_array_equal(found, expected)
    assert restarted.from_nodes(back_nodes) == pytest.approx(transfer.from_nodes(nodes), rel=1e-12, nan_ok=True)


def test_the_amount_is_the_same_on_any_number_of_ranks() -> None:
    """Conserved and within bounds, whoever owns the cells: what voxels hold is what nodes and cells hold together."""
    mesh = shaken()
    domain, _ = distribute_labels(COMM, mesh if COMM.rank == 0 else None)
    transfer = voxel_transfer(domain, GRID, SHAPE)
    voxels = np.random.default_rng(7).integers(0, 2, SHAPE).astype(float)
    amount = (voxels * transfer.volumes_mm3).sum()
    nodes, cells = transfer.to_nodes(voxels), transfer.to_cells(voxels)
    for field, back in ((nodes, transfer.from_nodes(nodes, 0.0)), (cells, transfer.from_cells(cells, 0.0))):
        assert (back * transfer.volumes_mm3).sum() == pytest.approx(amount, rel=1e-12)
        assert field.x.array.real.min() >= 0.0
        assert field.x.array.real.max() <= 1.0 + 4 * np.finfo(float).eps
    broken = voxels.copy()
    broken[3, 3, 3] = np.nan
    with pytest.raises(ValueError, match="finite numbers is needed"):
        transfer.to_nodes(broken)
    with pytest.raises(ValueError, match="finite numbers is needed"):
        transfer.to_cells(broken)
