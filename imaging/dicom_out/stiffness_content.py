"""Stiffness of one run as content for DICOM, on the elastogram's own grid and on that of the planning image."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.maps import Kind
from palpate.imaging.anatomy.maps_on_anatomy import OnAnatomy, maps_on_anatomy, misplacement_words
from palpate.imaging.derived.posterior import on_grid_of
from palpate.imaging.derived.quantities import DERIVED
from palpate.imaging.derived.statistics import STATISTICS, by_voxel, medium_of, summary
from palpate.imaging.dicom_out.content import REGION_KINDS, GridContent, ImageContent
from palpate.imaging.dicom_out.dicom_identity import MapIdentity
from palpate.imaging.dicom_out.dicom_source import DicomSource
from palpate.imaging.dicom_out.image_grid import ImageGrid, upright
from palpate.imaging.dicom_out.quantities import (
    ON_PLANNING_GRID,
    QUANTITIES,
    SERIES_QUANTITIES,
    SYMBOLS,
    Statistics,
)
from palpate.imaging.dicom_out.region_figures import drawn_regions, region_figures, stiff_and_soft
from palpate.imaging.dicom_out.region_masks import on_grid, upright_region
from palpate.imaging.draw_summary import FEWEST_DRAWS
from palpate.imaging.files.draws import DrawsFile
from palpate.imaging.files.maps import Map
from palpate.imaging.files.stiffness_folder import MODULI, StiffnessMaps
from palpate.imaging.files.wavefield_folder import frequency_text
from palpate.imaging.region_values.motion import motion_to_anatomy
from palpate.imaging.registration.placement import Placement

_STATISTICS: Final[tuple[Statistics, ...]] = ("mean", "std", "lower", "upper")
_NO_REGIONS: Final = "No voxel is informed, so that nothing stands out as stiff or soft."
_NO_FIGURES: Final = f"There are fewer than {FEWEST_DRAWS} joint draws, and no interval of a region without them."
_STATUS_WORDS: Final = {
    "registered": "The map was moved onto the T1 by a registration",
    "aligned": "A registration found no movement between elastogram and T1",
    "assumed": "The T1 is taken to lie where its file says",
}


@dataclass(frozen=True, slots=True)
class RunToWrite:
    """Run at one frequency, with the kinds that are asked for.

    Attributes:
        run: its posterior.
        draws: its joint draws; None where there are none.
        organ: whether an organ is reported, for which |G*| is the usual stiffness.
        kinds: kinds of objects that are asked for.
        source: scan that it was computed from; None where it was no DICOM.
    """

    run: StiffnessMaps
    draws: DrawsFile | None
    organ: bool
    kinds: Collection[Kind]
    source: DicomSource | None

    @property
    def title(self) -> str:
        """Frequency and run, for descriptions."""
        return f"{frequency_text(self.run.frequency_hz)} Hz {self.run.label}"

    @property
    def made(self) -> datetime:
        """Time of the inversion; the maps' own date, so that exporting again gives the same files."""
        return datetime.fromtimestamp(self.run.made_s, tz=UTC)

    @property
    def series_quantities(self) -> tuple[OnAnatomy, ...]:
        """Quantities of MR series."""
        if "mr" not in self.kinds:
            return ()
        return ("storagemodulus", "magnitude") if self.organ and self.draws is not None else ("storagemodulus",)

    @property
    def asks_for_regions(self) -> bool:
        """Whether a kind is asked for that holds regions."""
        return any(kind in self.kinds for kind in REGION_KINDS)


def own_maps(one: RunToWrite, identity: MapIdentity) -> GridContent:
    """Return the Parametric Maps on the elastogram's grid.

    Args:
        one: the run.
        identity: identity of objects on that grid.
    """
    run = one.run
    maps = tuple(
        ImageContent(
            f"{run.stem}_stat-{statistic}_{modulus}",
            run.moduli[modulus].mean if statistic == "mean" else run.moduli[modulus].std,
            quantity,
            f"{quantity.code} kPa {one.title}",
        )
        for (statistic, modulus), quantity in QUANTITIES.items()
    )
    i, j, k = run.informed.shape
    grid = ImageGrid(identity, run.affine_mm, (i, j, k))
    return GridContent(grid, run.stem, one.title, one.made, maps=maps, source=one.source)


