"""History in HDF5: days since the first scan, no dates, no names but the study's label of the subject.

It is a file of its own between palpate tumour and palpate calibrate (write_history, read_history), and a group of a
calibration's file (put_history, take_history).

    format, subject, units                 attributes; of a file also notes, warnings and radiotherapy_courses (JSON)
    affine_mm (4, 4), tissue, white        volumes are (i, j, k)
    scans/<n>                              day, drawn, misplaced_mm or none; cellularity, cellularity_std, roi, and
                                           offset (i, j, k, 3) or none, hypoxia or none, biopsies (n, 5) or
                                           none: x, y, z, density, error
    markers                                mgmt, idh, age: attributes that are known, if there are any
    irradiations                           day (n,), dose (n,): number of the volume in irradiations/doses
    drug_doses                             day, amount_mg, drug, (n,) each
    surgeries/<n>                          day; removed
    stiffness/draws_pa                     (draws, i, j, k), if there is any
    streams                                stream, unit, acquired, available, value, error (NaN: unknown), (n,) each, if
                                           there are any
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.files.hdf5_file import writing_hdf5
from palpate.imaging.tumour.history import (
    CAVITY,
    Biopsy,
    DrugDose,
    Irradiation,
    StiffnessDraws,
    Surgery,
    TumourHistory,
    TumourMarkers,
    TumourScan,
)
from palpate.imaging.tumour.record import HISTORY_RECORD, Remarks, history_record, record_beside
from palpate.imaging.tumour.streams.value import StreamValue
from palpate.machine_failures import machine_fault
from palpate.output_kinds import FileKind
from palpate.outputs import claim_file, writing_together
from palpate.quality_warning import QualityWarning

FORMAT: Final = "palpate tumour history 3"
"""Name and version of the format of the file."""
_FAMILY: Final = FORMAT.rpartition(" ")[0]
_PACKED: Final[dict[str, Any]] = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
_UNUSABLE: Final = (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError)


def _is_history(path: Path) -> bool:
    with h5py.File(path) as file:
        return str(file.attrs.get("format", "")).startswith(_FAMILY)


HISTORY: Final = FileKind("tumour", "history of a tumour", (".h5", ".hdf5"), _is_history)
"""Kind of the file of a history."""


def write_history(
    path: Path, history: TumourHistory, notes: Sequence[str] = (), remarks: Remarks | None = None
) -> None:
    """Write a history as a file, its volumes in single precision, the precision of images.

    An interrupted run leaves no partial file.

    Args:
        path: HDF5 file to create or replace.
        history: history of one subject.
        notes: assumptions made in reading it; no names, no dates.
        remarks: these notes with warnings and courses; None for notes alone.

    Raises:
        InputError: the path holds another file, or the machine cannot write there.
    """
    with claim_file(path, HISTORY, {}).writing() as partial:
        _write(partial, history, Remarks(tuple(notes)) if remarks is None else remarks)


def write_history_with_record(path: Path, history: TumourHistory, remarks: Remarks) -> None:
    """Write a history and, beside it, its record: both, or none of them.

    Args:
        path: HDF5 file to create or replace.
        history: history of one subject.
        remarks: remarks made in reading it.

    Raises:
        InputError: a path holds another file, or the machine cannot write there.
    """
    both = claim_file(path, HISTORY, {}), claim_file(record_beside(path), HISTORY_RECORD, {})
    with writing_together(*both) as (partial, partial_record):
        _write(partial, history, remarks)
        partial_record.write_text(history_record(history, remarks), encoding="utf-8")


def _write(path: Path, history: TumourHistory, remarks: Remarks) -> None:
    with writing_hdf5(path, track_order=False) as file:
        file.attrs["notes"] = np.array(list(remarks.notes), dtype=h5py.string_dtype())
        file.attrs["warnings"] = json.dumps([one.as_record() for one in remarks.warnings])
        file.attrs["radiotherapy_courses"] = json.dumps(list(remarks.courses))
        put_history(file, history, np.float32)


def read_history(path: Path) -> TumourHistory:
    """Read the file of write_history.

    Args:
        path: HDF5 file.

    Raises:
        InputError: the file cannot be read, is another file or of another version, or its parts do not fit each
            other.
    """
    try:
        with h5py.File(path) as file:
            return take_history(file, path, "Run palpate tumour again.")
    except _UNUSABLE as error:
        refusal = InputError(
            path,
            found="no such file" if not path.exists() else "a file that cannot be used",
            expected="the history that palpate tumour writes",
            advice="Run palpate tumour again.",
        )
        raise (machine_fault(error, path) or refusal) from error


def put_history(group: h5py.Group, history: TumourHistory, precision: type[np.floating[Any]]) -> None:
    """Write a history into an empty group or file. Equal doses are stored once.

    Args:
        group: empty group or file, open for writing.
        history: history of one subject.
        precision: type of the numbers of cellularity, white matter and doses.
    """

    def put(where: h5py.Group, name: str, values: NDArray[Any]) -> None:
        kept = values.astype(precision) if values.dtype == np.float64 else values
        where.create_dataset(name, data=kept, **_PACKED)

    group.attrs["format"], group.attrs["subject"] = FORMAT, history.subject
    group.attrs["units"] = "lengths mm, dose Gy, drugs mg, days since the first scan, stiffness Pa"
    group["affine_mm"] = history.affine_mm
    put(group, "tissue", history.tissue)
    put(group, "white", history.white)
    for number, scan in enumerate(history.scans):
        own = group.create_group(f"scans/{number:04d}")
        own.attrs["day"], own.attrs["drawn"] = scan.day, scan.drawn
        for name in ("cellularity", "cellularity_std", "roi"):
            put(own, name, getattr(scan, name))
        if scan.offset is not None:
            put(own, "offset", scan.offset)
        if scan.misplaced_mm is not None:
            own.attrs["misplaced_mm"] = scan.misplaced_mm
        if scan.hypoxia is not None:
            put(own, "hypoxia", scan.hypoxia)
        if scan.biopsies:
            own["biopsies"] = np.array([(*one.point_mm, one.density, one.std) for one in scan.biopsies])
    group["irradiations/day"] = np.array([one.day for one in history.irradiations], dtype=np.float64)
    different, which = _different([one.dose_gy for one in history.irradiations])
    group["irradiations/dose"] = np.array(which, dtype=np.int32)
    for number, dose_gy in enumerate(different):
        put(group, f"irradiations/doses/{number:04d}", dose_gy)
    group["drug_doses/day"] = np.array([one.day for one in history.drug_doses], dtype=np.float64)
    group["drug_doses/amount_mg"] = np.array([one.amount_mg for one in history.drug_doses], dtype=np.float64)
    names = np.array([one.drug for one in history.drug_doses], dtype=h5py.string_dtype())
    group.create_dataset("drug_doses/drug", data=names, dtype=h5py.string_dtype())
    for number, surgery in enumerate(history.surgeries):
        own = group.create_group(f"surgeries/{number:04d}")
        own.attrs["day"] = surgery.day
        put(own, "removed", surgery.removed)
    if history.stiffness is not None:
        put(group, "stiffness/draws_pa", history.stiffness.draws_pa)
    if history.streams:
        _put_streams(group, history.streams)
    if history.markers is not None:
        group.create_group("markers").attrs.update(
            {name: value for name, value in asdict(history.markers).items() if value is not None}
        )


def _put_streams(group: h5py.Group, values: Sequence[StreamValue]) -> None:
    text = h5py.string_dtype()
    for name in ("stream", "unit"):
        group.create_dataset(f"streams/{name}", data=[getattr(one, name) for one in values], dtype=text)
    for name in ("acquired", "available", "value"):
        group[f"streams/{name}"] = np.array([getattr(one, name) for one in values], dtype=np.float64)
    group["streams/error"] = np.array([np.nan if one.error is None else one.error for one in values])


def _take_streams(group: h5py.Group) -> tuple[StreamValue, ...]:
    names = [group[name].asstr()[:] for name in ("stream", "unit")]
    numbers = [np.asarray(group[name], dtype=np.float64) for name in ("acquired", "available", "value", "error")]
    rows = zip(*names, *numbers, strict=True)
    return tuple(_stream_value(*row) for row in rows)


def _stream_value(stream: str, unit: str, acquired: float, available: float, value: float, error: float) -> StreamValue:
    known = None if np.isnan(error) else float(error)
    return StreamValue(str(stream), str(unit), float(acquired), float(available), float(value), known)


def _take_biopsies(stored: h5py.Dataset) -> tuple[Biopsy, ...]:
    rows = np.asarray(stored, dtype=np.float64).tolist()
    return tuple(Biopsy((x, y, z), density, std) for x, y, z, density, std in rows)


def take_history(group: h5py.Group, path: Path, advice: str) -> TumourHistory:
    """Read a history that put_history wrote.

    Args:
        group: group or file, open.
        path: path of the file, for errors.
        advice: command that makes the file anew, for errors.

    Raises:
        InputError: the history is of another version.
        ValueError: the group holds no history, or its parts do not fit each other. KeyError and other errors of h5py
            mean the same.
    """
    made_as = str(group.attrs.get("format"))
    if made_as != FORMAT:
        if not made_as.startswith(_FAMILY):
            raise ValueError("another format")
        raise InputError(
            path, found=f"the format '{made_as}'", expected=f"'{FORMAT}', as this version has it", advice=advice
        )
    history = _parts(group)
    _demand_whole(history)
    return history


def _different(volumes: Sequence[NDArray[Any]]) -> tuple[list[NDArray[Any]], list[int]]:
    """Return the different ones among volumes, by what they hold, and the number of each one's."""
    once = {id(one): one for one in volumes}
    names = {key: sha256(np.ascontiguousarray(one).tobytes()).digest() for key, one in once.items()}
    different = {names[key]: one for key, one in once.items()}
    order = {name: number for number, name in enumerate(different)}
    return list(different.values()), [order[names[id(one)]] for one in volumes]


