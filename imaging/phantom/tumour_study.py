"""Images of the in-silico tumour at every date, its treatments, and the truth beside them.

sub-02/treatments.tsv, sub-02/dose.dcm
sub-02/ses-<n>/t1/0001.dcm, ...                  as the head lay that day, as DICOM
sub-02/ses-<n>/growth/{adc,roi}.nii.gz, adc.json
sub-02/ses-<n>/truth/truth_density.nii.gz        living cells on the truth's own grid, in the first scan's world
sub-02/ses-<n>/truth/truth_necrosis.nii.gz       dead ones, where oxygen limits growth
sub-02/ses-01/{labels.nii.gz,labels.tsv}
sub-02/truth/truth_density-day<d>.nii.gz (and necrosis), truth.json   of days after the last scan; volumes, burdens,
displacements, parameters
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.config.longitudinal import LongitudinalSettings
from palpate.config.tumour import TumourSettings
from palpate.imaging.files.nifti import voxel_indices, write_nifti
from palpate.imaging.phantom.anatomy_series import write_t1_slices
from palpate.imaging.phantom.grid import ScanGrid, block, rotation
from palpate.imaging.phantom.identity import Identity
from palpate.imaging.phantom.rtdose import write_rtdose
from palpate.imaging.phantom.tissue import random_field
from palpate.imaging.phantom.tumour_scene import TumourScene, dose_gy, drug_days, fraction_days
from palpate.imaging.registration.rigid import Rigid, at_rest
from palpate.imaging.tumour.history import ENHANCING, NECROTIC, NON_ENHANCING
from palpate.provenance import versions
from palpate.renamed import record_text

type Values = NDArray[np.float64]

FIRST_DATE: Final = datetime.date(2025, 1, 6)
"""Date of the first scan."""
ENHANCES_ABOVE: Final = 0.8
"""Density of tumour cells above which the truth takes up contrast agent."""
INFILTRATES_ABOVE: Final = 0.18
"""Density of tumour cells above which the truth is visible on FLAIR."""
_BLUR: Final = 0.4
"""Standard deviation of the scanner's blur in voxels of the image."""
_HEALTHY_MM2_S: Final = 0.8e-3
_EDGE_MM: Final = 6.0
_T1_MM: Final = 1.5
_T1_NOISE: Final = 0.02
_T1_BRIGHT: Final = 1000.0
_T1_MOST: Final = 2**12 - 1
_TILT_DEG: Final = (3.0, -2.0, 4.0)
_DOSE_MM: Final = 3.0


@dataclass(frozen=True, slots=True)
class Displacement:
    """Lengths of the displacement of the brain around a tumour.

    Attributes:
        mean_mm: mean length, mm.
        largest_mm: 99th percentile of the length, mm.
    """

    mean_mm: float
    largest_mm: float


@dataclass(frozen=True, slots=True)
class Truth:
    """Grown tumour.

    Attributes:
        densities: densities of living cells by day, on days of scans and days after them, shape (i, j, k) each.
        radius_mm: radius of the ball as large as the tumour on the day of the planning scan, mm; the dose covers it.
        seconds: computing time of the growth, seconds.
        storage_pa: storage modulus G' from the first scan on, pascal, shape (i, j, k); softer or stiffer where the
            tumour is; None without mechanics.
        slowed: decrease of ln D by stress at the front (mean weighted by u (1 - u)), by day.
        necrosis: densities of dead cells by day, shape (i, j, k) each; empty where oxygen is ample.
        displaced: displacement of the brain around the tumour, by the day of the scan that shows the tumour and the
            day of the displacement; empty for scans that show none.
    """

    densities: Mapping[int, Values]
    radius_mm: float
    seconds: float
    storage_pa: Values | None = None
    slowed: Mapping[int, float] = field(default_factory=dict)
    necrosis: Mapping[int, Values] = field(default_factory=dict)
    displaced: Mapping[int, Mapping[int, Displacement]] = field(default_factory=dict)

    def filled(self, day: int) -> Values:
        """Return the density of living and dead cells together, shape (i, j, k)."""
        return self.densities[day] + self.necrosis[day] if self.necrosis else self.densities[day]


