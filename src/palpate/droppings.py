"""Files that operating systems drop into any folder that somebody looks at: neither an input nor a user's work."""

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
"""Names in small letters: macOS, Windows, Linux and its network shares and drives. Version control is none."""


def is_dropping(name: str) -> bool:
    """Return whether an operating system leaves a file or folder of this name behind by itself."""
    return any(fnmatchcase(name.lower(), pattern) for pattern in _DROPPED)


def matching(folder: Path, pattern: str) -> list[Path]:
    """Return what lies in a folder under names of a pattern, in order, without what operating systems drop.

    Args:
        folder: the folder; nothing below its folders is looked at.
        pattern: as for `Path.glob`, such as "*_mask.nii*", which also takes macOS's shadow `._sub-01_mask.nii.gz`.
    """
    return sorted(path for path in folder.glob(pattern) if not is_dropping(path.name))
