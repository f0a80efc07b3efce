"""Results of a session, gathered from its files for its page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.anatomy.midplane import MidPlane, midplane_of
from palpate.imaging.derived.quantities import Medium
from palpate.imaging.exam_record import drawn_region_path
from palpate.imaging.files.json_object import read_json
from palpate.imaging.files.maps import Map, read_map, read_mask
from palpate.imaging.files.stiffness_folder import Modulus, Samples, StiffnessMaps, read_stiffness
from palpate.imaging.files.wavefield_folder import read_wave_fields
from palpate.imaging.findings.find import findings
from palpate.imaging.findings.finding import Finding
from palpate.imaging.region_values.quantities import REGION_QUANTITIES
from palpate.imaging.region_values.values import RegionValue, region_values
from palpate.imaging.region_values.weights import weighted_voxels
from palpate.imaging.region_values.written import WrittenRegions, written_regions
from palpate.imaging.registration.placement import Placement, read_placement
from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.wave_directions import WaveDirections, wave_directions
from palpate.service.exam.scanner import ScannerPixels, read_scanner
from palpate.service.regions import RegionFigure, region_figures
from palpate.service.report.exceedance import Exceedance, exceedance
from palpate.service.score import Score, read_truth, score_run
from palpate.system_files import matching

_SUBJECT = re.compile(r"sub-(?P<subject>[0-9A-Za-z]+)")
_SESSION = re.compile(r"ses-(?P<session>[0-9A-Za-z]+)")


@dataclass(frozen=True)
class RunView:
    """Results of one run at one frequency.

    Attributes:
        stiffness: posterior of the run.
        figures: figures of the informed region, with intervals; empty where no voxel is informed.
        field: wave field that was inverted; None where it is not at hand.
        magnitude: MRE magnitude image on its own grid; None where there is none.
        ingest: record of ingest; empty where the wave field was made elsewhere.
        truth: true moduli, kPa; None where the truth is not known.
        scores: scores of the maps against the truth; None where the truth is not known or no voxel counts.
        drawn: region that a user drew, before noisy voxels were left out, shape (i, j, k); None where nobody drew one.
        pixels: stiffness and confidence that the scanner computed; None where it computed neither.
        informed_values: means of G' and G'' over the informed voxels; empty where no mean follows from the draws.
        findings: stiff and soft regions, the largest of each kind first; none without draws.
        exceedance: probability that G' exceeds a threshold; None without draws.
        regions: labelled regions as the session's table states them; None where there is no table.
    """

    stiffness: StiffnessMaps
    figures: tuple[RegionFigure, ...]
    field: WaveField | None
    magnitude: Map | None
    ingest: Mapping[str, Any]
    truth: Mapping[Modulus, Map] | None
    scores: Mapping[Modulus, Score] | None
    drawn: NDArray[np.bool_] | None = None
    pixels: ScannerPixels | None = None
    informed_values: tuple[RegionValue, ...] = ()
    findings: tuple[Finding, ...] = ()
    exceedance: Exceedance | None = None
    regions: WrittenRegions | None = None

    @property
    def title(self) -> str:
        """Name of the run in words, such as "Run 1, 20 Hz"."""
        run = re.search(r"_run-([0-9A-Za-z]+)", self.stiffness.label)
        frequency = f"{self.stiffness.frequency_hz:g} Hz"
        return f"Run {run[1]}, {frequency}" if run else frequency

    @cached_property
    def directions(self) -> WaveDirections | None:
        """Directions in which the waves travel; None where the wave field is not at hand or too thin."""
        return wave_directions(self.field) if self.field is not None else None

    @property
    def frequency_record(self) -> Mapping[str, Any]:
        """Record of ingest on this run's frequency; empty where there is none."""
        for record in self.ingest.get("frequencies") or []:
            if (
                isinstance(record, Mapping)
                and abs(float(record.get("frequency_hz", 0.0)) - self.stiffness.frequency_hz) < 1e-3
            ):
                return record
        return {}

    @property
    def informed_share(self) -> float:
        """Share of the covered voxels that are informed: their value comes mostly from this scan."""
        covered = int(self.stiffness.moduli["storagemodulus"].mean.covered.sum())
        return float(self.stiffness.informed.sum()) / covered if covered else 0.0


@dataclass(frozen=True, slots=True)
class SessionView:
    """Results of a session.

    Attributes:
        subject: label of the subject in the study.
        session: label of the session; empty where there is none.
        runs: results of every run and frequency.
        anatomy: T1-weighted image in the world of the first run; None where there is none, or its place is not known.
        from_dicom: whether a scanner's DICOM is the source, so that palpate maps can write DICOM maps.
    """

    subject: str
    session: str
    runs: tuple[RunView, ...]
    anatomy: Map | None
    from_dicom: bool


