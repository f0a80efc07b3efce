"""Inversion of every wave field of a session, with its files: the public function behind `palpate invert`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from mpi4py import MPI

from palpate.config.inversion import InversionSettings
from palpate.config.mesh import MeshSettings
from palpate.errors import InputError
from palpate.imaging.anatomy.labels import Regions, read_classes, read_regions
from palpate.imaging.checks.wave_checks import wave_warnings
from palpate.imaging.files.wavefield_folder import frequency_text, read_wave_fields
from palpate.imaging.limits.plausible import demand_density, demand_frequency
from palpate.imaging.registration.placement import read_placement
from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.inversion_grid import InversionGrid, inversion_grid
from palpate.meshing.lattice import Lattice, lattice_of_run
from palpate.meshing.refined_zones import refined, zones_on
from palpate.meshing.zone_file import check_zones, read_zones
from palpate.meshing.zones import Zone
from palpate.outputs import OutputFolder, claim_folder
from palpate.program import Program
from palpate.progress import say
from palpate.provenance import input_digests
from palpate.resources import gather_use
from palpate.solvers.comparators.direct import direct_inversion
from palpate.solvers.inversion.checks.model_evidence import sum_of
from palpate.solvers.inversion.results import (
    Target,
    common_record,
    evidence_record,
    fit_record,
    frequency_record,
    stems,
    write_direct,
    write_parameters,
    write_posterior,
    write_record,
)
from palpate.solvers.inversion.run import Inversion, invert_together, invert_wave_field
from palpate.solvers.inversion.steps.checkpoint import unfinished
from palpate.solvers.inversion.steps.load_balance import LoadBalance
from palpate.solvers.inversion.steps.problem import InversionDomain
from palpate.solvers.ranks import all_ranks
from palpate.solvers.rheology import reference_hz
from palpate.system_files import matching


def invert_session(
    wavefield: Path,
    out: Path,
    settings: InversionSettings,
    *,
    mesh: Path | None = None,
    labels: Path | None = None,
    comm: MPI.Comm | None = None,
) -> None:
    """Invert every run and frequency of a wave-field folder and write the folder of stiffness maps.

    Args:
        wavefield: folder of wave fields.
        out: folder to write; an interrupted run leaves no partial result.
        settings: settings of the inversion.
        mesh: folder of palpate mesh; without it zones are cut with default settings.
        labels: segmentation of the anatomy, NIfTI in the same world coordinates; its regions may differ in stiffness.
        comm: communicator of the ranks that share the work; all ranks of the job by default.

    Raises:
        InputError: the wave fields, the mesh or the labels cannot be used, `out` holds files that are not palpate's,
            another run writes there, or the launcher did not connect the ranks.
    """
    comm = comm or all_ranks()
    given = {"wavefield": wavefield, "mesh": mesh, "labels": labels}
    claimed = claim_folder(out, "invert", given)
    demand_plausible(settings)
    with claimed.owned() if comm.rank == 0 else nullcontext():
        _invert_into(claimed, given, settings, comm)


def _invert_into(
    claimed: OutputFolder, given: Mapping[str, Path | None], settings: InversionSettings, comm: MPI.Comm
) -> None:
    """Invert the wave fields and write the folder, which is this job's alone."""
    wavefield, mesh, labels = given["wavefield"], given["mesh"], given["labels"]
    assert wavefield is not None  # the command demands it
    fields = read_wave_fields(wavefield)
    named = list(zip(fields, stems(fields), strict=True))
    runs = {one.label: [inversion_grid(field) for field in fields if field.label == one.label] for one in fields}
    inverted = {label: [grid.field for grid in run] for label, run in runs.items()}
    lattices = {label: lattice_of_run(run) for label, run in inverted.items()}
    zones = {label: _zones(label, lattice, mesh) for label, lattice in lattices.items()}
    if settings.rheology != "per-frequency":
        for of_run in inverted.values():
            _check_joint(of_run)
    regions = {label: _regions(run[0], wavefield, labels, settings) for label, run in inverted.items()}
    digests = input_digests({role: path for role, path in given.items() if path is not None})
    source = digests["wavefield"]
    writing = claimed.writing() if comm.rank == 0 else nullcontext(None)
    key = _key(digests, settings) if comm.rank == 0 else ""
    with unfinished(claimed.path, key, comm) as kept, writing as folder:
        later = _later_work(runs, zones, settings)
        for label, run in runs.items():
            domain = InversionDomain(
                zones[label],
                regions[label],
                kept / label,
                compare=len(run) > 1,
                lattice=lattices[label],
                later=later[label],
            )
            targets = {}
            if folder is not None:
                own = [(field, stem) for field, stem in named if field.label == label]
                targets = {
                    field.frequency_hz: Target(folder, field, stem, source, wave_warnings(field)) for field, stem in own
                }
            for target in targets.values():
                # Said before the fit: what is wrong with the waves may end it.
                _say_warnings(target.stem, [str(one) for one in target.warnings])
            if settings.method == "direct":
                records, common = _direct(run, targets)
            elif settings.rheology == "per-frequency":
                records, common = _one_by_one(run, targets, domain, settings, comm)
            else:
                records, common = _together(run, targets, domain, settings, comm)
            if folder is not None:
                write_record(folder, label, records, common | common_record(settings, digests))
        gather_use(comm)


