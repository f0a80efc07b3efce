"""Forecasts of twenty in-silico tumours: whether intervals hold what came, and how sharp they are.

Each patient has an own place in the ICBM152 brain, own rates, treatment or none, and is grown on 1.75 mm voxels in
half-day steps, along fibres, with rates that vary in space, slowed by stress in a stiffness and on boxes of its own:
none of which the twin knows. It sees what a scanner would: ADC and contours of dates with noise, blur and misplacement,
3 mm, registered by T1; and honest draws of an elastogram of the first date with errors of 12 %. It is calibrated on
three of the dates; a fourth, some weeks later, is held out: the volume that its contours enclose, and the true number
of cells.

- the twin as it is
- without discrepancy: as if the model were true (no drift of the rate, no straying of the front)
- population stiffness: as if no elastogram had been made
- true stiffness: as if the elastogram had neither error nor blur, which no elastogram can better
- without mechanics: as if stress did not slow
- exponential: the visible volume's logarithm goes on along the line through the last two scans, with the spread that
  such forecasts of the other patients had

Coverage is beside dt4co's, which held total cellularity in 0 of 8 patients at nominal 90 % (Pash et al. 2025). Contours
are compared by Dice, beside the last scan's own; and as PREDICT-GBM does, by the share of what is visible later that
lies in the densest voxels forecast, as many as a margin of 15 mm around the last scan's contour holds. What
mechanics and elastogram are worth is told apart where mass effect matters: where stress lowers ln D at the true front
by 0.5 or more on the day of a scan that is known.

Patients of the seed 31 served to find the errors of contours that the twin assumes, those of 47 to find that later
scans were read with a bias, and those of 59 showed that the elastogram forecasts no better; these are others.

    python benchmarks/growth_cohort.py --out folder [--ranks 2] [--short]

Finished patients in the folder are taken over. --ranks is how many patients run at a time.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from command_line import options
from numpy.typing import NDArray
from record import Row, write_record

from palpate.config.longitudinal import LongitudinalSettings
from palpate.config.twin import TwinSettings
from palpate.errors import InputError
from palpate.imaging.phantom.atlas import Atlas, load_atlas
from palpate.imaging.tumour.history import Stiffness, TumourHistory, TumourScan
from palpate.provenance import atomic_file
from palpate.service.statistics import crps

if TYPE_CHECKING:
    from palpate.twin.forecast.predict import Forecast

type Values = NDArray[np.float64]

PATIENTS: Final = 20
SHORT_PATIENTS: Final = 2
SEED: Final = 61
LEVELS: Final = (0.5, 0.8, 0.9, 0.95)
TREATED: Final = 0.8
"""Share of patients with radiotherapy and temozolomide."""
FRONT_MM: Final = (6.0, 13.0)
"""How far the front had come when the first scan was made."""
SETTINGS: Final = {"outline_modes": 12, "draws": 60}
POPULATION: Final = "population stiffness"
TRUE: Final = "true stiffness"
VARIANTS: Final = {
    "twin": {},
    POPULATION: {},
    TRUE: {},
    "without mechanics": {"mechanics": False},
    "without discrepancy": {"drift_per_100_days": 0.0, "front_drift_mm": 0.0},
}
SLOWED: Final = 0.5
"""Least lowering of ln D by stress at the front, for mass effect to matter."""
WHERE: Final = f"where stress lowers ln D by {SLOWED:g} or more"
RESAMPLED: Final = 10_000
"""Cohorts drawn from the patients with replacement."""
QUANTITIES: Final = ("visible volume", "burden")
MARGIN_MM: Final = 15.0
PICTURE: Final = Path(__file__).parents[1] / "docs" / "pictures" / "growth_cohort.svg"


@dataclass(frozen=True, slots=True)
class Told:
    """What one patient's forecast said of one quantity, and what came, mL.

    Attributes:
        draws: shape (draws,).
        truth: what came.
    """

    draws: Values
    truth: float


@dataclass(frozen=True, slots=True)
class Study:
    """A patient.

    Attributes:
        table: of the sessions.
        settings: the truth's.
        history: what is read of the images, with the elastogram.
        stiffness: the true one.
    """

    table: Path
    settings: LongitudinalSettings
    history: TumourHistory
    stiffness: Stiffness


def patient(number: int, atlas: Atlas) -> LongitudinalSettings:
    """The settings of a patient; the same for the same number."""
    generator = np.random.default_rng([SEED, number])
    inside = np.argwhere(atlas.white * atlas.brain > 0.9)
    diffusivity = 0.1 * float(np.exp(0.45 * generator.standard_normal()))
    proliferation = 0.04 * float(np.exp(0.3 * generator.standard_normal()))
    speed = 2.0 * np.sqrt(diffusivity * proliferation)
    before = float(np.clip(generator.uniform(*FRONT_MM) / speed, 40.0, 250.0))
    treated = bool(generator.uniform() < TREATED)
    second = int(generator.integers(18, 25))
    last = int(generator.integers(75, 95))
    place = atlas.affine_mm @ [*inside[generator.integers(len(inside))], 1.0]
    return LongitudinalSettings(
        subject=f"{number:02d}",
        seed=int(generator.integers(2**31)),
        centre_mm=tuple(float(x) for x in place[:3]),
        diffusivity_mm2_day=diffusivity,
        proliferation_1_day=proliferation,
        white_to_grey=float(generator.uniform(5.0, 10.0)),
        variation=float(generator.uniform(0.1, 0.25)),
        fibres=float(generator.uniform(0.2, 0.6)),
        before_days=before,
        days=(0, second, last, last + int(generator.integers(25, 50))),
        beyond_days=(),
        fractions=30 if treated else 0,
        alpha_1_gy=0.025 * float(np.exp(0.4 * generator.standard_normal())),
        kill_1_g=0.12 * float(np.exp(0.4 * generator.standard_normal())),
        temozolomide_mg=140.0 if treated else 0.0,
        stress_slowing=40.0 * float(np.exp(0.8 * generator.standard_normal())),
        grey_storage_pa=2400.0 * float(np.exp(0.15 * generator.standard_normal())),
        tumour_log_stiffness=float(-0.15 + 0.35 * generator.standard_normal()),
    )


def images(settings: LongitudinalSettings, folder: Path, atlas: Atlas) -> Study:
    """A patient's images and truth, made anew, and what is read of them."""
    import palpate.solvers  # noqa: F401  (loads MPI before dolfinx)
    from palpate.config.study import read_study
    from palpate.config.tumour import TumourSettings
    from palpate.imaging.phantom.study import write_sessions
    from palpate.imaging.phantom.tumour_mre import measured_stiffness, true_stiffness
    from palpate.imaging.phantom.tumour_scene import tumour_scene
    from palpate.imaging.phantom.tumour_study import write_tumour_patient
    from palpate.imaging.tumour.reading import read_tumour
    from palpate.solvers.virtual_tumour import grow

    table = folder / "sessions.tsv"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    scene = tumour_scene(settings, atlas)
    truth = grow(settings, scene)
    write_sessions(folder, list(write_tumour_patient(folder, settings, scene, truth)))
    found = read_tumour(read_study(table), settings.subject, TumourSettings(), table=table, drugs=None, stiffness=None)
    history = replace(found.history, stiffness=measured_stiffness(settings, scene, truth, found.history))
    return Study(table, settings, history, true_stiffness(scene, truth, history))


