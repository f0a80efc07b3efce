"""Slices of a wave field that are copies, out of order, too far apart or alone, and pairs of components."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palpate.imaging.checks.wave_checks import wave_warnings
from palpate.imaging.wavefield import WaveField
from tests.imaging.shear_waves import shear_waves

THROUGH = np.eye(3)[2:]
SPACING_MM = 10.0


def exam(slices: int, *, seed: int = 0, noise: float = 0.03, spacing_mm: float = SPACING_MM) -> WaveField:
    """Waves of 30 mm through thick slices, one component."""
    affine_mm = np.diag([3.0, 3.0, spacing_mm, 1.0])
    whole = shear_waves(affine_mm, shape=(28, 24, slices), noise=noise, seed=seed)
    return replace(whole, displacement_m=whole.displacement_m[..., 2:], directions=THROUGH)


def codes(field: WaveField) -> list[str]:
    """Codes of the warnings, without that of the missing components."""
    return [one.code for one in wave_warnings(field) if one.code != "fewer-directions"]


def reordered(field: WaveField, order: list[int], turns: bool = False) -> WaveField:  # noqa: FBT001, FBT002
    """The field with its slices in another order, each at its own moment of the vibration."""
    waves = field.displacement_m[:, :, order]
    if turns:
        waves = waves * np.exp(2j * np.pi * np.random.default_rng(1).uniform(size=len(order)))[:, None]
    return replace(field, displacement_m=waves)


@pytest.mark.parametrize("turns", [False, True])
@pytest.mark.parametrize("slices", [4, 5, 8, 12])
def test_slices_in_order_raise_nothing(slices: int, turns: bool) -> None:  # noqa: FBT001
    """Whether or not all breath-holds began at one moment of the vibration; the reversed stack is as good."""
    field = exam(slices, seed=slices)
    assert codes(reordered(field, list(range(slices)), turns)) == []
    assert codes(reordered(field, list(range(slices))[::-1], turns)) == []


ORDERS = {
    "interleaved, even first": [0, 2, 4, 6, 1, 3, 5, 7],
    "interleaved, odd first": [1, 3, 5, 7, 0, 2, 4, 6],
    "halves in turn": [0, 4, 1, 5, 2, 6, 3, 7],
    "halves exchanged": [4, 5, 6, 7, 0, 1, 2, 3],
    "one out of place": [0, 6, 1, 2, 3, 4, 5, 7],
    "shuffled": [5, 2, 7, 0, 3, 6, 1, 4],
}


@pytest.mark.parametrize("turns", [False, True])
@pytest.mark.parametrize("name", ORDERS)
def test_slices_out_of_order_are_named(name: str, turns: bool) -> None:  # noqa: FBT001
    """The sentence states the order in which the waves go on from slice to slice, from either end."""
    field = reordered(exam(8, spacing_mm=6.0), ORDERS[name], turns)
    (found,) = [one for one in wave_warnings(field) if one.code != "fewer-directions"]
    assert found.code == "slices-out-of-order"
    right = [ORDERS[name].index(number) + 1 for number in range(8)]
    orders = [", ".join(map(str, one)) for one in (right, right[::-1])]
    assert any(f"in the order {one} the new" in found.sentence for one in orders)


def test_standing_waves_across_slices_raise_nothing() -> None:
    """A quarter of a wavelength apart, next but one neighbours are alike in antiphase; the order is right."""
    field = exam(8, spacing_mm=7.5)
    within = field.displacement_m[:, :, :1]
    other = exam(8, seed=1).displacement_m[:, :, :1]
    place = 2.0 * np.pi * np.arange(8)[:, None] / 4.0
    real, imaginary = field.noise_std_m * np.random.default_rng(5).normal(size=(2, *field.displacement_m.shape))
    waves = within * np.cos(place) + other * np.sin(place) + real + 1j * imaginary
    assert "slices-out-of-order" not in codes(replace(field, displacement_m=waves))


def test_waves_that_no_order_explains_raise_nothing() -> None:
    """Slices two wavelengths apart are alike by chance in some order: that is no fault of the export."""
    for seed in range(2):
        assert codes(exam(8, seed=seed, spacing_mm=45.0)) == ["slices-far-apart"]
    real, imaginary = 1e-6 * np.random.default_rng(0).normal(size=(2, 28, 24, 8, 1))
    assert "slices-out-of-order" not in codes(replace(exam(8), displacement_m=real + 1j * imaginary))


@pytest.mark.parametrize("components", [1, 3])
@pytest.mark.parametrize("order", [[0, 1, 1, 3], [0, 1, 2, 0], [0, 0, 1, 2]])
def test_a_slice_twice_is_named(order: list[int], components: int) -> None:
    """Its copy looks like a wave that does not change across slices."""
    whole = shear_waves(np.diag([3.0, 3.0, SPACING_MM, 1.0]), shape=(28, 24, 4), noise=0.03)
    field = whole if components == 3 else exam(4)
    twice = replace(field, displacement_m=field.displacement_m[:, :, order])
    assert "slice-twice" in codes(twice)
    copy = [at + 1 for at, number in enumerate(order) if order.count(number) == 2]
    (found,) = [one for one in wave_warnings(twice) if one.code == "slice-twice"]
    assert found.sentence.startswith(f"Slices {copy[0]} and {copy[1]} hold the same")


@pytest.mark.parametrize(
    ("gap_mm", "expected"), [(0.0, []), (5.0, []), (20.0, ["slices-far-apart"]), (40.0, ["slices-far-apart"])]
)
def test_gaps_are_judged_by_the_wave(gap_mm: float, expected: list[str]) -> None:
    """Half of 30 mm is the limit; beyond it the warning says what is not known and on what stiffness then rests."""
    field = replace(exam(4, spacing_mm=8.0 + gap_mm), slice_thickness_mm=8.0)
    assert codes(field) == expected
    for one in wave_warnings(field):
        if one.code == "slices-far-apart":
            assert f"{8.0 + gap_mm:g} mm apart" in one.sentence
            assert "within each slice" in one.advice


def test_a_region_in_a_narrow_strip_has_no_wavelength() -> None:
    """Where the modulus cannot be told, slices further apart than any tissue's waves allow are still named."""
    for spacing_mm, expected in ((10.0, []), (40.0, ["slices-far-apart"])):
        field = exam(4, spacing_mm=spacing_mm)
        strip = np.zeros_like(field.mask)
        strip[:, 10:12] = True
        assert codes(replace(field, mask=strip)) == expected


