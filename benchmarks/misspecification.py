"""Misspecified models: coverage when truth, scan or stated numbers break what the inversion assumes.

Twenty-four patients like those of the calibration cohort, the same in every row, each with one fault. No setting was
chosen on them.

- as assumed: none, for comparison
- voxel-scale truth: ln G' and ln G'' vary by another 16 % from voxel to voxel, which waves do not see (as assumed: 8 %)
- noise 1.5 x: the stated noise of the wave field is two thirds of its noise
- unwrapping: one voxel in a hundred has a wrong turn of the phase in one image of one direction
- anisotropy: white matter is 30 % stiffer in shear along its fibres than across in everybody (as assumed: 10 to 40 %);
  truth is the isotropic part
- anisotropy, not allowed for: the same, with inversion.anisotropy_percent at 0, for comparison
- density, stated: 1000 kg/m3 is stated as if it were known, where it is 1020 to 1060
- density, unstated: it is not stated, and it is 1020 to 1060 (as assumed: not stated, 1010 to 1050)
- slice jitter: each slice is taken 0.3 ms (standard deviation) off its time: 5 degrees of the vibration at 50 Hz

Goal: 95 % intervals hold at least 90 % of informed voxels and region means, or the session is flagged (`warnings` in
inversion.json). Where some sessions are flagged, the goal is for the others, which have rows of their own. Wave fields
come from DICOM by `palpate ingest`; faults of the scan are put into the wave field.

    python benchmarks/misspecification.py --out folder [--ranks 2] [--short]

Inversions that are finished in the folder are taken over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from cohort_study import MODULI, judged, made, share_percent
from harness.command_line import invert, options, run
from harness.record import Row, write_record

from palpate.config.phantom import PhantomSettings
from palpate.config.study import Session, read_study
from palpate.imaging.files.json_object import read_json
from palpate.imaging.files.wavefield_folder import read_wave_fields, write_wave_field
from palpate.imaging.wavefield import WaveField
from palpate.units import um_to_m

SEED = 20268
PATIENTS, SHAPE = 24, (21, 13, 9)
SHORT_PATIENTS, SHORT_SHAPE = 1, (9, 9, 9)
GOAL: Final = ">= 90"
NOISE_FACTOR, JITTER_S, WRONG_SHARE = 1.5, 0.3e-3, 0.01
OFFSETS, MENC_UM_PER_RAD = 8, 4.0
JUDGED = ("voxels", "regions of 10 mm")
HEAVIER: Final = {"density_kg_m3": 1.01 * PhantomSettings().density_kg_m3}
"""Density of the population's middle, kg/m3, so that patients have 1020 to 1060 kg/m3 instead of 1010 to 1050."""

type Change = Callable[[WaveField, np.random.Generator], WaveField]


def as_it_is(field: WaveField, _generator: np.random.Generator) -> WaveField:
    """Return the field unchanged: nothing is wrong with the scan."""
    return field


def understated(field: WaveField, _generator: np.random.Generator) -> WaveField:
    """Return the field with less noise stated than it has."""
    assert field.noise_std_m is not None  # palpate ingest measures it
    return replace(field, noise_std_m=field.noise_std_m / NOISE_FACTOR)


def wrong_turns(field: WaveField, generator: np.random.Generator) -> WaveField:
    """Add a whole turn in one image of one direction to some voxels: 2 / N of it is in the first harmonic."""
    ijk = np.argwhere(field.mask)
    chosen = ijk[generator.random(len(ijk)) < WRONG_SHARE]
    image = generator.integers(0, OFFSETS, len(chosen))
    size_m = um_to_m(2.0 * np.pi * MENC_UM_PER_RAD * 2.0 / OFFSETS)
    displacement_m = field.displacement_m.copy()
    axes = np.eye(3)[generator.integers(0, 3, len(chosen))] * generator.choice([-1.0, 1.0], (len(chosen), 1))
    displacement_m[tuple(chosen.T)] += size_m * np.exp(-2j * np.pi * image / OFFSETS)[:, None] * axes
    return replace(field, displacement_m=displacement_m)


def stated(field: WaveField, _generator: np.random.Generator) -> WaveField:
    """Return the field with its density marked as known."""
    return replace(field, density_assumed=False)


def jittered(field: WaveField, generator: np.random.Generator) -> WaveField:
    """Shift the time of each slice at random."""
    late_s = JITTER_S * generator.standard_normal(field.mask.shape[2])
    turn = np.exp(2j * np.pi * field.frequency_hz * late_s)
    return replace(field, displacement_m=field.displacement_m * turn[:, None])


@dataclass(frozen=True, slots=True)
class Fault:
    """Fault that breaks an assumption of the inversion.

    Attributes:
        name: name of the fault as printed.
        settings: settings of the phantom, beside its shape.
        change: function that puts the fault into the wave field.
        told: settings of the inversion that differ from the defaults, JSON.
        goal: goal for the coverage, percent; empty where the inversion is set not to allow for the fault.
    """

    name: str
    settings: dict[str, Any]
    change: Change
    told: str = "{}"
    goal: str = GOAL

    @property
    def folder(self) -> str:
        """Name of the fault without characters that a path should not have."""
        return "".join(letter if letter.isalnum() else "-" for letter in self.name)