def write_tumour_patient(
    root: Path, settings: LongitudinalSettings, scene: TumourScene, truth: Truth
) -> tuple[dict[str, str], ...]:
    """Image the tumour and write everything into an existing study.

    Args:
        root: the study's folder.
        settings: settings of the patient.
        scene: brain of the patient.
        truth: tumour of the patient.

    Returns:
        The patient's rows of the table of sessions.
    """
    home = root / f"sub-{settings.subject}"
    home.mkdir()
    _write_treatments(home, settings, truth)
    _write_truth(home / "truth", settings, scene, truth)
    rows = []
    for number, day in enumerate(settings.days, start=1):
        label = f"{number:02d}"
        session = Path(f"sub-{settings.subject}", f"ses-{label}")
        generator = np.random.default_rng([settings.seed, 22, number])
        motion = _moved(settings, generator, still=number == 1)
        (root / session / "growth").mkdir(parents=True)
        (root / session / "truth").mkdir()
        cells = truth.densities[day], truth.necrosis.get(day)
        _write_growth(root / session / "growth", settings, scene, cells, motion, generator)
        (root / session / "t1").mkdir()
        date = FIRST_DATE + datetime.timedelta(days=day)
        identity = Identity(settings.subject, label, settings.model_dump_json(), f"{date:%Y%m%d}")
        _write_t1(root / session / "t1", identity, (settings, scene), truth.filled(day), motion, generator)
        _write_cells(root / session / "truth", "", scene, truth, day)
        if number == 1:
            _write_labels(root / session, scene)
        rows.append(
            {
                "subject": settings.subject,
                "session": label,
                "mre": "",
                "anatomy": f"{session.as_posix()}/t1",
                "labels": f"{session.as_posix()}/labels.nii.gz" if number == 1 else "",
                "date": str(date),
                "growth": f"{session.as_posix()}/growth",
                "treatment": f"sub-{settings.subject}/treatments.tsv",
                "truth": f"{session.as_posix()}/truth",
            }
        )
    return tuple(rows)


def _moved(settings: LongitudinalSettings, generator: np.random.Generator, *, still: bool) -> Rigid:
    """From the first scan's world to a date's."""
    centre = np.asarray(settings.centre_mm)
    if still:
        return at_rest(centre)
    turn = np.deg2rad(settings.head_rotation_deg) * generator.standard_normal(3)
    return Rigid(np.concatenate([turn, settings.head_shift_mm * generator.standard_normal(3)]), centre)


def _image_grid(settings: LongitudinalSettings, voxel_mm: float, half_mm: float, tilted: bool) -> ScanGrid:  # noqa: FBT001
    count = int(np.floor(2.0 * half_mm / voxel_mm))
    axes = rotation(_TILT_DEG if tilted else (0.0, 0.0, 0.0)) @ np.diag([-1.0, -1.0, 1.0])
    return block(np.asarray(settings.centre_mm), axes, (count, count, count), voxel_mm)


def _seen(scene: TumourScene, values: Values, grid: ScanGrid, motion: Rigid) -> Values:
    """Return the truth's values where a date's voxels show them, blurred by the scanner, shape of the grid."""
    sigma = _BLUR * float(grid.voxel_mm.max()) / scene.grid.voxel_mm
    blurred = ndimage.gaussian_filter(values, sigma)
    back = np.linalg.inv(motion.matrix_mm)
    points = grid.points_mm @ back[:3, :3].T + back[:3, 3]
    index = np.moveaxis(voxel_indices(scene.grid.affine_mm, points), -1, 0)
    return np.asarray(ndimage.map_coordinates(blurred, index, order=1))


def _write_growth(
    folder: Path,
    settings: LongitudinalSettings,
    scene: TumourScene,
    cells_and_dead: tuple[Values, Values | None],
    motion: Rigid,
    generator: np.random.Generator,
) -> None:
    density, necrosis = cells_and_dead
    grid = _image_grid(settings, settings.voxel_mm, settings.half_edge_mm - _EDGE_MM, tilted=True)
    tissue = _seen(scene, scene.tissue.astype(np.float64), grid, motion)
    # Density of what is tissue in a voxel, not diluted by fluid.
    cells = filled = _seen(scene, density * scene.tissue, grid, motion) / np.maximum(tissue, 0.2)
    dead = np.zeros_like(cells)
    if necrosis is not None:
        dead = _seen(scene, necrosis * scene.tissue, grid, motion) / np.maximum(tissue, 0.2)
        filled = cells + dead
    jitter = settings.contour_noise * random_field(generator, grid.shape, 8.0 / settings.voxel_mm)
    drawn = np.where(tissue > 0.5, filled + jitter * (filled > 0.05), 0.0)
    roi = np.where(drawn > ENHANCES_ABOVE, ENHANCING, np.where(drawn > INFILTRATES_ABOVE, NON_ENHANCING, 0))
    # Water moves freely where most cells are dead, and a reader draws that by itself.
    roi = np.where((roi > 0) & (dead > cells), NECROTIC, roi)
    said = TumourSettings()
    span = said.adc_water_mm2_s - said.adc_least_mm2_s
    adc = np.where(roi > 0, said.adc_water_mm2_s - span * cells, _HEALTHY_MM2_S)
    adc = np.where(tissue > 0.5, adc, said.adc_water_mm2_s)
    adc = adc + settings.adc_noise_mm2_s * generator.standard_normal(grid.shape)
    stored = np.rint(1e6 * np.maximum(adc, 0.0)).astype(np.int16)
    write_nifti(folder / "adc.nii.gz", stored, grid.affine_mm)
    sidecar = {"Units": "1e-6 mm2/s", "NoiseStd": max(1e6 * settings.adc_noise_mm2_s, 1.0)}
    (folder / "adc.json").write_text(json.dumps(sidecar) + "\n", encoding="utf-8")
    write_nifti(folder / "roi.nii.gz", roi.astype(np.uint8), grid.affine_mm)


