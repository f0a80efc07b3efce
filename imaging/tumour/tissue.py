"""Tissue in which tumour cells may live, and its share of white matter.

Both come from the names of a segmentation's labels, or from the T1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.anatomy.anatomy import AnatomyImage
from palpate.imaging.anatomy.brain_mask import brain_mask
from palpate.imaging.anatomy.labels import read_classes, read_regions
from palpate.imaging.anatomy.segmentation import read_segmentation
from palpate.imaging.files.nifti import Volume
from palpate.imaging.registration.rigid import Rigid
from palpate.imaging.tumour.onto_grid import TumourGrid

_FLUID: Final = re.compile(r"csf|ventric|fluid|cistern|inf-lat-vent|cavity|cyst", re.I)
_OUTSIDE: Final = re.compile(
    r"skull|bone|scalp|skin|air|background|dura|vessel|eye|optic|unknown|choroid|fat|muscle", re.I
)
_WHITE: Final = re.compile(r"white|(^|[^a-z])wm([^a-z]|$)|callosum|brain-?_? ?stem|pons|medulla|midbrain", re.I)
_TUMOUR: Final = re.compile(r"tumou?r|lesion|enhanc|(o?)edema|necro|infiltrat", re.I)
_HALF: Final = 0.5
_BRIGHT: Final = 0.1
"""Share of the T1's 90th percentile below which a voxel is air or bone."""


@dataclass(frozen=True, slots=True)
class TumourTissue:
    """Brain on the history's grid.

    Attributes:
        tissue: brain without fluid, shape (i, j, k).
        white: share of white matter in tissue, 0 outside, same shape.
        notes: method by which the brain was found, in sentences.
    """

    tissue: NDArray[np.bool_]
    white: NDArray[np.float64]
    notes: tuple[str, ...]


def tissue_from_labels(path: Path, grid: TumourGrid, motion: Rigid | None) -> TumourTissue:
    """Return the brain by the names in labels.tsv beside a segmentation.

    A name with white, wm, callosum or stem is white matter; csf, ventricle or fluid is fluid; skull, scalp and the like
    are outside; a tumour is tissue, half of it white matter; everything else is grey matter.

    Args:
        path: segmentation, NIfTI; labels.tsv lies in its folder.
        grid: voxels of the history.
        motion: motion from the grid's world to the segmentation's; None where they are the same.

    Raises:
        InputError: the files are unreadable, no name is brain, or no brain lies on the grid.
    """
    names = read_segmentation(path, path.parent / "labels.tsv").names
    kinds = {number: _kind(name) for number, name in names.items()}
    _demand_brain(path, names, kinds)
    everywhere = np.ones(grid.shape, dtype=np.bool_)
    regions = read_regions(path, everywhere, grid.affine_mm, motion)
    fractions = np.asarray(regions.fractions.todense()).reshape(*grid.shape, len(regions.numbers))
    of = {kind: np.zeros(grid.shape) for kind in ("white", "grey", "tumour", "fluid", "outside")}
    for column, number in enumerate(regions.numbers):
        of[kinds[int(number)]] += fractions[..., column]
    brain = of["white"] + of["grey"] + of["tumour"]
    tissue = brain >= _HALF
    _demand_tissue(path, tissue)
    white = np.where(tissue, (of["white"] + _HALF * of["tumour"]) / np.where(tissue, brain, 1.0), 0.0)
    fluid = sorted(name for number, name in names.items() if kinds[number] in ("fluid", "outside"))
    told = f"tissue: every label of the segmentation but {', '.join(fluid[:8]) or 'none'}"
    return TumourTissue(tissue, np.clip(white, 0.0, 1.0), (told,))


def tissue_from_t1(image: AnatomyImage, path: Path, grid: TumourGrid, motion: Rigid | None) -> TumourTissue:
    """Return the brain by an atlas registered to the T1, and white matter by its brightness in the T1.

    Args:
        image: the T1.
        path: NIfTI copy of the T1.
        grid: voxels of the history.
        motion: motion from the grid's world to the T1's.

    Raises:
        InputError: the atlas cannot be registered to the image, or no brain lies on the grid.
    """
    brain = brain_mask(image.volume, threshold=_BRIGHT, where=str(image.where)).mask
    inside = grid.interpolated(Volume(brain.astype(np.float64), image.volume.affine_mm), motion, outside=0.0) >= _HALF
    _demand_tissue(image.where, inside)
    classes = read_classes(path, inside, grid.affine_mm, motion)
    if not classes.numbers.size:
        raise InputError(
            image.where,
            found="a T1 without contrast between tissues",
            expected="a T1-weighted image of the brain, or a segmentation in the column labels",
            advice="Give a segmentation with labels.tsv.",
        )
    dark, middle, bright = np.asarray(classes.fractions.todense()).T
    tissue, white = np.zeros(grid.shape, dtype=np.bool_), np.zeros(grid.shape)
    tissue[inside] = dark < _HALF
    white[inside] = np.where(dark < _HALF, bright / np.maximum(middle + bright, 1e-6), 0.0)
    _demand_tissue(image.where, tissue)
    return TumourTissue(tissue, white, ("tissue: from the T1 by an atlas and brightness, since there are no labels",))


def _kind(name: str) -> str:
    for kind, pattern in (("fluid", _FLUID), ("tumour", _TUMOUR), ("outside", _OUTSIDE), ("white", _WHITE)):
        if pattern.search(name):
            return kind
    return "grey"


def _demand_brain(path: Path, names: Mapping[int, str], kinds: Mapping[int, str]) -> None:
    if not {"white", "grey"} & set(kinds.values()):
        raise InputError(
            path.parent / "labels.tsv",
            found=f"no brain tissue among {', '.join(list(names.values())[:8])}",
            expected="names such as white matter and grey matter",
            advice="Name the labels of the brain.",
        )


def _demand_tissue(where: Path, tissue: NDArray[np.bool_]) -> None:
    if not tissue.any():
        raise InputError(
            where,
            found="no brain tissue where the tumour's maps are",
            expected="an anatomy that overlaps them in world coordinates (RAS, mm)",
            advice="Register the anatomy to the first scan of the tumour.",
        )
