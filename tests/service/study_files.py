"""Results of a study as the workflow leaves them, without computing what is in them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from palpate.ownership import this_process
from palpate.resources import RankUse, Use, record_path
from palpate.run_lock import NAME as LOCK

STEPS = {
    "ingest": ("wavefield", 12.0, 350.0),
    "mesh": ("mesh", 2.0, 130.0),
    "invert": ("mre", 600.0, 1800.0),
    "derived": ("derived", 5.0, 200.0),
    "report": ("report.html", 20.0, 420.0),
}
"""Output of each step, its seconds and its memory, MB."""
OF_TUMOUR = {
    "tumour": ("history.h5", 60.0, 900.0),
    "calibrate": ("calibration", 900.0, 2000.0),
    "forecast": ("forecast", 200.0, 1500.0),
    "outlook": ("outlook.html", 30.0, 600.0),
}
BEGAN = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
AT_WORK = "step 2 of about 5, zone 18 of 40, about 6 min to the maps"
NO_WAVES = "wave field: found no voxel where a shear wave stands out from the noise; expected waves that a local "
NO_WAVES += "inversion can see. Check the frequency, the units and the sign of the time convention."


class StudyFiles:
    """Folder of results that a test fills.

    Args:
        home: folder of the study; the results are in it, and the table of sessions.
    """

    def __init__(self, home: Path) -> None:
        self.home, self.results = home, home / "results"
        self.table = home / "sessions.tsv"
        self._rows: list[str] = []
        for folder in (self.results / "logs", home / "field"):
            folder.mkdir(parents=True)
        (home / "field" / "a_wavefield.json").write_text("{}")

    def row(self, subject: str, session: str = "01", **cells: str) -> str:
        """Enter a session into the table; gives its label."""
        self._rows.append("\t".join([subject, session, "field", cells.get("growth", "")]))
        return f"sub-{subject}_ses-{session}"

    def write_table(self) -> Path:
        """Write the table of the sessions that were entered; gives its path."""
        self.table.write_text("\n".join(["subject\tsession\tmre\tgrowth", *self._rows]) + "\n")
        return self.table

    def session(self, subject: str, steps: Sequence[str] = tuple(STEPS), warnings: Sequence[str] = ()) -> Path:
        """Make the outputs of steps of a session, one after another; gives its folder."""
        label = self.row(subject)
        folder = self.results / f"sub-{subject}" / "ses-01"
        folder.mkdir(parents=True)
        moment = BEGAN
        for name in steps:
            output, wall_s, memory_mb = STEPS[name]
            moment += timedelta(seconds=wall_s)
            self.make(folder, name, output, moment, wall_s, memory_mb)
            self.log(f"{label}_{name}", f"[    2.0 s] {label}: done")
        if "ingest" in steps:
            said = [{"code": code, "sentence": "It is so.", "advice": "Mend it."} for code in warnings]
            record = {"frequencies": [{"frequency_hz": 50.0, "warnings": said}]}
            (folder / "wavefield" / f"{label}_ingest.json").write_text(json.dumps(record))
        if "invert" in steps:
            (folder / "mre" / f"{label}_inversion.json").write_text(json.dumps({"warnings": [], "converged": True}))
        return folder

    def make(self, folder: Path, name: str, output: str, moment: datetime, wall_s: float, memory_mb: float) -> None:
        """Make one output with its record of resources."""
        path = folder / output
        if path.suffix:
            path.write_text("made")
        else:
            path.mkdir()
        ranks = (RankUse("node1", 0.9 * wall_s, memory_mb),) * (4 if name == "invert" else 1)
        reserved = {"mem_mb": 4000.0, "runtime": 30.0, "threads": float(len(ranks))}
        used = Use(name, moment.isoformat(timespec="seconds"), wall_s, ranks, reserved)
        record_path(path).write_text(json.dumps({"resources": used.as_record()}))

    def tumour(self, subject: str, steps: Sequence[str] = tuple(OF_TUMOUR)) -> Path:
        """Make the outputs of steps of a tumour; gives its folder."""
        folder = self.results / f"sub-{subject}" / "twin"
        folder.mkdir(parents=True)
        for name in steps:
            output, wall_s, memory_mb = OF_TUMOUR[name]
            self.make(folder, name, output, BEGAN, wall_s, memory_mb)
        return folder

    def log(self, step: str, *lines: str, attempt: int | None = None) -> Path:
        """Write the log of a step."""
        name = f"{step}.log" if attempt is None else f"{step}.attempt-{attempt}.log"
        path = self.results / "logs" / name
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    def lock(self) -> None:
        """Have this process be the workflow that works on the results."""
        (self.results / LOCK).write_text(json.dumps(asdict(this_process("workflow"))))


def mixed_study(home: Path, count: int) -> StudyFiles:
    """A study at work: of 20 sessions, one failed, two have warnings, one runs and two have not begun."""
    files = StudyFiles(home)
    old = (BEGAN.timestamp(), BEGAN.timestamp())
    for number in range(count):
        subject, kind = f"{number:05d}", number % 20
        label = f"sub-{subject}_ses-01"
        if kind in (18, 19):
            files.row(subject)
        elif kind == 3:
            files.session(subject, ("ingest", "mesh"))
            files.log(f"{label}_invert", f"[    2.0 s] {label}: 4 zones", f"palpate: {NO_WAVES}")
        elif kind == 17:
            files.session(subject, ("ingest", "mesh"))
            files.log(f"{label}_invert", f"[   90.0 s] {AT_WORK}")
        else:
            files.session(subject, warnings=("few-slices", "weak-waves")[: kind - 4] if kind in (5, 6) else ())
    for path in (files.results / "logs").iterdir():
        if "invert" not in path.name:
            os.utime(path, old)
    files.tumour("00000")
    files.tumour("00001", ("tumour", "calibrate"))
    files.write_table()
    files.lock()
    return files
