"""Choice of one region from the options of a command or the fields of a request."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from palpate.errors import InputError

if TYPE_CHECKING:
    from palpate.service.query.region_spec import FileKind, RegionSpec

_EXPECTED: Final = "one of --sphere X,Y,Z,RADIUS, --mask FILE, --seg FILE and --roi FILE"


def region_of(*, sphere: str | None, files: Mapping[FileKind, Path | None], name: str | None) -> RegionSpec:
    """Return the one region that is named.

    Args:
        sphere: centre and radius as text; None for none.
        files: file of each kind; None for none.
        name: name or number of a segment or ROI; None for none.

    Raises:
        InputError: no region or several are named, or a name is given to what has none.
    """
    given = {kind: path for kind, path in files.items() if path is not None}
    count = len(given) + (sphere is not None)
    if count != 1:
        told = [*(["--sphere"] if sphere is not None else []), *(f"--{kind}" for kind in given)]
        raise InputError(
            "region",
            found=" and ".join(told) if told else "none",
            expected=_EXPECTED,
            advice="Name one region; ask again for another one.",
        )
    if name is not None and not {"seg", "roi"} & set(given):
        raise InputError(
            "--name",
            found="a name beside a region that has none",
            expected="--seg or --roi, whose segments and ROIs have names",
            advice="Leave --name out.",
        )
    from palpate.service.query.region_spec import FileSpec, SphereSpec

    if sphere is not None:
        return SphereSpec(sphere)
    kind, path = next(iter(given.items()))
    return FileSpec(kind, path, name or "")
