"""Region that a query names: a sphere, or a region in a file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from palpate.config.region_choice import split_choice
from palpate.content_digest import digest
from palpate.errors import InputError
from palpate.imaging.regions.region import DrawnRegion
from palpate.imaging.regions.sphere import read_sphere

type FileKind = Literal["mask", "seg", "roi"]

_KINDS: Final = {"mask": "NIfTI", "seg": "SEG", "roi": "RTSTRUCT"}
"""Kind of region that each option reads."""
_WORDS: Final = {"NIfTI": "a NIfTI mask", "SEG": "a DICOM Segmentation", "RTSTRUCT": "an RT Structure Set"}
_SPHERE: Final = re.compile(r"[-+0-9.eE ]+(,[-+0-9.eE ]+){3}")
_ADVICE: Final = "--mask reads NIfTI, --seg a DICOM Segmentation, --roi an RT Structure Set."


@dataclass(frozen=True, slots=True)
class SphereSpec:
    """Sphere.

    Attributes:
        text: centre, R A S millimetres of the elastogram's world, and radius, such as "-12.5,30,8,10".
    """

    text: str

    @property
    def sha256(self) -> str | None:
        """Return None: a sphere lies in no file."""
        return None

    def read(self, slices: NDArray[np.float64]) -> DrawnRegion:  # noqa: ARG002 - a sphere needs no slices
        """Return the sphere.

        Args:
            slices: affine of an image of the session; not needed.

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

    @property
    def sha256(self) -> str | None:
        """SHA-256 of the file."""
        return digest(self.path)

    def read(self, slices: NDArray[np.float64]) -> DrawnRegion:
        """Read the region.

        Args:
            slices: affine of the image on whose slices contours of a single plane may have been drawn, voxel indices to
                world RAS millimetres, shape (4, 4).

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


@dataclass(frozen=True, slots=True)
class AnyFileSpec:
    """Region in a file of any kind that palpate reads.

    Attributes:
        given: file, and where it holds several regions the chosen one: `file#name` or `file#number`.
    """

    given: Path

    @property
    def sha256(self) -> str | None:
        """SHA-256 of the file."""
        return digest(split_choice(self.given)[0])

    def read(self, slices: NDArray[np.float64]) -> DrawnRegion:
        """Read the region.

        Args:
            slices: affine of the image on whose slices contours of a single plane may have been drawn on, voxel indices
                to world RAS millimetres, shape (4, 4).

        Raises:
            InputError: the file is unreadable, or the name fits no region or several.
        """
        from palpate.imaging.regions.read import read_region  # here, since a sphere needs no DICOM library

        path = split_choice(self.given)[0]
        if not path.exists():
            advice = "Name a sphere as X,Y,Z,RADIUS, or a file as FILE or FILE#NAME."
            raise InputError("--than", found="no such file", expected="a second region", advice=advice)
        return read_region(self.given, slices)


class RegionSpec(Protocol):
    """Region that a question names, wherever it is kept."""

    @property
    def sha256(self) -> str | None:
        """SHA-256 of the file that the user gave; None for a sphere."""
        ...

    def read(self, slices: NDArray[np.float64]) -> DrawnRegion:
        """Read the region.

        Args:
            slices: affine of the image on whose slices contours of a single plane may have been drawn on, voxel indices
                to world RAS millimetres, shape (4, 4).

        Raises:
            InputError: it cannot be read.
        """
        ...


def spec_of_text(text: str) -> SphereSpec | AnyFileSpec:
    """Return the region that one text names: a sphere X,Y,Z,RADIUS, or a file FILE or FILE#NAME.

    Args:
        text: text of a user.
    """
    return SphereSpec(text) if _SPHERE.fullmatch(text) else AnyFileSpec(Path(text))
