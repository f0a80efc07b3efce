"""Out of an archive comes what was put in, over every protocol, or nothing and a sentence that helps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.archive.fetch import archive_at, fetch
from palpate.imaging.archive.remote import Archive, Keep, RemoteSeries, Wanted
from palpate.imaging.ingest import ingest
from tests.imaging.archive.conftest import ACCESSION, CALLING, TITLE, RunningArchive, free_port

PROTOCOLS: dict[str, Callable[[RunningArchive], Archive]] = {
    "DICOMweb": lambda running: archive_at(running.web),
    "C-GET": lambda running: archive_at(running.classic),
    "C-MOVE": lambda running: archive_at(running.classic, calling=CALLING, listen_port=running.listen_port),
}


def _images(folder: Path) -> dict[str, Dataset]:
    found = [pydicom.dcmread(path) for path in sorted(folder.rglob("s*/*"))]
    return {str(image.SOPInstanceUID): image for image in found}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_image_arrives_unchanged(protocol: str, archive: RunningArchive, tmp_path: Path) -> None:
    """A reader must not be able to tell an image that went through an archive from one that did not."""
    series = fetch(PROTOCOLS[protocol](archive), Wanted(archive.study), tmp_path / "out")
    assert [one.number for one in series] == [45, 46]
    sent, arrived = _images(archive.source), _images(tmp_path / "out")
    assert sent.keys() == arrived.keys()
    for uid, image in arrived.items():
        assert image.PixelData == sent[uid].PixelData
        for name in ("ImageType", "ImageComments", "ImagePositionPatient", "InstanceNumber"):
            assert image.get(name) == sent[uid].get(name), name
        assert image[0x0019, 0x100A].value == sent[uid][0x0019, 0x100A].value


def test_the_wave_field_is_that_of_the_files(archive: RunningArchive, tmp_path: Path) -> None:
    """The door behind the door: what was fetched goes into ingest as it is."""
    fetch(archive_at(archive.web), Wanted(accession=ACCESSION), tmp_path / "fetched")
    settings = IngestSettings()
    ours, theirs = (
        ingest(source, "sub-01", tmp_path / name, anatomy=None, settings=settings)
        for source, name in ((tmp_path / "fetched", "a"), (archive.source, "b"))
    )
    np.testing.assert_array_equal(ours[0].displacement_m, theirs[0].displacement_m)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_file_of_many_frames_arrives_as_well(protocol: str, archive: RunningArchive, tmp_path: Path) -> None:
    """Enhanced scans are one file of another class; every protocol must ask for that class and bring all frames."""
    study = pydicom.dcmread(next(archive.frames.iterdir()), stop_before_pixels=True).StudyInstanceUID
    (series,) = fetch(PROTOCOLS[protocol](archive), Wanted(study), tmp_path / "fetched")
    assert series.number == 401
    ours, theirs = (
        ingest(source, "sub-01", tmp_path / name, anatomy=None, settings=IngestSettings())[0]
        for source, name in ((tmp_path / "fetched", "a"), (archive.frames, "b"))
    )
    np.testing.assert_array_equal(ours.displacement_m, theirs.displacement_m)


def test_names_say_nothing_of_the_patient(archive: RunningArchive, tmp_path: Path) -> None:
    """Folders and files are numbered: a listing of the results must name nobody."""
    fetch(archive_at(archive.classic), Wanted(archive.study), tmp_path / "out", numbers=[46])
    names = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("s*/*"))
    assert names == [f"series0046/{number:05d}.dcm" for number in range(1, 13)]


REFUSALS: dict[str, tuple[Callable[[RunningArchive], object], str]] = {
    "no such study": (lambda a: (archive_at(a.web), Wanted("1.2.3.99")), "no such study"),
    "no such study, classic": (lambda a: (archive_at(a.classic), Wanted("1.2.3.99")), "no such study"),
    "no such accession": (lambda a: (archive_at(a.classic), Wanted(accession="B-1")), "no such study"),
    "nobody listens": (lambda _: (archive_at(f"dicom://{TITLE}@127.0.0.1:{free_port()}"), Wanted("1.2")), "no answer"),
    "nobody serves": (lambda _: (archive_at(f"http://127.0.0.1:{free_port()}/x"), Wanted("1.2")), "no usable answer"),
    "no DICOMweb there": (lambda a: (archive_at(a.web.replace("dicom-web", "x")), Wanted("1.2.3")), "HTTP status 404"),
    "classic port as web": (
        lambda a: (archive_at("http://" + a.classic.split("@")[1]), Wanted("1.2")),
        "no usable answer",
    ),
    "moved to a stranger": (
        lambda a: (archive_at(a.classic, calling="NOBODY", listen_port=free_port()), Wanted(a.study)),
        "found (no further answer|DICOM status)",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_names_the_archive_and_leaves_nothing(case: str, archive: RunningArchive, tmp_path: Path) -> None:
    """Wrong address, wrong study, closed door: exit with a sentence, and no folder that looks like a study."""
    asked, words = REFUSALS[case]
    source, wanted = asked(archive)  # type: ignore[misc]
    with pytest.raises(InputError, match=words):
        fetch(source, wanted, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_series_that_is_not_there(archive: RunningArchive, tmp_path: Path) -> None:
    """The message lists those that are, so that the user can choose."""
    with pytest.raises(InputError, match="MR series 45, 46"):
        fetch(archive_at(archive.web), Wanted(archive.study), tmp_path / "out", numbers=[7])


@pytest.mark.parametrize("address", ["", "archive", "dicom://host:104", "dicom://A@host:99999", "ftp://host/x"])
def test_an_address_that_is_none(address: str) -> None:
    """Found before anything is sent anywhere."""
    with pytest.raises(InputError, match="dicom://TITLE@host:port"):
        archive_at(address)


class _Listed:
    """An archive that lists what it is told to, and sends so many images of each series."""

    address = "http://pretend"

    def __init__(self, series: Sequence[RemoteSeries], sent: int) -> None:
        self._series, self._sent = series, sent

    def find(self, wanted: Wanted) -> Sequence[RemoteSeries]:  # noqa: ARG002 - the protocol's
        """What it was told."""
        return self._series

    def retrieve(self, series: RemoteSeries, keep: Keep) -> None:  # noqa: ARG002 - the protocol's
        """So many copies of one image."""
        for _ in range(self._sent):
            keep(pydicom.dcmread(pydicom.data.get_testdata_file("MR_small.dcm")))


def _series(study: str = "1.2", number: int = 3, modality: str = "MR", images: int | None = 2) -> RemoteSeries:
    return RemoteSeries(study, f"{study}.{number}.{modality}", number, modality, images)


@pytest.mark.parametrize(
    ("series", "sent", "words"),
    [
        ([_series()], 1, "1 images of series 3; expected the 2"),
        ([_series()], 3, "3 images of series 3"),
        ([_series(images=None)], 0, "0 images"),
        ([_series(modality="CT")], 2, "none of them MR"),
        ([_series("1.2"), _series("1.3")], 2, "2 studies"),
    ],
)
def test_what_an_archive_lacks_is_found_out(series: list[RemoteSeries], sent: int, words: str, tmp_path: Path) -> None:
    """Half a series would be inverted as if it were whole."""
    with pytest.raises(InputError, match=words):
        fetch(_Listed(series, sent), Wanted("1.2"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
