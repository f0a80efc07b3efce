"""Options of commands that take regions of another frame of reference, such as contours on a planning CT."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Registration = Annotated[
    Path | None,
    typer.Option(
        help="Registration that carries the region from another frame of reference, such as a planning CT's: DICOM "
        "Spatial Registration, or linear transform of ITK (.tfm, .txt, .mat, .h5; fixed image: the T1). Its error is "
        "registration_uncertainty_mm of the settings, by default 2 mm."
    ),
]
"""Option --registration."""

ContourImage = Annotated[
    Path | None,
    typer.Option(
        help="CT on which the region was drawn (DICOM folder or NIfTI, Hounsfield units): it is registered to the T1, "
        "or to the elastogram without a T1, and the measured error enters the interval."
    ),
]
"""Option --contour-image."""