def study(number: int, folder: Path) -> Study:
    """A patient's images and truth, and what is read of them; drawn again until every scan shows a tumour."""
    atlas = load_atlas()
    for attempt in range(50):
        settings = patient(number + 1000 * attempt, atlas).model_copy(update={"subject": f"{number:02d}"})
        try:
            found = images(settings, folder, atlas)
        except InputError:
            continue
        if not all(scan.tumour.any() for scan in found.history.scans):
            continue  # the record is of patients whose tumour is visible at every date
        return found
    raise RuntimeError(f"no place for the tumour of patient {number}")


def forecast_of(number: int, folder: Path) -> dict[str, Any]:
    """One patient: grown, seen, calibrated and forecast in all variants; as plain JSON values."""
    os.environ["OMP_NUM_THREADS"] = "1"
    kept = folder / "told.json"
    if kept.exists():
        return dict(json.loads(kept.read_text(encoding="utf-8")))
    found = study(number, folder / "study")
    settings, history = found.settings, found.history
    from palpate.twin.calibration.calibrate import calibrate
    from palpate.twin.forecast.predict import predict
    from palpate.twin.priors import INFILTRATED_ABOVE
    from palpate.twin.products.figures import observed

    truth = json.loads(
        (found.table.parent / f"sub-{settings.subject}" / "truth" / "truth.json").read_text(encoding="utf-8")
    )
    *days, day = settings.days
    *seen, held_out = observed(history.scans, float(np.prod(history.edges_mm)) / 1e3)
    told: dict[str, Any] = {
        "settings": settings.model_dump(mode="json"),
        "day": day,
        "days": days,
        "truth": {"visible volume": held_out["visible_ml"], "burden": truth["burden_ml"][str(day)]},
        "slowed": max(truth["stress_slowing_at_front"][str(one)] for one in days),
        "observed": seen,
        "variants": {},
    }
    later = history.scans[-1]
    history = replace(history, scans=history.scans[:-1])
    known = {POPULATION: None, TRUE: found.stiffness}
    densities = {}
    for name, changes in VARIANTS.items():
        chosen = TwinSettings.model_validate(SETTINGS | changes)
        began = time.perf_counter()
        calibration = calibrate(replace(history, stiffness=known.get(name, history.stiffness)), chosen)
        ahead = predict(calibration, float(day))
        densities[name] = ahead.densities
        told["variants"][name] = {
            "visible volume": ahead.volumes_ml(ahead.thresholds(INFILTRATED_ABOVE)).tolist(),
            "burden": ahead.burdens_ml().tolist(),
            **contours(ahead, later),
            "estimates": {one.name: [one.lower, one.median, one.upper] for one in calibration.estimates()},
            "converged": calibration.statistics.converged,
            "acceptance": calibration.draws.acceptance,
            "effective_share": calibration.draws.effective_share,
            "seconds": time.perf_counter() - began,
        }
    np.savez_compressed(folder / "densities.npz", **densities)
    with atomic_file(kept) as partial:
        partial.write_text(json.dumps(told), encoding="utf-8")
    return told


