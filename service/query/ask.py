"""Core of a query: one pure function from session, region and options to an immutable answer.

Whoever asks, on the command line or over a network, gets the same numbers to the last bit; formats are functions of the
answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from palpate.errors import InputError
from palpate.imaging.anatomy.foreign_frame import GivenRegistration
from palpate.imaging.derived.statistics import medium_of
from palpate.imaging.files.draws import DrawsFile
from palpate.imaging.region_values.motion import affine_of
from palpate.imaging.region_values.patient import patient_warnings
from palpate.imaging.region_values.region_warnings import InformedRegion, region_warnings
from palpate.imaging.region_values.values import RegionValue, region_values
from palpate.imaging.region_values.weights import LATTICE, WeightedRegion, weighted
from palpate.imaging.region_values.worlds import Space, Way, Worlds
from palpate.imaging.regions.region import DrawnRegion
from palpate.imaging.regions.sphere import SphereShape
from palpate.provenance import versions
from palpate.quality_warning import QualityWarning
from palpate.service.query.answer import (
    Answer,
    Footprint,
    QuantityName,
    QueryFigure,
    RegionFacts,
    Registration,
    RegistrationState,
    RunAnswer,
    StifferFigure,
    ThresholdProbability,
)
from palpate.service.query.options import QueryOptions
from palpate.service.query.region_spec import RegionSpec, SphereSpec
from palpate.service.query.session import NearDraws, NearVoxels, OpenRun, OpenSession

_SAME_HZ: Final = 1e-3
MOST_AT_ONCE: Final = 1_200_000
"""Number of draws of one modulus (voxels x draws) up to which a region's are read at once: 20 MB of both moduli."""
_STATES: Final[Mapping[str, Registration]] = {
    "spatial registration": "given",
    "ITK transform": "given",
    "own registration": "own",
}
"""State of a way that a user names, by its origin."""


@dataclass(frozen=True, slots=True)
class Query:
    """Question about one region.

    Attributes:
        spec: region.
        options: quantities, threshold and runs.
        space: world in which a mask lies; "auto" for that of the voxels on which it is drawn.
        key: file of the key of the record's pseudonyms; None takes the user's own.
        given: registration or CT that leads to the region's frame of reference; None for none.
        than: region with which the region is compared; None for none.
    """

    spec: RegionSpec
    options: QueryOptions
    space: Space = "auto"
    key: Path | None = None
    given: GivenRegistration | None = None
    than: RegionSpec | None = None

    def __post_init__(self) -> None:
        """Refuse options that have no effect on a sphere.

        Raises:
            InputError: a sphere is to lie on the T1, or to be carried by a registration.
        """
        if not isinstance(self.spec, SphereSpec):
            return
        if self.space == "t1":
            raise InputError(
                "--space",
                found="t1 beside --sphere, whose coordinates are the elastogram's",
                expected="--mask, --seg or --roi for a region on the T1",
                advice="Leave --space out and give the centre in the elastogram's world, or draw the sphere as a mask.",
            )
        if self.given is not None and self.given.named:
            raise InputError(
                "--registration" if self.given.file is not None else "--contour-image",
                found="a registration beside --sphere, which it does not carry",
                expected="--mask, --seg or --roi of another frame of reference",
                advice="Leave it out: a sphere lies in the elastogram's world.",
            )


def ask(session: OpenSession, query: Query) -> Answer:
    """Return the figures of a region in each run and at each frequency that is asked for.

    Args:
        session: finished session, opened.
        query: question.

    Raises:
        InputError: the region cannot be read, lies elsewhere, or the session holds no such run.
    """
    runs = chosen_runs(session, query.options)
    region = query.spec.read(runs[0].worlds.slices_mm)
    than = None if query.than is None else query.than.read(runs[0].worlds.slices_mm)
    return Answer(
        subject=session.subject,
        session=session.session,
        region=_facts(region),
        runs=tuple(_of_run(one, region, than, query) for one in runs),
        versions=_versions(),
        region_digest=query.spec.sha256,
        than=None if than is None else _facts(than),
        than_digest=None if query.than is None else query.than.sha256,
    )


