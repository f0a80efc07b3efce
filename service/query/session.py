"""Finished session as queries read it: opened once, asked many times."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from palpate.content_digest import digest
from palpate.imaging.files.draws import DrawsFile
from palpate.imaging.files.stiffness_folder import DrawBlock, StiffnessMaps, read_stiffness
from palpate.imaging.region_values.region_warnings import step_warnings
from palpate.imaging.region_values.worlds import Worlds, worlds_of
from palpate.output_marker import is_marked, read_mark
from palpate.quality_warning import QualityWarning

_LABEL: Final = re.compile(r"sub-(?P<subject>[0-9A-Za-z]+)(?:_ses-(?P<session>[0-9A-Za-z]+))?")


@dataclass(frozen=True, slots=True)
class NearVoxels:
    """Voxels around a region, without their draws.

    Attributes:
        voxels: indices of the n voxels, in the order of the file, shape (n, 3).
    """

    voxels: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class NearDraws:
    """Joint draws of the voxels of a region, in memory.

    Attributes:
        voxels: indices of the n voxels, in the order of the file, shape (n, 3).
        storage_kpa: draws of G', kPa, shape (count, n).
        loss_kpa: draws of G'', kPa, shape (count, n).
    """

    voxels: NDArray[np.int32]
    storage_kpa: NDArray[np.float64]
    loss_kpa: NDArray[np.float64]

    @property
    def count(self) -> int:
        """Number of draws."""
        return len(self.storage_kpa)

    def blocks(self) -> Iterator[DrawBlock]:
        """Yield the draws of all voxels."""
        yield slice(0, len(self.voxels)), self.storage_kpa, self.loss_kpa


@dataclass(frozen=True)
class OpenRun:
    """One run at one frequency, with its draws at hand.

    Attributes:
        stiffness: posterior of the run.
        draws: its joint draws.
        worlds: worlds of the elastogram and of the T1, and the way between them.
        wavefield: folder of palpate ingest, which need not exist.
        warnings: warnings of the steps that made the run.
        digests: SHA-256 of what is read for this run, by its role.
    """

    stiffness: StiffnessMaps
    draws: DrawsFile
    worlds: Worlds
    wavefield: Path
    warnings: tuple[QualityWarning, ...]
    digests: Mapping[str, str]
    _numbers: NDArray[np.int32] = field(repr=False)

    @property
    def ingest(self) -> Mapping[str, Any]:
        """Record of ingest; empty where the wave field was made elsewhere."""
        return self.worlds.ingest

    def draws_of(self, near: NDArray[np.int32]) -> NearDraws:
        """Return the draws of some voxels.

        Args:
            near: numbers of the voxels, ascending, shape (n,).
        """
        return NearDraws(self.draws.voxels[near], *self.draws.at(near))

    def near(self, box_mm: NDArray[np.float64]) -> NDArray[np.int32]:
        """Return the numbers of the voxels that touch a box, ascending, shape (n,).

        Args:
            box_mm: lowest and highest corner of the box, world RAS of the elastogram, mm, shape (2, 3).
        """
        back = np.linalg.inv(self.stiffness.affine_mm)
        middle = back[:3, :3] @ box_mm.mean(axis=0) + back[:3, 3]
        half = np.abs(back[:3, :3]) @ (0.5 * (box_mm[1] - box_mm[0]))
        shape = np.array(self._numbers.shape)
        # A voxel reaches half a step to each side of its centre; a whole step forgives rounding.
        low = np.clip(np.floor(middle - half), 0, shape).astype(int)
        high = np.clip(np.ceil(middle + half) + 1, 0, shape).astype(int)
        inside = self._numbers[tuple(slice(*ends) for ends in zip(low, high, strict=True))]
        return np.sort(inside[inside >= 0])


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Finished session, opened for queries.

    Attributes:
        subject: label of the subject in the study; empty where the files name none.
        session: label of the session; empty where the files name none.
        runs: runs and frequencies, in the order of their names.
    """

    subject: str
    session: str
    runs: tuple[OpenRun, ...]


def open_session(folder: Path) -> OpenSession:
    """Open a finished session.

    Args:
        folder: session folder with `mre/` and, where it exists, `wavefield/`; or the folder of stiffness maps.

    Raises:
        InputError: there are no maps or no draws, or files do not fit each other.
    """
    mre = folder / "mre" if (folder / "mre").is_dir() else folder
    runs = tuple(_open(mre, one) for one in read_stiffness(mre))
    label = _LABEL.match(runs[0].stiffness.label)
    return OpenSession(label["subject"] if label else "", (label["session"] or "") if label else "", runs)


def _open(mre: Path, run: StiffnessMaps) -> OpenRun:
    draws = run.draws(mre)
    numbers = np.full(run.informed.shape, -1, dtype=np.int32)
    numbers[tuple(draws.voxels.T)] = np.arange(len(draws.voxels), dtype=np.int32)
    wavefield = mre.parent / "wavefield"
    worlds = worlds_of(run, wavefield)
    read = {"samples": draws.path, "inversion": mre / f"{run.label}_inversion.json"}
    return OpenRun(
        stiffness=run,
        draws=draws,
        worlds=worlds,
        wavefield=wavefield,
        warnings=step_warnings(worlds.ingest, run),
        digests={role: _digest(mre, one) for role, one in read.items()},
        _numbers=numbers,
    )


def _digest(mre: Path, path: Path) -> str:
    """Return the digest of a file, from the folder's marker where the size fits, since draws may be gigabytes."""
    listed = (read_mark(mre).files or {}) if is_marked(mre) else {}
    written = listed.get(path.name)
    return written.digest if written is not None and written.size == path.stat().st_size else digest(path)
