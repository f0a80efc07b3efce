"""Identity of a DICOM map: patient, study and frame of reference, wholly the scan's own or wholly pseudonyms.

A mixture breaks an archive's study: one study identifier under two patients makes the original unreachable.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final
from uuid import UUID

from pydicom.config import IGNORE
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from palpate.imaging.deidentify.key import Key
from palpate.imaging.dicom_out.dicom_source import DicomSource, pseudonymised_source


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


CHARACTERS: Final = "SpecificCharacterSet"
"""Keyword of the character set, without which names cannot be read."""

PATIENT: Final = _words(
    """
    PatientName PatientID IssuerOfPatientID IssuerOfPatientIDQualifiersSequence TypeOfPatientID
    SourcePatientGroupIdentificationSequence GroupOfPatientsIdentificationSequence OtherPatientIDs
    OtherPatientIDsSequence OtherPatientNames PatientBirthName PatientMotherBirthName PatientBirthDate
    PatientBirthTime PatientBirthDateInAlternativeCalendar PatientDeathDateInAlternativeCalendar
    PatientAlternativeCalendar PatientSex QualityControlSubject ReferencedPatientSequence
    ReferencedPatientPhotoSequence EthnicGroup PatientComments PatientSpeciesDescription
    PatientSpeciesCodeSequence PatientBreedDescription PatientBreedCodeSequence BreedRegistrationSequence
    StrainDescription StrainNomenclature StrainCodeSequence StrainStockSequence StrainAdditionalInformation
    GeneticModificationsSequence EthnicGroupCodeSequence ResponsiblePerson ResponsiblePersonRole
    ResponsibleOrganization PatientIdentityRemoved DeidentificationMethod DeidentificationMethodCodeSequence
    LongitudinalTemporalInformationModified ClinicalTrialSponsorName ClinicalTrialProtocolID
    ClinicalTrialProtocolName ClinicalTrialSiteID ClinicalTrialSiteName ClinicalTrialSubjectID
    ClinicalTrialSubjectReadingID ClinicalTrialProtocolEthicsCommitteeName
    ClinicalTrialProtocolEthicsCommitteeApprovalNumber IssuerOfClinicalTrialProtocolID
    OtherClinicalTrialProtocolIDsSequence IssuerOfClinicalTrialSiteID IssuerOfClinicalTrialSubjectID
    IssuerOfClinicalTrialSubjectReadingID
    """
)
"""Modules Patient and Clinical Trial Subject (PS3.3, C.7.1.1 and C.7.1.3), by keyword."""

STUDY: Final = _words(
    """
    StudyDate StudyTime StudyID AccessionNumber IssuerOfAccessionNumberSequence ReferringPhysicianName
    ReferringPhysicianIdentificationSequence ConsultingPhysicianName ConsultingPhysicianIdentificationSequence
    StudyDescription PhysiciansOfRecord PhysiciansOfRecordIdentificationSequence NameOfPhysiciansReadingStudy
    PhysiciansReadingStudyIdentificationSequence RequestingService RequestingServiceCodeSequence
    ReferencedStudySequence ProcedureCodeSequence ReasonForPerformedProcedureCodeSequence
    AdmittingDiagnosesDescription AdmittingDiagnosesCodeSequence PatientAge PatientSize PatientSizeCodeSequence
    PatientWeight PatientBodyMassIndex MeasuredAPDimension MeasuredLateralDimension MedicalAlerts Allergies
    SmokingStatus PregnancyStatus LastMenstrualDate PatientState Occupation AdditionalPatientHistory AdmissionID
    IssuerOfAdmissionIDSequence ServiceEpisodeID IssuerOfServiceEpisodeIDSequence ServiceEpisodeDescription
    PatientSexNeutered ReasonForVisit ReasonForVisitCodeSequence ClinicalTrialTimePointID
    ClinicalTrialTimePointDescription LongitudinalTemporalOffsetFromEvent LongitudinalTemporalEventType
    ConsentForClinicalTrialUseSequence ClinicalTrialTimePointTypeCodeSequence IssuerOfClinicalTrialTimePointID
    """
)
"""Modules General Study, Patient Study and Clinical Trial Study (PS3.3, C.7.2), by keyword; UIDs are in DicomSource."""

PLACE_AND_TIME: Final = ("PositionReferenceIndicator", "TimezoneOffsetFromUTC")
"""Elements of the modules Frame of Reference and SOP Common; the offset says what the study's times mean."""

_NEEDED: Final = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator"),
)
"""Elements that a map must have and that may be empty."""

_METHOD: Final = "subject label in place of identity; no dates, no free text"


@dataclass(frozen=True, slots=True)
class MapIdentity:
    """Patient, study and frame of reference of a map.

    Attributes:
        source: the scan's image that the map refers to; its identifiers are the scan's own or all pseudonyms.
        elements: elements of the modules above, with SpecificCharacterSet where their text needs one.
        is_pseudonym: whether source and elements are pseudonyms.
    """

    source: DicomSource
    elements: Dataset = field(repr=False, compare=False)
    is_pseudonym: bool

    def give_to(self, dataset: Dataset) -> None:
        """Put the whole identity into a map's header, in place of whatever stands there."""
        for keyword in (CHARACTERS, *PATIENT, *STUDY, *PLACE_AND_TIME):
            tag = tag_for_keyword(keyword)
            if tag is None:
                continue
            if tag in self.elements:
                dataset.add(_copy(self.elements[tag]))
            elif tag in dataset:
                del dataset[tag]
        for keyword in _NEEDED:
            if keyword not in dataset:
                setattr(dataset, keyword, None)


def identity_of(header: Dataset, source: DicomSource) -> MapIdentity:
    """Return the identity that a scan's image states, whole and unchanged.

    Args:
        header: header of the scan's image, with at least the elements above.
        source: unchanged identifiers of that image.
    """
    elements = Dataset()
    for keyword in (CHARACTERS, *PATIENT, *STUDY, *PLACE_AND_TIME):
        if keyword in header:
            elements.add(_copy(header[keyword]))
    return MapIdentity(source, elements, is_pseudonym=False)


def pseudonym_of(recorded: DicomSource, key: Key | None, subject: str) -> MapIdentity:
    """Return a pseudonym in place of a scan's identity.

    The study is one of its own, made from the pseudonymous study and the subject: copies that `palpate deidentify`
    writes may call the patient by another name, and one study must not lie under two patients.

    Args:
        recorded: the scan as the record of ingest names it.
        key: turns its identifiers into pseudonyms; None where they are pseudonyms already.
        subject: the study's label of the subject, which stands in for name and number.
    """
    source = recorded if key is None else pseudonymised_source(recorded, key)
    digest = sha256(f"maps\0{source.study_instance_uid}\0{subject}".encode()).digest()
    source = replace(source, study_instance_uid=f"2.25.{UUID(bytes=digest[:16], version=5).int}")
    elements = Dataset()
    elements.PatientID, elements.PatientName = subject, f"{subject}^"
    elements.PatientIdentityRemoved, elements.DeidentificationMethod = "YES", _METHOD
    return MapIdentity(source, elements, is_pseudonym=True)


def _copy(element: DataElement) -> DataElement:
    """Return the same element; values that DICOM would not allow stay, because an archive compares what it has."""
    return DataElement(element.tag, element.VR, element.value, validation_mode=IGNORE)
