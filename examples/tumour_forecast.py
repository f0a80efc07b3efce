"""A tumour's twin: it is calibrated on three scans and forecasts later days.

`palpate tumour` reads such a history from a table of sessions; here it is made of arrays. Not for decisions about a
patient.
"""

# %% Data: density of tumour cells and drawn regions on three days, and the treatment in between
import numpy as np

import palpate
from palpate.imaging.tumour.history import ENHANCING, NON_ENHANCING, Irradiation, TumourHistory, TumourScan

SHAPE, EDGE_MM = (13, 12, 11), 4.0
place_mm = (np.indices(SHAPE) + 0.5) * EDGE_MM
distance_mm = np.linalg.norm(place_mm - place_mm.mean(axis=(1, 2, 3), keepdims=True), axis=0)
tissue = place_mm[0] > 8.0
white = np.where(tissue, np.where(place_mm[1] > 16.0, 0.9, 0.2), 0.0)


def scan(day: float, radius_mm: float) -> TumourScan:
    """Return what a tumour of a radius looks like on a day."""
    seen = (distance_mm < radius_mm + 2.0) & tissue
    cells = np.where(seen, 0.9 / (1.0 + np.exp((distance_mm - radius_mm) / 2.0)), np.nan)
    roi = np.where(distance_mm < radius_mm - 3.0, ENHANCING, np.where(seen, NON_ENHANCING, 0))
    return TumourScan(day, cells, np.where(seen, 0.12, np.nan), roi.astype(np.uint8))


history = TumourHistory(
    subject="example",
    affine_mm=np.diag([EDGE_MM, EDGE_MM, EDGE_MM, 1.0]),
    tissue=tissue,
    white=white,
    scans=(scan(0.0, 8.0), scan(25.0, 11.0), scan(70.0, 13.0)),
    irradiations=tuple(Irradiation(day, np.full(SHAPE, 2.0)) for day in (30.0, 31.0)),
)

# %% The posterior of growth and treatment response; few draws and no mechanics, so that seconds are enough
settings = {"voxel_mm": EDGE_MM, "block_mm": 8.0, "outline_modes": 3, "draws": 24, "mechanics": False}
calibration = palpate.calibrate(history, settings)
print("converged:", calibration.statistics.converged)
for one in calibration.estimates():
    known = "" if one.identified else "  (not informed by the images)"
    print(f"{one.name}: {one.median:.3g} ({one.lower:.3g} to {one.upper:.3g}, SI units){known}")

# %% Volumes 30 and 60 days after the last scan, with 95 % intervals
for day in palpate.forecast(calibration, [30, 60]):
    print(f"day {day.day:g}: visible {day.visible_ml}")
    print(f"         burden  {day.burden_ml}")
