"""What arrays of displacement from another laboratory do not say about themselves."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from palpate.config.section import Section

type Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ArraySettings(Section):
    """For `*_50Hz_disp_re.nii.gz` with `*_disp_im.nii.gz`, and for MATLAB files; what is missing is asked for."""

    units: Literal["nm", "um", "mm", "m"] | None = None
    """Unit of length of the displacement."""

    components: Literal["world", "image"] | None = None
    """Along which axes a NIfTI file's three components lie: the patient's right, anterior, superior, or i, j, k of the
    image. A MATLAB file has no patient: its components and axes are those of the array."""

    mask: Literal["file", "nonzero", "all"] = "file"
    """Where tissue is. file: the folder's only `*_mask.nii.gz`, or the MATLAB file's variable `mask`. nonzero: where
    anything moves. all: everywhere."""

    variable: str | None = None
    """Name of the MATLAB variable with the displacement, complex, shape (i, j, k, 3) or (i, j, k, 3, frequency). None
    takes the only one of such a shape."""

    voxel_mm: tuple[Positive, Positive, Positive] | None = None
    """Edges of a voxel along i, j, k of a MATLAB array; a NIfTI file has its own."""

    frequencies_hz: tuple[Positive, ...] | None = None
    """Frequencies of a MATLAB array in the order of its last axis; NIfTI files have them in their names."""
