"""Files that somebody hands in: attacks are refused in one sentence, and what is kept tells of nobody."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from palpate.imaging.files.maps import read_map, write_mask
from palpate.service.serve.kept import RegionStore
from tests.imaging.drawn_files import PERSON, write_rtstruct, write_seg
from tests.service.conftest import SessionFiles
from tests.service.serve_client import ServiceClient, running

FRAME = "1.2.826.0.1.3680043.10.543.2"
SQUARE = np.array([[6.5, 7.5], [12.5, 7.5], [12.5, 13.5], [6.5, 13.5]])


@pytest.fixture(scope="module")
def client(finished_session: SessionFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceClient]:
    with running(finished_session.folder.parent.parent, tmp_path_factory.mktemp("service")) as found:
        yield found


@pytest.fixture(scope="module")
def drawn(finished_session: SessionFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sound files, from which attacks are made."""
    folder = tmp_path_factory.mktemp("drawn")
    affine_mm = read_map(finished_session.mre / "sub-01_ses-01_stat-mean_storagemodulus.nii.gz").affine_mm
    box = np.zeros((20, 22, 12), dtype=bool)
    box[7:13, 8:14, 4:8] = True
    write_mask(folder / "mask.nii.gz", box, affine_mm, description="box")
    write_seg(folder / "seg.dcm", {PERSON: np.roll(box, 1, axis=1), "tumour": box}, affine_mm, frame=FRAME)
    rings = [
        np.column_stack([SQUARE, np.full(4, float(k))]) @ affine_mm[:3, :3].T + affine_mm[:3, 3] for k in range(4, 8)
    ]
    write_rtstruct(folder / "roi.dcm", {PERSON: rings[:2], "GTV": rings}, frame=FRAME)
    write_rtstruct(folder / "foreign.dcm", {"GTV": rings}, frame="1.2.3.4")
    return folder


def _nifti(drawn: Path) -> bytearray:
    return bytearray(gzip.decompress((drawn / "mask.nii.gz").read_bytes()))


def _saved(image: Dataset) -> bytes:
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, image, enforce_file_format=True)
    return stream.getvalue()


def _contours(drawn: Path) -> pydicom.FileDataset:
    return pydicom.dcmread(drawn / "roi.dcm")


def _gzip_bomb(_: Path) -> bytes:
    packer = zlib.compressobj(1, wbits=31)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(129)) + packer.flush()


def _header_bomb(drawn: Path) -> bytes:
    content = _nifti(drawn)
    struct.pack_into("<8h", content, 40, 3, 32767, 32767, 32767, 1, 1, 1, 1)
    return bytes(content)


def _negative(drawn: Path) -> bytes:
    content = _nifti(drawn)
    struct.pack_into("<8h", content, 40, 3, -20, 22, -12, 1, 1, 1, 1)
    return bytes(content)


def _far_start(drawn: Path) -> bytes:
    content = _nifti(drawn)
    struct.pack_into("<f", content, 108, float("nan"))
    return bytes(content)


