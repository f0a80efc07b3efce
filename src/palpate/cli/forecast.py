"""`palpate forecast`: forecast of a tumour by its twin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from palpate.config.forecast import ForecastSettings
    from palpate.twin.alerts.alert import AlertInputs
    from palpate.twin.calibration.calibrate import Calibration


def forecast(
    calibration: Annotated[
        Path, typer.Argument(help="Folder of palpate calibrate; with --parameters also the file of palpate tumour.")
    ],
    out: Annotated[Path, typer.Option(help="Output folder; an interrupted run leaves no partial result.")],
    after_days: Annotated[
        list[float] | None, typer.Option(help="Days after the last scan; repeat for each. Overrides the settings.")
    ] = None,
    mesh: Annotated[
        Path | None,
        typer.Option(
            help="Folder of palpate mesh with tetrahedra in the first scan's world; maps are then also written on them."
        ),
    ] = None,
    parameters: Annotated[
        Path | None,
        typer.Option(
            help="JSON or YAML file of named parameters, such as k_1_day: 0.05 and d_mm2_day: 0.1: one run of the "
            "model with them, without calibration and intervals; others are the prior's medians."
        ),
    ] = None,
    do: Annotated[
        list[Path] | None,
        typer.Option(
            help="Schedule (YAML or JSON) in place of the planned treatment; repeat for each. The folder then holds a "
            "forecast for each schedule and difference.tsv."
        ),
    ] = None,
    first_scan: Annotated[
        str | None, typer.Option(help="Date of the first scan (ISO), for schedules with dates in place of days.")
    ] = None,
    displacement: Annotated[
        bool, typer.Option("--displacement", help="With --do: forecast displacement (mm) under each schedule, too.")
    ] = False,
    shares: Annotated[
        bool,
        typer.Option(
            "--shares", help="Write the shares of the variance by source, too (variance_shares.tsv); takes longer."
        ),
    ] = False,
    settings: Annotated[str | None, typer.Option(help="The forecast settings: JSON, or a YAML or JSON file.")] = None,
    ranks: Annotated[
        int | None, typer.Option(min=1, help="Number of MPI ranks that must be connected; refuse any other number.")
    ] = None,
) -> None:
    """Forecast a tumour: density 0..1 with 95 % bounds and probability of tumour as NIfTI, volumes and burden in mL.

    The displacement of tissue by the tumour is forecast too, in mm with 95 % bounds, unless the twin was calibrated
    without mechanics. Every draw of the posterior grows on through the treatments that the table lists after the last
    scan. Intervals of 50, 80, 90 and 95 % are in forecast.tsv and forecast.json. With --mesh, density (mean, standard
    deviation, 5 and 95 %) and probabilities are also written at the nodes of tetrahedra (HDF5, and XDMF for ParaView),
    keeping the mass. A forecast from one scan is marked "population, not this patient"; one with --parameters is marked
    "given rates, not this patient". With --do the same draws meet every schedule with the same chances, and
    difference.tsv holds paired differences from the planned treatment (mL); nothing is calibrated again. The times to
    progression are in forecast.json, with an alert where its probability exceeds the bound of the settings (alert). The
    command runs alone or under mpiexec -n N: the ranks share the draws, and the result does not depend on N.
    """
    from palpate.config.forecast import ForecastSettings
    from palpate.config.section import parse_settings
    from palpate.outputs import claim_folder

    chosen = parse_settings(ForecastSettings, settings)
    if after_days:
        given = chosen.model_dump(mode="json") | {"days_after_last_scan": after_days}
        chosen = parse_settings(ForecastSettings, json.dumps(given))
    inputs = {"calibration": calibration, "mesh": mesh, "parameters": parameters}
    claim_folder(out, "forecast", inputs | {f"schedule {at}": path for at, path in enumerate(do or (), start=1)})
    if do:
        _demand_no_shares(shares=shares)
        _what_if(calibration, do, first_scan, chosen, out, displacement=displacement, ranks=ranks)
        return
    from palpate.solvers.ranks import all_ranks
    from palpate.twin.products.forecast_folder import forecast_into

    comm = all_ranks(ranks)
    twin = _calibrated(calibration) if parameters is None else _given(calibration, parameters)
    wanted = shares or chosen.variance_shares
    alerts = _alert_inputs(calibration, chosen)
    forecast_into(twin, chosen.days_after_last_scan, out, mesh, comm, shares=wanted, alerts=alerts)


def _calibrated(folder: Path) -> Calibration:
    """Return the calibration in a folder."""
    from palpate.twin.calibration_file import load_calibration

    return load_calibration(folder / "calibration.h5")


def _given(source: Path, parameters: Path) -> Calibration:
    """Return one run of the model with given parameters, on a calibration's lattice or from a tumour's history."""
    from palpate.imaging.tumour.history_file import read_history
    from palpate.twin.forward import forward_from_calibration, forward_from_history
    from palpate.twin.given_parameters import read_parameters

    given = read_parameters(parameters)
    if source.is_file():
        return forward_from_history(read_history(source), given, parameters)
    return forward_from_calibration(_calibrated(source), given, parameters)


def _demand_no_shares(*, shares: bool) -> None:
    """Refuse shares of the variance beside schedules."""
    from palpate.errors import InputError

    if shares:
        raise InputError(
            "--shares",
            found="--do beside it",
            expected="one of them",
            advice="Ask for the shares of each schedule's variance by a treatment table of its own.",
        )


def _what_if(
    folder: Path,
    do: list[Path],
    first_scan: str | None,
    chosen: ForecastSettings,
    out: Path,
    *,
    displacement: bool,
    ranks: int | None,
) -> None:
    """Forecast under schedules."""
    from palpate.solvers.ranks import all_ranks
    from palpate.twin.products.what_if_folder import what_if_into
    from palpate.twin.scenario.schedule import first_scan_date, read_schedule

    first = first_scan_date(first_scan)
    schedules = [read_schedule(path, first) for path in do]
    what_if_into(
        _calibrated(folder),
        schedules,
        chosen.days_after_last_scan,
        out,
        all_ranks(ranks),
        displacement=displacement,
        alerts=_alert_inputs(folder, chosen),
    )


def _alert_inputs(source: Path, chosen: ForecastSettings) -> AlertInputs:
    """Return what alerts need: the bound, and what is wrong with the calibration where its record tells."""
    from palpate.twin.alerts.alert import AlertInputs
    from palpate.twin.alerts.out_of_step import out_of_step_if_known

    return AlertInputs(chosen.alert, out_of_step_if_known(source))
