"""Small files that unpack to gigabytes: refused before they fill the machine, at every door, and real studies pass."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import scipy.io
from pydicom.uid import DeflatedExplicitVRLittleEndian

from palpate.errors import InputError
from palpate.imaging.dicom.files import contents
from palpate.imaging.dicom.pixels import stored_values
from palpate.imaging.files.matlab_file import read_matlab
from palpate.imaging.files.nifti import read_nifti
from palpate.imaging.limits.input_limits import MIB, Budget, Limits, Scope
from palpate.imaging.tumour.dose import read_dose
from tests.conftest import user_environment
from tests.imaging.scanner import Scan, edit, write_mre

BOMB_MIB = 400
"""With the interpreter more than 500 MB, so that a reader that keeps what it unpacks is found out."""
SECONDS, MEGABYTES = 5.0, 500.0

_MEASURED = """
import sys, time
from pathlib import Path
from palpate.errors import InputError
from palpate.imaging.deidentify.folder import deidentify
from palpate.imaging.dicom.anatomy import read_anatomy
from palpate.imaging.dicom.files import contents
from palpate.imaging.dicom.registry import read_acquisitions
from palpate.imaging.files.matlab_file import read_matlab
from palpate.imaging.files.nifti import read_nifti
doors = {
    "mre": read_acquisitions, "anatomy": read_anatomy, "nifti": read_nifti, "scan": lambda path: list(contents(path)),
    "deidentify": lambda path: deidentify(path, path.parent / "out", path.parent / "key"),
}
for door, path in zip(sys.argv[1::2], sys.argv[2::2]):
    start = time.process_time()
    try:
        doors[door](Path(path))
        print("read")
    except InputError as error:
        print(door, time.process_time() - start, error)
# Not getrusage: its peak includes that of the process which started this one.
told = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(float(told.split()[1]) / 1024)
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """One DICOM image."""
    folder = tmp_path_factory.mktemp("image")
    write_mre(folder, Scan(shape=(8, 6, 3), offsets=1))
    return (folder / "s46" / "0001.ima").read_bytes()


