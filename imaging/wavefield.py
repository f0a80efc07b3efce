"""Wave field: the complex displacement from which every later step starts."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from palpate.errors import InputError
from palpate.imaging.limits.plausible import (
    demand_density,
    demand_frequency,
    demand_noise,
    demand_thickness,
    demand_voxels,
)
from palpate.imaging.own_array import ASSUMED_DENSITY_KG_M3 as ASSUMED_DENSITY_KG_M3
from palpate.imaging.own_array import WHERE, in_si_units


@dataclass(frozen=True, slots=True, init=False)
class WaveField:
    """Wave field of one run at one frequency, u(t) = Re(U exp(+i omega t)).

    `WaveField(displacement, affine_mm, frequency_hz, mask=mask, units="um")` checks a user's own arrays; the package
    itself passes the attributes below by name, in SI units.

    Attributes:
        displacement_m: complex displacement U, shape (i, j, k, 3), metres, components along the world axes R, A, S;
            shape (i, j, k, n) along `directions` where fewer than three were measured.
        mask: tissue voxels, bool, shape (i, j, k).
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4); may be oblique and anisotropic.
        frequency_hz: frequency f of the actuator, hertz; omega = 2 pi f.
        noise_std_m: standard deviation sigma of the real and of the imaginary part of each component,
            metres; None where it was neither measured nor stated.
        density_kg_m3: density rho, kg/m3.
        label: file-name stem of BIDS entities, such as "sub-01_ses-01" or "sub-01_ses-01_run-2".
        linear_phase_error_std_m: root mean square of the error that is linear in space within each slice (axis k), of
            the real and of the imaginary part of each component, metres: whole images whose phase shifts or tilts.
        density_assumed: whether rho is the usual assumption, because it was unknown.
        motion_encoding_known: whether U is in metres; false where its unit is arbitrary, because the motion encoding
            was unknown.
        slice_thickness_mm: thickness of the excited slices, mm; None where it is not stated and the spacing counts.
        acquired_matrix: columns and rows that the scanner measured, before it interpolated; None where not stated.
        directions: unit vectors in R, A, S of the measured components, shape (n, 3), n < 3; None for all of R, A, S.
        noise_map_m: standard deviation sigma by voxel and component, metres, shape (i, j, k, n); None where
            only noise_std_m is known.
        noise_correlation: correlation of the noise of neighbouring voxels along i and j; None where it is taken for
            independent.
        measured: whether each voxel of the mask has data, bool, shape (i, j, k); None where all have. What
            `displacement_m` holds in the others is not used.
        turn_std_m: root mean square of an error that turns the whole field as a rigid body, of the real and of the
            imaginary part of each component, metres: bulk motion that was left out.
    """

    displacement_m: NDArray[np.complex128]
    mask: NDArray[np.bool_]
    affine_mm: NDArray[np.float64]
    frequency_hz: float
    noise_std_m: float | None
    density_kg_m3: float
    label: str
    linear_phase_error_std_m: float = 0.0
    density_assumed: bool = False
    motion_encoding_known: bool = True
    slice_thickness_mm: float | None = None
    acquired_matrix: tuple[int, int] | None = None
    directions: NDArray[np.float64] | None = None
    noise_map_m: NDArray[np.float64] | None = None
    noise_correlation: tuple[float, float] | None = None
    measured: NDArray[np.bool_] | None = None
    turn_std_m: float = 0.0

    @overload
    def __init__(
        self,
        displacement: ArrayLike,
        affine_mm: ArrayLike,
        frequency_hz: float,
        *,
        mask: ArrayLike,
        units: str = ...,
        directions: ArrayLike | None = ...,
        slice_thickness_mm: float | None = ...,
        acquired_matrix: tuple[int, int] | None = ...,
        noise: ArrayLike | None = ...,
        density_kg_m3: float | None = ...,
        label: str = ...,
    ) -> None: ...

    @overload
    def __init__(
        self,
        *,
        displacement_m: NDArray[np.complex128],
        mask: NDArray[np.bool_],
        affine_mm: NDArray[np.float64],
        frequency_hz: float,
        noise_std_m: float | None,
        density_kg_m3: float,
        label: str,
        linear_phase_error_std_m: float = ...,
        density_assumed: bool = ...,
        motion_encoding_known: bool = ...,
        slice_thickness_mm: float | None = ...,
        acquired_matrix: tuple[int, int] | None = ...,
        directions: NDArray[np.float64] | None = ...,
        noise_map_m: NDArray[np.float64] | None = ...,
        noise_correlation: tuple[float, float] | None = ...,
        measured: NDArray[np.bool_] | None = ...,
        turn_std_m: float = ...,
    ) -> None: ...

    def __init__(
        self,
        displacement: ArrayLike | None = None,
        affine_mm: ArrayLike | None = None,
        frequency_hz: float | None = None,
        *,
        mask: ArrayLike | None = None,
        units: str = "um",
        directions: ArrayLike | None = None,
        slice_thickness_mm: float | None = None,
        acquired_matrix: tuple[int, int] | None = None,
        noise: ArrayLike | None = None,
        density_kg_m3: float | None = None,
        label: str = "sub-own",
        **in_si: Any,
    ) -> None:
        """Check a wave field and keep it in SI units.

        Args:
            displacement: U, complex, shape (i, j, k, 3), in `units`: components along R, A, S, or along `directions`,
                of which there may be one to three. Values outside the mask are not used.
            affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
            frequency_hz: f of the vibration.
            mask: tissue = 1 or True, shape (i, j, k).
            units: unit of displacement and noise: nm, um, mm or m.
            directions: unit vectors in R, A, S along which the components lie, shape (n, 3); None for R, A, S.
            slice_thickness_mm: thickness of the excited slices; None where it is the spacing.
            acquired_matrix: columns and rows that the scanner measured, where it interpolated images.
            noise: sigma of the real and of the imaginary part, in `units`: one number, or shape (i, j, k, n); None
                where it is not known, and is then estimated in the inversion.
            density_kg_m3: rho; None for the usual assumption.
            label: stem of file names, such as "sub-01_ses-01".
            **in_si: the attributes of the class by name, instead of `displacement` and `noise`.

        Raises:
            InputError: a value is missing, has another shape or unit than it must have, or holds no measurement.
        """
        if "displacement_m" in in_si:
            parts = in_si | {"affine_mm": affine_mm, "frequency_hz": frequency_hz, "mask": mask, "label": label}
            parts |= {"density_kg_m3": density_kg_m3, "slice_thickness_mm": slice_thickness_mm}
            parts |= {"acquired_matrix": acquired_matrix, "directions": directions}
        elif in_si:
            raise TypeError(f"WaveField takes no argument {', '.join(in_si)}")
        elif displacement is None or affine_mm is None or frequency_hz is None or mask is None:
            raise InputError(
                WHERE,
                found="no displacement, affine_mm, frequency_hz or mask",
                expected="all four of them",
                advice='Call WaveField(displacement, affine_mm, frequency_hz, mask=mask, units="um").',
            )
        else:
            parts = in_si_units(
                displacement,
                affine_mm,
                frequency_hz,
                mask=mask,
                units=units,
                directions=directions,
                slice_thickness_mm=slice_thickness_mm,
                acquired_matrix=acquired_matrix,
                noise=noise,
                density_kg_m3=density_kg_m3,
                label=label,
            )
        unknown = parts.keys() - {one.name for one in fields(self)}
        if unknown:  # a misspelt attribute must not silently have its default
            raise TypeError(f"WaveField takes no argument {', '.join(sorted(unknown))}")
        for one in fields(self):
            if one.name not in parts and one.default is MISSING:
                raise TypeError(f"WaveField needs {one.name}")
            object.__setattr__(self, one.name, parts.get(one.name, one.default))
        self._check()

    def _check(self) -> None:
        """Refuse what no later step can use, whoever made the wave field.

        Raises:
            ValueError: shapes disagree.
            InputError: frequency, density or voxels are in another unit, or the mask is empty or holds values
                that are not finite.
        """
        components = 3 if self.directions is None else len(self.directions)
        if self.displacement_m.shape != (*self.mask.shape, components):
            raise ValueError(f"displacement {self.displacement_m.shape} and mask {self.mask.shape} do not fit")
        if self.noise_map_m is not None and self.noise_map_m.shape != self.displacement_m.shape:
            raise ValueError(f"noise {self.noise_map_m.shape} and displacement {self.displacement_m.shape} do not fit")
        demand_frequency(self.label, self.frequency_hz)
        demand_density(self.label, self.density_kg_m3)
        demand_voxels(self.label, self.affine_mm)
        if self.slice_thickness_mm is not None:
            demand_thickness(self.label, self.slice_thickness_mm, float(self.voxel_size_mm[2]))
        inside = self.displacement_m[self.mask]
        bad = int(np.count_nonzero(~np.isfinite(inside)))
        if bad or not inside.size:
            raise InputError(
                self.label,
                found=f"{bad} values that are not finite inside the mask" if bad else "an empty mask",
                expected="finite displacement in every voxel of a mask that is not empty",
                advice="Leave voxels without a measurement out of the mask.",
            )
        if self.noise_map_m is not None and self.noise_std_m is not None:
            demand_noise(self.label, self.noise_map_m[self.mask], self.noise_std_m)

    @property
    def voxel_size_mm(self) -> NDArray[np.float64]:
        """Edge lengths of a voxel along i, j, k, millimetres."""
        return np.asarray(np.linalg.norm(self.affine_mm[:3, :3], axis=0))
