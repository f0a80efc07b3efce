"""The key of pseudonyms: made for its owner, kept away from results, and never shown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from palpate.errors import InputError
from palpate.imaging.deidentify.key import Key, open_key


def test_key_is_its_owners_alone(tmp_path: Path) -> None:
    """Whoever has the key has the patients: it is made for its owner only, and it is never shown."""
    key = open_key(tmp_path / "deep" / "key", away_from=tmp_path / "out")
    assert (tmp_path / "deep" / "key").stat().st_mode & 0o777 == 0o600
    assert open_key(tmp_path / "deep" / "key", away_from=tmp_path / "out") == key
    assert repr(key.secret) not in repr(key)
    shifts = {(date(2024, 1, 1) - key.shifted(date(2024, 1, 1), f"{n}")) for n in range(200)}
    assert len(shifts) > 150
    assert all(timedelta(days=1) <= shift <= timedelta(days=3650) for shift in shifts)


def _key_of(size: int, mode: int = 0o600) -> Callable[[Path], Path]:
    def make(home: Path) -> Path:
        (home / "key").write_bytes(bytes(size))
        (home / "key").chmod(mode)
        return home / "key"

    return make


KEYS: dict[str, Callable[[Path], Path]] = {
    "short key": _key_of(31),
    "long key": _key_of(33),
    "empty key": _key_of(0),
    "key for all to read": _key_of(32, 0o644),
    "folder for a key": lambda home: home,
    "key inside the output": lambda home: home / "results" / "sub-01" / "out" / "key",
    "key inside the results": lambda home: home / "results" / "key",
    "key below a file": lambda home: _key_of(32)(home) / "key",
    "key through a link": lambda home: _link(home / "elsewhere", home / "results") / "key",
}


def _link(path: Path, target: Path) -> Path:
    target.mkdir()
    path.symlink_to(target)
    return path


@pytest.mark.parametrize("what", KEYS)
def test_unfit_key_is_refused(what: str, tmp_path: Path) -> None:
    """A weak key, a key that others have or one that travels with the results undoes everything else."""
    with pytest.raises(InputError, match="key"):
        open_key(KEYS[what](tmp_path), away_from=tmp_path / "results" / "sub-01" / "out")


def test_secret_has_a_length() -> None:
    """A key of another length was made by something else."""
    with pytest.raises(ValueError, match="16 bytes"):
        Key(bytes(16))
