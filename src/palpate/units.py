"""All conversions between the units of files, which are a user's, and those of solvers, which are SI."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

type Number = float | complex | NDArray[np.floating] | NDArray[np.complexfloating]

PA_PER_KPA = 1e3
"""Pascal of a kilopascal."""
M_PER_MM = 1e-3
"""Metres of a millimetre."""
M_PER_UM = 1e-6
"""Metres of a micrometre."""
S_PER_DAY = 86400.0
"""Seconds of a day."""
KG_PER_MG = 1e-6
"""Kilograms of a milligram."""
KG_M3_PER_MG_L = 1e-3
"""Kilograms per cubic metre of a milligram per litre."""


def kpa_to_pa[N: Number](value_kpa: N) -> N:
    """Convert kilopascal to pascal."""
    return _scaled(value_kpa, PA_PER_KPA)


def pa_to_kpa[N: Number](value_pa: N) -> N:
    """Convert pascal to kilopascal."""
    return _scaled(value_pa, 1.0 / PA_PER_KPA)


def mm_to_m[N: Number](value_mm: N) -> N:
    """Convert millimetre to metre."""
    return _scaled(value_mm, M_PER_MM)


def m_to_mm[N: Number](value_m: N) -> N:
    """Convert metre to millimetre."""
    return _scaled(value_m, 1.0 / M_PER_MM)


def um_to_m[N: Number](value_um: N) -> N:
    """Convert micrometre to metre."""
    return _scaled(value_um, M_PER_UM)


def m_to_um[N: Number](value_m: N) -> N:
    """Convert metre to micrometre."""
    return _scaled(value_m, 1.0 / M_PER_UM)


def days_to_s[N: Number](value_days: N) -> N:
    """Convert days to seconds."""
    return _scaled(value_days, S_PER_DAY)


def s_to_days[N: Number](value_s: N) -> N:
    """Convert seconds to days."""
    return _scaled(value_s, 1.0 / S_PER_DAY)


def per_day_to_per_s[N: Number](value_1_day: N) -> N:
    """Convert a rate per day to a rate per second."""
    return _scaled(value_1_day, 1.0 / S_PER_DAY)


def per_s_to_per_day[N: Number](value_1_s: N) -> N:
    """Convert a rate per second to a rate per day."""
    return _scaled(value_1_s, S_PER_DAY)


def mm2_day_to_m2_s[N: Number](value_mm2_day: N) -> N:
    """Convert a diffusivity from square millimetre per day to square metre per second."""
    return _scaled(value_mm2_day, M_PER_MM**2 / S_PER_DAY)


def m2_s_to_mm2_day[N: Number](value_m2_s: N) -> N:
    """Convert a diffusivity from square metre per second to square millimetre per day."""
    return _scaled(value_m2_s, S_PER_DAY / M_PER_MM**2)


def mg_to_kg[N: Number](value_mg: N) -> N:
    """Convert an amount of a drug from milligram to kilogram."""
    return _scaled(value_mg, KG_PER_MG)


def mg_l_to_kg_m3[N: Number](value_mg_l: N) -> N:
    """Convert a concentration from milligram per litre to kilogram per cubic metre."""
    return _scaled(value_mg_l, KG_M3_PER_MG_L)


def hz_to_rad_s(frequency_hz: float) -> float:
    """Convert a frequency f, Hz, to the angular frequency omega = 2 pi f, radians per second."""
    return 2.0 * float(np.pi) * frequency_hz


def _scaled[N: Number](value: N, factor: float) -> N:
    return value * factor  # type: ignore[return-value]
