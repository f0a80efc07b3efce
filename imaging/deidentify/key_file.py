"""File of a key: one that the user names, or the user's own, made on first use and readable by nobody else."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from palpate.errors import InputError
from palpate.imaging.deidentify.key import LENGTH, Key
from palpate.progress import say
from palpate.secret_file import make_secret, own_secret, read_secret, results_around, unusable_secret

_OWN: Final = "your own key ($XDG_CONFIG_HOME/palpate/key, by default ~/.config/palpate/key)"
# Without the path itself: logs travel with the results, and a home is named after somebody.
_ADVICE: Final = "Give the key that was made for this study, or a path where none is yet."
_ADVICE_OWN: Final = (
    "Set ingest.key (--key) to a file outside the results that you can write, the same for the whole study."
)


def user_key_path() -> Path:
    """Return the path of the user's own key: palpate/key in $XDG_CONFIG_HOME, or in ~/.config where that is not set.

    Raises:
        InputError: nobody says where the user's home is.
    """
    place = own_secret("key")
    if place is None:
        found = "no home folder"
        raise InputError(_OWN, found=found, expected="a place for it", advice=_ADVICE_OWN)
    return place


def demand_key_apart(path: Path | None, out: Path, *sources: Path) -> None:
    """Refuse a place for a key from which it would travel with the data that it protects.

    Args:
        path: the key's file; None takes the user's own.
        out: the folder that is to be written. Whoever gets it, or the results around it, must not get the key.
        sources: folders or files that are read; they are handed on as well, and whoever reads them takes all their
            files.

    Raises:
        InputError: the key lies in one of them.
    """
    where, place = key_name(path), (user_key_path() if path is None else path).resolve()
    found = None
    if place.is_relative_to(results_around(out)):
        found = "a place inside the folder of results"
    elif any(place.is_relative_to(source.resolve()) for source in sources):
        found = "a place inside the scans that are read"
    if found is not None:
        raise InputError(
            where,
            found=found,
            expected="a file outside what is handed on",
            advice="Keep the key (ingest.key) elsewhere, where only those responsible for the patients can read it.",
        )


def key_name(path: Path | None) -> str:
    """Return the name of a key in messages: the path that the user gave, or words for the user's own key."""
    return _OWN if path is None else f"the key {path}"


def open_key(path: Path | None, *, away_from: Path) -> Key:
    """Read a key, or make one where there is none, readable by its owner only.

    Processes that make it at the same time all get the same key.

    Args:
        path: the key's file; None takes the user's own.
        away_from: the folder that is to be written.

    Raises:
        InputError: the key would lie in that folder or its results, is no key, cannot be made, or others may read it.
    """
    demand_key_apart(path, away_from)
    where, own, path = key_name(path), path is None, user_key_path() if path is None else path
    try:
        made = not path.exists() and make_secret(path, secrets.token_bytes(LENGTH))
    except OSError as error:
        raise _unusable(where, error) from error
    if made and own:
        say(
            f"made {where}: all pseudonyms follow from it, so keep it, and keep it secret; where machines share "
            "no home, name one file for all of them in ingest.key (--key)"
        )
    return _read(where, path)


def known_key(path: Path | None) -> Key | None:
    """Read a key; None where there is none. Nothing is made: a new key would not fit what an earlier step wrote.

    Args:
        path: the key's file; None takes the user's own.

    Raises:
        InputError: it is no key, cannot be read, or others may read it.
    """
    where, path = key_name(path), user_key_path() if path is None else path
    try:
        if not path.exists():
            return None
    except OSError as error:
        raise _unusable(where, error) from error
    return _read(where, path)


def _read(where: str, path: Path) -> Key:
    return Key(read_secret(where, path, LENGTH, _advice(where)))


def _unusable(where: str, error: OSError) -> InputError:
    return unusable_secret(where, error, LENGTH, _advice(where))


def key_advice(path: Path | None) -> str:
    """Return what to do where a key is not the one that an earlier step had.

    Args:
        path: the key's file; None for the user's own.
    """
    if path is not None:
        return "Give its file with --key (setting ingest.key)."
    return (
        "Where machines share no home each makes its own key: copy the one that ingest had to a file that all of them "
        "can read, mode 0600, and name it in ingest.key (--key)."
    )


def _advice(where: str) -> str:
    return _ADVICE_OWN if where == _OWN else _ADVICE
