"""An answer as a DICOM structured report (TID 1500), under the scan's identity or a pseudonym."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from palpate.errors import InputError
from palpate.imaging.deidentify.identifiers import recorded_identifiers
from palpate.imaging.deidentify.key_file import known_key, open_key
from palpate.imaging.dicom_out.dicom_identity import MapIdentity, pseudonym_of
from palpate.imaging.dicom_out.dicom_origin import scan_identity
from palpate.imaging.dicom_out.dicom_source import DicomSource, dicom_source
from palpate.imaging.dicom_out.measurement_report import ReportedRegion, ReportFacts, write_measurement_report
from palpate.imaging.dicom_out.report_place import Place, SpherePlace, outline_place
from palpate.service.query.answer import RESEARCH_USE, Answer, Footprint, RunAnswer
from palpate.service.query.session import OpenRun, OpenSession


def report_identity(
    session: OpenSession, answer: Answer, scan: Path | None, key: Path | None, out: Path
) -> MapIdentity:
    """Return the identity of a report: the scan's own where the scan is given, else a pseudonym.

    Args:
        session: finished session, opened.
        answer: answer to be reported.
        scan: DICOM folder or archive that palpate ingest read; None for a pseudonym.
        key: file of the key of the record's pseudonyms; None takes the user's own.
        out: file to write, beside which no new key may lie.

    Raises:
        InputError: the session did not come from DICOM, its runs lie in several frames of reference, or scan and key
            are not those of the record.
    """
    asked = [one for one in session.runs if one.stiffness.label in {run.run for run in answer.runs}]
    sources = [_source(one) for one in asked]
    if len({one.frame_of_reference_uid for one in sources}) > 1:
        raise InputError(
            "--run",
            found="runs in several frames of reference",
            expected="one frame of reference, in which the report's coordinates hold",
            advice="Choose one run with --run.",
        )
    if scan is not None:
        return scan_identity(sources[0], scan, known_key(key))
    retained = recorded_identifiers(asked[0].ingest).status != "pseudonymised"
    subject = asked[0].stiffness.label.partition("_")[0]
    return pseudonym_of(sources[0], open_key(key, away_from=out) if retained else None, subject)


def write_report(path: Path, answer: Answer, identity: MapIdentity) -> None:
    """Write an answer as a structured report.

    Args:
        path: file to write; the caller makes sure that no partial file is left.
        answer: answer to a query.
        identity: patient, study and frame of reference of the report.
    """
    frequencies = ", ".join(dict.fromkeys(f"{one.frequency_hz:g}" for one in answer.runs))
    facts = ReportFacts(
        description=f"palpate query {frequencies} Hz {answer.runs[0].run}",
        made=answer.runs[0].made,
        comments=(RESEARCH_USE, *(str(one) for one in answer.warnings)),
    )
    write_measurement_report(path, [_region(answer, one) for one in answer.runs], identity, facts)


def _source(run: OpenRun) -> DicomSource:
    where = run.wavefield / f"{run.stiffness.label}_ingest.json"
    source = dicom_source(run.ingest, where)
    if source is None:
        raise InputError(
            run.wavefield,
            found="a wave field that did not come from DICOM",
            expected="a scan whose study and frame of reference a DICOM report can name",
            advice="Take --format json, csv or fhir.",
        )
    return source


def _region(answer: Answer, run: RunAnswer) -> ReportedRegion:
    above = tuple((one.quantity.key, one.above.probability) for one in run.figures if one.above is not None)
    thresholds = [one.above.threshold_kpa for one in run.figures if one.above is not None]
    return ReportedRegion(
        name=answer.region.title,
        place=_place(answer, run.footprint),
        values=run.figures,
        frequency_hz=run.frequency_hz,
        volume_ml=answer.region.volume_ml,
        covered_ml=run.covered_ml,
        informed_share=run.informed_share,
        draws=run.draws,
        above_kpa=thresholds[0] if thresholds else None,
        above=above,
    )


def _place(answer: Answer, footprint: Footprint) -> Place:
    """Return the place of the region: the sphere itself, or its outlines on the elastogram's slices."""
    region = answer.region
    if region.centre_mm is not None and region.radius_mm is not None:
        return SpherePlace(region.centre_mm, region.radius_mm)
    shares = np.zeros(footprint.voxels.max(axis=0) + 1)
    shares[tuple(footprint.voxels.T)] = footprint.shares
    return outline_place(shares, footprint.affine_mm)