def read_session(folder: Path, truth: Path | None = None, above_kpa: float | None = None) -> SessionView:
    """Gather the results of a session.

    Args:
        folder: path of the session folder, with `mre/` and, where it exists, `wavefield/`.
        truth: folder of the true maps, kPa; None where the truth is not known.
        above_kpa: threshold of the probability that G' exceeds it, kPa; None for one that follows from the maps.

    Raises:
        InputError: there are no maps, or files do not fit each other.
    """
    runs = read_stiffness(folder / "mre")
    subject = _SUBJECT.search(runs[0].label)
    session = _SESSION.search(runs[0].label)
    wavefield = folder / "wavefield"
    fields = read_wave_fields(wavefield) if wavefield.is_dir() else ()
    placement = read_placement(wavefield, runs[0].label)
    anatomies = matching(wavefield, "*_T1w.nii.gz") if placement.usable else []
    anatomy = _placed(read_map(anatomies[0]), placement) if anatomies else None
    midplane = None if anatomy is None else midplane_of(anatomy.values, anatomy.affine_mm)
    views = tuple(
        replace(_read_run(run, wavefield, fields, truth, above_kpa, midplane), regions=written_regions(folder, run))
        for run in runs
    )
    return SessionView(
        subject=subject["subject"] if subject else runs[0].label,
        session=session["session"] if session else "",
        runs=views,
        anatomy=anatomy,
        from_dicom=any(bool(view.ingest.get("dicom")) for view in views),
    )


def _placed(anatomy: Map, placement: Placement) -> Map:
    """Return the anatomy in the elastogram's world."""
    return replace(anatomy, affine_mm=placement.affine_on_elastogram_mm(anatomy.affine_mm))


def _read_run(
    run: StiffnessMaps,
    wavefield: Path,
    fields: tuple[WaveField, ...],
    truth: Path | None,
    above_kpa: float | None,
    midplane: MidPlane | None,
) -> RunView:
    """Gather what is known of one run at one frequency."""
    field = next((f for f in fields if f.label == run.label and _same_frequency(f, run)), None)
    if field is not None and field.mask.shape != run.informed.shape:
        raise InputError(
            wavefield,
            found=f"a wave field of {field.mask.shape} voxels",
            expected=f"the grid of the maps, {run.informed.shape}",
            advice="Keep the wave field and the maps of one session together.",
        )
    magnitude_path = wavefield / f"{run.label}_magnitude.nii.gz"
    ingest_path = wavefield / f"{run.label}_ingest.json"
    true_maps = read_truth(truth, run) if truth is not None else None
    informed_somewhere = bool(run.informed.any())
    draws = run.samples()
    return RunView(
        stiffness=run,
        figures=region_figures(run, run.informed, draws) if informed_somewhere else (),
        field=field,
        magnitude=read_map(magnitude_path) if magnitude_path.exists() else None,
        ingest=read_json(ingest_path, record="ingest") if ingest_path.exists() else {},
        truth=true_maps,
        scores=score_run(run, true_maps) if true_maps is not None and informed_somewhere else None,
        drawn=_drawn(wavefield, run),
        pixels=read_scanner(wavefield, run.label, run.frequency_hz, run.moduli["storagemodulus"].mean),
        informed_values=_informed_values(run, draws) if draws is not None and informed_somewhere else (),
        findings=_findings(run, draws, midplane) if draws is not None and informed_somewhere else (),
        exceedance=None if draws is None else exceedance(run, draws, above_kpa),
    )


def _informed_values(run: StiffnessMaps, draws: Samples) -> tuple[RegionValue, ...]:
    """Return the means of G' and G'' over the informed voxels; none where draws are too few or hold no number."""
    region = weighted_voxels("informed voxels", run.informed, run, draws)
    quantities = [REGION_QUANTITIES[key] for key in ("storage_modulus", "loss_modulus")]
    try:
        return tuple(region_values(run, draws, [region], quantities, Medium(run.frequency_hz, np.nan)))
    except InputError:
        return ()


def _findings(run: StiffnessMaps, draws: Samples, midplane: MidPlane | None) -> tuple[Finding, ...]:
    """Return stiff and soft regions; none where draws are too few or hold no number."""
    try:
        return findings(run, draws, midplane=midplane)
    except InputError:
        return ()


def _drawn(wavefield: Path, run: StiffnessMaps) -> NDArray[np.bool_] | None:
    """Return the region that a user drew on the voxels of a run; None where there is none."""
    path = drawn_region_path(wavefield, run.label)
    if not path.exists():
        return None
    region = read_mask(path)
    if region.shape != run.informed.shape:
        raise InputError(
            path,
            found=f"a region of {region.shape} voxels",
            expected=f"the grid of the maps, {run.informed.shape}",
            advice="Keep the wave field and the maps of one session together.",
        )
    return region


def _same_frequency(field: WaveField, run: StiffnessMaps) -> bool:
    return abs(field.frequency_hz - run.frequency_hz) < 1e-4 * run.frequency_hz
