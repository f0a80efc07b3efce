"""The in-silico MRE scan as Philips stores it, one file an image: a scan for each motion encoding.

Each scan is a series with a block of magnitude images and a block of phase images, slice by slice and within a slice
dynamic by dynamic. Stored values have 12 bits; phase is 1.5346 x value - 3142 thousandths of a radian, and every
magnitude image has its own slope. Frequency and motion encoding, which Philips' headers do not hold, stand in
ImageComments.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from palpate.config.phantom import PhantomSettings
from palpate.imaging.phantom.grid import ScanGrid
from palpate.imaging.phantom.identity import RAS_TO_LPS, STUDY_DATE, Identity, fill, place, save
from palpate.imaging.phantom.scan import Scan

FIRST_SERIES: Final = 401
"""Number of the first series."""
SERIES_STEP: Final = 100
"""Step of SeriesNumber from scan to scan: Philips numbers its scans by hundreds."""
_MAKER: Final = "Philips Medical Systems"
_TOP: Final = 4095
_SLOPE_MRAD, _INTERCEPT_MRAD = 1.5346, -3142.0
_IMAGE_S: Final = 30.0
"""Time from the start of one dynamic to the next, seconds; nothing depends on it."""


def write_classic(folder: Path, identity: Identity, settings: PhantomSettings, grid: ScanGrid, scan: Scan) -> None:
    """Write one series for each encoding below an existing folder."""
    directions, offsets = scan.phase_rad.shape[:2]
    for direction in range(directions):
        series = FIRST_SERIES + SERIES_STEP * direction
        (folder / f"series{series:04d}_mre").mkdir()
        number = 0
        for kind in "MP":
            for k, offset in np.ndindex(grid.shape[2], offsets):
                number += 1
                image = _image(identity, settings, grid, scan, (series, number), (direction, offset, k))
                _fill(image, scan, kind, (direction, offset, k))
                save(image, folder / f"series{series:04d}_mre" / f"{number:05d}.dcm")


def stored_magnitude(values: NDArray[np.float64]) -> tuple[NDArray[np.uint16], float]:
    """Return one image's magnitude as 12-bit numbers, and its slope."""
    # Decimal strings hold 16 characters: the slope is rounded first, so that numbers times slope are the values.
    slope = float(f"{max(float(values.max()), 1e-3) / _TOP:.8e}")
    return np.rint(np.clip(values / slope, 0, _TOP)).astype(np.uint16), slope


def stored_phase(phase_rad: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Return phase as 12-bit numbers v with 1000 phi = 1.5346 v - 3142."""
    return np.rint((1e3 * phase_rad - _INTERCEPT_MRAD) / _SLOPE_MRAD).astype(np.uint16)


def rescaling(kind: str, scan: Scan, where: tuple[int, int, int]) -> tuple[NDArray[np.uint16], float, float, str]:
    """Return the stored pixels of one image, shape (rows, columns), with slope, intercept and the name of the unit.

    Args:
        kind: "M" for magnitude, "P" for phase.
        scan: measured scan.
        where: indices of direction, offset and slice.
    """
    direction, offset, k = where
    if kind == "P":
        return stored_phase(scan.phase_rad[direction, offset, :, :, k]).T, _SLOPE_MRAD, _INTERCEPT_MRAD, "mrad"
    stored, slope = stored_magnitude(scan.magnitude[direction, offset, :, :, k])
    return stored.T, slope, 0.0, "normalized"


def comment(settings: PhantomSettings) -> str:
    """Return the text that states the frequency, as the period in microseconds, and the motion encoding."""
    return f"MRE: VP[{1e6 / settings.frequency_hz:.10g}]ME[{settings.menc_um_per_rad:g}]"


def acquired(scan: Scan, where: tuple[int, int, int]) -> str:
    """Return the time of the day at which an image was acquired, with microseconds, as DICOM writes it."""
    direction, offset, k = where
    dynamics = direction * scan.phase_rad.shape[1] + offset
    seconds = 9 * 3600 + 60 + _IMAGE_S * dynamics + float(scan.slice_times_ms[k]) / 1e3
    hours, rest = divmod(seconds, 3600)
    return f"{int(hours):02d}{int(rest // 60):02d}{rest % 60:09.6f}"


def mark_as_philips(image: Dataset) -> None:
    """State the manufacturer and the attributes of the sequence that both layouts share."""
    image.Manufacturer = _MAKER
    image.SeriesDescription = image.ProtocolName = "mre"


def _image(
    identity: Identity,
    settings: PhantomSettings,
    grid: ScanGrid,
    scan: Scan,
    numbers: tuple[int, int],
    where: tuple[int, int, int],
) -> Dataset:
    """Return an image with everything but its kind and pixels; `numbers` are of the series and of the image in it."""
    direction, offset, k = where
    image = identity.image(*numbers)
    mark_as_philips(image)
    place(image, grid, RAS_TO_LPS @ (grid.affine_mm @ [0, 0, k, 1])[:3])
    image.AcquisitionTime = acquired(scan, where)
    image.AcquisitionDate = STUDY_DATE
    image.ScanningSequence, image.SequenceVariant, image.ScanOptions = "GR", "SP", ""
    image.MRAcquisitionType = "2D"
    image.RepetitionTime, image.EchoTime, image.EchoTrainLength = 2300, 65, 1
    image.FlipAngle, image.NumberOfAverages = 90, 1
    image.TemporalPositionIdentifier = offset + 1
    image.NumberOfTemporalPositions = scan.phase_rad.shape[1]
    image.VelocityEncodingDirection = [float(value) for value in RAS_TO_LPS @ scan.encoding_axes[direction]]
    image.ImageComments = comment(settings)
    block = image.private_block(0x2001, "Philips Imaging DD 001", create=True)
    block.add_new(0x18, "SL", grid.shape[2])
    block.add_new(0x81, "IS", str(scan.phase_rad.shape[1]))
    return image


def _fill(image: Dataset, scan: Scan, kind: str, where: tuple[int, int, int]) -> None:
    """Kind, pixels and their scale."""
    image.ImageType = ["ORIGINAL", "PRIMARY", *{"M": ("M_FFE", "M"), "P": ("PHASE MAP", "P")}[kind], "FFE"]
    image.private_block(0x2005, "Philips MR Imaging DD 001", create=True).add_new(0x11, "CS", kind)
    pixels, slope, intercept, unit = rescaling(kind, scan, where)
    fill(image, pixels, bits=12)
    image.RescaleSlope, image.RescaleIntercept, image.RescaleType = f"{slope:.10g}", f"{intercept:g}", unit
