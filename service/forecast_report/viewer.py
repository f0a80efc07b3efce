"""Scene of a tumour: the planning image, maps of each scan's and each forecast day, dose, contours and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from palpate.config.report import ReportSettings
from palpate.imaging.files.compact_nifti import compact_image
from palpate.service.forecast_report.twin_results import DayMaps, TwinResults
from palpate.service.report.outlines import ViewerOutline
from palpate.service.report.planning_image import planning_image
from palpate.service.report.scales import SHARE_COLOURS, Scale, covering_top
from palpate.service.report.scene import CrossHairFigure, Frame, MapLayer, SceneImage, grey, scene

_DENSITY: Final = "inferno"
_DOSE: Final = "plasma"
_VISIBLE: Final = ((0.5, (255, 255, 255), True), (0.05, (127, 211, 255), True), (0.95, (255, 160, 220), False))
_REGIONS: Final = (125, 255, 138)
_ISODOSES: Final = ((0.95, (255, 120, 80)), (0.5, (255, 200, 90)))
_LEAST: Final = 0.02
"""Density below which nothing is painted."""


def viewer_data(results: TwinResults, settings: ReportSettings) -> dict[str, Any]:
    """Return all data that the viewer's script reads, as JSON values.

    Args:
        results: results of the twin.
        settings: settings of the page; the planning image is averaged down to `anatomy_mm`.
    """
    if results.anatomy is None:
        affine_mm = results.white.affine_mm
        image = SceneImage("anatomy", "tissue of the twin", compact_image(grey(results.white.values), affine_mm))
    else:
        image = planning_image(results.anatomy, settings.anatomy_mm)
    frames = [_frame(results, one) for one in (*results.past, *results.days)]
    return scene(frames, image, first=len(results.past))


def frame_title(results: TwinResults, maps: DayMaps) -> str:
    """Return the name of a day in the viewer.

    Args:
        results: results of the twin.
        maps: maps of the day.
    """
    return f"{results.day_words(maps.day)}, {'forecast' if maps.ahead else 'scan'}"


def centre_mm(results: TwinResults) -> list[float]:
    """Return the voxel nearest to the middle of the tumour on the last day, R A S millimetres.

    Args:
        results: results of the twin.
    """
    density = np.nan_to_num(results.days[-1].mean)
    places = np.argwhere(np.isfinite(results.days[-1].mean))
    weights = density[tuple(places.T)] + 1e-12
    middle = (places * weights[:, None]).sum(axis=0) / weights.sum()
    index = places[((places - middle) ** 2).sum(axis=1).argmin()]
    return [float(one) for one in results.white.affine_mm[:3, :3] @ index + results.white.affine_mm[:3, 3]]


def _frame(results: TwinResults, maps: DayMaps) -> Frame:
    figures = [
        CrossHairFigure("density", "", *(one.astype(np.float32) for one in (maps.mean, maps.lower, maps.upper))),
        CrossHairFigure("P(visible)", "", maps.visible.astype(np.float32)),
        CrossHairFigure("P(enhancing)", "", maps.enhancing.astype(np.float32)),
    ]
    if results.dose_gy is not None:
        figures.append(CrossHairFigure("dose", "Gy", results.dose_gy.astype(np.float32)))
    return Frame(
        title=frame_title(results, maps),
        affine_mm=results.white.affine_mm,
        centre_mm=centre_mm(results),
        layers=list(_layers(results, maps)),
        figures=figures,
        tail="mean (95 % interval)",
        images=[],
        veil=None,
        outlines=list(_outlines(results, maps)),
    )


def _layers(results: TwinResults, maps: DayMaps) -> Iterator[MapLayer]:
    density = Scale(_DENSITY, 1.0, "")
    about = "Density of tumour cells over the largest that tissue holds."
    for key, name, values in (
        ("mean-density", "density, mean", maps.mean),
        ("lower-density", "density, lower end of the 95 % interval", maps.lower),
        ("upper-density", "density, upper end of the 95 % interval", maps.upper),
    ):
        yield MapLayer(key, name, np.where(values > _LEAST, values, np.nan), density, about)
    for key, name, values in (
        ("visible-probability", "P(visible)", maps.visible),
        ("enhancing-probability", "P(enhancing)", maps.enhancing),
    ):
        about = "Probability that an image of this day shows tumour there."
        yield MapLayer(key, name, np.where(values > _LEAST, values, np.nan), Scale(SHARE_COLOURS, 1.0, ""), about)
    if results.dose_gy is not None:
        top = covering_top(results.dose_gy, results.dose_gy > 0.0)
        about = "Sum over all fractions, given and planned, until the last day of the forecast."
        scale = Scale.of(results.dose_gy, _DOSE, top, "Gy")
        yield MapLayer("dose", "dose of radiotherapy", results.dose_gy, scale, about)
    if maps.displacement is not None:
        moved = maps.displacement
        scale = Scale.of(moved, "viridis", covering_top(moved, np.isfinite(moved)), "mm")
        yield MapLayer(
            "displacement", "displacement of tissue, median", moved, scale, "It rests on an assumed pressure."
        )


def _outlines(results: TwinResults, maps: DayMaps) -> Iterator[ViewerOutline]:
    for level, rgb, shown in _VISIBLE:
        # The surface of 0.5 of a field that is moved to have it at the level.
        yield ViewerOutline(f"visible, P = {level:g}", maps.visible - level + 0.5, rgb, shown)
    yield ViewerOutline("regions of the latest scan", maps.roi > 0, _REGIONS)
    if results.dose_gy is not None and results.dose_gy.max() > 0.0:
        highest = float(results.dose_gy.max())
        for share, rgb in _ISODOSES:
            name = f"{share * highest:.0f} Gy ({100 * share:.0f} % of the highest)"
            yield ViewerOutline(name, results.dose_gy / highest - share + 0.5, rgb, False)
