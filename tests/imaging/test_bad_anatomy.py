"""Anatomies, drawn masks and records of registration that are none: each is refused with a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from palpate.errors import InputError
from palpate.imaging.anatomy.anatomy import read_anatomy_image
from palpate.imaging.anatomy.user_mask import read_user_mask
from palpate.imaging.files.nifti import Volume, write_nifti
from palpate.imaging.registration.placement import ENDING, Placement, read_placement, write_placement
from palpate.imaging.registration.rigid import Rigid

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
VALUES = np.random.default_rng(0).uniform(1.0, 9.0, (12, 12, 12))

type Spoil = Callable[[Path], None]


def _missing(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _text(path: Path) -> None:
    path.write_text("not an image " * 50)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _colours(path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")]), AFFINE), path)


def _complex(path: Path) -> None:
    nib.save(nib.Nifti1Image(VALUES.astype(np.complex64), AFFINE), path)


def _flat(path: Path) -> None:
    write_nifti(path, np.round(VALUES[:, :, 0] / 9.0).astype(np.float32), AFFINE)


def _two_volumes(path: Path) -> None:
    write_nifti(path, np.stack([VALUES > 5.0, VALUES > 6.0], axis=-1).astype(np.float32), AFFINE)


def _nothing(path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((0, 3, 3), dtype=np.float32), AFFINE), path)


SPOILS = (_missing, _empty, _half, _text, _folder, _colours, _complex, _flat, _two_volumes, _nothing)


@pytest.mark.parametrize("spoil", SPOILS)
def test_files_that_are_no_anatomy(spoil: Spoil, tmp_path: Path) -> None:
    """A T1 is optional; a broken one must not be left out without a word."""
    path = tmp_path / "t1.nii.gz"
    write_nifti(path, VALUES.astype(np.float32), AFFINE)
    spoil(path)
    with pytest.raises(InputError):
        read_anatomy_image(path, ())


@pytest.mark.parametrize("spoil", SPOILS)
def test_files_that_are_no_mask(spoil: Spoil, tmp_path: Path) -> None:
    """Who drew a mask wants it taken: falling back on another one would be a guess."""
    path = tmp_path / "mask.nii.gz"
    write_nifti(path, (VALUES > 5.0).astype(np.uint8), AFFINE)
    spoil(path)
    with pytest.raises(InputError, match=r"mask\.nii\.gz"):
        read_user_mask(path, Volume(VALUES, AFFINE))


def _covariance(change: Callable[[np.ndarray], np.ndarray]) -> Mapping[str, object]:
    return {"covariance": change(np.eye(6)).tolist()}


@pytest.mark.parametrize(
    "change",
    [
        {"status": "splendid"},
        {"status": 3},
        {"values": [0.0] * 5},
        {"values": [float("nan")] * 6},
        {"values": ["one"] * 6},
        {"centre_mm": None},
        {"centre_mm": [0.0, 0.0]},
        _covariance(lambda c: c[:5]),
        _covariance(lambda c: -c),
        _covariance(lambda c: c * np.nan),
        _covariance(lambda c: np.triu(c + 0.5)),
        _covariance(lambda c: c + 3.0 * (1.0 - c)),
        {"uncertainty_mm": "small"},
        {"uncertainty_mm": -1.0},
        {"uncertainty_mm": float("inf")},
        {"figures": 3},
        {"doubts": "none"},
        {"doubts": [1]},
    ],
    ids=str,
)
def test_records_that_no_registration_left(change: Mapping[str, object], tmp_path: Path) -> None:
    """Draws from a covariance that is none, or a motion of five numbers, would misplace stiffness with certainty."""
    placement = Placement("registered", Rigid(np.zeros(6), np.zeros(3)), np.eye(6), 0.5, {"moved_mm": 1.0})
    write_placement(tmp_path, "sub-01", placement)
    path = tmp_path / f"sub-01{ENDING}"
    content = json.loads(path.read_text())
    assert read_placement(tmp_path, "sub-01").usable
    for name, value in change.items():
        (content if name in content else content["mre_to_t1w"])[name] = value
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="palpate ingest"):
        read_placement(tmp_path, "sub-01")
