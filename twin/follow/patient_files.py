"""Files of a followed patient: the record for life, and the present state beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import h5py

from palpate.config.twin import TwinSettings
from palpate.imaging.tumour.history_file import read_history
from palpate.output_kinds import FileKind, json_kind
from palpate.outputs import claim_file, writing_together
from palpate.progress import say
from palpate.renamed import record_text
from palpate.twin.assimilation.record import LifelongRecord
from palpate.twin.assimilation.record_file import FORMAT, load_record, write_record
from palpate.twin.assimilation.setup import AssimilationSetup
from palpate.twin.assimilation.stream_summary import verdict
from palpate.twin.calibration_file import load_calibration
from palpate.twin.follow.patient_setup import RUNGS, demand_rung, patient_setup
from palpate.twin.follow.present_state import present_state
from palpate.twin.follow.update import followed
from palpate.twin.rungs.regimen import Regimen

_FAMILY: Final = FORMAT.rpartition(" ")[0]


def _is_record(path: Path) -> bool:
    with h5py.File(path) as file:
        return str(file.attrs.get("format", "")).startswith(_FAMILY)


RECORD: Final = FileKind("assimilate", "record of a patient", (".h5", ".hdf5"), _is_record)
"""Kind of the file of a record."""
STATE: Final = FileKind(
    "assimilate", "present state of a patient", (".json",), json_kind("rung", "state", "innovations", "measurements")
)
"""Kind of the file of the present state."""


def assimilate_into(
    history: Path,
    out: Path,
    settings: TwinSettings,
    rung: str = RUNGS[0],
    calibration: Path | None = None,
    day: float | None = None,
) -> tuple[AssimilationSetup[Regimen], LifelongRecord]:
    """Assimilate a history into a patient's record; a killed run leaves the record as it was.

    Args:
        history: HDF5 file of `palpate tumour`.
        out: file of the record, which the run goes on from where it exists; the present state is written beside it.
        settings: settings of the twin.
        rung: name of the rung.
        calibration: folder of `palpate calibrate` from whose last scan the model begins; None to begin from the priors.
        day: today, days since the first scan; None for the last day of the measurements.

    Raises:
        InputError: an input cannot be used, or `out` is a file of another kind.
    """
    demand_rung(rung)
    inputs = {"history": history, "calibration": calibration}
    record_file = claim_file(out, RECORD, inputs)
    state_file = claim_file(state_beside(out), STATE, inputs)
    earlier = load_record(record_file.path) if record_file.path.is_file() else None
    read = read_history(history)
    before = None if calibration is None else load_calibration(calibration / "calibration.h5")
    setup = patient_setup(read, settings, rung, before)
    found = followed(setup, read, settings, earlier, day)
    told = present_state(setup, found)
    with writing_together(record_file, state_file) as (record_part, state_part):
        write_record(found, record_part)
        state_part.write_text(record_text("assimilation", told, allow_nan=False), encoding="utf-8")
    _say(found, 0 if earlier is None else len(earlier.events))
    return setup, found


def state_beside(record: Path) -> Path:
    """Return the file of the present state beside a record.

    Args:
        record: file of the record.
    """
    return record.with_suffix(".json")


def _say(found: LifelongRecord, before: int) -> None:
    say(
        f"sub-{found.subject}: {len(found.events) - before} new measurements on the {found.rung} rung, "
        f"{len(found.checkpoints)} visits until day {found.day:g}"
    )
    for one in found.innovations:
        if one.acquired > 0.0 and (word := verdict(one.probability)) != "as expected":
            say(f"day {one.acquired:g}, {one.stream} ({found.rung}): {word}, probability {one.probability:.2g}")
    for warning in found.warnings:
        say(f"sub-{found.subject}: WARNING: {warning}")
