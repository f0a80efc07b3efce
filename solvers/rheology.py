"""Rheological models: two parameters a voxel give G* at every frequency of a run.

The inverted fields are m = (ln G'/g, ln G''/g) at a reference frequency omega_0, whatever the rheology, so that prior,
posterior and draws do not depend on it. A rheology gives m at another frequency, with L = ln(omega / omega_0):

    Kelvin-Voigt   G* = G' + i omega eta       m_1,            m_2 + L
    springpot      G* = K (i omega)^alpha      m_1 + alpha L,  m_2 + alpha L,   tan(pi alpha / 2) = G'' / G'

and the Jacobian dm(omega) / dm, by which gradients and curvatures are pulled back (docs/theory/rheology.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from palpate.config.inversion import InversionSettings
from palpate.solvers.summary import Summary, log_normal, of_draws, of_increasing
from palpate.units import hz_to_rad_s

SPRINGPOT_VISCOSITY_PA_S = 1.0
"""Viscosity eta at which the springpot's modulus mu is stated, G* = mu^(1 - alpha) eta^alpha (i omega)^alpha."""

LARGEST_EXPONENT = 0.9
"""Exponent alpha from which on mu is not reported: tissue is nearly a fluid, and 1 % of error in |G*| is 10 % in mu."""


class Rheology(Protocol):
    """Rheological model with two parameters a voxel, which are ln G' and ln G'' at one frequency."""

    def at(self, fields: NDArray[np.float64], log_ratio: float) -> NDArray[np.float64]:
        """Return the fields at another frequency.

        Args:
            fields: ln G' and ln G'' at the reference, in any common unit, shape (2, ...).
            log_ratio: L = ln(omega / omega_0).
        """

    def jacobian(self, fields: NDArray[np.float64], log_ratio: float) -> NDArray[np.float64]:
        """Return the derivative of `at` with respect to the fields, row and column first, shape (2, 2, ...)."""

    def parameters(
        self, fields: NDArray[np.float64], draws: NDArray[np.float64], omega: float
    ) -> Mapping[str, Summary]:
        """Return the posterior of the law's own parameters by name, SI units.

        Args:
            fields: ln G' and ln G'' in pascal at the reference, shape (2, N).
            draws: joint draws of these fields, shape (2, N, count).
            omega: reference omega_0, radians per second.
        """


@dataclass(frozen=True, slots=True)
class KelvinVoigt:
    """Spring in parallel with a dashpot: G' is the same at every frequency and G'' = omega eta."""

    def at(self, fields: NDArray[np.float64], log_ratio: float) -> NDArray[np.float64]:
        """Return (m_1, m_2 + L)."""
        return np.stack([fields[0], fields[1] + log_ratio])

    def jacobian(self, fields: NDArray[np.float64], log_ratio: float) -> NDArray[np.float64]:  # noqa: ARG002
        """Return the identity."""
        return np.multiply.outer(np.eye(2), np.ones(fields.shape[1:]))

    def parameters(
        self, fields: NDArray[np.float64], draws: NDArray[np.float64], omega: float
    ) -> Mapping[str, Summary]:
        """Return the viscosity eta = G'' / omega; the law's modulus is G' itself."""
        return {"viscosity": log_normal(fields[1] - np.log(omega), _spread(draws[1]))}


@dataclass(frozen=True, slots=True)
class Springpot:
    """Power law between spring (alpha = 0) and dashpot (alpha = 1): G* = K (i omega)^alpha.

    G* has the phase pi alpha / 2 at every frequency, so that G'' / G' at one of them gives alpha.
    """

    def at(self, fields: NDArray[np.float64], log_ratio: float) -> NDArray[np.float64]:
        """Return (m_1 + alpha L, m_2 + alpha L)."""
        return np.asarray(fields + log_ratio * _exponent(fields[1] - fields[0]))

    def jacobian(self, fields: NDArray[np.float64], log_ratio: float) -> NDArray[np.float64]:
        """Return I + L dalpha/dt [[-1, 1], [-1, 1]], t = m_2 - m_1, dalpha/dt = 1 / (pi cosh t).

        Its determinant is 1.
        """
        slope = log_ratio / (np.pi * np.cosh(fields[1] - fields[0]))
        return np.stack([np.stack([1.0 - slope, slope]), np.stack([-slope, 1.0 + slope])])

    def parameters(
        self, fields: NDArray[np.float64], draws: NDArray[np.float64], omega: float
    ) -> Mapping[str, Summary]:
        """Return the exponent alpha, and the modulus mu at the viscosity SPRINGPOT_VISCOSITY_PA_S.

        The logarithm of mu has the factor 1 / (1 - alpha) and is not normal, so that mu is summarised from the draws.
        It is NaN where the interval of alpha reaches LARGEST_EXPONENT.
        """
        alpha = of_increasing(_exponent, fields[1] - fields[0], _spread(draws[1] - draws[0]))
        defined = alpha.upper < LARGEST_EXPONENT
        modulus = np.full(draws.shape[1:], np.nan)
        modulus[defined] = np.exp(_log_modulus(draws[:, defined], omega))
        return {"springpotmodulus": of_draws(modulus), "springpotalpha": alpha}


