"""Refusal of an input without a DICOM image: it names what was found instead, and what to do about that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from palpate.errors import InputError

MRE_ADVICE: Final = "Point at the DICOM export of the MRE series."
"""Advice where no image of the elastography is found."""
ANATOMY_ADVICE: Final = "Give the DICOM folder of the T1-weighted series, or a NIfTI file (.nii, .nii.gz)."
"""Advice where no image of the anatomy is found."""
_MOST_NAMED: Final = 5
_REMEDIES: Final[tuple[tuple[str, str], ...]] = (
    ("link without target", "Fetch or copy the files that the links lead to (with git annex: git annex get)."),
    ("pointer", "Fetch the files themselves: git annex get, or git lfs pull."),
    ("that is not read", "Unpack the archive and give the folder; zip, tar, gz, bz2 and xz are read as they are."),
    ("NIfTI", "Give a NIfTI anatomy as the file itself; MRE as NIfTI needs a wave-field folder (docs/files.md)."),
    ("picture", "Export the series as DICOM; pictures hold neither phase nor geometry."),
    ("empty file", "Copy the files again: they are empty."),
    ("without pixels", "Export the images too: reports and directories hold none."),
    ("DICOMDIR", "Copy the folders that the DICOMDIR lists too: it holds no images itself."),
    ("leads out of", "Unpack the archive yourself and give the folder."),
)


def no_image(where: str, passed: Mapping[str, int], advice: str | None) -> InputError:
    """Return the refusal of an input without a DICOM image.

    Args:
        where: name of the input in errors.
        passed: number of files that are no images, by reason.
        advice: general remedy; None takes the one for an MRE.
    """
    frequent = sorted(passed.items(), key=lambda one: -one[1])
    named = "; ".join(f"{number} x {reason}" for reason, number in frequent[:_MOST_NAMED])
    remedy = next((what for mark, what in _REMEDIES if frequent and mark in frequent[0][0]), "")
    general = MRE_ADVICE if advice is None else advice
    return InputError(
        where,
        found=f"no DICOM image, but {named}" if named else "no DICOM image, and no other file either",
        expected="a folder, zip or tar archive with the scanner's DICOM files",
        advice=f"{remedy} {general}".strip(),
    )