def contours(ahead: Forecast, later: TumourScan) -> dict[str, float]:
    """How well what is visible later was placed: Dice and share in as many voxels as a margin has; and the last scan's.

    Args:
        ahead: forecast of its day.
        later: the scan held out, on the images' grid.
    """
    from scipy import ndimage

    from palpate.twin.lattice import visible
    from palpate.twin.priors import INFILTRATED_ABOVE

    history, grid = ahead.calibration.history, ahead.calibration.grid
    tissue, edges_mm = history.tissue, history.edges_mm
    found = (grid.mean((later.roi > 0).astype(np.float64)) >= 0.5) & tissue
    last = visible(history.scans[-1], edges_mm) & tissue
    said = ahead.probability_above(ahead.thresholds(INFILTRATED_ABOVE)) >= 0.5
    margin = (ndimage.distance_transform_edt(~last, sampling=edges_mm) <= MARGIN_MM) & tissue
    density = np.where(tissue, ahead.mean_density(), -1.0)
    densest = density >= np.partition(density.ravel(), -int(margin.sum()))[-int(margin.sum())]
    return {
        "dice": _dice(said, found),
        "dice_last": _dice(last, found),
        "covered": float((densest & found).sum() / found.sum()),
        "covered_margin": float((margin & found).sum() / found.sum()),
    }


def _dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float(2.0 * (one & other).sum() / (one.sum() + other.sum()))


def main() -> None:
    """All patients, then the figures."""
    chosen = options(__doc__)
    count = SHORT_PATIENTS if chosen.short else PATIENTS
    began = time.perf_counter()
    numbers = range(1, count + 1)
    with ProcessPoolExecutor(chosen.ranks, mp_context=get_context("spawn")) as pool:
        told = list(pool.map(forecast_of, numbers, [chosen.out / f"patient-{n:02d}" for n in numbers]))
    rows = rows_of(told)
    ours = [one["variants"]["twin"] for one in told]
    notes = [
        f"{count} patients; {sum(one['converged'] for one in ours)} calibrations converged",
        f"median seconds of a calibration and forecast: {np.median([one['seconds'] for one in ours]):.0f}",
    ]
    picture = chosen.out / PICTURE.name if chosen.short else PICTURE
    draw(told, picture)
    notes += compared(told, VARIANTS) + compared(some_pushed(told), (POPULATION, TRUE), f", {WHERE}")
    notes.append("docs/pictures/growth_cohort.svg: Share of intervals that held what came, against what they said.")
    print("\n".join(notes))
    seconds = time.perf_counter() - began
    published = "Pash, Willcox, Ghattas (dt4co): 90 % intervals of total cellularity hold the truth in 0 of 8 patients"
    write_record("growth_cohort", rows, published=published, notes=notes, seconds=seconds, out=chosen.record)


def rows_of(told: list[dict[str, Any]]) -> list[Row]:
    """The record's rows."""
    rows = []
    for quantity in QUANTITIES:
        both = {name: [_told(one, name, quantity) for one in told] for name in VARIANTS}
        shares = {name: {level: coverage(ones, level) for level in LEVELS} for name, ones in both.items()}
        for level in LEVELS:
            goal = "85..95" if level == 0.9 else ""
            rows.append(
                Row(
                    f"{quantity}: {level:.0%} intervals that hold it",
                    "%",
                    100.0 * shares["twin"][level],
                    0.0 if (quantity, level) == ("burden", 0.9) else None,
                    _rest({name: 100.0 * share[level] for name, share in shares.items()}),
                    goal,
                )
            )
        ranks = {name: float(np.mean([np.mean(one.draws < one.truth) for one in ones])) for name, ones in both.items()}
        rows.append(Row(f"{quantity}: mean rank of the truth", "", ranks["twin"], None, _rest(ranks), goal="0.4..0.6"))
        errors = {name: float(np.mean([abs(level - got) for level, got in s.items()])) for name, s in shares.items()}
        rows.append(Row(f"{quantity}: expected calibration error", "", errors["twin"], None, _rest(errors)))
        scores = {name: _crps(ones) for name, ones in both.items()}
        if quantity == "visible volume":
            scores["exponential"] = _crps(exponential(told))
        rows.append(Row(f"{quantity}: CRPS, mean", "mL", scores["twin"], None, _rest(scores)))
        errors = {name: _relative_error_percent(ones) for name, ones in both.items()}
        if quantity == "visible volume":
            errors["exponential"] = _relative_error_percent(exponential(told))
        rows.append(Row(f"{quantity}: error of the median, median", "%", errors["twin"], None, _rest(errors)))
    rows += pushed(told)
    ours = [one["variants"]["twin"] for one in told]
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


