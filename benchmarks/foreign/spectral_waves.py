"""Time-harmonic shear waves in incompressible viscoelastic tissue, by Fourier series: no mesh, no elements, no DOLFINx.

On a periodic box the displacement u, solenoidal, and the pressure p obey

    div sigma(u) - grad p + rho omega^2 u = -f,    div u = 0,    sigma(u) = 2 G* eps(u) + fibres,

with the time convention exp(+i omega t). Around a uniform modulus G0 this is the Lippmann-Schwinger equation

    u_k = P_k [ f + div (sigma(u) - 2 G0 eps(u)) ]_k / (G0 k^2 - rho omega^2),    P_k = 1 - k k^T / k^2,

which is solved for all wave vectors k together by GMRES; derivatives are exact for what the grid resolves. Moduli that
jump are smoothed over about a cell of the grid (scenes.py), and the smoothed ones are the truth. Forces act outside
the region that is imaged only, where the images of the periodic box are therefore ordinary incoming waves.

Fibres along a unit vector a make the tissue transversely isotropic (Guidetti and Royston 2018, J Acoust Soc Am
144:2312; Tweten et al. 2015, J Biomech 48:4002), with e = a . eps a:

    sigma += 2 G* phi (a (eps a)^T + (eps a) a^T - 2 e a a^T) + 3 G* zeta e a a^T.

Shear in planes along the fibres has the modulus (1 + phi) G*, and an incompressible stretch along them (1 + zeta) 3 G*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.sparse.linalg import LinearOperator, gmres

DENSITY_KG_M3: Final = 1000.0
"""Density rho for which waves are computed, kg/m3."""

TOLERANCE: Final = 1e-5
"""Relative residual at which GMRES stops: far below the noise of any image."""

_PAIRS: Final = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


@dataclass(frozen=True, slots=True)
class Fibres:
    """Transversely isotropic part of a tissue.

    Attributes:
        direction: unit vector a, shape (3,).
        shear: excess phi of the shear modulus in planes along the fibres, shape of the grid.
        tensile: excess zeta of Young's modulus along the fibres, shape of the grid.
    """

    direction: NDArray[np.float64]
    shear: NDArray[np.float64]
    tensile: NDArray[np.float64]


class NotConvergedError(RuntimeError):
    """Failure of GMRES to solve for the waves."""


class SpectralTissue:
    """Tissue on a periodic grid, whose waves can be computed.

    Args:
        modulus_pa: complex shear modulus G*, pascal, shape of the grid (n_x, n_y, n_z).
        spacing_m: spacing of the grid along its axes, metre, shape (3,).
        frequency_hz: frequency f of the drive, hertz.
        fibres: transversely isotropic part; None for isotropic tissue.
    """

    def __init__(
        self,
        modulus_pa: NDArray[np.complex128],
        spacing_m: NDArray[np.float64],
        frequency_hz: float,
        fibres: Fibres | None = None,
    ) -> None:
        self._shape = modulus_pa.shape
        self._modulus = modulus_pa
        self._fibres = fibres
        self._reference = _middle(modulus_pa, fibres)
        lines = [_wave_numbers(n, h) for n, h in zip(self._shape, spacing_m, strict=True)]
        self._k = np.stack(np.meshgrid(*lines, indexing="ij"))
        squared = np.sum(self._k**2, axis=0)
        self._direction = self._k / np.sqrt(np.where(squared > 0, squared, 1.0))
        self._green = 1.0 / (self._reference * squared - DENSITY_KG_M3 * (2.0 * np.pi * frequency_hz) ** 2)

    def waves(self, force: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Return the displacement under a force.

        Args:
            force: force per volume f, newton per cubic metre, shape (3, n_x, n_y, n_z).

        Returns:
            Displacement u, metre, shape (3, n_x, n_y, n_z).

        Raises:
            NotConvergedError: GMRES did not reach the tolerance.
        """
        load = self._answer(_forward(force))
        size = load.size

        def act(vector: NDArray[np.complex128]) -> NDArray[np.complex128]:
            waves = vector.reshape(load.shape)
            return np.asarray((waves - self._answer(self._excess(waves))).ravel())

        operator = LinearOperator((size, size), matvec=act, dtype=np.complex128)
        found, failed = gmres(operator, load.ravel(), rtol=TOLERANCE, restart=40, maxiter=25)
        if failed:
            raise NotConvergedError(f"the waves did not converge in {failed} restarts")
        return _backward(found.reshape(load.shape))

    def _answer(self, force: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Return the Fourier series of the uniform reference tissue's waves under the Fourier series of a force."""
        along = np.sum(self._direction * force, axis=0)
        return np.asarray((force - self._direction * along) * self._green)

    def _excess(self, waves: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Return the Fourier series of div (sigma(u) - 2 G0 eps(u)) for the Fourier series of u."""
        strain = [_backward(0.5j * (self._k[i] * waves[j] + self._k[j] * waves[i])) for i, j in _PAIRS]
        stress = [2.0 * (self._modulus - self._reference) * part for part in strain]
        if self._fibres is not None:
            stress = [a + b for a, b in zip(stress, _fibre_stress(self._modulus, self._fibres, strain), strict=True)]
        force = np.zeros_like(waves)
        for (i, j), part in zip(_PAIRS, stress, strict=True):
            series = 1j * _forward(part)
            force[i] += self._k[j] * series
            if i != j:
                force[j] += self._k[i] * series
        return force


def _fibre_stress(
    modulus: NDArray[np.complex128], fibres: Fibres, strain: list[NDArray[np.complex128]]
) -> list[NDArray[np.complex128]]:
    """Return the fibres' part of the stress, six components as in _PAIRS."""
    full = dict(zip(_PAIRS, strain, strict=True))
    a = fibres.direction
    bent = [sum(full[min(i, j), max(i, j)] * a[j] for j in range(3)) for i in range(3)]
    stretch = sum(bent[i] * a[i] for i in range(3))
    shear, tensile = 2.0 * modulus * fibres.shear, 3.0 * modulus * fibres.tensile
    return [
        shear * (a[i] * bent[j] + a[j] * bent[i] - 2.0 * a[i] * a[j] * stretch) + tensile * a[i] * a[j] * stretch
        for i, j in _PAIRS
    ]


def _middle(modulus: NDArray[np.complex128], fibres: Fibres | None) -> complex:
    """Return the modulus halfway between the extremes, about which the series converges fastest."""
    stiffest = modulus if fibres is None else modulus * (1.0 + np.maximum(fibres.shear, fibres.tensile))
    low, high = modulus.real.min(), stiffest.real.max()
    return complex(0.5 * (low + high), 0.5 * (modulus.imag.min() + stiffest.imag.max()))


def _wave_numbers(count: int, spacing_m: float) -> NDArray[np.float64]:
    """Return wave numbers of a line, 1/m; that at which a derivative is undefined (Nyquist) counts as 0."""
    numbers = 2.0 * np.pi * fft.fftfreq(count, spacing_m)
    if count % 2 == 0:
        numbers[count // 2] = 0.0
    return np.asarray(numbers)


def _forward(values: NDArray[np.complex128]) -> NDArray[np.complex128]:
    return np.asarray(fft.fftn(values, axes=(-3, -2, -1)))


def _backward(series: NDArray[np.complex128]) -> NDArray[np.complex128]:
    return np.asarray(fft.ifftn(series, axes=(-3, -2, -1)))
