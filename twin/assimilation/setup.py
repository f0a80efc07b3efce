"""Setup of an assimilation: model, streams, treatment, filter, and what may change in the patient."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from palpate import __version__
from palpate.errors import InputError
from palpate.twin.state_space.event import Event
from palpate.twin.state_space.model import Model, Observation

type Values = NDArray[np.float64]
type Method = Literal["extended", "unscented", "ensemble", "sequential", "refitted"]

_CURVED: Final = ("radial", "lattice")
"""Rungs whose states are the densities of a front."""
_BY_PATH: Final[tuple[Method, ...]] = ("refitted", "sequential")
"""Filters that take no linear step in the state."""
DRIFT_DAYS: Final = 100.0
"""Time for which the spread of a drift is stated, days."""


@dataclass(frozen=True, slots=True)
class FilterSettings:
    """Filter and its numbers.

    Attributes:
        method: "extended" and "unscented" Kalman filter, "ensemble" Kalman filter, "sequential" Monte Carlo, or
            "refitted", the last one with particles drawn from a fit.
        members: number N of members or particles of the last three.
        seed: seed of their random numbers.
        spread: distance a of the unscented filter's points from the mean, over the root of the number of unknowns.
        longest_step_days: longest step in which noise or a drift is one jump, days.
    """

    method: Method = "sequential"
    members: int = 400
    seed: int = 0
    spread: float = 0.25
    longest_step_days: float = 10.0

    def __post_init__(self) -> None:
        """Refuse numbers with which no filter can work.

        Raises:
            ValueError: fewer than 4 members, or a number that is not positive.
        """
        if self.members < 4:
            raise ValueError(f"expected 4 or more members, found {self.members}")
        if not (self.spread > 0.0 and self.longest_step_days > 0.0):
            raise ValueError(f"expected spread and step above 0, found {self.spread} and {self.longest_step_days}")


@dataclass(frozen=True, slots=True)
class ParameterDrift:
    """Random walk of one parameter.

    Attributes:
        parameter: name of the parameter.
        std_per_100_days: standard deviation of its transformed number (Unknown.scale) after 100 days.
    """

    parameter: str
    std_per_100_days: float

    def __post_init__(self) -> None:
        """Refuse a drift that is none.

        Raises:
            ValueError: the standard deviation is not a positive number.
        """
        if not (np.isfinite(self.std_per_100_days) and self.std_per_100_days > 0.0):
            raise ValueError(f"drift of {self.parameter}: expected a spread above 0, found {self.std_per_100_days}")


@dataclass(frozen=True, slots=True)
class Regimes:
    """Regimes of treatment, in each of which some parameters have values of their own.

    A new regime's value is rho theta + sqrt(1 - rho^2) w, where theta is the one before and w ~ N(0, 1): its prior is
    still N(0, 1), and the nearer rho is to 0 the more is learnt anew. A regime that returns has its value back.

    Attributes:
        first: name of the regime on day 0.
        switches: day from which each further regime rules, and its name, in order of days.
        parameters: names of the parameters that differ between regimes.
        similarity: correlation rho of a parameter between regimes, 0 to 1.
        memory: whether a regime that returns has its posterior back; without, every switch opens a new one.
    """

    first: str
    switches: tuple[tuple[float, str], ...]
    parameters: tuple[str, ...]
    similarity: float = 0.5
    memory: bool = True

    def __post_init__(self) -> None:
        """Refuse switches that are out of order or lead nowhere.

        Raises:
            ValueError: days before 0 or out of order, a switch to the ruling regime, or a similarity beyond 0 to 1.
        """
        days = [day for day, _ in self.switches]
        if not np.isfinite(days).all() or any(day < 0.0 for day in days) or sorted(set(days)) != days:
            raise ValueError(f"expected switches of regimes on ascending days from 0 on, found {days}")
        names = [self.first, *(name for _, name in self.switches)]
        if any(before == after for before, after in pairwise(names)):
            raise ValueError(f"expected another regime at each switch, found {' then '.join(names)}")
        if not 0.0 <= self.similarity <= 1.0:
            raise ValueError(f"expected a similarity of 0 to 1, found {self.similarity}")


@dataclass(frozen=True, slots=True, eq=False)
class Localisation:
    """Taper of the ensemble's covariances by distance (Gaspari and Cohn 1999), zero at twice the radius.

    Attributes:
        states_mm: places of the entries of the state, mm, shape (states, 3).
        quantities_mm: places of each stream's numbers, mm, shape (m, 3); a stream left out is not tapered.
        radius_mm: radius r of the taper, mm.
    """

    states_mm: Values
    quantities_mm: Mapping[str, Values]
    radius_mm: float

    def __post_init__(self) -> None:
        """Refuse a radius that is not positive.

        Raises:
            ValueError: it is not.
        """
        if not self.radius_mm > 0.0:
            raise ValueError(f"expected a radius above 0 mm, found {self.radius_mm}")


@dataclass(frozen=True, slots=True, eq=False)
class AssimilationSetup[U]:
    """Everything an assimilation needs beside the measurements.

    Attributes:
        model: rung of the twin.
        observations: observation model of each stream; events of other streams are stored and never used.
        treatment: treatment of all days, as the model takes it.
        treatment_lines: day and text of each treatment; a checkpoint is used again only while the lines before its day
            are the same, so that a treatment that is left out here and changes is not noticed.
        filter: filter and its numbers.
        drifts: parameters that drift.
        regimes: regimes of treatment; None where no parameter changes with treatment.
        localisation: taper of the ensemble filter; None for none.
        begins: day on which the model begins. Where it is not day 0, measurements until that day are part of the
            priors, as those of a calibration are, and are not used again.
    """

    model: Model[U]
    observations: tuple[Observation, ...]
    treatment: U
    treatment_lines: tuple[tuple[float, str], ...]
    filter: FilterSettings = field(default_factory=FilterSettings)
    drifts: tuple[ParameterDrift, ...] = ()
    regimes: Regimes | None = None
    localisation: Localisation | None = None
    begins: float = 0.0

    def __post_init__(self) -> None:
        """Refuse names that the model does not have, and a filter that the rung's innovations have shown unfit.

        Raises:
            InputError: a filter that updates densities linearly on a rung whose densities follow few numbers.
            ValueError: an unknown parameter drifts or differs between regimes, two observation models of one stream,
                or a taper that does not fit.
        """
        if self.model.rung in _CURVED and self.filter.method not in _BY_PATH:
            raise InputError(
                f"filter of the {self.model.rung} rung",
                found=f"{self.filter.method}, which moves densities along straight lines: a front that moved is "
                "another curve, so that its innovations are several times larger than it expects",
                expected=" or ".join(_BY_PATH),
                advice="Use one of these, which follow whole paths of the model.",
            )
        named = {one.parameter for one in self.drifts} | set(self.regimes.parameters if self.regimes else ())
        if unknown := sorted(named - set(self.names)):
            raise ValueError(f"expected parameters of the rung {self.model.rung}, found {', '.join(unknown)}")
        if len({one.parameter for one in self.drifts}) < len(self.drifts):
            raise ValueError("expected one drift a parameter")
        if len(self.by_stream) < len(self.observations):
            raise ValueError("expected one observation model a stream")
        if self.localisation is not None:
            self._demand_places(self.localisation)

    def _demand_places(self, found: Localisation) -> None:
        if self.filter.method != "ensemble":
            raise ValueError(f"expected the ensemble filter with a taper, found {self.filter.method}")
        if found.states_mm.shape != (len(self.model.states), 3):
            raise ValueError(f"expected places of {len(self.model.states)} states, found {found.states_mm.shape}")
        for stream, places in found.quantities_mm.items():
            known = self.by_stream.get(stream)
            if known is None or places.shape != (len(known.quantities), 3):
                raise ValueError(f"the taper's places of {stream} do not fit its observation model")

    def uses(self, event: Event) -> bool:
        """Return whether a measurement updates the state: its stream has a model, and it is not part of the priors."""
        early = event.acquired <= self.begins if self.begins > 0.0 else event.acquired < 0.0
        return event.stream in self.by_stream and not early

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return tuple(one.name for one in self.model.parameters)

    @property
    def by_stream(self) -> Mapping[str, Observation]:
        """Observation model of each stream."""
        return MappingProxyType({one.stream: one for one in self.observations})

    @property
    def digest(self) -> str:
        """Digest of all that a result depends on beside measurements, treatments and switches of regime."""
        text = json.dumps(self._described(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _described(self) -> dict[str, Any]:
        regimes = None if self.regimes is None else asdict(self.regimes) | {"switches": None}
        places = self.localisation
        return {
            "version": __version__,
            "rung": self.model.rung,
            "states": [asdict(one) for one in self.model.states],
            "parameters": [asdict(one) for one in self.model.parameters],
            "begins": self.begins,
            "noises": list(self.model.noises),
            "observations": [[one.stream, *one.quantities] for one in self.observations],
            "filter": asdict(self.filter),
            "drifts": [asdict(one) for one in self.drifts],
            "regimes": regimes,
            "localisation": None
            if places is None
            else [
                places.radius_mm,
                places.states_mm.tolist(),
                {stream: where.tolist() for stream, where in places.quantities_mm.items()},
            ],
        }