def history_notes(path: Path) -> tuple[str, ...]:
    """Return the assumptions made in reading a history, from a file that read_history accepts."""
    return history_remarks(path).notes


def history_remarks(path: Path) -> Remarks:
    """Return the remarks on a history, from a file that read_history accepts; older files hold notes alone."""
    with h5py.File(path) as file:
        return Remarks(
            tuple(str(note) for note in file.attrs["notes"]),
            tuple(QualityWarning(**one) for one in json.loads(file.attrs.get("warnings", "[]"))),
            tuple(json.loads(file.attrs.get("radiotherapy_courses", "[]"))),
        )


def _parts(file: h5py.Group) -> TumourHistory:
    scans = tuple(
        TumourScan(
            float(group.attrs["day"]),
            np.asarray(group["cellularity"], dtype=np.float64),
            np.asarray(group["cellularity_std"], dtype=np.float64),
            np.asarray(group["roi"], dtype=np.uint8),
            bool(group.attrs["drawn"]),
            np.asarray(group["offset"], dtype=np.float32) if "offset" in group else None,
            float(group.attrs["misplaced_mm"]) if "misplaced_mm" in group.attrs else None,
            np.asarray(group["hypoxia"], dtype=np.float64) if "hypoxia" in group else None,
            _take_biopsies(group["biopsies"]) if "biopsies" in group else (),
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
    stiffness = StiffnessDraws(np.asarray(file["stiffness/draws_pa"])) if "stiffness" in file else None
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
        _take_streams(file["streams"]) if "streams" in file else (),
        TumourMarkers(**dict(file["markers"].attrs)) if "markers" in file else None,
    )


def _demand_whole(history: TumourHistory) -> None:
    """Raise ValueError where parts do not fit."""
    shape = history.tissue.shape
    volumes = [history.white, *(one.dose_gy for one in history.irradiations), *(s.removed for s in history.surgeries)]
    for scan in history.scans:
        volumes += [scan.cellularity, scan.cellularity_std, scan.roi]
        if scan.offset is not None:
            volumes += list(np.moveaxis(scan.offset, -1, 0))
        if scan.hypoxia is not None:
            volumes.append(scan.hypoxia)
        if int(scan.roi.max(initial=0)) > CAVITY:
            raise ValueError("an unknown region")
    if any(one.shape != shape for one in volumes) or history.affine_mm.shape != (4, 4):
        raise ValueError("volumes on different grids")
    days = [scan.day for scan in history.scans]
    if not days or days[0] != 0.0 or any(b <= a for a, b in pairwise(days)):
        raise ValueError("days out of order")
