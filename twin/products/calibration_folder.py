"""Output folder of a calibration.

calibration.h5        the calibration itself, for palpate forecast
calibration.json      prior and posterior of parameters, observed and modelled volumes, misfit, convergence, warnings
<label>_white.nii.gz, <label>_roi.nii.gz    anatomy and regions of the last scan on the twin's lattice
"""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import numpy as np
from mpi4py import MPI

from palpate.config.twin import TwinSettings
from palpate.imaging.files.nifti import write_nifti
from palpate.imaging.tumour.history import TumourHistory
from palpate.imaging.tumour.record import Remarks
from palpate.imaging.tumour.visibility import LEAST_ML
from palpate.outputs import OutputFolder, claim_folder
from palpate.progress import say
from palpate.provenance import versions
from palpate.quality_warning import QualityWarning
from palpate.renamed import record_text
from palpate.resources import gather_use
from palpate.twin.basis_of_calibration import basis, basis_warnings
from palpate.twin.biology import prior_shifts, untried
from palpate.twin.calibration.calibrate import Calibration, calibrated
from palpate.twin.calibration_file import save_calibration
from palpate.twin.clocks.words import clock_rows, clock_warnings
from palpate.twin.forecast.predict import share_above
from palpate.twin.front import front_warnings
from palpate.twin.lattice import nearest_in
from palpate.twin.observation.innovations import Innovation
from palpate.twin.pharmacology import clearance_warnings, of_patient
from palpate.twin.products.figures import THRESHOLDS, intervals, observed, parameters
from palpate.twin.products.innovations import innovation_record, innovations, unexpected
from palpate.twin.trust.domain import domain

LEAST_ACCEPTED: Final = 0.05
"""Smallest share of accepted proposals; with a smaller one the draws may not follow the posterior."""


def calibrate_into(
    history: TumourHistory,
    settings: TwinSettings,
    out: Path,
    remarks: Remarks | None = None,
    comm: MPI.Comm = MPI.COMM_SELF,
) -> Calibration:
    """Calibrate a twin and write its folder; an interrupted run leaves no partial result. Collective.

    Args:
        history: history of the tumour on the images' grid.
        settings: settings of the twin.
        out: folder to create, or to replace where palpate wrote it.
        remarks: notes and warnings from reading the history.
        comm: ranks to share the work; the first one writes.

    Raises:
        InputError: the history cannot be calibrated, or the folder holds somebody else's files.
    """
    _, missing = of_patient(settings, history.markers)
    remarks = remarks or Remarks()
    remarks = dataclasses.replace(remarks, warnings=(*remarks.warnings, *clearance_warnings(missing)))
    target = claim_folder(out, "calibrate", {})
    with target.owned() if comm.rank == 0 else nullcontext():
        say(f"sub-{history.subject}: calibrating on {len(history.scans)} scans")
        found, problem = calibrated(history, settings, comm)
        told = innovations(found, problem)
        gather_use(comm)
        if comm.rank == 0:
            _write(target, found, history, remarks, told)
    return found


def _write(
    target: OutputFolder,
    found: Calibration,
    history: TumourHistory,
    remarks: Remarks,
    told: tuple[Innovation, ...],
) -> None:
    """Write the folder of a calibration, which is this run's alone."""
    went = found.statistics
    say(
        f"{'converged' if went.converged else 'NOT converged'} after {went.iterations} steps, "
        f"misfit {went.misfit:.2f} a datum"
    )
    with target.writing() as partial:
        save_calibration(found, partial / "calibration.h5")
        record = calibration_record(found, history, remarks, told)
        (partial / "calibration.json").write_text(record_text("calibration", record), encoding="utf-8")
        lattice = found.history
        white = np.where(lattice.tissue, 0.3 + 0.7 * lattice.white, 0.0).astype(np.float32)
        write_nifti(partial / f"sub-{history.subject}_white.nii.gz", white, lattice.affine_mm)
        write_nifti(partial / f"sub-{history.subject}_roi.nii.gz", lattice.scans[-1].roi, lattice.affine_mm)


