"""Small trials for laws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from palpate.twin.trial.block import TrialPlan
from palpate.twin.trial.read import read_plan

RADIOTHERAPY = {"date": 0, "kind": "radiotherapy", "dose_gy": 2, "fractions": 10, "days_a_week": 5}
TEMOZOLOMIDE = {"date": 0, "kind": "chemotherapy", "drug": "temozolomide", "amount_mg": 140, "times": 3}


def content(**changes: object) -> dict[str, Any]:
    """A trial of radiotherapy with and without a drug, as its file says it."""
    return {
        "cohort": {"size": 80, "seed": 3},
        "arms": [
            {"name": "radiotherapy", "schedule": {"add": [RADIOTHERAPY]}},
            {"name": "both", "schedule": {"add": [RADIOTHERAPY, TEMOZOLOMIDE]}},
        ],
        "outcome": {"event": "visible", "until_day": 40},
        "covariates": ["visible_ml", "k_1_day"],
    } | changes


def written(folder: Path, **changes: object) -> Path:
    """The file of that trial."""
    path = folder / "trial.yaml"
    path.write_text(yaml.safe_dump(content(**changes)))
    return path


def planned(folder: Path, **changes: object) -> TrialPlan:
    """That trial, read."""
    return read_plan(written(folder, **changes))