def _exponent(log_loss_tangent: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the exponent alpha = (2 / pi) atan(G'' / G')."""
    return np.asarray(2.0 / np.pi * np.arctan(np.exp(log_loss_tangent)))


def _log_modulus(fields: NDArray[np.float64], omega: float) -> NDArray[np.float64]:
    """Return the value of ln mu from |G*| = mu^(1 - alpha) (eta omega)^alpha."""
    size = 0.5 * np.logaddexp(2.0 * fields[0], 2.0 * fields[1])
    alpha = _exponent(fields[1] - fields[0])
    return np.asarray((size - alpha * np.log(SPRINGPOT_VISCOSITY_PA_S * omega)) / (1.0 - alpha))


def _spread(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(draws.std(axis=-1, ddof=1))


@dataclass(frozen=True, slots=True)
class Dispersion:
    """Map from the inverted fields to those at one measured frequency.

    Attributes:
        rheology: rheological model.
        log_ratio: L = ln(omega / omega_0); at 0 every law is the identity.
        frequency: index of the frequency among those that are inverted together.
    """

    rheology: Rheology
    log_ratio: float
    frequency: int

    def at(self, fields: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the fields at this frequency from those at the reference, shape (2, ...)."""
        return self.rheology.at(fields, self.log_ratio)

    def back(self, fields: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the fields at the reference from those at this frequency, shape (2, ...)."""
        return self.rheology.at(fields, -self.log_ratio)

    def pull_back(self, fields: NDArray[np.float64], dual: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return derivatives by the fields at the reference: J^T times those by the fields at this frequency.

        Args:
            fields: fields at the reference at which J is evaluated, shape (2, n).
            dual: derivatives by the fields at this frequency, shape (2 n, k).
        """
        if self.log_ratio == 0.0:
            return dual
        jacobian = self.rheology.jacobian(fields, self.log_ratio)
        parts = dual.reshape(2, fields.shape[1], -1)
        return np.asarray(np.einsum("fgn,fnk->gnk", jacobian, parts).reshape(dual.shape))

    def spread(
        self, fields: NDArray[np.float64], spread: NDArray[np.float64], cross_correlation: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the standard deviations at this frequency, with J evaluated at `fields`, shape (2, n).

        Args:
            fields: fields at the reference, shape (2, n).
            spread: standard deviations at the reference, shape (2, n).
            cross_correlation: correlation of the two fields at a point, shape (2, 2).
        """
        scaled = self.rheology.jacobian(fields, self.log_ratio) * spread
        return np.asarray(np.sqrt(np.einsum("fgn,gh,fhn->fn", scaled, cross_correlation, scaled)))


RHEOLOGIES: Mapping[str, Rheology] = {"kelvin-voigt": KelvinVoigt(), "springpot": Springpot()}
"""Laws of frequency, by the value of inversion.rheology."""

AS_MEASURED = Dispersion(KelvinVoigt(), 0.0, 0)
"""Identity map for a single frequency, at which the fields are inverted."""


def reference_hz(settings: InversionSettings, frequencies_hz: Sequence[float]) -> float:
    """Return the frequency f_0 of the inverted fields, from the settings or as geometric mean of those measured."""
    return settings.reference_hz or float(np.prod(frequencies_hz) ** (1.0 / len(frequencies_hz)))


def dispersions(settings: InversionSettings, frequencies_hz: Sequence[float]) -> list[Dispersion]:
    """Return the map from the inverted fields to the moduli at each frequency.

    Args:
        settings: name of the rheology and its reference.
        frequencies_hz: frequencies of the wave fields that are inverted together.

    Raises:
        ValueError: several frequencies without a rheology.
    """
    if settings.rheology == "per-frequency":
        if len(frequencies_hz) != 1:
            raise ValueError(f"without a rheology one frequency at a time is inverted, not {len(frequencies_hz)}")
        return [AS_MEASURED]
    law, reference = RHEOLOGIES[settings.rheology], reference_hz(settings, frequencies_hz)
    return [Dispersion(law, float(np.log(f / reference)), i) for i, f in enumerate(frequencies_hz)]


def parameters_of(
    settings: InversionSettings,
    frequencies_hz: Sequence[float],
    log_mean: NDArray[np.float64],
    log_draws: NDArray[np.float64],
) -> Mapping[str, Summary]:
    """Return the posterior of the rheology's own parameters, SI units; none where each frequency is inverted alone.

    Args:
        settings: name of the rheology and its reference.
        frequencies_hz: frequencies of the wave fields that were inverted together.
        log_mean: ln G' and ln G'', pascal, at the reference, shape (2, N).
        log_draws: joint draws of these fields, shape (2, N, count).
    """
    if settings.rheology == "per-frequency":
        return {}
    omega = hz_to_rad_s(reference_hz(settings, frequencies_hz))
    return RHEOLOGIES[settings.rheology].parameters(log_mean, log_draws, omega)
