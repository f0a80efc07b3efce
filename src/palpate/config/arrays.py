"""Settings that arrays of displacement from another laboratory do not contain."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from palpate.config.section import Section

type Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ArraySettings(Section):
    """Properties of displacement arrays, as `*_50Hz_disp_re.nii.gz` with `*_disp_im.nii.gz`, or as a MATLAB file.

    A property that is needed and not given ends the import with an error that names it.
    """

    units: Literal["nm", "um", "mm", "m"] | None = None
    """Unit of length of the displacement."""

    components: Literal["world", "image"] | None = None
    """Axes of the three components of displacement in a NIfTI file. world: the patient's right, anterior, superior.
    image: i, j, k of the image. A MATLAB file has no patient axes: its components are along the array's axes."""

    mask: Literal["file", "nonzero", "all"] = "file"
    """Source of the mask of tissue. file: the folder's only `*_mask.nii.gz`, or the MATLAB file's variable `mask`.
    nonzero: voxels whose displacement is not zero. all: every voxel."""

    variable: str | None = None
    """Name of the MATLAB variable with the displacement, complex, shape (i, j, k, 3) or (i, j, k, 3, frequency). None
    takes the only one of such a shape."""

    voxel_mm: tuple[Positive, Positive, Positive] | None = None
    """Edges of a voxel along i, j, k of a MATLAB array, mm; a NIfTI file states its own."""

    frequencies_hz: tuple[Positive, ...] | None = None
    """Frequencies of a MATLAB array in the order of its last axis, Hz; NIfTI files have them in their names."""
