"""The file of zones is read by a long, costly step: what is not exactly in order must stop it at the start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from palpate.errors import InputError
from palpate.meshing.zone_file import check_zones, read_zones, write_zones
from palpate.meshing.zones import Zone, cut_zones
from tests.meshing.masks import ragged_mask

MASK = ragged_mask((14, 13, 11), 0)
ZONES = cut_zones(MASK, width_voxels=(9, 9, 9), stride_voxels=(6, 6, 6))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of zones in order."""
    write_zones(tmp_path / "zones.h5", ZONES)
    return tmp_path / "zones.h5"


def test_round_trip(path: Path) -> None:
    """The inversion must not depend on whether its zones were cut just now or read."""
    again = read_zones(path)
    assert len(again) == len(ZONES)
    for zone, other in zip(ZONES, again, strict=True):
        assert other.refinement is None  # made anew from the lattice
        for attribute in fields(Zone)[:-1]:
            before, after = getattr(zone, attribute.name), getattr(other, attribute.name)
            assert before.dtype == after.dtype
            np.testing.assert_array_equal(before, after)
    check_zones(again, MASK)


def test_equal_zones_give_equal_bytes(path: Path, tmp_path: Path) -> None:
    """Re-running a step must not change the digests of its outputs."""
    write_zones(tmp_path / "again.h5", ZONES)
    assert path.read_bytes() == (tmp_path / "again.h5").read_bytes()


def _edit(change: Callable[[h5py.File], object]) -> Callable[[Path], object]:
    def apply(path: Path) -> None:
        with h5py.File(path, "a") as file:
            change(file)

    return apply


def _replaced(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], object]:
    def apply(file: h5py.File) -> None:
        values = change(file[name][()])
        del file[name]
        file[name] = values

    return _edit(apply)


SPOILT: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "text": lambda path: path.write_text("zones"),
    "no format": _edit(lambda file: file.attrs.pop("format")),
    "later version": _edit(lambda file: file.attrs.modify("version", 2)),
    "array missing": _edit(lambda file: file.pop("share")),
    "group for an array": _edit(lambda file: (file.pop("share"), file.create_group("share"))),
    "fewer nodes": _replaced("share", lambda weight: weight[:-1]),
    "other type": _replaced("voxels", lambda voxels: voxels.astype(float)),
    "cells of 8 nodes": _replaced("cells", lambda cells: cells[:, :8]),
    "node that does not exist": _replaced("cells", lambda cells: cells + 10_000),
    "cells in another order": _replaced("cells", lambda cells: cells[:, ::-1]),
    "negative index": _replaced("voxels", lambda voxels: voxels - 10_000),
    "zones out of order": _replaced("first_node", lambda first: first[::-1]),
    "zone without cells": _replaced("first_cell", lambda first: np.r_[first[:1], first[:1], first[2:]]),
    "last zone missing": _replaced("first_cell", lambda first: first[:-1]),
    "share above one": _replaced("share", lambda weight: weight * 3),
    "share not a number": _replaced("share", lambda weight: weight * np.nan),
}


@pytest.mark.parametrize("what", SPOILT)
def test_spoilt_file_is_refused(what: str, path: Path) -> None:
    """Each of these would end in a traceback hours later, or worse, in a map."""
    SPOILT[what](path)
    with pytest.raises(InputError, match="palpate mesh"):
        read_zones(path)


@pytest.mark.parametrize(
    "other",
    [ragged_mask((14, 13, 11), 1), MASK[:, :, :-1], np.roll(MASK, 1, axis=0), ~MASK],
    ids=["other tissue", "smaller grid", "shifted", "inverse"],
)
def test_mesh_of_another_mask_is_refused(other: np.ndarray) -> None:
    """A mask that was mended after meshing would silently pair nodes with the wrong voxels' data."""
    with pytest.raises(InputError, match="another mask"):
        check_zones(ZONES, other)


def test_zones_that_do_not_share_are_refused() -> None:
    """A zone left out or put in twice leaves data out or counts them twice."""
    for zones in (ZONES[1:], [*ZONES, ZONES[0]], [replace(ZONES[0], weight=ZONES[0].weight / 2), *ZONES[1:]]):
        with pytest.raises(InputError, match="twice or in part"):
            check_zones(zones, MASK)
