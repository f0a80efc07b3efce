"""Output folder of a forecast.

<label>_day-<d>_stat-{mean,std,lower,upper}_density.nii.gz    0..1, 95 % bounds, on the twin's lattice
<label>_day-<d>_desc-{enhancing,visible}_probability.nii.gz   probability that the voxel is enhancing or visible, 0..1
<label>_day-<d>_stat-{median,lower,upper}_displacement.nii.gz  length of the tissue's displacement, mm, 95 % bounds
<label>_day-<d>_stat-mean_displacementvector.nii.gz           mean over draws along R, A, S, mm, shape (i, j, k, 3)
<label>_day-<d>_mesh.{h5,xdmf}                                density, probabilities on tetrahedra, if asked (on_mesh)
<label>_dose.nii.gz, past/                                    dose, and maps of the scans' days (past_maps)
forecast.tsv, forecast.json                                   volumes, burden and displacements with intervals
curve.tsv, and `curve` in forecast.json                       volumes and burden day by day, past and forecast
variance_shares.tsv, and `variance_shares` in forecast.json   shares of the variance by source, if asked

Without mechanics there are no displacements, and forecast.json states that. Where the forecast is not of this patient
(twin.basis), every map has a sidecar .json and every line of the tables a column `basis` that says so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.imaging.files.nifti import write_nifti
from palpate.meshing.conforming.mesh_file import read_label_mesh
from palpate.outputs import claim_folder
from palpate.progress import say
from palpate.provenance import versions
from palpate.renamed import old_keys, record_text
from palpate.resources import gather_use
from palpate.solvers.growth.mechanics.displacement import AROUND_MM, LARGEST
from palpate.twin.alerts.alert import AlertInputs, TwinAlert, out_of_step_alert, progression_alert
from palpate.twin.alerts.progression import ForecastProgression, progressions
from palpate.twin.alerts.unidentified import unidentified_rates
from palpate.twin.basis import Basis
from palpate.twin.basis_of_calibration import basis, basis_warnings
from palpate.twin.biology import prior_shifts, untried
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.doubt.shares import VarianceShares, variance_shares
from palpate.twin.forecast.mass_effect import NUMERICAL_LOG_STD, Displaced, MassEffectOverTime, mass_effect
from palpate.twin.forecast.next_scan import NextScan
from palpate.twin.forecast.predict import Forecast
from palpate.twin.front import front_warnings
from palpate.twin.products.figures import DISPLACEMENTS, LEVELS, QUANTITIES, THRESHOLDS, intervals
from palpate.twin.products.on_mesh import MeshedLattice, meshed_lattice, write_on_mesh
from palpate.twin.products.past_maps import write_dose, write_past
from palpate.twin.products.share_table import law_rows, share_rows, share_table
from palpate.twin.products.volume_curve import forecast_with_curve, past_curve
from palpate.twin.trust.domain import domain

type Values = NDArray[np.float64]


def forecast_into(
    calibration: Calibration,
    after_days: Sequence[float],
    out: Path,
    mesh: Path | None = None,
    comm: MPI.Comm = MPI.COMM_SELF,
    *,
    shares: bool = False,
    alerts: AlertInputs | None = None,
) -> list[dict[str, object]]:
    """Forecast some days and write the folder; an interrupted run leaves no partial result. Collective.

    Args:
        calibration: calibration of the tumour; treatments of its history after the last scan are taken as planned.
        after_days: days after the last scan.
        out: folder to create, or to replace where palpate wrote it.
        mesh: folder or file of palpate mesh with tetrahedra in the world of the first scan; None for voxels only.
        comm: ranks to share the draws; the first one writes.
        shares: whether the shares of the variance by source are written too; they take several times as long.
        alerts: bound of the probability of progression, and what is wrong with the calibration; None for no alerts.

    Returns:
        Volumes, burden and displacements with intervals for each day; nothing on ranks that do not write.

    Raises:
        InputError: a day is not after the last scan, the folder holds somebody else's files, or the mesh cannot be
            read or is of another place.
    """
    target = claim_folder(out, "forecast", {"mesh": mesh})
    with target.owned() if comm.rank == 0 else nullcontext():
        place = None
        if mesh is not None and comm.rank == 0:
            place = meshed_lattice(calibration.history, read_label_mesh(mesh), mesh)
        found = forecast_of_days(calibration, after_days, comm, shares=shares, alerts=alerts)
        gather_use(comm)
        if comm.rank != 0:
            return []
        with target.writing() as partial:
            return write_forecast(partial, found, after_days, place)


@dataclass(frozen=True, slots=True)
class ForecastOfDays:
    """Forecast of some days.

    Attributes:
        calibration: calibration of the tumour.
        ahead: densities of each day.
        curve_past: volumes day by day of the past, as rows.
        curve_ahead: volumes day by day from the last scan on, as rows.
        moved: displacement of tissue; None where it is not forecast.
        next_scans: expected value of a further scan on some days.
        shares: shares of each quantity's variance by source; None where they were not asked for.
        progressions: time to each kind of progression.
        alerts: alerts about this patient.
    """

    calibration: Calibration
    ahead: list[Forecast]
    curve_past: list[dict[str, Any]]
    curve_ahead: list[dict[str, Any]]
    moved: MassEffectOverTime | None
    next_scans: tuple[NextScan, ...] = ()
    shares: VarianceShares | None = None
    progressions: tuple[ForecastProgression, ...] = ()
    alerts: tuple[TwinAlert, ...] = ()


def forecast_of_days(
    calibration: Calibration,
    after_days: Sequence[float],
    comm: MPI.Comm = MPI.COMM_SELF,
    *,
    displacement: bool = True,
    shares: bool = False,
    alerts: AlertInputs | None = None,
) -> ForecastOfDays:
    """Forecast some days. Collective.

    Args:
        calibration: calibration of the tumour.
        after_days: days after the last scan.
        comm: ranks to share the draws.
        displacement: whether the displacement of tissue is forecast too.
        shares: whether the shares of the variance by source are found too.
        alerts: bound of the probability of progression, and what is wrong with the calibration; None for no alerts.

    Raises:
        InputError: a day is not after the last scan.
    """
    history = calibration.history
    last = history.scans[-1].day
    days = [last + after for after in sorted(set(after_days))]
    curve = forecast_with_curve(calibration, days, comm)
    past = past_curve(calibration, comm)
    say(f"sub-{history.subject}: {len(past) + len(curve.rows)} days of volumes")
    moved = mass_effect(calibration, curve.ahead, comm) if displacement else None
    shared = variance_shares(calibration, days, comm) if shares else None
    times = progressions(history, curve.volumes_ml)
    raised = () if alerts is None else _alerts(calibration, alerts, times)
    return ForecastOfDays(calibration, curve.ahead, past, curve.rows, moved, curve.next_scans, shared, times, raised)


def _alerts(
    calibration: Calibration, asked: AlertInputs, times: Sequence[ForecastProgression]
) -> tuple[TwinAlert, ...]:
    """Return the alerts about a patient, whether they are raised or not."""
    bound = asked.progression
    likely = [] if bound is None else [progression_alert(bound, times, unidentified_rates(calibration))]
    # One run with given rates is no twin, and nothing of it can be out of step.
    of_step = [] if calibration.given is not None else [out_of_step_alert(asked.out_of_step)]
    return (*likely, *of_step)


def write_forecast(
    partial: Path, found_days: ForecastOfDays, after_days: Sequence[float], place: MeshedLattice | None = None
) -> list[dict[str, object]]:
    """Write the files of a forecast into a folder, and return its rows.

    Args:
        partial: empty folder.
        found_days: forecast of some days.
        after_days: those days, after the last scan.
        place: tetrahedra on which the forecast is written too; None for voxels only.
    """
    calibration, moved, curve_ahead = found_days.calibration, found_days.moved, found_days.curve_ahead
    history = calibration.history
    for warning in basis_warnings(calibration):
        say(str(warning))
    meshes: list[dict[str, object]] = []
    last = history.scans[-1].day
    rows: list[dict[str, object]] = []
    curve = {"past": found_days.curve_past, "forecast": curve_ahead}
    for number, found in enumerate(found_days.ahead):
        _write_maps(partial, found)
        if place is not None:
            meshes.append(write_on_mesh(partial, f"{_stem(found)}_mesh", place, found))
        rows.append(_figures(found))
        if moved is not None:
            _write_displacement(partial, found, moved.ahead[number])
            additional = moved.ahead[number].means_mm - moved.now.means_mm
            rows[-1] |= _displacements(moved.ahead[number]) | {"additional_displacement_mm": intervals(additional)}
        say(f"sub-{history.subject}: day {found.day:g} forecast by {len(found.densities)} draws")
    rests_on = basis(calibration)
    tried = domain(calibration, max(after_days), untried(prior_shifts(history, calibration.settings)))
    outside = tried.warnings()
    for warning in outside:
        say(f"WARNING: {warning}")
    for alert in found_days.alerts:
        if alert.shown:
            say(f"ALERT: {alert.warning}")
    asked_days = [found.day for found in found_days.ahead]
    record = {
        "subject": history.subject,
        "basis": str(rests_on),
        "given": calibration.given,
        "units": {"volumes": "mL", "displacements": "mm", "days": "since the first scan"},
        "last_scan_day": last,
        "forecast": rows,
        "curve": curve,
        "mass_effect": None if moved is None else _mass_effect(calibration, moved),
        "meshes": meshes,
        "left_out": _beyond(calibration, last + max(after_days)),
        "domain": tried.as_record(),
        "next_scan": [one.as_record() for one in found_days.next_scans],
        "progression": [one.as_record(asked_days) for one in found_days.progressions],
        "alerts": [one.as_record() for one in found_days.alerts],
        "warnings": [one.as_record() for one in (*basis_warnings(calibration), *front_warnings(calibration), *outside)],
        "versions": versions(),
    }
    if found_days.shares is not None:
        record["variance_shares"] = share_rows(found_days.shares.quantities)
        record["laws_of_growth"] = law_rows(found_days.shares)
        table = share_table(found_days.shares.quantities)
        (partial / "variance_shares.tsv").write_text(table, encoding="utf-8")
    (partial / "forecast.json").write_text(record_text("forecast", record), encoding="utf-8")
    (partial / "forecast.tsv").write_text(_table(rows, rests_on), encoding="utf-8")
    days = [*curve["past"], *curve_ahead[1:]]
    (partial / "curve.tsv").write_text(_table(days, rests_on), encoding="utf-8")
    write_past(calibration, partial)
    write_dose(calibration, last + max(after_days), partial)
    _write_sidecars(partial, rests_on)
    return rows


def _write_sidecars(folder: Path, rests_on: Basis) -> None:
    """State beside every map what the forecast rests on, unless it is of this patient."""
    if not rests_on.of_patient:
        maps = (
            *folder.rglob("*_density.nii.gz"),
            *folder.rglob("*_probability.nii.gz"),
            *folder.glob("*displacement*"),
        )
        for path in maps:
            sidecar = json.dumps({"Basis": str(rests_on)}) + "\n"
            path.with_name(path.name.removesuffix(".nii.gz") + ".json").write_text(sidecar, encoding="utf-8")


def _beyond(calibration: Calibration, end: float) -> list[str]:
    """Return treatments after the last day that is asked for, which have no part in any figure; and displacement."""
    history = calibration.history
    days = [one.day for one in history.irradiations] + [one.day for one in history.drug_doses]
    count = sum(day > end for day in (*days, *(one.day for one in history.surgeries)))
    said = [f"{count} treatments after day {end:g} are not part of the forecast"] if count else []
    if calibration.stress is None:
        said.append("displacement of tissue is not forecast: the twin was calibrated without mechanics")
    return said


def _figures(found: Forecast) -> dict[str, object]:
    row: dict[str, object] = {"day": found.day}
    for name, kind in THRESHOLDS.items():
        row[name] = intervals(found.volumes_ml(found.thresholds(kind)))
    return row | {"burden_ml": intervals(found.burdens_ml())}


def _displacements(one: Displaced) -> dict[str, object]:
    """Return intervals of a day's mean and largest displacement."""
    mean, largest, _ = DISPLACEMENTS
    return {mean: intervals(one.means_mm), largest: intervals(one.largest_mm)}


