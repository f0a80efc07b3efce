"""The inversion of blocks that comes first, as `palpate invert` runs it: killed in the middle, and on two ranks."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.imaging.files.wavefield_folder import write_wave_field
from palpate.run_crate.names import CRATE, SIGNATURE
from palpate.solvers.inversion.posterior.joint import TOLERANCE
from tests.conftest import BIN, run
from tests.solvers.inversion.tetrahedra import BACKGROUND_PA, scanned, wave_through

LABEL = "sub-box"
SHAPE = (13, 10, 10)
FREQUENCY_HZ = 50.0
"""Shear waves of 35 mm, which blocks of 4 mm carry."""

MESH = {"zone_width_mm": 18.0, "zone_stride_mm": 8.0}
SETTINGS = {"samples": 20, "hessian_rank": 40, "fit_prior": False}
KILLED_AT = 3
"""Each evaluation of blocks writes the file of one zone."""


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wave field, its mesh, and `whole`: what a run that nobody kills makes of them."""
    home = tmp_path_factory.mktemp("given")
    (home / "wavefield").mkdir()
    waves = wave_through(lambda x: BACKGROUND_PA * (1.0 + 20.0 * x[:, 0]), SHAPE, 3e-3, FREQUENCY_HZ)
    write_wave_field(home / "wavefield", scanned(waves, 0.02, 1, FREQUENCY_HZ))
    done = run("palpate", "mesh", "wavefield", "--settings", json.dumps(MESH), "--out", "mesh", cwd=home)
    assert done.returncode == 0, done.stderr
    done = run("palpate", *_arguments("whole"), cwd=home)
    assert done.returncode == 0, done.stderr
    assert "first on blocks of voxels" in done.stderr
    return home


def _arguments(out: str) -> list[str]:
    return ["invert", "wavefield", "--mesh", "mesh", "--settings", json.dumps(SETTINGS), "--out", out]


def _record(out: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((out / f"{LABEL}_inversion.json").read_text())
    return content


def _log_draws(out: Path) -> NDArray[np.float64]:
    with h5py.File(out / f"{LABEL}_samples.h5") as file:
        return np.log(np.asarray(file["storagemodulus_kpa"], dtype=np.float64))


@pytest.mark.long
def test_killed_on_blocks_goes_on_to_the_same_bits(given: Path) -> None:
    """The blocks keep a checkpoint of their own: its loss, or its confusion with the voxels', would change results."""
    program = (BIN / "python", Path(__file__).parent / "killed_invert.py", KILLED_AT)
    done = run(*program, *_arguments("killed"), cwd=given)
    assert done.returncode != 0
    left = given / ".unfinished-killed"
    zones = list(left.rglob("zone-*.npz"))
    assert zones
    assert all("blocks" in path.parts for path in zones)  # the voxels' turn had not come
    done = run("palpate", *_arguments("killed"), cwd=given)
    assert done.returncode == 0, done.stderr
    assert not left.exists()
    for path in (given / "whole").iterdir():
        if not path.name.endswith(("_inversion.json", CRATE, SIGNATURE)):
            assert (given / "killed" / path.name).read_bytes() == path.read_bytes(), path.name
    whole, resumed = (_record(given / name)["counts"] for name in ("whole", "killed"))
    assert resumed["factorisations"] < whole["factorisations"]  # type: ignore[index]


@pytest.mark.long
def test_two_ranks_start_from_the_same_blocks(given: Path) -> None:
    """One rank has the only zone of the blocks and the other waits; the answer is the same to the steps' tolerance."""
    done = run("mpiexec", "-n", 2, BIN / "palpate", *_arguments("ranks"), cwd=given)
    assert done.returncode == 0, done.stderr
    whole, ranks = _log_draws(given / "whole"), _log_draws(given / "ranks")
    steps = len(_record(given / "whole")["iterations"])  # type: ignore[arg-type]
    assert np.abs(ranks - whole).max() <= 2 * TOLERANCE * (steps + 1) * whole.std(axis=0).max()
