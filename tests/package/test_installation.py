"""A clean environment from the lock, without a network, in which a tiny study gives the maps of the checkout.

These tests download what the lock names, 350 MB, and install 2 GB; `make verify` runs them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from palpate.cli import COMMANDS
from tests.conftest import CHECKOUT, run
from tests.package.building import build, copy_sources, files_of, run_from

pytestmark = pytest.mark.long
LOCK = CHECKOUT / "envs" / "requirements.lock"
PHANTOM = {"shape": [9, 8, 6], "element_mm": 4.0, "lesion": None}
QUICK = {"inversion": {"fit_prior": False, "max_iterations": 3, "hessian_rank": 40, "samples": 40}}
COMPUTED = ("*.nii.gz", "*.h5", "*.vtu")
"""Files of numbers; records beside them also name dates and seconds."""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of this checkout, unpacked."""
    home = tmp_path_factory.mktemp("source")
    made = build("sdist", copy_sources(home / "sources"), home / "sdist")
    with tarfile.open(made) as archive:
        archive.extractall(home / "unpacked", filter="data")
    (folder,) = (home / "unpacked").iterdir()
    return folder


@pytest.fixture(scope="module")
def wheel(unpacked: Path) -> Path:
    """The wheel that is built from the source distribution, as a packager builds it."""
    return build("wheel", unpacked, unpacked.parent / "wheel")


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Programs of an environment made as docs/install.md says for a machine without a network."""
    home = tmp_path_factory.mktemp("clean")
    wheels, pip = home / "wheelhouse", [str(home / "env" / "bin" / "python"), "-m", "pip"]
    _do(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes", "-r", LOCK, "-d", wheels)
    shutil.copy(wheel, wheels)
    _do(sys.executable, "-m", "venv", home / "env")
    offline = [*pip, "install", "-q", "--no-compile", "--no-deps", "--no-index", "--find-links", wheels]
    _do(*offline, "setuptools")
    _do(*offline, "--no-build-isolation", "--use-pep517", "--require-hashes", "-r", LOCK)
    _do(*offline, "palpate")
    yield home / "env" / "bin"
    shutil.rmtree(home)


def _do(*words: object) -> None:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([*map(str, words)], env=plain, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_source_distribution_is_the_checkout(unpacked: Path, wheel: Path) -> None:
    """Tests and documents come with it, programs can be run, links are links, and its wheel lacks nothing."""
    for folder in ("tests", "docs", "benchmarks", "examples", "envs", "imaging", "workflow"):
        here = {path.relative_to(CHECKOUT) for path in (CHECKOUT / folder).rglob("*") if _is_source(path)}
        assert here <= {path.relative_to(unpacked) for path in (unpacked / folder).rglob("*")}, folder
    for name in ("envs/find-python", ".ci/run"):
        assert os.access(unpacked / name, os.X_OK)
    assert (unpacked / "src" / "palpate" / "imaging").readlink() == Path("../../imaging")
    straight = build("wheel", copy_sources(unpacked.parents[1] / "again"), unpacked.parents[1] / "straight")
    assert files_of(wheel) == files_of(straight)


def _is_source(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")


def test_help_of_each_command(programs: Path, tmp_path: Path) -> None:
    """No command asks for a library or a file that the checkout alone has."""
    for name in COMMANDS:
        done = run_from(programs, name, "--help", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"palpate {name}" in done.stdout


def test_tiny_study_gives_the_maps_of_the_checkout(programs: Path, tmp_path: Path) -> None:
    """From an empty folder, at the first try: the patient, its study, and each map bit by bit."""
    made = run_from(programs, "phantom", "--settings", json.dumps(PHANTOM), "--out", "patient", cwd=tmp_path)
    assert made.returncode == 0, made.stdout + made.stderr
    (tmp_path / "quick.yaml").write_text(yaml.safe_dump(QUICK))
    given = ("run", "patient/sessions.tsv", "--config", "quick.yaml", "--cores", 2, "--results")
    done = run_from(programs, *given, "installed", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(CHECKOUT) not in done.stdout + done.stderr
    here = run("palpate", *given, "checkout", cwd=tmp_path, timeout_s=900.0)
    assert here.returncode == 0, here.stdout + here.stderr
    computed = _computed(tmp_path / "installed")
    assert len(computed) > 40
    assert computed == _computed(tmp_path / "checkout")


def _computed(results: Path) -> dict[str, bytes]:
    """Return the content of each file of numbers by its name."""
    paths = [path for pattern in COMPUTED for path in results.rglob(pattern)]
    return {path.relative_to(results).as_posix(): path.read_bytes() for path in paths}
