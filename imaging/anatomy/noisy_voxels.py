"""Voxels of a region whose phase is too noisy, by one rule for every region: drawn, gated, bright or of an atlas.

A voxel is too noisy where the noise of its first harmonic exceeds `max_noise_rad` along any encoding direction.
With four or five offsets noise is measured by the second harmonic, which holds motion too, most where waves are
largest. A limit in radians would take these voxels away. There a voxel also has waves weaker than `least_wave_snr`
times that noise, or it is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from palpate.config.ingest import IngestSettings
from palpate.imaging.anatomy.tissue_mask import largest_piece, pieces
from palpate.imaging.anatomy.wave_region import wave_snr
from palpate.imaging.waves.reconstruct import Reconstruction


def without_noisy_voxels(
    made: Sequence[Reconstruction],
    region: NDArray[np.bool_],
    settings: IngestSettings,
    *,
    fewest: int | None = None,
) -> NDArray[np.bool_]:
    """Return the largest piece of a region without the voxels that are too noisy at any frequency, shape (i, j, k).

    Args:
        made: reconstructions of a run's frequencies in the region.
        region: the region, however it was found, shape (i, j, k).
        settings: ingest settings of the study.
        fewest: number of voxels from which on every piece is kept; None keeps the largest piece alone.
    """
    noisy = np.any([_noisy(one, region, settings) for one in made], axis=0)
    kept = region & ~noisy
    return largest_piece(kept) if fewest is None else pieces(kept, fewest)


def _noisy(made: Reconstruction, region: NDArray[np.bool_], settings: IngestSettings) -> NDArray[np.bool_]:
    """Return whether each voxel is too noisy at one frequency; none is where the noise was not measured."""
    noisy = made.worst_noise_rad() > settings.max_noise_rad
    if not made.noise_holds_motion or not noisy.any():
        return noisy
    voxel_mm = np.linalg.norm(made.acquisition.affine_mm[:3, :3], axis=0)
    measured = [one for one in made.directions if one.noise is not None]
    waves = np.stack([one.first_rad for one in measured])
    noise_rad = np.stack([one.noise.voxel_std_rad for one in measured if one.noise is not None])
    return noisy & (wave_snr(waves, noise_rad, region, voxel_mm) <= settings.least_wave_snr)
