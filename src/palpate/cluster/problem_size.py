"""Size of an inversion, as the records of its mesh state it: known before the inversion, and cheap to read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class ProblemSize:
    """Size of the inversion of one run, all its frequencies together.

    Attributes:
        voxels: number of voxels of the mask.
        zones: number of zones.
        zone_nodes: number of nodes of the largest zone.
        inner_nodes: number of nodes within a full zone, whose power 1.5 is the zone's work.
        frequencies: number of frequencies; each has all zones.
    """

    voxels: int
    zones: int
    zone_nodes: int
    inner_nodes: int
    frequencies: int

    def __post_init__(self) -> None:
        if min(self.voxels, self.zones, self.zone_nodes, self.inner_nodes, self.frequencies) < 1:
            raise ValueError(f"a size below one: {self}")

    @property
    def works(self) -> int:
        """Number of zones of all frequencies: the parts that ranks can share."""
        return self.zones * self.frequencies

    @classmethod
    def of_record(cls, record: Mapping[str, object]) -> Self:
        """Return the size that the record of a mesh states.

        Args:
            record: content of `<label>_mesh.json`.

        Raises:
            KeyError, TypeError, ValueError: the record is no such one.
        """
        full = [int(str(count)) for count in _sequence(record["zone_nodes"])]
        largest = int(str(record["largest_zone_nodes"]))
        return cls(
            voxels=int(str(record["mask_voxels"])),
            zones=int(str(record["zones"])),
            zone_nodes=largest,
            inner_nodes=min(largest, math.prod(max(1, count - 2) for count in full)),
            frequencies=max(1, len(_sequence(record["frequencies"]))),
        )


def sizes_of_mesh(folder: Path) -> tuple[ProblemSize, ...]:
    """Return the sizes of a session's inversions, one for each run.

    Args:
        folder: folder of `palpate mesh`.

    Returns:
        Sizes in the order of the runs' labels; none where there is no mesh yet, or its records cannot be read, since a
        request for memory must not be what refuses a mesh.
    """
    try:
        records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*_mesh.json"))]
        return tuple(ProblemSize.of_record(record) for record in records)
    except (OSError, KeyError, TypeError, ValueError):
        return ()


def _sequence(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(f"no list: {value!r}")
    return value
