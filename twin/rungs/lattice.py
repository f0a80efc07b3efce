"""Lattice rung: today's twin of a patient's voxels as a state-space model.

The state is the density u of the tissue voxels, the drift b of ln k and the coefficients c of the front model error,
mm. theta is xi of palpate.twin.priors.Unknowns with no entries for drifts, which are part of the state here, followed
by the size q of the front model error where there is one:

    (single numbers, shapes of the outline, shapes of ln k, shapes of the stiffness, q).

u grows by the scheme of the calibration (palpate.solvers.growth.model), in steps of a day and under its frozen stress.
b and c are Brownian motions; c moves nothing but what is seen, logit u + phi c |grad logit u|, as in a forecast.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.twin import TwinSettings
from palpate.errors import InputError
from palpate.imaging.tumour.history import TumourHistory
from palpate.quality_warning import QualityWarning
from palpate.solvers.growth.model import GrowthModel
from palpate.solvers.growth.parameters import Parameters
from palpate.twin.dynamics import CENTURY_DAYS, Dynamics, Events, growth_parameters, interval_model, slowed
from palpate.twin.observation.errors import Field
from palpate.twin.priors import ALPHA, KILL, SLOWING, Unknown, Unknowns
from palpate.twin.rungs.cells import DRIFT, PROLIFERATION_NOISE, drifted
from palpate.twin.rungs.frozen_stress import FrozenStress
from palpate.twin.state_space.dependence import dependence_warnings
from palpate.twin.state_space.model import StateBound
from palpate.units import days_to_s, m_to_mm, mm_to_m, per_s_to_per_day

type Values = NDArray[np.float64]

FRONT_ERROR: Final = "front_error"
"""Name of the parameter: size q of the front model error after 100 days, m."""
FRONT_NOISE: Final = "front"
"""Beginning of the names of the sources of the front model error; the number of the field's centre follows."""
STEP_S: Final = days_to_s(1.0)
"""Longest time step, s."""