def test_a_region_on_one_slice_is_named() -> None:
    """And one that leaves slices out is judged by the slices that it holds."""
    field = exam(6)
    for kept, expected in (([2], ["one-slice"]), ([0, 1, 2], []), ([0, 3], ["slices-far-apart"])):
        mask = np.zeros_like(field.mask)
        mask[:, :, kept] = True
        assert codes(replace(field, mask=mask)) == expected


def two(field: WaveField, degrees: float) -> WaveField:
    """Two components, so many degrees apart."""
    angle = np.radians(degrees)
    axes = np.array([[0.0, 0.0, 1.0], [0.0, np.sin(angle), np.cos(angle)]])
    return replace(field, displacement_m=field.displacement_m @ axes.T, directions=axes)


@pytest.mark.parametrize(("degrees", "seed"), [(90.0, 0), (80.0, 1), (60.0, 2), (40.0, 3), (20.0, 4)])
def test_two_components_at_any_angle_raise_nothing(degrees: float, seed: int) -> None:
    """Right angles are no condition; directions that are close to each other hold nearly one motion by right."""
    whole = shear_waves(np.diag([3.0, 3.0, SPACING_MM, 1.0]), shape=(28, 24, 4), noise=0.03, seed=seed)
    assert codes(two(whole, degrees)) == []


@pytest.mark.parametrize("odd", [0, 1])
def test_one_of_two_components_that_is_noise_is_named(odd: int) -> None:
    """Its encoding was off; no divergence is needed to see that."""
    field = two(shear_waves(np.diag([3.0, 3.0, SPACING_MM, 1.0]), shape=(28, 24, 4), noise=0.03), 80.0)
    waves = field.displacement_m.copy()
    real, imaginary = np.random.default_rng(2).normal(scale=field.noise_std_m, size=(2, *field.mask.shape))
    waves[..., odd] = real + 1j * imaginary
    (found,) = [one for one in wave_warnings(replace(field, displacement_m=waves)) if one.code != "fewer-directions"]
    assert found.code == "component-without-wave"
    assert f"measured direction {odd + 1}" in found.sentence
    assert "the other one" in found.sentence


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_one_direction_measured_twice_is_named(sign: float) -> None:
    """The same wave with noise of its own, stated as two directions at right angles."""
    field = two(shear_waves(np.diag([3.0, 3.0, SPACING_MM, 1.0]), shape=(28, 24, 4), noise=0.02), 90.0)
    waves = field.displacement_m.copy()
    real, imaginary = np.random.default_rng(3).normal(scale=field.noise_std_m, size=(2, *field.mask.shape))
    waves[..., 1] = sign * waves[..., 0] + real + 1j * imaginary
    (found,) = [one for one in wave_warnings(replace(field, displacement_m=waves)) if one.code != "fewer-directions"]
    assert found.code == "component-twice"
    assert ("opposite sign" in found.sentence) == (sign < 0.0)
