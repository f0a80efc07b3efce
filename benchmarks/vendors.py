"""One patient in every vendor's layout: difference of the wave field that is read from the simulated one.

The in-silico patient is scanned without noise and without motion of the head, stored as each vendor stores MRE, and
read back by `palpate ingest`, with settings for what its headers do not say. The error of a wave field is the largest
difference from the truth over the mask, relative to the largest displacement; phase wraps, free-running slices and the
steps in which pixels are stored are in it. dciodvfy (dicom3tools) reads every file.

The figures in docs/gallery.md are made on the way.

    python benchmarks/vendors.py --out folder [--short]
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

import numpy as np
from harness.command_line import options
from harness.record import Row, write_record
from mpi4py import MPI
from numpy.typing import NDArray
from pictures.vendor_picture import Layout, draw

from palpate.config.ingest import IngestSettings
from palpate.config.phantom import PhantomSettings, Vendor
from palpate.imaging.anatomy.atlas import load_atlas
from palpate.imaging.dicom.registry import read_acquisitions
from palpate.imaging.files.wavefield_folder import read_wave_fields
from palpate.imaging.ingest import ingest
from palpate.imaging.phantom.grid import ScanGrid, scan_grid
from palpate.imaging.phantom.study import write_study
from palpate.imaging.phantom.tissue import Head, build_head
from palpate.imaging.wavefield import WaveField
from palpate.solvers.virtual_patient import vibrate

PICTURES: Final = Path(__file__).parents[1] / "docs" / "pictures"
VENDORS: Final[tuple[Vendor, ...]] = get_args(Vendor.__value__)
OFFSETS: Final = (8, 4)
GOAL: Final = "<= 0.1"
SETTINGS: Final = PhantomSettings(shape=(28, 28, 9), element_mm=3.1, noise_percent=0.0, motion_rad=0.0)
SHORT_SETTINGS: Final = SETTINGS.model_copy(update={"shape": (10, 9, 5), "element_mm": 4.5, "lesion": None})


@dataclass(frozen=True, slots=True)
class Patient:
    """Head, voxels and displacement of an in-silico patient.

    Attributes:
        settings: settings of the patient.
        head: tissue of the head.
        grid: voxels of the elastogram.
        displacement_m: complex displacement U, metres, shape (i, j, k, 3).
    """

    settings: PhantomSettings
    head: Head
    grid: ScanGrid
    displacement_m: NDArray[np.complex128]


@dataclass(frozen=True, slots=True)
class Imported:
    """Files of one vendor and the wave field that was read from them.

    Attributes:
        session: folder of the session in the study.
        told: settings for what the headers do not say.
        found: wave field as read.
        truth: wave field as simulated.
        wrapped_percent: share of the phase samples that are wrapped, percent.
    """

    session: Path
    told: IngestSettings
    found: WaveField
    truth: WaveField
    wrapped_percent: float

    @property
    def error_percent(self) -> float:
        """Largest difference over the mask, relative to the largest displacement."""
        mask = self.found.mask & self.truth.mask
        difference = np.abs(self.found.displacement_m - self.truth.displacement_m)[mask]
        return float(100.0 * difference.max() / np.abs(self.truth.displacement_m[mask]).max())


def patient(settings: PhantomSettings) -> Patient:
    """Build the head and solve its waves once for all vendors."""
    atlas = load_atlas()
    head, grid = build_head(settings, atlas), scan_grid(settings, atlas)
    displacement_m, _ = vibrate(MPI.COMM_SELF, settings, head, grid)
    return Patient(settings, head, grid, displacement_m)


def imported(who: Patient, vendor: Vendor, offsets: int, home: Path) -> Imported:
    """Write the patient as a vendor stores it, and read it back."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    settings = who.settings.model_copy(update={"vendor": vendor, "offsets": offsets})
    write_study(home, settings, who.head, who.grid, who.displacement_m)
    session = home / "sub-01" / "ses-01"
    record = json.loads((session / "truth" / "truth.json").read_text(encoding="utf-8"))
    told = IngestSettings.model_validate(record["ingest"])
    (found,) = ingest(session / "dicom" / "mre", "sub-01_ses-01", home / "wavefield", anatomy=None, settings=told)
    (truth,) = read_wave_fields(session / "truth" / "wavefield")
    return Imported(session, told, found, truth, 100.0 * record["wrapped_share"])


