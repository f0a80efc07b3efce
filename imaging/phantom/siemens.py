"""The in-silico MRE scan as Siemens stores it: a magnitude and a phase series of 12-bit mosaics.

The headers are those of a real research sequence: number of slices in (0019,100A), slice times in (0019,1029),
vibration and encoding in ImageComments, the position of the whole mosaic's corner as ImagePositionPatient, and the
phase as 2 x value - 4096 in units of pi / 4096.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from palpate.config.phantom import PhantomSettings
from palpate.imaging.phantom.grid import ScanGrid
from palpate.imaging.phantom.identity import RAS_TO_LPS, Identity, fill, place, save
from palpate.imaging.phantom.scan import Scan

MAGNITUDE_SERIES, PHASE_SERIES = 45, 46
"""Numbers of the two series."""
_LEVELS = 4096
_LPS_TO_DEVICE = np.diag([1.0, -1.0, -1.0])
"""Matrix from LPS to the axes of az and po for a head-first supine patient (see palpate.imaging.dicom.encoding)."""


def write_mosaics(folder: Path, identity: Identity, settings: PhantomSettings, grid: ScanGrid, scan: Scan) -> None:
    """Write both series below an existing folder, one file an image: direction by direction, offset by offset."""
    magnitude_folder = folder / f"series{MAGNITUDE_SERIES:03d}_mre_M"
    phase_folder = folder / f"series{PHASE_SERIES:03d}_mre_P"
    magnitude_folder.mkdir()
    phase_folder.mkdir()
    for instance, (direction, offset) in enumerate(np.ndindex(*scan.phase_rad.shape[:2]), start=1):
        magnitude = _mosaic_image(identity, grid, scan, MAGNITUDE_SERIES, instance)
        magnitude.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "NORM", "MOSAIC"]
        stored = np.clip(np.rint(scan.magnitude[direction, offset]), 0, _LEVELS - 1)
        fill(magnitude, mosaic(stored.astype(np.uint16)), bits=12)
        save(magnitude, magnitude_folder / f"{instance:04d}.ima")

        phase = _mosaic_image(identity, grid, scan, PHASE_SERIES, instance)
        phase.ImageType = ["ORIGINAL", "PRIMARY", "P", "ND", "MOSAIC"]
        phase.ImageComments = encoding_comment(settings, scan.encoding_axes[direction], direction, offset)
        fill(phase, mosaic(stored_phase(scan.phase_rad[direction, offset])), bits=12)
        phase.RescaleIntercept, phase.RescaleSlope, phase.RescaleType = -_LEVELS, 2, "US"
        save(phase, phase_folder / f"{instance:04d}.ima")


def stored_phase(phase_rad: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Return phase as 12-bit numbers v with phi = (2 v - 4096) / 4096 pi; pi itself is stored as -pi."""
    levels = np.rint((phase_rad / np.pi + 1) * _LEVELS / 2).astype(np.int64)
    return (levels % _LEVELS).astype(np.uint16)


def encoding_comment(settings: PhantomSettings, axis: NDArray[np.float64], direction: int, offset: int) -> str:
    """Return the text by which the sequence states vibration and encoding, with angles in whole degrees.

    Args:
        settings: frequency and motion encoding.
        axis: unit vector of the encoding in world RAS.
        direction: index of the encoding direction.
        offset: index of the time offset.
    """
    x, y, z = _LPS_TO_DEVICE @ RAS_TO_LPS @ axis
    azimuth = round(float(np.degrees(np.arctan2(y, x)))) % 360
    polar = round(float(np.degrees(np.arccos(np.clip(z, -1, 1)))))
    period_us = 1e6 / settings.frequency_hz
    return (
        f"MRE: fI[0]dI[{direction}]az[{azimuth}]po[{polar}]tI[{offset}]VP[{period_us:.10g}]TC[0]"
        f"ME[{settings.menc_um_per_rad:g}]"
    )


def mosaic(volume: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return a volume's slices, shape (i, j, k), as tiles of one image.

    Tiles lie row by row on a square of ceil(sqrt(k)) x ceil(sqrt(k)) tiles.
    """
    columns, rows, n_slices = volume.shape
    side = int(np.ceil(np.sqrt(n_slices)))
    image = np.zeros((side * rows, side * columns), dtype=np.uint16)
    for k in range(n_slices):
        top, left = (k // side) * rows, (k % side) * columns
        image[top : top + rows, left : left + columns] = volume[:, :, k].T
    return image


def _mosaic_image(identity: Identity, grid: ScanGrid, scan: Scan, series: int, instance: int) -> Dataset:
    """Return a mosaic with everything but its type and pixels."""
    columns, rows, n_slices = grid.shape
    side = int(np.ceil(np.sqrt(n_slices)))
    axes, edges = RAS_TO_LPS @ grid.axes, grid.voxel_mm
    # The corner is where a slice as large as the mosaic would begin if it had the first slice's centre.
    half = np.array([(side - 1) * columns * edges[0], (side - 1) * rows * edges[1]]) / 2
    corner = RAS_TO_LPS @ grid.affine_mm[:3, 3] - axes[:, :2] @ half
    image = identity.image(series, instance)
    image.SeriesDescription = image.ProtocolName = "mre"
    place(image, grid, corner)
    image.ScanningSequence, image.SequenceVariant, image.ScanOptions = "EP", "SK", "FS"
    image.SequenceName, image.MRAcquisitionType = "", "2D"
    image.RepetitionTime, image.EchoTime, image.EchoTrainLength = 2300, 65, 1
    image.NumberOfAverages, image.FlipAngle, image.PixelBandwidth = 1, 90, 2275
    image.AcquisitionMatrix = [columns, 0, 0, rows]
    image.InPlanePhaseEncodingDirection = "COL"
    block = image.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x08, "CS", "IMAGE NUM 4")
    block.add_new(0x0A, "US", n_slices)
    block.add_new(0x15, "FD", [float(value) for value in corner])
    block.add_new(0x29, "FD", [float(value) for value in scan.slice_times_ms])
    return image
