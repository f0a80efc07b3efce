"""In-silico patient that is small enough for every example: DICOM as from a scanner, and the true stiffness."""

from __future__ import annotations

from pathlib import Path

from palpate.config.phantom import PhantomSettings
from palpate.solvers.virtual_patient import create

SETTINGS = PhantomSettings(shape=(9, 9, 9), lesion=None)


def small_patient(folder: Path) -> Path:
    """Make the patient and return the folder of the session: dicom/mre, dicom/t1 and truth/.

    Args:
        folder: folder of the study, to create; where another example has made it, it stays.
    """
    if not folder.exists():
        create(folder, SETTINGS, None)
    return folder / "sub-01" / "ses-01"
