"""DICOM files in other transfer syntaxes, by GDCM, which archives use as well."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import gdcm

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
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(SYNTAXES[name]))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(path))
    assert writer.Write()