def chosen_runs(session: OpenSession, options: QueryOptions) -> Sequence[OpenRun]:
    """Return the runs and frequencies that the options choose; all where they choose none.

    Args:
        session: finished session, opened.
        options: options of the query.

    Raises:
        InputError: none fits.
    """
    wanted, frequency_hz = options.run, options.frequency_hz
    found = [
        one
        for one in session.runs
        if (not wanted or one.stiffness.label == wanted or one.stiffness.label.endswith(f"_run-{wanted}"))
        and (frequency_hz is None or math.isclose(one.stiffness.frequency_hz, frequency_hz, rel_tol=_SAME_HZ))
    ]
    if not found:
        there = ", ".join(f"{one.stiffness.label} at {one.stiffness.frequency_hz:g} Hz" for one in session.runs)
        raise InputError(
            "--run" if wanted else "--frequency-hz",
            found="a choice that fits no run of the session",
            expected=f"one of {there}",
            advice="Choose one of them, or leave the option out to have all answered.",
        )
    return found


@dataclass(frozen=True, slots=True)
class _Asked:
    """Region on a run: its values, its way, its voxels and warnings."""

    values: tuple[RegionValue, ...]
    weights: WeightedRegion
    draws: NearDraws | DrawsFile
    way: Way
    warnings: tuple[QualityWarning, ...]


def _of_run(run: OpenRun, region: DrawnRegion, than: DrawnRegion | None, query: Query) -> RunAnswer:
    """Return the figures of a region in one run."""
    found = _asked(run, region, query)
    other = None if than is None else _asked(run, than, query)
    weights, draws, stiffness = found.weights, found.draws, run.stiffness
    touched = weights.shares > 0.0
    of_other = () if other is None else other.warnings
    return RunAnswer(
        run=stiffness.label,
        frequency_hz=stiffness.frequency_hz,
        figures=tuple(_figure(one, query.options.above_kpa) for one in found.values),
        draws=draws.count,
        covered_ml=weights.covered_ml,
        covered_share=weights.covered_share,
        informed_share=found.values[0].informed_share,
        registration=_registration(run.worlds, found.way),
        warnings=tuple(dict.fromkeys((*run.warnings, *found.warnings, *of_other))),
        made=datetime.fromtimestamp(stiffness.made_s, tz=UTC),
        digests=run.digests,
        footprint=Footprint(draws.voxels[touched], weights.shares[touched], stiffness.affine_mm),
        stiffer=() if other is None else tuple(map(_stiffer, found.values, other.values)),
    )


def _asked(run: OpenRun, region: DrawnRegion, query: Query) -> _Asked:
    """Return the values of a region in one run."""
    way = run.worlds.way_to(region, query.space, query.key, query.given)
    of_patient = patient_warnings(region, run.ingest, way.world, query.key)
    draws, weights = _weighted(run, region, way)
    stiffness, quantities = run.stiffness, query.options.chosen
    medium = medium_of(stiffness.stem, stiffness.inversion, stiffness.frequency_hz, run.draws.density_kg_m3, quantities)
    values = region_values(stiffness, draws, [weights], quantities, medium)
    on_map = region_warnings([InformedRegion(weights, values[0].informed_share)])
    warnings = (*region.warnings, *way.warnings, *of_patient, *on_map)
    return _Asked(tuple(values), weights, draws, way, warnings)


def _weighted(run: OpenRun, region: DrawnRegion, way: Way) -> tuple[NearDraws | DrawsFile, WeightedRegion]:
    """Return the draws that a region needs, and its share of each of their voxels.

    Raises:
        InputError: the region touches no voxel with draws.
    """
    if way.motion is not None:
        weights = weighted(region, run.stiffness, run.draws, way.motion)
        if weights.shares.any():
            return run.draws, weights
        raise _outside(region, run, way)
    # A region of the elastogram's own world needs the draws of its own voxels alone.
    near = run.near(region.shape.box_mm)
    if not len(near):
        raise _outside(region, run, way)
    weights = weighted(region, run.stiffness, NearVoxels(run.draws.voxels[near]), None)
    touched = weights.shares > 0.0
    if not touched.any():
        raise _outside(region, run, way)
    if np.count_nonzero(touched) * run.draws.count > MOST_AT_ONCE:
        # The draws of a large region are read some voxels at a time, so that a question takes bounded memory.
        shares = np.zeros(len(run.draws.voxels))
        shares[near] = weights.shares
        return run.draws, replace(weights, shares=shares)
    return run.draws_of(near[touched]), replace(weights, shares=weights.shares[touched])


