"""The in-silico MRE scan as GE stores it: single slices, as liver waves or as real and imaginary brain images.

`write_waves`: three series, encoded along the image's rows, columns and slice normal; in each the waves of all offsets
in signed milliradians (3141.5 means pi), then the magnitudes. Frequency and offsets in (0043,10A2).

`write_complex_images`: one series of real and imaginary parts for the encodings +x -x +y -y +z -z along the same axes,

    c = M exp(i (b +- phi / 2)),

so that arg(c+ conj c-) is the scan's phase and one encoding's motion encoding is twice the scan's. Frequency in
(0019,10BC).

Both put the number of offsets into (0020,0105), the number of slices into (0021,104F), the kind of image into
(0043,102F), each slice's acquisition time into Trigger Time, and the site's mains, which is never the frequency of the
vibration, into (0043,1082). Nothing states the motion encoding, as on the scanner.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from palpate.config.phantom import PhantomSettings
from palpate.imaging.phantom.grid import ScanGrid
from palpate.imaging.phantom.identity import RAS_TO_LPS, Identity, fill, place, save
from palpate.imaging.phantom.scan import Scan

WAVE_SERIES: Final = (7, 8, 9)
"""SeriesNumbers of the liver waves encoded along rows, columns and normal."""
COMPLEX_SERIES: Final = 5
"""SeriesNumber of the brain images."""
PAIRED_ENCODINGS: Final = 2
"""Phase difference of a pair of opposite encodings over the phase of one encoding."""
_MAGNITUDE, _PHASE, _REAL, _IMAGINARY = range(4)
_TRIGGERED = "CG"
"""Scan Options; DICOM allows a Trigger Time only where they announce gating."""
_OTHER_MAINS_HZ = 60
"""Mains frequency of the site, Hz, unless the vibration has it; then it is 50 Hz."""
_PI_STORED = 3141.5
_LARGEST_SIGNAL = 16000.0
"""Largest magnitude in stored units of the brain images; both parts fit into 16 bits with a sign."""


def write_waves(folder: Path, identity: Identity, settings: PhantomSettings, grid: ScanGrid, scan: Scan) -> None:
    """Write the three liver series below an existing folder, one file an image."""
    offsets, n_slices = scan.phase_rad.shape[1], grid.shape[2]
    for number, phase_rad, magnitude in zip(WAVE_SERIES, *_along_image(grid, scan), strict=True):
        series_folder = folder / f"series{number:03d}_mre"
        series_folder.mkdir()
        stored = {_PHASE: stored_phase(phase_rad), _MAGNITUDE: np.rint(magnitude).astype(np.int16)}
        order = [(kind, k, offset) for kind in stored for k in range(n_slices) for offset in range(offsets)]
        for instance, (kind, k, offset) in enumerate(order, start=1):
            image = _image(identity, settings, grid, scan, number, instance, k, kind)
            block = image.private_block(0x0019, "GEMS_ACQU_01", create=True)
            block.add_new(0x9C, "LO", "fgremre")
            block.add_new(0xBC, "DS", "-1")
            image.ScanningSequence, image.SequenceVariant, image.ScanOptions = "GR", "SK", _TRIGGERED
            _fill(image, stored[kind][offset, :, :, k])
            save(image, series_folder / f"i{instance:05d}.dcm")


def write_complex_images(
    folder: Path,
    identity: Identity,
    settings: PhantomSettings,
    grid: ScanGrid,
    scan: Scan,
    *,
    series: int = COMPLEX_SERIES,
) -> None:
    """Write the brain images as the series of SeriesNumber `series` below an existing folder, one file an image."""
    series_folder = folder / f"series{series:03d}_mre"
    series_folder.mkdir()
    signals = _paired_signals(grid, scan)
    shape = (signals.shape[1], grid.shape[2], signals.shape[0], 2)
    for instance, (offset, k, encoding, part) in enumerate(np.ndindex(*shape), start=1):
        image = _image(identity, settings, grid, scan, series, instance, k, (_REAL, _IMAGINARY)[part])
        block = image.private_block(0x0019, "GEMS_ACQU_01", create=True)
        block.add_new(0x9C, "LO", "epimre")
        block.add_new(0xBC, "DS", f"{settings.frequency_hz:g}")
        image.ScanningSequence, image.SequenceVariant, image.ScanOptions = ["EP", "SE"], "SK", _TRIGGERED
        signal = signals[encoding, offset, :, :, k]
        _fill(image, np.rint(signal.imag if part else signal.real).astype(np.int16))
        save(image, series_folder / f"i{instance:05d}.dcm")


def stored_phase(phase_rad: NDArray[np.float64]) -> NDArray[np.int16]:
    """Return phase in signed milliradians as the scanner stores it; 3141.5 means pi."""
    return np.rint(phase_rad / np.pi * _PI_STORED).astype(np.int16)


def _along_image(grid: ScanGrid, scan: Scan) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Phase and magnitude of the directions along +i, +j, +k, shape (3, offset, i, j, k)."""
    cosines = scan.encoding_axes @ grid.axes
    directions = np.abs(cosines).argmax(axis=0)
    signs = np.sign(cosines[directions, range(3)])
    return scan.phase_rad[directions] * signs[:, None, None, None, None], scan.magnitude[directions]


