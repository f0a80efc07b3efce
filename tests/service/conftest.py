"""A finished session on disk: the files of every step, with numbers that a calibrated posterior would give.

The truth is one more draw of the posterior that the maps state, so coverage is right by construction.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from palpate.imaging.files.maps import write_map, write_mask
from palpate.imaging.files.wavefield_folder import write_wave_field
from palpate.imaging.wavefield import WaveField

SHAPE = (20, 22, 12)
MODULUS_KPA = {"storagemodulus": 2.6, "lossmodulus": 1.1}
LOG_STD = {"storagemodulus": 0.08, "lossmodulus": 0.16}
SAMPLES = 60


@dataclass(frozen=True, slots=True)
class SessionFiles:
    """Where a session lies, and its truth."""

    folder: Path
    truth: Path

    @property
    def mre(self) -> Path:
        """The folder of stiffness maps."""
        return self.folder / "mre"

    @property
    def wavefield(self) -> Path:
        """The folder of palpate ingest."""
        return self.folder / "wavefield"


type SessionMaker = Callable[..., SessionFiles]


@pytest.fixture
def make_session(tmp_path: Path) -> SessionMaker:
    """Write a session; every keyword of `write_session` is open."""

    def make(**choices: object) -> SessionFiles:
        return write_session(tmp_path / "results" / "sub-01" / "ses-01", tmp_path / "truth", **choices)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def finished_session(tmp_path_factory: pytest.TempPathFactory) -> SessionFiles:
    """One session for all tests that only read it."""
    folder = tmp_path_factory.mktemp("study")
    return write_session(folder / "results" / "sub-01" / "ses-01", folder / "truth")


def write_session(
    folder: Path,
    truth: Path,
    *,
    runs: tuple[str, ...] = ("",),
    frequencies_hz: tuple[float, ...] = (50.0,),
    dicom: bool = True,
    anatomy: bool = True,
    spread_factor: float = 1.0,
    seed: int = 7,
    axes: NDArray[np.float64] | None = None,
) -> SessionFiles:
    """Write the files of ingest and inversion for each run and frequency, and one truth.

    Args:
        folder: the session folder.
        truth: the folder for the truth.
        runs: run entities such as "_run-1"; "" for a single run.
        frequencies_hz: the frequencies of each run.
        dicom: whether ingest names a DICOM source.
        anatomy: whether there is a T1.
        spread_factor: the posterior's stated spread over its true one; below 1 it is overconfident.
        seed: of everything random.
        axes: directions of the voxel axes as columns, shape (3, 3); None takes a slightly tilted head's.
    """
    rng = np.random.default_rng(seed)
    affine_mm = _affine_mm(axes)
    mask = _ellipsoid()
    log_mean = {name: np.log(value) + _smooth(rng, 0.18) for name, value in MODULUS_KPA.items()}
    log_mean["storagemodulus"] += 0.7 * _blob((13, 8, 6))
    for name, mean in log_mean.items():
        true_kpa = np.where(mask, np.exp(mean + _smooth(rng, LOG_STD[name])), np.nan)
        write_map(truth / f"truth_{name}.nii.gz", true_kpa, affine_mm, units="kPa", description="truth")
    for run in runs:
        label = f"sub-01_ses-01{run}"
        _write_ingest(folder / "wavefield", label, frequencies_hz, affine_mm, mask, rng, dicom=dicom)
        for frequency_hz in frequencies_hz:
            stem = f"{label}_acq-{frequency_hz:g}Hz" if len(frequencies_hz) > 1 else label
            _write_posterior(folder / "mre", label, stem, log_mean, mask, affine_mm, rng, spread_factor)
        _write_record(folder / "mre", label, frequencies_hz)
    if anatomy:
        _write_anatomy(folder / "wavefield" / "sub-01_ses-01_T1w.nii.gz", rng)
    return SessionFiles(folder, truth)


def _affine_mm(axes: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """The grid's place; with other axes its centre stays, so that it lies within the anatomy."""
    tilted = Rotation.from_euler("xyz", [8.0, -5.0, 10.0], degrees=True).as_matrix()
    edges, corner_mm, middle = tilted @ np.diag([2.0, 2.0, 2.5]), np.array([-22.0, -30.0, 8.0]), np.array(SHAPE) / 2.0
    affine_mm = np.eye(4)
    affine_mm[:3, :3], affine_mm[:3, 3] = edges, corner_mm
    if axes is not None:
        affine_mm[:3, :3] = axes @ np.diag([2.0, 2.0, 2.5])
        affine_mm[:3, 3] = corner_mm + (edges - affine_mm[:3, :3]) @ middle
    return affine_mm.astype(np.float32).astype(np.float64)


