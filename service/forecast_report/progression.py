"""Times to progression and alerts of a forecast, in sentences of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palpate.service.forecast_report.twin_results import TwinResults
from palpate.service.forecast_report.words import sentence


def alert_words(forecast: Mapping[str, Any]) -> list[str]:
    """Return a text for each alert that is raised or undecided; none for a forecast of an earlier version.

    Args:
        forecast: content of forecast.json.
    """
    return [
        f"Alert, {one['state']}: {one['sentence']} {one['advice']}"
        for one in forecast.get("alerts", ())
        if one["state"] != "not raised"
    ]


def progression_words(results: TwinResults) -> list[str]:
    """Return the probability of each kind of progression by each day; none for a forecast of an earlier version.

    Args:
        results: results of the twin.
    """
    return [_words(results, one) for one in results.forecast.get("progression", ())]


def _words(results: TwinResults, one: Mapping[str, Any]) -> str:
    by_day = [
        f"{100.0 * row['probability']:.0f} % by {results.day_words(row['day'])}, "
        f"± {100.0 * row['probability_error']:.0f} %"
        for row in one["by_day"]
    ]
    event, draws = sentence(one["words"]), one["by_day"][-1]["draws"]
    return f"{event} with a probability of {'; '.join(by_day)} (Monte-Carlo error of {draws} draws)."