def on_own_grid(one: RunToWrite, identity: MapIdentity) -> GridContent:
    """Return series and regions on the elastogram's grid, its rows and columns turned the way images are.

    Args:
        one: the run.
        identity: identity of objects on that grid.
    """
    run = one.run
    found_regions = stiff_and_soft(run, one.draws) if one.asks_for_regions else ()
    series = []
    for quantity in one.series_quantities:
        for statistic, volume in zip(_STATISTICS, _own_volumes(one, quantity), strict=True):
            values, affine_mm = upright(volume, run.affine_mm)
            series.append(_series(one, quantity, statistic, values, affine_mm, run.stem))
    regions = tuple(upright_region(found) for found in drawn_regions(run, found_regions) if found.mask.any())
    _, affine_mm = upright(run.informed, run.affine_mm)
    i, j, k = run.informed.shape
    grid = ImageGrid(identity, affine_mm, (i, j, k))
    return GridContent(
        grid,
        run.stem,
        one.title,
        one.made,
        series=tuple(series),
        regions=regions,
        source=one.source,
        figures=region_figures(run, one.draws, regions, found_regions) if "sr" in one.kinds else (),
        no_regions=_NO_REGIONS,
        no_figures=_NO_FIGURES,
    )


def on_planning_grid(one: RunToWrite, grid: ImageGrid, placement: Placement) -> tuple[GridContent, tuple[str, ...]]:
    """Return series, maps and regions on the planning image's grid.

    Args:
        one: the run, with joint draws.
        grid: planes of the planning image.
        placement: placement of the planning image on the run, which must be usable.

    Returns:
        The content, and the names of regions that fall between the centres of all voxels.
    """
    run, draws = one.run, one.draws
    assert draws is not None
    wanted = dict.fromkeys([*one.series_quantities, *(MODULI if "pm" in one.kinds else ())])
    found = maps_on_anatomy(run, draws, grid.shape, grid.affine_mm, placement, tuple(wanted))
    name = grid.named(run.stem)
    series = tuple(
        _series(one, quantity, statistic, found.volume(quantity, statistic), grid.affine_mm, name)
        for quantity in one.series_quantities
        for statistic in _STATISTICS
    )
    maps = tuple(
        ImageContent(
            f"{name}_stat-{statistic}_{modulus}",
            Map(found.volume(modulus, statistic), grid.affine_mm, "kPa", quantity.meaning),
            replace(quantity, series_number=quantity.series_number + ON_PLANNING_GRID),
            f"{quantity.code} kPa on T1 {one.title}",
        )
        for (statistic, modulus), quantity in QUANTITIES.items()
        if "pm" in one.kinds
    )
    found_regions = stiff_and_soft(run, draws) if one.asks_for_regions else ()
    back_mm = np.linalg.inv(placement.motion.matrix_mm)
    regions, lost = on_grid(drawn_regions(run, found_regions), grid, back_mm) if one.asks_for_regions else ((), ())
    carry = motion_to_anatomy(placement)
    remarks = (f"{_STATUS_WORDS[placement.status]}{misplacement_words(placement)}.",)
    content = GridContent(
        grid,
        run.stem,
        one.title,
        one.made,
        series,
        maps,
        regions,
        figures=region_figures(run, draws, regions, found_regions, carry) if "sr" in one.kinds else (),
        source=one.source,
        remarks=remarks,
        no_regions=_NO_REGIONS,
        no_figures=_NO_FIGURES,
    )
    return content, lost


def _series(
    one: RunToWrite,
    quantity: OnAnatomy,
    statistic: Statistics,
    values: NDArray[np.floating],
    affine_mm: NDArray[np.float64],
    name: str,
) -> ImageContent:
    of = SERIES_QUANTITIES[quantity, statistic]
    described = f"{SYMBOLS[quantity]} {statistic} [Pa] {one.title}"
    the_map = Map(np.asarray(values, dtype=np.float32), affine_mm, "kPa", of.meaning)
    return ImageContent(f"{name}_stat-{statistic}_{quantity}", the_map, of, described)


def _own_volumes(one: RunToWrite, quantity: OnAnatomy) -> list[NDArray[np.float32]]:
    """Return mean, standard deviation and bounds on the run's own voxels, kPa, NaN outside."""
    run = one.run
    if quantity != "magnitude":
        known = run.moduli[quantity]
        return [getattr(known, statistic).values for statistic in _STATISTICS]
    draws, magnitude = one.draws, DERIVED["magnitude"]
    assert draws is not None
    assert STATISTICS == _STATISTICS
    medium = medium_of(run.stem, run.inversion, run.frequency_hz, draws.density_kg_m3, [magnitude])
    found = by_voxel(draws.blocks(), len(draws.voxels), [magnitude], medium, summary)
    covered = run.moduli["storagemodulus"].mean.covered
    return [on_grid_of(covered, draws.voxels, values).astype(np.float32) for values in found["magnitude"]]
