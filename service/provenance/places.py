"""Places of a result's inputs, which its record does not name: they are found by what they hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from palpate.content_digest import digest
from palpate.errors import InputError
from palpate.run_crate.graph import InputFact
from palpate.run_crate.names import CRATE
from palpate.service.provenance.read_crate import read_crate


def input_place(folder: Path, one: InputFact, named: Mapping[str, Path]) -> Path | None:
    """Return the place of an input.

    Args:
        folder: folder of the result that was made from it.
        one: the input.
        named: places that the user names, by role with hyphens.

    Returns:
        The named place, else the folder beside the result whose record states the content, else the file or folder
        beside it that is called by the role, whatever it holds; None where there is none.
    """
    stated = named.get(one.role.replace(" ", "-"))
    if stated is not None:
        return stated
    beside = list(_beside(folder))
    by_record = (path for path in beside if one.is_folder and _states(path, one.content))
    by_name = [path for path in beside if _called(path, one)]
    by_content = (path for path in by_name if digest(path) == one.content)
    return next(by_record, None) or next(by_content, None) or next(iter(by_name), None)


def _beside(folder: Path) -> Iterator[Path]:
    own = folder.resolve()
    for path in sorted(own.parent.iterdir()):
        if path != own and not path.name.startswith("."):
            yield path


def _states(path: Path, content: str) -> bool:
    """Return whether the record in a folder states some content."""
    if not (path / CRATE).is_file():
        return False
    try:
        return read_crate(path).content == content
    except (OSError, ValueError, InputError):
        return False


def _called(path: Path, one: InputFact) -> bool:
    kind = path.is_dir() if one.is_folder else path.is_file()
    return kind and path.name.partition(".")[0] == one.role
