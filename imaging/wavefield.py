"""The wave field: the complex displacement that every later step starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.plausible import demand_density, demand_frequency, demand_voxels

ASSUMED_DENSITY_KG_M3: Final = 1000.0
"""What elastography takes where nobody knows: that of water."""


@dataclass(frozen=True, slots=True)
class WaveField:
    """One run's displacement at one frequency, u(t) = Re(U exp(+i omega t)).

    Attributes:
        displacement_m: U, complex, shape (i, j, k, 3), metres, components along the world axes R, A, S.
        mask: tissue voxels, bool, shape (i, j, k).
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4); may be oblique and anisotropic.
        frequency_hz: f, of the actuator; omega = 2 pi f.
        noise_std_m: sigma, standard deviation of the real and of the imaginary part of each component,
            metres; None where nobody measured or stated it.
        density_kg_m3: rho.
        label: the file-name stem of BIDS entities, such as "sub-01_ses-01" or "sub-01_ses-01_run-2".
        drift_std_m: root mean square of the error that is linear in space within each slice (axis k), of the real and
            of the imaginary part of each component, metres: whole images whose phase shifts or tilts.
        density_assumed: whether rho is the usual assumption, because nobody knew it.
        motion_encoding_known: whether U is in metres; false where its unit is arbitrary, because nobody knew the motion
            encoding.
        slice_thickness_mm: thickness of the excited slices; None where it is not stated: the spacing then.
        acquired_matrix: columns and rows that the scanner measured, before it interpolated; None where not stated.
    """

    displacement_m: NDArray[np.complex128]
    mask: NDArray[np.bool_]
    affine_mm: NDArray[np.float64]
    frequency_hz: float
    noise_std_m: float | None
    density_kg_m3: float
    label: str
    drift_std_m: float = 0.0
    density_assumed: bool = False
    motion_encoding_known: bool = True
    slice_thickness_mm: float | None = None
    acquired_matrix: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Refuse what no later step can use, whoever made the wave field.

        Raises:
            ValueError: shapes disagree.
            InputError: frequency, density or voxels are in another unit, or the mask is empty or holds values that
                are not finite.
        """
        if self.displacement_m.shape != (*self.mask.shape, 3):
            raise ValueError(f"displacement {self.displacement_m.shape} and mask {self.mask.shape} do not fit")
        demand_frequency(self.label, self.frequency_hz)
        demand_density(self.label, self.density_kg_m3)
        demand_voxels(self.label, self.affine_mm)
        inside = self.displacement_m[self.mask]
        bad = int(np.count_nonzero(~np.isfinite(inside)))
        if bad or not inside.size:
            raise InputError(
                self.label,
                found=f"{bad} values that are not finite inside the mask" if bad else "an empty mask",
                expected="finite displacement in every voxel of a mask that is not empty",
                advice="Leave voxels without a measurement out of the mask.",
            )

    @property
    def voxel_size_mm(self) -> NDArray[np.float64]:
        """Edge lengths of a voxel along i, j, k, in millimetres."""
        return np.asarray(np.linalg.norm(self.affine_mm[:3, :3], axis=0))