def some_pushed(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those where mass effect matters."""
    return [one for one in told if one["slowed"] >= SLOWED]


def pushed(told: list[dict[str, Any]]) -> list[Row]:
    """The scores where mass effect matters."""
    some = some_pushed(told)
    rows = []
    for quantity in QUANTITIES if some else ():
        scores = {name: _crps([_told(one, name, quantity) for one in some]) for name in VARIANTS}
        rows.append(
            Row(f"{quantity}, {WHERE} ({len(some)} patients): CRPS, mean", "mL", scores["twin"], None, _rest(scores))
        )
    return rows


def compared(told: list[dict[str, Any]], variants: Iterable[str], where: str = "") -> list[str]:
    """By how much the twin's scores are better, patient by patient, and what other patients might have shown.

    Args:
        told: of each patient.
        variants: whose scores to compare with the twin's; beside all of them, the exponential's.
        where: which patients these are.
    """
    if not told:
        return []
    chosen = np.random.default_rng([SEED, 0]).integers(len(told), size=(RESAMPLED, len(told)))
    notes = []
    for quantity in QUANTITIES:
        ours = _each_crps([_told(one, "twin", quantity) for one in told])
        scores = {name: _each_crps([_told(one, name, quantity) for one in told]) for name in variants if name != "twin"}
        if quantity == "visible volume" and not where:
            scores["exponential"] = _each_crps(exponential(told))
        for name, theirs in scores.items():
            better = theirs - ours
            low, high = np.quantile(better[chosen].mean(axis=1), [0.05, 0.95])
            range_ml = f"{low:.2f} to {high:.2f} in 90 % of resampled cohorts"
            notes.append(
                f"{quantity}{where}, CRPS of '{name}' less the twin's: {better.mean():.2f} mL ({range_ml}); larger in "
                f"{np.count_nonzero(better > 0)} of {len(told)} patients"
            )
    return notes


def draw(told: list[dict[str, Any]], path: Path) -> None:
    """Calibration curves as a figure: observed against nominal share of central intervals.

    Args:
        told: of each patient.
        path: the file to write.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "palpate"
    from matplotlib import pyplot as plt

    levels = np.linspace(0.05, 0.95, 19)
    figure, axes = plt.subplots(1, len(QUANTITIES), figsize=(8.0, 4.0), sharey=True, layout="constrained")
    for axis, quantity in zip(axes, QUANTITIES, strict=True):
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=1.0)
        for name in VARIANTS:
            ones = [_told(one, name, quantity) for one in told]
            axis.plot(levels, [coverage(ones, float(level)) for level in levels], label=name)
        axis.set(title=quantity, xlabel="intervals said to hold it", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes[0].set_ylabel("intervals that held it")
    axes[0].legend(frameon=False)
    with atomic_file(path) as partial:
        figure.savefig(partial, metadata={"Date": None})
    plt.close(figure)


def _told(one: dict[str, Any], variant: str, quantity: str) -> Told:
    return Told(np.array(one["variants"][variant][quantity]), float(one["truth"][quantity]))


def _rest(values: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if name != "twin"}


def coverage(ones: list[Told], level: float) -> float:
    """Share of central intervals that hold the truth."""
    edges = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
    held = [bool(low <= one.truth <= high) for one in ones for low, high in [np.quantile(one.draws, edges)]]
    return float(np.mean(held))


def exponential(told: list[dict[str, Any]]) -> list[Told]:
    """Of the visible volume: along the logarithm's line through the last two scans, with the others' spread."""
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
    return float(np.mean(_each_crps(ones)))


def _each_crps(ones: list[Told]) -> Values:
    return np.array([crps(one.draws[:, None], np.array([one.truth]))[0] for one in ones])


def _relative_error_percent(ones: list[Told]) -> float:
    return 100.0 * float(np.median([abs(float(np.median(one.draws)) / one.truth - 1.0) for one in ones]))


if __name__ == "__main__":
    main()
