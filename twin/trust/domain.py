"""Facts of a calibrated patient beside the ranges over which the twin was tried (palpate.twin.trust.tried)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.products.figures import observed
from palpate.twin.trust.tried import Domain, kind_fact, number_fact, validated


def domain(calibration: Calibration, after_days: float | None = None, unlike: Sequence[str] = ()) -> Domain:
    """Return a patient's facts beside the ranges over which the twin was tried.

    Args:
        calibration: calibration of the tumour, with the treatments that are planned.
        after_days: furthest day of the forecast, counted from the last scan; None for a calibration alone.
        unlike: further facts in words that no cohort had.
    """
    history = calibration.history
    last = history.scans[-1].day
    end = last if after_days is None else last + after_days
    voxel_ml = float(np.prod(history.edges_mm)) / 1e3
    doses = [float(one.dose_gy.max()) for one in history.irradiations if one.day <= end]
    values = {
        "scans": float(len(history.scans)),
        "voxel_mm": float(np.max(history.edges_mm / np.array(calibration.grid.factors))),
        "visible_ml": observed(history.scans[-1:], voxel_ml)[0]["visible_ml"],
        "horizon_days": after_days,
        "fraction_gy": max(doses, default=None),
    }
    numbers = [number_fact(name, value) for name, value in values.items() if value is not None]
    kinds = {"radiotherapy" for _ in doses}
    kinds |= {f"drug {one.drug}" for one in history.drug_doses if one.day <= end}
    kinds |= {"surgery" for one in history.surgeries if one.day <= end}
    kinds |= {"biopsy" for scan in history.scans if scan.biopsies}
    kinds_and_others = [kind_fact(words) for words in (*sorted(kinds), *unlike)]
    return Domain((*numbers, *kinds_and_others), tuple(validated()["not_recorded"]))
