"""Sound sessions of five vendors, of a cohort and of other laboratories: their sources, and a check of each."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from alarm_tally import Tally, imported, look_at_dicom, look_at_field
from harness.shared_data import shared_data
from mpi4py import MPI
from vendors import VENDORS, Patient
from worlds.noise import write_noisy
from worlds.one_direction import write_exam

from palpate.config.ingest import IngestSettings
from palpate.config.phantom import PhantomSettings, Vendor
from palpate.imaging.anatomy.atlas import Atlas, load_atlas
from palpate.imaging.files.wavefield_folder import read_wave_fields
from palpate.imaging.phantom.cohort import cohort
from palpate.imaging.phantom.grid import scan_grid
from palpate.imaging.phantom.study import write_study
from palpate.imaging.phantom.tissue import build_head
from palpate.solvers.virtual_patient import vibrate

LEVELS_PERCENT: Final = (1.0, 5.0)
BOX_LEVELS_PERCENT: Final = (1.0, 2.0, 5.0)
EXAM_LEVELS_PERCENT: Final = (3.0, 1.0, 2.0, 3.0, 4.0, 5.0)
PATIENTS: Final = 24
SETTINGS: Final = PhantomSettings(shape=(20, 16, 8), element_mm=5.0)
SHORT_SETTINGS: Final = SETTINGS.model_copy(update={"shape": (14, 12, 7), "lesion": None})
COHORT_SEED: Final = 20268


@dataclass(frozen=True, slots=True)
class VendorSession:
    """Head of the settings in a vendor's layout."""

    vendor: Vendor
    level_percent: float
    settings: PhantomSettings

    def look(self, out: Path) -> Tally:
        """Write the DICOM, and check it without and with planted faults."""
        settings = self.settings.model_copy(update={"vendor": self.vendor, "noise_percent": self.level_percent})
        name, home = f"{self.vendor}, {self.level_percent:g} % noise", out / f"{self.vendor}-{self.level_percent:g}"
        return _look_at_phantom("five vendors", "head", name, settings, lambda: _head(self.settings), home)


@dataclass(frozen=True, slots=True)
class CohortSession:
    """Patient of the calibration cohort's population, by number from 1."""

    number: int

    def look(self, out: Path) -> Tally:
        """Make the patient unless an interrupted run has made it, and check it without and with planted faults."""
        settings = SETTINGS.model_copy(update={"seed": COHORT_SEED})
        member = list(cohort(settings, _atlas(), self.number))[-1]
        name = f"patient {self.number}, {member.noise_percent:.1f} % noise"
        home = out / f"patient-{self.number}"
        return _look_at_phantom("cohort", name, name, member, lambda: _solved(member), home)


@dataclass(frozen=True, slots=True)
class BoxSession:
    """Wave field that others simulated, with noise."""

    source: Path
    level_percent: float

    def look(self, out: Path) -> Tally:
        """Add noise, import, and plant the faults of wave fields."""
        home = out / f"box-{self.level_percent:g}"
        shutil.rmtree(home, ignore_errors=True)
        (waves,) = read_wave_fields(self.source)
        write_noisy(waves, home / "given", self.level_percent, seed=round(10 * self.level_percent))
        name, tally = f"box, {self.level_percent:g} % noise", Tally()
        fields, said = imported(home / "given", home / "wavefield", IngestSettings(identifiers="retained"))
        tally.sound("others' box", "box", name, said)
        for one in fields:
            look_at_field(tally, "others' box", name, one, np.eye(3), home)
        return tally


@dataclass(frozen=True, slots=True)
class RealSession:
    """Real scan, all its runs: body is "brain" or "liver"."""

    body: str
    source: Path

    def look(self, out: Path) -> Tally:
        """Check all runs without and with planted faults."""
        name, tally = f"real {self.body}", Tally()
        look_at_dicom(tally, name, self.body, name, self.source, IngestSettings(), out / self.body)
        return tally


@dataclass(frozen=True, slots=True)
class OneDirectionSession:
    """Simulated exam of one direction in four thick slices, as GE stores it."""

    seed: int
    level_percent: float

    def look(self, out: Path) -> Tally:
        """Write the DICOM, and check it without and with planted faults."""
        name, home = f"abdomen {self.seed}, {self.level_percent:g} % noise", out / f"one-direction-{self.seed}"
        shutil.rmtree(home, ignore_errors=True)
        write_exam(home / "mre", self.seed, self.level_percent)
        tally = Tally()
        look_at_dicom(
            tally, "one direction", f"abdomen {self.seed}", name, home / "mre", IngestSettings(), home / "work"
        )
        return tally


type Session = VendorSession | CohortSession | BoxSession | RealSession | OneDirectionSession


def sessions(*, short: bool) -> tuple[list[Session], list[str]]:
    """Return the sessions to check, and notes on the public data that are not there."""
    if short:
        return [VendorSession(VENDORS[0], LEVELS_PERCENT[0], SHORT_SETTINGS), OneDirectionSession(1, 3.0)], []
    data = shared_data()
    box, brain, liver = data / "phantom-box", data / "charite-mre/sub-01_dicom.zip", data / "ge-liver/exam.zip"
    chosen: list[Session] = [VendorSession(one, level, SETTINGS) for one in VENDORS for level in LEVELS_PERCENT]
    chosen += [CohortSession(number) for number in range(1, PATIENTS + 1)]
    chosen += [OneDirectionSession(seed, level) for seed, level in enumerate(EXAM_LEVELS_PERCENT, start=1)]
    chosen += [BoxSession(box, level) for level in BOX_LEVELS_PERCENT if box.exists()]
    chosen += [RealSession("brain", brain)] if brain.exists() else []
    chosen += [RealSession("liver", liver)] if liver.exists() else []
    return chosen, [f"{path.name}: not there" for path in (box, brain, liver) if not path.exists()]


@functools.cache
def _atlas() -> Atlas:
    return load_atlas()


_HEADS: Final[dict[str, Patient]] = {}


def _head(settings: PhantomSettings) -> Patient:
    """Solve a head once a process."""
    key = settings.model_dump_json()
    if key not in _HEADS:
        _HEADS[key] = _solved(settings)
    return _HEADS[key]


def _look_at_phantom(
    group: str, body: str, name: str, settings: PhantomSettings, solve: Callable[[], Patient], home: Path
) -> Tally:
    """Write a patient's study unless it is there whole, and look at its MRE."""
    study = home / "study"
    if not study.exists():
        shutil.rmtree(home, ignore_errors=True)
        partial = home / "partial"
        partial.mkdir(parents=True)
        who = solve()
        write_study(partial, settings, who.head, who.grid, who.displacement_m)
        partial.rename(study)
    subject = study / f"sub-{settings.subject}" / f"ses-{settings.session}"
    told = json.loads((subject / "truth" / "truth.json").read_text(encoding="utf-8"))["ingest"]
    tally = Tally()
    look_at_dicom(
        tally, group, body, name, subject / "dicom" / "mre", IngestSettings.model_validate(told), home / "work"
    )
    return tally


def _solved(settings: PhantomSettings) -> Patient:
    head, grid = build_head(settings, _atlas()), scan_grid(settings, _atlas())
    displacement_m, _ = vibrate(MPI.COMM_SELF, settings, head, grid)
    return Patient(settings, head, grid, displacement_m)
