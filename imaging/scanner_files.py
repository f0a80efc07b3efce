"""Files of the scanner's own stiffness, waves and confidence, beside the wave field, on the scanner's own grid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.dicom.scanner_maps import ScannerMap
from palpate.imaging.files.nifti import write_nifti
from palpate.imaging.files.wavefield_folder import frequency_text


def write_scanner_maps(
    folder: Path, label: str, computed: Sequence[tuple[PhaseAcquisition, Sequence[ScannerMap]]]
) -> list[dict[str, object]]:
    """Write the maps as <label>_acq-<f>Hz_desc-scanner_<kind>.nii.gz with sidecars, and return their entries.

    Args:
        folder: wave-field folder; the caller ensures that an interrupted run leaves no partial result.
        label: label of the run.
        computed: acquisitions of the run, each with the maps that the scanner computed from it.
    """
    entries = []
    for acquisition, maps in computed:
        for one in maps:
            stem = f"{label}_acq-{frequency_text(acquisition.frequency_hz)}Hz_desc-scanner_{one.kind}"
            write_nifti(folder / f"{stem}.nii.gz", one.values, one.affine_mm)
            facts = {
                "Description": f"{one.kind} that the scanner computed, on its own grid; not resampled, no result of "
                "palpate",
                **one.as_record(),
            }
            (folder / f"{stem}.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
            entries.append({"kind": one.kind, "file": f"{stem}.nii.gz", **one.as_record()})
    return entries
