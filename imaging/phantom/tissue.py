"""True complex shear modulus and image contrast everywhere in the head.

On the 1 mm atlas each voxel is a mixture of grey matter, white matter, fluid and lesion; its modulus is the
weighted geometric mean

    log G'(x) = sum_t f_t(x) log G'_t + s(x) z_1(x),       likewise G'' with its own z_2,

with s = variation x share of solid tissue, and z Gaussian random fields of Matern covariance (smoothness 3/2),
so that the modulus varies smoothly within tissue; on request a second pair of fields varies from voxel to voxel.
Between voxel centres it is interpolated trilinearly.

White matter may be stiffer by phi in shear along its fibres than across: G* is then the isotropic part of the tensor,
(1 + 2/5 phi) times the modulus across, two of the five ways of shearing being along the fibres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from palpate.config.phantom import LesionSettings, PhantomSettings
from palpate.imaging.anatomy.atlas import Atlas
from palpate.imaging.files.nifti import WITHIN_A_VOXEL, voxel_indices
from palpate.imaging.phantom.grid import ScanGrid

TISSUES = ("grey matter", "white matter", "fluid", "lesion")
"""Names of the tissues, in the order of their numbers 1, 2, ..."""

FIBRES = (2**-0.5, 2**-0.5, 0.0)
"""Direction of the fibres of anisotropic white matter, world R, A, S."""

_FINE_MM = 2.0
"""Correlation length of the variation from voxel to voxel."""

_SHARED = 0.7
"""Share of the variation of G'' that follows G' (their residuals are correlated in atlases of healthy adults)."""


