"""A folder as an archive exports it: which images are MRE of one patient, what lies beside them, and why it stays out.

Such folders hold localisers, other sequences, screen saves, earlier studies, even other patients. The MRE of exactly
one patient and study is taken; which series it uses is for the vendor's reader to say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydicom.datadict import dictionary_description
from pydicom.uid import EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage, MRImageStorage

from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.dicom.files import Instance, shown
from palpate.imaging.dicom.series import Series, group_series, texts
from palpate.imaging.dicom.vocabulary import is_known, known_words

_MR_CLASSES: Final = (MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage)
_PERSON: Final = ("PatientID", "PatientName", "PatientBirthDate")
_NUMBER_KEY: Final = "series_number"


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """A line of the table of what was taken; nothing in it comes from free text.

    Attributes:
        number: SeriesNumber; empty where a line stands for several series or the header does not say.
        modality: such as "MR"; empty where it is unknown.
        description: the known words of SeriesDescription.
        images: how many.
        role: "phase", "magnitude", "anatomy" or the like; "left out" where it is not used.
        reason: why.
    """

    number: str
    modality: str
    description: str
    images: int
    role: str
    reason: str


@dataclass(frozen=True, slots=True)
class Export:
    """An archive's folder, sorted.

    Attributes:
        series: the MR series of the one study with MRE; of all studies where none has MRE.
        left_out: what does not belong to them.
    """

    series: tuple[Series, ...]
    left_out: tuple[SeriesRow, ...]

    def rows(self, acquisitions: Sequence[PhaseAcquisition]) -> tuple[SeriesRow, ...]:
        """Every series with the role that it has in the acquisitions, whose facts name it as series_number_<role>."""
        roles = _roles(acquisitions)
        return (*(_row_of(one, roles.get(one.number)) for one in self.series), *self.left_out)

    def used(self, acquisitions: Sequence[PhaseAcquisition]) -> tuple[Instance, ...]:
        """The images of the series that the acquisitions use; all where they do not say which."""
        roles = _roles(acquisitions)
        chosen = [one for one in self.series if one.number in roles] or self.series
        return tuple(instance for one in chosen for instance in one.instances)


def why_no_image(instance: Instance) -> str | None:
    """Why an instance is no MR image of the kind that can be read and shown without identity; None where it is one."""
    header = instance.header
    kinds = " ".join(texts(header, "ImageType")).upper()
    if header.get("SOPClassUID") not in _MR_CLASSES or header.get("Modality", "MR") != "MR":
        return "no MR image, such as a screen save or a report"
    if "SCREEN" in kinds or "CAPTURE" in kinds:
        return "screen save"
    if not str(header.get("PhotometricInterpretation", "MONOCHROME2")).startswith("MONOCHROME"):
        return "colour image, such as a screen save"
    if str(header.get("BurnedInAnnotation", "NO")).upper() != "NO":
        return "burned-in text"
    return None


def sort_export(
    container: Path, instances: Sequence[Instance], holds_mre: Callable[[Sequence[Series]], bool]
) -> Export:
    """Find the one study with MRE.

    Args:
        container: where the instances came from, for errors.
        instances: all images of the folder.
        holds_mre: whether any reader recognises the series of a study.

    Raises:
        InputError: MRE of two patients or two studies, one image under two contents, or headers without numbers.
    """
    left_out: dict[tuple[str, str], list[Instance]] = {}
    studies: dict[tuple[str, ...], list[Instance]] = {}
    for instance in instances:
        reason = why_no_image(instance)
        if reason is None:
            studies.setdefault(_study_of(instance), []).append(instance)
        else:
            series = str(instance.header.get("SeriesInstanceUID", ""))
            left_out.setdefault((reason, series), []).append(instance)
    rows = [_row(group, "left out", reason) for (reason, _), group in left_out.items()]
    sorted_studies = {study: group_series(group) for study, group in studies.items()}
    with_mre = [study for study, series in sorted_studies.items() if holds_mre(series)]
    if len(with_mre) > 1:
        _refuse_several(container, with_mre)
    if not with_mre:
        return Export(tuple(one for series in sorted_studies.values() for one in series), tuple(rows))
    taken = with_mre[0]
    others = sum(len(group) for study, group in studies.items() if study != taken)
    if others:
        rows.append(SeriesRow("", "", "", others, "left out", "another patient or study, without MRE"))
    return Export(sorted_studies[taken], tuple(rows))


def anatomy_row(series: Series) -> SeriesRow:
    """The line of the series that the anatomy came from."""
    return _row(series.instances, "anatomy", "the one volume of the anatomy's folder")


def table_text(rows: Sequence[SeriesRow]) -> str:
    """The table, tab-separated with a header line."""
    lines = ["series\tmodality\tdescription\timages\trole\treason"]
    for row in rows:
        cells = (row.number, row.modality, row.description, str(row.images), row.role, row.reason)
        lines.append("\t".join(cell or "n/a" for cell in cells))
    return "\n".join(lines) + "\n"


def _study_of(instance: Instance) -> tuple[str, ...]:
    return tuple(str(instance.header.get(name, "")) for name in (*_PERSON, "StudyInstanceUID"))


def _refuse_several(container: Path, studies: Sequence[tuple[str, ...]]) -> None:
    """Raise InputError, which names nobody, for more than one study with MRE."""
    names = (*_PERSON, "StudyInstanceUID")
    differing = [name for n, name in enumerate(names) if len({study[n] for study in studies}) > 1]
    persons = len({study[: len(_PERSON)] for study in studies})
    what = f"{persons} persons" if persons > 1 else f"{len(studies)} studies of one person"
    raise InputError(
        shown(container),
        found=f"MRE of {what} (they differ in {', '.join(dictionary_description(name) for name in differing)})",
        expected="MRE of one person and one study",
        advice="Give the folder of one session only.",
    )


def _roles(acquisitions: Sequence[PhaseAcquisition]) -> dict[int, tuple[str, str]]:
    """Role and reader of each series that an acquisition names in its facts."""
    roles: dict[int, tuple[str, str]] = {}
    for acquisition in acquisitions:
        reader = str(acquisition.facts.get("reader", ""))
        for name, value in acquisition.facts.items():
            if name.startswith(_NUMBER_KEY):
                role = name.removeprefix(_NUMBER_KEY).removeprefix("s").strip("_") or "MRE"
                numbers = value if isinstance(value, list | tuple) else (value,)
                roles |= {one: (role, reader) for one in numbers if isinstance(one, int)}
    return roles


def _row_of(series: Series, role: tuple[str, str] | None) -> SeriesRow:
    if role is not None:
        return _row(series.instances, role[0], f"MRE, read as {role[1]}")
    localiser = any("LOCALI" in kind.upper() for kind in series.image_type)
    return _row(series.instances, "left out", "localiser" if localiser else "no part of the MRE")


def _row(instances: Sequence[Instance], role: str, reason: str) -> SeriesRow:
    header = instances[0].header
    number, modality = header.get("SeriesNumber"), str(header.get("Modality", ""))
    return SeriesRow(
        number=str(int(number)) if isinstance(number, int | float) else "",
        modality=modality if is_known("Modality", modality) else "",
        description=known_words(str(header.get("SeriesDescription", "") or "")),
        images=len(instances),
        role=role,
        reason=reason,
    )
