"""Another likelihood: a patch of wrong data under Gaussian errors and under errors with Student's t tails.

`palpate.invert` takes any function of the signature of `palpate.solvers.inversion.zone.data_weights.Likelihood`, whose
docstring says what such a function must keep. Its weights enter the fit, the evidence of the prior and the draws.
"""

# %%
import numpy as np
from small_scan import AFFINE_MM, FREQUENCY_HZ, LOSS_KPA, NOISE_UM, SHAPE, STORAGE_KPA, displacement_um

import palpate
from palpate.solvers.inversion.zone.data_weights import StudentT, gaussian

# %% In a patch of twelve voxels one component is off by eight times the noise. Neighbours agree, so that the search for
# outlying voxels does not see it.
displacement = displacement_um()
displacement[4:7, 2:4, 2:4, 0] += 8.0 * NOISE_UM
field = palpate.WaveField(displacement, AFFINE_MM, FREQUENCY_HZ, mask=np.ones(SHAPE), noise=NOISE_UM)

# %% The same data under both likelihoods
likelihoods = {"Gaussian": {"likelihood": gaussian}, "Student's t": {"likelihood": StudentT(freedom=4.0)}}
for name, likelihood in likelihoods.items():
    posterior = palpate.invert(field, {"samples": 100}, **likelihood)
    storage, loss = posterior.storage_kpa, posterior.loss_kpa
    pairs = ((storage.mean, STORAGE_KPA), (loss.mean, LOSS_KPA))
    error = [np.sqrt(np.mean((one / truth - 1.0) ** 2)) for one, truth in pairs]
    width = np.mean((storage.upper - storage.lower) / storage.mean)
    print(f"{name}: {posterior.record['likelihood']}")
    off = f"error of G' {100 * error[0]:.1f} %, of G'' {100 * error[1]:.1f} %; interval {100 * width:.0f} % wide"
    print(f"    {off}; warnings: {[one.code for one in posterior.warnings]}")
