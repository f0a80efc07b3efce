"""Kinds of folders that `palpate maps` writes; one of them is never replaced by another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from palpate.errors import InputError
from palpate.system_files import matching

type KindOfMaps = Literal["dicom", "derived", "mesh"]

_WORDS: Final[Mapping[KindOfMaps, str]] = {
    "dicom": "DICOM maps",
    "derived": "maps of derived quantities",
    "mesh": "maps on a mesh",
}
_NAMES: Final[Mapping[KindOfMaps, tuple[str, ...]]] = {
    "dicom": ("*.dcm", "*/*.dcm", "no_dicom_source.txt"),
    "derived": ("*_stat-*.nii.gz",),
    "mesh": ("*_mesh.xdmf",),
}
"""Names by which each kind of folder is known."""


def refuse_other_maps(out: Path, kind: KindOfMaps) -> None:
    """Refuse an output folder that holds another kind of maps.

    Args:
        out: folder to write, which may exist.
        kind: kind of maps to write.

    Raises:
        InputError: it holds another kind, which would be replaced.
    """
    for other, names in _NAMES.items():
        if other != kind and out.is_dir() and any(matching(out, name) for name in names):
            raise InputError(
                out,
                found=f"{_WORDS[other]} by palpate maps",
                expected=f"a new folder, or an earlier one of {_WORDS[kind]}",
                advice="Name another folder: palpate replaces the folder of --out as a whole.",
            )