def demand_plausible(settings: InversionSettings) -> None:
    """Refuse numbers of the settings that are in another unit.

    Args:
        settings: settings of the inversion.

    Raises:
        InputError: a density or a frequency is one that no tissue or vibration has.
    """
    where = "the inversion settings"
    demand_density(where, settings.tissue_density_kg_m3, key="tissue_density_kg_m3")
    if settings.reference_hz is not None:
        demand_frequency(where, settings.reference_hz, key="reference_hz")


type Targets = Mapping[float, Target]
"""Destinations of the files of each frequency, by hertz; empty on ranks that do not write."""

type Records = tuple[list[dict[str, Any]], dict[str, Any]]
"""Entries of inversion.json about each frequency of a run, and about all of them."""


def _direct(run: Sequence[InversionGrid], targets: Targets) -> Records:
    """Write the algebraic baseline of a run, and return its records."""
    for grid in run:
        direct = direct_inversion(grid.given)
        if grid.given.frequency_hz in targets:
            write_direct(targets[grid.given.frequency_hz], direct)
    records = []
    for frequency_hz, target in targets.items():
        said = [one.as_record() for one in target.warnings]
        records.append({"frequency_hz": frequency_hz, "converged": True, "warnings": said})
    return records, {}


def _one_by_one(
    run: Sequence[InversionGrid], targets: Targets, domain: InversionDomain, settings: InversionSettings, comm: MPI.Comm
) -> Records:
    """Write the posterior of each frequency of a run from its own data, and return the records."""
    records, evidence = [], []
    for number, grid in enumerate(run, start=1):
        field = grid.field
        own = replace(
            domain,
            unfinished=domain.unfinished and domain.unfinished / frequency_text(field.frequency_hz),
            later=domain.later + len(run) - number,
        )
        inversion = invert_wave_field(field, own, settings, comm)
        evidence.append(inversion.evidence)
        of_fit = fit_record(inversion, settings)
        records += [one | of_fit for one in _write([grid], [inversion], targets, settings)]
    return records, evidence_record(sum_of(evidence))


def _together(
    run: Sequence[InversionGrid], targets: Targets, domain: InversionDomain, settings: InversionSettings, comm: MPI.Comm
) -> Records:
    """Write the posterior of each frequency of a run from the data of all, and return the records."""
    fields = [grid.field for grid in run]
    inversions = invert_together(fields, domain, settings, comm)
    if targets:
        write_parameters(replace(targets[fields[0].frequency_hz], stem=fields[0].label), inversions[0].parameters)
    reference = {"reference_hz": reference_hz(settings, [field.frequency_hz for field in fields])}
    return _write(run, inversions, targets, settings), fit_record(inversions[0], settings) | reference