def _registration(worlds: Worlds, way: Way) -> RegistrationState:
    """Return how a region came to the elastogram."""
    if way.by is not None and way.by.source in _STATES:
        error_mm = float(np.sqrt(np.trace(way.by.covariance[3:, 3:])))
        return RegistrationState(_STATES[way.by.source], error_mm)
    if way.motion is None or (way.by is not None and way.by.source == "same frame of reference"):
        return RegistrationState("none needed")
    measured = worlds.placement.status in ("registered", "aligned")
    return RegistrationState("recorded" if measured else "not registered", worlds.placement.uncertainty_mm)


def _figure(value: RegionValue, above_kpa: float | None) -> QueryFigure:
    """Return a value as plain numbers."""
    errors, quantity = value.monte_carlo, value.quantity
    above = None
    if above_kpa is not None and quantity.unit == "kPa":
        found = value.above(above_kpa)
        above = ThresholdProbability(above_kpa, found.value, found.error, len(value.draws))
    lower, upper = value.summary.interval()
    return QueryFigure(
        quantity=QuantityName(quantity.key, quantity.words, quantity.unit),
        mean=value.mean,
        std=value.std,
        lower=lower,
        upper=upper,
        mean_error=errors.mean,
        lower_error=errors.lower,
        upper_error=errors.upper,
        above=above,
        draws=value.draws,
    )


def _stiffer(value: RegionValue, other: RegionValue) -> StifferFigure:
    """Return the difference of two values of the same joint draws, and how probably the first is the larger one."""
    apart = RegionValue(value.region, value.quantity, value.draws - other.draws, value.informed_share)
    larger = apart.above(0.0)
    lower, upper = apart.summary.interval()
    quantity = value.quantity
    return StifferFigure(
        quantity=QuantityName(quantity.key, quantity.words, quantity.unit),
        difference=apart.mean,
        std=apart.std,
        lower=lower,
        upper=upper,
        lower_error=apart.summary.lower_error,
        upper_error=apart.summary.upper_error,
        probability=larger.value,
        probability_error=larger.error,
        draws=len(apart.draws),
    )


def _facts(region: DrawnRegion) -> RegionFacts:
    sphere = region.shape if isinstance(region.shape, SphereShape) else None
    x, y, z = (0.0, 0.0, 0.0) if sphere is None else map(float, sphere.centre_mm)
    return RegionFacts(
        kind=region.kind,
        name=region.name,
        number=region.number,
        volume_ml=region.shape.volume_mm3 / 1e3,
        centre_mm=None if sphere is None else (x, y, z),
        radius_mm=None if sphere is None else sphere.radius_mm,
    )


def _outside(region: DrawnRegion, run: OpenRun, way: Way) -> InputError:
    """Return the refusal of a region that touches no voxel, by whether it is too small or lies elsewhere."""
    if _between_points(region, run, way):
        apart = np.linalg.norm(run.stiffness.affine_mm[:3, :3], axis=0) / len(np.unique(LATTICE[:, 0]))
        return InputError(
            region.where,
            found="a region that is smaller than the distance of the points at which a voxel is asked",
            expected=f"a region wider than that distance, {' x '.join(f'{one:.2g}' for one in apart)} mm",
            advice="Draw it larger, or name a larger radius; it lies inside the map.",
        )
    return InputError(
        region.where,
        found="a region that touches no voxel of the map",
        expected="a region that overlaps the voxels with a posterior, in R A S millimetres",
        advice="Look at the region on the map; its coordinates may be L P S, or those of another scan.",
    )


def _between_points(region: DrawnRegion, run: OpenRun, way: Way) -> bool:
    """Return whether the middle of a region lies in a voxel of the map, and the region is no wider than a voxel."""
    box_mm = region.shape.box_mm
    middle_mm, edges_mm = box_mm.mean(axis=0), np.linalg.norm(run.stiffness.affine_mm[:3, :3], axis=0)
    if float(np.max(box_mm[1] - box_mm[0])) > float(edges_mm.max()):
        return False
    if way.motion is not None:
        middle_mm = np.linalg.inv(affine_of(way.motion)) @ np.append(middle_mm, 1.0)
    at = np.linalg.inv(run.stiffness.affine_mm) @ np.append(middle_mm[:3], 1.0)
    return bool(np.any(np.all(run.draws.voxels == np.rint(at[:3]), axis=1)))


@cache
def _versions() -> dict[str, str]:
    return versions()
