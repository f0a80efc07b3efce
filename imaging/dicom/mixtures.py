"""Refusal of an MRE whose images name several persons or studies, where that is why its reader misses images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pydicom.datadict import dictionary_description

from palpate.errors import InputError
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.grouping import Study, series_regardless
from palpate.imaging.dicom.persons import differing, person_of
from palpate.imaging.dicom.series import Series, ordered, series_of
from palpate.imaging.files.plain_names import shown


def demand_one_identity(
    container: Path, series: Sequence[Series], others: Sequence[Study], read: Callable[[Sequence[Series]], object]
) -> None:
    """Raise InputError where an MRE that cannot be read alone can be read with the images of another person or study.

    Its phase and magnitude are then of one scan under two identities, or of two scans: nobody can know.

    Args:
        container: folder or archive that the images came from, for errors.
        series: series of the study with MRE, which its reader refused.
        others: studies beside it.
        read: the reader; it raises InputError where series make no acquisition.
    """
    own = [image for one in series for image in one.instances]
    for other in others:
        images = [image for part in other.series for image in part]
        if not _can_read([*own, *images], read):
            continue
        names = differing(person_of(own[0].header), other.person)
        what = "two persons" if names else "two studies of one person"
        words = ", ".join(dictionary_description(name) for name in names or ["StudyInstanceUID"])
        numbers = sorted({part[0].header.get("SeriesNumber") for part in other.series}, key=str)
        listed = ", ".join(str(int(one)) for one in numbers if isinstance(one, int))
        raise InputError(
            shown(container),
            found=f"an MRE with images of {what}: those of series {listed or '?'} and the others differ in {words}",
            expected="phase and magnitude of one person and one study",
            advice="Give the folder of one session only; if all images are of one scan, export them again under one "
            "identity.",
        )


def _can_read(images: Sequence[Instance], read: Callable[[Sequence[Series]], object]) -> bool:
    try:
        read(ordered([series_of(group) for group in series_regardless(images)]))
    except InputError:
        return False
    return True
