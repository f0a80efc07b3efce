"""Your own method beside palpate's: maps of both, scored against known truth by the same code as `palpate verify`."""

# %% A patient whose true stiffness is known, scanned and read
import json
from pathlib import Path

import numpy as np
from small_patient import small_patient

import palpate
from palpate.config.ingest import IngestSettings
from palpate.imaging.files.maps import write_map, write_mask
from palpate.imaging.ingest import ingest
from palpate.service.verify import score_table, verify_folder
from palpate.solvers.comparators.direct import direct_inversion

session = small_patient(Path("patient"))
truth = session / "truth"
(field,) = ingest(session / "dicom" / "mre", "sub-01", Path("wavefield"), anatomy=None, settings=IngestSettings())

# %% Your method: any code that gives G' and G'' with an interval. Here algebraic inversion that claims 20 %
CLAIMED = 0.2


def own_method(wave_field: palpate.WaveField) -> dict[str, np.ndarray]:
    """Return the moduli in kPa on the grid; NaN where the method has no value."""
    found = direct_inversion(wave_field)
    maps = {"storagemodulus": found.storage_pa, "lossmodulus": found.loss_pa}
    return {name: np.where(field.mask & (pa > 0.0), pa / 1e3, np.nan) for name, pa in maps.items()}


# %% Its folder, as docs/files.md has it: maps, the mask of voxels that it stands for, and a record
own = Path("own")
own.mkdir(exist_ok=True)
moduli = own_method(field)
stands_for = np.all([np.isfinite(kpa) for kpa in moduli.values()], axis=0)
for name, kpa in moduli.items():
    maps = {"mean": kpa, "std": CLAIMED / 2.0 * kpa, "lower": (1.0 - CLAIMED) * kpa, "upper": (1.0 + CLAIMED) * kpa}
    for statistic, values in maps.items():
        path = own / f"sub-01_stat-{statistic}_{name}.nii.gz"
        write_map(path, values, field.affine_mm, units="kPa", description=f"{statistic} of {name}")
path = own / "sub-01_desc-informed_mask.nii.gz"
write_mask(path, stands_for, field.affine_mm, description="voxels that the method stands for")
record = {"frequency_hz": field.frequency_hz, "converged": True, "warnings": []}
(own / "sub-01_inversion.json").write_text(json.dumps(record), encoding="utf-8")

# %% palpate's own
ours = palpate.invert(field, {"samples": 100}).save("ours")

# %% Errors, and coverage of the intervals. In a terminal: palpate verify maps own --truth TRUTH
for name, folder in (("your method", own), ("palpate", ours)):
    print(f"{name}\n{score_table(verify_folder(folder, truth))}\n")
