"""Picture of wall time against voxels, in logarithms, beside the slope 1.1 that is the goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from palpate.provenance import atomic_file

_COLOURS = {"all": "#0b5a8a", "zones": "#b5651d"}
_WORDS = {"all": "whole command", "zones": "of it on zones"}
_MINUTES = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
"""Minutes that may be written beside the axis: powers of ten alone would be one or two."""


def draw(voxels: Sequence[int], seconds: Mapping[str, Sequence[float]], path: Path) -> None:
    """Draw seconds against voxels into an SVG file.

    Args:
        voxels: number of voxels of each run.
        seconds: wall time of each run by "all" (whole command) and "zones" (work on zones), seconds.
        path: SVG file to write.
    """
    with mpl.rc_context({"svg.hashsalt": "palpate", "font.size": 9.0}):
        figure = Figure(figsize=(4.8, 3.6), layout="constrained")
        panel = figure.subplots()
        sizes = np.asarray(voxels, dtype=np.float64)
        for name, values in seconds.items():
            panel.loglog(sizes, np.asarray(values) / 60.0, "o-", color=_COLOURS[name], label=_WORDS[name])
        first = seconds["all"][0] / 60.0
        panel.loglog(sizes, first * (sizes / sizes[0]) ** 1.1, ":", color="#555555", label="slope 1.1")
        panel.set_xlabel("voxels of the mask")
        panel.set_ylabel("minutes")
        low, high = panel.get_ylim()
        minutes = [tick for tick in _MINUTES if low < tick < high]
        panel.set_yticks(minutes, labels=[f"{tick:g}" for tick in minutes])
        panel.set_xticks(sizes, labels=[f"{size:,}".replace(",", " ") for size in voxels])
        panel.minorticks_off()
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as partial:
            figure.savefig(partial, format="svg", metadata={"Date": None})
