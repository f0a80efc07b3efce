"""Folder of results as the service sees it: subjects, sessions and maps by their labels, and nothing beside them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from palpate.errors import InputError
from palpate.service.serve.refusals import not_found

LABEL: Final = r"^[0-9A-Za-z]{1,64}$"
"""Pattern of labels of subjects and sessions."""
MAP_NAME: Final = r"^[0-9A-Za-z][0-9A-Za-z._-]{0,199}$"
"""Pattern of names of maps."""
_MAP: Final = re.compile(r"sub-[0-9A-Za-z]+_[0-9A-Za-z_.-]+\.nii\.gz")

type Stamp = tuple[tuple[str, int, int, int], ...]
"""State of a session's files: name, modification time in ns, size and number of the file on its disk."""


@dataclass(frozen=True, slots=True)
class ServedResults:
    """Folder of results that is served.

    Attributes:
        root: the folder, absolute, symbolic links resolved.
    """

    root: Path

    @classmethod
    def of(cls, folder: Path) -> ServedResults:
        """Return the folder of results.

        Args:
            folder: folder with `sub-*/ses-*/mre`.

        Raises:
            InputError: it is no folder, or holds no session.
        """
        found = cls(folder.resolve())
        if not folder.is_dir() or not any(found.sessions(one) for one in found.subjects()):
            raise InputError(
                folder,
                found="no finished session" if folder.is_dir() else "no folder",
                expected="a folder of results with sub-*/ses-*/mre",
                advice="Name the results of a study, such as results/ of the workflow.",
            )
        return found

    def subjects(self) -> list[str]:
        """Return the labels of subjects, in order."""
        return _labels(self.root, "sub-")

    def sessions(self, subject: str) -> list[str]:
        """Return the labels of a subject's finished sessions, in order; none where there is no such subject.

        Args:
            subject: label of the subject.
        """
        folder = self.root / f"sub-{subject}"
        return [one for one in _labels(folder, "ses-") if (folder / f"ses-{one}" / "mre").is_dir()]

    def subject(self, subject: str) -> Path:
        """Return the folder of a subject.

        Args:
            subject: label of the subject.

        Raises:
            RequestRefusal: there is none, or a link leads elsewhere.
        """
        return self._inside(self.root / f"sub-{subject}", "subject")

    def session(self, subject: str, session: str) -> Path:
        """Return the folder of a finished session.

        Args:
            subject: label of the subject.
            session: label of the session.

        Raises:
            RequestRefusal: there is none, or a link leads elsewhere.
        """
        folder = self._inside(self.root / f"sub-{subject}" / f"ses-{session}", "session")
        self._inside(folder / "mre", "session")
        return folder

    def maps(self, subject: str, session: str) -> list[Path]:
        """Return the files of a session's maps, in order.

        Args:
            subject: label of the subject.
            session: label of the session.

        Raises:
            RequestRefusal: there is no such session.
        """
        folder = self.session(subject, session) / "mre"
        with os.scandir(folder) as entries:
            names = [one.name for one in entries if _MAP.fullmatch(one.name) and one.is_file(follow_symlinks=False)]
        return [folder / name for name in sorted(names)]

    def _inside(self, folder: Path, what: str) -> Path:
        """Return a folder that lies in the results, whatever links lie on the way."""
        if not folder.is_dir() or not folder.resolve().is_relative_to(self.root):
            raise not_found(what)
        return folder


def stamp_of(folder: Path) -> Stamp:
    """Return the state of a session's files, which changes whenever a step writes one of them.

    Args:
        folder: folder of the session.
    """
    found: list[tuple[str, int, int, int]] = []
    for name in ("mre", "wavefield"):
        try:
            with os.scandir(folder / name) as entries:
                for one in entries:
                    state = one.stat()
                    found.append((f"{name}/{one.name}", state.st_mtime_ns, state.st_size, state.st_ino))
        except FileNotFoundError:  # a step replaces the folder, or there is none
            found.append((name, 0, 0, 0))
    return tuple(sorted(found))


def _labels(folder: Path, start: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            names = [one.name for one in entries if one.name.startswith(start) and one.is_dir()]
    except OSError:
        return []
    labels = (name.removeprefix(start) for name in names)
    return sorted(one for one in labels if re.match(LABEL, one))
