"""palpate: virtual palpation, from MR elastography to stiffness maps with their uncertainty.

    field = palpate.WaveField(displacement, affine_mm, frequency_hz, mask=mask, units="um")
    posterior = palpate.invert(field)

The names below are loaded when they are first asked for, so that `import palpate` costs nothing and no script has to
import MPI and DOLFINx in a certain order. Their types are in `__init__.pyi`.
"""

from __future__ import annotations

import importlib
import os

# HDF5 locks every file that it opens, also to read, and cannot open any where parallel file systems are mounted without
# locks. Nothing is lost: a file gets its name when it is whole and never changes afterwards (docs/decisions/0137). HDF5
# reads this once, as it is loaded, hence here; a choice of the user's own is kept.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

__version__ = "0.1.0"

_DOOR = {
    "WaveField": "palpate.imaging.wavefield",
    "read_wave_fields": "palpate.imaging.files.wavefield_folder",
    "invert": "palpate.solvers.inversion.in_python",
    "StiffnessPosterior": "palpate.imaging.stiffness_posterior",
    "read_stiffness": "palpate.imaging.stiffness_posterior",
    "calibrate": "palpate.twin.in_python",
    "forecast": "palpate.twin.in_python",
}
"""Public names and the modules that define them."""

__all__ = ["__version__", *_DOOR]  # noqa: PLE0604 - the names of the door are text


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for."""
    if name not in _DOOR:
        raise AttributeError(f"module 'palpate' has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(_DOOR[name]), name)
    return found


def __dir__() -> list[str]:
    """Return the public names, also those that are not loaded yet."""
    return sorted(__all__)
