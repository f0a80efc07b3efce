"""A small study of a tumour at three dates, in order, to be read or spoilt."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from palpate.imaging.files.nifti import write_nifti
from palpate.imaging.phantom.grid import block
from palpate.imaging.phantom.identity import Identity
from palpate.imaging.phantom.rtdose import write_rtdose
from palpate.imaging.tumour.history import CAVITY, ENHANCING, NON_ENHANCING

SHAPE = (20, 18, 16)
AFFINE = np.array([[3.0, 0, 0, -30.0], [0, 3.0, 0, -27.0], [0, 0, 3.0, -24.0], [0, 0, 0, 1.0]])
SPAN_MM2_S = 2.4e-3
WATER_MM2_S = 3.0e-3
DATES = ("2025-01-06", "2025-02-03", "2025-03-03")
COLUMNS = ("subject", "session", "mre", "anatomy", "labels", "date", "growth", "treatment")
TREATMENTS = (
    "date\tkind\tdose_gy\tamount_mg\tdrug\tdose_file\tfractions\tmask_file\troi\tspace",
    "2025-01-20\tradiotherapy\t2\t\t\tdose.dcm\t30\t\t\t",
    "2025-01-21\tradiotherapy\t2\t\t\tdose.dcm\t30\t\t\t",
    "2025-01-21\tchemotherapy\t\t150\tTemozolomide\t\t\t\t\t",
    "2025-01-22\tradiotherapy\t1.8\t\t\t\t\t\t1+2\t",
    "2025-02-10\tsurgery\t\t\t\t\t\t\t1\t",
)
ROWS = tuple(
    {
        "subject": "07",
        "session": f"{number:02d}",
        "mre": "",
        "anatomy": "",
        "labels": "labels/labels.nii.gz" if number == 1 else "",
        "date": date,
        "growth": f"growth{number}",
        "treatment": "treatments.tsv",
    }
    for number, date in enumerate(DATES, start=1)
)


def distance_mm() -> np.ndarray:
    """From the tumour's middle, at every voxel."""
    points = np.moveaxis(np.indices(SHAPE), 0, -1) @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    return np.linalg.norm(points, axis=-1)


def cellularity(number: int) -> np.ndarray:
    """True density of a date."""
    return 1.0 / (1.0 + np.exp((distance_mm() - 8.0 - 2.0 * number) / 2.0))


def write_sessions(root: Path, rows: tuple[dict[str, str], ...] = ROWS) -> None:
    """The table of sessions."""
    lines = ["\t".join(COLUMNS), *("\t".join(row[name] for name in COLUMNS) for row in rows)]
    (root / "sessions.tsv").write_text("\n".join(lines) + "\n")


def write_treatments(root: Path, *lines: str) -> None:
    """The table of treatments: header and lines."""
    (root / "treatments.tsv").write_text("\n".join(lines) + "\n")


def write_dose(path: Path, centre_mm: tuple[float, float, float] = (0.0, 0.0, 0.0), total_gy: float = 60.0) -> None:
    """An RTDOSE with a plateau of 20 mm."""
    grid = block(np.array(centre_mm), np.diag([-1.0, -1.0, 1.0]), (24, 20, 14), 4.0)
    away = np.linalg.norm(grid.points_mm - np.array(centre_mm), axis=-1)
    write_rtdose(path, Identity("07", "01", "test"), grid, total_gy / (1.0 + np.exp((away - 20.0) / 2.0)))


def make_study(root: Path) -> None:
    """Everything: three dates, the first as cellularity, the others as ADC in different units."""
    write_sessions(root)
    write_treatments(root, *TREATMENTS)
    write_dose(root / "dose.dcm")
    (root / "labels").mkdir()
    labels = np.full(SHAPE, 2, np.uint8)
    labels[: SHAPE[0] // 2] = 1
    labels[..., 0], labels[..., 1] = 0, 3
    write_nifti(root / "labels" / "labels.nii.gz", labels, AFFINE)
    (root / "labels" / "labels.tsv").write_text("index\tname\n1\tgrey matter\n2\twhite matter\n3\tCSF\n")
    for number in (1, 2, 3):
        folder = root / f"growth{number}"
        folder.mkdir()
        density = cellularity(number)
        roi = np.where(density > 0.8, ENHANCING, np.where(density > 0.18, NON_ENHANCING, 0)).astype(np.uint8)
        if number == 3:
            roi[(roi == ENHANCING) & (distance_mm() < 5.0)] = CAVITY
        write_nifti(folder / "roi.nii.gz", roi, AFFINE)
        if number == 1:
            write_nifti(folder / "cellularity.nii.gz", density.astype(np.float32), AFFINE)
            (folder / "cellularity.json").write_text('{"NoiseStd": 0.1}')
            continue
        adc = WATER_MM2_S - SPAN_MM2_S * density
        scale = 1e6 if number == 2 else 1.0
        write_nifti(folder / "adc.nii.gz", (scale * adc).astype(np.float32), AFFINE)
    (root / "growth2" / "adc.json").write_text('{"Units": "1e-6 mm2/s", "NoiseStd": 240}')
