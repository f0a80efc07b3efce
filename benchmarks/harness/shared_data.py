"""Data of other laboratories, which lie beside or above the checkout and are not part of it."""

from __future__ import annotations

from pathlib import Path


def shared_data() -> Path:
    """Return the folder shared/data beside the checkout or above it, whether or not it is there."""
    above = [folder / "shared" / "data" for folder in Path(__file__).resolve().parents[2].parents]
    return next((folder for folder in above if folder.is_dir()), above[0])
