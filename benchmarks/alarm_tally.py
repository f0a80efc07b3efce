"""Counts of sound and faulty sessions and of the warnings that the checks gave for each."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from planted_faults import (
    FIELD_FAULTS,
    IMAGE_FAULTS,
    Images,
    image_noise_rad,
    measured,
    named,
    said_of_field,
    said_of_images,
)
from scipy import stats

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.dicom.registry import read_acquisitions
from palpate.imaging.ingest import ingest
from palpate.imaging.wavefield import WaveField

CODES: Final = frozenset(
    {
        "offsets-not-one-period",
        "few-offsets",
        "component-axes",
        "component-times",
        "component-scale",
        "component-without-wave",
        "component-twice",
        "divergence",
        "parts-apart",
        "sign-of-time",
        "implausible-modulus",
        "small-displacement",
        "mask-without-data",
        "correlated-noise",
        "slice-twice",
        "slices-out-of-order",
        "slices-moved",
    }
)
"""Codes of the checks that are judged; others, such as weak-waves, are no statement about an export."""
CONFIDENCE: Final = 0.95


@dataclass(slots=True)
class Tally:
    """Counts of all sessions that were checked.

    Attributes:
        sessions: number of sound sessions, by group.
        alarms: number of false alarms, by group.
        bodies: whether a head, gel or abdomen had a false alarm, by name.
        planted: number of faulty sessions, by fault and group.
        found: number of faulty sessions whose fault was named, by fault and group.
        notes: one sentence for each false alarm and each fault that was missed.
    """

    sessions: Counter[str] = field(default_factory=Counter)
    alarms: Counter[str] = field(default_factory=Counter)
    bodies: dict[str, bool] = field(default_factory=dict)
    planted: Counter[tuple[str, str]] = field(default_factory=Counter)
    found: Counter[tuple[str, str]] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def sound(self, group: str, body: str, name: str, said: list[str]) -> None:
        """Count a sound session and its warnings."""
        self.sessions[group] += 1
        self.alarms[group] += bool(said)
        self.bodies[body] = self.bodies.get(body, False) or bool(said)
        if said:
            self.notes.append(f"false alarm, {name}: {'; '.join(said)}")

    def faulty(self, group: str, fault: str, name: str, said: list[str], told: tuple[str, ...]) -> None:
        """Count a session with a planted fault and its warnings."""
        self.planted[fault, group] += 1
        hit = named(said, told)
        self.found[fault, group] += hit
        if not hit:
            self.notes.append(f"missed, {name}, {fault}: {'; '.join(said) or 'nothing said'}")

    def add(self, other: Tally) -> None:
        """Add the counts of another tally."""
        for mine, theirs in ((self.sessions, other.sessions), (self.alarms, other.alarms)):
            mine.update(theirs)
        self.planted.update(other.planted)
        self.found.update(other.found)
        for body, alarm in other.bodies.items():
            self.bodies[body] = self.bodies.get(body, False) or alarm
        self.notes += other.notes

    def bound_percent(self) -> float:
        """Return the upper 95 % limit of the share of bodies with a false alarm (Clopper and Pearson, one-sided)."""
        count, alarms = len(self.bodies), sum(self.bodies.values())
        return 100.0 if alarms == count else 100.0 * float(stats.beta.ppf(CONFIDENCE, alarms + 1, count - alarms))

    def by_fault(self) -> dict[str, dict[str, tuple[int, int]]]:
        """Return the numbers of faults found and planted, by fault, then by group."""
        told: dict[str, dict[str, tuple[int, int]]] = {}
        for (fault, group), planted in self.planted.items():
            told.setdefault(fault, {})[group] = (self.found[fault, group], planted)
        return told


def imported(source: Path, out: Path, settings: IngestSettings) -> tuple[tuple[WaveField, ...], list[str]]:
    """Import a session; return its wave fields, and the checks' warnings or the reason of a refusal."""
    shutil.rmtree(out, ignore_errors=True)
    try:
        with redirect_stderr(StringIO()):
            fields = ingest(source, "sub-01_ses-01", out, anatomy=None, settings=settings)
    except InputError as error:
        return (), [f"refused: {error.found}"]
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(out.glob("*_ingest.json"))]
    warnings = [one for record in records for part in (record, *record["frequencies"]) for one in part["warnings"]]
    return fields, [f"{one['code']} ({one['sentence']})" for one in warnings if one["code"] in CODES]


def look_at_dicom(
    tally: Tally, group: str, body: str, name: str, source: Path, settings: IngestSettings, home: Path
) -> None:
    """Import a sound session of DICOM, then plant every fault into each of its acquisitions."""
    settings = settings.model_copy(update={"identifiers": "retained"})
    fields, said = imported(source, home / "wavefield", settings)
    with redirect_stderr(StringIO()):
        acquisitions, _ = read_acquisitions(source, settings)
    for number, acquisition in enumerate(acquisitions, start=1):
        own = name if len(acquisitions) == 1 else f"{name}, run {number}"
        tally.sound(group, body, own, said)
        look_at_images(tally, group, own, acquisition, settings)
        if fields:
            look_at_field(tally, group, own, fields[number - 1], acquisition.encoding_axes, home)


def look_at_images(
    tally: Tally, group: str, name: str, acquisition: PhaseAcquisition, settings: IngestSettings
) -> None:
    """Plant the faults of phase images."""
    made, _ = measured(acquisition, settings)
    images = Images(acquisition, image_noise_rad(made))
    for fault in IMAGE_FAULTS:
        planted = fault.plant(images)
        if planted is not None:
            tally.faulty(group, fault.name, name, said_of_images(planted, settings), fault.told)


def look_at_field(tally: Tally, group: str, name: str, waves: WaveField, axes: NDArray[np.float64], home: Path) -> None:
    """Plant the faults of wave fields that their directions show, along the axes that the scanner encoded, in rows."""
    for fault in FIELD_FAULTS:
        if waves.displacement_m.shape[-1] < fault.directions:
            continue
        said = said_of_field(fault.plant, waves, axes, home / "stated")
        if said is not None:
            tally.faulty(group, fault.name, name, said, fault.told)
