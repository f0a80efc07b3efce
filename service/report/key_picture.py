"""Still picture of the first screen: three planes through the place to look at, on the planning image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from palpate.config.report import ReportSettings
from palpate.imaging.files.maps import Map
from palpate.service.report.panels import Picture
from palpate.service.report.pictures import QUIET, png
from palpate.service.report.planning_image import resampled
from palpate.service.report.scales import MODULUS_COLOURS, Scale
from palpate.service.report.session import RunView
from palpate.service.report.viewer import centre_mm, colour_tops_kpa

_PLANES: Final = (("axial", 0, 1), ("coronal", 0, 2), ("sagittal", 1, 2))
"""Planes with the world axes across and up."""
_LETTERS: Final = ("RL", "AP", "SI")
_PIXEL_MM: Final = 1.0
_AROUND_MM: Final = 30.0
"""Tissue around the map that is shown, mm."""


def key_picture(run: RunView, anatomy: Map | None, settings: ReportSettings) -> Picture:
    """Draw the mean of G' in three planes through the first finding, or the middle of what is informed.

    Args:
        run: results of the run.
        anatomy: planning image in the elastogram's world; None takes the magnitude.
        settings: settings of the page.
    """
    mean = run.stiffness.moduli["storagemodulus"].mean
    scale = Scale.of(mean.values, MODULUS_COLOURS, colour_tops_kpa(run, settings)["mean", "storagemodulus"], "kPa")
    below = anatomy if anatomy is not None else run.magnitude
    figure = Figure(figsize=(9.6, 3.3), dpi=110, facecolor="black", layout="constrained")
    centre = centre_mm(run)
    window = _window_mm(mean, below)
    for axes, plane in zip(figure.subplots(1, 3), _PLANES, strict=True):
        _plane(axes, plane, centre, window, mean, below, scale)
    _bar(figure, scale)
    place = ", ".join(f"{abs(x):.0f} mm {two[0 if x >= 0 else 1]}" for x, two in zip(centre, _LETTERS, strict=True))
    end = f" Arrow: {scale.end_words}." if scale.above else ""
    ground = "the planning image" if anatomy is not None else "the magnitude"
    return Picture(
        source=png(figure),
        alt=f"Posterior mean of G′, 0 to {scale.top_words}, on {ground}: three perpendicular planes through {place}.",
        caption=f"Posterior mean of G′ on {ground}, planes through {place}. The patient's right is on the left.{end}",
    )


def _window_mm(mean: Map, below: Map | None) -> NDArray[np.float64]:
    """Return the box that is shown: the map and some tissue around it, within the image, shape (2, 3)."""
    places = np.argwhere(mean.covered)
    corners = places @ mean.affine_mm[:3, :3].T + mean.affine_mm[:3, 3] if len(places) else np.zeros((1, 3))
    low, high = corners.min(axis=0) - _AROUND_MM, corners.max(axis=0) + _AROUND_MM
    if below is not None:
        size = np.array(below.values.shape) - 1
        ends = np.array([[i, j, k] for i in (0, size[0]) for j in (0, size[1]) for k in (0, size[2])])
        world = ends @ below.affine_mm[:3, :3].T + below.affine_mm[:3, 3]
        low, high = np.maximum(low, world.min(axis=0)), np.minimum(high, world.max(axis=0))
    return np.stack([low, np.maximum(high, low + 1.0)])


def _plane(
    axes: Axes,
    plane: tuple[str, int, int],
    centre: NDArray[np.float64],
    window: NDArray[np.float64],
    mean: Map,
    below: Map | None,
    scale: Scale,
) -> None:
    """Draw one plane: rows from the top down, columns from the patient's right or front."""
    name, across, up = plane
    columns = np.arange(window[1, across], window[0, across], -_PIXEL_MM)
    rows = np.arange(window[1, up], window[0, up], -_PIXEL_MM)
    points = np.broadcast_to(centre, (len(rows), len(columns), 3)).copy()
    points[..., across], points[..., up] = columns[None, :], rows[:, None]
    if below is not None:
        grey = resampled(below, points)
        top = 1.15 * float(np.nanpercentile(below.values, 99.5))
        axes.imshow(np.nan_to_num(grey), cmap="gray", vmin=0.0, vmax=max(top, 1e-12), interpolation="bilinear")
    values = np.ma.masked_invalid(resampled(mean, points))
    axes.imshow(values, cmap=scale.colours, vmin=0.0, vmax=scale.top, interpolation="nearest", alpha=0.85)
    at = [int(np.abs(line - centre[axis]).argmin()) for line, axis in ((columns, across), (rows, up))]
    axes.axvline(at[0], color="#ff9e59", lw=0.6)
    axes.axhline(at[1], color="#ff9e59", lw=0.6)
    sides = (_LETTERS[across][0], _LETTERS[up][0])
    _letters(axes, sides)
    axes.set_title(name, fontsize=9, color="#dddddd")
    axes.axis("off")


def _letters(axes: Axes, sides: Sequence[str]) -> None:
    for x, y, letter in ((0.02, 0.5, sides[0]), (0.5, 0.97, sides[1])):
        shown = axes.text(x, y, letter, transform=axes.transAxes, color="#ffb880", fontsize=9, ha="left", va="center")
        shown.set_path_effects([withStroke(linewidth=2.0, foreground="black")])  # readable on any grey


def _bar(figure: Figure, scale: Scale) -> None:
    mappable = ScalarMappable(Normalize(0.0, scale.top), scale.colours)
    bar = figure.colorbar(mappable, ax=figure.axes, fraction=0.02, pad=0.01, extend="max" if scale.above else "neither")
    bar.set_label("G′, kPa", color="#dddddd", fontsize=9)
    bar.ax.tick_params(colors="#dddddd", labelsize=8)
    bar.outline.set_edgecolor(QUIET)
