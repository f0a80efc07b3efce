"""The unit conversions between files, which speak a user's units, and solvers, which speak SI. All live here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

type Number = float | complex | NDArray[np.floating] | NDArray[np.complexfloating]

PA_PER_KPA = 1e3
M_PER_MM = 1e-3
M_PER_UM = 1e-6


def kpa_to_pa[N: Number](value_kpa: N) -> N:
    """Kilopascal to pascal."""
    return _scaled(value_kpa, PA_PER_KPA)


def pa_to_kpa[N: Number](value_pa: N) -> N:
    """Pascal to kilopascal."""
    return _scaled(value_pa, 1.0 / PA_PER_KPA)


def mm_to_m[N: Number](value_mm: N) -> N:
    """Millimetre to metre."""
    return _scaled(value_mm, M_PER_MM)


def m_to_mm[N: Number](value_m: N) -> N:
    """Metre to millimetre."""
    return _scaled(value_m, 1.0 / M_PER_MM)


def um_to_m[N: Number](value_um: N) -> N:
    """Micrometre to metre."""
    return _scaled(value_um, M_PER_UM)


def m_to_um[N: Number](value_m: N) -> N:
    """Metre to micrometre."""
    return _scaled(value_m, 1.0 / M_PER_UM)


def hz_to_rad_s(frequency_hz: float) -> float:
    """Frequency f to angular frequency omega = 2 pi f, radians per second."""
    return 2.0 * float(np.pi) * frequency_hz


def _scaled[N: Number](value: N, factor: float) -> N:
    return value * factor  # type: ignore[return-value]
