"""Mask of one run: drawn by a user, found by signal or atlas, or gated by signal and waves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from palpate.config.ingest import IngestSettings
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.anatomy.brain_mask import brain_mask
from palpate.imaging.anatomy.margin import margin_mm, with_margin
from palpate.imaging.anatomy.tissue_mask import tissue_mask
from palpate.imaging.anatomy.user_mask import read_user_mask
from palpate.imaging.anatomy.wave_region import NOT_AN_ORGAN, wave_region
from palpate.imaging.deidentify.key import Key
from palpate.imaging.files.nifti import Volume
from palpate.imaging.waves.reconstruct import reconstruct
from palpate.quality_warning import QualityWarning, recorded_warnings


@dataclass(frozen=True, slots=True)
class RunMask:
    """Mask of a run, before noisy voxels are left out.

    Attributes:
        mask: tissue to invert, shape (i, j, k).
        origin: entry of the record: source of the mask, and what it left out.
        setting: setting that widens the mask, for errors; None where somebody drew it.
        warnings: warnings about a drawn mask.
        drawn: the region that somebody drew, shape (i, j, k); None where nobody did.
    """

    mask: NDArray[np.bool_]
    origin: dict[str, object]
    setting: str | None
    warnings: tuple[QualityWarning, ...] = ()
    drawn: NDArray[np.bool_] | None = None


def run_mask(
    acquisitions: Sequence[PhaseAcquisition],
    magnitude: NDArray[np.float64],
    label: str,
    settings: IngestSettings,
    drawn: Path | None,
    key: Key | None = None,
    person: Sequence[str] | None = None,
) -> RunMask:
    """Return the mask of a run whose frequencies share their voxels.

    Args:
        acquisitions: acquisitions of the run.
        magnitude: mean signal, shape (i, j, k).
        label: label of the run, for errors.
        settings: ingest settings of the study.
        drawn: mask that a user drew, with the region chosen in it; None where there is none.
        key: key by which identifiers of the mask or of the scan may have been pseudonymised; None where there is none.
        person: number, name and birth date of the scan's patient, only ever compared; None compares no patients.

    Raises:
        InputError: the drawn mask cannot be used, or the atlas does not fit.
    """
    affine_mm = acquisitions[0].affine_mm
    voxel_mm = np.linalg.norm(affine_mm[:3, :3], axis=0)
    if drawn is not None:
        return _drawn(acquisitions, magnitude, settings, drawn, (key, person))
    if settings.mask_by == "atlas":
        found = brain_mask(Volume(magnitude, affine_mm), threshold=settings.mask_threshold, where=label)
        starts = {"agreeing_starts": found.agreeing_starts, "bright_share": found.bright_share}
        return RunMask(found.mask, {"source": "atlas", **starts}, "mask_threshold")
    if settings.mask_by == "magnitude" or not (settings.mask_by == "waves" or _partial(acquisitions)):
        return RunMask(_tissue(magnitude, voxel_mm, settings), {"source": "magnitude"}, "mask_threshold")
    return _by_waves(acquisitions, magnitude, voxel_mm, settings)


def _partial(acquisitions: Sequence[PhaseAcquisition]) -> bool:
    """Return whether fewer than three directions were encoded."""
    return any(len(one.encoding_axes) < 3 for one in acquisitions)


def _tissue(
    magnitude: NDArray[np.float64], voxel_mm: NDArray[np.float64], settings: IngestSettings
) -> NDArray[np.bool_]:
    return tissue_mask(magnitude, voxel_mm, threshold=settings.mask_threshold, opening_mm=settings.mask_opening_mm)


def _drawn(
    acquisitions: Sequence[PhaseAcquisition],
    magnitude: NDArray[np.float64],
    settings: IngestSettings,
    path: Path,
    known: tuple[Key | None, Sequence[str] | None],
) -> RunMask:
    """Return the region that somebody drew, with a margin where directions are missing.

    Raises:
        InputError: the drawn mask cannot be used.
    """
    affine_mm = acquisitions[0].affine_mm
    references = acquisitions[0].facts.get("dicom")
    frame_uid = str(references.get("FrameOfReferenceUID", "")) if isinstance(references, Mapping) else ""
    drawn, origin = read_user_mask(path, Volume(magnitude, affine_mm), frame_uid, *known)
    warnings = recorded_warnings(origin)
    del origin["warnings"]
    if not _partial(acquisitions):
        return RunMask(drawn, origin, None, warnings, drawn)
    voxel_mm = np.linalg.norm(affine_mm[:3, :3], axis=0)
    width_mm = margin_mm(min(one.frequency_hz for one in acquisitions))
    mask = with_margin(drawn, _by_waves(acquisitions, magnitude, voxel_mm, settings).mask, voxel_mm, width_mm)
    voxels = {"voxels_drawn": int(drawn.sum()), "voxels_of_margin": int((mask & ~drawn).sum())}
    return RunMask(mask, origin | {"margin_mm": width_mm} | voxels, None, warnings, drawn)


def _by_waves(
    acquisitions: Sequence[PhaseAcquisition],
    magnitude: NDArray[np.float64],
    voxel_mm: NDArray[np.float64],
    settings: IngestSettings,
) -> RunMask:
    """Return the region in which waves of every frequency are well above the noise."""
    tissue = _tissue(magnitude, voxel_mm, settings)
    region, measured = tissue.copy(), True
    left_out: dict[str, int] = {}
    if tissue.any():
        for number, acquisition in enumerate(acquisitions):
            made = reconstruct(acquisition, tissue, settings)
            noises = [one.noise.voxel_std_rad for one in made.directions if one.noise is not None]
            known = len(noises) == len(made.directions)
            found = wave_region(
                magnitude,
                region,
                np.stack([one.first_rad for one in made.directions]),
                np.stack(noises) if known else None,
                voxel_mm,
                least_snr=settings.least_wave_snr,
                edges=number == 0,
            )
            region, measured = found.mask, measured and known
            left_out = {name: left_out.get(name, 0) + count for name, count in found.left_out.items()}
    origin: dict[str, object] = {
        "source": "waves",
        "label": NOT_AN_ORGAN,
        "organ_segmentation": False,
        "least_wave_snr": settings.least_wave_snr,
        "waves_compared_with_noise": measured,
        "voxels_of_tissue": int(tissue.sum()),
        "left_out": left_out,
    }
    return RunMask(region, origin, "least_wave_snr")
