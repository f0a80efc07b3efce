"""Every wave field of a session, inverted and written: the public function behind `palpate invert`."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path
from typing import Any

from mpi4py import MPI

from palpate.config.inversion import InversionSettings
from palpate.config.mesh import MeshSettings
from palpate.imaging.labels import Regions, read_classes, read_regions
from palpate.imaging.wavefield import WaveField
from palpate.imaging.wavefield_folder import read_wave_fields
from palpate.meshing.zone_file import check_zones, read_zones
from palpate.meshing.zone_mesh import zones_of
from palpate.meshing.zones import Zone
from palpate.progress import say
from palpate.provenance import atomic_directory, input_digests, refuse_foreign_folder, source_digest, versions
from palpate.solvers.inversion.checkpoint import unfinished
from palpate.solvers.inversion.direct import direct_inversion
from palpate.solvers.inversion.results import (
    Target,
    common_record,
    record,
    stems,
    write_direct,
    write_posterior,
    write_record,
)
from palpate.solvers.inversion.run import invert_wave_field


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
        out: folder to write; it appears whole or not at all.
        settings: the inversion section.
        mesh: folder of palpate mesh; without it zones are cut with default settings.
        labels: segmentation of the anatomy, NIfTI in the same world coordinates; its regions may differ in stiffness.
        comm: ranks that share the work; all of the job by default.

    Raises:
        InputError: the wave fields, the mesh or the labels cannot be used, or `out` holds files that are not palpate's.
    """
    comm = comm or MPI.COMM_WORLD
    refuse_foreign_folder(out)
    fields = read_wave_fields(wavefield)
    zones = {field.label: _zones(field, mesh) for field in fields}
    regions = {field.label: _regions(field, wavefield, labels, settings) for field in fields}
    given = {"wavefield": wavefield, "mesh": mesh, "labels": labels}
    digests = input_digests({role: path for role, path in given.items() if path is not None})
    source = digests["wavefield"]
    records: dict[str, list[dict[str, Any]]] = defaultdict(list)
    writing = atomic_directory(out) if comm.rank == 0 else nullcontext(None)
    with unfinished(out, _key(digests, settings), comm) as kept, writing as folder:
        for field, stem in zip(fields, stems(fields), strict=True):
            if settings.method == "direct":
                direct = direct_inversion(field)
                if folder is not None:
                    write_direct(Target(folder, field, stem, source), direct)
                    records[field.label].append({"frequency_hz": field.frequency_hz, "converged": True})
                continue
            inversion = invert_wave_field(
                field, zones[field.label], settings, comm, regions[field.label], unfinished=kept / stem
            )
            if folder is not None:
                target = Target(folder, field, stem, source)
                write_posterior(target, inversion, settings)
                records[field.label].append(record(target, inversion, settings))
                _say_result(records[field.label][-1], field.label)
        if folder is not None:
            for label, parts in records.items():
                write_record(folder, label, parts, common_record(settings, digests))


def _key(digests: Mapping[str, str], settings: InversionSettings) -> str:
    """Digest of everything that decides the result: a run goes on only where nothing of it has changed."""
    program = source_digest(["config", "imaging", "meshing", "solvers", "units"])
    libraries = {name: version for name, version in versions().items() if name != "commit"}
    decisive = [digests, settings.model_dump(mode="json"), program, libraries]
    return sha256(json.dumps(decisive).encode()).hexdigest()[:16]


def _zones(field: WaveField, mesh: Path | None) -> list[Zone]:
    if mesh is None:
        return zones_of(field.mask, field.voxel_size_mm, MeshSettings())
    zones = read_zones(mesh / f"{field.label}_zones.h5")
    check_zones(zones, field.mask)
    return zones


def _regions(field: WaveField, wavefield: Path, labels: Path | None, settings: InversionSettings) -> Regions | None:
    """Regions by the labels; without them by the anatomy that palpate ingest keeps beside the wave field, if any."""
    anatomy = sorted(wavefield.glob("*_T1w.nii.gz"))
    if labels is not None:
        return read_regions(labels, field.mask, field.affine_mm)
    if settings.use_anatomy and len(anatomy) == 1:
        return read_classes(anatomy[0], field.mask, field.affine_mm)
    return None


def _say_result(result: dict[str, Any], label: str) -> None:
    state = "converged" if result["converged"] else "NOT converged: raise max_iterations, or check the wave field"
    say(
        f"{label}: {state} after {len(result['iterations'])} steps, data decide in "
        f"{100 * result['informed_share']:.0f} % of the voxels, misfit "
        f"{next(iter(result['misfit_per_frequency'].values())):.2f} of noise alone"
    )
    busy_s = result["load_balance"]["busy_s_per_rank"]
    say(
        f"{label}: ranks were busy with zones for {min(busy_s):.0f} to {max(busy_s):.0f} s, "
        f"{100 * result['load_balance']['efficiency']:.0f} % of the slowest on average"
    )
