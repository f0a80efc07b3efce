"""A history as one HDF5 file: days since the first scan, no dates, no names but the study's label of the subject."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.tumour.history import (
    CAVITY,
    DrugDose,
    Irradiation,
    Stiffness,
    Surgery,
    TumourHistory,
    TumourScan,
)
from palpate.provenance import atomic_file

FORMAT: Final = "palpate tumour history 2"
_PACKED: Final[dict[str, Any]] = {"compression": "gzip", "compression_opts": 4, "shuffle": True}


def write_history(path: Path, history: TumourHistory, notes: Sequence[str] = ()) -> None:
    """Write a history, whole or not at all. Equal doses are kept once.

    Args:
        path: HDF5 file to create or replace.
        history: of one subject.
        notes: what was taken for granted in reading it; no names, no dates.
    """
    with atomic_file(path) as partial, h5py.File(partial, "w", track_order=False) as file:
        file.attrs["format"], file.attrs["subject"] = FORMAT, history.subject
        file.attrs["units"] = "lengths mm, dose Gy, drugs mg, days since the first scan, stiffness Pa"
        file.attrs["notes"] = np.array(list(notes), dtype=h5py.string_dtype())
        file["affine_mm"] = history.affine_mm
        file.create_dataset("tissue", data=history.tissue, **_PACKED)
        file.create_dataset("white", data=history.white.astype(np.float32), **_PACKED)
        for number, scan in enumerate(history.scans):
            group = file.create_group(f"scans/{number:04d}")
            group.attrs["day"], group.attrs["drawn"] = scan.day, scan.drawn
            group.create_dataset("cellularity", data=scan.cellularity.astype(np.float32), **_PACKED)
            group.create_dataset("cellularity_std", data=scan.cellularity_std.astype(np.float32), **_PACKED)
            group.create_dataset("roi", data=scan.roi, **_PACKED)
        _write_irradiations(file, history.irradiations)
        file["drug_doses/day"] = np.array([one.day for one in history.drug_doses], dtype=np.float64)
        file["drug_doses/amount_mg"] = np.array([one.amount_mg for one in history.drug_doses], dtype=np.float64)
        names = np.array([one.drug for one in history.drug_doses], dtype=h5py.string_dtype())
        file.create_dataset("drug_doses/drug", data=names, dtype=h5py.string_dtype())
        for number, surgery in enumerate(history.surgeries):
            group = file.create_group(f"surgeries/{number:04d}")
            group.attrs["day"] = surgery.day
            group.create_dataset("removed", data=surgery.removed, **_PACKED)
        if history.stiffness is not None:
            file.create_dataset("stiffness/draws_pa", data=history.stiffness.draws_pa, **_PACKED)


def _write_irradiations(file: h5py.File, irradiations: Sequence[Irradiation]) -> None:
    """Days, the number of each one's dose, and the different doses."""
    different: list[NDArray[np.float64]] = []
    which: list[int] = []
    numbers: dict[int, int] = {}
    for one in irradiations:
        if id(one.dose_gy) not in numbers:
            numbers[id(one.dose_gy)] = len(different)
            different.append(one.dose_gy)
        which.append(numbers[id(one.dose_gy)])
    file["irradiations/day"] = np.array([one.day for one in irradiations], dtype=np.float64)
    file["irradiations/dose"] = np.array(which, dtype=np.int32)
    for number, dose_gy in enumerate(different):
        file.create_dataset(f"irradiations/doses/{number:04d}", data=dose_gy.astype(np.float32), **_PACKED)


def read_history(path: Path) -> TumourHistory:
    """Read a history.

    Args:
        path: HDF5 file that write_history made.

    Raises:
        InputError: it cannot be read, is another file, or its parts do not fit each other.
    """
    try:
        with h5py.File(path) as file:
            if file.attrs.get("format") != FORMAT:
                raise ValueError("another format")
            history = _parts(file)
        _demand_whole(history)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise InputError(
            path,
            found="no such file" if not path.exists() else f"a file that cannot be used ({error})",
            expected="the history that palpate tumour writes",
            advice="Run palpate tumour again.",
        ) from error
    return history


def history_notes(path: Path) -> tuple[str, ...]:
    """What was taken for granted in making a history that read_history accepts."""
    with h5py.File(path) as file:
        return tuple(str(note) for note in file.attrs["notes"])


def _parts(file: h5py.File) -> TumourHistory:
    scans = tuple(
        TumourScan(
            float(group.attrs["day"]),
            np.asarray(group["cellularity"], dtype=np.float64),
            np.asarray(group["cellularity_std"], dtype=np.float64),
            np.asarray(group["roi"], dtype=np.uint8),
            bool(group.attrs["drawn"]),
        )
        for group in (file["scans"][name] for name in sorted(file["scans"]))
    )
    doses = [
        np.asarray(file["irradiations/doses"][name], dtype=np.float64)
        for name in sorted(file.get("irradiations/doses", ()))
    ]
    irradiations = tuple(
        Irradiation(float(day), doses[number])
        for day, number in zip(file["irradiations/day"], file["irradiations/dose"], strict=True)
    )
    given = zip(file["drug_doses/day"], file["drug_doses/drug"].asstr()[:], file["drug_doses/amount_mg"], strict=True)
    surgeries = tuple(
        Surgery(float(group.attrs["day"]), np.asarray(group["removed"], dtype=np.bool_))
        for group in (file["surgeries"][name] for name in sorted(file.get("surgeries", ())))
    )
    stiffness = Stiffness(np.asarray(file["stiffness/draws_pa"])) if "stiffness" in file else None
    return TumourHistory(
        str(file.attrs["subject"]),
        np.asarray(file["affine_mm"], dtype=np.float64),
        np.asarray(file["tissue"], dtype=np.bool_),
        np.asarray(file["white"], dtype=np.float64),
        scans,
        irradiations,
        tuple(DrugDose(float(day), str(drug), float(amount)) for day, drug, amount in given),
        surgeries,
        stiffness,
    )


def _demand_whole(history: TumourHistory) -> None:
    """Raise ValueError where parts do not fit."""
    shape = history.tissue.shape
    volumes = [history.white, *(one.dose_gy for one in history.irradiations), *(s.removed for s in history.surgeries)]
    for scan in history.scans:
        volumes += [scan.cellularity, scan.cellularity_std, scan.roi]
        if int(scan.roi.max(initial=0)) > CAVITY:
            raise ValueError("an unknown region")
    if any(one.shape != shape for one in volumes) or history.affine_mm.shape != (4, 4):
        raise ValueError("volumes on different grids")
    days = [scan.day for scan in history.scans]
    if not days or days[0] != 0.0 or any(b <= a for a, b in pairwise(days)):
        raise ValueError("days out of order")
