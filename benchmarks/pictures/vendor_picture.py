"""Picture of a vendor's layout: images as stored, magnitude and phase as read, wave field, difference from truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
import pydicom
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from palpate.config.phantom import Vendor
from palpate.provenance import atomic_file

_DOTS_AN_INCH: Final = 75


@dataclass(frozen=True, slots=True)
class Layout:
    """Images and figures of one vendor that are drawn.

    Attributes:
        vendor: name of the vendor.
        mre: folder of the vendor's files.
        slice_number: index k, from 0, of the slice that is drawn.
        magnitude: magnitude as read, shape (i, j).
        phase_rad: phase as read, of the encoding direction and offset with the most wraps, radians, shape (i, j).
        wave_um: displacement Re U along S, micrometres, NaN outside the mask, shape (i, j).
        error_um: difference of Re U along S from the truth, micrometres, shape (i, j).
        error_percent: largest difference of all components, relative to the largest displacement.
    """

    vendor: Vendor
    mre: Path
    slice_number: int
    magnitude: NDArray[np.float64]
    phase_rad: NDArray[np.float64]
    wave_um: NDArray[np.float64]
    error_um: NDArray[np.float64]
    error_percent: float


@dataclass(frozen=True, slots=True)
class _Stored:
    """An image as it lies in a file, shape (row, column), and what it is."""

    pixels: NDArray[np.generic]
    words: str


def draw(layout: Layout, path: Path) -> None:
    """Draw the strip into a PNG file."""
    largest_um = float(np.nanmax(np.abs(layout.wave_um)))
    error_nm = 1e3 * layout.error_um
    largest_nm = max(float(np.nanmax(np.abs(error_nm))), 1e-3)
    with mpl.rc_context({"font.size": 8.0}):
        figure = Figure(figsize=(11.6, 2.35), layout="constrained", dpi=_DOTS_AN_INCH)
        panels = figure.subplots(1, 6)
        for panel, stored in zip(panels, _stored(layout), strict=False):
            _show(panel, stored.pixels, stored.words, "gray", None)
        _show(panels[2], layout.magnitude.T, "magnitude, as read", "gray", (0.0, float(layout.magnitude.max())))
        _show(panels[3], layout.phase_rad.T, "wrapped phase, as read (rad)", "gray", (-np.pi, np.pi), bar=True)
        _show(panels[4], layout.wave_um.T, "Re U along S (µm)", "RdBu_r", (-largest_um, largest_um), bar=True)
        words = f"minus truth (nm)\nlargest {layout.error_percent:.3f} %"
        _show(panels[5], error_nm.T, words, "PuOr_r", (-largest_nm, largest_nm), bar=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as partial:
            figure.savefig(partial, format="png", metadata={"Software": None})


def _show(
    panel: Axes,
    pixels: NDArray[np.generic],
    words: str,
    colours: str,
    limits: tuple[float, float] | None,
    *,
    bar: bool = False,
) -> None:
    low, high = (None, None) if limits is None else limits
    image = panel.imshow(pixels, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
    panel.set_title(words, fontsize=8.0)
    panel.set_axis_off()
    if bar:
        panel.figure.colorbar(image, ax=panel, shrink=0.75, pad=0.03)


def _stored(layout: Layout) -> tuple[_Stored, _Stored]:
    """Return two images of the middle slice as the files hold them: magnitude and phase, or real and imaginary part."""
    k = layout.slice_number
    if layout.vendor == "siemens":
        magnitude = _pixels(layout.mre / "series045_mre_M" / "0001.ima")
        phase = _pixels(layout.mre / "series046_mre_P" / "0001.ima")
        return _Stored(magnitude, "stored: mosaic, magnitude"), _Stored(phase, "stored: mosaic, phase")
    files = sorted(path for path in layout.mre.rglob("*") if path.is_file())
    if layout.vendor == "philips-enhanced":
        return _frames(files[0], k)
    of_slice = _of_slice(files, k)
    if layout.vendor == "philips":
        kinds, words = ("M", "P"), ("stored: magnitude", "stored: phase, 12 bits")
        told = [next(one for one in of_slice if one.ImageType[3] == kind) for kind in kinds]
    else:
        brain = layout.vendor == "ge-brain"
        kinds_of_ge = (2, 3) if brain else (0, 1)
        words = ("stored: real, +x", "stored: imaginary, +x") if brain else ("stored: magnitude", "stored: wave, mrad")
        told = [next(one for one in of_slice if one[0x0043, 0x102F].value == kind) for kind in kinds_of_ge]
    first, second = (one.pixel_array for one in told)
    return _Stored(first, words[0]), _Stored(second, words[1])


def _pixels(path: Path) -> NDArray[np.generic]:
    return np.asarray(pydicom.dcmread(path).pixel_array)


def _of_slice(files: list[Path], k: int) -> list[pydicom.Dataset]:
    """Return images of the first series that lie in slice k, in the order of their numbers."""
    first = [pydicom.dcmread(path) for path in files if path.parent == files[0].parent]
    normal = np.cross(*np.reshape(np.asarray(first[0].ImageOrientationPatient, dtype=float), (2, 3)))
    heights = np.array([np.asarray(one.ImagePositionPatient, dtype=float) @ normal for one in first])
    wanted = np.unique(heights.round(3))[k]
    return sorted(
        (one for one, height in zip(first, heights, strict=True) if abs(height - wanted) < 0.01),
        key=lambda one: int(one.InstanceNumber),
    )


def _frames(path: Path, k: int) -> tuple[_Stored, _Stored]:
    """Return the first magnitude and phase frame of slice k."""
    image = pydicom.dcmread(path)
    found = {}
    for number, own in enumerate(image.PerFrameFunctionalGroupsSequence):
        kind = own.MRImageFrameTypeSequence[0].ComplexImageComponent
        if own.FrameContentSequence[0].InStackPositionNumber == k + 1:
            found.setdefault(kind, image.pixel_array[number])
    return _Stored(found["MAGNITUDE"], "stored: frame, magnitude"), _Stored(found["PHASE"], "stored: frame, phase")
