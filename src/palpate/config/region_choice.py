"""Name of a file with the region chosen in it, `file#name` or `file#number`, and the table of names beside labels."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_BESIDE: Final = ("dseg.tsv", "labels.tsv", "FreeSurferColorLUT.txt")


def split_choice(given: Path) -> tuple[Path, str]:
    """Return a file and the region chosen in it; the region is empty where none is named.

    Args:
        given: path as a user writes it; a file whose own name holds # is taken as it is.
    """
    path, region = split_region(str(given), Path())
    return Path(path), region


def split_region(given: str, folder: Path) -> tuple[str, str]:
    """Return the text before the # that ends the name of a file, and the text after it, which may be empty.

    Args:
        given: path as a user writes it.
        folder: folder that a relative path starts from.
    """
    marks = [at for at, letter in enumerate(given) if letter == "#"]
    if not marks or _exists(folder / given):
        return given, ""
    at = next((one for one in marks if _exists(folder / given[:one])), marks[-1])
    return given[:at], given[at + 1 :].strip()


def names_beside(labels: Path) -> Path | None:
    """Return the table of names beside a file of labels, of its own stem or of a usual name; None where there is none.

    Args:
        labels: file of labels, such as sub-01_dseg.nii.gz.
    """
    stem = re.sub(r"\.(nii|nii\.gz|mgz|mgh|hdr|img|img\.gz)$", "", labels.name, flags=re.IGNORECASE)
    candidates = (labels.with_name(name) for name in (f"{stem}.tsv", *_BESIDE))
    return next((one for one in candidates if one.is_file()), None)


def _exists(path: Path) -> bool:
    try:
        return path.is_file() or path.is_symlink()
    except OSError:  # such as a name that no file system takes
        return False
