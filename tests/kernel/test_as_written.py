"""Inputs that palpate wrote are read as they were written, or somebody is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from palpate.as_written import demand_as_written
from palpate.errors import InputError
from palpate.outputs import claim_file, claim_folder
from palpate.service.report.page import PAGE


@pytest.fixture
def mre(tmp_path: Path) -> Path:
    """Stiffness maps as an inversion leaves them, in a session's folder."""
    with claim_folder(tmp_path / "session" / "mre", "invert", {}).writing() as partial:
        for name in ("samples.h5", "map.json", "mask.nii.gz"):
            (partial / name).write_bytes(bytes(range(64)))
    return tmp_path / "session" / "mre"


def _change(path: Path) -> None:
    """Change one byte, as a failing disk does; the size stays."""
    path.write_bytes(path.read_bytes().replace(b"\x07", b"\x08"))


@pytest.mark.parametrize("given", ["mre", "session"])
def test_damaged_arrays_are_refused_by_name(given: str, mre: Path, tmp_path: Path) -> None:
    """Draws are stored plainly: another byte is another modulus, and no reader can notice."""
    inputs = {"mre": mre if given == "mre" else mre.parent}
    claim_folder(tmp_path / "out", "maps", inputs)
    _change(mre / "samples.h5")
    for claim in (
        lambda: claim_folder(tmp_path / "out", "maps", inputs),
        lambda: claim_file(tmp_path / "page.html", PAGE, inputs),
    ):
        with pytest.raises(InputError, match=r"samples\.h5: found a file that was changed after palpate invert"):
            claim()


@pytest.mark.parametrize("name", ["map.json", "mask.nii.gz"])
def test_corrected_text_or_image_is_read_with_a_warning(
    name: str, mre: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """People correct masks by hand; once a command, since several outputs are claimed with the same inputs."""
    _change(mre / name)
    claim_folder(tmp_path / "out", "maps", {"mre": mre})
    claim_file(tmp_path / "page.html", PAGE, {"mre": mre})
    said = [line for line in capsys.readouterr().err.splitlines() if "warning: " in line]
    assert len(said) == 1
    assert f"mre/{name} was changed after palpate invert had written it" in said[0]


def test_what_is_whole_or_somebody_elses_is_not_spoken_of(
    mre: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Folders without a marker, and files that were added or removed, are the user's own business."""
    (mre / "notes.txt").write_text("mine")
    (mre / "mask.nii.gz").unlink()
    other = tmp_path / "own"
    other.mkdir()
    (other / "samples.h5").write_text("mine")
    for given in (mre, mre.parent, other, other / "samples.h5", tmp_path / "nowhere"):
        demand_as_written(given)
    assert "warning" not in capsys.readouterr().err
