"""How many columns and rows a scanner measured, from what each vendor writes."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest

from palpate.imaging.dicom.acquired import acquired_matrix, say_interpolated, slice_thickness_mm
from palpate.imaging.dicom.files import Instance

# Frequency rows, frequency columns, phase rows, phase columns; direction of phase encoding; columns and rows measured.
CASES: dict[str, tuple[list[int], str, tuple[int, int] | None]] = {
    "a GE liver exam": ([224, 0, 0, 64], "COL", (224, 64)),
    "a Siemens brain scan": ([110, 0, 0, 108], "COL", (110, 108)),
    "phase along rows": ([224, 0, 0, 64], "ROW", (64, 224)),
    "the standard's own places, phase down the rows": ([0, 224, 64, 0], "", (224, 64)),
    "the standard's own places, phase along rows": ([224, 0, 0, 64], "", (64, 224)),
    "as many of both": ([96, 0, 0, 96], "", (96, 96)),
    "more than stored": ([300, 0, 0, 64], "COL", (256, 64)),
    "nothing counted": ([0, 0, 0, 0], "COL", None),
    "all four counted": ([224, 224, 64, 64], "COL", None),
}


def _instance(**values: object) -> Instance:
    header = pydicom.Dataset()
    for name, value in values.items():
        setattr(header, name, value)
    return Instance(header, Path("scan"), "1.dcm")


@pytest.mark.parametrize("name", CASES)
def test_columns_and_rows(name: str) -> None:
    """Vendors put the two numbers into different places; a wrong choice turns the resolution by 90 degrees."""
    matrix, direction, expected = CASES[name]
    image = _instance(AcquisitionMatrix=matrix, InPlanePhaseEncodingDirection=direction)
    assert acquired_matrix(image, 256, 256) == expected


def test_enhanced_images_state_steps() -> None:
    """Frames count the steps of each encoding instead."""
    steps = {"MRAcquisitionFrequencyEncodingSteps": 80, "MRAcquisitionPhaseEncodingStepsInPlane": 60}
    assert acquired_matrix(_instance(InPlanePhaseEncodingDirection="COLUMN", **steps), 96, 96) == (80, 60)
    assert acquired_matrix(_instance(InPlanePhaseEncodingDirection="ROW", **steps), 96, 96) == (60, 80)
    assert acquired_matrix(_instance(**steps), 96, 96) is None


def test_interpolation_is_said_with_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    """Noise of interpolated voxels is correlated, which no later step can see; as measured, nothing is said."""
    say_interpolated("series 5", (224, 64), 256, 256)
    assert "interpolated by the scanner from 224 x 64 to 256 x 256" in capsys.readouterr().err
    for acquired in ((256, 250), None):
        say_interpolated("series 5", acquired, 256, 256)
    assert capsys.readouterr().err == ""


def test_a_thickness_is_positive_or_unknown() -> None:
    """Zero stands in headers where nobody filled it in."""
    assert slice_thickness_mm(_instance(SliceThickness="10")) == 10.0
    assert slice_thickness_mm(_instance(SliceThickness="0")) is None
    assert slice_thickness_mm(_instance()) is None
