"""Joint draws of the posterior: the interval of whatever you compute from stiffness."""

# %% A posterior, saved as `palpate invert` saves it
import h5py
import numpy as np
from small_scan import AFFINE_MM, FREQUENCY_HZ, NOISE_UM, SHAPE, displacement_um

import palpate

field = palpate.WaveField(
    displacement_um(), AFFINE_MM, FREQUENCY_HZ, mask=np.ones(SHAPE), units="um", noise=NOISE_UM, label="sub-01"
)
folder = palpate.invert(field, {"samples": 200}).save("stiffness")

# %% The file: one row a voxel, one column a draw; one draw is one possible tissue
with h5py.File(folder / "sub-01_samples.h5") as file:
    assert file.attrs["axes"] == "voxel, draw"  # files of older versions have no such attribute: draw, voxel
    draws_kpa = np.asarray(file["storagemodulus_kpa"], dtype=np.float64)
    voxels = np.asarray(file["voxels"])
print(f"{draws_kpa.shape[1]} draws of {draws_kpa.shape[0]} voxels")

# %% A region: average each draw over it; the spread of the averages is the region's
inside = voxels[:, 0] < 5
averages = draws_kpa[inside].mean(axis=0)
lower, upper = np.quantile(averages, [0.025, 0.975], method="weibull")
print(f"mean of the region {averages.mean():.3f} kPa, 95 % interval {lower:.3f} to {upper:.3f}")

# %% The same in one line
posterior = palpate.read_stiffness(folder)
region = np.indices(SHAPE)[0] < 5
found = posterior.region(region).storage_kpa
assert np.allclose([found.mean, found.lower, found.upper], [averages.mean(), lower, upper], rtol=1e-5)

# %% Maps alone are not enough: errors of voxels are correlated, so neither mean spread nor spread / sqrt(n) is right
of_voxels = posterior.storage_kpa.std[region]
print(f"mean spread of the voxels      {of_voxels.mean():.4f} kPa: too wide")
print(f"the same over the root of n    {of_voxels.mean() / np.sqrt(region.sum()):.4f} kPa: too narrow")
print(f"spread of the region's average {averages.std(ddof=1):.4f} kPa")

# %% Any other quantity goes the same way: the difference of two regions, draw by draw
difference = averages - draws_kpa[~inside].mean(axis=0)
print(f"one half is stiffer than the other with a probability of {100 * np.mean(difference > 0.0):.0f} %")
