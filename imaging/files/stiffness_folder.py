"""Folder of finished stiffness maps (`mre/`): the posterior of a session on disk, read strictly.

For each run, with `<label>` such as `sub-01_ses-01` or `sub-01_ses-01_run-1`; `[...]` only where the run holds several
frequencies:

    <label>[_acq-<f>Hz]_stat-{mean,std,lower,upper}_{storagemodulus,lossmodulus}.nii.gz    kPa, NaN outside the mask
    <label>[_acq-<f>Hz]_desc-informed_mask.nii.gz                   voxels whose value comes mostly from this scan
    <label>[_acq-<f>Hz]_desc-direct_{storagemodulus,lossmodulus}.nii.gz    the algebraic baseline
    <label>[_acq-<f>Hz]_desc-residual_map.nii.gz                    residual over its standard deviation
    <label>[_acq-<f>Hz]_samples.h5                                  joint draws of the posterior
    <label>_stat-{mean,std,lower,upper}_{springpotmodulus,springpotalpha,viscosity}.nii.gz    of a rheology; not read
    <label>_inversion.json                                          how it was computed
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.files.draws import DrawBlock as DrawBlock
from palpate.imaging.files.draws import DrawsFile, block_places, open_draws
from palpate.imaging.files.json_object import read_json
from palpate.imaging.files.maps import Map, read_map, read_mask
from palpate.imaging.files.moduli import MODULI as MODULI
from palpate.imaging.files.moduli import Modulus as Modulus
from palpate.imaging.files.nifti import same_grid
from palpate.system_files import matching

MODULUS_WORDS: Final[Mapping[Modulus, str]] = {
    "storagemodulus": "storage modulus G'",
    "lossmodulus": "loss modulus G''",
}
STATISTIC_WORDS: Final[Mapping[str, str]] = {
    "mean": "posterior mean",
    "std": "posterior standard deviation",
    "lower": "lower end of the 95 % credible interval",
    "upper": "upper end of the 95 % credible interval",
}
_MEAN = re.compile(r"(?P<stem>(?P<label>.+?)(?:_acq-(?P<frequency>[0-9.]+)Hz)?)_stat-mean_storagemodulus\.nii\.gz")


@dataclass(frozen=True, slots=True)
class Marginals:
    """Posterior of one modulus, voxel by voxel.

    Attributes:
        mean: posterior mean, kPa.
        std: posterior standard deviation, kPa.
        lower: lower end of the 95 % credible interval, kPa.
        upper: upper end of the 95 % credible interval, kPa.
        direct: algebraic baseline, kPa; None where there is none.
    """

    mean: Map
    std: Map
    lower: Map
    upper: Map
    direct: Map | None


@dataclass(frozen=True, slots=True)
class Samples:
    """Joint draws of the posterior, from which the interval of a region's figure follows.

    Attributes:
        moduli_kpa: draws of each modulus, kPa, shape (n_samples, n_voxels).
        voxels: indices of the voxels, shape (n_voxels, 3).
        density_kg_m3: density rho that each draw assumes, kg/m3, shape (n_samples,); None where it was not kept. Waves
            determine G* / rho.
    """

    moduli_kpa: Mapping[Modulus, NDArray[np.float32]]
    voxels: NDArray[np.int32]
    density_kg_m3: NDArray[np.float64] | None = None

    @property
    def count(self) -> int:
        """Number of draws."""
        return len(self.moduli_kpa["storagemodulus"])

    def blocks(self) -> Iterator[DrawBlock]:
        """Yield the draws of all voxels, a few voxels at a time."""
        storage_kpa, loss_kpa = (self.moduli_kpa[modulus] for modulus in MODULI)
        for here in block_places(len(self.voxels), self.count):
            yield here, storage_kpa[:, here].astype(np.float64), loss_kpa[:, here].astype(np.float64)

    def at(self, mask: NDArray[np.bool_]) -> dict[Modulus, NDArray[np.float32]]:
        """Return the draws in the voxels of a mask of the grid, kPa, each of shape (n_samples, n_inside)."""
        inside = mask[tuple(self.voxels.T)]
        return {modulus: values[:, inside] for modulus, values in self.moduli_kpa.items()}


@dataclass(frozen=True, slots=True)
class StiffnessMaps:
    """Posterior of one run at one frequency.

    Attributes:
        label: label of the run, such as "sub-01_ses-01_run-1".
        stem: label, with the frequency where the run holds several.
        frequency_hz: frequency f of the actuator, hertz.
        moduli: marginal maps of each modulus, all on one grid.
        informed: voxels whose value comes mostly from this scan; shape (i, j, k).
        samples_path: file of joint draws; None where there is none.
        residual: residual over its standard deviation; None where there is none.
        inversion: entry of inversion.json for this run and frequency.
        made_s: modification time of inversion.json, seconds since 1970.
    """

    label: str
    stem: str
    frequency_hz: float
    moduli: Mapping[Modulus, Marginals]
    informed: NDArray[np.bool_]
    samples_path: Path | None
    residual: Map | None
    inversion: Mapping[str, Any]
    made_s: float

    @property
    def affine_mm(self) -> NDArray[np.float64]:
        """Voxel indices to world RAS millimetres, shape (4, 4)."""
        return self.moduli["storagemodulus"].mean.affine_mm

    def draws(self, where: Path | None = None) -> DrawsFile:
        """Open the joint draws.

        Args:
            where: folder that the user named, for errors; None where the run's name says enough.

        Raises:
            InputError: there are none, or the file cannot be read or does not fit the maps.
        """
        if self.samples_path is None:
            raise InputError(
                where or self.stem,
                found=f"no joint draws of {self.stem}" if where else "no joint draws",
                expected="*_samples.h5 beside the maps",
                advice="Run palpate invert again: intervals and values between voxels need joint draws.",
            )
        return open_draws(self.samples_path, self.informed.shape)

    def samples(self) -> Samples | None:
        """Read the joint draws; None where there are none.

        Raises:
            InputError: the file cannot be read or does not fit the maps.
        """
        return None if self.samples_path is None else read_samples(self.samples_path, self.informed.shape)


def read_stiffness(folder: Path) -> tuple[StiffnessMaps, ...]:
    """Read every run and frequency of a folder of stiffness maps, in the order of their names.

    Args:
        folder: `mre` folder, or the session folder that holds it.

    Raises:
        InputError: the folder holds no maps, or maps that are incomplete or do not fit each other.
    """
    folder = folder / "mre" if (folder / "mre").is_dir() else folder
    found = [(path, match) for path in matching(folder, "*.nii.gz") if (match := _MEAN.fullmatch(path.name))]
    if not found:
        raise InputError(
            folder,
            found="no *_stat-mean_storagemodulus.nii.gz",
            expected="the maps that palpate invert writes",
            advice="Run palpate invert first, or name its output folder.",
        )
    return tuple(_read_one(folder, match["label"], match["stem"], match["frequency"]) for _, match in found)


def read_samples(path: Path, shape: tuple[int, ...]) -> Samples:
    """Read joint draws of the posterior; those of a mapped file only as they are used.

    Args:
        path: file of palpate.imaging.files.draws.
        shape: shape (i, j, k) of the grid in which the voxels must lie.

    Raises:
        InputError: the file cannot be read or does not fit the grid.
    """
    found = open_draws(path, shape)
    return Samples({modulus: found.every(modulus) for modulus in MODULI}, found.voxels, found.density_kg_m3)


def _read_one(folder: Path, label: str, stem: str, frequency: str | None) -> StiffnessMaps:
    """Read the files of one run at one frequency."""
    record_path = folder / f"{label}_inversion.json"
    inversion = read_json(record_path, record="inversion")
    moduli = {modulus: _read_marginals(folder, label, stem, modulus) for modulus in MODULI}
    reference = moduli["storagemodulus"].mean
    informed_path = _first(folder, label, stem, "desc-informed_mask.nii.gz")
    if informed_path is None:
        raise InputError(
            folder / f"{stem}_desc-informed_mask.nii.gz",
            found="no such file",
            expected="the mask of informed voxels",
            advice="Run palpate invert again.",
        )
    informed = read_mask(informed_path)
    if informed.shape != reference.values.shape:
        raise _other_grid(informed_path, reference)
    residual_path = _first(folder, label, stem, "desc-residual_map.nii.gz")
    frequency_hz = _frequency_hz(record_path, frequency, inversion)
    return StiffnessMaps(
        label=label,
        stem=stem,
        frequency_hz=frequency_hz,
        moduli=moduli,
        informed=informed & reference.covered,
        samples_path=_first(folder, label, stem, "samples.h5"),
        residual=None if residual_path is None else read_map(residual_path),
        inversion=_of_frequency(inversion, frequency_hz),
        made_s=float(int(record_path.stat().st_mtime)),
    )


def _read_marginals(folder: Path, label: str, stem: str, modulus: Modulus) -> Marginals:
    """Read the maps of one modulus and make sure that they share a grid."""
    mean = read_map(folder / f"{stem}_stat-mean_{modulus}.nii.gz", units="kPa")

    def fitting(path: Path) -> Map:
        the_map = read_map(path, units="kPa")
        if not on_grid(the_map, mean):
            raise _other_grid(path, mean)
        return the_map

    direct_path = _first(folder, label, stem, f"desc-direct_{modulus}.nii.gz")
    return Marginals(
        mean=mean,
        std=fitting(folder / f"{stem}_stat-std_{modulus}.nii.gz"),
        lower=fitting(folder / f"{stem}_stat-lower_{modulus}.nii.gz"),
        upper=fitting(folder / f"{stem}_stat-upper_{modulus}.nii.gz"),
        direct=None if direct_path is None else fitting(direct_path),
    )


def on_grid(the_map: Map, reference: Map) -> bool:
    """Return whether two maps have their voxels at the same places."""
    shape = the_map.values.shape
    return shape == reference.values.shape and same_grid(the_map.affine_mm, reference.affine_mm, shape)


def _first(folder: Path, label: str, stem: str, ending: str) -> Path | None:
    """Return the file of the frequency where there is one, else that of the run, else None."""
    candidates = (folder / f"{name}_{ending}" for name in (stem, label))
    return next((path for path in candidates if path.exists()), None)


def _frequency_hz(path: Path, named: str | None, inversion: Mapping[str, Any]) -> float:
    """Return the frequency in the file name, or the only one of inversion.json."""
    stated = named if named is not None else inversion.get("frequency_hz")
    if isinstance(stated, list) and len(stated) == 1:
        stated = stated[0]
    try:
        frequency_hz = float(stated)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        frequency_hz = math.nan
    if not frequency_hz > 0.0:
        raise InputError(
            path,
            found=f"frequency_hz = {stated!r}",
            expected="one frequency above 0 Hz",
            advice="Run palpate invert again.",
        )
    return frequency_hz


def _of_frequency(inversion: Mapping[str, Any], frequency_hz: float) -> dict[str, Any]:
    """Return the record with the entries of one frequency in front, where it holds several."""
    common = {key: value for key, value in inversion.items() if key != "per_frequency"}
    for own in inversion.get("per_frequency") or []:
        if isinstance(own, Mapping) and own.get("frequency_hz") == frequency_hz:
            warnings = [*(common.get("warnings") or []), *(own.get("warnings") or [])]
            return common | dict(own) | ({"warnings": warnings} if warnings else {})
    return common


def _other_grid(path: Path, reference: Map) -> InputError:
    """Return the error of a map that lies elsewhere."""
    return InputError(
        path,
        found="another voxel grid",
        expected=f"the grid of the posterior mean, {reference.values.shape}",
        advice="Keep the files of one inversion together.",
    )
