"""Interval of a region's mean stiffness, from a scanner's DICOM.

    python examples/from_dicom_to_a_region.py [FOLDER_OR_ZIP_OF_MRE_DICOM]

Without an argument an in-silico patient is scanned first.
"""

# %% The scan: a folder or zip as an archive exports it
import sys
from pathlib import Path

import numpy as np
from small_patient import small_patient

import palpate
from palpate.config.ingest import IngestSettings
from palpate.imaging.ingest import ingest

mre = Path(sys.argv[1]) if len(sys.argv) > 1 else small_patient(Path("patient")) / "dicom" / "mre"

# %% From phase images to the wave field: displacement in RAS, its measured noise, a mask of tissue
ingest(mre, "sub-01_ses-01", Path("wavefield"), anatomy=None, settings=IngestSettings())
field = palpate.read_wave_fields("wavefield")[0]
print(f"{field.frequency_hz:g} Hz, {np.count_nonzero(field.mask)} voxels, noise {1e6 * field.noise_std_m:.2f} um")

# %% From the wave field to the posterior of stiffness
posterior = palpate.invert(field, {"samples": 100})
for warning in posterior.warnings:
    print(f"{warning.code}: {warning}")
if not posterior.converged:
    raise SystemExit("not a result: the iterations have not converged")

# %% A region: here a ball around the middle of the mask; for a segmentation write labels == number
middle = np.argwhere(posterior.mask).mean(axis=0)
edges_mm = np.linalg.norm(posterior.affine_mm[:3, :3], axis=0)
distance_mm = np.linalg.norm((np.indices(posterior.mask.shape).T - middle) * edges_mm, axis=-1).T
region = posterior.region((distance_mm < 6.0) & posterior.mask)
print(f"G'  {region.storage_kpa}")
print(f"G'' {region.loss_kpa}")
print(f"{region.volume_ml:.2f} mL; {100 * region.informed_share:.0f} % of it informed by this scan")
print(
    f"the bounds of G' are known to {region.storage_kpa.lower_error:.2g} and {region.storage_kpa.upper_error:.2g} kPa"
)

# %% The folder that `palpate invert` writes, for viewers and later steps
posterior.save("stiffness")
