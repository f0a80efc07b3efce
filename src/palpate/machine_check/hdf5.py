"""Files of HDF5 on the file system of the results, with the locking that is in force."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from palpate.leftovers import partial_of
from palpate.machine_check.check_line import CheckLine, Verdict
from palpate.machine_check.programs import ask

VARIABLE: Final = "HDF5_USE_FILE_LOCKING"
_TRIAL: Final = """
import sys
from pathlib import Path
from palpate.imaging.files.hdf5_file import writing_hdf5
import h5py
with writing_hdf5(Path(sys.argv[1])) as file:
    file["numbers"] = [1, 2]
with h5py.File(sys.argv[1]) as file:
    assert file["numbers"][1] == 2
"""


@dataclass(frozen=True, slots=True)
class Hdf5Facts:
    """Trial of a file of HDF5.

    Attributes:
        locking: value of HDF5_USE_FILE_LOCKING; FALSE unless the user chose otherwise.
        failure: reason for which a file could not be written and read; empty without one.
    """

    locking: str
    failure: str = ""


def hdf5_facts(folder: Path) -> Hdf5Facts:
    """Write and read a small file in a folder, as steps do.

    Args:
        folder: folder on the file system of the results.
    """
    probe = partial_of(folder / "palpate-check.h5")
    try:
        answer = ask([sys.executable, "-c", _TRIAL, str(probe)], patience_s=60.0)
    finally:
        probe.unlink(missing_ok=True)
    lines = [line for line in answer.errors.splitlines() if line.strip()]
    failure = "" if answer.code == 0 else (lines[-1].strip() if lines else answer.complaint)
    return Hdf5Facts(os.environ.get(VARIABLE, ""), failure[:200])


def hdf5_line(facts: Hdf5Facts) -> CheckLine:
    """Judge the trial of a file of HDF5."""
    if not facts.failure:
        return CheckLine("HDF5", f"a file written and read ({VARIABLE}={facts.locking})")
    found = f"that no file can be written and read ({facts.failure}; {VARIABLE}={facts.locking})"
    if facts.locking.upper() in ("FALSE", "0"):
        advice = "Name results on another file system (results in config.yaml)."
    else:
        advice = f"Leave {VARIABLE} unset: palpate opens files without locks, which it does not need."
    return CheckLine("HDF5", found, Verdict.MISSING, advice)