def faulty_files(folder: Path) -> tuple[int, int]:
    """Return the number of files, and the number of those in which dciodvfy finds an error."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    faulty = 0
    for path in files:
        done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
        faulty += "Error" in done.stderr + done.stdout
    return len(files), faulty


def layout(vendor: Vendor, one: Imported) -> Layout:
    """Return the images and figures for the picture of a vendor."""
    (acquisition,), _ = read_acquisitions(one.session / "dicom" / "mre", one.told)
    k = one.found.mask.shape[2] // 2
    return Layout(
        vendor=vendor,
        mre=one.session / "dicom" / "mre",
        slice_number=k,
        magnitude=acquisition.magnitude[0, 0, :, :, k],
        phase_rad=most_wrapped(acquisition.phase_rad[..., k]),
        wave_um=1e6 * np.where(one.found.mask, one.found.displacement_m[..., 2].real, np.nan)[:, :, k],
        error_um=1e6
        * np.where(one.found.mask, (one.found.displacement_m - one.truth.displacement_m)[..., 2].real, np.nan)[:, :, k],
        error_percent=one.error_percent,
    )


def most_wrapped(phase_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the image with the most jumps of more than pi among those of a slice, shape (direction, offset, i, j)."""
    images = phase_rad.reshape(-1, *phase_rad.shape[2:])
    jumps = sum((np.abs(np.diff(images, axis=axis)) > np.pi).sum(axis=(1, 2)) for axis in (1, 2))
    return np.asarray(images[int(np.argmax(jumps))])


def main() -> None:
    """Read all vendors' layouts, with eight and with four offsets, and record the errors."""
    chosen = options(__doc__)
    began = time.perf_counter()
    who = patient(SHORT_SETTINGS if chosen.short else SETTINGS)
    rows, notes = [], ["no noise, no motion of the head; 4.0 um per radian"]
    files = faulty = 0
    for vendor in VENDORS[:2] if chosen.short else VENDORS:
        for offsets in OFFSETS[: 1 if chosen.short else None]:
            one = imported(who, vendor, offsets, chosen.out / f"{vendor}-{offsets}")
            rows.append(
                Row(f"{vendor}, {offsets} offsets: largest error of U", "%", one.error_percent, None, goal=GOAL)
            )
            lost = int((one.found.mask ^ one.truth.mask).sum())
            notes.append(f"{vendor}, {offsets} offsets: {one.wrapped_percent:.1f} % of samples wrapped, {lost} voxels "
                         f"of {int(one.truth.mask.sum())} in one mask only")  # fmt: skip
            if offsets == OFFSETS[0]:
                draw(layout(vendor, one), (chosen.out if chosen.short else PICTURES) / f"vendor-{vendor}.png")
                if shutil.which("dciodvfy"):
                    counts = faulty_files(one.session / "dicom")
                    files, faulty = files + counts[0], faulty + counts[1]
    worst = max(row.ours for row in rows if row.ours is not None)
    rows.insert(0, Row("largest error of U, worst vendor", "%", worst, None, goal=GOAL))
    if files:
        rows.append(Row("files in which dciodvfy finds an error", "", float(faulty), None, goal="<= 0"))
        notes.append(f"dciodvfy read {files} files, the T1 of each vendor's study among them")
    write_record("vendors", rows, published="none", notes=notes, seconds=time.perf_counter() - began, out=chosen.record)


if __name__ == "__main__":
    main()
