"""Transform files of ITK (3D Slicer, ANTs, elastix), read by SimpleITK: linear maps only.

ITK's files hold a map of points of the fixed image to points of the moving one, in L P S millimetres:

    y = M x,     x in the fixed image, y in the moving image.

The file names neither image. With F = diag(-1, -1, 1, 1) the matrix in R A S is F M F.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.dicom.geometry import LPS_TO_RAS
from palpate.imaging.files.plain_names import shown
from palpate.imaging.registration.given_matrix import demand_motion
from palpate.machine_failures import machine_fault
from palpate.quality_warning import QualityWarning

ENDINGS: Final = (".tfm", ".txt", ".mat", ".h5", ".hdf5")
"""Endings of transform files that are read."""
_MOST_BYTES: Final = 16 << 20
"""Largest file of a linear map, bytes; deformation fields, which are larger, are refused anyway."""
_EXPECTED: Final = "a linear transform of ITK in three dimensions (.tfm, .txt, .mat or .h5)"
_AGAIN: Final = "Write the transform again, such as with 3D Slicer or SimpleITK.WriteTransform."


def is_transform_file(path: Path) -> bool:
    """Return whether a file's name is that of an ITK transform."""
    return path.name.lower().endswith(ENDINGS)


def read_itk_transform(path: Path) -> tuple[NDArray[np.float64], tuple[QualityWarning, ...]]:
    """Return the map from points of the fixed image to those of the moving one, and warnings about it.

    Args:
        path: transform file; composite transforms are multiplied out.

    Returns:
        Matrix in world RAS millimetres, shape (4, 4), and warnings.

    Raises:
        InputError: the file is unreadable, not three-dimensional or deformable, or its matrix is no motion of a
            patient.
    """
    where = shown(path)
    transform = _read(path, where)
    if transform.GetDimension() != 3:
        found = f"a transform in {transform.GetDimension()} dimensions"
        raise InputError(where, found=found, expected=_EXPECTED, advice=_AGAIN)
    if not transform.IsLinear():
        raise InputError(
            where,
            found="a deformable transform, of which no exact inverse is known",
            expected=_EXPECTED,
            advice="Register the images rigidly, or carry the region with the program that deformed the images.",
        )
    flip = np.eye(4)
    flip[:3, :3] = LPS_TO_RAS
    matrix = flip @ _matrix(transform) @ flip
    return matrix, demand_motion(matrix, where)


def _read(path: Path, where: str) -> sitk.Transform:
    try:
        if path.stat().st_size > _MOST_BYTES:
            found = f"a file of more than {_MOST_BYTES >> 20} MB, as deformable transforms have"
            raise InputError(where, found=found, expected=_EXPECTED, advice=_AGAIN)
        with path.open("rb"):  # ITK reports a file that may not be read as one of another format
            pass
        transform: sitk.Transform = sitk.ReadTransform(str(path))
    except (OSError, RuntimeError) as error:
        refusal = InputError(where, found="a file that is no transform of ITK", expected=_EXPECTED, advice=_AGAIN)
        raise (machine_fault(error, path) if isinstance(error, OSError) else None) or refusal from error
    return transform


def _matrix(transform: sitk.Transform) -> NDArray[np.float64]:
    """Return the matrix of a linear map by the images of four points, LPS, mm, shape (4, 4)."""
    matrix = np.eye(4)
    matrix[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    for axis in range(3):
        # Steps of 100 mm keep the digits that those of 1 mm would lose beside a large shift.
        point = 100.0 * np.eye(3)[axis]
        matrix[:3, axis] = (np.array(transform.TransformPoint(point.tolist())) - matrix[:3, 3]) / 100.0
    return matrix
