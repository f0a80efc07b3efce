"""Region that a query names: a sphere, or a region in a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.regions.region import DrawnRegion
from palpate.imaging.regions.sphere import read_sphere

type FileKind = Literal["mask", "seg", "roi"]

_KINDS: Final = {"mask": "NIfTI", "seg": "SEG", "roi": "RTSTRUCT"}
"""Kind of region that each option reads."""
_WORDS: Final = {"NIfTI": "a NIfTI mask", "SEG": "a DICOM Segmentation", "RTSTRUCT": "an RT Structure Set"}
_ADVICE: Final = "--mask reads NIfTI, --seg a DICOM Segmentation, --roi an RT Structure Set."


@dataclass(frozen=True, slots=True)
class SphereSpec:
    """Sphere.

    Attributes:
        text: centre, R A S millimetres of the elastogram's world, and radius, such as "-12.5,30,8,10".
    """

    text: str

    @property
    def path(self) -> Path | None:
        """Return None: a sphere lies in no file."""
        return None

    def read(self, slices: NDArray[np.float64]) -> DrawnRegion:  # noqa: ARG002 - a sphere needs no slices
        """Return the sphere.

        Args:
            slices: affine of the elastogram; not needed.

        Raises:
            InputError: the text is no place with a radius.
        """
        return read_sphere(self.text)


@dataclass(frozen=True, slots=True)
class FileSpec:
    """Region in a file.

    Attributes:
        kind: option that names it.
        path: the file.
        name: name or number of the segment or ROI; empty takes the only one.
    """

    kind: FileKind
    path: Path
    name: str = ""

    def read(self, slices: NDArray[np.float64]) -> DrawnRegion:
        """Read the region.

        Args:
            slices: affine of the elastogram, on whose slices contours of a single plane may have been drawn, voxel
                indices to world RAS millimetres, shape (4, 4).

        Raises:
            InputError: the file is unreadable or of another kind, or the name fits no region or several.
        """
        from palpate.imaging.regions.read import read_chosen  # here, since a sphere needs no DICOM library

        if not self.path.exists():
            raise InputError(f"--{self.kind}", found="no such file", expected=_WORDS[_KINDS[self.kind]], advice=_ADVICE)
        region = read_chosen(self.path, self.name.strip(), slices)
        if region.kind != _KINDS[self.kind]:
            raise InputError(
                f"--{self.kind}", found=_WORDS[region.kind], expected=_WORDS[_KINDS[self.kind]], advice=_ADVICE
            )
        return region


type RegionSpec = SphereSpec | FileSpec
