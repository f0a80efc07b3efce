"""Paragraph on methods for a paper, from the records of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import palpate
from palpate.service.report.session import RunView

_SOURCES: Final = {
    "stated": "as stated with the wave field",
    "measured": "measured from the higher harmonics",
    "estimated": "estimated from the data",
}
_CITE: Final = "The palpate contributors. palpate: virtual palpation, from MR elastography to stiffness maps with their"
"""Beginning of the citation, as CITATION.cff has it."""


def methods(run: RunView) -> str:
    """Return how the maps of a run were made, in sentences to cite; parts that no record tells are left out.

    Args:
        run: results of the run.
    """
    return " ".join(_sentences(run, run.stiffness.inversion))


def _sentences(run: RunView, record: Mapping[str, Any]) -> Iterator[str]:
    version = record.get("versions", {}).get("palpate", palpate.__version__)
    commit = str(record.get("versions", {}).get("commit", ""))[:12]
    made = f"version {version}" + (f", commit {commit}" if commit else "")
    yield (
        f"MR elastography at {run.stiffness.frequency_hz:g} Hz ({', '.join(_scan(run))}) was inverted with palpate "
        f"({made})."
    )
    yield (
        "The complex shear modulus G′ + iG″ of isotropic, nearly incompressible tissue was estimated in every voxel "
        "from the heterogeneous viscoelastic wave equation by finite elements in overlapping zones"
        + ("." if "density_kg_m3" not in record else f", with a density of {record['density_kg_m3']:g} kg/m³.")
    )
    yield from _noise(record)
    yield from _prior(record)
    yield from _posterior(run, record)
    yield f"Cite: {_CITE} uncertainty, version {version}."


def _scan(run: RunView) -> Iterator[str]:
    frequency = run.frequency_record
    if run.field is not None:
        count = 3 if run.field.directions is None else len(run.field.directions)
        yield f"{count} {'component' if count == 1 else 'components'} of the displacement"
    if frequency.get("offsets"):
        yield f"{frequency['offsets']} phase offsets"
    mean = run.stiffness.moduli["storagemodulus"].mean
    edges = (f"{(run.stiffness.affine_mm[:3, axis] ** 2).sum() ** 0.5:.3g}" for axis in range(3))
    yield f"voxels of {' × '.join(edges)} mm, {int(mean.covered.sum())} voxels"


def _noise(record: Mapping[str, Any]) -> Iterator[str]:
    if "noise_std_um" not in record:
        return
    source = _SOURCES.get(str(record.get("noise_source")), "")
    told = f"The noise of real and imaginary part was {record['noise_std_um']:.3g} µm"
    yield f"{told}, {source}." if source else f"{told}."


def _prior(record: Mapping[str, Any]) -> Iterator[str]:
    prior = record.get("prior", {})
    if {"storage_std", "loss_std", "length_mm"} <= set(prior):
        fitted = ", fitted to the data by their evidence" if prior.get("fitted") else ""
        yield (
            "The prior of the logarithms of G′ and G″ is Gaussian with standard deviations of "
            f"{prior['storage_std']:.2g} and {prior['loss_std']:.2g} and a correlation length of "
            f"{prior['length_mm']:.3g} mm{fitted}."
        )


def _posterior(run: RunView, record: Mapping[str, Any]) -> Iterator[str]:
    count = record.get("samples")
    drawn = f"{count} joint draws of" if count else "joint draws of"
    yield f"Intervals are central 95 % credible intervals from {drawn} the posterior; a region's is that of its mean."
    steps = [one for one in record.get("iterations") or [] if one.get("objective") is not None]
    if steps and "converged" in record:
        ended = "converged" if record["converged"] else "was stopped, before convergence,"
        yield f"The inversion {ended} after {len(steps) - 1} Gauss-Newton iterations."
    for value in run.informed_values:
        symbol = "G′" if value.quantity.key == "storage_modulus" else "G″"
        yield (
            f"Over the {100.0 * run.informed_share:.0f} % of the voxels whose values come mostly from the scan, the "
            f"mean of {symbol} is {value.mean:.2f} kPa (95 % interval {value.lower:.2f} to {value.upper:.2f} kPa)."
        )
