"""Judgement of written DICOM: dciodvfy's errors, and values by their place in the world."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

needs_dciodvfy = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy (Debian: dicom3tools)")


def errors_in(path: Path) -> list[str]:
    """What of a file breaks the standard, by the standard's own tables."""
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


def series_in(folder: Path) -> list[pydicom.Dataset]:
    """Images of a series, in the order of their names."""
    return [pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))]


def places_ras_mm(image: pydicom.Dataset) -> NDArray[np.float64]:
    """World RAS of each pixel of a one-frame image, shape (rows, columns, 3)."""
    row, column = np.reshape(image.ImageOrientationPatient, (2, 3)).astype(float)
    down_mm, along_mm = (float(one) for one in image.PixelSpacing)
    rows, columns = np.mgrid[: image.Rows, : image.Columns]
    corner = np.asarray(image.ImagePositionPatient, dtype=float)
    lps_mm = corner + columns[..., None] * along_mm * row + rows[..., None] * down_mm * column
    return np.asarray(lps_mm * [-1.0, -1.0, 1.0])
