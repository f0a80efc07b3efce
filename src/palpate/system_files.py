"""Files that operating systems drop into any folder that is viewed: neither an input nor a user's work."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

_DROPPED: Final = (
    *("._*", ".ds_store", ".localized", ".fseventsd", ".spotlight-v100", ".trashes", ".apdisk", "__macosx"),
    *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin"),
    *(".directory", ".trash-[0-9]*", ".nfs[0-9a-f]*", ".fuse_hidden*"),
    *("@eadir", ".@__thumb", ".synologyworkingdirectory"),
)
"""Patterns of names in small letters, of macOS, Windows, Linux and its network shares and drives. Files of version
control are not among them."""


def is_system_file(name: str) -> bool:
    """Return whether an operating system leaves a file or folder of this name behind by itself."""
    return any(fnmatchcase(name.lower(), pattern) for pattern in _DROPPED)


def matching(folder: Path, pattern: str) -> list[Path]:
    """Return the entries of a folder whose names match a pattern, in order, without those that operating systems drop.

    Args:
        folder: the folder; its subfolders are not searched.
        pattern: pattern of `Path.glob`, such as "*_mask.nii*", which alone would also match macOS's shadow
            `._sub-01_mask.nii.gz`.
    """
    return sorted(path for path in folder.glob(pattern) if not is_system_file(path.name))
