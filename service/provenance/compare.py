"""Comparison of two files of one step: bit for bit, and by the numbers in them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from palpate.bounded_read import read_bounded
from palpate.content_digest import digest
from palpate.errors import InputError
from palpate.imaging.files.nifti import read_stored

VOLATILE: Final = frozenset({"seconds", "load_balance", "peak_memory_mb", "counts", "ranks", "versions"})
"""Keys of records that state how a run went and not what it found."""

type Numbers = Mapping[str, NDArray[np.float64]]


def is_same(one: Path, other: Path) -> bool:
    """Return whether two files are equal to the last bit, but for what records say of a run's seconds and counts.

    Args:
        one: a file.
        other: another file.
    """
    if digest(one) == digest(other):
        return True
    if one.suffix != ".json":
        return False
    try:
        return bool(_plain(_json(one)) == _plain(_json(other)))
    except ValueError:
        return False


def difference(one: Path, other: Path) -> float | None:
    """Return the largest difference of two files' numbers, relative to the largest magnitude of their array or column.

    Args:
        one: a file.
        other: another file.

    Returns:
        The difference; infinity where the files hold other arrays, texts or keys; None where files of this kind hold
        no numbers that can be compared.
    """
    numbers = [_numbers(path) for path in (one, other)]
    first, second = numbers
    if first is None or second is None:
        return None
    if first.keys() != second.keys():
        return math.inf
    return max((_apart(first[name], second[name]) for name in first), default=0.0)


def _apart(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the largest difference of two arrays over their largest magnitude."""
    if one.shape != other.shape or not np.array_equal(np.isfinite(one), np.isfinite(other)):
        return math.inf
    there = np.isfinite(one)
    if not there.any():
        return 0.0
    apart = float(np.abs(one[there] - other[there]).max())
    scale = float(max(np.abs(one[there]).max(), np.abs(other[there]).max()))
    return apart / scale if scale > 0 else 0.0


def _numbers(path: Path) -> Numbers | None:
    """Return the numbers of a file as arrays by name; texts are part of the names."""
    name = path.name.lower()
    try:
        if name.endswith((".nii", ".nii.gz")):
            volume = read_stored(path)
            return {"values": np.asarray(volume.values, np.float64), "affine": volume.affine_mm}
        if name.endswith(".h5"):
            return _of_hdf5(path)
        if name.endswith(".json"):
            return {key: np.array([value]) for key, value in _leaves(_plain(_json(path)), "")}
        if name.endswith(".tsv"):
            return _of_table(path)
    except (InputError, OSError, ValueError):
        return {"unreadable": np.array([np.nan])}
    return None


def _of_hdf5(path: Path) -> Numbers:
    found: dict[str, NDArray[np.float64]] = {}

    def take(name: str, one: h5py.Group | h5py.Dataset) -> None:
        if isinstance(one, h5py.Dataset):
            stored = one[()]
            array = np.asarray(stored)
            if array.dtype.kind in "biuf":
                found[name] = array.astype(np.float64)
            elif array.dtype.kind == "c":
                found[name] = np.stack([array.real, array.imag]).astype(np.float64)
            else:
                found[f"{name}={array.tolist()!r}"] = np.zeros(0)

    with h5py.File(path, "r") as file:
        file.visititems(take)
    return found


def _of_table(path: Path) -> Numbers:
    """Return the columns of a table: numbers where a cell holds one, its text in the name where it does not."""
    header, *rows = [line.split("\t") for line in read_bounded(path).decode().splitlines()]
    found: dict[str, NDArray[np.float64]] = {}
    for at, title in enumerate(header):
        cells = [row[at] if at < len(row) else "" for row in rows]
        texts = [cell for cell in cells if _number(cell) is None]
        values = [value for cell in cells if (value := _number(cell)) is not None]
        found[f"{at} {title} {texts!r}"] = np.array(values, np.float64)
    return found


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _json(path: Path) -> Any:  # noqa: ANN401 - whatever JSON holds
    return json.loads(read_bounded(path))


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Return a JSON value without the keys that state how a run went."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if key not in VOLATILE}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _leaves(value: Any, name: str) -> Iterator[tuple[str, float]]:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _leaves(one, f"{name}/{key}")
    elif isinstance(value, list):
        for at, one in enumerate(value):
            yield from _leaves(one, f"{name}/{at}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, float(value)
    else:
        yield f"{name}={value!r}", 0.0
