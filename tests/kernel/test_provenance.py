"""Files appear whole or not at all, and a digest changes with the content and with nothing else."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NoReturn

import pytest

from palpate.errors import InputError
from palpate.leftovers import sweep
from palpate.provenance import (
    atomic_file,
    atomic_files,
    digest,
    input_digests,
    versions,
)


class Stopped(Exception):  # noqa: N818 - an event, not an error
    """Stands for whatever ends a step half-way."""


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_finished_file_has_its_name_and_suffix(tmp_path: Path) -> None:
    """Libraries choose the format by the suffix, so the temporary name must end like the final one."""
    with atomic_file(tmp_path / "deep" / "map.nii.gz") as partial:
        assert partial.name.endswith(".nii.gz")
        partial.write_text("whole")
    assert _names(tmp_path / "deep") == {"map.nii.gz"}


def test_stopped_file_leaves_the_old_one(tmp_path: Path) -> None:
    """A reader must never meet half a file, and a failed re-run must not cost the earlier result."""
    path = tmp_path / "map.json"
    path.write_text("old")
    with pytest.raises(Stopped), atomic_file(path) as partial:
        partial.write_text("hal")
        raise Stopped
    assert _names(tmp_path) == {"map.json"}
    assert path.read_text() == "old"


def test_folder_above_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """The user confused a file with a folder; the file must survive."""
    path = tmp_path / "mre"
    path.write_text("mine")
    with pytest.raises(InputError), atomic_file(path / "below.json"):
        pytest.fail("a file was taken for a folder")
    assert path.read_text() == "mine"


def test_digest_sees_content_and_names_only(tmp_path: Path) -> None:
    """A re-run must be recognised as the same input wherever it lies, and one changed byte as another one."""
    for name in ("a", "b"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "x").write_bytes(b"one")
        (tmp_path / name / f".{name}").write_bytes(name.encode())
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    (tmp_path / "b" / "sub" / "x").write_bytes(b"two")
    assert digest(tmp_path / "a") != digest(tmp_path / "b")


def test_input_digests_name_roles_not_paths(tmp_path: Path) -> None:
    """A scanner's folder is often named after the patient, and no name may reach an output."""
    folder = tmp_path / "Doe^Jane"
    folder.mkdir()
    assert "Doe" not in str(input_digests({"mre": folder}))


def test_versions_name_the_stack() -> None:
    """A result must say which solver computed it."""
    assert {"palpate", "python", "numpy", "dolfinx-solver-complex"} <= set(versions())


@pytest.mark.parametrize("fails_at", range(5))
def test_files_that_belong_together_change_together(
    fails_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A history beside the record of another run would be believed: whatever rename fails, both stay as they were."""
    paths = tmp_path / "history.h5", tmp_path / "history.json"
    for path in paths:
        path.write_text("old")
    renames = 0
    rename = os.replace

    def failing(source: Path, target: Path) -> None:
        nonlocal renames
        renames += 1
        if renames - 1 == fails_at:
            raise OSError(errno.EIO, "a disk that fails")
        rename(source, target)

    monkeypatch.setattr(os, "replace", failing)
    # Four renames: both earlier files aside, both new ones in place.
    with pytest.raises(InputError) if fails_at < 4 else nullcontext(), atomic_files(*paths) as partials:
        for partial in partials:
            partial.write_text("new")
    assert {path.read_text() for path in paths} == {"old" if fails_at < 4 else "new"}
    assert _names(tmp_path) == {path.name for path in paths}


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_killed_between_two_renames_leaves_no_mixture(tmp_path: Path) -> None:
    """What a killed process left is swept by the next one: a new history beside an earlier record never stays."""
    paths = tmp_path / "history.h5", tmp_path / "history.json"
    for survived in range(4):
        for path in paths:
            path.write_text("old")
        if (child := os.fork()) == 0:
            _die_while_renaming(paths, survived)
        os.waitpid(child, 0)
        sweep(tmp_path)
        history, record = (path.read_text() if path.exists() else None for path in paths)
        assert history is not None
        assert record in (history, None)
        assert _names(tmp_path) <= {path.name for path in paths}


def _die_while_renaming(paths: Sequence[Path], survived: int) -> NoReturn:
    """End this process without a word after so many renames."""
    left = iter(range(survived))
    rename = os.replace

    def dying(source: Path, target: Path) -> None:
        if next(left, None) is None:
            os._exit(1)
        rename(source, target)

    os.replace = dying  # type: ignore[assignment]  # the process is a copy that ends here
    with atomic_files(*paths) as partials:
        for partial in partials:
            partial.write_text("new")
    os._exit(0)
