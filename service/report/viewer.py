"""Scene of a session: planning image or magnitude, maps of each run, the slab's outline, and each voxel's numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.report import ReportSettings
from palpate.imaging.files.stiffness_folder import MODULI, Modulus
from palpate.service.report.outlines import ViewerOutline
from palpate.service.report.planning_image import planning_image
from palpate.service.report.scales import MODULUS_COLOURS, SHARE_COLOURS, SPREAD_COLOURS, Scale, covering_top
from palpate.service.report.scene import CrossHairFigure, Frame, FrameImage, MapLayer, scene
from palpate.service.report.session import RunView, SessionView

SYMBOLS: Final[Mapping[Modulus, str]] = {"storagemodulus": "G′", "lossmodulus": "G″"}
"""Symbols of the moduli."""
_PLAIN: Final[Mapping[Modulus, str]] = {"storagemodulus": "G'", "lossmodulus": "G''"}
_STATISTICS: Final = {
    "mean": "mean",
    "lower": "lower end of the 95 % interval",
    "upper": "upper end of the 95 % interval",
}
_SLAB: Final = (120, 200, 255)
_KINDS: Final = {"stiff": (255, 90, 90), "soft": (255, 220, 90)}


def colour_tops_kpa(run: RunView, settings: ReportSettings) -> dict[tuple[str, Modulus], float]:
    """Return the upper ends of the colour scales of mean and spread, kPa.

    Where the truth is known the scale of the mean covers it as well, so that both can be compared by eye.

    Args:
        run: results of the run.
        settings: settings of the page, which may choose the ends.
    """
    chosen = {"storagemodulus": settings.storage_top_kpa, "lossmodulus": settings.loss_top_kpa}
    tops: dict[tuple[str, Modulus], float] = {}
    informed = run.stiffness.informed
    for modulus in MODULI:
        marginals = run.stiffness.moduli[modulus]
        own = chosen[modulus]
        shown = [marginals.mean, *([run.truth[modulus]] if run.truth is not None else [])]
        tops["mean", modulus] = (
            own if own is not None else max(covering_top(the_map.values, informed) for the_map in shown)
        )
        tops["std", modulus] = covering_top(marginals.std.values, informed)
    return tops


def viewer_data(view: SessionView, settings: ReportSettings) -> dict[str, Any]:
    """Return all data that the viewer's script reads, as JSON values.

    Args:
        view: results of the session.
        settings: settings of the page; the anatomy is averaged down to `anatomy_mm`.
    """
    image = None if view.anatomy is None else planning_image(view.anatomy, settings.anatomy_mm)
    return scene([_frame(run, settings) for run in view.runs], image)


def _frame(run: RunView, settings: ReportSettings) -> Frame:
    """Return the frame of one run."""
    covered = run.stiffness.moduli["storagemodulus"].mean.covered
    magnitude = run.magnitude if run.magnitude is not None and run.magnitude.values.shape == covered.shape else None
    return Frame(
        title=run.title,
        affine_mm=run.stiffness.affine_mm,
        centre_mm=centre_mm(run).tolist(),
        layers=list(_layers(run, settings)),
        figures=_figures(run),
        tail="mean (95 % interval)",
        images=[] if magnitude is None else [FrameImage("magnitude", "MRE magnitude", magnitude.values)],
        veil=(covered & ~run.stiffness.informed, "mostly a prior assumption", "mostly from this scan"),
        outlines=list(_outlines(run, covered)),
    )


def centre_mm(run: RunView) -> NDArray[np.float64]:
    """Return the place to look at first, which is in the first finding, else the middle of the informed voxels.

    Args:
        run: results of the run.

    Returns:
        A point, R A S millimetres, shape (3,).
    """
    if run.findings:
        return np.asarray(run.findings[0].place_mm)
    covered = run.stiffness.moduli["storagemodulus"].mean.covered
    seen = np.argwhere(run.stiffness.informed if run.stiffness.informed.any() else covered)
    affine_mm = run.stiffness.affine_mm
    if not len(seen):
        return affine_mm[:3, 3]
    # The voxel next to the middle, which may itself lie in a hole.
    index = seen[((seen - seen.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    return np.asarray(affine_mm[:3, :3] @ index + affine_mm[:3, 3])


def _layers(run: RunView, settings: ReportSettings) -> Iterator[MapLayer]:
    """Yield means, ends of intervals, spreads of both moduli, and the probability to exceed the threshold."""
    tops = colour_tops_kpa(run, settings)
    for modulus in MODULI:
        marginals = run.stiffness.moduli[modulus]
        for statistic, words in _STATISTICS.items():
            values = getattr(marginals, statistic).values
            scale = Scale.of(values, MODULUS_COLOURS, tops["mean", modulus], "kPa")
            yield MapLayer(f"{statistic}-{modulus}", f"{SYMBOLS[modulus]}, {words}", values, scale)
        if modulus == "storagemodulus" and run.exceedance is not None:
            name = f"P(G′ > {run.exceedance.threshold_kpa:g} kPa)"
            scale = Scale(SHARE_COLOURS, 1.0, "")
            yield MapLayer("above-storagemodulus", name, run.exceedance.probability, scale, run.exceedance.about)
        spread = Scale.of(marginals.std.values, SPREAD_COLOURS, tops["std", modulus], "kPa")
        yield MapLayer(f"std-{modulus}", f"{SYMBOLS[modulus]}, standard deviation", marginals.std.values, spread)


def _figures(run: RunView) -> list[CrossHairFigure]:
    """Return both moduli; a voxel without a positive mean of G' is outside the map."""
    storage = run.stiffness.moduli["storagemodulus"].mean.values
    known = np.isfinite(storage) & (storage > 0.0)
    found = []
    for modulus in MODULI:
        of = run.stiffness.moduli[modulus]
        maps = (np.where(known, one.values, np.float32(np.nan)) for one in (of.mean, of.lower, of.upper))
        found.append(CrossHairFigure(_PLAIN[modulus], "kPa", *maps))
    return found


def _outlines(run: RunView, covered: NDArray[np.bool_]) -> Iterator[ViewerOutline]:
    """Yield the outline of the slab and those of findings, of each kind."""
    for kind, rgb in _KINDS.items():
        masks = [one.mask for one in run.findings if one.kind == kind]
        if masks:
            yield ViewerOutline(f"{kind} findings", np.any(masks, axis=0), rgb)
    yield ViewerOutline("slab with a map", covered, _SLAB)
