"""Scores of growth_cohort.py: its rows, its comparisons by patient and its figure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from harness.record import Row
from numpy.typing import NDArray

from palpate.imaging.draw_scores import crps
from palpate.provenance import atomic_file

type Values = NDArray[np.float64]

TWIN: Final = "twin"
POPULATION: Final = "population stiffness"
TRUE: Final = "true stiffness"
LEVELS: Final = (0.5, 0.8, 0.9, 0.95)
SLOWED: Final = 0.5
"""Least decrease of ln D by stress at the front from which on mass effect counts as relevant."""
WHERE: Final = f"where stress lowers ln D by {SLOWED:g} or more"
RESAMPLED: Final = 10_000
"""Number of cohorts drawn from the patients with replacement."""
QUANTITIES: Final = ("visible volume", "burden")


@dataclass(frozen=True, slots=True)
class Told:
    """Forecast of one quantity of one patient, and its true value, in the quantity's unit.

    Attributes:
        draws: draws of the forecast, shape (draws,).
        truth: true value.
    """

    draws: Values
    truth: float


def rows_of(told: list[dict[str, Any]]) -> list[Row]:
    """Return the record's rows."""
    rows = []
    for quantity in QUANTITIES:
        both = {name: [_told(one, name, quantity) for one in told] for name in _variants(told)}
        shares = {name: {level: coverage(ones, level) for level in LEVELS} for name, ones in both.items()}
        for level in LEVELS:
            goal = "85..95" if level == 0.9 else ""
            rows.append(
                Row(
                    f"{quantity}: {level:.0%} intervals that hold it",
                    "%",
                    100.0 * shares[TWIN][level],
                    0.0 if (quantity, level) == ("burden", 0.9) else None,
                    _rest({name: 100.0 * share[level] for name, share in shares.items()}),
                    goal,
                )
            )
        ranks = {name: float(np.mean([np.mean(one.draws < one.truth) for one in ones])) for name, ones in both.items()}
        rows.append(Row(f"{quantity}: mean rank of the truth", "", ranks[TWIN], None, _rest(ranks), goal="0.4..0.6"))
        errors = {name: float(np.mean([abs(level - got) for level, got in s.items()])) for name, s in shares.items()}
        rows.append(Row(f"{quantity}: expected calibration error", "", errors[TWIN], None, _rest(errors)))
        scores = {name: _crps(ones) for name, ones in both.items()}
        if quantity == "visible volume":
            scores["exponential"] = _crps(exponential(told))
        rows.append(Row(f"{quantity}: CRPS, mean", "mL", scores[TWIN], None, _rest(scores)))
        errors = {name: _relative_error_percent(ones) for name, ones in both.items()}
        if quantity == "visible volume":
            errors["exponential"] = _relative_error_percent(exponential(told))
        rows.append(Row(f"{quantity}: error of the median, median", "%", errors[TWIN], None, _rest(errors)))
    rows += pushed_rows(told)
    ours = [one["variants"][TWIN] for one in told]
    means = {
        name: float(np.mean([one[name] for one in ours])) for name in ours[0] if name.startswith(("dice", "covered"))
    }
    dice, covered = (
        "Dice of the visible contour, mean",
        "visible later in as many voxels as a margin of 15 mm has, mean",
    )
    rows.append(Row(dice, "", means["dice"], "0.585 (dt4co)", {"last scan": means["dice_last"]}))
    margin = {"margin": 100.0 * means["covered_margin"]}
    return [*rows, Row(covered, "%", 100.0 * means["covered"], "78.9-84.4 (PREDICT-GBM)", margin)]


