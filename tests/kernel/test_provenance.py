"""Files appear whole or not at all, and a digest changes with the content and with nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from palpate.errors import InputError
from palpate.provenance import (
    atomic_file,
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
