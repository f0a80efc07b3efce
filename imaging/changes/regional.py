"""Changes of labelled regions from session A to session B."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.changes.between_scans import TERMS, BetweenScans, Organ, kind_of
from palpate.imaging.changes.common_errors import common_fibre_percent, compared_draws
from palpate.imaging.changes.edges import beside, contrast, edge_share, edge_std
from palpate.imaging.changes.labelled import PlacedLabels, common_part
from palpate.imaging.changes.pairing import ChangePosterior, change_posterior, combined_stds
from palpate.imaging.changes.places import Passage, Places, SessionWorld, motion_of, shared_links
from palpate.imaging.changes.session import ComparedSession
from palpate.imaging.derived.quantities import Medium
from palpate.imaging.derived.statistics import medium_of
from palpate.imaging.files.stiffness_folder import MODULI
from palpate.imaging.region_values.label_weights import weighted_labels
from palpate.imaging.region_values.motion import uncertain
from palpate.imaging.region_values.quantities import REGION_QUANTITIES, USUAL, RegionQuantity
from palpate.imaging.region_values.values import RegionValue, region_values
from palpate.imaging.region_values.weights import WeightedRegion
from palpate.quality_warning import QualityWarning

QUANTITIES: Final[tuple[RegionQuantity, ...]] = tuple(REGION_QUANTITIES[key] for key in USUAL)
"""Quantities that are compared: G', G'', |G*| and the loss tangent."""


@dataclass(frozen=True, slots=True)
class RegionChange:
    """Change of one quantity of one region.

    Attributes:
        values: value of the region in session A and in session B.
        change: posterior of the change.
        term: published variation between scans of regions of this kind.
        edge_std: standard deviation of ln (B / A) because of voxels at the edge.
    """

    values: tuple[RegionValue, RegionValue]
    change: ChangePosterior
    term: BetweenScans
    edge_std: float

    @property
    def quantity(self) -> RegionQuantity:
        """Quantity that is compared."""
        return self.values[0].quantity

    @property
    def name(self) -> str:
        """Name of the region."""
        return self.values[0].region.name


@dataclass(frozen=True, slots=True)
class _Side:
    """One session with the regions on its voxels.

    Attributes:
        session: the session.
        regions: regions on its voxels.
        medium: frequency and density of its draws.
        means: posterior mean of each quantity in its voxels, by key, shape (N,) each.
    """

    session: ComparedSession
    regions: tuple[WeightedRegion, ...]
    medium: Medium
    means: dict[str, NDArray[np.float64]]


def region_changes(
    sessions: tuple[ComparedSession, ComparedSession],
    places: Places,
    placed: PlacedLabels,
    organ: Organ,
    *,
    physiology: bool,
) -> tuple[list[RegionChange], tuple[QualityWarning, ...]]:
    """Return the changes of all quantities and regions, and warnings about regions that are left out.

    Only the part of a region that both sessions cover is compared.

    Args:
        sessions: session A and session B.
        places: worlds of both, with a way between them.
        placed: labels and their world.
        organ: organ of both sessions.
        physiology: whether the variation between scans is in the intervals.

    Raises:
        InputError: both sessions cover no part of any region.
    """
    worlds: tuple[SessionWorld, SessionWorld] = ("elastogram A", "elastogram B")
    ways = [_way(places, one, placed.world) for one in worlds]
    back = [_way(places, placed.world, one) for one in worlds]
    shared = shared_links(*ways)
    carried = [uncertain(*motion_of(way, one.centre_mm, shared)) for one, way in zip(sessions, ways, strict=True)]
    part = common_part(placed.labels, sessions, [motion_of(way, np.zeros(3))[0] for way in back])
    weights = [weighted_labels(part, one.run, one.draws, to) for one, to in zip(sessions, carried, strict=True)]
    common = [k for k in range(len(weights[0])) if all(one[k].shares.any() for one in weights)]
    if not common:
        raise InputError(
            "the labels",
            found="no label of which both sessions cover a part",
            expected="labels inside both elastograms",
            advice="Compare the labels with both elastograms in a viewer; the slices may lie elsewhere.",
        )
    sides = [_side(one, [own[k] for k in common]) for one, own in zip(sessions, weights, strict=True)]
    values = [region_values(one.session.run, one.session.draws, one.regions, QUANTITIES, one.medium) for one in sides]
    found = _changes(sides, values, common_fibre_percent(*sessions), organ, physiology=physiology)
    return found, _left_out([one.name for k, one in enumerate(weights[0]) if k not in common])


def _way(places: Places, start: SessionWorld, end: SessionWorld) -> Passage:
    way = places.way(start, end)
    assert way is not None  # places_of links both elastograms, and read_labels names a world that is linked
    return way


def _side(session: ComparedSession, regions: Sequence[WeightedRegion]) -> _Side:
    run, draws = session.run, session.draws
    medium = medium_of(run.stem, run.inversion, run.frequency_hz, draws.density_kg_m3, QUANTITIES)
    at = tuple(draws.voxels.T)
    storage, loss = (run.moduli[name].mean.values[at].astype(np.float64) for name in MODULI)
    usual = Medium(medium.frequency_hz, float(np.mean(medium.density_kg_m3)))
    means = {one.key: np.asarray(one.of(storage, loss, usual), dtype=np.float64) for one in QUANTITIES}
    return _Side(session, tuple(regions), medium, means)


def _changes(
    sides: Sequence[_Side], values: Sequence[list[RegionValue]], percent: float, organ: Organ, *, physiology: bool
) -> list[RegionChange]:
    """Return the changes of all regions and quantities, in the order of the values."""
    found = []
    for first in range(0, len(values[0]), len(QUANTITIES)):
        rows = [one[first : first + len(QUANTITIES)] for one in values]
        around = [beside(row[0].region, side.session) for row, side in zip(rows, sides, strict=True)]
        shares = [edge_share(row[0].region) for row in rows]
        term = TERMS[kind_of(organ, rows[0][0].region.volume_ml)]
        between = term.log_stds if physiology else np.zeros(1)
        for pair in zip(*rows, strict=True):
            contrasts = [
                contrast(value.region, outside, side.means[value.quantity.key])
                for value, outside, side in zip(pair, around, sides, strict=True)
            ]
            of_edges = edge_std((shares[0], shares[1]), (contrasts[0], contrasts[1]))
            draws = [
                compared_draws(value, side.session, side.medium, (row[0].mean, row[1].mean), percent)
                for value, row, side in zip(pair, rows, sides, strict=True)
            ]
            stds = combined_stds(between, np.array([of_edges]))
            change = change_posterior(draws[0], draws[1], stds, pair[0].quantity.unit)
            found.append(RegionChange((pair[0], pair[1]), change, term, of_edges))
    return found


def _left_out(names: Sequence[str]) -> tuple[QualityWarning, ...]:
    if not names:
        return ()
    sentence = f"No part that both sessions cover: {', '.join(names[:10])}{' and others' * (len(names) > 10)}."
    return (QualityWarning("change-regions-left-out", sentence, "These regions have no row."),)
