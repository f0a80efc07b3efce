"""Maps on disk: what is written is what is read, and nothing half-written is ever seen."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from palpate.errors import InputError
from palpate.imaging.files.maps import read_map, read_mask, sidecar_path, write_map, write_mask

OBLIQUE_MM = np.array([[1.9, 0.3, -0.2, -40.0], [-0.35, 1.95, 0.4, 12.0], [0.25, -0.3, 3.9, 7.5], [0.0, 0.0, 0.0, 1.0]])


def _values() -> np.ndarray:
    values = np.random.default_rng(3).lognormal(1.0, 0.3, size=(5, 4, 3)).astype(np.float32)
    values[0, 0, 0] = np.nan
    return values


def test_round_trip_is_exact(tmp_path: Path) -> None:
    """Every later step (page, DICOM, scores) trusts the file: values, NaN, place and unit must survive."""
    path = tmp_path / "new" / "sub-01_stat-mean_storagemodulus.nii.gz"
    write_map(path, _values(), OBLIQUE_MM, units="kPa", description="posterior mean", source_digest="abc")
    back = read_map(path, units="kPa")
    np.testing.assert_array_equal(back.values, _values())
    np.testing.assert_allclose(back.affine_mm, OBLIQUE_MM.astype(np.float32))
    assert (back.units, back.description, back.source_digest) == ("kPa", "posterior mean", "abc")
    assert not back.covered[0, 0, 0]
    assert back.covered.sum() == back.values.size - 1


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    """Digests in the provenance only mean something when writing is deterministic."""
    for name in ("a", "b"):
        write_map(tmp_path / f"{name}.nii.gz", _values(), OBLIQUE_MM, units="kPa", description="")
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A map that is half there would be read as a result; the old one must stay and no temporary remain."""
    path = tmp_path / "map.nii.gz"
    write_map(path, _values(), OBLIQUE_MM, units="kPa", description="old")
    before = [path.read_bytes(), sidecar_path(path).read_bytes()]

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nibabel.save", full_disk)
    with pytest.raises(InputError, match="No space"):
        write_map(path, 2 * _values(), OBLIQUE_MM, units="kPa", description="new")
    assert [path.read_bytes(), sidecar_path(path).read_bytes()] == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["map.json", "map.nii.gz"]


def test_mask_round_trip(tmp_path: Path) -> None:
    """The informed mask decides which voxels are scored; one flipped voxel would move every figure."""
    mask = np.random.default_rng(5).random((6, 5, 4)) > 0.5
    write_mask(tmp_path / "m.nii.gz", mask, OBLIQUE_MM, description="informed")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.nii.gz"), mask)


@pytest.mark.parametrize(
    ("values", "affine", "units"),
    [
        (np.zeros((2, 2)), np.eye(4), "kPa"),
        (np.zeros((2, 2, 2)), np.eye(3), "kPa"),
        (np.zeros((2, 2, 2)), np.zeros((4, 4)), "kPa"),
        (np.zeros((2, 2, 2)), np.eye(4), ""),
    ],
)
def test_what_is_no_map_is_refused(tmp_path: Path, values: np.ndarray, affine: np.ndarray, units: str) -> None:
    """A map is valid at birth, so that no reader needs to doubt it."""
    with pytest.raises(ValueError, match=r"values|affine|units"):
        write_map(tmp_path / "m.nii.gz", values, affine, units=units, description="")
    assert not list(tmp_path.iterdir())


def test_bad_files_are_the_users_input(tmp_path: Path) -> None:
    """Missing, truncated, foreign and wrongly labelled files must end in one clear sentence, not a traceback."""
    path = tmp_path / "map.nii.gz"
    with pytest.raises(InputError, match="no such file"):
        read_map(path)
    write_map(path, _values(), OBLIQUE_MM, units="Pa", description="")
    with pytest.raises(InputError, match="Units 'Pa'"):
        read_map(path, units="kPa")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError):
        read_map(path)
    path.write_text("not an image")
    with pytest.raises(InputError):
        read_map(path)
    path.write_bytes(whole)
    for content in ("{", json.dumps([1])):
        sidecar_path(path).write_text(content)
        with pytest.raises(InputError):
            read_map(path)
