"""Conversions between files and solvers; a wrong factor here would scale every map."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from palpate import units
from palpate.units import hz_to_rad_s, kpa_to_pa, m_to_mm, m_to_um, mm_to_m, pa_to_kpa, um_to_m

type Conversion = Callable[[float], float]


@pytest.mark.parametrize(
    ("there", "back", "one"),
    [
        (kpa_to_pa, pa_to_kpa, 1e3),
        (mm_to_m, m_to_mm, 1e-3),
        (um_to_m, m_to_um, 1e-6),
        (units.days_to_s, units.s_to_days, 86400.0),
        (units.per_day_to_per_s, units.per_s_to_per_day, 1.0 / 86400.0),
        (units.mm2_day_to_m2_s, units.m2_s_to_mm2_day, 1e-6 / 86400.0),
    ],
)
def test_round_trip_and_scale(there: Conversion, back: Conversion, one: float) -> None:
    """Each pair inverts itself and one unit has the size SI gives it, for numbers and for complex arrays."""
    assert there(1.0) == one
    values = np.array([0.0, 1.5 - 2.0j, 3e-4])
    np.testing.assert_allclose(back(there(values)), values, rtol=1e-15)  # type: ignore[arg-type]


def test_angular_frequency() -> None:
    """The one place where 2 pi enters: one turn a second."""
    assert hz_to_rad_s(1.0) == pytest.approx(2.0 * np.pi, rel=1e-15)


def test_drugs() -> None:
    """An amount over a volume is a concentration, in files' units and in SI: 3 mg in 2 L are 1.5 mg/L."""
    assert units.mg_to_kg(3.0) / 2e-3 == pytest.approx(units.mg_l_to_kg_m3(1.5), rel=1e-15)
