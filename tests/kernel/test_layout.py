"""The top-level folders are part of the installed package through relative links, and locks name no place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).parents[2]
PACKAGES = ("imaging", "meshing", "solvers", "twin", "service")
PIPELINE = tuple(
    Path("pipeline", name)
    for name in ("Snakefile", "config.yaml", "workflow", "envs/palpate.yaml", "envs/requirements.lock")
)
RECORDS = {Path("records", "results"): "benchmarks/results", Path("records", "limitations.md"): "docs/limitations.md"}


@pytest.mark.parametrize("name", PACKAGES)
def test_folder_is_linked(name: str) -> None:
    """Without the link a wheel would miss the package; an absolute link would break in every other checkout."""
    link = CHECKOUT / "src" / "palpate" / name
    assert link.is_symlink()
    assert not link.readlink().is_absolute()
    assert link.resolve() == CHECKOUT / name
    assert (link / "__init__.py").is_file()


def test_no_other_links() -> None:
    """Each link in the package is one of the known ones, so no code is reached by two names."""
    links = {path.relative_to(CHECKOUT / "src" / "palpate") for path in _links()}
    assert links == {*map(Path, PACKAGES), *PIPELINE, *RECORDS}


def test_the_records_in_the_package_are_the_checkouts() -> None:
    """An installed palpate says how it was tested by the very records of the benchmarks."""
    for link, target in RECORDS.items():
        path = CHECKOUT / "src" / "palpate" / link
        assert not path.readlink().is_absolute()
        assert path.resolve() == CHECKOUT / target


def test_the_pipeline_in_the_package_is_the_checkouts() -> None:
    """A wheel takes the very files that a checkout runs; a copy would grow old."""
    for link in PIPELINE:
        path = CHECKOUT / "src" / "palpate" / link
        assert not path.readlink().is_absolute()
        assert path.resolve() == CHECKOUT / link.relative_to("pipeline")
        assert path.exists()


def _links() -> list[Path]:
    return [path for path in (CHECKOUT / "src").rglob("*") if path.is_symlink()]


def test_lock_has_hashes_and_no_addresses() -> None:
    """The lock must install from any index a site allows, and only the very files that were tested."""
    lock = (CHECKOUT / "envs" / "requirements.lock").read_text()
    assert not re.search(r"https?://|pypi|index-url|file:|--find-links", lock)
    pins = re.split(r"\n(?=\S)", lock.strip())
    assert all("==" in pin and "--hash=sha256:" in pin for pin in pins)


def test_conda_environment_has_the_versions_of_the_lock() -> None:
    """A cluster's conda environment must not compute with other versions than the ones that were tested."""
    locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (CHECKOUT / "envs" / "requirements.lock").read_text(), re.M))
    other_names = {"fenics-dolfinx": "dolfinx-solver-complex", "matplotlib-base": "matplotlib"}
    conda = yaml.safe_load((CHECKOUT / "envs" / "palpate.yaml").read_text())
    pinned = [entry.split("=")[:2] for entry in conda["dependencies"] if "=" in entry]
    both = [(other_names.get(name, name), version) for name, version in pinned]
    compared = {name: version for name, version in both if name in locked}
    assert compared == {name: locked[name].removesuffix(".post0") for name in compared}
    assert len(compared) == len(pinned) - 2  # the interpreter and PETSc's scalar type are no pins of the lock


def test_hooks_run_the_projects_own_programs() -> None:
    """A hook that fetches its own version of a linter would judge otherwise than `make lint`."""
    hooks = yaml.safe_load((CHECKOUT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert {one["repo"] for one in hooks["repos"]} == {"local"}
    entries = [hook["entry"] for one in hooks["repos"] for hook in one["hooks"]]
    lint = (CHECKOUT / "Makefile").read_text(encoding="utf-8").partition("\nlint:")[2].partition("\npytest:")[0]
    programs = {entry.split()[0].removeprefix(".venv/bin/") for entry in entries}
    assert all(f"$(BIN)/{program}" in lint for program in programs)


def test_forges_run_what_continuous_integration_runs() -> None:
    """One script says what must pass, wherever it runs."""
    workflow = yaml.safe_load((CHECKOUT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