def _zip(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _linked(_: Path) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        one = tarfile.TarInfo("region.nii")
        one.type, one.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(one)
    return stream.getvalue()


def _deflate_bomb(drawn: Path) -> bytes:
    image = _contours(drawn)
    image.add_new(0x7FE00010, "OB", bytes(96 << 20))
    image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return _saved(image)


def _many_voxels(drawn: Path) -> bytes:
    image = pydicom.dcmread(drawn / "seg.dcm")
    image.Rows, image.Columns, image.NumberOfFrames = 65535, 65535, 100000
    return _saved(image)


def _many_segments(drawn: Path) -> bytes:
    one = b"\xfe\xff\x00\xe0\x0a\0\0\0\x62\0\x04\0US\x02\0\x01\0"
    return (drawn / "roi.dcm").read_bytes() + b"\x62\0\x02\0SQ\0\0" + struct.pack("<I", 65535 * len(one)) + 65535 * one


def _deep(drawn: Path) -> bytes:
    image, inner = _contours(drawn), Dataset()
    inner.ROIName = "end"
    for _ in range(60):
        outer = Dataset()
        outer.StructureSetROISequence = [inner]
        inner = outer
    image.StructureSetROISequence = [inner]
    return _saved(image)


def _endless(drawn: Path) -> bytes:
    """Sequences that begin and never end."""
    return (drawn / "roi.dcm").read_bytes() + b"\x06\x30\x10\x00SQ\0\0\xff\xff\xff\xff" * 3000


def _many_points(drawn: Path) -> bytes:
    image = _contours(drawn)
    image.ROIContourSequence[0].ContourSequence[0][0x30060050] = DataElement(
        0x30060050, "UN", b"1\\" * 1_200_000 + b"1 "
    )
    return _saved(image)


def _with_text(drawn: Path, text: str) -> bytes:
    content = (drawn / "roi.dcm").read_bytes()
    start = content.index(b"\x06\x30\x50\x00") + 8
    end = content.index(b"\\", start)
    return content[:start] + text.encode().ljust(end - start) + content[end:]


def _other_class(drawn: Path) -> bytes:
    image = _contours(drawn)
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    return _saved(image)


def _hdf5(_: Path) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["region"] = h5py.ExternalLink("/etc/passwd", "/x")
    return stream.getvalue()


ATTACKS: dict[str, Callable[[Path], bytes]] = {
    "nothing": lambda _: b"",
    "gzip bomb": _gzip_bomb,
    "gzip in gzip": lambda drawn: gzip.compress((drawn / "mask.nii.gz").read_bytes()),
    "gzip cut off": lambda drawn: (drawn / "mask.nii.gz").read_bytes()[:-40],
    "header of 32767 cubed voxels": _header_bomb,
    "negative lengths": _negative,
    "voxels that begin nowhere": _far_start,
    "truncated voxels": lambda drawn: bytes(_nifti(drawn)[:2000]),
    "zip": lambda drawn: _zip({"region.nii": bytes(_nifti(drawn))}),
    "zip in zip": lambda _: _zip({"a.zip": _zip({"b.zip": _zip({"c": bytes(1 << 20)})})}),
    "zip that leaves its folder": lambda _: _zip({"../../../tmp/region.nii": b"x"}),
    "zip of many members": lambda _: _zip({f"{number}": b"" for number in range(5000)}),
    "tar with a link": _linked,
    "deflate bomb": _deflate_bomb,
    "rows x columns x frames": _many_voxels,
    "65535 segments": _many_segments,
    "sequences 60 deep": _deep,
    "sequences without an end": _endless,
    "truncated pixels": lambda drawn: (drawn / "seg.dcm").read_bytes()[:-200],
    "contours of 400000 points": _many_points,
    "another DICOM class": _other_class,
    "pickle": lambda _: pickle.dumps({"region": 1}),
    "MATLAB": lambda _: b"MATLAB 5.0 MAT-file".ljust(600, b" "),
    "YAML bomb": lambda _: b"a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n" * 20,
    "JSON bomb": lambda _: b"[" * 100_000,
    "HDF5 with a link to another file": _hdf5,
    "script": lambda _: b"#!/bin/sh\nid\n".ljust(500),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_by_a_file_is_refused(name: str, client: ServiceClient, drawn: Path) -> None:
    """One sentence, no path of the server, nothing kept, and the service answers the next one."""
    before = _kept(client)
    answer = client.upload(ATTACKS[name](drawn))
    if answer.status_code == 201:  # a file may be sound until its region is read
        answer = client.region({"region": answer.json()["region"], "name": "1"})
        assert name == "sequences without an end"
    else:
        assert _kept(client) == before
    assert answer.status_code == 400, answer.text
    told = answer.json()["error"]
    assert set(told) == {"where", "found", "expected", "advice"}
    assert not any(word in answer.text for word in ("/tmp", "Traceback", "Mustermann", str(client.folders.uploads)))
    assert client.upload((drawn / "mask.nii.gz").read_bytes()).status_code == 201


@pytest.mark.parametrize(
    ("name", "found"),
    [("foreign.dcm", "another frame of reference"), ("nan", "contour"), ("inf", "contour")],
)
def test_regions_that_lie_nowhere_here_are_refused(name: str, found: str, client: ServiceClient, drawn: Path) -> None:
    """Coordinates of another examination, or of no place at all."""
    content = (drawn / name).read_bytes() if name.endswith(".dcm") else _with_text(drawn, name)
    answer = client.upload(content)
    if answer.status_code == 201:
        fields = {"region": answer.json()["region"], "name": "GTV" if name.endswith(".dcm") else "1"}
        answer = client.region(fields)
    assert answer.status_code == 400
    assert found in answer.text


def test_a_body_beyond_the_limit_is_refused(finished_session: SessionFiles, tmp_path: Path) -> None:
    """Contours of 10^7 points, or anything else as large, never come into memory."""
    with running(finished_session.folder.parent.parent, tmp_path, upload_mb=1) as client:
        assert client.upload(bytes((1 << 20) + 1)).status_code == 413


WHO = ("Mustermann", "Erika", "4711", "19700101", "19710203", "Dr. Who", "Ward 7", "SECRET")


def test_what_is_kept_tells_of_nobody(client: ServiceClient, drawn: Path) -> None:
    """Names, numbers, dates, private elements, free texts, identifiers of the study, and what the preamble hides."""
    for name in ("seg.dcm", "roi.dcm"):
        image = pydicom.dcmread(drawn / name)
        image.PatientComments = image.StudyDescription = "SECRET Erika"
        image.ReferringPhysicianName, image.InstitutionName = "Dr. Who", "Ward 7"
        image.StructureSetDate = image.ContentDate = "19710203"
        image.private_block(0x0011, "SECRET", create=True).add_new(0x01, "LO", "SECRET")
        for one in (*(image.get("SegmentSequence") or ()), *(image.get("StructureSetROISequence") or ())):
            one.SegmentDescription = one.ROIDescription = "SECRET"
        image.preamble = b"#!/bin/sh SECRET".ljust(128)
        study = str(image.StudyInstanceUID)
        digest = client.kept(_saved(image))
        folder = next(client.folders.uploads.glob(f"*/{digest}"))
        content = b"".join(one.read_bytes() for one in folder.iterdir())
        assert not [one for one in (*WHO, study) if one.encode() in content]
        assert FRAME.encode() in content
        told = client.ask(f"/api/v1/regions/{digest}").json()["regions"]
        assert [one["name"] for one in told] == [None, "tumour" if name == "seg.dcm" else "GTV"]


def test_a_kept_mask_has_no_texts_and_no_tail(client: ServiceClient, drawn: Path) -> None:
    """Free texts of a NIfTI header, its extensions, and an archive behind the voxels."""
    content = _nifti(drawn)
    content[148:160], content[4:12] = b"Erika SECRET", b"Mustermn"
    size = 20 * 22 * 12 * (struct.unpack_from("<h", content, 72)[0] // 8)
    longer = content[:348] + b"\1\0\0\0" + struct.pack("<ii", 32, 6) + b"SECRET".ljust(24) + content[352 : 352 + size]
    struct.pack_into("<f", longer, 108, 384.0)
    digest = client.kept(bytes(longer) + _zip({"SECRET": b"x"}))
    kept = next(client.folders.uploads.glob(f"*/{digest}/region.nii")).read_bytes()
    assert b"SECRET" not in kept
    assert b"Mustermn" not in kept
    assert len(kept) == 352 + size
    plain = client.kept((drawn / "mask.nii.gz").read_bytes())
    figures = [client.region({"region": one}).json()["results"][0]["quantities"] for one in (digest, plain)]
    assert figures[0] == figures[1]


def test_names_that_are_formulas_or_markup_are_not_repeated(client: ServiceClient, drawn: Path) -> None:
    """A table of figures is opened in a spreadsheet, an error in a browser."""
    for name in ('=HYPERLINK("http://x")', "<script>alert(1)</script>", "@SUM(A1)", "+1", "\r\nSet-Cookie: a=b"):
        image = _contours(drawn)
        image.StructureSetROISequence[1].ROIName = name
        digest = client.kept(_saved(image))
        answer = client.region({"region": digest, "name": "2", "format": "csv"})
        assert answer.status_code == 200, answer.text
        assert not any(one[:1] in "=@+" for line in answer.text.splitlines() for one in line.split(",") if one)
        assert "script" not in answer.text
        refused = client.region({"region": digest, "name": name})
        assert name.strip() not in refused.text


def test_regions_expire_and_are_deleted(finished_session: SessionFiles, drawn: Path, tmp_path: Path) -> None:
    """What somebody drew is kept for its purpose, and not longer."""
    content = (drawn / "mask.nii.gz").read_bytes()
    with running(finished_session.folder.parent.parent, tmp_path, upload_hours=1e-7) as client:
        digest = client.kept(content)
        assert client.region({"region": digest}).status_code == 404
        assert not list(client.folders.uploads.glob("*/*/region.*"))
    store = RegionStore(tmp_path / "store", 1.0, 1 << 20)
    kept = store.keep(content, "me")
    store.remove(kept.sha256, "me")
    assert not list((tmp_path / "store").glob("*/*/region.*"))


def test_a_person_cannot_fill_the_disk(finished_session: SessionFiles, drawn: Path, tmp_path: Path) -> None:
    """Different files of one person share one room; the same file twice takes it once."""
    content = _nifti(drawn)[:352]
    struct.pack_into("<8h", content, 40, 3, 100, 100, 30, 1, 1, 1, 1)
    struct.pack_into("<hh", content, 70, 2, 8)
    with running(finished_session.folder.parent.parent, tmp_path, uploads_mb=1) as client:
        codes = [
            client.upload(bytes(content) + bytes([number % 4 + 1]) * 300_000).status_code for number in (0, 0, 1, 2, 3)
        ]
        assert codes == [201, 201, 201, 201, 413]


def test_links_out_of_the_draws_are_not_followed(finished_session: SessionFiles, tmp_path: Path) -> None:
    """A file of draws whose numbers lie elsewhere would be answered with the bytes of another file."""
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["x"] = np.ones((60, 100), dtype=np.float32)
    samples = finished_session.mre / "sub-01_ses-01_samples.h5"
    for number, kind in enumerate(("link", "virtual", "soft")):
        folder = tmp_path / f"results-{number}" / "sub-01" / "ses-01" / "mre"
        folder.mkdir(parents=True)
        for path in finished_session.mre.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        with h5py.File(folder / samples.name, "r+") as file:
            shape = file["storagemodulus_kpa"].shape
            del file["storagemodulus_kpa"]
            if kind == "virtual":
                layout = h5py.VirtualLayout(shape, np.float32)
                layout[:, :100] = h5py.VirtualSource(other, "x", (60, 100))
                file.create_virtual_dataset("storagemodulus_kpa", layout)
            elif kind == "link":
                file["storagemodulus_kpa"] = h5py.ExternalLink(other, "/x")
            else:
                file["storagemodulus_kpa"] = h5py.SoftLink("/lossmodulus_kpa")
        with running(tmp_path / f"results-{number}", tmp_path / f"home-{number}") as client:
            answer = client.region({"sphere": "-16,-10,27,8"})
        assert answer.status_code == 400
        assert "lie in another file" in answer.text
        assert str(tmp_path) not in answer.text


def _kept(client: ServiceClient) -> set[str]:
    return {json.dumps(one.parent.name) for one in client.folders.uploads.glob("*/*/about.json")}
