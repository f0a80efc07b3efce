"""Folders of the service: trails, their heads, uploads and overrides; none lies in the results."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from palpate.config.serve import ServeSettings
from palpate.errors import InputError


@dataclass(frozen=True, slots=True)
class KeptFolders:
    """Folders of the service.

    Attributes:
        audit: folder of the trails.
        heads: folder of their heads.
        uploads: folder of uploaded regions.
        overrides: folder of overrides.
    """

    audit: Path
    heads: Path
    uploads: Path
    overrides: Path

    @classmethod
    def of(cls, settings: ServeSettings) -> KeptFolders:
        """Return the folders that the settings name, or those of the user.

        Args:
            settings: settings of the service.
        """
        stated = Path(os.environ.get("XDG_STATE_HOME", ""))
        own = (stated if stated.is_absolute() else Path.home() / ".local" / "state") / "palpate" / "serve"
        audit = settings.audit or own / settings.study / "audit"
        return cls(
            audit,
            settings.audit_heads or audit.parent / "audit-heads",
            settings.uploads or audit.parent / "uploads",
            settings.overrides or audit.parent / "overrides",
        )


def demand_apart(results: Path, folders: KeptFolders) -> None:
    """Refuse folders of the service inside the results, with which they would be handed on.

    Args:
        results: folder of results, absolute.
        folders: folders of the service.

    Raises:
        InputError: one lies there.
    """
    for name, folder in (
        ("audit", folders.audit),
        ("audit_heads", folders.heads),
        ("uploads", folders.uploads),
        ("overrides", folders.overrides),
    ):
        if folder.resolve().is_relative_to(results) or results.is_relative_to(folder.resolve()):
            raise InputError(
                name,
                found="a folder inside the results, or around them",
                expected="a folder of its own",
                advice="Name another one: results are handed on, trails, uploads and overrides are not.",
            )
