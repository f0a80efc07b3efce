"""Faults of one component, or of one part, against the others: each is named, sound waves stay without a word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from palpate.imaging.checks.component_checks import check_components
from palpate.imaging.checks.component_forms import ComponentForms
from palpate.imaging.checks.component_frames import component_frames
from palpate.imaging.checks.component_times import ComponentTimes, component_times
from palpate.imaging.checks.gradient_moments import GradientMoments, divergence_over_curl, gradient_moments
from palpate.imaging.wavefield import WaveField
from tests.imaging.shear_waves import OBLIQUE, shear_waves

ROTATED = np.linalg.qr(np.array([[1.0, 0.4, -0.3], [0.2, 1.0, 0.5], [0.1, -0.6, 1.0]]))[0]
"""Encoding directions along neither the world's nor the image's axes, in rows."""


def _moments(field: WaveField) -> GradientMoments:
    found = gradient_moments(field)
    assert found is not None
    return found


def _best_shift(field: WaveField) -> ComponentTimes:
    """Return the best reading of a field with its components shifted in time."""
    moments = _moments(field)
    forms = [ComponentForms.of(moments, frame) for frame in component_frames(field, ROTATED)]
    return component_times(divergence_over_curl(moments.proper.real), forms)[0]


def _encoded(field: WaveField, number: int, factor: complex = 1.0, *, backwards: bool = False) -> WaveField:
    """A field of which one encoding direction is turned by a factor, or conjugated before."""
    encoded = field.displacement_m @ ROTATED.T
    one = encoded[..., number]
    encoded[..., number] = factor * (one.conj() if backwards else one)
    return replace(field, displacement_m=encoded @ np.linalg.inv(ROTATED).T)


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("seed", range(5))
def test_sound_waves_raise_nothing(seed: int, noise: float) -> None:
    """Whatever frames the components are looked at in, and also where noise is a third of the waves."""
    field = shear_waves(OBLIQUE, noise=noise, seed=seed)
    assert check_components(field, ROTATED) == ()
    assert check_components(replace(field, noise_std_m=None), ROTATED) == ()


@pytest.mark.parametrize("offsets", [1, -1, 3])
@pytest.mark.parametrize("number", range(3))
def test_a_direction_at_other_offsets_is_named_with_its_shift(number: int, offsets: int) -> None:
    """One offset of eight later makes stiffness wrong by a third; direction and shift stand in the sentence."""
    faulty = _encoded(shear_waves(noise=0.03, seed=number), number, np.exp(2j * np.pi * offsets / 8))
    (warning,) = check_components(faulty, ROTATED)
    assert warning.code == "component-times"
    assert f"encoding direction {number + 1} were" in warning.sentence
    assert ("ahead of" if offsets > 0 else "behind") in warning.sentence
    assert _best_shift(faulty).ahead_deg == pytest.approx(45.0 * offsets, abs=4.0)


@pytest.mark.parametrize("number", range(3))
def test_a_direction_backwards_in_time_is_named(number: int) -> None:
    """The other two keep the sum over components passive, so that the sign of time alone says nothing."""
    faulty = _encoded(shear_waves(noise=0.03, seed=number), number, np.exp(-1.75j * np.pi), backwards=True)
    (warning,) = check_components(faulty, ROTATED)
    assert warning.code == "component-times"
    assert f"encoding direction {number + 1} ran backwards" in warning.sentence


def test_a_reversed_direction_is_still_called_reversed() -> None:
    """Half a period is the same as the other sign; the simpler cause is said."""
    (warning,) = check_components(_encoded(shear_waves(noise=0.02), 1, -1.0), ROTATED)
    assert warning.code == "component-axes"
    assert "encoding direction 2 reversed" in warning.sentence


@pytest.mark.parametrize("scale", [0.25, 0.5, 2.0, 4.0])
@pytest.mark.parametrize("number", range(3))
def test_a_direction_of_another_scale_is_named(number: int, scale: float) -> None:
    """Half-scale phase of one direction passes every check of the phase's range where nothing wraps."""
    faulty = _encoded(shear_waves(noise=0.03, seed=number), number, scale)
    (warning,) = check_components(replace(faulty, noise_std_m=None), ROTATED)
    assert warning.code == "component-scale"
    assert f"if encoding direction {number + 1} were" in warning.sentence
    said = float(warning.sentence.split("were ")[1].split(" times")[0])
    assert said == pytest.approx(1.0 / scale, rel=0.25)


