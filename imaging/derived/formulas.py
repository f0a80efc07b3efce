"""Formulas of quantities that follow from the complex shear modulus G* = G' + iG'' of an isotropic tissue.

A plane shear wave in it is exp(i omega t - i k x) with the complex wavenumber k = omega sqrt(rho / G*) (time convention
exp(+i omega t)). Arrays are broadcast against each other. A value is NaN where a formula divides by zero, and where an
argument is NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

type Values = NDArray[np.floating]


def magnitude_pa(storage_pa: Values, loss_pa: Values) -> Values:
    """Return the magnitude of the complex shear modulus, |G*| = sqrt(G'^2 + G''^2), pascal.

    Elastography of the liver calls it stiffness. Source: Ferry, Viscoelastic Properties of Polymers, 3rd edition
    (1980), chapter 1.

    Args:
        storage_pa: storage modulus G', pascal.
        loss_pa: loss modulus G'', pascal.
    """
    return np.asarray(np.sqrt(np.square(storage_pa) + np.square(loss_pa)))  # three times as fast as np.hypot


def phase_angle_rad(storage_pa: Values, loss_pa: Values) -> Values:
    """Return the phase angle by which strain lags behind stress, delta = atan2(G'', G'), radian.

    0 for an elastic solid, pi / 2 for a viscous fluid. It is NaN where G* = 0. Source: Ferry (1980), chapter 1.

    Args:
        storage_pa: storage modulus G', pascal.
        loss_pa: loss modulus G'', pascal.
    """
    angle = np.arctan2(loss_pa, storage_pa)
    return np.asarray(np.where(np.hypot(storage_pa, loss_pa) == 0.0, np.asarray(np.nan, angle.dtype), angle))


def loss_tangent(storage_pa: Values, loss_pa: Values) -> Values:
    """Return the loss tangent, tan delta = G'' / G', a ratio. It is NaN where G' = 0.

    Source: Ferry (1980), chapter 1.

    Args:
        storage_pa: storage modulus G', pascal.
        loss_pa: loss modulus G'', pascal.
    """
    return _ratio(loss_pa, storage_pa)


def damping_ratio(storage_pa: Values, loss_pa: Values) -> Values:
    """Return the damping ratio, xi = G'' / (2 G'), a ratio. It is NaN where G' = 0.

    Nonlinear inversion (NLI) reports it. Source: McGarry and Van Houten, Medical and Biological Engineering and
    Computing 46 (2008) 759.

    Args:
        storage_pa: storage modulus G', pascal.
        loss_pa: loss modulus G'', pascal.
    """
    return _ratio(0.5 * loss_pa, storage_pa)


def shear_stiffness_pa(storage_pa: Values, loss_pa: Values) -> Values:
    """Return the shear stiffness, mu = 2 |G*|^2 / (G' + |G*|) = rho c^2, pascal.

    It is the modulus of an elastic tissue in which waves have the same speed c. The literature of nonlinear inversion
    (NLI) reports it as mu, beside the damping ratio xi. It is not G': the way back is G' = mu (1 + r) / (2 r^2) and
    G'' = 2 xi G' with r = sqrt(1 + 4 xi^2). It is NaN where no wave travels (G' + |G*| = 0). Source: Manduca and
    others, Medical Image Analysis 5 (2001) 237.

    Args:
        storage_pa: storage modulus G', pascal.
        loss_pa: loss modulus G'', pascal.
    """
    size = np.hypot(storage_pa, loss_pa)
    return _ratio(2.0 * size**2, storage_pa + size)


def wave_speed_m_per_s(storage_pa: Values, loss_pa: Values, density_kg_m3: ArrayLike) -> Values:
    """Return the phase speed of shear waves, c = omega / Re k = sqrt(2 |G*|^2 / (rho (G' + |G*|))), metres per second.

    It is NaN where no wave travels (G' + |G*| = 0). Source: Manduca and others, Medical Image Analysis 5 (2001) 237.

    Args:
        storage_pa: storage modulus G', pascal.
        loss_pa: loss modulus G'', pascal.
        density_kg_m3: density rho, kilogram per cubic metre.
    """
    return np.asarray(np.sqrt(shear_stiffness_pa(storage_pa, loss_pa) / np.asarray(density_kg_m3)))


def attenuation_np_per_m(
    storage_pa: Values, loss_pa: Values, density_kg_m3: ArrayLike, frequency_hz: ArrayLike
) -> Values:
    """Return the attenuation, alpha = -Im k = omega sqrt(rho (|G*| - G') / (2 |G*|^2)), neper per metre.

    The amplitude falls as exp(-alpha x). |G*| - G' is computed as G''^2 / (|G*| + G'), which does not cancel where G''
    is small; the sign is that of G''. It is NaN where no wave travels (G' + |G*| = 0). Source: Manduca and others,
    Medical Image Analysis 5 (2001) 237.

    Args:
        storage_pa: storage modulus G', pascal.
        loss_pa: loss modulus G'', pascal.
        density_kg_m3: density rho, kilogram per cubic metre.
        frequency_hz: frequency omega / (2 pi) of the vibration, hertz.
    """
    size = np.hypot(storage_pa, loss_pa)
    of_density = np.sqrt(_ratio(np.asarray(density_kg_m3), 2.0 * (size + storage_pa)))
    return np.asarray(2.0 * np.pi * np.asarray(frequency_hz) * _ratio(loss_pa, size) * of_density)


def _ratio(numerator: ArrayLike, denominator: Values) -> Values:
    """Return a quotient, NaN where the denominator is zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = np.divide(numerator, denominator)
    return np.asarray(np.where(denominator == 0.0, np.asarray(np.nan, quotient.dtype), quotient))
