"""What the package imports is what its distribution asks for, so that an installation by pip lacks nothing."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import yaml

from tests.conftest import CHECKOUT
from tests.package.building import package_files

NOT_IMPORTED = {
    "nilearn": "two of its data files are read",
    "python-gdcm": "pydicom finds this decoder itself",
    "snakemake-executor-plugin-slurm": "Snakemake finds this plugin itself",
}
"""Distributions that are needed although the package does not import them."""


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _declared() -> set[str]:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {_normalised(re.split(r"[^\w.-]", one)[0]) for one in project["dependencies"]}


def _imports(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import(names):
                yield from (one.name.partition(".")[0] for one in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0]


def _in_rules(text: str) -> Iterator[str]:
    """Yield what the Python lines of a rule file import; the rest of such a file is no Python."""
    for line in re.findall(r"^(?:import|from) .*$", text, re.M):
        yield from _imports(line)


def test_declared_dependencies_are_the_imports() -> None:
    """A library that only the developers' environment brings stops a user at the first step that imports it."""
    imported: set[str] = set()
    for name in package_files(CHECKOUT):
        path = CHECKOUT / "src" / name
        if path.suffix == ".py":
            imported.update(_imports(path.read_text(encoding="utf-8")))
        elif path.suffix == ".smk" or path.name == "Snakefile":
            imported.update(_in_rules(path.read_text(encoding="utf-8")))
    owners = packages_distributions()
    needed = {
        _normalised(owners.get(one, [one])[0]) for one in imported - sys.stdlib_module_names - {"palpate", "__future__"}
    }
    assert needed | NOT_IMPORTED.keys() == _declared()


def test_each_dependency_is_locked_and_in_the_conda_environment() -> None:
    """Both other ways of installation bring the same libraries."""
    lock = (CHECKOUT / "envs" / "requirements.lock").read_text(encoding="utf-8")
    assert _declared() <= {_normalised(name) for name in re.findall(r"^([\w.-]+)==", lock, re.M)}
    conda = yaml.safe_load((CHECKOUT / "envs" / "palpate.yaml").read_text(encoding="utf-8"))["dependencies"]
    other_names = {"fenics-dolfinx": "dolfinx-solver-complex", "matplotlib-base": "matplotlib"}
    names = {other_names.get(name, name) for name in (re.split("[=<>]", entry)[0] for entry in conda)}
    # conda installs these below fenics-dolfinx, jinja2, pydantic and dicomweb-client
    brought = {"fenics-basix", "fenics-ffcx", "fenics-ufl", "mpi4py", "markupsafe", "pydantic-core", "requests"}
    assert _declared() - brought <= names


def test_the_reasons_are_those_of_the_declaration() -> None:
    """A distribution that nobody needs any more must not stay declared."""
    atlas = (CHECKOUT / "imaging" / "anatomy" / "atlas.py").read_text(encoding="utf-8")
    assert "nilearn/" in atlas
    assert "executor: slurm" in Path(CHECKOUT, "workflow", "profiles", "slurm", "config.yaml").read_text()
