"""Check of all results below a folder, as palpate verify provenance makes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from palpate.errors import InputError
from palpate.run_crate.names import CRATE
from palpate.run_crate.signing_key import own_public_key, public_key_of
from palpate.service.provenance.check import ProvenanceCheck
from palpate.service.provenance.finding import PartFinding


def results_below(folder: Path) -> list[tuple[Path, str]]:
    """Return the results with a crate in a folder, with the names that the report gives them.

    Args:
        folder: a result, or a folder with results below it.

    Raises:
        InputError: there is none.
    """
    if (folder / CRATE).is_file():
        return [(folder, folder.resolve().name)]
    found = sorted(path.parent for path in folder.rglob(CRATE)) if folder.is_dir() else []
    if not found:
        raise InputError(
            folder,
            found="no result with a record of its provenance" if folder.exists() else "no folder",
            expected=f"a folder with {CRATE}, or one around such folders",
            advice="Steps of the command line write it since version 0.2; run the step again to have one.",
        )
    return [(path, path.relative_to(folder).as_posix()) for path in found]


def provenance_findings(
    results: Sequence[tuple[Path, str]], keys: Sequence[Path], places: Mapping[str, Path]
) -> Iterator[PartFinding]:
    """Yield what is found of results and their inputs.

    Args:
        results: folders and their names.
        keys: files of the public keys that count; none for the key of this machine.
        places: places of inputs, by role with hyphens.

    Raises:
        InputError: a key cannot be used.
    """
    own = () if keys else tuple(key for key in (own_public_key(),) if key is not None)
    check = ProvenanceCheck(tuple(public_key_of(path) for path in keys) or own, places)
    for folder, name in results:
        if folder.resolve() not in check.seen:
            yield from check.of(folder, name)


def parse_places(texts: Sequence[str]) -> dict[str, str]:
    """Return places and values by their names.

    Args:
        texts: texts such as "wavefield=old/wavefield".

    Raises:
        InputError: a text is no name and place.
    """
    found = {}
    for text in texts:
        name, equals, place = text.partition("=")
        if not (name and equals and place):
            raise InputError(
                "--input", found=repr(text[:60]), expected="ROLE=PATH", advice="Write --input wavefield=old/wavefield."
            )
        found[name] = place
    return found
