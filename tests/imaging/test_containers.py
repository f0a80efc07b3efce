"""Containers: an image is the same image wherever it lies, and what is no image is counted and named."""

from __future__ import annotations

import errno
import gzip
import io
import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.dicom.anatomy import read_anatomy
from palpate.imaging.dicom.files import read_contents, read_instances
from palpate.imaging.dicom.registry import read_acquisitions
from tests.imaging.scanner import Scan, write_mre, write_t1

SMALL = Scan(shape=(8, 6, 3), offsets=3)
VALUES = np.random.default_rng(0).integers(0, 4000, size=(8, 8, 6)).astype(np.uint16)

type Packer = Callable[[Path, Path], Path]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _zip(home: Path, mre: Path) -> Path:
    with zipfile.ZipFile(home / "in.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in _files(mre):
            archive.write(file, file.relative_to(mre))
    return home / "in.zip"


def _tar(mode: str) -> Packer:
    def pack(home: Path, mre: Path) -> Path:
        # The name says nothing: archives are told by their first bytes.
        with tarfile.open(home / "export", f"w:{mode}") as archive:
            archive.add(mre, "mre")
        return home / "export"

    return pack


def _zip_in_zip(home: Path, mre: Path) -> Path:
    _zip(home, mre)
    with zipfile.ZipFile(home / "outer.zip", "w") as archive:
        archive.write(home / "in.zip", "a/in.zip")
    return home / "outer.zip"


def _tar_in_zip_in_folder(home: Path, mre: Path) -> Path:
    packed = _tar("gz")(home, mre)
    (home / "in").mkdir()
    with zipfile.ZipFile(home / "in" / "1.zip", "w") as archive:
        archive.write(packed, "mre.tgz")
    return home / "in"


def _each(change: Callable[[bytes], bytes], name: Callable[[Path], str]) -> Packer:
    def pack(home: Path, mre: Path) -> Path:
        for file in _files(mre):
            target = home / "in" / file.parent.name / name(file)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(change(file.read_bytes()))
        return home / "in"

    return pack


def _without_meta(content: bytes) -> bytes:
    meta = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True).file_meta
    return content[144 + meta.FileMetaInformationGroupLength :]


def _implicit_without_meta(content: bytes) -> bytes:
    image = pydicom.dcmread(io.BytesIO(content))
    bare = io.BytesIO()
    pydicom.dcmwrite(bare, pydicom.Dataset(image), implicit_vr=True, little_endian=True)
    return bare.getvalue()


def _linked_folders(home: Path, mre: Path) -> Path:
    (home / "in").mkdir()
    for folder in mre.iterdir():
        (home / "in" / folder.name).symlink_to(folder)
    # A folder in itself, and twice: neither a loop nor second images.
    (home / "in" / "loop").symlink_to(home / "in")
    (home / "in" / "again").symlink_to(mre / "s45")
    return home / "in"


def _linked_files(home: Path, mre: Path) -> Path:
    (home / "in").mkdir()
    for n, file in enumerate(_files(mre)):
        (home / "in" / f"{n}.dcm").symlink_to(file)
    return home / "in"


CONTAINERS: dict[str, Packer] = {
    "zip": _zip,
    "tar": _tar(""),
    "tar.gz": _tar("gz"),
    "tar.bz2": _tar("bz2"),
    "tar.xz": _tar("xz"),
    "zip in a zip": _zip_in_zip,
    "tar.gz in a zip in a folder": _tar_in_zip_in_folder,
    "each file gzip": _each(gzip.compress, lambda file: file.name + ".gz"),
    "no preamble": _each(lambda content: content[132:], lambda file: file.stem),
    "neither preamble nor meta group": _each(_without_meta, lambda file: f"{file.stem}.xyz"),
    "implicit, neither preamble nor meta group": _each(_implicit_without_meta, lambda file: file.stem),
    "zeros after the pixels": _each(lambda content: content + bytes(100), lambda file: file.name),
    "private group after the pixels": _each(
        lambda content: content + b"\xe1\x7f\x10\x00LO\x08\x00ACME 1.0\xe1\x7f\x10\x10LO\x02\x001 ",
        lambda file: file.name,
    ),
    "linked folders": _linked_folders,
    "linked files": _linked_files,
}


