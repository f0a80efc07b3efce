"""The BIOQIC box: stiff cylinders of 10, 5, 3 and 2 mm radius, on which open inversions are off by half and more.

Waves are simulated anew (bioqic_waves.py), with 1 % and 3.2 % noise, averaged over 2 x 2 x 2 voxels (a zone of
25 x 25 x 9 nodes takes 20 times as long as one of 13 x 13 x 5), and inverted by `palpate invert` as a user would. Three
other methods run on the same averaged field (palpate.solvers.comparators), the algebraic one also on the unaveraged.
Maps are interpolated back (linearly, in the logarithm) and scored on all voxels of 1 mm:

    mean relative deviation = mean |G' - mu| / mu,    and the same of |G*|

Published on the original (Ragoza, Batmanghelich, MICCAI 2023): MRE-PINN 44-45 % at 1 to 3 % noise, algebraic inversion
52 -> 62-77 %, their direct finite elements 49-56 -> 96-99 %, without -> with noise. Our waves are not theirs: how the
original was driven was not found. Several frequencies are inverted jointly (`rheology: kelvin-voigt`); scores
are the mean over frequencies.

    python benchmarks/bioqic_box.py --out folder [--frequencies 60 90] [--levels 1 3.2] [--ranks 2] [--short]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.ndimage as ndimage
from harness.command_line import invert
from harness.record import Row, write_record
from numpy.typing import NDArray
from scores.other_methods import other_methods
from worlds.bioqic_waves import BACKGROUND_KPA, CYLINDER_KPA, FULL, SHORT, VOXEL_MM, Box, waves, with_noise

from palpate.imaging.files.maps import read_map
from palpate.imaging.files.wavefield_folder import frequency_text, write_wave_field
from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.block_average import block_average
from palpate.solvers.comparators.direct import direct_inversion
from palpate.units import kpa_to_pa, pa_to_kpa

BLOCK = (2, 2, 2)
FAR_VOXELS = 2
"""Distance from an interface from which on voxels count as away from it, in voxels of the inversion."""

OURS = "ours"
MODULI = ("storagemodulus", "lossmodulus")
SEED = 7
PUBLISHED = "Ragoza and Batmanghelich, MICCAI 2023, on the original box"
PUBLISHED_PERCENT = "MRE-PINN 44-45, algebraic 62-77, direct FE 96-99"

type Volume = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one noise level, mean over frequencies; methods by name.

    Attributes:
        storage_percent: mean relative deviation of G' over the box.
        magnitude_percent: mean relative deviation of |G*| over the box.
        regions_kpa: mean G' of the background, then of each cylinder.
        coverage_percent: share of voxels whose 95 % interval of G' holds the truth, away from interfaces and of all.
    """

    storage_percent: Mapping[str, float]
    magnitude_percent: Mapping[str, float]
    regions_kpa: Mapping[str, list[float]]
    coverage_percent: tuple[float, float]


def study(box: Box, fields: Sequence[WaveField], level_percent: float, out: Path, ranks: int) -> Scores:
    """Add noise, invert by all methods and score their maps.

    Args:
        box: box with the true moduli.
        fields: noise-free waves, one for each frequency.
        level_percent: noise level, percent of a component's root mean square amplitude.
        out: folder for wave fields and maps.
        ranks: number of MPI ranks of `palpate invert`.
    """
    fine = [with_noise(field, level_percent, SEED + number) for number, field in enumerate(fields)]
    coarse = [block_average(field, BLOCK) for field in fine]
    _invert(coarse, out, ranks)
    parts = []
    for noisy, averaged in zip(fine, coarse, strict=True):
        maps = {OURS: _posterior(out / "mre", averaged, "mean", box)}
        maps |= _comparators(averaged, box)
        direct = direct_inversion(noisy)
        maps["algebraic, 1 mm"] = (direct.storage_pa, direct.loss_pa)
        lower, upper = (_posterior(out / "mre", averaged, end, box)[0] for end in ("lower", "upper"))
        parts.append(_score(box, noisy.frequency_hz, maps, lower, upper))
    return _mean(parts)


def _invert(fields: Sequence[WaveField], out: Path, ranks: int) -> None:
    """Write the fields and run palpate on them, several jointly."""
    folder = out / "wavefield"
    folder.mkdir(parents=True, exist_ok=True)
    for field in fields:
        write_wave_field(folder, field)
    settings = ["--settings", json.dumps({"rheology": "kelvin-voigt"})] if len(fields) > 1 else []
    invert(folder, out / "mre", ranks, *settings)


def _comparators(field: WaveField, box: Box) -> dict[str, tuple[Volume, Volume]]:
    """G' and G'' in pascal of the other methods, on the box's voxels."""
    return {
        name: (_onto_voxels(result.storage_pa, box), _onto_voxels(result.loss_pa, box))
        for name, result in other_methods(field).items()
    }


def _posterior(folder: Path, field: WaveField, statistic: str, box: Box) -> tuple[Volume, Volume]:
    """Return one statistic of G' and G'' in pascal on the box's voxels."""
    stems = (f"{field.label}_acq-{frequency_text(field.frequency_hz)}Hz", field.label)
    stem = next(stem for stem in stems if (folder / f"{stem}_stat-mean_{MODULI[0]}.nii.gz").exists())
    storage, loss = (
        kpa_to_pa(read_map(folder / f"{stem}_stat-{statistic}_{modulus}.nii.gz", units="kPa").values.astype(np.float64))
        for modulus in MODULI
    )
    return _onto_voxels(storage, box), _onto_voxels(loss, box)


