"""`palpate query`: the figures of one region of a finished session."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from palpate.cli.frame_options import ContourImage, Registration


def query(
    session: Annotated[
        Path,
        typer.Argument(help="Session folder of finished results, with mre/ and wavefield/, or folder of a forecast."),
    ],
    sphere: Annotated[
        str | None,
        typer.Option(help="Sphere X,Y,Z,RADIUS: centre R A S in the elastogram's world and radius, all in mm."),
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(help="Binary NIfTI mask in the world of the T1 or the elastogram.")
    ] = None,
    seg: Annotated[
        Path | None, typer.Option(help="DICOM Segmentation in the elastogram's or the T1's frame of reference.")
    ] = None,
    roi: Annotated[
        Path | None, typer.Option(help="RT Structure Set in the elastogram's or the T1's frame of reference.")
    ] = None,
    space: Annotated[
        str,
        typer.Option(
            help="World of a file: auto, elastogram or t1. auto: by its frame of reference, series and voxels."
        ),
    ] = "auto",
    name: Annotated[str | None, typer.Option(help="Name or number of the segment (--seg) or ROI (--roi).")] = None,
    above: Annotated[
        float | None, typer.Option(help="Threshold in kPa: answer the probability that the region's mean exceeds it.")
    ] = None,
    than: Annotated[
        str | None,
        typer.Option(
            help="Second region, X,Y,Z,RADIUS or FILE or FILE#NAME: answer the difference and the probability that the "
            "first is stiffer, by joint draws (json only)."
        ),
    ] = None,
    quantity: Annotated[
        list[str] | None,
        typer.Option(
            help="Quantity, once or more: storage_modulus, loss_modulus, magnitude (kPa), loss_tangent (ratio; these "
            "four by default), wave_speed (m/s), attenuation (Np/m), damping_ratio (ratio), phase_angle (rad), "
            "shear_stiffness (kPa)."
        ),
    ] = None,
    run: Annotated[str | None, typer.Option(help="Number or label of one run; default: all runs.")] = None,
    frequency_hz: Annotated[float | None, typer.Option(help="One frequency, Hz; default: all frequencies.")] = None,
    format: Annotated[  # noqa: A002 - the option's name
        str,
        typer.Option(help="json, csv, fhir (R4 Observation; Flag of a forecast) or sr (DICOM TID 1500, needs --out)."),
    ] = "json",
    out: Annotated[Path | None, typer.Option(help="File to write; default: print.")] = None,
    scan: Annotated[
        Path | None,
        typer.Option(help="With sr: DICOM that palpate ingest read, whose identity the report takes; default: none."),
    ] = None,
    registration: Registration = None,
    contour_image: ContourImage = None,
    key: Annotated[Path | None, typer.Option(help="Key file that palpate ingest used; default: your own key.")] = None,
    settings: Annotated[
        str | None, typer.Option(help="The registration settings: JSON, or a YAML or JSON file (uncertainty in mm).")
    ] = None,
) -> None:
    """Answer how stiff one region is: mean and 95 % interval (kPa) from joint draws, and the probability above a value.

    Give one region: a sphere, a mask, a segment or the contours of a ROI. The answer holds mean, standard deviation and
    95 % bounds of the region's mean with their Monte-Carlo errors, the share of the region that the map covers, the
    informed share, how the region came to the elastogram, warnings, versions and digests. JSON and CSV are described in
    docs/query.md. Figures are those of palpate regions. For the folder of a forecast, and no region, the answer is the
    probability of progression by date, and the alerts, as JSON or FHIR Flags (docs/alerts.md). Research use only.
    """
    from palpate.service.query.forecast_answer import forecast_record

    if (record := forecast_record(session)) is not None:
        others: dict[str, object] = {
            "--sphere": sphere,
            "--mask": mask,
            "--seg": seg,
            "--roi": roi,
            "--name": name,
            "--than": than,
        }
        others |= {"--above": above is not None, "--quantity": quantity, "--run": run, "--scan": scan, "--key": key}
        others |= {"--frequency-hz": frequency_hz, "--registration": registration, "--contour-image": contour_image}
        others |= {"--settings": settings, "--space": space != "auto"}
        _of_forecast(record, format, out, others)
        return
    from palpate.config.region_choice import split_choice
    from palpate.config.registration import RegistrationSettings
    from palpate.config.section import parse_settings
    from palpate.outputs import claim_file
    from palpate.progress import say
    from palpate.service.query.choice import region_of
    from palpate.service.query.region_spec import AnyFileSpec, spec_of_text
    from palpate.service.query.writing import KINDS, TEXTS, demand_format

    registered = parse_settings(RegistrationSettings, settings)
    spec = region_of(sphere=sphere, files={"mask": mask, "seg": seg, "roi": roi}, name=name)
    chosen = demand_format(format, out, scan, compares=than is not None)
    other = None if than is None else spec_of_text(than)
    inputs = {"session": session, "mask": mask, "seg": seg, "roi": roi, "scan": scan, "key": key}
    inputs |= {"than": split_choice(other.given)[0] if isinstance(other, AnyFileSpec) else None}
    inputs |= {"registration": registration, "contour_image": contour_image}
    target = None if out is None else claim_file(out, KINDS[chosen], inputs)
    from palpate.imaging.anatomy.foreign_frame import GivenRegistration
    from palpate.imaging.region_values.worlds import demand_space
    from palpate.service.query.ask import Query, ask
    from palpate.service.query.options import QueryOptions
    from palpate.service.query.session import open_session

    options = {} if quantity is None else {"quantities": tuple(quantity)}
    chosen_options = QueryOptions(**options, above_kpa=above, run=run or "", frequency_hz=frequency_hz)
    given = GivenRegistration(registration, contour_image, registered)
    asked = Query(spec, chosen_options, demand_space(space), key, given, other)
    opened = open_session(session)
    answer = ask(opened, asked)
    identity = None
    if target is not None and chosen == "sr":
        from palpate.service.query.report import report_identity, write_report

        identity = report_identity(opened, answer, scan, key, target.path)
    for warning in answer.warnings:
        say(f"warning: {warning}")
    if target is None:
        print(TEXTS[chosen](answer), end="")
        return
    with target.writing() as partial:
        if identity is None:
            partial.write_text(TEXTS[chosen](answer), encoding="utf-8")
        else:
            write_report(partial, answer, identity)
    say(f"answer in {out}")


def _of_forecast(record: Path, given: str, out: Path | None, options: Mapping[str, object]) -> None:
    """Answer when progression is likely and which alerts there are."""
    from palpate.progress import say
    from palpate.service.query.forecast_writing import answer_forecast

    text = answer_forecast(record, given, out, options)
    if out is None:
        print(text, end="")
        return
    say(f"answer in {out}")
