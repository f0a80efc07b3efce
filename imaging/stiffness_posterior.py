"""Posterior of stiffness in a Python session: maps on the grid, joint draws, regions, warnings.

`palpate.invert` returns one, `palpate.read_stiffness` reads one from a folder of `palpate invert`; both hold the
numbers of the files, in kPa.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.special import ndtri

from palpate.config.derived import Quantity
from palpate.errors import InputError
from palpate.imaging.derived.posterior import DerivedAttributes, DerivedPosterior
from palpate.imaging.derived.quantities import DERIVED
from palpate.imaging.derived.statistics import demand_draws, medium_of
from palpate.imaging.draw_summary import DrawSummary, demand_level
from palpate.imaging.files.stiffness_folder import MODULI, Marginals, Modulus, Samples, StiffnessMaps
from palpate.imaging.files.stiffness_folder import read_stiffness as read_all
from palpate.imaging.region_values.averages import averages
from palpate.imaging.region_values.quantities import LOSS, STORAGE, RegionQuantity
from palpate.imaging.region_values.values import demand_value
from palpate.outputs import claim_folder
from palpate.quality_warning import QualityWarning, recorded_warnings

type Volume = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ModulusPosterior:
    """Posterior of one modulus, voxel by voxel, in kPa on the grid; NaN outside the mask.

    Attributes:
        mean: posterior mean, shape (i, j, k).
        std: posterior standard deviation, shape (i, j, k).
        lower: lower end of the 95 % credible interval, shape (i, j, k).
        upper: upper end of the 95 % credible interval, shape (i, j, k).
    """

    mean: Volume
    std: Volume
    lower: Volume
    upper: Volume

    def interval(self, level: float = 0.95) -> tuple[Volume, Volume]:
        """Return the ends of each voxel's central credible interval, kPa, shape (i, j, k) each.

        A voxel's posterior is log-normal, so that its 95 % bounds determine every other interval. For the mean of a
        region use `StiffnessPosterior.region`: it is much better known than a voxel.

        Args:
            level: probability inside, between 0 and 1.
        """
        reach = float(ndtri(0.5 + demand_level(level) / 2.0) / ndtri(0.975))
        centre, half = 0.5 * np.log(self.lower * self.upper), 0.5 * np.log(self.upper / self.lower)
        return np.exp(centre - reach * half), np.exp(centre + reach * half)


@dataclass(frozen=True)
class RegionPosterior(DerivedAttributes[DrawSummary]):
    """Posterior of a region's mean stiffness: the average over the region of each joint draw.

    Derived quantities (magnitude_kpa, loss_tangent, wave_speed_m_per_s, ...) are averaged alike: computed in each voxel
    of each draw, then averaged over the region.

    Attributes:
        storage_kpa: storage modulus G', kPa.
        loss_kpa: loss modulus G'', kPa.
        voxels: number of the region's voxels that the maps cover.
        volume_ml: volume of these voxels, millilitres.
        covered_share: share of the requested region that the maps cover.
        informed_share: share of the covered region whose value comes mostly from this scan.
    """

    storage_kpa: DrawSummary
    loss_kpa: DrawSummary
    voxels: int
    volume_ml: float
    covered_share: float
    informed_share: float
    _derived: Callable[[Quantity], DrawSummary] = field(repr=False, compare=False)

    @property
    def _derive(self) -> Callable[[Quantity], DrawSummary]:
        return self._derived


@dataclass(frozen=True)
class StiffnessPosterior(DerivedAttributes[DerivedPosterior]):
    """Posterior of the complex shear modulus over the voxels of a mask, at one frequency.

    Derived quantities are attributes, too (magnitude_kpa, loss_tangent, wave_speed_m_per_s, phase_angle_rad,
    attenuation_np_per_m, damping_ratio, shear_stiffness_kpa), each computed draw by draw at its first use.

    Attributes:
        label: label of the run, such as "sub-01_ses-01".
        frequency_hz: frequency f of the vibration, hertz.
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
        mask: voxels with a posterior, shape (i, j, k).
        storage_kpa: storage modulus G', kPa.
        loss_kpa: loss modulus G'', kPa.
        informed: voxels whose value comes mostly from this scan, shape (i, j, k); elsewhere it is mostly a prior
            assumption.
        converged: whether the iterations ended at the maximum of the posterior.
        warnings: warnings about the data and the fit; empty for a sound result.
        record: entry of inversion.json for this run and frequency.
    """

    label: str
    frequency_hz: float
    affine_mm: NDArray[np.float64]
    mask: NDArray[np.bool_]
    storage_kpa: ModulusPosterior
    loss_kpa: ModulusPosterior
    informed: NDArray[np.bool_]
    converged: bool
    warnings: tuple[QualityWarning, ...]
    record: Mapping[str, Any] = field(repr=False)
    _draw: Callable[[], Samples] = field(repr=False)
    _write: Callable[[Path], None] = field(repr=False)
    _source: Path | None = field(default=None, repr=False)

    @cached_property
    def samples(self) -> Samples:
        """Joint draws of both moduli at the mask's voxels, kPa; read from the file at the first use."""
        return self._draw()

    @property
    def _derive(self) -> Callable[[Quantity], DerivedPosterior]:
        def derive(key: Quantity) -> DerivedPosterior:
            quantity, samples = DERIVED[key], self.samples
            demand_draws(self.label, samples.count)
            medium = medium_of(self.label, self.record, self.frequency_hz, samples.density_kg_m3, [quantity])
            return DerivedPosterior(quantity, self.mask, samples, medium)

        return derive

    def region(self, mask: ArrayLike) -> RegionPosterior:
        """Return the posterior of the mean over a region, from joint draws, because its voxels' errors are correlated.

        Args:
            mask: region on the grid of the maps, shape (i, j, k): True or 1 inside, or each voxel's share in it.

        Raises:
            InputError: the region has another shape, holds other values, or lies outside the maps.
        """
        shares = _region_shares(mask, self.mask.shape)
        at = tuple(self.samples.voxels.T)
        own = shares[at]
        covered, asked = float(own.sum()), float(shares.sum())
        if covered == 0.0:
            raise InputError(
                "region",
                found="no voxel of the region inside the maps",
                expected="a region that overlaps the posterior's mask",
                advice="Check that the region is drawn on the grid of the maps (mask.shape, affine_mm).",
            )
        inside = own > 0.0
        weights = sparse.csr_array((own[inside] / covered)[None])
        moduli_kpa = {modulus: values[:, inside] for modulus, values in self.samples.moduli_kpa.items()}
        samples = Samples(moduli_kpa, self.samples.voxels[inside], self.samples.density_kg_m3)

        def mean_of(quantity: RegionQuantity) -> DrawSummary:
            medium = medium_of(self.label, self.record, self.frequency_hz, samples.density_kg_m3, [quantity])
            draws = averages(samples, weights, [quantity], medium)[quantity.key][0]
            demand_value(draws, quantity, "region", f"{np.count_nonzero(inside)} voxels")
            return DrawSummary(draws, quantity.unit)

        voxel_mm3 = abs(float(np.linalg.det(self.affine_mm[:3, :3])))
        return RegionPosterior(
            storage_kpa=mean_of(STORAGE),
            loss_kpa=mean_of(LOSS),
            voxels=int(np.count_nonzero(inside)),
            volume_ml=covered * voxel_mm3 / 1e3,
            covered_share=covered / asked,
            informed_share=min(1.0, float((weights @ self.informed[at][inside].astype(np.float64))[0])),
            _derived=lambda key: mean_of(DERIVED[key]),
        )

    def save(self, folder: Path | str) -> Path:
        """Write the folder of stiffness maps as `palpate invert` does. An interrupted run leaves no partial folder.

        Args:
            folder: folder to create, or to replace where palpate invert or an earlier save wrote it.

        Returns:
            The folder.

        Raises:
            InputError: the folder holds files that palpate did not write, or this posterior was read from it.
        """
        claimed = claim_folder(Path(folder), "invert", {"stiffness": self._source})
        with claimed.writing() as partial:
            self._write(partial)
        return claimed.path


