"""What the inversion would leave of a session that ingest has read, without inverting anything."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from palpate.imaging.files.maps import write_map, write_mask
from palpate.imaging.files.wavefield_folder import read_wave_fields


def write_maps(session: Path) -> None:
    """Stiffness maps of 2 kPa on the grid of the ingested wave field, in the session's folder mre."""
    field = read_wave_fields(session / "wavefield")[0]
    values = np.where(field.mask, 2.0, np.nan)
    stem = session / "mre" / field.label
    for modulus in ("storagemodulus", "lossmodulus"):
        for statistic in ("mean", "std", "lower", "upper"):
            path = stem.with_name(f"{stem.name}_stat-{statistic}_{modulus}.nii.gz")
            write_map(path, values, field.affine_mm, units="kPa", description="")
    mask = stem.with_name(f"{stem.name}_desc-informed_mask.nii.gz")
    write_mask(mask, field.mask, field.affine_mm, description="")
    stem.with_name(f"{stem.name}_inversion.json").write_text(json.dumps({"frequency_hz": [field.frequency_hz]}))
