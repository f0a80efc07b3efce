"""File of a lifelong record: one HDF5 file, which an interrupted run leaves as it was.

    header                          JSON text: names, days, keys and shapes
    events                          value, then error, of every measurement in the header's order, float64
    checkpoint-<n>/<array>          arrays of the belief, float64
    checkpoint-<n>/innovations      value, predicted mean and covariance of every innovation, float64
    attributes: format, digest, versions

The digest is that of all content, so that damage is found.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.files.hdf5_file import writing_hdf5
from palpate.machine_failures import machine_fault
from palpate.provenance import atomic_file, versions
from palpate.quality_warning import QualityWarning
from palpate.twin.assimilation.belief import Belief, EnsembleBelief, GaussianBelief, ParticleBelief
from palpate.twin.assimilation.innovation import EventInnovation
from palpate.twin.assimilation.record import LifelongRecord, VisitCheckpoint
from palpate.twin.state_space.event import Event

type Values = NDArray[np.float64]
type Arrays = Mapping[str, Values]

FORMAT: Final = "palpate lifelong record 1"
"""Name and version of the format of the file."""
_KINDS: Final[Mapping[str, type[Belief]]] = {
    "gaussian": GaussianBelief,
    "ensemble": EnsembleBelief,
    "particles": ParticleBelief,
}
_ADVICE: Final = "Take the file from a backup, or assimilate the patient's measurements into a new record."


def save_record(record: LifelongRecord, path: Path) -> None:
    """Write a record, or replace the file of its earlier state.

    Args:
        record: record to write.
        path: path of the file, .h5.

    Raises:
        InputError: the machine cannot write there.
    """
    with atomic_file(path) as partial:
        write_record(record, partial)


def write_record(record: LifelongRecord, path: Path) -> None:
    """Write a record to a path that nobody reads yet (palpate.outputs.writing_together).

    Args:
        record: record to write.
        path: path of the file.

    Raises:
        InputError: the machine cannot write there.
    """
    header, arrays = _header(record), _arrays(record)
    with writing_hdf5(path) as file:
        file.attrs["format"] = FORMAT
        file.attrs["versions"] = json.dumps(versions())
        file.attrs["digest"] = _digest(header, arrays)
        file["header"] = header
        for name, values in arrays.items():
            file.create_dataset(name, data=values, compression="gzip" if values.size > 1000 else None, shuffle=True)


def load_record(path: Path) -> LifelongRecord:
    """Read a file that `save_record` wrote.

    Args:
        path: path of the file.

    Raises:
        InputError: it is missing, damaged, no such file, or one of another version.
    """
    try:
        with h5py.File(path, "r") as file:
            made_as = str(file.attrs.get("format"))
            if made_as != FORMAT:
                found, expected = f"the format '{made_as}'", f"'{FORMAT}', as this version has it"
                raise InputError(path, found=found, expected=expected, advice=_ADVICE)
            header, arrays, digest = _content(file)
        if digest != _digest(header, arrays):
            raise InputError(path, found="other content than was written", expected="a whole record", advice=_ADVICE)
        return _record(json.loads(header), arrays)
    except FileNotFoundError as error:
        raise InputError(
            path, found="no such file", expected="a lifelong record", advice="Give the path of a patient's record."
        ) from error
    except (OSError, KeyError, ValueError, TypeError, IndexError, RuntimeError) as error:
        refusal = InputError(path, found="no readable record", expected=f"a file of '{FORMAT}'", advice=_ADVICE)
        raise (machine_fault(error, path) or refusal) from error


def _content(file: h5py.File) -> tuple[str, dict[str, Values], str]:
    arrays: dict[str, Values] = {}

    def take(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and name != "header":
            arrays[name] = np.asarray(item[()], dtype=np.float64)

    file.visititems(take)
    return str(file["header"].asstr()[()]), arrays, str(file.attrs["digest"])


def _digest(header: str, arrays: Arrays) -> str:
    total = hashlib.sha256(header.encode())
    for name, values in sorted(arrays.items()):
        total.update(f"\n{name} {values.shape}\n".encode())
        total.update(np.ascontiguousarray(values, dtype="<f8").tobytes())
    return total.hexdigest()


def _header(record: LifelongRecord) -> str:
    kinds = {kind: name for name, kind in _KINDS.items()}
    return json.dumps(
        {
            "subject": record.subject,
            "rung": record.rung,
            "setup_digest": record.setup_digest,
            "day": record.day,
            "warnings": [one.as_record() for one in record.warnings],
            "events": [[one.acquired, one.available, one.stream, len(one.value)] for one in record.events],
            "checkpoints": [
                {
                    "day": one.day,
                    "key": one.key,
                    "kind": kinds[type(one.belief)],
                    "memory": list(one.belief.memory),
                    "innovations": [
                        [inner.acquired, inner.stream, len(inner.value), inner.log_density] for inner in one.innovations
                    ],
                }
                for one in record.checkpoints
            ],
        },
        allow_nan=False,
    )


def _arrays(record: LifelongRecord) -> dict[str, Values]:
    found = {"events": _flat([part for one in record.events for part in (one.value, one.error)])}
    for number, one in enumerate(record.checkpoints):
        for name in _fields(type(one.belief)):
            found[f"checkpoint-{number}/{name}"] = getattr(one.belief, name)
        inner = [part for own in one.innovations for part in (own.value, own.predicted, own.covariance)]
        found[f"checkpoint-{number}/innovations"] = _flat(inner)
    return found


def _fields(kind: type[Belief]) -> list[str]:
    return [one.name for one in dataclasses.fields(kind) if one.name != "memory"]


def _flat(parts: list[Values]) -> Values:
    return np.concatenate([np.zeros(0), *(np.ravel(one) for one in parts)])


def _record(header: dict[str, Any], arrays: Arrays) -> LifelongRecord:
    sizes = [size for *_, m in header["events"] for size in (m, m * m)]
    parts = iter(_parts(arrays["events"], sizes))
    return LifelongRecord(
        header["subject"],
        header["rung"],
        header["setup_digest"],
        header["day"],
        tuple(
            Event(acquired, available, stream, next(parts), next(parts).reshape(m, m))
            for acquired, available, stream, m in header["events"]
        ),
        tuple(_checkpoint(number, told, arrays) for number, told in enumerate(header["checkpoints"])),
        tuple(QualityWarning(**one) for one in header["warnings"]),
    )


def _checkpoint(number: int, told: dict[str, Any], arrays: Arrays) -> VisitCheckpoint:
    kind = _KINDS[told["kind"]]
    found: dict[str, Any] = {name: arrays[f"checkpoint-{number}/{name}"] for name in _fields(kind)}
    belief = kind(**found, memory=tuple(told["memory"]))
    sizes = [size for _, _, m, _ in told["innovations"] for size in (m, m, m * m)]
    parts = iter(_parts(arrays[f"checkpoint-{number}/innovations"], sizes))
    innovations = tuple(
        EventInnovation(acquired, stream, next(parts), next(parts), next(parts).reshape(m, m), log_density)
        for acquired, stream, m, log_density in told["innovations"]
    )
    return VisitCheckpoint(told["day"], told["key"], belief, innovations)


def _parts(flat: Values, sizes: list[int]) -> list[Values]:
    if len(flat) != sum(sizes):
        raise ValueError(f"expected {sum(sizes)} numbers, found {len(flat)}")
    return np.split(flat, np.cumsum(sizes)[:-1]) if sizes else []
