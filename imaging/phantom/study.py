"""Folder of the in-silico patient: DICOM as from a scanner, the truth beside it, and the table of sessions.

It holds, for subject and session 01 (and for every other patient of a cohort):

    sessions.tsv
    sub-01/ses-01/dicom/mre                                      MRE as the chosen vendor stores it
    sub-01/ses-01/dicom/t1                                       anatomy
    sub-01/ses-01/truth/truth_{storagemodulus,lossmodulus}.nii.gz   kPa, means over the voxels of the MRE grid
    sub-01/ses-01/truth/truth_tissue.nii.gz                      1 grey, 2 white, 3 fluid, 4 lesion; 0 outside
    sub-01/ses-01/truth/wavefield                                noise-free wave field
    sub-01/ses-01/truth/truth.json                               how it was made

The truth lies on the grid on which a reader of the MRE arrives, so that it can be compared voxel by voxel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from palpate.config.phantom import PhantomSettings
from palpate.imaging.files.nifti import write_nifti
from palpate.imaging.files.wavefield_folder import write_wave_field
from palpate.imaging.phantom.anatomy_series import write_anatomy
from palpate.imaging.phantom.grid import ScanGrid
from palpate.imaging.phantom.identity import STUDY_DATE, Identity
from palpate.imaging.phantom.scan import Scan, acquire
from palpate.imaging.phantom.tissue import TISSUES, Head
from palpate.imaging.phantom.vendors import WRITERS, ingest_settings
from palpate.imaging.wavefield import WaveField
from palpate.provenance import versions
from palpate.renamed import record_text

ANATOMY_SOURCE = (
    "ICBM152 nonlinear symmetric average brain, 2009a (Fonov et al. 2011), from nilearn's wheel; "
    "copyright 1993-2009 Louis Collins, McConnell Brain Imaging Centre, Montreal Neurological Institute; "
    "use, copying, modification and distribution permitted with this notice"
)
"""Attribution of the atlas, as its notice requires it."""


def write_study(
    root: Path,
    settings: PhantomSettings,
    head: Head,
    grid: ScanGrid,
    displacement_m: NDArray[np.complex128],
) -> tuple[Scan, dict[str, str]]:
    """Measure the displacement and write everything but the table into an existing folder without this patient.

    Args:
        root: the study's folder.
        settings: settings of the patient.
        head: tissue of the patient.
        grid: voxels of the MRE scan.
        displacement_m: displacement U along world R, A, S, shape (i, j, k, 3), metres.

    Returns:
        The scan, and the patient's row of the table of sessions.
    """
    session = Path(f"sub-{settings.subject}", f"ses-{settings.session}")
    for name in ("dicom/mre", "dicom/t1", "truth/wavefield"):
        (root / session / name).mkdir(parents=True)
    contrast = np.where(head.in_brain(grid.points_mm), head.magnitude_at(grid.points_mm), 0.0)
    scan = acquire(settings, grid, displacement_m, contrast)
    identity = Identity(settings.subject, settings.session, settings.model_dump_json())
    WRITERS[settings.vendor](root / session / "dicom" / "mre", identity, settings, grid, scan)
    write_anatomy(root / session / "dicom" / "t1", identity, head)
    _write_truth(root / session / "truth", settings, head, grid, displacement_m)
    record = _record(settings, scan)
    (root / session / "truth" / "truth.json").write_text(record_text("truth", record), encoding="utf-8")
    row = {
        "subject": settings.subject,
        "session": settings.session,
        "mre": f"{session.as_posix()}/dicom/mre",
        "anatomy": f"{session.as_posix()}/dicom/t1",
        "labels": "",
        "date": f"{STUDY_DATE[:4]}-{STUDY_DATE[4:6]}-{STUDY_DATE[6:]}",
        "growth": "",
        "treatment": "",
        "truth": f"{session.as_posix()}/truth",
    }
    return scan, row


def write_sessions(root: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Write the table of sessions, one row a patient."""
    lines = ["\t".join(rows[0]), *("\t".join(row.values()) for row in rows)]
    (root / "sessions.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_truth(
    folder: Path,
    settings: PhantomSettings,
    head: Head,
    grid: ScanGrid,
    displacement_m: NDArray[np.complex128],
) -> None:
    """Write the true moduli, NaN outside the brain, and the noise-free wave field."""
    inside = head.in_brain(grid.points_mm)
    modulus = np.where(inside, head.modulus_kpa_in(grid), np.nan)
    write_nifti(folder / "truth_storagemodulus.nii.gz", modulus.real.astype(np.float32), grid.affine_mm)
    loss = np.where(inside, modulus.imag, np.nan)
    write_nifti(folder / "truth_lossmodulus.nii.gz", loss.astype(np.float32), grid.affine_mm)
    tissue = np.where(inside, head.tissue_at(grid.points_mm), 0).astype(np.uint8)
    write_nifti(folder / "truth_tissue.nii.gz", tissue, grid.affine_mm)
    field = WaveField(
        displacement_m=displacement_m,
        mask=inside,
        affine_mm=grid.affine_mm,
        frequency_hz=settings.frequency_hz,
        noise_std_m=None,
        density_kg_m3=settings.density_kg_m3,
        label=f"sub-{settings.subject}_ses-{settings.session}",
    )
    write_wave_field(folder / "wavefield", field)


def _record(settings: PhantomSettings, scan: Scan) -> dict[str, object]:
    """Return the record of how the patient was made."""
    return {
        "seed": settings.seed,
        "tissues": {str(number): name for number, name in enumerate(TISSUES, start=1)},
        "units": {"storagemodulus": "kPa", "lossmodulus": "kPa", "wavefield": "um"},
        "truth": "complex shear modulus, mean logarithms over voxels; the forward solver saw it at 1 mm resolution",
        "menc_um_per_rad": settings.menc_um_per_rad,
        "noise_std_um": scan.noise_std_um,
        "noise_percent": settings.noise_percent,
        "wrapped_share": scan.wrapped_share,
        "encoding_axes_ras": scan.encoding_axes.tolist(),
        "slice_times_ms": scan.slice_times_ms.tolist(),
        "ingest": dict(ingest_settings(settings)),
        "anatomy": ANATOMY_SOURCE,
        "settings": settings.model_dump(mode="json"),
        "versions": versions(),
    }
