"""Names of files as errors and logs may repeat them: a scanner's folders and files are named after patients."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Final

_PLAIN_NAME: Final = re.compile(
    r"(?:\d{1,5}|(?:im|img|image|i|mr|slice|s|se|series|dicom|file|frame|instance|mre|t1)[-_.]?\d{1,5}(?:[-_.]\d{1,5})?|"
    r"mre|t1|t1w|t2|dicom|anatomy|dicomdir|sub-\d{1,4}(?:_ses-\d{1,4})?|in|given|out|archive|scan|export)"
    r"(?:\.(?:dcm|ima|dicom|img|zip|nii|nii\.gz|txt))?",
    re.IGNORECASE | re.ASCII,
)


def is_plain_name(name: str) -> bool:
    """Return whether a file's or folder's name is a mere number or a usual word, so that a message may repeat it."""
    return _PLAIN_NAME.fullmatch(name) is not None


def shown(path: Path) -> str:
    """Return the name by which errors call a file or folder that a user gave.

    It is the base name where that is a mere number or a usual word, since errors stay in logs.
    """
    return path.name if is_plain_name(path.name) else "the given folder" if path.is_dir() else "the given path"


def member_name(member: PurePosixPath) -> str:
    """Return the name by which errors call a file in an archive: its base name where that is plain."""
    return member.name if is_plain_name(member.name) else f"a file of the kind *{member.suffix.lower()[:6]}"
