"""Figures of regions as a DICOM structured report: Measurement Report (TID 1500) in a Comprehensive 3D SR.

Each region is a group of volumetric measurements (TID 1411). A quantity is one concept, stated four times: the
derivation says whether a value is the mean, the standard deviation or an end of the 95 % credible interval. DICOM has
no code for a shear modulus, so that concepts are of the private scheme 99PALPATE; docs/query.md lists them. Units are
UCUM's.

Patient, study and frame of reference are a MapIdentity's: wholly the scan's own or wholly pseudonyms.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

import highdicom as hd
import pydicom
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

import palpate
from palpate.imaging.dicom.files import silence
from palpate.imaging.dicom_out.dicom_identity import MapIdentity
from palpate.imaging.dicom_out.dicom_source import source_image
from palpate.imaging.dicom_out.moments import in_timezone_of
from palpate.imaging.dicom_out.report_codes import (
    ABOVE,
    STATISTICS,
    THRESHOLD,
    concept_of,
    unit_of,
)
from palpate.imaging.dicom_out.report_regions import ReportRegion

SERIES_NUMBER: Final = 9033
"""Number of the report's series in the study."""
_MRI: Final = Code("113091000", "SCT", "Magnetic resonance imaging")
_MODEL: Final = "palpate (research software, not a medical device)"


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """Facts of a report as a whole.

    Attributes:
        description: description of the series, at most 64 characters.
        made: time at which the stiffness was computed.
        comments: sentences for the reader: what the report is not for, and warnings.
    """

    description: str
    made: datetime
    comments: tuple[str, ...]


def write_measurement_report(
    path: Path, regions: Sequence[ReportRegion], identity: MapIdentity, facts: ReportFacts
) -> None:
    """Write figures of regions as a Comprehensive 3D SR.

    The same figures and identity give the same identifiers, so that sending a repeated report to an archive does not
    make two of it.

    Args:
        path: the file to write; the caller makes sure that no partial file is left.
        regions: regions with their figures, one at least.
        identity: patient, study and frame of reference of the report, and the scan that the figures come from.
        facts: description, time and comments.
    """
    report = measurement_report(regions, identity, facts)
    with silence():
        # Odd values of the scan's identity are passed on as they are: an archive compares what it has.
        report.save_as(path)


def measurement_report(
    regions: Sequence[ReportRegion], identity: MapIdentity, facts: ReportFacts
) -> hd.sr.Comprehensive3DSR:
    """Return figures of regions as a Comprehensive 3D SR.

    Args:
        regions: regions with their figures, one at least.
        identity: patient, study and frame of reference of the report, and the scan that the figures come from.
        facts: description, time and comments.
    """
    base = _digest(regions, identity, facts)
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=_observer()),
        procedure_reported=_MRI,
        imaging_measurements=[_group(one, number, identity, base) for number, one in enumerate(regions, start=1)],
        title=codes.DCM.ImagingMeasurementReport,
    )
    for sentence in facts.comments:
        content[0].ContentSequence.append(
            hd.sr.TextContentItem(codes.DCM.Comment, _ascii(sentence), hd.sr.RelationshipTypeValues.CONTAINS)
        )
    evidence = [source_image(identity.source)] + [
        proof for one in regions if (proof := one.place.evidence(identity)) is not None
    ]
    with silence():
        report = hd.sr.Comprehensive3DSR(
            evidence=evidence,
            content=content[0],
            series_instance_uid=generate_uid(entropy_srcs=[base, "series"]),
            series_number=SERIES_NUMBER,
            sop_instance_uid=generate_uid(entropy_srcs=[base, "instance"]),
            instance_number=1,
            manufacturer="palpate",
            is_complete=True,
        )
        _complete(report, identity, facts)
    return report


def _observer() -> hd.sr.ObserverContext:
    """Return the program as the observer, with an identifier of its version."""
    identifying = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=generate_uid(entropy_srcs=["palpate", palpate.__version__]),
        name="palpate",
        manufacturer_name="palpate",
        model_name=_MODEL,
        serial_number=palpate.__version__,
    )
    return hd.sr.ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=identifying)


def _group(
    region: ReportRegion, number: int, identity: MapIdentity, base: str
) -> hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    """Return the measurements of one region."""
    tracking = hd.sr.TrackingIdentifier(
        uid=generate_uid(entropy_srcs=[base, "region", str(number)]), identifier=_ascii(region.name)[:64]
    )
    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking,
        **region.place.reference(identity),
        algorithm_id=hd.sr.AlgorithmIdentification(name="palpate", version=palpate.__version__),
        measurements=list(_measurements(region)),
    )


def _measurements(region: ReportRegion) -> Iterator[hd.sr.Measurement]:
    """Yield the statistics of each quantity, as far as they are stated, then facts of the region."""
    for value in region.values:
        concept, unit = concept_of(value.quantity.key), unit_of(value.quantity.unit)
        for statistic, derivation in STATISTICS.items():
            stated = getattr(value, statistic, None)
            if stated is not None:
                yield hd.sr.Measurement(concept, float(stated), unit, derivation=derivation)
        exceedance = region.exceedance(value.quantity.key)
        if exceedance is not None:
            yield _exceedance(concept, *exceedance)
    for concept, fact, unit_name in region.facts:
        yield hd.sr.Measurement(concept, fact, unit_of(unit_name))


def _exceedance(concept: Code, probability: float, threshold_kpa: float) -> hd.sr.Measurement:
    """Return a probability of exceeding a threshold, which stands below it."""
    made = hd.sr.Measurement(concept, probability, unit_of("1"), derivation=ABOVE)
    made[0].ContentSequence.append(
        hd.sr.NumContentItem(
            THRESHOLD, threshold_kpa, unit_of("kPa"), relationship_type=hd.sr.RelationshipTypeValues.HAS_PROPERTIES
        )
    )
    return made


def _ascii(text: str) -> str:
    """Return a text in ASCII, since the identity's character set, whichever it is, must hold it."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().strip() or "region"


def _complete(report: pydicom.Dataset, identity: MapIdentity, facts: ReportFacts) -> None:
    """Add what highdicom leaves open: description, equipment, identity, and times that do not change on a re-run."""
    report.SeriesDescription = _ascii(facts.description)[:64]
    report.ManufacturerModelName = _MODEL
    report.SoftwareVersions = report.DeviceSerialNumber = palpate.__version__
    identity.give_to(report)
    del report.PositionReferenceIndicator  # it belongs to images: coordinates of a report state their frame themselves
    made = in_timezone_of(facts.made, identity)
    date, time = made.strftime("%Y%m%d"), made.strftime("%H%M%S")
    report.InstanceCreationDate = report.ContentDate = report.SeriesDate = date
    report.InstanceCreationTime = report.ContentTime = report.SeriesTime = time
    if identity.is_pseudonym:
        report.TimezoneOffsetFromUTC = "+0000"
    for equipment in report.get("ContributingEquipmentSequence", []):
        equipment.ContributionDateTime = date + time


def _digest(regions: Sequence[ReportRegion], identity: MapIdentity, facts: ReportFacts) -> str:
    """Return the digest of what makes a report itself and no other; when it was written is no part of that."""
    told = [
        (
            *(one.name, one.place, *((concept.value, fact, unit) for concept, fact, unit in one.facts)),
            *((v.quantity.key, v.mean, v.std, v.lower, v.upper, one.exceedance(v.quantity.key)) for v in one.values),
        )
        for one in regions
    ]
    return sha256(repr((told, identity.source, facts.description, palpate.__version__)).encode()).hexdigest()
