"""A small scan of a known vibration, without a finite element in sight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.config.phantom import PhantomSettings
from palpate.imaging.phantom.grid import ScanGrid, block, rotation
from palpate.imaging.phantom.tissue import Head


@dataclass(frozen=True)
class Vibration:
    """A head that is one block of tissue, and how it moves.

    Attributes:
        settings: of the patient; tests change what they are about.
        head: tissue.
        grid: voxels, oblique.
        displacement_m: U, shape (i, j, k, 3), metres.
    """

    settings: PhantomSettings
    head: Head
    grid: ScanGrid
    displacement_m: NDArray[np.complex128]


@pytest.fixture
def vibration() -> Vibration:
    """Crossing waves of 10 um in an oblique block of 16 x 14 x 5 voxels."""
    return crossing_waves()


def crossing_waves() -> Vibration:
    """What the fixture gives, for tests that make it once for several."""
    settings = PhantomSettings(lesion=None, background_rad=0.5)
    axes = rotation(settings.tilt_deg) @ np.diag([-1.0, -1.0, 1.0])
    grid = block(np.array([-12.0, 5.0, 20.0]), axes, (16, 14, 5), 2.0)
    shape = (60, 60, 40)
    affine = np.eye(4)
    affine[:3, 3] = [-42.0, -25.0, 0.0]
    head = Head(
        modulus_kpa=np.full(shape, 2.4 + 0.9j),
        magnitude=np.ones(shape),
        t1=np.ones(shape),
        brain=np.ones(shape, dtype=np.bool_),
        tissue=np.ones(shape, dtype=np.uint8),
        affine_mm=affine,
    )
    points = grid.points_mm
    waves = np.exp(-0.2j * points[..., :1]) * [0, 6, 4j] + np.exp(-0.18j * points[..., 2:]) * [5j, 3, 0]
    return Vibration(settings, head, grid, 1e-6 * waves)
