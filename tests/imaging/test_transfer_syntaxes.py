"""Compressed pixels: every lossless way gives the scanner's values to the last bit, and lossy phase is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import HTJ2KLossless

from palpate.errors import InputError
from palpate.imaging.deidentify.folder import deidentify
from palpate.imaging.dicom.pixels import stored_values
from palpate.imaging.dicom.registry import read_acquisitions
from tests.imaging.scanner import Scan, edit, write_mre
from tests.imaging.transfer import SYNTAXES, recompress

SMALL = Scan(shape=(8, 6, 3), offsets=3)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("name", SYNTAXES)
def test_values_survive_their_compression(name: str, signed: bool, bits: int, tmp_path: Path) -> None:  # noqa: FBT001
    """GE's phase is signed, Siemens' is not; a sign or a bit lost in a decoder would be another phase."""
    write_mre(tmp_path, Scan(shape=(8, 6, 3), offsets=1))
    file = tmp_path / "s45" / "0001.ima"
    lowest = -(2 ** (bits - 1)) if signed else 0
    values = np.random.default_rng(bits).integers(lowest, lowest + 2**bits, size=(12, 16))

    def fill(image: pydicom.Dataset) -> None:
        image.BitsStored, image.HighBit, image.PixelRepresentation = bits, bits - 1, int(signed)
        image.PixelData = values.astype("<i2" if signed else "<u2").tobytes()

    edit(file, fill)
    recompress(file, name)
    np.testing.assert_array_equal(stored_values(file.read_bytes(), "x"), values)


@pytest.mark.parametrize("name", ["JPEG Lossless", "JPEG-LS", "deflated", "big endian"])
def test_compressed_scan_is_the_plain_one(name: str, tmp_path: Path) -> None:
    """Archives compress what scanners send; headers and pixels together must give the same acquisition."""
    write_mre(tmp_path / "in", SMALL)
    (expected,), _ = read_acquisitions(tmp_path / "in")
    for file in _files(tmp_path / "in"):
        recompress(file, name)
    (read,), _ = read_acquisitions(tmp_path / "in")
    np.testing.assert_array_equal(read.phase_rad, expected.phase_rad)
    assert read.slice_time_s == expected.slice_time_s
    assert deidentify(tmp_path / "in", tmp_path / "out", tmp_path / "key", subject="01") == 18
    (clean,), _ = read_acquisitions(tmp_path / "out" / "sub-01")
    np.testing.assert_array_equal(clean.phase_rad, expected.phase_rad)


def test_missing_decoder_is_named(tmp_path: Path) -> None:
    """Who reads "truncated" copies the file again, for ever; the compression is the cause."""
    write_mre(tmp_path / "in", SMALL)
    for file in _files(tmp_path / "in"):
        recompress(file, "JPEG 2000")
        edit(file, lambda image: setattr(image.file_meta, "TransferSyntaxUID", HTJ2KLossless))
    with pytest.raises(InputError, match=r"which this installation cannot decode.*without compression"):
        read_acquisitions(tmp_path / "in")


def test_lossy_phase_is_refused_and_lossy_magnitude_is_not(tmp_path: Path) -> None:
    """Lossy compression smooths over wraps, where neighbours differ by 2 pi and mean the same; brightness survives."""
    write_mre(tmp_path / "in", SMALL)
    for file in _files(tmp_path / "in" / "s45"):
        edit(file, lambda image: setattr(image, "LossyImageCompression", "01"))
    acquisitions, export = read_acquisitions(tmp_path / "in")
    assert len(acquisitions) == 1
    assert [one.code for one in export.warnings] == ["lossy-compression"]
    for file in _files(tmp_path / "in" / "s46"):
        edit(file, lambda image: setattr(image, "LossyImageCompression", "01"))
    with pytest.raises(InputError, match="destroys phase"):
        read_acquisitions(tmp_path / "in")


@pytest.mark.parametrize(
    ("name", "value"), [("LossyImageCompressionRatio", 12.5), ("LossyImageCompressionMethod", "ISO_14495_1")]
)
def test_a_ratio_or_method_of_lossy_compression_says_that_it_was_used(name: str, value: object, tmp_path: Path) -> None:
    """Some archives compress again and leave the flag out, or as it was."""
    write_mre(tmp_path / "in", SMALL)
    for file in _files(tmp_path / "in" / "s46"):
        edit(file, lambda image: setattr(image, name, value))
    with pytest.raises(InputError, match="destroys phase"):
        read_acquisitions(tmp_path / "in")


def test_compressed_pixels_of_another_size_are_refused(tmp_path: Path) -> None:
    """A decoder that trusts one of two sizes reads beyond the other."""
    for name in ("JPEG Lossless", "JPEG 2000"):
        write_mre(tmp_path / name, SMALL)
        file = tmp_path / name / "s46" / "0001.ima"
        recompress(file, name)
        content = file.read_bytes()
        rows = content.index(b"\x28\x00\x10\x00US\x02\x00")
        spoilt = content[: rows + 8] + b"\x20\x00" + content[rows + 10 :]
        with pytest.raises(InputError, match="under a header of 32 x"):
            stored_values(spoilt, "x")
