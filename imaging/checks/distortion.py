"""Displacement of tissue in the images by off-resonance, from the readout that the header states.

A field that is off by df moves the signal along the slowly sampled axis: in echo-planar images along the phase
encoding, by df over the bandwidth of a voxel there, else along the readout, by df over the bandwidth of its pixel. No
field map is at hand, so that nothing is corrected: only the millimetres for each 100 Hz are known. Near air (sinuses,
ear, bowel) the field is off by 100 Hz and more at 3 T.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from palpate.imaging.acquisition import PhaseAcquisition

REFERENCE_HZ: Final = 100.0
"""Off-resonance for which distortion is stated, Hz: a usual size near air and bone."""
_HZ_PER_PPM_AND_TESLA: Final = 42.577
_PHASE_AXIS: Final = {"COL": 1, "ROW": 0}


def off_resonance(acquisition: PhaseAcquisition) -> dict[str, object]:
    """Return the shift of tissue for 100 Hz of off-resonance, as JSON values for the record.

    Args:
        acquisition: phase images whose facts hold the readout's parameters where the header states them.
    """
    stated = acquisition.facts.get("acquisition")
    facts = stated if isinstance(stated, Mapping) else {}
    phase_axis = _PHASE_AXIS.get(str(facts.get("InPlanePhaseEncodingDirection", "")).upper())
    pixel_hz = _positive(facts.get("PixelBandwidth"))
    if phase_axis is None or pixel_hz is None:
        return {"mm_per_100_hz": None, "reason": "the header does not state bandwidth and direction of the readout"}
    planar = "EP" in str(facts.get("ScanningSequence", ""))
    axis, voxel_hz, source = 1 - phase_axis, pixel_hz, "bandwidth of a pixel of the readout"
    # The readout's pixel is an acquired one, that along the phase encoding a stored one.
    matrix = acquisition.stored_matrix or acquisition.phase_rad.shape[2:4]
    if not planar:
        matrix = acquisition.acquired_matrix or matrix
    if planar:
        lines = matrix[phase_axis]
        axis, voxel_hz = phase_axis, pixel_hz / lines
        source = "bandwidth of the readout over its lines, for one shot without acceleration"
        exact = _positive(facts.get("BandwidthPerPixelPhaseEncode"))
        if exact is not None:
            voxel_hz, source = exact, "bandwidth of a voxel along the phase encoding"
    extent_mm = float(np.linalg.norm(acquisition.affine_mm[:3, axis])) * acquisition.phase_rad.shape[2 + axis]
    edge_mm = extent_mm / matrix[axis]
    found: dict[str, object] = {
        "mm_per_100_hz": REFERENCE_HZ / voxel_hz * edge_mm,
        "axis": "ij"[axis],
        "echo_planar": planar,
        "source": source,
    }
    tesla = _positive(facts.get("MagneticFieldStrength"))
    if tesla is not None:
        found["ppm_of_100_hz"] = REFERENCE_HZ / (_HZ_PER_PPM_AND_TESLA * tesla)
    return found


def _positive(value: object) -> float | None:
    """Return a positive number; None for anything else."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    return float(value) if known and isinstance(value, int | float) else None
