"""Derived quantities are those of the plane wave that travels in the tissue, and have no value where it has none."""

from __future__ import annotations

import ast
import inspect

import numpy as np
import pytest

from palpate.imaging.derived import formulas
from palpate.imaging.derived.posterior import DerivedAttributes
from palpate.imaging.derived.quantities import DERIVED, Medium

RNG = np.random.default_rng(5)
STORAGE_PA, LOSS_PA = np.exp(RNG.normal(8.0, 1.0, 300)), np.exp(RNG.normal(6.5, 2.0, 300))
DENSITY, HERTZ = 1030.0, 60.0


def test_elastic_limit() -> None:
    """Without loss a wave has the speed of an elastic solid and does not decay."""
    none = np.zeros_like(STORAGE_PA)
    assert formulas.magnitude_pa(STORAGE_PA, none) == pytest.approx(STORAGE_PA, rel=1e-15)
    assert formulas.shear_stiffness_pa(STORAGE_PA, none) == pytest.approx(STORAGE_PA, rel=1e-15)
    assert formulas.wave_speed_m_per_s(STORAGE_PA, none, DENSITY) == pytest.approx(np.sqrt(STORAGE_PA / DENSITY))
    for zero in (
        formulas.attenuation_np_per_m(STORAGE_PA, none, DENSITY, HERTZ),
        formulas.phase_angle_rad(STORAGE_PA, none),
        formulas.loss_tangent(STORAGE_PA, none),
        formulas.damping_ratio(STORAGE_PA, none),
    ):
        assert np.array_equal(zero, none)


def test_plane_wave() -> None:
    """The wave exp(-i k x), k = omega sqrt(rho / G*), decays by alpha and has the phase speed c."""
    omega = 2.0 * np.pi * HERTZ
    k = omega * np.sqrt(DENSITY / (STORAGE_PA + 1j * LOSS_PA))
    speed = formulas.wave_speed_m_per_s(STORAGE_PA, LOSS_PA, DENSITY)
    decay = formulas.attenuation_np_per_m(STORAGE_PA, LOSS_PA, DENSITY, HERTZ)
    assert speed == pytest.approx(omega / k.real, rel=1e-12)
    assert decay == pytest.approx(-k.imag, rel=1e-9)
    step_m = 1e-3
    wave = np.exp(-1j * k * np.array([[0.0], [step_m]]))
    ratio = wave[1] / wave[0]
    assert decay == pytest.approx(-np.log(np.abs(ratio)) / step_m, rel=1e-6)
    assert omega / speed == pytest.approx(-np.angle(ratio) / step_m, rel=1e-9)


def test_small_loss_does_not_cancel() -> None:
    """|G*| - G' is nothing but rounding where G'' is a millionth of G'; alpha / k' is delta / 2 there."""
    storage, loss = np.array([3000.0]), np.array([3000.0e-9])
    decay = formulas.attenuation_np_per_m(storage, loss, DENSITY, HERTZ)
    k = 2.0 * np.pi * HERTZ / formulas.wave_speed_m_per_s(storage, loss, DENSITY)
    assert decay / k == pytest.approx(0.5e-9, rel=1e-9)


def test_attenuation_is_the_printed_formula() -> None:
    """The form that does not cancel equals the one that textbooks print."""
    size = np.hypot(STORAGE_PA, LOSS_PA)
    printed = 2.0 * np.pi * HERTZ * np.sqrt(DENSITY * (size - STORAGE_PA) / (2.0 * size**2))
    assert formulas.attenuation_np_per_m(STORAGE_PA, LOSS_PA, DENSITY, HERTZ) == pytest.approx(printed, rel=1e-6)