def calibration_record(
    found: Calibration, history: TumourHistory, remarks: Remarks, innovations: tuple[Innovation, ...] = ()
) -> dict[str, object]:
    """Return the record of a calibration that programs and the page read, as plain JSON values.

    Args:
        found: calibration of the tumour.
        history: history on the images' grid.
        remarks: notes and warnings from reading the history.
        innovations: each scan's numbers beside their prediction by the scans before.
    """
    past = fitted(found)
    own = (*_sampling_warnings(found), *contradicted(found.history, past), *unexpected(innovations))
    clocks = clock_warnings(found.clocks)
    shifts = prior_shifts(found.history, found.settings)
    tried = domain(found, unlike=untried(shifts))
    doubts = (*own, *front_warnings(found), *tried.warnings())
    warnings = (*basis_warnings(found), *remarks.warnings, *clocks, *doubts)
    return {
        "subject": history.subject,
        "basis": str(basis(found)),
        "units": {"volumes": "mL", "days": "since the first scan"},
        "parameters": parameters(found),
        "mechanics": None
        if found.stress is None
        else {
            "stiffness": "population" if history.stiffness is None else "elastogram",
            "modes": found.stress.modes,
            "explained": found.stress.explained,
        },
        "front_error_mm_per_100_days": found.front_error_mm,
        "dates_as_recorded": found.clocks.as_dated,
        "clocks": clock_rows(found.clocks),
        "observed": observed(history.scans, float(np.prod(history.edges_mm)) / 1e3),
        "fitted": past,
        "innovations": [innovation_record(one) for one in innovations],
        "treatment_days": {
            "radiotherapy": [one.day for one in history.irradiations],
            "chemotherapy": [one.day for one in history.drug_doses],
            "surgery": [one.day for one in history.surgeries],
        },
        "domain": tried.as_record(),
        "prior_shifts": [one.as_record() for one in shifts],
        "statistics": dataclasses.asdict(found.statistics)
        | {"effective_sample_fraction": found.draws.effective_share, "acceptance": found.draws.acceptance},
        "radiotherapy_courses": list(remarks.courses),
        "notes": list(remarks.notes),
        "warnings": [one.as_record() for one in warnings],
        "settings": found.settings.model_dump(mode="json"),
        "versions": versions(),
    }


def _sampling_warnings(found: Calibration) -> list[QualityWarning]:
    """Return warnings of a calibration that did not converge and of draws that hardly moved."""
    warnings = []
    if not found.statistics.converged:
        sentence = f"The calibration did not converge within {found.statistics.iterations} steps."
        advice = "Do not use its forecast; check the scans and the treatments, or raise twin.max_iterations."
        warnings.append(QualityWarning("calibration-not-converged", sentence, advice))
    if found.draws.acceptance < LEAST_ACCEPTED:
        sentence = "The draws of the posterior hardly moved: its intervals may be too narrow or too wide."
        warnings.append(QualityWarning("draws-hardly-moved", sentence, "Raise twin.draws, or use another twin.seed."))
    return warnings


def contradicted(history: TumourHistory, past: list[dict[str, Any]]) -> list[QualityWarning]:
    """Return a warning for each scan that shows no tumour where the model's 95 % interval excludes its absence.

    Args:
        history: history on the lattice.
        past: rows of `fitted`.
    """
    return [
        QualityWarning(
            "scan-contradicts-model",
            f"The scan of day {scan.day:g} shows no tumour, but the model predicts at least "
            f"{row['visible_ml']['95'][0]:.1f} mL.",
            "Check that scan, and that all treatment is in the table.",
        )
        for scan, row in zip(history.scans, past, strict=True)
        if scan.marked and not scan.tumour.any() and row["visible_ml"]["95"][0] > LEAST_ML
    ]


def fitted(found: Calibration) -> list[dict[str, Any]]:
    """Return volumes and burden of the posterior's draws at every scan, without the front model error.

    Args:
        found: calibration of the tumour.
    """
    lattice = found.history
    voxel_ml = float(np.prod(lattice.edges_mm)) / 1e3
    nearest = nearest_in(lattice.tissue)
    chosen = found.draws.xi[found.draws.looked_at]
    above = {name: [found.unknowns.natural(xi, kind) for xi in chosen] for name, kind in THRESHOLDS.items()}
    rows: list[dict[str, Any]] = []
    for number, scan in enumerate(lattice.scans):
        states = found.draws.past[:, number].astype(np.float64)
        volumes = {
            name: np.array(
                [share_above(u, a, lattice.tissue, nearest).sum() for u, a in zip(states, each, strict=True)]
            )
            * voxel_ml
            for name, each in above.items()
        }
        burden = np.array([u.sum() for u in states]) * voxel_ml
        row: dict[str, object] = {name: intervals(values) for name, values in volumes.items()}
        rows.append({"day": scan.day, "burden_ml": intervals(burden)} | row)
    return rows
