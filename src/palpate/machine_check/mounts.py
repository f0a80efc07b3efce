"""Kinds of file systems, as the kernel lists them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

SHARED: Final = ("nfs", "lustre", "gpfs", "beegfs", "ceph", "fuse", "cifs", "smb", "panfs", "wekafs", "afs", "9p")
"""Beginnings of names of file systems that several machines may see."""
_MOUNTS: Final = Path("/proc/self/mountinfo")


def mounts_here() -> str:
    """Return the kernel's list of mounts; an empty one where it gives none."""
    try:
        return _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def file_system(path: Path, mounts: str) -> str:
    """Return the kind of file system that a path lies on; empty where it is unknown.

    Args:
        path: absolute path without links.
        mounts: content of /proc/self/mountinfo.
    """
    best, kind = -1, ""
    for line in mounts.splitlines():
        head, _, tail = line.partition(" - ")
        fields, after = head.split(" "), tail.split(" ")
        if len(fields) < 5 or not after[0]:
            continue
        point = Path(fields[4].encode("utf-8", "surrogateescape").decode("unicode_escape"))
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), after[0]
    return kind