def _coordinates() -> NDArray[np.float64]:
    """Voxel positions from -1 to 1 along each axis, shape (3, i, j, k)."""
    return np.stack(np.meshgrid(*(np.linspace(-1.0, 1.0, n) for n in SHAPE), indexing="ij"))


def _ellipsoid() -> NDArray[np.bool_]:
    return np.asarray((_coordinates() ** 2).sum(axis=0) < 0.95)


def _blob(centre: tuple[int, int, int]) -> NDArray[np.float64]:
    blob = np.zeros(SHAPE)
    blob[centre] = 1.0
    blob = gaussian_filter(blob, 2.0)
    return blob / blob.max()


def _smooth(rng: np.random.Generator, std: float) -> NDArray[np.float64]:
    """A field of zero mean, the given pointwise spread and a correlation length of about two voxels."""
    field = gaussian_filter(rng.standard_normal([n + 12 for n in SHAPE]), 1.5, truncate=4.0)[6:-6, 6:-6, 6:-6]
    return np.asarray(std * field / _filter_gain())


@cache
def _filter_gain() -> float:
    """Spread of filtered white noise of unit spread, from the filter's own weights."""
    impulse = np.zeros((15, 15, 15))
    impulse[7, 7, 7] = 1.0
    return float(np.sqrt((gaussian_filter(impulse, 1.5, truncate=4.0) ** 2).sum()))


def _write_posterior(
    mre: Path,
    label: str,
    stem: str,
    log_mean: dict[str, NDArray[np.float64]],
    mask: NDArray[np.bool_],
    affine_mm: NDArray[np.float64],
    rng: np.random.Generator,
    spread_factor: float,
) -> None:
    """Maps, masks, residual and draws of one log-normal posterior."""
    voxels = np.argwhere(mask).astype(np.int32)
    draws = {}
    for name, mean in log_mean.items():
        std = LOG_STD[name] * spread_factor
        maps = {
            "mean": np.exp(mean + std**2 / 2.0),
            "std": np.exp(mean + std**2 / 2.0) * np.sqrt(np.expm1(std**2)),
            "lower": np.exp(mean - 1.959964 * std),
            "upper": np.exp(mean + 1.959964 * std),
        }
        for statistic, values in maps.items():
            path = mre / f"{stem}_stat-{statistic}_{name}.nii.gz"
            write_map(path, np.where(mask, values, np.nan), affine_mm, units="kPa", description=statistic)
        direct = np.where(mask, np.exp(mean + rng.normal(0.0, 0.35, SHAPE)), np.nan)
        write_map(mre / f"{stem}_desc-direct_{name}.nii.gz", direct, affine_mm, units="kPa", description="direct")
        draws[name] = np.stack([np.exp(mean + _smooth(rng, std))[mask] for _ in range(SAMPLES)]).astype(np.float32)
    informed = mask & (_coordinates()[2] > -0.6)
    write_mask(mre / f"{stem}_desc-informed_mask.nii.gz", informed, affine_mm, description="informed")
    residual = np.where(mask, np.abs(rng.normal(size=SHAPE)), np.nan)
    write_map(mre / f"{stem}_desc-residual_map.nii.gz", residual, affine_mm, units="1", description="residual")
    with h5py.File(mre / f"{stem}_samples.h5", "w") as file:
        for name, values in draws.items():
            file[f"{name}_kpa"] = values
        file["voxels"] = voxels
        file.attrs["affine_mm"] = affine_mm
    assert label in stem


def _write_record(mre: Path, label: str, frequencies_hz: tuple[float, ...]) -> None:
    """inversion.json, as palpate invert writes it."""
    record: dict[str, object] = {
        "frequency_hz": frequencies_hz[0] if len(frequencies_hz) == 1 else list(frequencies_hz),
        "noise_std_um": 0.21,
        "converged": True,
        "iterations": [
            {"objective": 9.1e4 * 0.35**n + 2.4e4, "step": 1.0, "misfit": 8.8e4 * 0.35**n + 2.3e4} for n in range(6)
        ],
        "misfit": {f"{f:g}": 1.02 for f in frequencies_hz},
        "residual_whiteness": {"chi2_per_dof": 1.03, "lag1_correlation": [0.02, -0.01, 0.03]},
        "informed_share": 0.81,
        "prior": {"storage_std": 0.4, "loss_std": 0.4, "length_mm": 8.0, "roughness": 0.5, "mean_std": 1.0},
        "counts": {"zones": 12, "factorisations": 72, "solves": 2304},
        "seconds": {"read": 0.4, "gauss_newton": 71.2, "posterior": 22.0, "write": 1.3},
        "peak_memory_mb": 812.0,
        "versions": {"palpate": "0.1.0", "dolfinx": "0.11.0"},
        "settings": {"zone_mm": 24.0, "noise": "measured"},
        "input_digests": {"wavefield": "0" * 64},
    }
    if len(frequencies_hz) > 1:
        own = [{"frequency_hz": f, "converged": f < 60.0, "noise_inflation": f / 40.0} for f in frequencies_hz]
        record |= {"per_frequency": own, "converged": all(one["converged"] for one in own)}
    (mre / f"{label}_inversion.json").write_text(json.dumps(record))


