"""Sorting of a folder as an archive exports it: the MRE of one patient, what lies beside it, and why that is left out.

Such folders hold localisers, other sequences, screen saves, earlier studies, even other patients. The MRE of exactly
one patient and study is taken; the vendor's reader chooses the series that it uses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydicom.datadict import dictionary_description
from pydicom.uid import EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage, MRImageStorage

from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.dicom.derived_images import is_derived
from palpate.imaging.dicom.files import Contents, Instance
from palpate.imaging.dicom.grouping import SAME_IDENTIFIER, SPLIT_SERIES, SPLIT_STUDY, Study, group_studies
from palpate.imaging.dicom.persons import PERSON
from palpate.imaging.dicom.series import Series, ordered, series_of, texts
from palpate.imaging.dicom.vocabulary import is_known, known_words
from palpate.imaging.files.plain_names import shown
from palpate.quality_warning import QualityWarning

_MR_CLASSES: Final = (MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage)
_NUMBER_KEY: Final = "series_number"
_MENDED: Final = (SPLIT_SERIES, SPLIT_STUDY, SAME_IDENTIFIER)
"""Notes of grouping that count images in use, not images passed over."""


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """Line of the table of what was taken; nothing in it comes from free text.

    Attributes:
        number: SeriesNumber; empty where a line stands for several series or the header does not say.
        modality: DICOM Modality, such as "MR"; empty where it is unknown.
        description: the known words of SeriesDescription.
        images: number of images.
        role: "phase", "magnitude", "anatomy" or the like; "left out" where it is not used; "passed over" for files that
            are no readable images; "joined" for identifiers that an archive rewrote.
        reason: reason for the role.
    """

    number: str
    modality: str
    description: str
    images: int
    role: str
    reason: str


@dataclass(frozen=True, slots=True)
class Export:
    """Folder that an archive exported, sorted.

    Attributes:
        series: the MR series of the one study with MRE; of all studies where none has MRE.
        left_out: table lines for what does not belong to them.
        passed: table lines for files that are no readable images, and for identifiers that were mended.
        unusable: errors of images that cannot be sorted into a series, each with its images.
        warnings: warnings about the images in use.
        others: studies beside the one with MRE.
    """

    series: tuple[Series, ...]
    left_out: tuple[SeriesRow, ...]
    passed: tuple[SeriesRow, ...] = ()
    unusable: tuple[tuple[InputError, tuple[Instance, ...]], ...] = ()
    warnings: tuple[QualityWarning, ...] = ()
    others: tuple[Study, ...] = ()

    def rows(
        self, acquisitions: Sequence[PhaseAcquisition], computed: Mapping[int, str] | None = None
    ) -> tuple[SeriesRow, ...]:
        """Return every series with its role in the acquisitions, whose facts name it as series_number_<role>.

        Args:
            acquisitions: acquisitions that a reader made of the series.
            computed: kind of the maps that the scanner computed from them, by SeriesNumber.
        """
        roles, maps = roles_of(acquisitions), computed or {}
        rows = (
            _row(one.instances, f"scanner's {maps[one.number]}", "computed by the scanner, kept beside the wave field")
            if one.number in maps and one.number not in roles
            else _row_of(one, roles.get(one.number))
            for one in self.series
        )
        return (*rows, *self.passed, *self.left_out)

    def used(self, acquisitions: Sequence[PhaseAcquisition]) -> tuple[Instance, ...]:
        """Return the images of the series that the acquisitions use; all where they do not say which."""
        return tuple(instance for one in self.used_series(acquisitions) for instance in one.instances)

    def used_series(self, acquisitions: Sequence[PhaseAcquisition]) -> tuple[Series, ...]:
        """Return the series that the acquisitions use; all where they do not say which."""
        roles = roles_of(acquisitions)
        return tuple(one for one in self.series if one.number in roles) or self.series

    def demand_complete(self, used: Sequence[Series], is_mre: Callable[[Sequence[Series]], bool]) -> None:
        """Raise InputError where images without usable numbers belong to a series in use, or are MRE themselves.

        Args:
            used: series in use.
            is_mre: function that returns whether the reader in use recognises series: an exam whose third direction
                is unusable is no exam of two.
        """
        uids = {str(one.header.get("SeriesInstanceUID", "")) for series in used for one in series.instances} - {""}
        for error, images in self.unusable:
            if uids & {str(one.header.get("SeriesInstanceUID", "")) for one in images} or is_mre([Series(0, images)]):
                raise error


@dataclass(slots=True)
class _Sorted:
    """Studies while they are sorted."""

    series: list[tuple[Series, ...]] = field(default_factory=list)
    unusable: list[tuple[InputError, tuple[Instance, ...]]] = field(default_factory=list)

    def add(self, study: Study) -> None:
        usable = []
        for group in study.series:
            try:
                usable.append(series_of(group))
            except InputError as error:
                self.unusable.append((error, group))
        self.series.append(ordered(usable))


def why_no_image(instance: Instance) -> str | None:
    """Return why an instance is no MR image that can be read and shown without identity; None where it is one."""
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


def sort_export(container: Path, found: Contents, holds_mre: Callable[[Sequence[Series]], bool]) -> Export:
    """Find the one study with MRE.

    Args:
        container: folder or archive that the images came from, for errors.
        found: content of the container.
        holds_mre: function that returns whether any reader recognises the series of a study.

    Raises:
        InputError: MRE of two patients or two studies.
    """
    left_out: dict[tuple[str, str], list[Instance]] = {}
    images: list[Instance] = []
    for instance in found.instances:
        reason = why_no_image(instance)
        if reason is None:
            images.append(instance)
        else:
            series = str(instance.header.get("SeriesInstanceUID", ""))
            left_out.setdefault((reason, series), []).append(instance)
    rows = [_row(group, "left out", reason) for (reason, _), group in left_out.items()]
    studies = group_studies(images)
    made = _Sorted()
    for study in studies:
        made.add(study)
    rows += [_row(group, "left out", "no usable Series Number or Instance Number") for _, group in made.unusable]
    passed = passed_rows(found.passed.counts)
    unusable = tuple(made.unusable)
    with_mre = [n for n, series in enumerate(made.series) if holds_mre(series)]
    if len(with_mre) > 1:
        _refuse_several(container, [studies[n] for n in with_mre])
    if not with_mre:
        return Export(tuple(one for series in made.series for one in series), tuple(rows), passed, unusable)
    taken = with_mre[0]
    others = tuple(study for n, study in enumerate(studies) if n != taken)
    if others:
        count = sum(len(group) for study in others for group in study.series)
        rows.append(SeriesRow("", "", "", count, "left out", "another patient or study, without MRE"))
    passed = (*passed, *passed_rows(studies[taken].notes))
    return Export(made.series[taken], tuple(rows), passed, unusable, others=others)


def anatomy_row(series: Series) -> SeriesRow:
    """Return the table line for the series that the anatomy came from."""
    return _row(series.instances, "anatomy", "the one volume of the anatomy's folder")


def passed_rows(counts: Counter[str]) -> tuple[SeriesRow, ...]:
    """Return the table lines for what was passed over or mended, the most frequent first.

    Args:
        counts: number of files or images by reason.
    """
    return tuple(
        SeriesRow("", "", "", number, "joined" if reason in _MENDED else "passed over", reason)
        for reason, number in counts.most_common()
        if number
    )


def table_text(rows: Sequence[SeriesRow]) -> str:
    """Return the table as text, tab-separated with a header line."""
    lines = ["series\tmodality\tdescription\timages\trole\treason"]
    for row in rows:
        cells = (row.number, row.modality, row.description, str(row.images), row.role, row.reason)
        lines.append("\t".join(cell or "n/a" for cell in cells))
    return "\n".join(lines) + "\n"


def roles_of(acquisitions: Sequence[PhaseAcquisition]) -> dict[int, tuple[str, str]]:
    """Return role and reader of each series that an acquisition names in its facts."""
    roles: dict[int, tuple[str, str]] = {}
    for acquisition in acquisitions:
        reader = str(acquisition.facts.get("reader", ""))
        for name, value in acquisition.facts.items():
            if name.startswith(_NUMBER_KEY):
                role = name.removeprefix(_NUMBER_KEY).removeprefix("s").strip("_") or "MRE"
                numbers = value if isinstance(value, list | tuple) else (value,)
                roles |= {one: (role, reader) for one in numbers if isinstance(one, int)}
    return roles


def _refuse_several(container: Path, studies: Sequence[Study]) -> None:
    """Raise InputError, which names nobody, for more than one study with MRE."""
    names = [name for n, name in enumerate(PERSON) if len({study.person[n] for study in studies}) > 1]
    persons = len({study.person for study in studies})
    if len({study.uid for study in studies}) > 1:
        names.append("StudyInstanceUID")
    what = f"{persons} persons" if persons > 1 else f"{len(studies)} studies of one person"
    raise InputError(
        shown(container),
        found=f"MRE of {what} (they differ in {', '.join(dictionary_description(name) for name in names)})",
        expected="MRE of one person and one study",
        advice="Give the folder of one session only.",
    )


def _row_of(series: Series, role: tuple[str, str] | None) -> SeriesRow:
    if role is not None:
        return _row(series.instances, role[0], f"MRE, read as {role[1]}")
    if is_derived(series):
        reason = "waves, stiffness or confidence that the scanner derived, no raw phase"
        return _row(series.instances, "left out", reason)
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