def _write_t1(
    folder: Path,
    identity: Identity,
    patient: tuple[LongitudinalSettings, TumourScene],
    density: Values,
    motion: Rigid,
    generator: np.random.Generator,
) -> None:
    settings, scene = patient
    grid = _image_grid(settings, _T1_MM, settings.half_edge_mm - 1.0, tilted=False)
    signal = _seen(scene, scene.t1 * (1.0 - 0.3 * density), grid, motion)
    signal = np.maximum(signal + _T1_NOISE * generator.standard_normal(grid.shape), 0.0)
    stored = np.minimum(np.rint(_T1_BRIGHT * signal), _T1_MOST).astype(np.uint16)
    write_t1_slices(folder, identity, grid, stored, brightest=_T1_BRIGHT)


def _write_labels(folder: Path, scene: TumourScene) -> None:
    white = scene.tissue & (scene.white >= 0.5)
    labels = np.where(white, 2, np.where(scene.tissue, 1, np.where(scene.t1 > 0, 3, 0))).astype(np.uint8)
    write_nifti(folder / "labels.nii.gz", labels, scene.grid.affine_mm)
    names = "index\tname\n1\tgrey matter\n2\twhite matter\n3\tcerebrospinal fluid\n"
    (folder / "labels.tsv").write_text(names, encoding="utf-8")


def _write_treatments(home: Path, settings: LongitudinalSettings, truth: Truth) -> None:
    """Planned ones after the last scan too: a forecast is of what will be done."""
    last = (*settings.days, *settings.beyond_days)[-1]
    days = [day for day in fraction_days(settings) if day <= last]
    if days:
        half_mm = truth.radius_mm + 40.0
        grid = _image_grid(settings, _DOSE_MM, half_mm, tilted=False)
        identity = Identity(settings.subject, "01", settings.model_dump_json())
        total = settings.fractions * dose_gy(settings, grid.points_mm, truth.radius_mm)
        write_rtdose(home / "dose.dcm", identity, grid, total)
    lines = [(day, f"radiotherapy\t{settings.fraction_gy:g}\t\t\tdose.dcm\t{settings.fractions}") for day in days]
    lines += [(day, f"chemotherapy\t\t{amount:g}\ttemozolomide\t\t") for day, amount in drug_days(settings, last)]
    header = "date\tkind\tdose_gy\tamount_mg\tdrug\tdose_file\tfractions"
    rows = [f"{FIRST_DATE + datetime.timedelta(days=day)}\t{rest}" for day, rest in sorted(lines)]
    (home / "treatments.tsv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def _write_cells(folder: Path, ending: str, scene: TumourScene, truth: Truth, day: int) -> None:
    """Write the truth's maps of a day, as truth_<kind><ending>.nii.gz."""
    for kind, maps in (("density", truth.densities), ("necrosis", truth.necrosis)):
        if maps:
            stored = maps[day].astype(np.float32)
            write_nifti(folder / f"truth_{kind}{ending}.nii.gz", stored, scene.grid.affine_mm)


def _write_truth(folder: Path, settings: LongitudinalSettings, scene: TumourScene, truth: Truth) -> None:
    folder.mkdir()
    for day in settings.beyond_days:
        _write_cells(folder, f"-day{day}", scene, truth, day)
    filled = {day: truth.filled(day) for day in truth.densities}
    voxel_ml = float(np.prod(scene.grid.voxel_mm)) / 1e3
    moved = truth.displaced.items()
    record = {
        "days": sorted(truth.densities),
        "volume_enhancing_ml": {d: voxel_ml * float(np.sum(u > ENHANCES_ABOVE)) for d, u in filled.items()},
        "volume_visible_ml": {d: voxel_ml * float(np.sum(u > INFILTRATES_ABOVE)) for d, u in filled.items()},
        "burden_ml": {day: voxel_ml * float(u.sum()) for day, u in truth.densities.items()},
        "necrosis_ml": {day: voxel_ml * float(n.sum()) for day, n in truth.necrosis.items()},
        "stress_slowing_at_front": truth.slowed,
        "displacement_mm": {around: {day: one.mean_mm for day, one in of.items()} for around, of in moved},
        "largest_displacement_mm": {around: {day: one.largest_mm for day, one in of.items()} for around, of in moved},
        "settings": settings.model_dump(mode="json"),
        "versions": versions(),
    }
    (folder / "truth.json").write_text(record_text("tumour truth", record), encoding="utf-8")