def _mass_effect(calibration: Calibration, moved: MassEffectOverTime) -> dict[str, object]:
    """Return what displacements rest on, and those of the scans' days."""
    stress, settings = calibration.stress, calibration.settings
    return {
        "around_mm": AROUND_MM,
        "around_day": moved.around_day,
        "largest_quantile": LARGEST,
        "swelling_kpa": settings.swelling_kpa.model_dump(mode="json"),
        "numerical_log_std": NUMERICAL_LOG_STD,
        "stiffness_draws": 0 if stress is None else len(stress.log_draws),
        "at_scans": [{"day": one.day} | _displacements(one) for one in (*moved.past, moved.now)],
    }


def _write_displacement(folder: Path, found: Forecast, moved: Displaced) -> None:
    history = found.calibration.history
    lower, median, upper = np.quantile(moved.lengths_mm, [0.025, 0.5, 0.975], axis=0)
    maps = {"stat-median_displacement": median, "stat-lower_displacement": lower, "stat-upper_displacement": upper}
    for name, values in (maps | {"stat-mean_displacementvector": moved.mean_mm}).items():
        volume = np.full((*history.tissue.shape, *values.shape[1:]), np.nan, dtype=np.float32)
        volume[history.tissue] = values
        write_nifti(folder / f"{_stem(found)}_{name}.nii.gz", volume, history.affine_mm)


