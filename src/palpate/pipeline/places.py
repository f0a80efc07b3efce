"""Places of the pipeline's files: the Snakefile, the configuration, and profiles by their names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from palpate.errors import InputError

HOME: Final = Path(__file__).parent
"""Folder of the pipeline's files."""
SNAKEFILE: Final = HOME / "Snakefile"
"""The workflow."""
PROFILES: Final = HOME / "workflow" / "profiles"
"""Folder of the profiles that palpate brings."""
EVERY_RUN: Final = PROFILES / "default"
"""Profile that every run takes beside the one that is named."""
DEMO: Final = "demo"
"""Name of the demo's configuration."""
_PATTERN: Final = "config*.yaml"
"""Names of a profile's file; Snakemake also reads some with a version in them (config.v9+.yaml)."""


def profile_names() -> list[str]:
    """Return the names of the profiles that palpate brings, without the one that every run takes."""
    return sorted(path.name for path in PROFILES.iterdir() if path.is_dir() and path != EVERY_RUN)


def profile_folder(name: str) -> Path:
    """Find a profile by its name or as a folder.

    A folder goes before a profile of palpate's, so that an adapted copy is taken where one lies.

    Args:
        name: folder with config.yaml, name of one of palpate's profiles, or name of one of the user's or the machine's
            own (~/.config/snakemake, /etc/xdg/snakemake).

    Raises:
        InputError: there is no such profile.
    """
    of_user = Path(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"))  # noqa: PTH111 - there may be no home
    of_machine = map(Path, (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep))
    own = [base / "snakemake" / name for base in (of_user, *of_machine)]
    offered = [PROFILES / name] if name in profile_names() else []
    for folder in (Path(name), *offered, *own):
        if any(folder.glob(_PATTERN)):
            return folder.absolute()
    expected = f"{' or '.join(profile_names())}, or a folder with config.yaml"
    advice = "Name one of these; `palpate config profile` prints one, to be adapted."
    raise InputError("--profile", found=f"no profile {name}", expected=expected, advice=advice)


def profile_text(name: str) -> str:
    """Return the text of one of palpate's profiles.

    Args:
        name: such as "slurm".

    Raises:
        InputError: palpate brings no such profile.
    """
    if name not in profile_names():
        expected = f"one of {', '.join(profile_names())}"
        raise InputError("the name of a profile", found=name, expected=expected, advice="Choose one.")
    return (PROFILES / name / "config.yaml").read_text(encoding="utf-8")


def config_file(name: str) -> Path:
    """Find a configuration as a file, or the demo's by its name.

    Args:
        name: path of a config.yaml, or "demo".

    Raises:
        InputError: there is no such file.
    """
    if Path(name).is_file():
        return Path(name).absolute()
    if name == DEMO:
        return HOME / "workflow" / "demo.yaml"
    advice = f"Correct the path, or write {DEMO} for the demo's."
    raise InputError("--config", found=f"no file {name}", expected="a configuration", advice=advice)
