"""Entries of the record for exams of fewer than three directions, of thick slices, and without a drawn organ."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.anatomy.wave_region import NOT_AN_ORGAN
from palpate.imaging.files.json_object import read_json
from palpate.imaging.files.maps import write_mask
from palpate.imaging.limits.check_limits import SLICE_JUMP_MM
from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.reconstruct import Reconstruction
from palpate.imaging.waves.slice_agreement import SlicePair, as_record, jumps_mm, slice_agreement
from palpate.progress import say
from palpate.quality_warning import QualityWarning

NEEDS_THREE: Final = (
    "divergence over curl",
    "signs, order, scale and times of components by their divergence",
    "parts of real and imaginary component by their divergence",
)
"""Checks that need all three components of displacement, and are left out without them."""


def exam_warnings(acquisition: PhaseAcquisition, mask: Mapping[str, object]) -> tuple[QualityWarning, ...]:
    """Return what a user must know of a direction that nobody stated, and of a region that nobody drew.

    Args:
        acquisition: phase images of one frequency.
        mask: entry of the record that says where the mask came from.
    """
    found = []
    if acquisition.direction_assumed:
        sentence = (
            "No header says along which direction motion was encoded; through the slices is assumed, as these product "
            "sequences encode it."
        )
        advice = (
            "If that is wrong, state encoding_matrix in the ingest settings, such as [[1,0,0]] for motion along rows."
        )
        found.append(QualityWarning("direction-assumed", sentence, advice))
    if mask.get("source") == "waves":
        found.append(_not_an_organ())
    return tuple(found)


def _not_an_organ() -> QualityWarning:
    sentence = (
        "The region was gated by signal and waves and is not an organ segmentation: it may hold other organs and lack "
        "parts of the one that was meant."
    )
    advice = "Draw the organ and give it as --mask for a mean over that organ."
    return QualityWarning("not-an-organ", sentence, advice)


def reports_an_organ(record: Mapping[str, object]) -> bool:
    """Return whether the page reports an exam: a region was drawn or gated, or the scanner computed stiffness itself.

    Args:
        record: record of ingest of the run; may be empty.
    """
    mask = _mapping(record.get("mask"))
    return bool(mask.get("source") == "user" or mask.get("organ_segmentation") is False or record.get("scanner_maps"))


def is_no_organ(folder: Path, label: str) -> bool:
    """Return whether a finished wave-field folder says that a mask is no organ segmentation.

    Args:
        folder: wave-field folder.
        label: label of the run.
    """
    path = folder / f"{label}_mask.json"
    return path.exists() and read_json(path).get("OrganSegmentation") is False


def carry_no_organ(folder: Path, label: str, record: dict[str, object]) -> None:
    """Say of a mask that came with a finished wave-field folder that it is no organ, beside it and in the record.

    Args:
        folder: wave-field folder that is written.
        label: label of the run.
        record: record of the run, which is added to.
    """
    facts = {"Units": "1", "Description": NOT_AN_ORGAN, "OrganSegmentation": False}
    (folder / f"{label}_mask.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    record["mask"] = {**_mapping(record.get("mask")), "label": NOT_AN_ORGAN, "organ_segmentation": False}
    warnings = record.setdefault("warnings", [])
    assert isinstance(warnings, list)
    warnings.append(_not_an_organ().as_record())


def _mapping(value: object) -> dict[str, object]:
    return dict(value) if isinstance(value, Mapping) else {}


def matrix_facts(acquisition: PhaseAcquisition) -> dict[str, object]:
    """Return the stored matrix for the sidecar, columns and rows, where the wave field lies on another one.

    Args:
        acquisition: phase images as they were reconstructed.
    """
    return {} if acquisition.stored_matrix is None else {"StoredMatrix": list(acquisition.stored_matrix)}


def slices_of(
    name: str, field: WaveField, magnitude: NDArray[np.float64] | None
) -> tuple[dict[str, object] | None, tuple[QualityWarning, ...]]:
    """Return the agreement of slices of their own breath-holds, for the record, and the warning of one that moved.

    Args:
        name: name of the acquisition or of the wave field, for the log.
        field: wave field.
        magnitude: mean signal, shape (i, j, k); None where there is none.

    Returns:
        None and no warning where all three directions were measured, as in exams without breath-holds, or where there
        is no magnitude on the wave field's voxels.
    """
    if field.directions is None or magnitude is None or magnitude.shape != field.mask.shape:
        return None, ()
    pairs = slice_agreement(np.moveaxis(field.displacement_m, -1, 0), field.mask, magnitude, field.voxel_size_mm)
    record = as_record(pairs)
    _say_slices(name, record)
    return record, _moved_slices(pairs)


def _moved_slices(pairs: tuple[SlicePair, ...]) -> tuple[QualityWarning, ...]:
    """Warn where a slice lies elsewhere than its neighbours do."""
    jumps = jumps_mm(pairs)
    moved = [pair for pair, jump in zip(pairs, jumps, strict=True) if jump > SLICE_JUMP_MM]
    if not moved:
        return ()
    told = ", ".join(f"{one.slices[0] + 1} and {one.slices[1] + 1}" for one in moved)
    sentence = (
        f"Slices {told} do not lie above each other: their images fit best {jumps.max():.2g} mm apart within the "
        "slices, beyond the drift of the others, as after breath-holds of different depth."
    )
    advice = (
        "Nothing is moved back, for shifts across slices stay unknown; stiffness across these slices is wrong. Scan "
        "again, at the end of breathing out, or take the figures of single slices with care."
    )
    return (QualityWarning("slices-moved", sentence, advice),)


def exam_facts(made: Reconstruction, field: WaveField, slices: dict[str, object] | None) -> dict[str, object]:
    """Return what the record says of matrices, directions, and the agreement of slices of their own breath-holds.

    Args:
        made: reconstruction of one frequency.
        field: wave field that was made of it.
        slices: entry about its slices; None where there is none.
    """
    acquisition = made.acquisition
    used = [int(count) for count in field.mask.shape[:2]]
    facts: dict[str, object] = {
        "matrices": {
            "stored": used if acquisition.stored_matrix is None else list(acquisition.stored_matrix),
            "acquired": None if acquisition.acquired_matrix is None else list(acquisition.acquired_matrix),
            "used": used,
            "voxel_mm": field.voxel_size_mm.tolist(),
            "slice_thickness_mm": field.slice_thickness_mm,
        },
        "components_measured": field.displacement_m.shape[-1],
    }
    if field.directions is None:
        return facts
    facts |= {
        "directions_ras": field.directions.tolist(),
        "direction_from": "usual of the sequence" if acquisition.direction_assumed else "headers or settings",
        "skipped_checks": list(NEEDS_THREE),
        "slices": slices,
        "noise_correlation": None if field.noise_correlation is None else list(field.noise_correlation),
    }
    if len(field.directions) == 2:
        cosine = float(np.clip(abs(field.directions[0] @ field.directions[1]), 0.0, 1.0))
        facts["angle_between_directions_deg"] = float(np.degrees(np.arccos(cosine)))
    return facts


def write_region_sidecar(folder: Path, label: str, origin: Mapping[str, object]) -> None:
    """Write beside the mask of a region by waves that it is no organ, and what it left out.

    Args:
        folder: wave-field folder; the caller ensures that an interrupted run leaves no partial result.
        label: label of the run.
        origin: entry of the record that says where the mask came from.
    """
    facts = {
        "Units": "1",
        "Description": origin["label"],
        "OrganSegmentation": origin["organ_segmentation"],
        "LeastWaveSnr": origin["least_wave_snr"],
        "VoxelsOfTissue": origin["voxels_of_tissue"],
        "LeftOut": origin["left_out"],
    }
    (folder / f"{label}_mask.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def drawn_region_path(folder: Path, label: str) -> Path:
    """Return the path of a drawn region on the voxels of a run, before noisy voxels were left out.

    Args:
        folder: wave-field folder.
        label: label of the run.
    """
    return folder / f"{label}_desc-drawn_mask.nii.gz"


def write_drawn_region(folder: Path, label: str, region: NDArray[np.bool_], affine_mm: NDArray[np.float64]) -> None:
    """Write a drawn region on the voxels of a run, so that reports can tell what of it has values.

    Args:
        folder: wave-field folder; the caller ensures that an interrupted run leaves no partial result.
        label: label of the run.
        region: the region, shape (i, j, k).
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
    """
    description = "region that the user drew, before voxels with too noisy phase were left out"
    write_mask(drawn_region_path(folder, label), region, affine_mm, description=description)


def _say_slices(name: str, slices: dict[str, object]) -> None:
    """Say how far neighbouring slices may be apart in phase and place."""
    turn, shift = slices["largest_phase_rad"], slices["largest_shift_mm"]
    if isinstance(shift, float):
        told = "not comparable" if not isinstance(turn, float) else f"{turn:.2g} rad"
        say(
            f"{name}: neighbouring slices differ by up to {told} in phase and {shift:.2g} mm in place within the "
            "slices, waves and anatomy included; how far breath-holds shifted them across slices is not known"
        )
