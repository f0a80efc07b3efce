"""Picture of the cortex benchmark region by region: errors of mu and xi, sorted, beside the published means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from palpate.provenance import atomic_file

_TITLES: Final = ("shear modulus mu", "damping ratio xi")
_COLOURS: Final = ("#0b5a8a", "#b5651d", "#3a7d44", "#7a4b94", "#8a8a8a", "#c23b5a")


@dataclass(frozen=True, slots=True)
class Curve:
    """Curve of the errors of one inversion.

    Attributes:
        name: name of the inversion for the legend.
        error_percent: errors of the regions, percent, shape (regions, 2) for mu and xi.
        published_percent: published mean errors of mu and xi, percent; None without.
    """

    name: str
    error_percent: NDArray[np.float64]
    published_percent: tuple[float, float] | None


def draw(curves: Sequence[Curve], path: Path) -> None:
    """Draw all inversions into an SVG file."""
    with mpl.rc_context({"svg.hashsalt": "palpate", "font.size": 9.0}):
        figure = Figure(figsize=(8.6, 4.2), layout="constrained")
        for which, panel in enumerate(figure.subplots(1, 2)):
            for colour, curve in zip(_COLOURS, curves, strict=False):
                errors = np.sort(curve.error_percent[:, which])
                panel.semilogy(np.arange(1, len(errors) + 1), errors, ".-", color=colour, label=curve.name, lw=1.0)
                if curve.published_percent is not None:
                    panel.axhline(curve.published_percent[which], color=colour, ls="--", lw=0.8)
            panel.spines[["top", "right"]].set_visible(False)
            panel.set_title(_TITLES[which], fontsize=10)
            panel.set_xlabel("region, by error")
            panel.set_yticks([1, 2, 5, 10, 20, 50], labels=["1", "2", "5", "10", "20", "50"])
            panel.minorticks_off()
        figure.axes[0].set_ylabel("mean error of its voxels (%)")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as partial:
            figure.savefig(partial, format="svg", metadata={"Date": None})
