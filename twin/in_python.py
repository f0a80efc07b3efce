"""Python interface to a tumour's twin: `palpate.calibrate` and `palpate.forecast`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from palpate.config.section import checked_settings
from palpate.config.twin import TwinSettings
from palpate.errors import InputError
from palpate.imaging.draw_summary import DrawSummary
from palpate.imaging.tumour.history import TumourHistory
from palpate.imaging.tumour.history_file import read_history
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.calibration.calibrate import calibrate as calibrate_history
from palpate.twin.calibration_file import load_calibration
from palpate.twin.forecast.predict import Forecast, predict_days
from palpate.twin.priors import ENHANCING_ABOVE, INFILTRATED_ABOVE


@dataclass(frozen=True)
class ForecastDay:
    """Forecast of one day: volumes with intervals, and the densities from which they are computed.

    Attributes:
        day: days since the first scan.
        enhancing_ml: volume that takes up contrast agent, millilitres.
        visible_ml: volume of all that images show, millilitres.
        burden_ml: integral of the density, millilitres of packed tumour cells.
        forecast: equally probable densities on the twin's lattice.
    """

    day: float
    enhancing_ml: DrawSummary
    visible_ml: DrawSummary
    burden_ml: DrawSummary
    forecast: Forecast = field(repr=False)


def calibrate(
    history: TumourHistory | Path | str, settings: TwinSettings | Mapping[str, Any] | None = None
) -> Calibration:
    """Return the posterior of a tumour's growth after its last scan.

    Args:
        history: images and treatments, or the HDF5 file of `palpate tumour`; treatment after the last scan matters to
            the forecast only.
        settings: settings of the twin, such as {"draws": 100}; None for the defaults.

    Raises:
        InputError: the history or a setting cannot be used.
    """
    chosen = checked_settings(TwinSettings, settings)
    read = history if isinstance(history, TumourHistory) else read_history(Path(history))
    return calibrate_history(read, chosen)


def forecast(calibration: Calibration | Path | str, days_after_last_scan: Sequence[float]) -> tuple[ForecastDay, ...]:
    """Return a forecast for each day, in ascending order.

    Args:
        calibration: calibration from `calibrate`, or the output folder of `palpate calibrate`; treatments of its
            history after the last scan are taken as planned.
        days_after_last_scan: days after the last scan, above 0.

    Raises:
        InputError: a day is not after the last scan, or the calibration cannot be read.
    """
    if not len(days_after_last_scan):
        advice = "Name at least one day, such as [60]."
        raise InputError("palpate.forecast", found="no days", expected="days after the last scan", advice=advice)
    if not isinstance(calibration, Calibration):
        calibration = load_calibration(Path(calibration) / "calibration.h5")
    last = calibration.history.scans[-1].day
    days = [last + after for after in sorted(set(days_after_last_scan))]
    return tuple(_day(found) for found in predict_days(calibration, days))


def _day(found: Forecast) -> ForecastDay:
    return ForecastDay(
        found.day,
        DrawSummary(found.volumes_ml(found.thresholds(ENHANCING_ABOVE)), "mL"),
        DrawSummary(found.volumes_ml(found.thresholds(INFILTRATED_ABOVE)), "mL"),
        DrawSummary(found.burdens_ml(), "mL"),
        found,
    )