@pytest.mark.parametrize("number", range(3))
def test_a_direction_without_motion_encoding_is_named(number: int) -> None:
    """Noise in one direction leaves two thirds of the wave, and a stiffness that looks plausible."""
    field = shear_waves(noise=0.03, seed=number)
    encoded = field.displacement_m @ ROTATED.T
    real, imaginary = np.random.default_rng(number).standard_normal((2, *field.mask.shape))
    encoded[..., number] = 0.03 * np.abs(encoded).mean() * (real + 1j * imaginary)
    faulty = replace(field, displacement_m=encoded @ np.linalg.inv(ROTATED).T)
    (warning,) = check_components(faulty, ROTATED)
    assert warning.code == "component-without-wave"
    assert f"encoding direction {number + 1}: " in warning.sentence


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_direction_that_was_measured_twice_is_named(sign: float) -> None:
    """Repeats of a direction have noise of their own, so that no check for equal images finds them."""
    field = shear_waves(noise=0.03)
    encoded = field.displacement_m @ ROTATED.T
    real, imaginary = np.random.default_rng(1).standard_normal((2, *field.mask.shape))
    encoded[..., 1] = sign * encoded[..., 0] + 0.03 * np.abs(encoded).mean() * (real + 1j * imaginary)
    (warning,) = check_components(replace(field, displacement_m=encoded @ np.linalg.inv(ROTATED).T), ROTATED)
    assert warning.code == "component-twice"
    assert "ncoding direction 1 and 2 hold the same wave" in warning.sentence


@pytest.mark.parametrize("seed", range(4))
def test_waves_that_nothing_explains_are_called_so(seed: int) -> None:
    """Slices at times of their own, as free-running ones read backwards are, belong to no one fault of a component."""
    field = shear_waves(noise=0.02, seed=seed)
    turns = np.exp(2j * np.pi * np.random.default_rng(3 + seed).random(field.mask.shape[2]))
    (warning,) = check_components(replace(field, displacement_m=field.displacement_m * turns[:, None]))
    assert warning.code == "divergence"


@pytest.mark.parametrize("axis", range(3))
def test_a_mirrored_imaginary_part_is_named(axis: int) -> None:
    """Its cause cannot be told from a direction backwards in time by divergence: the sentence names both."""
    field = shear_waves(noise=0.02, seed=axis)
    mirrored = field.displacement_m.real + 1j * np.flip(field.displacement_m.imag, axis)
    (warning,) = check_components(replace(field, displacement_m=mirrored))
    assert warning.code == "component-times"
    assert f"component {'RAS'[axis]} ran backwards in time, or one of real and imaginary part" in warning.sentence


def _exchanged(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[..., [1, 0, 2]]


@pytest.mark.parametrize("part", ["real", "imaginary"])
def test_components_exchanged_in_one_part_are_named(part: str) -> None:
    """Each part is the displacement at an instant, and must lie in space like the other."""
    waves = shear_waves(noise=0.02, seed=3)
    real, imaginary = waves.displacement_m.real, waves.displacement_m.imag
    made = _exchanged(real) + 1j * imaginary if part == "real" else real + 1j * _exchanged(imaginary)
    (warning,) = check_components(replace(waves, displacement_m=made))
    assert warning.code == "parts-apart"
    assert f"component R and A exchanged in the {part} part alone" in warning.sentence


def test_moments_of_the_parts_are_those_of_fields_of_one_part() -> None:
    """Law: (M + Re P) / 2 and (M - Re P) / 2 are the second moments of real and imaginary part."""
    field = shear_waves(seed=2)
    moments = _moments(field)
    for part, values in (("real", field.displacement_m.real), ("imaginary", field.displacement_m.imag)):
        alone = _moments(replace(field, displacement_m=values.astype(np.complex128)))
        assert divergence_over_curl(moments.of_part(part)) == pytest.approx(
            divergence_over_curl(alone.proper.real), rel=1e-9
        )


def test_a_common_phase_and_reversal_change_nothing() -> None:
    """Law: only differences between components show; the time of all together is the sign-of-time check's."""
    field = shear_waves(seed=1)
    shifts = [
        _best_shift(one)
        for one in (
            field,
            replace(field, displacement_m=field.displacement_m * np.exp(1.1j)),
            replace(field, displacement_m=field.displacement_m.conj()),
        )
    ]
    assert [one.best for one in shifts] == pytest.approx([shifts[0].best] * 3, rel=1e-6)


@pytest.mark.parametrize("fault", ["without encoding", "twice"])
def test_faults_along_axes_a_degree_beside_the_worlds(fault: str) -> None:
    """A head that sways along one direction hides noise, or a copy, in the world's component beside it.

    The waves along R are nine times as large; the scanner's axes are off by 1.6 degrees, as on the real brain scan.
    """
    turned = Rotation.from_rotvec([0.008, 0.028, 0.004]).as_matrix()
    axes = turned[[2, 1, 0]] * np.array([1.0, -1.0, 1.0])[:, None]
    field = shear_waves(noise=0.02)
    waves = field.displacement_m + 9.0 * np.abs(field.displacement_m).mean() * np.array([1.0, 0.0, 0.0])
    encoded = waves @ axes.T
    real, imaginary = np.random.default_rng(1).standard_normal((2, *field.mask.shape))
    noise = 0.02 * np.abs(field.displacement_m).mean() * (real + 1j * imaginary)
    encoded[..., 0] = noise if fault == "without encoding" else encoded[..., 2] + noise
    (warning,) = check_components(replace(field, displacement_m=encoded @ axes), axes)
    assert warning.code == {"without encoding": "component-without-wave", "twice": "component-twice"}[fault]
    assert "component S" in warning.sentence or "omponent R and S" in warning.sentence