def _stem(found: Forecast) -> str:
    """Return the stem of the names of a day's files."""
    return f"sub-{found.calibration.history.subject}_day-{found.day:g}"


def _write_maps(folder: Path, found: Forecast) -> None:
    history = found.calibration.history
    stem = _stem(found)
    draws = found.densities.astype(np.float64)
    lower, upper = np.quantile(draws, [0.025, 0.975], axis=0)
    stats = {
        "mean": draws.mean(axis=0),
        "std": draws.std(axis=0, ddof=min(1, len(draws) - 1)),
        "lower": lower,
        "upper": upper,
    }
    for name, values in stats.items():
        volume = np.full(history.tissue.shape, np.nan, dtype=np.float32)
        volume[history.tissue] = values
        write_nifti(folder / f"{stem}_stat-{name}_density.nii.gz", volume, history.affine_mm)
    for name, kind in THRESHOLDS.items():
        probability = found.probability_above(found.thresholds(kind)).astype(np.float32)
        shown = name.removesuffix("_ml")
        write_nifti(folder / f"{stem}_desc-{shown}_probability.nii.gz", probability, history.affine_mm)


def _table(rows: Sequence[dict[str, object]], rests_on: Basis) -> str:
    """Return one line a day and quantity."""
    marks = [] if rests_on.of_patient else [str(rests_on)]
    ends = [f"{end}_{100 * level:g}" for level in LEVELS for end in ("lower", "upper")]
    lines = ["\t".join(["day", "quantity", "median", *ends, *(["basis"] if marks else [])])]
    for row in rows:
        named: dict[str, str] = {name: name for name in (*QUANTITIES, *DISPLACEMENTS) if name in row}
        named |= {old: new for old, new in old_keys("forecast", "forecast").items() if new in row}
        for name, now in named.items():
            values = row[now]
            assert isinstance(values, dict)
            bounds = [values[f"{100 * level:g}"][end] for level in LEVELS for end in (0, 1)]
            numbers = "\t".join(f"{value:.4g}" for value in (values["median"], *bounds))
            lines.append("\t".join([f"{row['day']:g}", name, numbers, *marks]))
    return "\n".join(lines) + "\n"