def _write_ingest(
    wavefield: Path,
    label: str,
    frequencies_hz: tuple[float, ...],
    affine_mm: NDArray[np.float64],
    mask: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    dicom: bool,
) -> None:
    """Wave fields, magnitude and the record of ingest."""
    wavefield.mkdir(parents=True, exist_ok=True)
    x = _coordinates()
    for frequency_hz in frequencies_hz:
        phase = 2.0 * np.pi * frequency_hz / 40.0 * (x[0] + 0.4 * x[1])
        waves = 8e-6 * np.stack(
            [np.exp(-1j * phase), 0.7 * np.exp(-1j * phase * 0.9), 0.5 * np.exp(1j * phase)], axis=-1
        )
        noise = 0.2e-6 * (rng.standard_normal(waves.shape) + 1j * rng.standard_normal(waves.shape))
        field = WaveField(
            displacement_m=(waves + noise) * mask[..., None],
            mask=mask,
            affine_mm=affine_mm,
            frequency_hz=frequency_hz,
            noise_std_m=0.21e-6,
            density_kg_m3=1000.0,
            label=label,
        )
        write_wave_field(wavefield, field)
    magnitude = np.where(mask, 400.0 + 60.0 * x[0], 20.0) + rng.normal(0.0, 12.0, SHAPE)
    write_map(wavefield / f"{label}_magnitude.nii.gz", magnitude, affine_mm, units="1", description="magnitude")
    directions = [
        {"harmonic_amplitudes_rad": [size, 0.11 * size, 0.07, 0.06], "wrapped_share": share}
        for size, share in ((1.45, 0.034), (1.38, 0.031), (0.55, 0.0))
    ]
    record: dict[str, object] = {
        "label": label,
        "source": "DICOM" if dicom else "wave-field folder",
        "acquisition": {"ManufacturerModelName": "Prisma", "RepetitionTime": 2000.0},
        "anatomy": {"source": "DICOM", "same_frame_of_reference": True},
        "frequencies": [
            {
                "frequency_hz": frequency_hz,
                "offsets": 8,
                "motion_encoding_known": True,
                "mean_displacement_um": 10.2,
                "noise_std_um": 0.21,
                "noise_percent_of_mean_displacement": 2.06,
                "oss_snr": 7.4,
                "directions": directions,
            }
            for frequency_hz in frequencies_hz
        ],
    }
    if dicom:
        record["dicom"] = {
            "StudyInstanceUID": "1.2.826.0.1.3680043.10.543.1",
            "FrameOfReferenceUID": "1.2.826.0.1.3680043.10.543.2",
            "SeriesInstanceUID": "1.2.826.0.1.3680043.10.543.3",
            "SOPInstanceUID": "1.2.826.0.1.3680043.10.543.4",
            "BodyPartExamined": "BRAIN",
        }
    (wavefield / f"{label}_ingest.json").write_text(json.dumps(record))


def _write_anatomy(path: Path, rng: np.random.Generator) -> None:
    """A larger, finer head around the slab."""
    shape = (56, 64, 48)
    x = np.stack(np.meshgrid(*(np.linspace(-1.0, 1.0, n) for n in shape), indexing="ij"))
    radius = np.sqrt((x**2).sum(axis=0))
    values = np.where(radius < 0.8, 600.0 + 200.0 * np.sin(9.0 * x[0]) * np.cos(7.0 * x[1]), 0.0)
    values = np.where((radius > 0.86) & (radius < 0.95), 900.0, values) + rng.normal(0.0, 15.0, shape)
    affine_mm = np.diag([1.5, 1.5, 1.5, 1.0])
    affine_mm[:3, 3] = [-40.0, -46.0, -20.0]
    write_map(path, values, affine_mm, units="1", description="T1-weighted")
