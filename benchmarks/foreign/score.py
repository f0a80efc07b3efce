"""Score of one field of foreign waves: bias, error and coverage of palpate, beside the algebraic baseline."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from foreign.exams import scan
from foreign.scanner import ForeignImages
from foreign.scenes import SCENES, Scene
from harness.command_line import invert
from numpy.typing import NDArray

import palpate
from palpate.imaging.files.wavefield_folder import write_wave_field
from palpate.imaging.wavefield import WaveField
from palpate.solvers.comparators.direct import direct_inversion

EDGE_VOXELS: Final = 2
"""Distance from the edge of the field of view within which voxels are not scored, voxels."""
LEVELS: Final = (0.5, 0.95)


@dataclass(frozen=True, slots=True)
class ForeignScore:
    """Figures of G' in one field, over voxels two voxels away from its edge.

    Attributes:
        name: name of the field.
        group: class of the field.
        bias_percent: mean of the posterior mean over the truth less 1, percent.
        error_percent: median of its absolute deviation, percent.
        direct_percent: median absolute deviation of the algebraic inversion, percent.
        held: fraction of voxels whose interval contains the truth, by level.
        informed: fraction of voxels whose value comes mostly from the scan.
        misfit: misfit over that of noise alone.
        warnings: codes of the warnings.
        refused: sentence with which the inversion refused the field; empty where it did not.
    """

    name: str
    group: str
    bias_percent: float | None = None
    error_percent: float | None = None
    direct_percent: float | None = None
    held: tuple[float, ...] = ()
    informed: float | None = None
    misfit: float | None = None
    warnings: tuple[str, ...] = ()
    refused: str = ""


def wave_field(scene: Scene, images: ForeignImages) -> WaveField:
    """Return the images as a wave field; voxels without data are left out of the mask, and no density is stated."""
    whole = len(scene.scan.components) == 3
    return WaveField(
        displacement_m=np.where(images.measured[..., None], images.displacement_m, 0.0),
        mask=images.measured,
        affine_mm=np.diag([*(1e3 * images.spacing_m), 1.0]),
        frequency_hz=scene.frequency_hz,
        noise_std_m=float(np.sqrt(np.mean(images.noise_m[images.measured] ** 2))),
        density_kg_m3=1000.0,
        density_assumed=True,
        label="sub-foreign",
        slice_thickness_mm=1e3 * images.thickness_m,
        acquired_matrix=images.acquired_matrix,
        directions=None if whole else np.eye(3)[list(scene.scan.components)],
        noise_map_m=images.noise_m,
    )


def run(name: str, out: Path) -> ForeignScore:
    """Make the waves of one scene, invert them as a user would, and score G'.

    Args:
        name: name of the scene; a process of its own can be given no more.
        out: folder of the data and maps.
    """
    (scene,) = (one for one in SCENES if one.name == name)
    images = scan(scene)
    field = wave_field(scene, images)
    folder = out / scene.name
    (folder / "wavefield").mkdir(parents=True, exist_ok=True)
    write_wave_field(folder / "wavefield", field)
    invert(folder / "wavefield", folder / "mre", 1)
    found = palpate.read_stiffness(folder / "mre")
    truth = 1e-3 * images.modulus_pa.real
    where = scored(found.mask)
    direct = np.full(field.mask.shape, np.nan)
    direct[field.mask] = 1e-3 * direct_inversion(dataclasses.replace(field, noise_map_m=None)).storage_pa[field.mask]
    deviation = found.storage_kpa.mean[where] / truth[where] - 1.0
    ends = [found.storage_kpa.interval(level) for level in LEVELS]
    return ForeignScore(
        name=scene.name,
        group=scene.group,
        bias_percent=100.0 * float(deviation.mean()),
        error_percent=100.0 * float(np.median(np.abs(deviation))),
        direct_percent=100.0 * float(np.nanmedian(np.abs(direct[where] / truth[where] - 1.0))),
        held=tuple(float(np.mean((low[where] <= truth[where]) & (truth[where] <= high[where]))) for low, high in ends),
        informed=float(found.informed[where].mean()),
        misfit=float(found.record["misfit"][f"{scene.frequency_hz:g}"]),
        warnings=tuple(one.code for one in found.warnings),
    )


def scored(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the voxels that are scored: inside the mask, away from the edge where there are enough voxels."""
    inner = np.zeros_like(mask)
    inner[tuple(slice(EDGE_VOXELS, -EDGE_VOXELS) if n > 4 * EDGE_VOXELS else slice(None) for n in mask.shape)] = True
    return np.asarray(inner & mask)
