"""Words and units of keys in records, for people: "peak_memory_mb" is "peak memory, MB"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_WORDS: Final[Mapping[str, str]] = {
    "density_assumed": "density is assumed",
    "anisotropy_percent": "allowance for fibres, %",
    "misfit": "misfit over that of noise",
    "residual_whiteness": "residual",
    "chi2_per_dof": "mean square over that of noise",
    "lag1_correlation": "correlation of neighbours along i, j, k",
    "lag1_correlation_of_noise": "correlation of neighbours in noise alone",
    "rms_deg": "root mean square, degrees",
    "power_over_noise": "power over that of noise",
    "noise_source": "source of the noise",
    "noise_std_um": "noise used, µm",
    "noise_stated_std_um": "noise stated, µm",
    "noise_inflation": "inflation of the noise",
    "storage_std": "prior standard deviation of ln G′",
    "loss_std": "prior standard deviation of ln G″",
    "length_mm": "correlation length, mm",
    "mean_std": "prior standard deviation of the mean of ln G",
    "unresolved_std": "standard deviation of ln G below the voxel's size",
    "region_std": "standard deviation of ln G between regions",
    "cross_correlation": "correlation of G′ and G″",
    "coupling": "correlation of G′ and G″",
    "fit_prior": "prior is fitted to the data",
    "fitted": "fitted to the data",
    "hessian_rank": "rank of the curvature",
    "samples": "joint draws",
    "max_iterations": "most iterations",
    "informed_variance_reduction": "share of the prior variance below which a voxel is informed",
    "informed_above": "share of the prior variance below which a voxel is informed",
    "informed_std": "largest standard deviation of ln G′ of an informed voxel",
    "oss_snr": "octahedral-shear-strain SNR",
    "menc_um_per_rad": "motion encoding, µm/rad",
    "assumed_menc_um_per_rad": "assumed motion encoding, µm/rad",
    "uids": "identifiers of DICOM",
    "mre": "elastogram",
    "hypotheses": "mixture of priors",
    "mixture": "mixture of priors",
    "region_factors": "scales of regions",
    "region_scales": "scales of regions",
}
"""Words of keys that their own letters do not explain."""
_UNITS: Final[Mapping[str, str]] = {
    "kg_m3": "kg/m³",
    "mm2_day": "mm²/day",
    "percent": "%",
    "kpa": "kPa",
    "pa": "Pa",
    "hz": "Hz",
    "mm": "mm",
    "um": "µm",
    "ms": "ms",
    "ml": "mL",
    "mb": "MB",
    "deg": "degrees",
    "rad2": "rad²",
    "rad": "rad",
    "gy": "Gy",
    "mg": "mg",
    "s": "s",
}
"""Units at the end of keys."""
_END: Final = re.compile(rf"(.+)_({'|'.join(_UNITS)})")
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


def words(name: str) -> str:
    """Return the words of a key of a record; keys within one another are joined by a colon.

    Args:
        name: key, or keys joined by ": ".
    """
    return ": ".join(_one(key) for key in name.split(": "))


def _one(key: str) -> str:
    if key in _WORDS:
        return _WORDS[key]
    if (found := _END.fullmatch(key)) is not None:
        return f"{_one(found[1])}, {_UNITS[found[2]]}"
    if _CAMEL.search(key) and "_" not in key:  # attributes of DICOM
        return _CAMEL.sub(" ", key)
    return key.replace("_", " ")
