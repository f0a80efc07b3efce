"""Placement of the anatomy on an elastogram: the outcome of a registration, and its file.

`<label>_from-T1w_to-MRE_mode-image_xfm.json` holds, in millimetres, radians and world axes R, A, S: `matrix_mm`, which
takes points of the anatomy to those of the elastogram; the motion the other way as angles and translation about a
centre, with the covariance of these six numbers; figures of the registration; and warnings in words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from palpate.bounded_read import read_bounded
from palpate.errors import InputError
from palpate.imaging.registration.rigid import Rigid, at_rest
from palpate.machine_failures import machine_fault
from palpate.provenance import atomic_file, versions
from palpate.quality_warning import QualityWarning
from palpate.renamed import record_text, with_current_keys

type Status = Literal["registered", "aligned", "assumed", "failed"]

_COMPARE: Final = "Compare the T1 with the magnitude image in a viewer before you rely on regions or maps on the T1."
_ANOTHER: Final = "Give a T1 of the same visit and frame of reference; this one is used nowhere."
MOTION_SEED: Final = 20260
"""Seed of the motions that belong to the joint draws: draw d is one tissue in one place, in maps and in regions."""
ENDING: Final = "_from-T1w_to-MRE_mode-image_xfm.json"
"""Ending of the transform's file name."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Placement of the anatomy on an elastogram.

    Attributes:
        status: outcome. registered: mutual information found the motion; aligned: mutual information found no movement
            that exceeds its own uncertainty, and nothing is moved; assumed: nothing is moved because nothing better is
            known; failed: the place is unknown, and the anatomy must not be used.
        motion: motion from the elastogram to the anatomy.
        covariance: covariance of the motion's parameters, shape (6, 6); zero where it was not measured.
        uncertainty_mm: root mean square error over the tissue that the covariance means, mm; None where it was not
            measured.
        figures: figures measured in the registration, by name.
        warnings: warnings about the placement, in sentences.
    """

    status: Status
    motion: Rigid
    covariance: NDArray[np.float64]
    uncertainty_mm: float | None = None
    figures: Mapping[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether the anatomy may be used on the elastogram."""
        return self.status != "failed"

    @property
    def moves(self) -> bool:
        """Whether points of the anatomy and the elastogram differ, or may differ as far as the covariance tells."""
        return bool(np.any(self.motion.parameters) or np.any(self.covariance))

    def affine_on_elastogram_mm(self, affine_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the affine from voxels of the anatomy to the elastogram's world, shape (4, 4).

        Args:
            affine_mm: voxel indices of the anatomy to its own world, shape (4, 4).
        """
        return np.asarray(np.linalg.inv(self.motion.matrix_mm) @ affine_mm)


def not_moved(status: Status, *warnings: str) -> Placement:
    """Return the placement of an anatomy that stays where its file states."""
    return Placement(status, at_rest(np.zeros(3)), np.zeros((6, 6)), warnings=warnings)


def placement_warnings(placement: Placement) -> tuple[QualityWarning, ...]:
    """Return the reservations about a placement as warnings for records and the page.

    Args:
        placement: placement of the anatomy on a run.
    """
    return tuple(_warning(placement.status, sentence) for sentence in placement.warnings)


def _warning(status: Status, sentence: str) -> QualityWarning:
    if status == "failed":
        return QualityWarning("anatomy-not-placed", sentence, _ANOTHER)
    if status == "assumed":
        return QualityWarning("anatomy-not-registered", sentence, _COMPARE)
    return QualityWarning("anatomy-moved", sentence, _COMPARE)


def write_placement(folder: Path, label: str, placement: Placement) -> None:
    """Write the file of a run. An interrupted run leaves no partial file.

    Args:
        folder: folder in which the file is written.
        label: label of the run.
        placement: placement of the anatomy on this run.
    """
    content = {
        "from": "T1w",
        "to": "MRE",
        "status": placement.status,
        "matrix_mm": np.linalg.inv(placement.motion.matrix_mm).tolist(),
        "mre_to_t1w": {
            "parameters": ["R_x (rad)", "R_y (rad)", "R_z (rad)", "t_R (mm)", "t_A (mm)", "t_S (mm)"],
            "rotation": "y = R_z R_x R_y (x - centre) + centre + t",
            "values": placement.motion.parameters.tolist(),
            "centre_mm": placement.motion.centre_mm.tolist(),
            "covariance": placement.covariance.tolist(),
        },
        "uncertainty_mm": placement.uncertainty_mm,
        "figures": dict(placement.figures),
        "warnings": [one.as_record() for one in placement_warnings(placement)],
        "versions": versions(),
    }
    with atomic_file(folder / f"{label}{ENDING}") as partial:
        partial.write_text(record_text("placement", content, allow_nan=False), encoding="utf-8")


def read_placement(folder: Path, label: str) -> Placement:
    """Read the file of a run; without one the anatomy is taken to lie where its own file states.

    Args:
        folder: wave-field folder.
        label: label of the run.

    Raises:
        InputError: the file cannot be read as such a record.
    """
    path = folder / f"{label}{ENDING}"
    if not path.exists():
        return not_moved("assumed")
    try:
        content = with_current_keys("placement", json.loads(read_bounded(path)))
        motion = content["mre_to_t1w"]
        covariance = np.array(motion["covariance"], dtype=np.float64)
        _demand_record(content, covariance)
        return Placement(
            content["status"],
            Rigid(np.array(motion["values"], dtype=np.float64), np.array(motion["centre_mm"], dtype=np.float64)),
            covariance,
            content["uncertainty_mm"],
            content["figures"],
            tuple(one["sentence"] for one in content["warnings"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        refusal = InputError(
            path,
            found="a record that cannot be used",
            expected="the transform that palpate ingest writes",
            advice="Run palpate ingest again.",
        )
        raise (machine_fault(error, path) or refusal) from error


def _demand_record(content: Mapping[str, object], covariance: NDArray[np.float64]) -> None:
    """Refuse what no registration leaves behind.

    Raises:
        ValueError: which part.
    """
    if content["status"] not in get_args(Status.__value__):
        raise ValueError("status")
    if covariance.shape != (6, 6) or not np.all(np.isfinite(covariance)):
        raise ValueError("covariance")
    # A jackknife of six numbers loses a few digits; beyond that draws from it would be of nothing.
    scale = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
    even = covariance / np.outer(scale, scale)
    if np.diag(covariance).min() < 0.0 or not np.allclose(even, even.T, atol=1e-9):
        raise ValueError("covariance")
    if np.linalg.eigvalsh(even).min() < -1e-9:
        raise ValueError("covariance")
    uncertainty_mm = content["uncertainty_mm"]
    if uncertainty_mm is not None and not (isinstance(uncertainty_mm, float | int) and 0.0 <= uncertainty_mm < np.inf):
        raise ValueError("uncertainty")
    warnings = content["warnings"]
    if not isinstance(content["figures"], dict) or not isinstance(warnings, list):
        raise ValueError("figures or warnings")
    if not all(isinstance(one, dict) and isinstance(one["sentence"], str) for one in warnings):
        raise ValueError("warnings")
