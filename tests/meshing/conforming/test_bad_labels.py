"""Labels, tables and settings that make no mesh: each is refused with a sentence that says where and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from palpate.config.mesh import TetrahedraSettings
from palpate.errors import InputError
from palpate.imaging.anatomy.segmentation import Segmentation, read_segmentation
from palpate.imaging.files.nifti import write_nifti
from palpate.meshing.conforming.mesher import mesh_labels

SIDE = 16
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
INDEX = np.indices((SIDE,) * 3)
AWAY = np.linalg.norm(np.moveaxis(INDEX, 0, -1) - 7.5, axis=-1)
BALL = (AWAY < 6.0).astype(np.int32)


def _segmentation(labels: NDArray[np.integer]) -> Segmentation:
    numbers = [int(number) for number in np.unique(labels) if number]
    return Segmentation(labels.astype(np.int32), {number: f"part{number}" for number in numbers}, AFFINE)


def _with_second(where: NDArray[np.bool_]) -> NDArray[np.int32]:
    labels = BALL.copy()
    labels[where & (BALL > 0)] = 2
    return labels


def _random(highest: int, lowest: int = 0) -> NDArray[np.integer]:
    return np.random.default_rng(0).integers(lowest, highest + 1, (SIDE,) * 3)


THIN = {
    "checkerboard": 1 + INDEX.sum(axis=0) % 2,
    "checkerboard of one": INDEX.sum(axis=0) % 2,
    "noise of two": _random(2),
    "noise of five": _random(5, 1),
    "diagonal line": ((INDEX[0] == 7) & (INDEX[1] == INDEX[2])).astype(np.int32),
    "hollow shell": BALL - (AWAY < 5.3),
    "planes": 1 + INDEX[0] % 2,
    "dust": (np.random.default_rng(1).random((SIDE,) * 3) < 0.02).astype(np.int32),
    "dot inside": _with_second(AWAY < 1.0),
    "needle inside": _with_second((INDEX[1] == 7) & (INDEX[2] == 7)),
    "membrane inside": _with_second(INDEX[0] == 8),
    "far speck": BALL + 2 * (INDEX.sum(axis=0) == 0),
}


@pytest.mark.parametrize("labels", THIN.values(), ids=THIN.keys())
def test_what_is_thinner_than_an_element(labels: NDArray[np.integer]) -> None:
    """Elements of 6 mm on voxels of 2 mm: the sentence names the label, a place in it, how much of it, and the cure."""
    with pytest.raises(InputError) as refused:
        mesh_labels(_segmentation(labels), TetrahedraSettings(edge_mm=6.0), "labels.nii.gz")
    said = str(refused.value)
    for part in ("labels.nii.gz", "'part", "voxels", "RAS", " mm", "edge_mm = 6"):
        assert part in said


@pytest.mark.parametrize("labels", [np.ones((SIDE,) * 3), BALL], ids=["up to the image's border", "a ball"])
def test_what_is_thick_enough(labels: NDArray[np.integer]) -> None:
    """The refusals above must come from thinness: the same size without it is meshed."""
    assert len(mesh_labels(_segmentation(labels), TetrahedraSettings(edge_mm=6.0)).mesh.cells) > 0


def test_a_modulus_for_a_name_that_is_not_there() -> None:
    """`tumor` for `tumour` would leave the waves in it without elements, and nobody would know."""
    settings = TetrahedraSettings(edge_mm=6.0, frequency_hz=50.0, modulus_kpa={"tumor": 1.0})
    with pytest.raises(InputError, match=r"a modulus for 'tumor'.*part1"):
        mesh_labels(_segmentation(BALL), settings)


def test_waves_that_need_more_than_there_is() -> None:
    """Elements follow waves: 2 kHz in 1 kPa needs 0.06 mm, 40 million elements, which must be refused, not begun."""
    settings = TetrahedraSettings(edge_mm=6.0, frequency_hz=2000.0, modulus_kpa={"part1": 1.0})
    with pytest.raises(InputError, match=r"0\.062 mm for the waves in 'part1'.*elements_per_wavelength"):
        mesh_labels(_segmentation(BALL), settings)


@pytest.mark.parametrize(
    "values",
    [
        {"edge_mm": float("nan")},
        {"edge_mm": float("inf")},
        {"edge_mm": -1.0},
        {"edge_mm": "thin"},
        {"gradation": 2.0},
        {"gradation": -0.1},
        {"largest_mm": 1.0},
        {"frequency_hz": 0.0, "modulus_kpa": {"a": 1.0}},
        {"frequency_hz": 50.0},
        {"modulus_kpa": {"a": 1.0}},
        {"frequency_hz": 50.0, "modulus_kpa": {"a": -1.0}},
        {"frequency_hz": 50.0, "modulus_kpa": {"a": 1.0}, "elements_per_wavelength": 0.0},
        {"density_kg_m3": 0.0},
        {"largest_memory_mb": -1.0},
    ],
    ids=str,
)
def test_settings_that_say_nothing(values: Mapping[str, object]) -> None:
    """A length that is none, a frequency without a speed: the file says which, before anything is read."""
    with pytest.raises(ValidationError):
        TetrahedraSettings.model_validate(values)


TABLES: Mapping[str, bytes] = {
    "commas": b"index,name\n1,grey\n",
    "negative": b"index\tname\n-1\tgrey\n",
    "zero": b"index\tname\n0\tgrey\n",
    "no name": b"index\tname\n1\n",
    "name of two lines": b'index\tname\n1\t"grey\nmatter"\n',
    "name with a null": b"index\tname\n1\tgrey\x00\n",
    "name of a novel": b"index\tname\n1\t" + b"a" * 5000 + b"\n",
    "number of twenty digits": b"index\tname\n99999999999999999999\tgrey\n",
    "digits of another script": "index\tname\n\u0661\tgrey\n".encode(),
    "two columns of names": b"index\tname\tname\n1\tgrey\twhite\n",
    "UTF-16 without its mark": "index\tname\n1\tgrey\n".encode("utf-16-le"),
    "Latin-1": "index\tname\n1\tmati\xe8re\n".encode("latin-1"),
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_tables_that_name_nothing(table: bytes, tmp_path: Path) -> None:
    """A name is what moduli are given to, and what a planner reads: it must be one, and the only one."""
    write_nifti(tmp_path / "labels.nii.gz", BALL.astype(np.int16), AFFINE)
    (tmp_path / "labels.tsv").write_bytes(table)
    with pytest.raises(InputError, match=r"labels\.tsv"):
        read_segmentation(tmp_path / "labels.nii.gz", tmp_path / "labels.tsv")


def _missing(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _text(path: Path) -> None:
    path.write_text("index\tname\n" * 40)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _flat(path: Path) -> None:
    write_nifti(path, BALL[:, :, 0].astype(np.int16), AFFINE)


def _two_volumes(path: Path) -> None:
    write_nifti(path, np.stack([BALL, BALL], axis=-1).astype(np.int16), AFFINE)


@pytest.mark.parametrize("spoil", [_missing, _empty, _half, _text, _folder, _flat, _two_volumes])
def test_files_of_labels_that_are_none(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    """Whatever lies at the path, the answer is a sentence with the file's name, not a traceback."""
    path = tmp_path / "labels.nii.gz"
    write_nifti(path, BALL.astype(np.int16), AFFINE)
    (tmp_path / "labels.tsv").write_text("index\tname\n1\tgrey\n")
    spoil(path)
    with pytest.raises(InputError, match=r"labels\.nii\.gz"):
        read_segmentation(path, tmp_path / "labels.tsv")