@pytest.fixture(scope="module")
def mre(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small scan, not to be changed."""
    folder = tmp_path_factory.mktemp("scan") / "mre"
    write_mre(folder, SMALL)
    return folder


@pytest.fixture(scope="module")
def expected(mre: Path) -> PhaseAcquisition:
    """What the scan's own folder gives."""
    return read_acquisitions(mre)[0][0]


@pytest.mark.parametrize("what", CONTAINERS)
def test_scan_is_the_same_in_every_container(what: str, tmp_path: Path, mre: Path, expected: PhaseAcquisition) -> None:
    """How an archive packs its files says nothing of the scan: the phase must be the same to the last bit."""
    (read,), _ = read_acquisitions(CONTAINERS[what](tmp_path, mre))
    np.testing.assert_array_equal(read.phase_rad, expected.phase_rad)
    np.testing.assert_array_equal(read.magnitude, expected.magnitude)
    np.testing.assert_array_equal(read.affine_mm, expected.affine_mm)


@pytest.mark.parametrize("where", ["behind a link", "in a zip beside", "without preamble"])
def test_slices_of_the_anatomy_are_all_found(where: str, tmp_path: Path) -> None:
    """A third of the slices elsewhere, at an end of the stack: no gap would show that they are missing."""
    write_t1(tmp_path / "t1", VALUES, SMALL, (1.0, 1.0, 1.5))
    moved = _files(tmp_path / "t1")[-2:]
    if where == "behind a link":
        (tmp_path / "elsewhere").mkdir()
        for file in moved:
            shutil.move(file, tmp_path / "elsewhere" / file.name)
        (tmp_path / "t1" / "2").symlink_to(tmp_path / "elsewhere")
    elif where == "in a zip beside":
        with zipfile.ZipFile(tmp_path / "t1" / "rest.zip", "w") as archive:
            for file in moved:
                archive.write(file, file.name)
                file.unlink()
    else:
        for file in moved:
            file.with_suffix("").write_bytes(_without_meta(file.read_bytes()))
            file.unlink()
    np.testing.assert_array_equal(read_anatomy(tmp_path / "t1").volume.values, VALUES)


def test_links_in_archives_are_not_followed(tmp_path: Path, mre: Path) -> None:
    """An archive is somebody else's: a link in it could hand out any file of the user's."""
    with tarfile.open(tmp_path / "in.tar", "w") as archive:
        archive.add(mre, "mre")
        link = tarfile.TarInfo("secret.ima")
        link.type, link.linkname = tarfile.SYMTYPE, str(_files(mre)[0])
        archive.addfile(link)
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.write(_files(mre)[0], "a.ima")
        info = zipfile.ZipInfo("b.ima")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    for name, count in (("in.tar", 18), ("in.zip", 1)):
        found = read_contents(tmp_path / name)
        assert len(found.instances) == count
        assert found.passed.counts == {"link or device in an archive, which is not followed": 1}


def test_names_that_lead_out_of_an_archive_are_passed_over(tmp_path: Path, mre: Path) -> None:
    """Nothing is written by a member's name; a name that climbs is no image's own name either, and is said."""
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.write(_files(mre)[0], "a.ima")
        archive.write(_files(mre)[1], "../../b.ima")
    found = read_contents(tmp_path / "in.zip")
    assert len(found.instances) == 1
    assert found.passed.counts == {"archive member whose name leads out of the archive": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["in.zip"]


def _write(name: str, content: bytes) -> Packer:
    def pack(home: Path, _: Path) -> Path:
        (home / "in").mkdir(exist_ok=True)
        (home / "in" / name).write_bytes(content)
        return home / "in"

    return pack


def _dangling(home: Path, _: Path) -> Path:
    (home / "in").mkdir()
    for n in range(5):
        (home / "in" / f"{n}.ima").symlink_to("/nowhere/.git/annex/objects/x")
    return home / "in"


def _encrypted(home: Path, mre: Path) -> Path:
    """A zip whose directory and member say that it is encrypted."""
    content = bytearray(_zip(home, mre).read_bytes())
    for mark, flag in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(mark)
        content[place + flag] |= 1
    (home / "in.zip").write_bytes(content)
    return home / "in.zip"


def _deep(home: Path, mre: Path) -> Path:
    inner = _zip(home, mre)
    for n in range(5):
        with zipfile.ZipFile(home / f"{n}.zip", "w") as archive:
            archive.write(inner, "in.zip")
        inner = home / f"{n}.zip"
    return inner


# What is given instead of images, and what the sentence must say of it.
NO_IMAGES: dict[str, tuple[Packer, tuple[str, ...]]] = {
    "links without target": (_dangling, ("5 x link without target", "git annex get")),
    "empty files": (_write("1.dcm", b""), ("1 x empty file", "Copy the files again")),
    "an annex pointer": (_write("1.dcm", b"/annex/objects/SHA256E-s1--0.dcm\n"), ("git-annex pointer",)),
    "pictures": (_write("1.jpg", b"\xff\xd8\xff\xe0" + bytes(200)), ("1 x JPEG picture", "Export the series as DICOM")),
    "NIfTI": (_write("1.nii.gz", gzip.compress(b"\x5c\1\0\0" + bytes(340) + b"n+1\0" + bytes(99))), ("NIfTI file",)),
    "a 7z archive": (_write("in.7z", b"7z\xbc\xaf\x27\x1c" + bytes(200)), ("7z archive", "Unpack")),
    "a RAR archive": (_write("in.rar", b"Rar!\x1a\x07\x01\x00" + bytes(200)), ("RAR archive", "Unpack")),
    "text": (_write("notes.txt", b"08001800 is no element"), ("1 x text file",)),
    "an encrypted zip": (_encrypted, ("encrypted",)),
    "archives deep within one another": (_deep, ("within one another",)),
    "nothing": (lambda home, _: (home / "in").mkdir() or home / "in", ("no other file either",)),  # type: ignore[dict-item,return-value]
}


@pytest.mark.parametrize("what", NO_IMAGES)
def test_what_was_found_instead_is_named(what: str, tmp_path: Path, mre: Path) -> None:
    """One sentence for every cause sends users to look for the wrong one."""
    pack, mentioned = NO_IMAGES[what]
    given = pack(tmp_path, mre)
    with pytest.raises(InputError) as refused:
        read_instances(given)
    assert all(one in str(refused.value) for one in mentioned), str(refused.value)


def test_advice_for_an_anatomy_is_its_own(tmp_path: Path) -> None:
    """Who gives a T1 is not to be sent for the MRE series."""
    (tmp_path / "t1").mkdir()
    (tmp_path / "t1" / "notes.txt").write_text("nothing")
    with pytest.raises(InputError, match="T1-weighted"):
        read_anatomy(tmp_path / "t1")


def test_text_that_begins_like_an_element_is_no_image(tmp_path: Path, mre: Path) -> None:
    """Headerless images are told by several elements in order; chance must not make one of a text or of noise."""
    shutil.copytree(mre, tmp_path / "in")
    noise = np.random.default_rng(0)
    for n in range(200):
        start = bytes([8, 0, int(noise.integers(256)), 0])
        (tmp_path / "in" / f"noise{n}").write_bytes(start + noise.bytes(400))
    found = read_contents(tmp_path / "in")
    assert len(found.instances) == 18
    assert not found.damaged


def test_broken_image_elsewhere_does_not_stop_the_scan(tmp_path: Path, mre: Path, expected: PhaseAcquisition) -> None:
    """An export holds many series; a cut file of another one is listed, one that may be of the scan is refused."""
    shutil.copytree(mre, tmp_path / "in")
    write_t1(tmp_path / "in" / "t1", VALUES, SMALL, (1.0, 1.0, 1.5))
    broken = tmp_path / "in" / "t1" / "000.dcm"
    content = broken.read_bytes()
    broken.write_bytes(content[: content.index(b"\x28\x00\x10\x00US") - 20])
    (read,), export = read_acquisitions(tmp_path / "in")
    np.testing.assert_array_equal(read.phase_rad, expected.phase_rad)
    assert [row.images for row in export.rows([read]) if "of another series" in row.reason] == [1]
    shutil.copy(broken, tmp_path / "in" / "s46" / "0099.ima")
    broken.unlink()
    cut = tmp_path / "in" / "s46" / "0099.ima"
    cut.write_bytes(content[:170])
    with pytest.raises(InputError, match=r"0099\.ima"):
        read_acquisitions(tmp_path / "in")


def test_odd_private_elements_are_missed_only_where_needed(
    tmp_path: Path, mre: Path, expected: PhaseAcquisition
) -> None:
    """Scanners write private elements of wrong lengths; nobody needs most of them, and (0019,100A) is named."""
    shutil.copytree(mre, tmp_path / "in")
    odd = b"\x09\x00\x10\x00LO\x04\x00ACME\x09\x00\x01\x10FD\x03\x00abc"
    for file in _files(tmp_path / "in"):
        content = file.read_bytes()
        place = content.index(b"\x10\x00\x10\x00PN")
        file.write_bytes(content[:place] + odd + content[place:])
    (read,), _ = read_acquisitions(tmp_path / "in")
    np.testing.assert_array_equal(read.phase_rad, expected.phase_rad)
    for file in _files(tmp_path / "in" / "s46"):
        content = file.read_bytes()
        file.write_bytes(content.replace(b"\x19\x00\x0a\x10US\x02\x00\x03\x00", b"\x19\x00\x0a\x10FD\x02\x00\x03\x00"))
    with pytest.raises(InputError, match="0019,100A"):
        read_acquisitions(tmp_path / "in")


def test_everything_passed_over_is_counted(tmp_path: Path, mre: Path) -> None:
    """A reading that succeeds says as well what it left: somebody may miss it."""
    shutil.copytree(mre, tmp_path / "in")
    shutil.copytree(mre / "s45", tmp_path / "in" / "copy")
    (tmp_path / "in" / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(200))
    (tmp_path / "in" / "b.txt").write_text("notes")
    (tmp_path / "in" / "c.dcm").symlink_to("/nowhere")
    (tmp_path / "in" / ".hidden").write_text("x")
    acquisitions, export = read_acquisitions(tmp_path / "in")
    passed = {row.reason: row.images for row in export.rows(acquisitions) if row.role == "passed over"}
    assert passed == {
        "copy of another image, byte by byte": 9,
        "JPEG picture": 1,
        "text file": 1,
        "link without target": 1,
        "hidden file or folder": 1,
    }


def test_full_disk_while_unpacking_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copying the archive again, as a damaged one asks for, would fill the same disk again."""

    class Full(io.BytesIO):
        def write(self, _: object, /) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_mre(tmp_path / "mre", SMALL)
    packed = _tar("gz")(tmp_path, tmp_path / "mre")
    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", lambda **_: Full())
    with pytest.raises(InputError) as refused:
        read_contents(packed)
    assert str(refused.value).startswith(f"{tempfile.gettempdir()}: found a full disk")
