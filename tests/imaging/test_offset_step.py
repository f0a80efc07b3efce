"""Time offsets: whatever an export loses, repeats or exchanges shows in the images, and sound ones pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.checks.offset_step import check_offset_times, demand_different_images, offset_times

SHAPE = (14, 12, 6)
MASK = np.ones(SHAPE, dtype=bool)


def _images(turns: NDArray[np.float64], noise: float, seed: int = 0) -> NDArray[np.float64]:
    """Unwrapped phase of smooth waves at these parts of a period, with drift of whole images, (3, offset, i, j, k)."""
    generator = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(generator.normal(size=(2, 3, *SHAPE)), (0, 0, 3, 3, 2))
    waves = (smooth[0] + 1j * smooth[1]) / smooth.std()
    moments = np.exp(2j * np.pi * turns)[None, :, None, None, None]
    drift = 0.3 * generator.normal(size=(3, turns.size, 1, 1, SHAPE[2]))
    return (waves[:, None] * moments).real + drift + noise * generator.normal(size=(3, turns.size, *SHAPE))


def _even(offsets: int) -> NDArray[np.float64]:
    return np.arange(offsets) / offsets


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.5, 3.0])
@pytest.mark.parametrize("offsets", [4, 5, 6, 8, 12])
def test_offsets_of_one_period_pass(offsets: int, noise: float) -> None:
    """At any noise, drift of whole images included: the expectation of noise is the same for all supposed times."""
    found = offset_times(_images(_even(offsets), noise), MASK)
    assert check_offset_times(found, offsets, "series 1") == ()


FAULTS = {
    "last of 8 missing": (np.arange(7) / 8, "the last of 8 offsets is missing"),
    "one of 8 missing": (np.delete(_even(8), 3), "offset 4 of 8 is missing"),
    "nine of eight": (np.arange(9) / 8, "one of 9 offsets is too many"),
    "two periods": (np.arange(8) / 4, "they cover 2 periods"),
    "half a period": (np.arange(8) / 16, "they cover half a period"),
    "last two of 8 missing": (np.arange(6) / 8, "the last 2 of 8 offsets are missing"),
    "two exchanged": (_even(8)[[0, 1, 4, 3, 2, 5, 6, 7]], "offsets 3 and 5 are exchanged"),
    "last of 5 missing": (np.arange(4) / 5, "the last of 5 offsets is missing"),
    "five of four": (np.arange(5) / 4, "one of 5 offsets is too many"),
    "four over two periods": (np.arange(4) / 2, "they cover 2 periods"),
    "four over half a period": (np.arange(4) / 8, "they cover half a period"),
    "last of 12 missing": (np.arange(11) / 12, "the last of 12 offsets is missing"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named(fault: str) -> None:
    """The cause must be named: a user exports again what is missing. Noise is that of a good scan, 2 % of the wave."""
    turns, words = FAULTS[fault]
    found = offset_times(_images(turns, 0.02), MASK)
    with pytest.raises(InputError) as refused:
        check_offset_times(found, turns.size, "series 1")
    assert words in refused.value.found


@pytest.mark.parametrize("direction", [0, 1, 2])
def test_offsets_exchanged_in_one_direction_are_refused(direction: int) -> None:
    """The other two directions must not hide it: a third of the displacement would be wrong."""
    images = _images(_even(8), 0.05)
    images[direction, [2, 4]] = images[direction, [4, 2]]
    with pytest.raises(InputError) as refused:
        check_offset_times(offset_times(images, MASK), 8, "series 1")
    assert f"offsets 3 and 5 are exchanged in direction {direction + 1}" in refused.value.found


def test_a_fault_that_noise_nearly_hides_is_said() -> None:
    """Between what is refused and what passes, the session goes on with a warning."""
    found = offset_times(_images(np.arange(7) / 8, 0.14), MASK)
    (warning,) = check_offset_times(found, 7, "series 1")
    assert warning.code == "offsets-not-one-period"
    assert "the last of 8 offsets is missing" in warning.sentence


def test_three_offsets_are_said_to_show_nothing() -> None:
    """Mean, cosine and sine fit any three numbers: silence would promise what nobody can know."""
    found = offset_times(_images(np.arange(3) / 4, 0.0), MASK)
    assert found is None
    (warning,) = check_offset_times(found, 3, "series 1")
    assert warning.code == "few-offsets"


def test_an_image_that_is_there_twice_is_refused() -> None:
    """As another offset or as another direction: noise makes every image its own."""
    phase = _images(_even(4), 0.1)
    whole = PhaseAcquisition(
        phase_rad=phase,
        magnitude=np.ones_like(phase),
        affine_mm=np.eye(4),
        frequency_hz=50.0,
        encoding_axes=np.eye(3),
        slice_time_s=None,
        menc_um_per_rad=None,
        run=0,
        facts={"series_number_phase": 46},
    )
    demand_different_images(whole)
    empty = phase.copy()
    empty[1] = 0.0
    with pytest.raises(InputError, match="direction 2 that hold one value"):
        demand_different_images(replace(whole, phase_rad=empty))
    for place in ((0, 3), (2, 1)):
        phase_rad = phase.copy()
        phase_rad[place] = phase[0, 1]
        copied = replace(whole, phase_rad=phase_rad)
        with pytest.raises(InputError, match=f"direction {place[0] + 1}, offset {place[1] + 1}") as refused:
            demand_different_images(copied)
        assert refused.value.where == "series 46"


@pytest.mark.parametrize("seed", range(20))
def test_times_that_explain_all_to_rounding_are_named(seed: int) -> None:
    """Repeated offsets without noise leave a residual of rounding, of either sign; a negative one ended as our bug."""
    generator = np.random.default_rng(seed)
    times = 2.0 * np.pi * np.array([0, 2, 0, 2]) / 4
    terms = generator.standard_normal((3, 6, 6, 6))
    phase = np.tensordot(np.stack([np.ones(4), np.cos(times), np.sin(times)], axis=1), terms, axes=1)
    assert offset_times(phase[None], np.ones((6, 6, 6), dtype=bool)).words