def _paired_signals(grid: ScanGrid, scan: Scan) -> NDArray[np.complex128]:
    """Return signals of +x -x +y -y +z -z in stored units, shape (6, offset, i, j, k), with a static phase of coils."""
    phase_rad, magnitude = _along_image(grid, scan)
    ramp = np.linspace(-2.0, 2.0, grid.shape[0])[:, None, None]
    scaled = magnitude * (_LARGEST_SIGNAL / magnitude.max())
    pair = [scaled * np.exp(1j * (ramp + sign * phase_rad / PAIRED_ENCODINGS)) for sign in (1, -1)]
    signals = np.stack(pair, axis=1).reshape(6, *phase_rad.shape[1:])
    return np.asarray(signals, dtype=np.complex128)


def _image(
    identity: Identity,
    settings: PhantomSettings,
    grid: ScanGrid,
    scan: Scan,
    series: int,
    instance: int,
    k: int,
    kind: int,
) -> Dataset:
    """Return an image of slice k with everything but its sequence and pixels."""
    image = identity.image(series, instance)
    image.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    image.Manufacturer = "GE MEDICAL SYSTEMS"
    image.SeriesDescription = image.ProtocolName = "mre"
    place(image, grid, RAS_TO_LPS @ (grid.affine_mm @ [0, 0, k, 1])[:3])
    image.MRAcquisitionType = "2D"
    image.RepetitionTime, image.EchoTime, image.EchoTrainLength = 50, 20, 1
    image.NumberOfAverages, image.FlipAngle = 1, 30
    image.NumberOfTemporalPositions = scan.phase_rad.shape[1]
    image.TriggerTime = f"{scan.slice_times_ms[k]:g}"
    image.private_block(0x0021, "GEMS_RELA_01", create=True).add_new(0x4F, "SS", grid.shape[2])
    parameters = image.private_block(0x0043, "GEMS_PARM_01", create=True)
    parameters.add_new(0x2F, "SS", kind)
    mains_hz = 50 if settings.frequency_hz == _OTHER_MAINS_HZ else _OTHER_MAINS_HZ
    parameters.add_new(0x82, "LO", ["SRMode=100", f"lineFreq={mains_hz}"])
    if kind in (_MAGNITUDE, _PHASE):
        parameters.add_new(0xA2, "DS", [f"{settings.frequency_hz:g}", str(scan.phase_rad.shape[1])])
    return image


def _fill(image: Dataset, pixels: NDArray[np.int16]) -> None:
    """Set signed 16-bit pixels, shape (i, j)."""
    fill(image, pixels.T.copy().view(np.uint16), bits=16)
    image.PixelRepresentation = 1
    image.WindowCenter, image.WindowWidth = 0, 6283
