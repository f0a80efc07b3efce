from __future__ import annotations

import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.anatomy.segmentation import read_segmentation
from palpate.imaging.files.nifti import write_nifti

AFFINE = np.diag([1.0, 2.0, 3.0, 1.0])
TABLE = "index\tname\tcolour\n1\tgrey\tred\n2\twhite\tblue\n9\tunused\tgreen\n"


def block() -> NDArray[np.float32]:
    labels = np.zeros((5, 6, 7), dtype=np.float32)
    labels[1:3], labels[3:5] = 1, 2
    return labels


def written(folder: Path, labels: NDArray[np.generic], table: str = TABLE) -> tuple[Path, Path]:
    write_nifti(folder / "labels.nii.gz", labels, AFFINE)
    (folder / "labels.tsv").write_text(table, encoding="utf-8")
    return folder / "labels.nii.gz", folder / "labels.tsv"


def test_labels_with_their_names(tmp_path: Path) -> None:
    """Volumes by name are what the mesh is held to; labels that no voxel has are no regions."""
    read = read_segmentation(*written(tmp_path, block()))
    assert dict(read.names) == {1: "grey", 2: "white"}
    assert read.volumes_mm3 == pytest.approx({1: 2 * 6 * 7 * 6.0, 2: 2 * 6 * 7 * 6.0})


def test_labels_stay_whole_numbers_of_four_bytes(tmp_path: Path) -> None:
    """A segmentation at 0.5 mm has hundreds of millions of voxels; as 8-byte numbers, copied, it would fill memory."""
    shape = (300, 300, 200)
    labels = np.zeros(shape, dtype=np.uint8)
    labels[100:200], labels[200:] = 1, 2
    path, table = written(tmp_path, labels)
    tracemalloc.start()
    try:
        read = read_segmentation(path, table)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read.labels.dtype == np.int32
    assert most < 12 * labels.size


def _with(value: float) -> NDArray[np.float32]:
    labels = block()
    labels[2, 2, 2] = value
    return labels


@pytest.mark.parametrize(
    ("labels", "table", "said"),
    [
        (np.zeros((4, 4, 4), np.float32), TABLE, "no voxel with a label above 0"),
        (_with(1.5), TABLE, "1 values that are no labels, such as 1.5"),
        (_with(np.nan), TABLE, "such as nan"),
        (_with(-1.0), TABLE, "such as -1"),
        (_with(1e12), TABLE, "such as 1e+12"),
        (_with(5.0), TABLE, "labels without a name: 5"),
        (np.ones((4, 4, 4, 2), np.float32), TABLE, "shape (4, 4, 4, 2)"),
        (block(), "number\tname\n1\tgrey\n", "no column 'index' in the header line"),
        (block(), "index\tname\n1\tgrey\n1\twhite\n", "for the second time on line 3"),
        (block(), "index\tname\n1\tgrey\n2\tgrey\n", "for the second time on line 3"),
        (block(), "index\tname\n1\t\n", "index '1' with name '' on line 2"),
        (block(), "index\tname\n1.0\tgrey\n", "index '1.0'"),
        (block(), "index\tname\n", "no line with a label"),
        (block(), "", "an empty file"),
    ],
)
def test_labels_nobody_can_mesh(labels: NDArray[np.float32], table: str, said: str, tmp_path: Path) -> None:
    """Each would else become a wrong region or a traceback deep in the mesher; the sentence says what to mend."""
    with pytest.raises(InputError) as refused:
        read_segmentation(*written(tmp_path, labels, table))
    assert said in str(refused.value)


def test_no_table(tmp_path: Path) -> None:
    """Regions without names cannot be given moduli."""
    path, table = written(tmp_path, block())
    table.unlink()
    with pytest.raises(InputError, match="no such file; expected a table of labels"):
        read_segmentation(path, table)


def test_truncated(tmp_path: Path) -> None:
    """Half a download must not be meshed as a smaller brain."""
    path, table = written(tmp_path, np.random.default_rng(0).integers(0, 3, (20, 20, 20)).astype(np.int16))
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(InputError, match="read to its end"):
        read_segmentation(path, table)


@pytest.mark.parametrize(
    ("affine", "said"),
    [
        (np.array([[1.0, 0.3, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "not orthogonal"),
        (np.diag([1.0, 1.0, 0.0, 1.0]), "singular"),
    ],
)
def test_affines_without_boxes(affine: NDArray[np.float64], said: str, tmp_path: Path) -> None:
    """The lattice lies along the voxels' axes, which must be three and at right angles."""
    path, table = written(tmp_path, block())
    image = nib.Nifti1Image(block(), None)
    image.header.set_sform(affine, code=1)
    nib.save(image, path)
    with pytest.raises(InputError, match=said):
        read_segmentation(path, table)
