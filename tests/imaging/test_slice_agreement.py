"""Shifts between slices of breath-holds of their own: found within the slices, told from the drift of an outline."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.imaging.exam_record import slices_of
from palpate.imaging.wavefield import WaveField
from tests.imaging.test_slice_checks import exam

VOXEL_MM = 3.0
WIDE = (56, 48)


def body(slices: int, *, drift_mm: float = 0.0, noise: float = 0.02) -> NDArray[np.float64]:
    """A body with a vessel and a coil's shading, whose outline drifts from slice to slice."""
    i, j = (VOXEL_MM * (np.indices(WIDE)[axis] - WIDE[axis] / 2.0) for axis in range(2))
    made = np.zeros((*WIDE, slices))
    for k in range(slices):
        x, y = i - drift_mm * k, j + 0.5 * drift_mm * k
        inside = (x / 66.0) ** 2 + (y / 54.0) ** 2 < 1.0
        vessel = np.hypot(x - 20.0, y - 10.0) < 9.0
        made[..., k] = 400.0 * inside * np.where(vessel, 0.3, 1.0) * np.exp(-x / 300.0)
    return np.abs(made + 400.0 * noise * np.random.default_rng(0).normal(size=made.shape))


def moved(values: NDArray[np.float64], slices: list[int], voxels: tuple[int, int]) -> NDArray[np.float64]:
    """The images with some slices moved within themselves."""
    found = values.copy()
    found[:, :, slices] = np.roll(values[:, :, slices], voxels, axis=(0, 1))
    return found


def field_of(slices: int) -> WaveField:
    """Waves of one component on the body's voxels."""
    waves = exam(slices)
    whole = np.resize(waves.displacement_m, (*WIDE, slices, 1))
    return replace(waves, displacement_m=whole, mask=np.ones((*WIDE, slices), dtype=bool))


@pytest.mark.parametrize("drift_mm", [0.0, 2.5])
@pytest.mark.parametrize("slices", [4, 8])
def test_a_steady_drift_raises_nothing(slices: int, drift_mm: float) -> None:
    """Bodies taper: their outline moves by as much from each slice to the next."""
    record, warnings = slices_of("exam", field_of(slices), body(slices, drift_mm=drift_mm))
    assert warnings == ()
    assert record is not None
    assert record["largest_jump_mm"] < 2.0


@pytest.mark.parametrize(
    ("drift_mm", "which", "voxels"),
    [
        (0.0, [2], (2, 0)),
        (0.0, [0], (0, 2)),
        (0.0, [3, 4, 5], (-3, 2)),
        (1.5, [2], (0, -2)),
        (1.5, [0, 1, 2], (3, 0)),
        (1.5, [5], (2, 2)),
    ],
)
def test_breath_holds_of_another_depth_are_named(drift_mm: float, which: list[int], voxels: tuple[int, int]) -> None:
    """One slice or half of them, by two voxels or more: the pairs that do not lie above each other, and how far."""
    images = moved(body(6, drift_mm=drift_mm), which, voxels)
    record, (warning,) = slices_of("exam", field_of(6), images)
    assert warning.code == "slices-moved"
    edges = [k for k in range(5) if (k in which) != (k + 1 in which)]
    assert f"Slices {', '.join(f'{k + 1} and {k + 2}' for k in edges)} do not" in warning.sentence
    assert record is not None
    assert record["largest_jump_mm"] == pytest.approx(VOXEL_MM * np.hypot(*voxels), abs=1.0)


def test_what_cannot_be_compared_is_not() -> None:
    """Three directions are not measured in breath-holds; without images of the same voxels nothing is known."""
    field = field_of(4)
    three = replace(field, displacement_m=np.repeat(field.displacement_m, 3, axis=-1), directions=None)
    for one, images in ((three, body(4)), (field, None), (field, body(4)[1:])):
        assert slices_of("exam", one, images) == (None, ())