@dataclass(frozen=True, slots=True)
class Head:
    """Tissue of the in-silico patient on the atlas grid.

    Attributes:
        modulus_kpa: complex shear modulus G* = G' + i G'', kPa, shape (i, j, k).
        magnitude: relative MRE signal, zero in air, same shape.
        t1: relative T1-weighted signal, same shape.
        brain: whether a voxel is brain or its fluid, same shape.
        tissue: number of the tissue that prevails, TISSUES from 1 on, same shape.
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
        anisotropy: anisotropy phi of shear, same shape; None where all tissue is isotropic.
    """

    modulus_kpa: NDArray[np.complex128]
    magnitude: NDArray[np.float64]
    t1: NDArray[np.float64]
    brain: NDArray[np.bool_]
    tissue: NDArray[np.uint8]
    affine_mm: NDArray[np.float64]
    anisotropy: NDArray[np.float64] | None = None

    def modulus_kpa_at(self, points_mm: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Return G* at world points, shape (..., 3), in kPa."""
        return self._at(self.modulus_kpa.real, points_mm) + 1j * self._at(self.modulus_kpa.imag, points_mm)

    def modulus_kpa_in(self, grid: ScanGrid) -> NDArray[np.complex128]:
        """Return G* of voxels, in kPa.

        It is the mean of ln G' and of ln G'' over 27 points in each voxel, as tissues share a voxel in this head.

        Args:
            grid: grid of the voxels.

        Returns:
            G*, kPa, shape of the grid.
        """
        logs = np.zeros((2, *grid.shape))
        for offset_mm in WITHIN_A_VOXEL @ grid.affine_mm[:3, :3].T:
            modulus = self.modulus_kpa_at(grid.points_mm + offset_mm)
            logs += np.log([modulus.real, modulus.imag])
        storage, loss = np.exp(logs / len(WITHIN_A_VOXEL))
        return np.asarray(storage + 1j * loss)

    def anisotropy_at(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the anisotropy phi at world points, shape (..., 3)."""
        if self.anisotropy is None:
            return np.zeros(points_mm.shape[:-1])
        return self._at(self.anisotropy, points_mm)

    def magnitude_at(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the relative MRE signal at world points, shape (..., 3)."""
        return self._at(self.magnitude, points_mm)

    def t1_at(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the relative T1-weighted signal at world points, shape (..., 3)."""
        return self._at(self.t1, points_mm)

    def tissue_at(self, points_mm: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Return the number of the prevailing tissue at world points, shape (..., 3)."""
        indices = np.rint(voxel_indices(self.affine_mm, points_mm)).astype(int)
        inside = np.clip(indices, 0, np.array(self.tissue.shape) - 1)
        return np.asarray(self.tissue[tuple(np.moveaxis(inside, -1, 0))])

    @property
    def brain_points_mm(self) -> NDArray[np.float64]:
        """World coordinates of the atlas voxels inside the brain, mm, shape (n, 3)."""
        return np.asarray(np.argwhere(self.brain) @ self.affine_mm[:3, :3].T + self.affine_mm[:3, 3])

    def in_brain(self, points_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return whether world points, shape (..., 3), lie in the brain or its fluid."""
        return self._at(self.brain.astype(np.float64), points_mm) > 0.5

    def _at(self, values: NDArray[np.float64], points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        indices = voxel_indices(self.affine_mm, points_mm)
        return np.asarray(
            ndimage.map_coordinates(values, np.moveaxis(indices, -1, 0), order=1, mode="nearest"), dtype=np.float64
        )


def build_head(settings: PhantomSettings, atlas: Atlas) -> Head:
    """Give the atlas its moduli, its lesion and its image contrasts. Equal seeds give equal heads."""
    lesion = lesion_share(settings.lesion, atlas)
    healthy = 1.0 - lesion
    grey, white = atlas.grey * healthy, atlas.white * healthy
    fluid = np.clip(1.0 - grey - white - lesion, 0.0, 1.0)
    tissues = [(grey, settings.grey), (white, settings.white), (fluid, settings.fluid)]
    if settings.lesion is not None:
        tissues.append((lesion, settings.lesion.tissue))
    log_storage = sum((share * np.log(tissue.storage_kpa) for share, tissue in tissues), np.zeros(lesion.shape))
    log_loss = sum((share * np.log(tissue.loss_kpa) for share, tissue in tissues), np.zeros(lesion.shape))
    magnitude = sum((share * tissue.magnitude for share, tissue in tissues), np.zeros(lesion.shape))
    generator = np.random.default_rng([settings.seed, 1])
    spacing_mm = float(np.abs(np.linalg.det(atlas.affine_mm[:3, :3])) ** (1 / 3))
    scales = [(settings.variation, settings.correlation_mm), (settings.fine_variation, _FINE_MM)]
    for variation, correlation_mm in scales:
        if variation == 0.0:
            continue
        first = random_field(generator, lesion.shape, correlation_mm / spacing_mm)
        second = random_field(generator, lesion.shape, correlation_mm / spacing_mm)
        spread = variation * (1.0 - fluid)
        log_storage += spread * first
        log_loss += spread * (_SHARED * first + np.sqrt(1 - _SHARED**2) * second)
    return Head(
        modulus_kpa=np.exp(log_storage) + 1j * np.exp(log_loss),
        magnitude=magnitude * atlas.brain,
        t1=atlas.t1 * (1.0 - 0.3 * lesion),
        brain=atlas.brain,
        tissue=(1 + np.argmax([grey, white, fluid, lesion], axis=0)).astype(np.uint8),
        affine_mm=atlas.affine_mm,
        anisotropy=settings.anisotropy * white if settings.anisotropy else None,
    )


def lesion_share(lesion: LesionSettings | None, atlas: Atlas) -> NDArray[np.float64]:
    """Return the share of lesion in each atlas voxel, 0..1: a logistic step at the lesion's radius."""
    if lesion is None:
        return np.zeros(atlas.t1.shape)
    distance = np.linalg.norm(atlas.points_mm - np.asarray(lesion.centre_mm), axis=-1)
    steepness = np.clip((distance - lesion.radius_mm) / lesion.edge_mm, -50, 50)
    return np.asarray(1.0 / (1.0 + np.exp(steepness)) * atlas.brain)


def random_field(
    generator: np.random.Generator, shape: tuple[int, ...], correlation_voxels: float
) -> NDArray[np.float64]:
    """Draw a Gaussian random field with zero mean, unit variance and covariance (1 + a r) exp(-a r).

    The rate is a = sqrt(3) / length.

    White noise is filtered in Fourier space with the square root of the spectrum (a^2 + k^2)^-3; the field is
    periodic over the grid.

    Args:
        generator: source of the white noise.
        shape: shape of the grid, three numbers.
        correlation_voxels: correlation length, voxels.
    """
    white = generator.standard_normal(shape)
    frequencies = [2 * np.pi * fft.fftfreq(n) for n in shape[:-1]] + [2 * np.pi * fft.rfftfreq(shape[-1])]
    squared = sum(axis**2 for axis in np.meshgrid(*frequencies, indexing="ij", sparse=True))
    amplitude = (3.0 / correlation_voxels**2 + squared) ** -1.5
    field = fft.irfftn(fft.rfftn(white) * amplitude, s=shape)
    # Parseval: the expected variance of the filtered noise, without having to measure it on one draw.
    weights = np.full(amplitude.shape[-1], 2.0)
    weights[0] = 1.0
    if shape[-1] % 2 == 0:
        weights[-1] = 1.0
    variance = float((amplitude**2 * weights).sum() / np.prod(shape))
    return np.asarray(field / np.sqrt(variance))