FAULTS: Final = (
    Fault("as assumed", {}, as_it_is),
    Fault("voxel-scale truth", {"fine_variation": 0.16}, as_it_is),
    Fault("noise 1.5 x", {}, understated),
    Fault("unwrapping", {}, wrong_turns),
    Fault("anisotropy", {"anisotropy": 0.3}, as_it_is),
    Fault("anisotropy, not allowed for", {"anisotropy": 0.3}, as_it_is, '{"anisotropy_percent": 0}', goal=""),
    Fault("density, stated", HEAVIER, stated),
    Fault("density, unstated", HEAVIER, as_it_is),
    Fault("slice jitter", {}, jittered),
)

SHORT_FAULTS: Final = tuple(fault for fault in FAULTS if fault.name in ("as assumed", "unwrapping"))


def invert_with(fault: Fault, scans: Path, results: Path, session: Session) -> list[str]:
    """Ingest a session once, put the fault in, invert; return the sentences of the warnings."""
    assert session.mre is not None
    clean = scans / session.folder / "wavefield"
    if not clean.exists():
        clean.parent.mkdir(parents=True, exist_ok=True)
        anatomy = ["--anatomy", session.anatomy] if session.anatomy else []
        run("palpate", "ingest", session.mre, "--label", session.label, *anatomy, "--out", clean)
    faulty, found = results / session.folder / "wavefield", results / session.folder / "mre"
    if not found.exists():
        faulty.mkdir(parents=True, exist_ok=True)
        for image in clean.glob("*_T1w.*"):
            (faulty / image.name).write_bytes(image.read_bytes())
        generator = np.random.default_rng([5, int(session.subject)])
        for field in read_wave_fields(clean):
            write_wave_field(faulty, fault.change(field, generator))
        invert(faulty, found, 1, "--settings", fault.told)
    (record,) = found.glob("*_inversion.json")
    warnings = read_json(record, record="inversion")["warnings"]
    return [one["sentence"] for one in warnings if one["code"] != "not-converged"]


def rows_of(name: str, found: dict[str, Any], goal: str) -> list[Row]:
    """Return the rows of coverage and of the width of intervals.

    Args:
        name: name of the fault, and of the sessions if they are not all.
        found: figures of `palpate verify calibration`.
        goal: goal for the coverage, percent; empty where there is none.
    """
    rows = []
    for modulus, symbol in MODULI.items():
        for kind in (kind for kind in JUDGED if kind in found[modulus]):
            share = share_percent(found, modulus, kind)
            rows.append(Row(f"{name}: {symbol}, 95 % intervals of {kind}", "%", share, None, goal=goal))
    width = found["storagemodulus"]["interval_width"]
    return [*rows, Row(f"{name}: median width of the 95 % interval of G' over the truth", "", width, None)]


def only(table: Path, kept: Sequence[bool], name: str) -> Path:
    """Write a table of some of a table's sessions beside it, as its paths are relative."""
    header, *lines = table.read_text(encoding="utf-8").splitlines()
    chosen = [line for line, keep in zip(lines, kept, strict=True) if keep]
    path = table.with_name(name)
    path.write_text("\n".join([header, *chosen, ""]), encoding="utf-8")
    return path


def judge(fault: Fault, results: Path, table: Path, warnings: Sequence[list[str]]) -> list[Row]:
    """Return the rows of one fault for all sessions and, where some are flagged, for those without a warning."""
    trusted = [not sentences for sentences in warnings]
    page = results.with_suffix(".html")
    rows = rows_of(fault.name, judged(results, table, page), fault.goal if all(trusted) else "")
    if any(trusted) and not all(trusted):
        some = only(table, trusted, f"not-flagged-{fault.folder}.tsv")
        found = judged(results, some, page.with_stem(f"{page.stem}-not-flagged"))
        rows += rows_of(f"{fault.name}, {sum(trusted)} sessions not flagged", found, fault.goal)
    flagged = 100.0 * (1.0 - float(np.mean(trusted)))
    return [*rows, Row(f"{fault.name}: sessions flagged", "%", flagged, None)]


def main() -> None:
    """Run all faults, one after the other, and record the coverage."""
    chosen = options(__doc__)
    began = time.perf_counter()
    patients, shape = (SHORT_PATIENTS, SHORT_SHAPE) if chosen.short else (PATIENTS, SHAPE)
    rows: list[Row] = []
    for fault in SHORT_FAULTS if chosen.short else FAULTS:
        folder = chosen.out / "-".join(["study", *fault.settings])
        table = made(folder, patients, {"shape": shape, "seed": SEED} | fault.settings, chosen.ranks)
        results = chosen.out / fault.folder
        work = partial(invert_with, fault, table.parent / "scans", results)
        with ThreadPoolExecutor(chosen.ranks) as pool:  # threads only wait for palpate
            warnings = list(pool.map(work, read_study(table)))
        rows += judge(fault, results, table, warnings)
    write_record(
        "misspecification",
        rows,
        published="none: no tool publishes coverage under a wrong model",
        notes=[f"{patients} patients of {' x '.join(map(str, shape))} voxels of 2 mm, one process each"],
        seconds=time.perf_counter() - began,
        out=chosen.record,
    )


if __name__ == "__main__":
    main()