def read_stiffness(
    folder: Path | str, *, label: str | None = None, frequency_hz: float | None = None
) -> StiffnessPosterior:
    """Read a posterior from a folder of stiffness maps.

    Args:
        folder: output of `palpate invert` or of StiffnessPosterior.save, or the session folder that holds `mre/`.
        label: label of the run to read; needed where the folder holds several.
        frequency_hz: frequency to read; needed where the run holds several.

    Raises:
        InputError: the folder holds no maps, several where none was chosen, or maps that do not fit each other.
    """
    folder = Path(folder)
    folder = folder / "mre" if (folder / "mre").is_dir() else folder
    every = read_all(folder)
    chosen = [
        one
        for one in every
        if label in (None, one.label) and (frequency_hz is None or abs(one.frequency_hz - frequency_hz) < 1e-6)
    ]
    if len(chosen) != 1:
        raise InputError(
            folder,
            found=f"{len(chosen)} posteriors of the {len(every)} that it holds",
            expected="one: " + ", ".join(f"label={one.label!r}, frequency_hz={one.frequency_hz:g}" for one in every),
            advice="Choose one by label and frequency_hz.",
        )
    return _of_folder(folder, chosen[0])


def _of_folder(folder: Path, read: StiffnessMaps) -> StiffnessPosterior:
    mean = read.moduli["storagemodulus"].mean

    def draws() -> Samples:
        found = read.samples()
        if found is None:
            raise InputError(
                folder / f"{read.stem}_samples.h5",
                found="no such file",
                expected="the joint draws of the posterior",
                advice="Keep the files of one inversion together.",
            )
        return found

    def copy(target: Path) -> None:
        """Copy the files of this run and frequency, and those of the run as a whole."""
        for path in sorted(folder.iterdir()):
            own = path.name.startswith(f"{read.stem}_")
            shared = path.name.startswith(f"{read.label}_") and not path.name.startswith(f"{read.label}_acq-")
            if path.is_file() and (own or shared):
                shutil.copyfile(path, target / path.name)

    moduli = {modulus: _modulus(read.moduli[modulus]) for modulus in MODULI}
    return StiffnessPosterior(
        label=read.label,
        frequency_hz=read.frequency_hz,
        affine_mm=mean.affine_mm,
        mask=mean.covered,
        storage_kpa=moduli["storagemodulus"],
        loss_kpa=moduli["lossmodulus"],
        informed=read.informed,
        converged=bool(read.inversion.get("converged", False)),
        warnings=recorded_warnings(read.inversion),
        record=read.inversion,
        _draw=draws,
        _write=copy,
        _source=folder,
    )


def _modulus(maps: Marginals) -> ModulusPosterior:
    values = (one.values.astype(np.float64) for one in (maps.mean, maps.std, maps.lower, maps.upper))
    return ModulusPosterior(*values)


def _region_shares(mask: ArrayLike, shape: tuple[int, ...]) -> Volume:
    """Share of each voxel in a region, shape (i, j, k)."""
    given = np.asarray(mask)
    sound = given.shape == shape and given.dtype.kind in "biuf"
    shares = given.astype(np.float64) if sound else np.zeros(0)
    if not sound or not np.all((shares >= 0.0) & (shares <= 1.0)):
        raise InputError(
            "region",
            found=f"an array of shape {given.shape} and kind {given.dtype}",
            expected=f"shape {shape}: True or 1 inside and 0 outside, or shares between 0 and 1",
            advice="Draw the region on the grid of the maps; for labels write labels == number.",
        )
    return shares


__all__ = [
    "DerivedPosterior",
    "DrawSummary",
    "Modulus",
    "ModulusPosterior",
    "RegionPosterior",
    "StiffnessPosterior",
    "read_stiffness",
]
