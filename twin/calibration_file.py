"""HDF5 file of a calibration; an interrupted run leaves no partial file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from pydantic import ValidationError

from palpate.config.twin import TwinSettings
from palpate.errors import InputError
from palpate.imaging.files.hdf5_file import writing_hdf5
from palpate.imaging.tumour.history_file import put_history, take_history
from palpate.machine_failures import machine_fault
from palpate.provenance import atomic_file, versions
from palpate.renamed import current_settings
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.calibration.draws import Draws
from palpate.twin.calibration.posterior import Statistics
from palpate.twin.lattice import TwinLattice
from palpate.twin.observation.errors import Field
from palpate.twin.priors import Unknown, Unknowns
from palpate.twin.stress import Stress

FORMAT: Final = "palpate calibration 6"
"""Name and version of the format of the file."""
_ADVICE: Final = "Make it again with palpate calibrate."
_DATA_SETS: Final = {"front_error": "straying", "front_error_mm": "front_drift_mm"}
"""Names of data sets and attributes that are not those of their fields: the format is older than the fields' names."""
_FIELDS: Final = {stored: field for field, stored in _DATA_SETS.items()}


def save_calibration(calibration: Calibration, path: Path) -> None:
    """Write a calibration. Under MPI on one rank only.

    Args:
        calibration: calibration to write, with its history on the lattice.
        path: path of the file, .h5.
    """
    with atomic_file(path) as partial, writing_hdf5(partial) as file:
        file.attrs["format"] = FORMAT
        file.attrs["versions"] = json.dumps(versions())
        file.attrs["settings"] = calibration.settings.model_dump_json()
        file.attrs["statistics"] = json.dumps(dataclasses.asdict(calibration.statistics))
        file.attrs["single"] = json.dumps([dataclasses.asdict(one) for one in calibration.unknowns.single])
        file.attrs["drifts"], file.attrs["shapes"] = calibration.unknowns.drifts, calibration.unknowns.shapes
        file.attrs["fields"] = calibration.unknowns.fields
        file.attrs["front_drift_mm"] = calibration.front_error_mm
        file["mode"], file["covariance"] = calibration.mode, calibration.covariance
        file.attrs["modes"] = calibration.unknowns.modes
        if calibration.stress is not None:
            _write(file.create_group("stress"), calibration.stress)
        _write(file.create_group("field"), calibration.field)
        _write(file.create_group("grid"), calibration.grid)
        _write(file.create_group("draws"), calibration.draws)
        put_history(file.create_group("history"), calibration.history, np.float64)


def load_calibration(path: Path) -> Calibration:
    """Read a file that `save_calibration` wrote.

    Args:
        path: path of the file.

    Raises:
        InputError: it is not such a file, or one of another version.
    """
    try:
        with h5py.File(path, "r") as file:
            made_as = str(file.attrs.get("format"))
            if made_as != FORMAT:
                found, expected = f"the format '{made_as}'", f"'{FORMAT}', as this version has it"
                raise InputError(path, found=found, expected=expected, advice=_ADVICE)
            return _read_calibration(file, path)
    except (OSError, KeyError, ValueError, ValidationError) as error:
        refusal = InputError(
            path,
            found="no readable calibration",
            expected=f"a file of the format '{FORMAT}'",
            advice=_ADVICE,
        )
        raise (machine_fault(error, path) or refusal) from error


def _read_calibration(file: h5py.File, path: Path) -> Calibration:
    single = tuple(Unknown(**one) for one in json.loads(file.attrs["single"]))
    return Calibration(
        TwinSettings.model_validate(current_settings("twin", json.loads(file.attrs["settings"]), quiet=True)),
        TwinLattice(**_read(file["grid"], tuples=("first", "factors", "shape", "image_shape"))),
        take_history(file["history"], path, _ADVICE),
        Unknowns(single, *(int(file.attrs[name]) for name in ("drifts", "shapes", "fields", "modes"))),
        file["mode"][()],
        file["covariance"][()],
        float(file.attrs["front_drift_mm"]),
        Stress(**_read(file["stress"])) if "stress" in file else None,
        Field(**_read(file["field"])),
        Draws(**_read(file["draws"])),
        Statistics(**json.loads(file.attrs["statistics"])),
    )


def _write(group: h5py.Group, values: Any) -> None:  # noqa: ANN401 (any dataclass of arrays and numbers)
    """Write fields of a dataclass as data sets or, single numbers, attributes."""
    for field in dataclasses.fields(values):
        name, value = _DATA_SETS.get(field.name, field.name), np.asarray(getattr(values, field.name))
        if value.ndim > 1:
            group.create_dataset(name, data=value, compression="gzip", compression_opts=1, shuffle=True)
        else:
            group.attrs[name] = value


def _read(group: h5py.Group, tuples: tuple[str, ...] = ()) -> dict[str, Any]:
    found: dict[str, Any] = {_FIELDS.get(name, name): dataset[()] for name, dataset in group.items()}
    for stored, value in group.attrs.items():
        name = _FIELDS.get(stored, stored)
        found[name] = tuple(int(one) for one in value) if name in tuples else value
        if np.ndim(found[name]) == 0:
            found[name] = value.item() if isinstance(value, np.generic) else value
    return found