def pushed(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the patients with a relevant mass effect."""
    return [one for one in told if one["slowed"] >= SLOWED]


def pushed_rows(told: list[dict[str, Any]]) -> list[Row]:
    """Return the rows of the scores of the patients with a relevant mass effect."""
    some = pushed(told)
    rows = []
    for quantity in QUANTITIES if some else ():
        scores = {name: _crps([_told(one, name, quantity) for one in some]) for name in _variants(told)}
        rows.append(
            Row(f"{quantity}, {WHERE} ({len(some)} patients): CRPS, mean", "mL", scores[TWIN], None, _rest(scores))
        )
    return rows


def in_words(what: str, better: Values, unit: str) -> str:
    """Return one comparison with the twin's scores as a sentence.

    Args:
        what: words for the quantity and the variant whose score is compared.
        better: score of the variant less that of the twin, one for each patient.
        unit: unit of the scores.
    """
    chosen = np.random.default_rng(0).integers(len(better), size=(RESAMPLED, len(better)))
    low, high = np.quantile(better[chosen].mean(axis=1), [0.05, 0.95])
    digits = {"mL": 2, "mm": 3}[unit]
    return (
        f"{what} less the twin's: {better.mean():.{digits}f} {unit} ({low:.{digits}f} to {high:.{digits}f} in 90 % of "
        f"resampled cohorts); larger in {np.count_nonzero(better > 0)} of {len(better)} patients"
    )


def compared(told: list[dict[str, Any]], variants: Iterable[str], where: str = "") -> list[str]:
    """Return sentences on how much better the twin's scores are, patient by patient, with intervals over cohorts.

    Args:
        told: results of each patient.
        variants: variants whose scores are compared with the twin's; beside all of them, the exponential's.
        where: words for the group of patients.
    """
    if not told:
        return []
    notes = []
    for quantity in QUANTITIES:
        ours = each_crps([_told(one, TWIN, quantity) for one in told])
        scores = {name: each_crps([_told(one, name, quantity) for one in told]) for name in variants if name != TWIN}
        if quantity == "visible volume" and not where:
            scores["exponential"] = each_crps(exponential(told))
        for name, theirs in scores.items():
            notes.append(in_words(f"{quantity}{where}, CRPS of '{name}'", theirs - ours, "mL"))
    return notes


def draw(told: list[dict[str, Any]], path: Path) -> None:
    """Draw calibration curves: observed against nominal share of central intervals.

    Args:
        told: results of each patient.
        path: file to write.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "palpate"
    from matplotlib import pyplot as plt

    levels = np.linspace(0.05, 0.95, 19)
    figure, axes = plt.subplots(1, len(QUANTITIES), figsize=(8.0, 4.0), sharey=True, layout="constrained")
    for axis, quantity in zip(axes, QUANTITIES, strict=True):
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=1.0)
        for name in _variants(told):
            ones = [_told(one, name, quantity) for one in told]
            axis.plot(levels, [coverage(ones, float(level)) for level in levels], label=name)
        axis.set(title=quantity, xlabel="intervals said to hold it", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes[0].set_ylabel("intervals that held it")
    axes[0].legend(frameon=False)
    with atomic_file(path) as partial:
        figure.savefig(partial, metadata={"Date": None})
    plt.close(figure)


def _variants(told: list[dict[str, Any]]) -> list[str]:
    return list(told[0]["variants"])


def _told(one: dict[str, Any], variant: str, quantity: str) -> Told:
    return Told(np.array(one["variants"][variant][quantity]), float(one["truth"][quantity]))


def _rest(values: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if name != TWIN}


def coverage(ones: list[Told], level: float) -> float:
    """Return the share of central intervals that hold the truth."""
    edges = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
    held = [bool(low <= one.truth <= high) for one in ones for low, high in [np.quantile(one.draws, edges)]]
    return float(np.mean(held))


def exponential(told: list[dict[str, Any]]) -> list[Told]:
    """Forecast the visible volume along the logarithm's line through the last two scans, with the others' spread."""
    found = []
    for one in told:
        volumes = [float(scan["visible_ml"]) for scan in one["observed"]][-2:]
        (first, last), ahead = one["days"][-2:], one["day"] - one["days"][-1]
        slope = np.log(volumes[1] / volumes[0]) / (last - first)
        found.append((np.log(volumes[1]) + slope * ahead, float(one["truth"]["visible volume"])))
    misses = np.array([np.log(truth) - said for said, truth in found])
    quantiles = (np.arange(200) + 0.5) / 200.0
    out = []
    for at, (said, truth) in enumerate(found):
        spread = float(np.sqrt(np.mean(np.delete(misses, at) ** 2))) if len(misses) > 1 else 0.0
        out.append(Told(np.exp(said + spread * _normal(quantiles)), truth))
    return out


def _normal(quantiles: Values) -> Values:
    from scipy.special import ndtri

    return np.asarray(ndtri(quantiles))


def _crps(ones: list[Told]) -> float:
    return float(np.mean(each_crps(ones)))


def each_crps(ones: list[Told]) -> Values:
    """Return the CRPS of each patient's forecast, in the quantity's unit."""
    return np.array([crps(one.draws[:, None], np.array([one.truth]))[0] for one in ones])


def _relative_error_percent(ones: list[Told]) -> float:
    return 100.0 * float(np.median([abs(float(np.median(one.draws)) / one.truth - 1.0) for one in ones]))
