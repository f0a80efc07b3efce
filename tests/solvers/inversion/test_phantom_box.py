"""The shared phantom box: a wave field with truth, made elsewhere with another discretisation."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from mpi4py import MPI

from palpate.config.inversion import InversionSettings
from palpate.imaging.files.wavefield_folder import read_wave_fields
from palpate.meshing.zones import cut_zones
from palpate.solvers.inversion.run import invert_wave_field
from palpate.solvers.inversion.steps.problem import InversionDomain
from tests.conftest import CHECKOUT

BOX = CHECKOUT.parent / "shared" / "data" / "phantom-box"
pytestmark = pytest.mark.skipif(not BOX.exists(), reason="the shared data set phantom-box is not here")

WINDOW = (slice(4, 15),) * 3
"""Eleven voxels along each axis that hold the stiff sphere: one zone, so that the test is short."""

EDGE = 3
"""Voxels from the window's edge that are not scored, as the data set's README says of the whole."""


@pytest.mark.long
def test_stiffness_of_the_box_at_two_percent_noise() -> None:
    """Median error of G' at most 7 %, the issue's demand, on a window of the data with 2 % noise.

    Nobody here made these waves, so no assumption of ours can be hidden in them.
    """
    (field,) = read_wave_fields(BOX)
    rng = np.random.default_rng(0)
    std_m = 0.02 * float(np.linalg.norm(field.displacement_m, axis=-1).mean())
    real, imaginary = rng.standard_normal((2, *field.displacement_m.shape))
    noise = std_m * (real + 1j * imaginary)
    seen = replace(
        field,
        displacement_m=(field.displacement_m + noise)[WINDOW],
        mask=field.mask[WINDOW],
        noise_std_m=std_m,
    )
    extent = seen.mask.shape
    zones = cut_zones(seen.mask, width_voxels=extent, stride_voxels=extent)
    found = invert_wave_field(seen, InversionDomain(zones), InversionSettings(samples=20), MPI.COMM_SELF)
    truth_kpa = np.asarray(nib.load(BOX / "truth_storagemodulus.nii.gz").dataobj)[WINDOW]
    error = np.abs(1e-3 * np.exp(found.log_mean[0]).reshape(extent) / truth_kpa - 1.0)
    assert np.median(error[(slice(EDGE, -EDGE),) * 3]) <= 0.07
