"""A twin on several ranks: the files of a calibration and of its forecast have the bytes of one rank."""

from __future__ import annotations

import hashlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from mpi4py import MPI

from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.calibration_file import load_calibration
from palpate.twin.products.calibration_folder import calibrate_into
from palpate.twin.products.forecast_folder import forecast_into
from tests.twin.small import SETTINGS, history

# Numbers of draws, stiffnesses and directions that two ranks do not share evenly.
UNEVEN = SETTINGS.model_copy(
    update={"max_iterations": 2, "draws": 21, "displacement_stiffness_draws": 3, "stiffness_modes": 3}
)
DAYS = [20.0, 35.0]


def digests(folder: Path) -> dict[str, str]:
    """Digests of all files below a folder but HDF5's, whose pages may be laid out in another way."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".h5"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def arrays(path: Path) -> dict[str, np.ndarray]:
    """All data sets of an HDF5 file."""
    found: dict[str, np.ndarray] = {}

    def take(name: str, one: h5py.Group | h5py.Dataset) -> None:
        if isinstance(one, h5py.Dataset):
            found[name] = one[()]

    with h5py.File(path, "r") as file:
        file.visititems(take)
    return found


@pytest.mark.long
@pytest.mark.mpi
def test_ranks_change_no_byte(shared_tmp_path: Path) -> None:
    """The workflow takes as many ranks as cores are free: a result must not tell how busy the machine was."""
    comm = MPI.COMM_WORLD
    made: dict[str, Calibration] = {}
    for name, ranks in (("alone", MPI.COMM_SELF), ("shared", comm)):
        if name == "shared" or comm.rank == 0:
            made[name] = calibrate_into(history(), UNEVEN, shared_tmp_path / name, comm=ranks)
            ranks.Barrier()
            twin = made[name] if name == "alone" else load_calibration(shared_tmp_path / name / "calibration.h5")
            forecast_into(twin, DAYS, shared_tmp_path / f"{name}-forecast", comm=ranks)
        comm.Barrier()
    if comm.rank == 0:
        one, other = (arrays(shared_tmp_path / name / "calibration.h5") for name in ("alone", "shared"))
        assert one.keys() == other.keys()
        for name, values in one.items():
            np.testing.assert_array_equal(values, other[name], err_msg=name)
        for end in ("", "-forecast"):
            assert digests(shared_tmp_path / f"alone{end}") == digests(shared_tmp_path / f"shared{end}")
    assert np.array_equal(made["shared"].mode, comm.bcast(made["shared"].mode))
