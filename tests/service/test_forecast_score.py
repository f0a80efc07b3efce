"""A forecast's displacements against the truth of an in-silico patient."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from palpate.errors import InputError
from palpate.service.forecast_score import score_forecast, table_of


def told(median: float, reach: float) -> dict[str, Any]:
    """A quantity with intervals that widen with their level."""
    return {"median": median} | {
        f"{level}": [median - reach * level / 100.0, median + reach * level / 100.0] for level in (50, 80, 90, 95)
    }


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A forecast of day 90 after scans on days 0, 20 and 60, of which the last shows no tumour; and its truth."""
    names = ("enhancing_ml", "visible_ml", "burden_ml", "displacement_mm", "largest_displacement_mm")
    row = {"day": 90.0} | {name: told(2.0, 1.0) for name in (*names, "additional_displacement_mm")}
    said = {"last_scan_day": 60.0, "mass_effect": {"around_day": 20.0}, "forecast": [row]}
    moved = {"20": {"20": 0.5, "60": 0.9, "90": 1.45}, "60": {"60": 7.0, "90": 7.0}}
    volumes = {f"{name}_ml": {"90": 2.3} for name in ("volume_enhancing", "volume_visible", "burden")}
    truth = {"days": [0, 20, 60, 90], "displacement_mm": moved, "largest_displacement_mm": moved} | volumes
    (tmp_path / "forecast.json").write_text(json.dumps(said))
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    return tmp_path, tmp_path / "truth.json"


def test_displacement_is_compared_where_it_was_forecast(files: tuple[Path, Path]) -> None:
    """Around the tumour of the same scan: around another one the truth is another number, and nobody would see it."""
    scores = {one.quantity: one for one in score_forecast(*files)}
    assert scores["displacement_mm"].truth == 1.45
    assert scores["displacement_mm"].held_by == ("80", "90", "95")
    assert scores["additional_displacement_mm"].truth == pytest.approx(0.55)
    assert scores["additional_displacement_mm"].held_by == ()
    assert "1.45" in table_of(tuple(scores.values()))


def test_without_displacement_volumes_are_compared(files: tuple[Path, Path]) -> None:
    """A twin without mechanics, and a truth of an older version, still have their volumes."""
    said = json.loads((files[0] / "forecast.json").read_text())
    said["mass_effect"] = None
    for name in [one for one in said["forecast"][0] if one.endswith("_mm")]:
        del said["forecast"][0][name]
    (files[0] / "forecast.json").write_text(json.dumps(said))
    assert len(score_forecast(*files)) == 3
    truth = {name: value for name, value in json.loads(files[1].read_text()).items() if not name.endswith("_mm")}
    files[1].write_text(json.dumps(truth))
    assert len(score_forecast(*files)) == 3
    files[1].write_text(json.dumps({"days": [3]}))
    with pytest.raises(InputError, match="one of days 3"):
        score_forecast(*files)