def test_quantities_agree_with_each_other() -> None:
    """Mu = rho c^2, tan delta = 2 xi, and G* comes back from magnitude and angle, and from mu and xi."""
    speed = formulas.wave_speed_m_per_s(STORAGE_PA, LOSS_PA, DENSITY)
    mu, xi = formulas.shear_stiffness_pa(STORAGE_PA, LOSS_PA), formulas.damping_ratio(STORAGE_PA, LOSS_PA)
    assert mu == pytest.approx(DENSITY * speed**2)
    assert formulas.loss_tangent(STORAGE_PA, LOSS_PA) == pytest.approx(2.0 * xi)
    modulus = formulas.magnitude_pa(STORAGE_PA, LOSS_PA) * np.exp(1j * formulas.phase_angle_rad(STORAGE_PA, LOSS_PA))
    assert modulus == pytest.approx(STORAGE_PA + 1j * LOSS_PA)
    ratio = np.sqrt(1.0 + 4.0 * xi**2)
    assert mu * (1.0 + ratio) / (2.0 * ratio**2) == pytest.approx(STORAGE_PA)


def test_scale_of_units() -> None:
    """Moduli and density in one factor leave speed, angles and ratios; attenuation is proportional to frequency."""
    one, other = Medium(HERTZ, DENSITY), Medium(3.0 * HERTZ, 7.0 * DENSITY)
    factors = {"magnitude": 7.0, "shear_stiffness": 7.0, "attenuation": 3.0}
    for key, quantity in DERIVED.items():
        before = quantity.of(STORAGE_PA / 1e3, LOSS_PA / 1e3, one)
        after = quantity.of(7.0 * STORAGE_PA / 1e3, 7.0 * LOSS_PA / 1e3, other)
        assert after == pytest.approx(factors.get(key, 1.0) * before), key


def test_kilopascal_and_si() -> None:
    """3 + 0.9i kPa at 1000 kg/m3 and 90 Hz, by hand: |G*| 3.132 kPa, c 1.789 m/s, alpha 46.4 Np/m, mu 3.200 kPa."""
    medium = Medium(90.0, 1000.0)
    by_hand = {
        "magnitude": 3.13209,
        "loss_tangent": 0.3,
        "wave_speed": 1.788732,
        "phase_angle": 0.291457,
        "attenuation": 46.39944,
        "damping_ratio": 0.15,
        "shear_stiffness": 3.199561,
    }
    assert by_hand.keys() == DERIVED.keys()
    for key, expected in by_hand.items():
        (found,) = DERIVED[key].of(np.array([3.0]), np.array([0.9]), medium)  # type: ignore[index]
        assert found == pytest.approx(expected, rel=1e-5), key


@pytest.mark.parametrize("key", [key for key in DERIVED if key != "magnitude"])
def test_undefined_is_nan(key: str) -> None:
    """Where G* vanishes there is no wave, no angle and no quotient; a number would pass for a measured one."""
    quantity = {str(name): one for name, one in DERIVED.items()}[key]
    with np.errstate(all="raise"):
        values = quantity.of(np.array([0.0, 2.0]), np.array([0.0, 0.5]), Medium(HERTZ, DENSITY))
    assert np.isnan(values[0])
    assert np.isfinite(values[1])
    assert quantity.undefined != "never"
    assert DERIVED["magnitude"].of(np.zeros(1), np.zeros(1), Medium(HERTZ, DENSITY)) == 0.0


def test_names_tell_the_unit() -> None:
    """Whoever reads an attribute or an argument must not look up its unit."""
    ends = {"kPa": "_kpa", "m/s": "_m_per_s", "rad": "_rad", "Np/m": "_np_per_m", "1": ""}
    attributes = {f"{key}{ends[one.unit]}" for key, one in DERIVED.items()}
    assert attributes <= set(dir(DerivedAttributes))
    for one in ast.parse(inspect.getsource(formulas)).body:
        if isinstance(one, ast.FunctionDef) and not one.name.startswith("_"):
            names = [argument.arg for argument in one.args.args]
            assert all(name.endswith(("_pa", "_kg_m3", "_hz")) for name in names), one.name
            assert one.name.endswith(("_pa", "_rad", "_per_s", "_per_m", "tangent", "ratio"))
