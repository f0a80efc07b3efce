"""`palpate mesh` on labels, as a user meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import meshio
import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.files.nifti import write_nifti
from palpate.meshing.conforming.mesh_file import read_tetrahedra
from palpate.run_crate.names import CRATE, SIGNATURE
from tests.conftest import Outcome
from tests.meshing.conforming.cases import AFFINE, balls

type Inside = Callable[..., Outcome]


def _labels(folder: Path, labels: NDArray[np.int32]) -> Path:
    path = folder / "labels.nii.gz"
    write_nifti(path, labels.astype(np.int16), AFFINE)
    (folder / "labels.tsv").write_text("index\tname\n1\tshell\n2\tcore\n", encoding="utf-8")
    return path


def test_labels_to_folder(tmp_path: Path, palpate_inside: Inside) -> None:
    """What goes on from here finds mesh, names and quality; the report's figures are those of the mesh in the file."""
    body = balls(10.0, 6.0)
    done = palpate_inside("mesh", _labels(tmp_path, body.labels), "--out", tmp_path / "mesh")
    assert done.code == 0, done.printed
    names = {f"labels_mesh.{kind}" for kind in ("h5", "vtu", "json", "png")}
    assert {path.name for path in (tmp_path / "mesh").iterdir()} == names | {".palpate", CRATE, SIGNATURE}
    mesh = read_tetrahedra(tmp_path / "mesh" / "labels_mesh.h5")
    report = json.loads((tmp_path / "mesh" / "labels_mesh.json").read_text())
    assert dict(mesh.names) == {1: "shell", 2: "core"}
    assert report["tetrahedra"] == len(mesh.cells)
    assert report["least_dihedral_angle_deg"] >= 10
    for entry in report["labels"]:
        assert entry["voxel_volume_mm3"] == np.count_nonzero(body.labels == entry["index"])
        assert entry["mesh_volume_mm3"] == pytest.approx(entry["voxel_volume_mm3"], rel=0.02)
    seen = meshio.read(tmp_path / "mesh" / "labels_mesh.vtu")
    assert np.array_equal(seen.cell_data["label"][0], mesh.labels)
    assert np.array_equal(seen.points, mesh.points_mm)
    assert str(tmp_path) not in json.dumps(report)
    _demand_whole_files(tmp_path / "mesh" / "labels_mesh.h5")


def _demand_whole_files(path: Path) -> None:
    """A mesh cut off anywhere is refused."""
    whole = path.read_bytes()
    for share in (0.0, 0.3, 0.95):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match="palpate mesh"):
            read_tetrahedra(path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--settings", '{"tetrahedra": {"edge_mm": 0}}'], "tetrahedra.edge_mm"),
        (["--settings", '{"tetrahedra": {"edge_mm": 9}}'], "at least edge_mm"),
        (["--settings", '{"tetrahedra": {"size": 2}}'], "unknown key tetrahedra.size"),
        (["--settings", '{"tetrahedra": {"largest_memory_mb": 0.1}}'], "labels.nii.gz: found"),
        (["--names", "other.tsv"], "other.tsv: found no such file"),
    ],
)
def test_refused(arguments: list[str], said: str, tmp_path: Path, palpate_inside: Inside) -> None:
    """Exit code 2, one sentence, and no folder that would pass for a result."""
    path = _labels(tmp_path, balls(6.0, 4.0).labels)
    done = palpate_inside("mesh", path, "--out", tmp_path / "mesh", *arguments)
    assert done.code == 2
    assert said in done.printed
    assert not (tmp_path / "mesh").exists()


def test_names_belong_to_labels(tmp_path: Path, palpate_inside: Inside) -> None:
    """Names given with a wave field were meant for something else."""
    done = palpate_inside("mesh", tmp_path, "--out", tmp_path / "mesh", "--names", "labels.tsv")
    assert done.code == 2
    assert "--names" in done.printed