def _zip_bomb(path: Path, image: bytes) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive,
        archive.open("1.dcm", "w") as one,
    ):
        one.write(image)
        for _ in range(BOMB_MIB // 20):
            one.write(bytes(20 * MIB))


def _deflated_bomb(path: Path, image: bytes, mebibytes: int = BOMB_MIB) -> None:
    given = pydicom.dcmread(io.BytesIO(image))
    given.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    written = io.BytesIO()
    given.save_as(written, enforce_file_format=True)
    content = written.getvalue()
    start = 144 + pydicom.dcmread(io.BytesIO(content)).file_meta.FileMetaInformationGroupLength
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(zlib.decompress(content[start:], -zlib.MAX_WBITS))
    packed += b"".join(packer.compress(bytes(20 * MIB)) for _ in range(mebibytes // 20)) + packer.flush()
    path.write_bytes(content[:start] + packed)


def _nifti_bomb(path: Path, mebibytes: int, stated: int) -> None:
    header = nib.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape((1024, 1024, stated))
    header.set_sform(np.eye(4), 1)
    header["magic"], header["vox_offset"] = b"n+1", 352
    with gzip.open(path, "wb", compresslevel=6) as stream:
        stream.write(header.binaryblock + bytes(4))
        for _ in range(mebibytes // 20):
            stream.write(bytes(20 * MIB))


def test_bombs_are_refused_in_seconds_without_memory(tmp_path: Path, image: bytes) -> None:
    """Who sends a small file must not be able to stop a machine: 5 s and 500 MB at every door."""
    _zip_bomb(tmp_path / "in.zip", image)
    (tmp_path / "deflated").mkdir()
    _deflated_bomb(tmp_path / "deflated" / "1.dcm", image)
    with zipfile.ZipFile(tmp_path / "nested.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "in.zip", "in.zip")
    _nifti_bomb(tmp_path / "small.nii.gz", BOMB_MIB, stated=1)
    _nifti_bomb(tmp_path / "large.nii.gz", 20, stated=30_000)
    (tmp_path / "sparse").mkdir()
    with (tmp_path / "sparse" / "1.dcm").open("wb") as sparse:
        sparse.write(image)
        sparse.truncate(64 << 30)
    tried = [
        ("mre", "in.zip"), ("anatomy", "nested.zip"), ("scan", "in.zip"), ("deidentify", "deflated"),
        ("nifti", "small.nii.gz"), ("nifti", "large.nii.gz"), ("mre", "sparse"),
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *(str(one) for door, name in tried for one in (door, tmp_path / name))],
        capture_output=True,
        text=True,
        env=user_environment(),
        check=True,
    )
    *lines, megabytes = done.stdout.splitlines()
    assert len(lines) == len(tried)
    for line, (door, name) in zip(lines, tried, strict=True):
        assert line.startswith(f"{door} "), (name, line)
        assert float(line.split()[1]) < SECONDS, (name, line)
    assert float(megabytes) < MEGABYTES


@pytest.mark.parametrize("mode", ["gz", "bz2", "xz"])
def test_tar_bombs_are_refused(mode: str, tmp_path: Path, image: bytes) -> None:
    """Other compressions reach other ratios; all are counted alike."""
    level = {"preset": 0} if mode == "xz" else {"compresslevel": 6}
    with tarfile.open(tmp_path / "in.tar", f"w:{mode}", **level) as archive:  # type: ignore[call-overload]
        info = tarfile.TarInfo("1.dcm")
        info.size = 90 * MIB
        archive.addfile(info, io.BytesIO(image + bytes(info.size - len(image))))
    with pytest.raises(InputError, match="200 times"):
        list(contents(tmp_path / "in.tar"))


# What one input may not hold, and what the refusal says of it.
def _spend(budget: Budget, stored: int, unpacked: int) -> None:
    Scope(budget, stored).add(unpacked)


OVERSPENT: dict[str, tuple[Callable[[Budget], object], str]] = {
    "total": (lambda one: _spend(one, 900, 1001), "unpack to more than"),
    "ratio": (lambda one: _spend(one, 1, 25), "10 times"),
    "ratios of many": (lambda one: [_spend(one, 1, 12) for _ in range(6)], "10 times"),
    "files": (lambda one: [one.count_file() for _ in range(4)], "more than 3 files"),
    "depth": (lambda one: one.demand_depth(3), "3 deep"),
    "one file": (lambda one: one.demand_file_size(501), "more than"),
}


@pytest.mark.parametrize("what", OVERSPENT)
def test_each_limit_is_kept_to_the_last_byte(what: str) -> None:
    """A limit that is off by one file's size is none."""
    limits = Limits(total_bytes=1000, ratio=10, free_bytes=10, files=3, depth=2, file_bytes=500)
    kept = Budget("x", limits)
    kept.demand_depth(2)
    kept.demand_file_size(500)
    for _ in range(3):
        kept.count_file()
    _spend(kept, 90, 900)
    _spend(kept, 1, 20)
    spend, said = OVERSPENT[what]
    with pytest.raises(InputError, match=said):
        spend(Budget("x", limits))


def test_zip_directory_is_counted_before_it_is_kept(tmp_path: Path) -> None:
    """A directory of millions of names fills the memory before the first member is looked at."""
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr("a", b"")
    content = (tmp_path / "in.zip").read_bytes()
    entry = content[content.index(b"PK\x01\x02") : content.index(b"PK\x05\x06")]
    count = Limits().files + 1
    end = bytearray(content[content.index(b"PK\x05\x06") :])
    end[12:16] = (len(entry) * count).to_bytes(4, "little")
    (tmp_path / "in.zip").write_bytes(content[: content.index(b"PK\x01\x02")] + entry * count + bytes(end))
    with pytest.raises(InputError, match="200000 members"):
        list(contents(tmp_path / "in.zip"))


def test_mask_of_zeros_and_study_of_noise_pass(tmp_path: Path, image: bytes) -> None:
    """The limits must not meet what people have: masks are zeros, and images compress a few times."""
    nib.save(nib.Nifti1Image(np.zeros((256, 256, 200), np.uint8), np.diag([1.0, 1.0, 1.0, 1.0])), tmp_path / "m.nii.gz")
    assert read_nifti(tmp_path / "m.nii.gz").values.shape == (256, 256, 200)
    with zipfile.ZipFile(tmp_path / "in.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(300):
            archive.writestr(f"{n}.dcm", image.replace(b"1.2.3.4.1", f"1.2.3.{n:03d}".encode()[:9]))
    assert len(list(contents(tmp_path / "in.zip"))) == 300


def test_declared_sizes_are_held_against_the_file(tmp_path: Path, image: bytes) -> None:
    """A header that declares a billion pixels must not make a decoder ask for their memory."""
    for frames, side, said in ((1, 30_000, "truncated or of a damaged header"), (99_999, 65_535, "at most 2e")):
        file = tmp_path / "1.dcm"
        file.write_bytes(image)

        def declare(one: pydicom.Dataset, side: int = side, frames: int = frames) -> None:
            one.Rows = one.Columns = side
            one.NumberOfFrames = frames

        edit(file, declare)
        with pytest.raises(InputError, match=said):
            stored_values(file.read_bytes(), "x")


def test_dose_file_has_the_same_limits(tmp_path: Path, image: bytes) -> None:
    """A dose is DICOM from outside as well."""
    _deflated_bomb(tmp_path / "1.dcm", image, 120)
    with pytest.raises(InputError, match="200 times"):
        read_dose(tmp_path / "1.dcm")
    with pytest.raises(InputError, match="200 times"):
        read_dose(tmp_path)


def test_matlab_file_is_counted_before_it_is_loaded(tmp_path: Path) -> None:
    """A variable of zeros compresses 1000 times; the process that loads it would take its full size twice."""
    path = tmp_path / "waves.mat"
    scipy.io.savemat(path, {"u": np.zeros((100, 100, 1500))}, do_compression=True)
    assert path.stat().st_size < MIB
    with pytest.raises(InputError, match="unpack"):
        read_matlab(path)
    scipy.io.savemat(path, {"u": np.arange(1000.0)}, do_compression=True)
    assert np.array_equal(read_matlab(path)["u"].ravel(), np.arange(1000.0))