def _write(
    run: Sequence[InversionGrid], inversions: Sequence[Inversion], targets: Targets, settings: InversionSettings
) -> list[dict[str, Any]]:
    """Write the maps of wave fields where this rank writes, and return the records of those."""
    records = []
    for grid, found in zip(run, inversions, strict=True):
        if grid.given.frequency_hz in targets:
            target, inversion = targets[grid.given.frequency_hz], found.on_given(grid)
            write_posterior(target, inversion, settings)
            records.append(frequency_record(target, inversion, settings))
            _say_result(records[-1], len(inversion.fit.state.history), target)
            _say_balance(inversion.load_balance, target.stem)
    return records


def _later_work(
    runs: Mapping[str, Sequence[InversionGrid]], zones: Mapping[str, Sequence[Zone]], settings: InversionSettings
) -> dict[str, float]:
    """Return the work of the runs after each run, over that of one inversion of the run."""
    once = {label: sum(zone.work for zone in zones[label]) for label in runs}
    whole = {label: once[label] * len(run) for label, run in runs.items()}
    one = once if settings.rheology == "per-frequency" else whole
    labels = list(runs)
    return {label: sum(whole[other] for other in labels[place:]) / one[label] for place, label in enumerate(labels, 1)}


def _check_joint(run: Sequence[WaveField]) -> None:
    """Refuse wave fields that cannot be of one tissue, and say where a rheology is assumed rather than tested."""
    densities = {field.density_kg_m3 for field in run}
    if len(densities) > 1:
        raise InputError(
            f"the wave fields of {run[0].label}",
            found=f"densities of {', '.join(f'{d:g}' for d in sorted(densities))} kg/m3",
            expected="one density at all frequencies that are inverted together",
            advice="Correct Density in the sidecars, or set rheology to per-frequency.",
        )
    if len(run) == 1:
        say(f"{run[0].label}: one frequency only, which cannot test the rheology")


def _key(digests: Mapping[str, str], settings: InversionSettings) -> str:
    """Return a digest of everything on which the result depends: a run is resumed only if none of it has changed."""
    decisive = [digests, settings.model_dump(mode="json"), Program().digest("invert")]
    return sha256(json.dumps(decisive).encode()).hexdigest()[:16]


def _zones(label: str, lattice: Lattice, mesh: Path | None) -> list[Zone]:
    if mesh is None:
        return zones_on(lattice, MeshSettings(), f"{label}_mask")
    zones = read_zones(mesh / f"{label}_zones.h5")
    check_zones(zones, lattice.nodes)
    return refined(zones, lattice)


def _regions(field: WaveField, wavefield: Path, labels: Path | None, settings: InversionSettings) -> Regions | None:
    """Return regions by the labels, or else by the anatomy that palpate ingest keeps beside the wave field, if any."""
    anatomy = matching(wavefield, "*_T1w.nii.gz")
    placement = read_placement(wavefield, field.label)
    if not placement.usable:
        say(f"{field.label}: the place of the anatomy on the elastogram is not known, so it is not used")
        return None
    if labels is not None:
        return read_regions(labels, field.mask, field.affine_mm, placement.motion)
    if settings.use_anatomy and len(anatomy) == 1:
        return read_classes(anatomy[0], field.mask, field.affine_mm, placement.motion)
    return None


def _say_result(result: dict[str, Any], steps: int, target: Target) -> None:
    label, said = target.stem, [one.as_record() for one in target.warnings]
    state = "converged" if result["converged"] else "NOT converged: raise max_iterations, or check the wave field"
    say(
        f"{label}: {state} after {steps} steps, "
        f"{100 * result['informed_share']:.0f} % of the voxels informed by the scan, misfit "
        f"{next(iter(result['misfit'].values())):.2f} of noise alone"
    )
    _say_warnings(label, [f"{one['sentence']} {one['advice']}" for one in result["warnings"] if one not in said])


def _say_warnings(label: str, texts: Sequence[str]) -> None:
    for one in texts:
        say(f"{label}: {one}")


def _say_balance(balance: LoadBalance, label: str) -> None:
    say(
        f"{label}: ranks were busy with zones for {min(balance.busy_s):.0f} to {max(balance.busy_s):.0f} s, "
        f"{100 * balance.efficiency:.0f} % of the slowest on average"
    )
