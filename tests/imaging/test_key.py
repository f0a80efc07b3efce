"""The key of pseudonyms: made for its owner, kept away from results, and never shown."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.deidentify.folder import deidentify
from palpate.imaging.deidentify.key import Key
from palpate.imaging.deidentify.key_file import known_key, open_key, user_key_path
from palpate.imaging.ingest import ingest
from tests.conftest import BIN, user_environment


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


@pytest.mark.parametrize("place", ["scan/key", "scan/deep/key", "out/key"])
def test_key_among_the_scans_or_results_is_refused_before_they_are_read(place: str, tmp_path: Path) -> None:
    """Scans are handed on as results are; a key that lies among them goes along, also where it does not exist yet."""
    (tmp_path / "scan").mkdir()
    key = tmp_path / place
    with pytest.raises(InputError, match=r"inside the|contains the input key"):
        deidentify(tmp_path / "scan", tmp_path / "out", key)
    with pytest.raises(InputError, match=r"inside the|contains the input key"):
        ingest(tmp_path / "scan", "sub-01", tmp_path / "out", anatomy=None, settings=IngestSettings(key=key))
    assert not key.exists()


def test_own_key_is_made_once_and_for_its_user_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Privacy that is on by default needs a key without a setting, at a known place, and the same in every run."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = tmp_path / "config" / "palpate" / "key"
    assert known_key(None) is None
    assert not path.parent.exists()
    key = open_key(None, away_from=tmp_path / "out")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert open_key(None, away_from=tmp_path / "out") == known_key(None) == open_key(path, away_from=tmp_path / "out")
    assert list(path.parent.iterdir()) == [path]
    assert key.secret == path.read_bytes()
    assert "name one file for all of them in ingest.key" in capsys.readouterr().err


@pytest.mark.parametrize("stated", ["", "somewhere/relative"])
def test_own_key_without_the_variable_lies_in_the_home(
    stated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few people set XDG_CONFIG_HOME, and a relative one would make another key in every working directory."""
    monkeypatch.setenv("XDG_CONFIG_HOME", stated)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_key_path() == tmp_path / ".config" / "palpate" / "key"


def test_processes_that_start_at_once_get_one_key(tmp_path: Path) -> None:
    """Snakemake starts every session's ingest at the same time; two keys would tear a subject's sessions apart."""
    script = (
        "import sys, time; from pathlib import Path\n"
        "from palpate.imaging.deidentify.key_file import open_key\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "print(open_key(None, away_from=Path(sys.argv[1])).fingerprint)"
    )
    environment = user_environment({"XDG_CONFIG_HOME": str(tmp_path / "config")})
    racers = [
        subprocess.Popen(
            [BIN / "python", "-c", script, tmp_path / "out"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    ended = [racer.communicate(timeout=60) for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 4, ended
    assert len({printed for printed, _ in ended}) == 1
    assert sum("made your own key" in said for _, said in ended) == 1


def test_slower_of_two_takes_the_key_of_the_faster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The moment between looking and making, without luck: somebody else's key appears there and must win."""
    path, theirs = tmp_path / "key", bytes(range(32))
    link = os.link

    def late(source: Path, target: Path) -> None:
        path.write_bytes(theirs)
        path.chmod(0o600)
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    assert open_key(path, away_from=tmp_path / "out").secret == theirs
    assert list(tmp_path.iterdir()) == [path]


def test_home_that_cannot_be_written_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers and cluster nodes have no home; whoever meets that must learn the setting, not the system's error."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"Set ingest\.key") as refused:
        open_key(None, away_from=tmp_path / "out")
    assert str(tmp_path) not in str(refused.value)


def test_own_key_does_not_travel_with_results_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results written into the home itself would hold the key below them."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    with pytest.raises(InputError, match=r"ingest\.key"):
        open_key(None, away_from=tmp_path / "sub-01" / "ses-01" / "wavefield")
    assert not (tmp_path / ".config").exists()


def test_secret_has_a_length() -> None:
    """A key of another length was made by something else."""
    with pytest.raises(ValueError, match="16 bytes"):
        Key(bytes(16))
