"""Folders of compiled forms: those that were compiled ahead, which are only read, and the user's own cache.

A form is compiled where a compiler is, which may be another machine than the one that needs it. It is looked for in

1. the folder that `PALPATE_FORMS` names (the workflow sets it from `forms` of the configuration),
2. `share/palpate/forms` of the Python environment, which every machine that runs the environment sees,
3. `palpate/forms` of `$XDG_CACHE_HOME` or `~/.cache`, the only one that a step writes to.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

VARIABLE: Final = "PALPATE_FORMS"
"""Environment variable that names a folder of forms compiled ahead."""


def stated_folder() -> Path | None:
    """Return the folder that the environment variable names; None where it names none."""
    stated = os.environ.get(VARIABLE, "").strip()
    return Path(stated).expanduser().absolute() if stated else None


def environment_folder() -> Path:
    """Return the folder of forms inside the Python environment."""
    return Path(sys.prefix) / "share" / "palpate" / "forms"


def ahead_folders() -> tuple[Path, ...]:
    """Return the folders of forms compiled ahead, the stated one first."""
    stated = stated_folder()
    return (environment_folder(),) if stated is None else (stated, environment_folder())


def user_folder() -> Path:
    """Return the user's cache of forms.

    Raises:
        RuntimeError: nobody says where the user's home is.
    """
    stated = Path(os.environ.get("XDG_CACHE_HOME", ""))
    home = stated if stated.is_absolute() else Path.home() / ".cache"
    return home / "palpate" / "forms"


def has_library(folder: Path, name: str) -> bool:
    """Return whether a folder holds a compiled library with all files by which FFCx finds it.

    The folder is listed, since a network share keeps answers to single names for a while.

    Args:
        folder: folder of compiled forms; it need not exist.
        name: name of the library without ending.
    """
    try:
        found = {one for one in os.listdir(folder) if one.startswith(name)}  # noqa: PTH208 - names alone
    except OSError:
        return False
    return {f"{name}.c", f"{name}.c.cached"} <= found and any(one.endswith(".so") for one in found)