def _onto_voxels(values: Volume, box: Box) -> Volume:
    """Return a map on blocks, interpolated to the voxels they were made of; the outermost keep the nearest value."""
    places = np.indices(box.shape, dtype=np.float64)
    for axis, factor in enumerate(BLOCK):
        places[axis] = (places[axis] + 0.5) / factor - 0.5
    return np.asarray(np.exp(ndimage.map_coordinates(np.log(values), places, order=1, mode="nearest")))


def _score(
    box: Box, frequency_hz: float, maps: Mapping[str, tuple[Volume, Volume]], lower: Volume, upper: Volume
) -> Scores:
    truth = box.truth_pa(frequency_hz)
    distance_mm = box.voxel_distance_mm
    inside = distance_mm < 0
    regions = [~inside.any(axis=-1), *np.moveaxis(inside, -1, 0)]
    far = np.abs(distance_mm).min(axis=-1) > FAR_VOXELS * BLOCK[0] * VOXEL_MM
    held = (lower <= truth.real) & (truth.real <= upper)
    return Scores(
        storage_percent={name: _deviation_percent(g, truth.real) for name, (g, _) in maps.items()},
        magnitude_percent={name: _deviation_percent(np.hypot(*g), np.abs(truth)) for name, g in maps.items()},
        regions_kpa={name: [float(pa_to_kpa(g[region].mean())) for region in regions] for name, (g, _) in maps.items()},
        coverage_percent=(100.0 * float(held[far].mean()), 100.0 * float(held.mean())),
    )


def _deviation_percent(found: Volume, truth: Volume) -> float:
    return 100.0 * float(np.mean(np.abs(found - truth) / truth))


def _mean(parts: Sequence[Scores]) -> Scores:
    """Return the mean of the scores of several frequencies."""
    methods = parts[0].storage_percent
    far, everywhere = np.mean([part.coverage_percent for part in parts], axis=0)
    return Scores(
        storage_percent={name: float(np.mean([p.storage_percent[name] for p in parts])) for name in methods},
        magnitude_percent={name: float(np.mean([p.magnitude_percent[name] for p in parts])) for name in methods},
        regions_kpa={name: np.mean([p.regions_kpa[name] for p in parts], axis=0).tolist() for name in methods},
        coverage_percent=(float(far), float(everywhere)),
    )


def rows_of(box: Box, level_percent: float, scores: Scores) -> list[Row]:
    """Return the record's rows of one noise level."""

    def row(what: str, unit: str, values: Mapping[str, float], published: float | str | None, goal: str = "") -> Row:
        others = {name: value for name, value in values.items() if name != OURS}
        return Row(f"{what}, {level_percent:g} % noise", unit, values[OURS], published, others, goal)

    names = ["background"] + [f"cylinder of {radius:g} mm" for _, _, radius in box.cylinders]
    truths = [BACKGROUND_KPA] + [CYLINDER_KPA] * len(box.cylinders)
    regions = [
        row(f"mean G' in {name} (truth {truth:g})", "kPa", {m: v[n] for m, v in scores.regions_kpa.items()}, None)
        for n, (name, truth) in enumerate(zip(names, truths, strict=True))
    ]
    far, everywhere = scores.coverage_percent
    away = f"coverage of 95 % intervals of G', more than {FAR_VOXELS} voxels of the inversion from an interface"
    return [
        row("mean deviation of G'", "%", scores.storage_percent, PUBLISHED_PERCENT, "<= 20"),
        row("mean deviation of |G*|", "%", scores.magnitude_percent, None),
        *regions,
        row(away, "%", {OURS: far}, None, "93..97"),
        row("coverage of 95 % intervals of G', all voxels", "%", {OURS: everywhere}, None),
    ]


def main() -> None:
    """Simulate, invert at each noise level, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--frequencies", type=float, nargs="+", default=[60.0, 90.0], help="Hz")
    parser.add_argument("--levels", type=float, nargs="+", default=[1.0, 3.2], help="noise, percent of amplitude")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--short", action="store_true", help="a small box, one cylinder, first frequency and level")
    chosen = parser.parse_args()
    began = time.perf_counter()
    box = SHORT if chosen.short else FULL
    frequencies = chosen.frequencies[:1] if chosen.short else chosen.frequencies
    fields = [waves(box, frequency) for frequency in frequencies]
    rows: list[Row] = []
    for level in chosen.levels[:1] if chosen.short else chosen.levels:
        scores = study(box, fields, level, chosen.out / f"noise-{level:g}", chosen.ranks)
        rows += rows_of(box, level, scores)
    notes = [
        f"frequencies {', '.join(map(frequency_text, frequencies))} Hz; box of {' x '.join(map(str, box.shape))} mm",
        f"inverted on means over {' x '.join(map(str, BLOCK))} voxels of 1 mm, scored on voxels of 1 mm",
        "waves simulated anew, driven at one long face; published figures are for the original's waves",
        "noise is a share of the components' root mean square amplitude, our reading of MRE-PINN's code",
        "waves are exact to about 1.5 % (elements of 2.3 against 1.5 mm, 90 Hz), more than the averaged noise",
    ]
    trial = chosen.out / "bioqic_box.json" if chosen.short else None  # a short run is no record
    seconds = time.perf_counter() - began
    write_record("bioqic_box", rows, published=PUBLISHED, notes=notes, seconds=seconds, out=trial)


if __name__ == "__main__":
    main()
