"""How far the tumours of growth_cohort.py push tissue: forecast with each stiffness, and the truth.

The twin does not forecast displacements; its forecast densities push here, as if lambda and the scale of stiffness were
known. The truth is what the true density pushes in the true stiffness on the twin's boxes: what density and stiffness
leave open is scored, not the boxes' own error. A patient's images and truth are read again from its folder.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from cohort_scores import POPULATION, TRUE, TWIN
from numpy.typing import NDArray

from palpate.config.longitudinal import LongitudinalSettings
from palpate.config.twin import TwinSettings
from palpate.imaging.phantom.atlas import load_atlas
from palpate.imaging.tumour.history import Stiffness, TumourHistory
from palpate.provenance import atomic_file
from palpate.units import m_to_mm

if TYPE_CHECKING:
    from palpate.imaging.phantom.tumour_scene import Scene
    from palpate.imaging.phantom.tumour_study import Truth
    from palpate.solvers.growth.mechanics import Mechanics
    from palpate.twin.lattice import Lattice

type Values = NDArray[np.float64]

STIFFNESSES: Final = 8
"""Most draws of the stiffness, each of which is factorised; the forecast's densities take turns with them."""


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient as its folder has it.

    Attributes:
        settings: the truth's.
        scene: its brain.
        truth: its tumour on the days of scans.
        history: what was read of the scans that the twin knows, on the images' grid, without an elastogram.
        stiffness: by variant, what the twin knows of it; None is the population's.
    """

    settings: LongitudinalSettings
    scene: Scene
    truth: Truth
    history: TumourHistory
    stiffness: dict[str, Stiffness | None]


def mass_effect_of(folder: Path) -> dict[str, Any]:
    """Mean displacement of the brain around the tumour, mm: forecast, today's and true; kept in the folder.

    Args:
        folder: of the patient, with told.json and densities.npz.
    """
    kept = folder / "mass_effect.json"
    if kept.exists():
        return dict(json.loads(kept.read_text(encoding="utf-8")))
    from palpate.twin.lattice import lattice

    told = json.loads((folder / "told.json").read_text(encoding="utf-8"))
    found = _read(LongitudinalSettings.model_validate(told["settings"]), folder)
    settings = TwinSettings()
    grid = lattice(found.history, settings.voxel_mm, settings.margin_mm)
    *_, last, held_out = found.settings.days
    densities = np.load(folder / "densities.npz")
    known = np.stack([_on_lattice(found, grid, found.truth.densities[day]) for day in (held_out, last)])
    within = np.isfinite(known[0])
    known = np.where(within, known, 0.0)
    out: dict[str, Any] = {}
    for name in found.stiffness:
        ahead, pushed = _told_mm(found, grid, name, (densities[name].astype(np.float64), known), within)
        out[name], out[f"{name} today"] = ahead.tolist(), pushed[:, 1].tolist()
        if name == TRUE:
            out["truth"], out["truth today"] = pushed[0].tolist()
    with atomic_file(kept) as partial:
        partial.write_text(json.dumps(out), encoding="utf-8")
    return out


def _read(settings: LongitudinalSettings, folder: Path) -> Patient:
    """The patient's images and truth."""
    import palpate.solvers  # noqa: F401  (loads MPI before dolfinx)
    from palpate.config.study import read_study
    from palpate.config.tumour import TumourSettings
    from palpate.imaging.nifti import read_nifti
    from palpate.imaging.phantom.tumour_mre import measured_stiffness, true_stiffness
    from palpate.imaging.phantom.tumour_scene import tumour_scene
    from palpate.imaging.phantom.tumour_study import Truth
    from palpate.imaging.tumour.reading import read_tumour

    table = folder / "study" / "sessions.tsv"
    home = table.parent / f"sub-{settings.subject}"
    scene = tumour_scene(settings, load_atlas())
    files = [home / f"ses-{n:02d}" / "truth" / "truth_density.nii.gz" for n, _ in enumerate(settings.days, start=1)]
    densities = {day: read_nifti(file).values for day, file in zip(settings.days, files, strict=True)}
    # As solvers.virtual_tumour.grow makes it on the day of the elastogram.
    storage_pa = scene.storage_pa * np.exp(settings.tumour_log_stiffness * densities[settings.days[0]])
    truth = Truth(densities, 0.0, 0.0, storage_pa)
    read = read_tumour(read_study(table), settings.subject, TumourSettings(), table=table, drugs=None, stiffness=None)
    history = replace(read.history, scans=read.history.scans[:-1])
    stiffness = {
        TWIN: measured_stiffness(settings, scene, truth, history),
        POPULATION: None,
        TRUE: true_stiffness(scene, truth, history),
    }
    return Patient(settings, scene, truth, history, stiffness)


def _on_lattice(found: Patient, grid: Lattice, values: Values) -> Values:
    """Values on the truth's grid at the twin's tissue voxels; NaN where the truth has none."""
    from palpate.imaging.phantom.tumour_mre import on_images
    from palpate.twin.lattice import on_lattice

    seen = on_images(found.history, found.scene, values)
    weights = np.isfinite(seen).astype(np.float64)
    known = grid.mean(weights) > 0.0
    means = np.where(known, grid.mean(np.nan_to_num(seen), weights), np.nan)
    return np.asarray(means[on_lattice(found.history, grid).tissue])


def _told_mm(
    found: Patient, grid: Lattice, name: str, densities: tuple[Values, Values], within: NDArray[np.bool_]
) -> tuple[Values, Values]:
    """By the forecast's densities, with the stiffness' draws in turns, (draws,); by known ones, (stiffnesses, known).

    Args:
        found: the patient.
        grid: the twin's lattice.
        name: whose stiffness.
        densities: forecast and known, at tissue voxels, shapes (draws, n) and (known, n).
        within: the voxels to average over, shape (n,).
    """
    from palpate.solvers.growth.lattice import box_means
    from palpate.solvers.growth.voxels import voxels
    from palpate.twin.lattice import on_lattice
    from palpate.twin.stiffness import coarse_stiffness, inside_skull, log_stiffness
    from palpate.twin.stress import elastic
    from palpate.units import mm_to_m

    settings, coarse = TwinSettings(), on_lattice(found.history, grid)
    edges_m, box_m = mm_to_m(coarse.edges_mm), float(mm_to_m(settings.elastic_box_mm))
    place, skull = voxels(coarse.tissue, edges_m), inside_skull(coarse.tissue, coarse.edges_mm)
    measured = coarse_stiffness(replace(found.history, stiffness=found.stiffness[name]), grid, STIFFNESSES)
    logs = log_stiffness(replace(coarse, stiffness=measured), skull, settings)[:STIFFNESSES]
    forecast, known = densities
    ahead, pushed = np.zeros(len(forecast)), np.zeros((len(logs), len(known)))
    for number, one in enumerate(logs):
        pushing = elastic(coarse, settings, place, box_means(skull, edges_m, one, box_m))
        pushed[number] = [_sizes_mm(pushing, density)[within].mean() for density in known]
        for at in range(number, len(forecast), len(logs)):
            ahead[at] = _sizes_mm(pushing, forecast[at])[within].mean()
    return ahead, pushed


def _sizes_mm(pushing: Mechanics, density: Values) -> Values:
    """Lengths of the displacements, shape (n,)."""
    return np.asarray(m_to_mm(np.linalg.norm(pushing.mass_effect(density).displacement_m, axis=1)))
