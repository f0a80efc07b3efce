"""Retrieval of one study's MR series from an archive into a folder: the public function behind `palpate fetch`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from palpate.errors import InputError
from palpate.imaging.archive.dicomweb import DicomWeb
from palpate.imaging.archive.dimse import Dimse
from palpate.imaging.archive.remote import Archive, RemoteSeries, Wanted
from palpate.outputs import claim_folder
from palpate.progress import say

CALLING: Final = "PALPATE"
"""Application entity title by which palpate introduces itself where the user gives no other."""

_DIMSE: Final = re.compile(r"dicom://(?P<title>[^@\s\\]{1,16})@(?P<host>[^@:/\s]+):(?P<port>\d{1,5})")
_MODALITY: Final = "MR"


def archive_at(address: str, *, calling: str = CALLING, listen_port: int | None = None) -> Archive:
    """Return the archive at an address.

    Args:
        address: http(s)://host:port/path of a DICOMweb service, or dicom://TITLE@host:port.
        calling: palpate's own application entity title; classic DICOM only.
        listen_port: port to which a C-MOVE is to send the images; None retrieves by C-GET. Classic DICOM only.

    Raises:
        InputError: the address is neither.
    """
    if address.startswith(("http://", "https://")):
        return DicomWeb(address)
    match = _DIMSE.fullmatch(address)
    if match is None or not 0 < int(match["port"]) < 65536:
        raise InputError(
            "the archive's address",
            found=repr(address),
            expected="http://host:port/path of a DICOMweb service, or dicom://TITLE@host:port",
            advice="Ask the archive's administrator for one of the two.",
        )
    return Dimse(match["title"], match["host"], int(match["port"]), calling, listen_port)


def fetch(archive: Archive, wanted: Wanted, out: Path, *, numbers: Sequence[int] = ()) -> tuple[RemoteSeries, ...]:
    """Retrieve a study's MR series into a folder; an interrupted run leaves no partial result.

    Files are named by series number and order of arrival; names and messages hold nothing about the patient.

    Args:
        archive: archive that holds the study.
        wanted: study to retrieve.
        out: folder to write, with one folder for each series in it.
        numbers: numbers of the series to retrieve; all MR series where empty.

    Returns:
        The series that were retrieved.

    Raises:
        InputError: there is no such study or series, or the archive does not hand it over in full.
    """
    target = claim_folder(out, "fetch", {})
    chosen = _chosen(archive.find(wanted), archive, numbers)
    with target.writing() as folder:
        for place, one in enumerate(chosen):
            home = folder / f"series{one.number:04d}" if _unique(one, chosen) else folder / f"series-{place}"
            home.mkdir()
            count = _retrieve(archive, one, home)
            say(f"series {one.number}: {count} images")
    return chosen


def _chosen(found: Sequence[RemoteSeries], archive: Archive, numbers: Sequence[int]) -> tuple[RemoteSeries, ...]:
    """Return the MR series with the wanted numbers, in their order."""
    if len({one.study_uid for one in found}) > 1:
        raise InputError(
            archive.address,
            found=f"{len({one.study_uid for one in found})} studies with this accession number",
            expected="one study",
            advice="Give the StudyInstanceUID instead (--study).",
        )
    images = sorted((one for one in found if one.modality == _MODALITY), key=lambda one: one.number)
    if not images:
        raise InputError(
            archive.address,
            found="no such study" if not found else f"a study of {len(found)} series, none of them MR",
            expected="a study with MR series",
            advice="Check the StudyInstanceUID or accession number.",
        )
    missing = sorted(set(numbers) - {one.number for one in images})
    if missing:
        raise InputError(
            archive.address,
            found=f"MR series {', '.join(str(one.number) for one in images)}",
            expected=f"series {', '.join(str(number) for number in missing)} among them",
            advice="Correct --series.",
        )
    return tuple(one for one in images if not numbers or one.number in numbers)


def _unique(one: RemoteSeries, among: Sequence[RemoteSeries]) -> bool:
    return sum(other.number == one.number for other in among) == 1


def _retrieve(archive: Archive, series: RemoteSeries, home: Path) -> int:
    """Write every image of a series; how many there were."""
    count = 0

    def keep(image: Dataset) -> None:
        nonlocal count
        count += 1
        image.save_as(home / f"{count:05d}.dcm", enforce_file_format=True)

    archive.retrieve(series, keep)
    if count == 0 or (series.images is not None and count != series.images):
        raise InputError(
            archive.address,
            found=f"{count} images of series {series.number}",
            expected="at least one" if series.images is None else f"the {series.images} that the archive lists",
            advice="Try again; if it stays so, ask its administrator: images may be of a kind that it cannot send.",
        )
    return count
