"""Every example, and the lines of the README, run as a newcomer runs them and say what they promise."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, user_environment

EXAMPLES = CHECKOUT / "examples"
SAYS = {
    "from_dicom_to_a_region": ("G'  ", "95 % interval"),
    "own_array": ("from one component", "Correct units"),
    "reading_draws": ("200 draws of 539 voxels", "too narrow"),
    "what_warnings_mean": (
        "sound: True []",
        "not-converged",
        "noise-overstated",
        "sign of the time",
        "to be used: True",
    ),
    "another_prior": ("default (matern)", "exponential (exponential)"),
    "another_likelihood": ("Gaussian: {'law': 'gaussian'}", "noise-too-small", "StudentT(freedom=4.0)", "warnings: []"),
    "tumour_forecast": ("day 100: visible", "day 130: visible"),
    "own_method": ("your method", "palpate"),
}
"""Words that each script prints, so that none ends early and unnoticed."""
SELDOM_COPIED = ("another_prior", "another_likelihood")
"""Scripts for method developers, which `make verify` runs."""


def _run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=user_environment(),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_run_and_listed() -> None:
    """A script that nobody runs is wrong sooner or later, and one that is not listed is not found."""
    scripts = {path.stem for path in EXAMPLES.glob("*.py") if not path.stem.startswith("small_")}
    listed = set(re.findall(r"\]\((\w+)\.py\)", (EXAMPLES / "README.md").read_text(encoding="utf-8")))
    assert scripts == set(SAYS) == listed


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The patient of the first example that makes one; the others find it."""
    return tmp_path_factory.mktemp("examples") / "patient"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long if name in SELDOM_COPIED else ()) for name in SAYS]
)
def test_example(name: str, patient: Path, tmp_path: Path) -> None:
    """Examples are the first code that a stranger copies."""
    if patient.exists():
        (tmp_path / "patient").symlink_to(patient)
    printed = _run(tmp_path, str(EXAMPLES / f"{name}.py"))
    for words in SAYS[name]:
        assert words in printed, printed
    made = tmp_path / "patient"
    if made.exists() and not made.is_symlink():
        made.rename(patient)


def test_lines_of_the_readme(tmp_path: Path) -> None:
    """The README's Python is run as it stands there, and leaves the folder that it speaks of."""
    (block,) = re.findall(r"```python\n(.*?)```", (CHECKOUT / "README.md").read_text(encoding="utf-8"), re.S)
    assert len([line for line in block.splitlines() if line.strip()]) <= 12
    printed = _run(tmp_path, "-c", block)
    assert "95 % interval" in printed
    assert (tmp_path / "stiffness" / "sub-own_samples.h5").is_file()