@dataclass(frozen=True)
class LatticeModel:
    """Lattice rung of one tumour.

    Attributes:
        dynamics: growth as a function of xi, all voxels on this rank, with a layout without drifts.
        history: history of the tumour on the lattice.
        field: random field of the front model error.
        settings: settings of the twin.
        parameters: parameters in the order of theta.
        stress: stress that slows invasion; None where the twin has no mechanics.
    """

    dynamics: Dynamics
    history: TumourHistory
    field: Field
    settings: TwinSettings
    parameters: tuple[Unknown, ...]
    stress: FrozenStress | None = None
    rung: str = "lattice"

    @property
    def unknowns(self) -> Unknowns:
        """Layout of theta but for the size of the front model error."""
        return self.dynamics.unknowns

    @property
    def voxels(self) -> int:
        """Number n of tissue voxels."""
        return self.dynamics.place.space.size

    @property
    def centres(self) -> int:
        """Number r of coefficients of the front model error; 0 where there is none."""
        return len(self.field.centres_mm) if self.settings.front_error_mm > 0.0 else 0

    @property
    def states(self) -> tuple[StateBound, ...]:
        """See Model."""
        densities = (StateBound(f"density_of_voxel_{number}", 0.0, 1.0) for number in range(self.voxels))
        errors = (StateBound(f"front_error_{number}_mm") for number in range(self.centres))
        return (*densities, StateBound(DRIFT), *errors)

    @property
    def noises(self) -> tuple[str, ...]:
        """See Model."""
        return (PROLIFERATION_NOISE, *(f"{FRONT_NOISE} {number}" for number in range(self.centres)))

    @cached_property
    def phi(self) -> Values:
        """Field of the front model error at the tissue voxels for each coefficient, shape (n, r)."""
        return self.field.at(np.argwhere(self.history.tissue) * self.history.edges_mm)[:, : self.centres]

    def start(self, theta: Values) -> Values:
        """See Model."""
        density = np.stack([self.dynamics.start(one[: self.unknowns.size])[0] for one in theta])
        return np.concatenate([density, np.zeros((len(theta), 1 + self.centres))], axis=1)

    def step(self, x: Values, theta: Values, u: Events, t0: float, t1: float, noise: Values) -> Values:
        """See Model; a density outside its bounds is taken as the nearest one inside.

        Raises:
            InputError: a treatment for whose effect there is no parameter.
        """
        self._demand_parameters(u)
        n = self.voxels
        within, after = drifted(x[:, n], noise[:, 0], t1 - t0, self.settings)
        density = np.clip(x[:, :n], 0.0, 1.0)
        for model, stress in self._spans(u, t0, t1):
            for number, (xi, drift) in enumerate(zip(theta, within, strict=True)):
                if density[number].any():  # where no cell is left none grows
                    (density[number],) = model.forecast(
                        self._parameters(xi, float(drift), stress), density[number]
                    ).states
        moved = np.sqrt((t1 - t0) / CENTURY_DAYS) * self.front_error_mm(theta)[:, None] * noise[:, 1:]
        return np.concatenate([np.clip(density, 0.0, 1.0), after[:, None], x[:, n + 1 :] + moved], axis=1)

    def front_error_mm(self, theta: Values) -> Values:
        """Return the size q of the front model error of each draw, mm after 100 days, shape (draws,)."""
        if not self.centres:
            return np.zeros(len(theta))
        one = self.parameters[-1]
        return m_to_mm(one.natural(one.mean + one.std * theta[:, -1]))

    def dependence(
        self, x: Values, theta: Values, u: Events, t0: float, t1: float, size: float = 1e-3
    ) -> tuple[QualityWarning, ...]:
        """Check at run time that densities depend continuously on those before; see dependence_warnings.

        Growth multiplies differences by at most exp(k t) with the largest k of any voxel, diffusion by monotone
        weights and kills by at most one.

        Args:
            x: state on the first day, shape (draws, states).
            theta: parameters as standard normal numbers, shape (draws, parameters).
            u: treatment of all days.
            t0: first day.
            t1: last day.
            size: largest change of a density that is tried.
        """
        drifts = x[:, self.voxels]
        logs = [self._parameters(xi, float(b), None).log_proliferation for xi, b in zip(theta, drifts, strict=True)]
        rate = float(per_s_to_per_day(np.exp(max(float(one.max()) for one in logs))))
        return dependence_warnings(self, x, theta, u, (t0, t1), rate, slice(0, self.voxels), size)

    def _spans(self, u: Events, t0: float, t1: float) -> Iterator[tuple[GrowthModel, Values | None]]:
        """Yield the growth models of the pieces of a step, each under one stress."""
        names = [one.name.removeprefix(KILL) for one in self.unknowns.single if one.name.startswith(KILL)]
        inside = () if self.stress is None else tuple(day for day in self.stress.days if t0 < day < t1)
        for span in pairwise((t0, *inside, t1)):
            model = interval_model(self.dynamics.place, u, names, span, self.settings)
            yield replace(model, step_s=STEP_S), None if self.stress is None else self.stress.on(span[0])

    def _parameters(self, theta: Values, drift: float, stress: Values | None) -> Parameters:
        own = self.dynamics
        xi = theta[: own.unknowns.size]
        free = growth_parameters(own.unknowns, xi, own.white, own.growth_shapes, own.kill_1_g, drift)
        if stress is not None and SLOWING in own.unknowns.names:
            free = replace(free, log_diffusivity=free.log_diffusivity - slowed(own.unknowns, xi, stress))
        return own.fronts.corrected(free)

    def _demand_parameters(self, u: Events) -> None:
        names = self.unknowns.names
        missing = [f"the drug {one.drug}" for one in u.drug_doses if KILL + one.drug not in names]
        missing += ["radiotherapy"] if u.irradiations and ALPHA not in names else []
        if missing:
            raise InputError(
                "treatments",
                found=f"{missing[0]}, for whose effect this tumour's twin has no parameter",
                expected=f"treatments that the history of {self.history.subject} holds",
                advice="Add the treatment, also as planned, to the history, and build the twin anew.",
            )


def lattice_parameters(layout: Unknowns, settings: TwinSettings) -> tuple[Unknown, ...]:
    """Return the parameters of the lattice rung in the order of theta.

    Args:
        layout: layout of xi, without drifts.
        settings: settings of the twin, with the size of the front model error.
    """
    kinds = (("outline_shape", layout.shapes), ("growth_shape", layout.fields), ("stiffness_shape", layout.modes))
    shapes = [Unknown(f"{name}_{number}", 0.0, 1.0, "mm") for name, count in kinds for number in range(count)]
    q = settings.front_error_mm
    sizes = [Unknown(FRONT_ERROR, float(np.log(mm_to_m(q))), settings.front_error_log_std)] if q > 0.0 else []
    return (*layout.single, *shapes, *sizes)
