"""Folder of derived maps: quantities that follow from storage and loss modulus, with intervals, from the draws.

For each run and quantity, `<stem>` being the run and, where it holds several, the frequency:

    <stem>_stat-{mean,std,lower,upper}_<quantity>.nii.gz    NaN outside the mask and where the quantity is undefined

`<quantity>` is magnitude, losstangent, wavespeed, phaseangle, attenuation, dampingratio or shearstiffness. The sidecar
tells unit, formula, number of draws, frequency, density, and how many voxels have no value, by the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from palpate.config.derived import DerivedSettings
from palpate.content_digest import digest
from palpate.errors import InputError
from palpate.imaging.derived.posterior import on_grid_of, undefined_voxels
from palpate.imaging.derived.quantities import DERIVED, DerivedQuantity, Medium
from palpate.imaging.derived.statistics import (
    STATISTICS,
    by_voxel,
    demand_draws,
    draws_in_tail,
    medium_of,
    summary,
)
from palpate.imaging.files.draws import DrawsFile, open_draws
from palpate.imaging.files.maps import write_map
from palpate.imaging.files.stiffness_folder import STATISTIC_WORDS, StiffnessMaps, read_stiffness
from palpate.outputs import claim_folder
from palpate.progress import say
from palpate.system_files import matching

_OTHERS: Final = ("*.dcm", "no_dicom_source.txt")
"""Files of the other kind of folder that palpate maps writes."""


def write_derived_maps(mre: Path, out: Path, settings: DerivedSettings) -> tuple[Path, ...]:
    """Write mean, standard deviation and 95 % bounds of derived quantities of every run and frequency.

    Args:
        mre: folder of finished stiffness maps, kPa, with their joint draws.
        out: folder to write; an interrupted run leaves no partial result.
        settings: the quantities.

    Returns:
        The maps written.

    Raises:
        InputError: the maps or their draws cannot be used, a density is not known, or no quantity was asked for.
    """
    quantities = [DERIVED[key] for key in dict.fromkeys(settings.quantities)]
    if not quantities:
        raise InputError(
            "the setting quantities",
            found="an empty list",
            expected=f"one or more of {', '.join(DERIVED)}",
            advice="Name a quantity, or leave the setting out.",
        )
    target = claim_folder(out, "maps", {"mre": mre})
    _refuse_dicom(out)
    runs = read_stiffness(mre)
    written: list[Path] = []
    with target.writing() as partial:
        for run in runs:
            written += _write_run(partial, run, quantities)
    return tuple(out / path.name for path in written)


def _refuse_dicom(out: Path) -> None:
    """Refuse a folder of DICOM maps, which the same command writes and would replace."""
    if any(matching(out, pattern) for pattern in _OTHERS if out.is_dir()) or any(out.glob("*/*.dcm")):
        raise InputError(
            out,
            found="DICOM maps of palpate maps",
            expected="a new folder, or an earlier one of derived maps",
            advice="Name another folder: palpate replaces the folder of --out as a whole.",
        )


def _write_run(folder: Path, run: StiffnessMaps, quantities: Sequence[DerivedQuantity]) -> list[Path]:
    """Write the maps of one run at one frequency."""
    if run.samples_path is None:
        raise InputError(
            run.stem,
            found="no joint draws",
            expected="*_samples.h5 beside the maps",
            advice="Run palpate invert again: derived quantities are computed draw by draw.",
        )
    draws = open_draws(run.samples_path, run.informed.shape)
    demand_draws(run.samples_path, draws.count)
    medium = medium_of(run.stem, run.inversion, run.frequency_hz, draws.density_kg_m3, quantities)
    found = by_voxel(draws.blocks(), len(draws.voxels), quantities, medium, summary)
    mask = run.moduli["storagemodulus"].mean.covered
    details, origin = _details(run, draws, medium), digest(run.samples_path)
    written = []
    for one in quantities:
        volumes = [on_grid_of(mask, draws.voxels, values) for values in found[one.key]]
        undefined = undefined_voxels(one, mask, draws.voxels, volumes[0])
        said = {"Quantity": one.key, "Formula": one.formula} | details
        said |= {"Undefined": {reason: int(where.sum()) for reason, where in undefined.items()}}
        for reason, where in undefined.items():
            say(f"{run.stem}: {int(where.sum())} voxels without {one.words} ({reason})")
        for statistic, volume in zip(STATISTICS, volumes, strict=True):
            written.append(folder / f"{run.stem}_stat-{statistic}_{one.in_files}.nii.gz")
            words = f"{STATISTIC_WORDS[statistic]} of the {one.words}"
            write_map(
                written[-1],
                volume,
                run.affine_mm,
                units=one.unit,
                description=words,
                source_digest=origin,
                details=said,
            )
    say(
        f"{run.stem}: {', '.join(one.key for one in quantities)} from {draws.count} joint draws, "
        f"{draws_in_tail(draws.count)} of them up to each end of the 95 % interval"
    )
    return written


def _details(run: StiffnessMaps, draws: DrawsFile, medium: Medium) -> dict[str, Any]:
    """Return the entries of a sidecar that all quantities of a run share."""
    density = float(np.mean(medium.density_kg_m3))
    return {
        "Draws": draws.count,
        "DrawsInEachTail": draws_in_tail(draws.count),
        "MechanicalFrequency": run.frequency_hz,
        "Density": run.inversion.get("density_kg_m3", density if np.isfinite(density) else None),
        "DensityDrawn": draws.density_kg_m3 is not None,
    }
