"""DICOM files in other transfer syntaxes, by GDCM, which archives use as well."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import gdcm
import pydicom

SYNTAXES: Final = {
    "JPEG Lossless": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    "JPEG Lossless, any predictor": gdcm.TransferSyntax.JPEGLosslessProcess14,
    "JPEG-LS": gdcm.TransferSyntax.JPEGLSLossless,
    "JPEG 2000": gdcm.TransferSyntax.JPEG2000Lossless,
    "RLE": gdcm.TransferSyntax.RLELossless,
    "deflated": gdcm.TransferSyntax.DeflatedExplicitVRLittleEndian,
    "implicit": gdcm.TransferSyntax.ImplicitVRLittleEndian,
    "big endian": gdcm.TransferSyntax.ExplicitVRBigEndian,
}
"""What archives store, by a short name."""


def recompress(path: Path, name: str) -> None:
    """Write a file again in the transfer syntax of a name.

    Args:
        path: DICOM file; it is replaced.
        name: of SYNTAXES.
    """
    # A data set of its own, for pydicom does not change the order of bytes of one that it read.
    given, packed = pydicom.dcmread(path), pydicom.dcmread(io.BytesIO(_packed(path, name)))
    image = pydicom.Dataset({element.tag: element for element in given})
    image.file_meta = given.file_meta
    image.file_meta.TransferSyntaxUID = packed.file_meta.TransferSyntaxUID
    # Of GDCM's file the pixels only: it changes headers.
    image.PixelData = packed.PixelData
    image["PixelData"].is_undefined_length = packed.file_meta.TransferSyntaxUID.is_encapsulated
    image.save_as(path, enforce_file_format=True)


def _packed(path: Path, name: str) -> bytes:
    """The file as GDCM writes it."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(SYNTAXES[name]))
    change.SetInput(reader.GetImage())
    assert change.Change()
    target = path.with_suffix(".packed")
    writer = gdcm.ImageWriter()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(target))
    assert writer.Write()
    content = target.read_bytes()
    target.unlink()
    return content
