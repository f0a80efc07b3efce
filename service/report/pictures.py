"""Still pictures of maps, waves and residuals as PNG data, for readers without the interactive viewer and for print."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from palpate.service.report.slices import SliceView

INK = "#1d2a33"
"""Colour of text and outlines."""
QUIET = "#5b6b76"
"""Colour of axes and remarks."""
_DPI = 110


@dataclass(frozen=True, slots=True)
class Layer:
    """Row of a sheet of slices: a volume with its colours.

    Attributes:
        name: name of the quantity, with its unit in words where it has no bar.
        values: values of the volume, shape (i, j, k); NaN is left blank.
        colours: name of the colour map.
        bottom: value of the first colour.
        top: value of the last colour.
        unit: unit at the colour bar; None for no bar.
        outline: mask whose edge is drawn, shape (i, j, k); None for none.
    """

    name: str
    values: NDArray[np.floating]
    colours: str
    bottom: float
    top: float
    unit: str | None
    outline: NDArray[np.bool_] | None = None


def sheet(layers: Sequence[Layer], view: SliceView, slices: Sequence[int], *, columns: int = 2) -> str:
    """Draw a sheet of layers, each as a strip of the same slices with its own colour bar.

    Args:
        layers: layers to show, all on one grid.
        view: orientation and window of the slices.
        slices: indices of the slices along the third axis.
        columns: number of strips beside each other.

    Returns:
        A PNG picture as a data URI.
    """
    rows = -(-len(layers) // columns)
    strip_width = 9.6 / columns
    width_mm, height_mm = view.size_mm
    panel_width = (strip_width - 0.75) / len(slices)
    panel_height = min(panel_width * height_mm / width_mm, 3.0)
    figure = Figure(figsize=(9.6, rows * (panel_height + 0.42)), dpi=_DPI, facecolor="white")
    for number, layer in enumerate(layers):
        row, column = divmod(number, columns)
        _strip(figure, layer, view, slices, (column / columns, 1.0 - (row + 1) / rows, 1.0 / columns, 1.0 / rows))
    return png(figure)


def _strip(
    figure: Figure, layer: Layer, view: SliceView, slices: Sequence[int], box: tuple[float, float, float, float]
) -> None:
    """Draw one layer into a box (left, bottom, width, height) of the figure."""
    left, bottom, width, height = box
    figure_width, figure_height = figure.get_size_inches()
    title_height = 0.32 / figure_height
    bar_width = 0.75 / figure_width
    panel_width = (width - bar_width) / len(slices)
    for position, index in enumerate(slices):
        axes = figure.add_axes((left + position * panel_width, bottom, 0.97 * panel_width, height - title_height))
        _panel(axes, layer, view, index, labelled=position == 0)
    figure.text(
        left + 0.02 / figure_width,
        bottom + height - 0.7 * title_height,
        layer.name,
        fontsize=9.5,
        color=INK,
        va="center",
    )
    if layer.unit is not None:
        bar_axes = figure.add_axes(
            (left + width - bar_width + 0.08 / figure_width, bottom + 0.06 * height, 0.1 / figure_width, 0.72 * height)
        )
        mappable = ScalarMappable(Normalize(layer.bottom, layer.top), layer.colours)
        beyond = bool(np.nanmax(layer.values, initial=-np.inf) > layer.top * (1.0 + 1e-6))
        bar = figure.colorbar(mappable, cax=bar_axes, extend="max" if beyond else "neither", extendfrac=0.08)
        bar.outline.set_visible(False)
        bar_axes.tick_params(labelsize=7.5, length=2, colors=QUIET)
        bar_axes.set_title(layer.unit, fontsize=7.5, color=QUIET, pad=4, loc="left")


def _panel(axes: Axes, layer: Layer, view: SliceView, index: int, *, labelled: bool) -> None:
    """Draw one slice of a layer."""
    picture = view.picture(layer.values, index)
    axes.imshow(
        np.ma.masked_invalid(picture),
        cmap=layer.colours,
        vmin=layer.bottom,
        vmax=layer.top,
        aspect=view.aspect,
        interpolation="nearest",
    )
    if layer.outline is not None:
        outline = view.picture(layer.outline, index)
        if outline.any() and not outline.all():
            colour = "white" if layer.colours == "gray" else INK
            axes.contour(outline.astype(float), levels=[0.5], colors=[colour], linewidths=0.8)
    axes.axis("off")
    if labelled:
        left, _, top, _ = view.labels
        for x, y, text, side in ((0.0, 0.5, left, "left"), (0.5, 1.0, top, "center")):
            height = "top" if side == "center" else "center"
            letter = axes.text(x, y, text, ha=side, va=height, transform=axes.transAxes, fontsize=7.5, color=INK)
            letter.set_path_effects([withStroke(linewidth=2.0, foreground="white")])  # readable on any colour


def png(figure: Figure) -> str:
    """Return the figure as a data URI; equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
