"""Forms are compiled ahead: all of them, and machines without compiler, home or writable folders then run."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from palpate.form_folders import VARIABLE, environment_folder, user_folder
from palpate.imaging.files.wavefield_folder import write_wave_field
from palpate.solvers import compiled
from palpate.solvers.compile_ahead import USES, compile_forms, missing_forms
from tests.conftest import BIN, CHECKOUT, user_environment
from tests.solvers.inversion.small_fields import BAR, Case, softening, wave_field

COMPILING: Final = ("form", "expression", "_assembled")
"""Functions that have a form compiled, by the names that the solvers' modules know them by."""

NODES: Final = os.geteuid() == 0 and shutil.which("unshare") is not None
"""Whether a process can get disks of its own, as another machine has them."""


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all forms; those that this machine has need not be compiled again."""
    folder = tmp_path_factory.mktemp("ahead") / "forms"
    for known in (environment_folder(), user_folder()):
        if known.is_dir():
            shutil.copytree(known, folder, dirs_exist_ok=True)
    compile_forms(folder)
    return folder


def _bare(folder: Path, forms: Path | None) -> dict[str, str]:
    """Environment of a machine without compiler and home; `-c` and `-m` find nothing but Python."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    plain = {
        name: value for name, value in user_environment().items() if name not in ("XDG_CACHE_HOME", "CC", VARIABLE)
    }
    # Options of the JIT that no folder was compiled with: forms of the environment are no help where none is named.
    (folder / "dolfinx_jit_options.json").unlink(missing_ok=True)
    if forms is None:
        (folder / "dolfinx_jit_options.json").write_text('{"cffi_extra_compile_args": ["-O1"]}')
    named = {} if forms is None else {VARIABLE: str(forms)}
    return plain | {"HOME": "/proc/nonexistent", "PATH": str(programs)} | named


def _sites() -> Iterator[tuple[Path, int, int]]:
    """Yield file, first and last line of every call in the solvers that has a form compiled."""
    for path in sorted((CHECKOUT / "solvers").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in COMPILING:
                yield path, node.lineno, node.end_lineno or node.lineno


WATCHED = """
import json, sys, traceback
from pathlib import Path
from palpate.solvers import compiled
from palpate.solvers.compile_ahead import compile_forms

seen, ready = set(), compiled._ready

def watched(*given):
    seen.update((str(Path(one.filename).resolve()), one.lineno or 0) for one in traceback.extract_stack())
    return ready(*given)

compiled._ready = watched
compile_forms(Path(sys.argv[1]))
print(json.dumps(sorted(seen)))
"""
"""Lines of code that were at work when a form was asked for, in a process in which nothing was asked for before."""


def test_every_form_is_compiled_ahead(forms: Path) -> None:
    """A form that nobody thought of would be missing on the one machine that cannot compile it, hours into a run."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, forms], env=user_environment(), capture_output=True, text=True, check=True
    )
    seen = {(Path(file), line) for file, line in json.loads(done.stdout.splitlines()[-1])}
    sites = list(_sites())
    assert len(sites) > 15
    missed = [
        f"{path.name}:{first}"
        for path, first, last in sites
        if not any((path, n) in seen for n in range(first, last + 1))
    ]
    assert not missed


def test_a_folder_that_lacks_a_form_is_noticed(forms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a folder, as an interrupted copy leaves it, must not pass for a whole one; nothing is compiled."""
    shutil.copytree(forms, tmp_path / "half")
    monkeypatch.setattr(compiled, "ahead_folders", lambda: (tmp_path / "half",))
    monkeypatch.setattr(compiled, "_of_user", list)
    assert missing_forms() == []
    for library in (tmp_path / "half").glob("*.so"):
        library.unlink()
    before = sorted((tmp_path / "half").iterdir())
    assert missing_forms() == list(USES)
    assert sorted((tmp_path / "half").iterdir()) == before


def test_inversion_without_compiler_or_home(forms: Path, tmp_path: Path) -> None:
    """What a compute node has: Python, a shared folder of forms that it cannot write, and nothing else."""
    (tmp_path / "wavefield").mkdir()
    write_wave_field(tmp_path / "wavefield", wave_field(Case(BAR, softening, 0.03, 4)))
    shutil.copytree(forms, tmp_path / "forms")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "forms").iterdir()}
    words = [sys.executable, "-m", "palpate", "invert", "wavefield", "--out", "mre"]
    words += ["--settings", json.dumps({"samples": 20, "max_iterations": 1})]
    if NODES:
        mount = f"mount --bind {tmp_path}/forms {tmp_path}/forms && mount -o remount,bind,ro {tmp_path}/forms"
        words = [
            "/usr/bin/unshare",
            "-m",
            "/bin/sh",
            "-c",
            f'export PATH=/usr/bin:/bin; {mount}; export PATH={tmp_path}/programs; exec "$@"',
            "sh",
            *words,
        ]
    done = _started(words, tmp_path, tmp_path / "forms")
    assert done.returncode == 0, done.stderr
    assert "compiled forms cannot be kept" not in done.stderr
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "forms").iterdir()} == before


def test_inversion_without_compiler_or_forms(tmp_path: Path) -> None:
    """The sentence says how to compile ahead, before the work and without a traceback."""
    (tmp_path / "wavefield").mkdir()
    write_wave_field(tmp_path / "wavefield", wave_field(Case(BAR, softening, 0.03, 4)))
    done = _started([sys.executable, "-m", "palpate", "invert", "wavefield", "--out", "mre"], tmp_path, None)
    assert done.returncode == 2
    told = [line for line in done.stderr.splitlines() if line.startswith("palpate: ")]
    assert len(told) == 1
    assert "Compile ahead on a machine with gcc (palpate check --compile)" in told[0]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "mre").exists()


def _started(words: list[str], folder: Path, forms: Path | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=folder, env=_bare(folder, forms), capture_output=True, text=True, timeout=300, check=False
    )


ON_A_MESH: Final = """
import dolfinx_solver, dolfinx
from dolfinx import fem
from mpi4py import MPI
from palpate.cli.failed_exit import leave
from palpate.errors import InputError
from palpate.solvers.growth.space.tetrahedra import tetrahedra
try:
    box = dolfinx.mesh.create_unit_cube(MPI.COMM_WORLD, 2, 2, 2)
    space = tetrahedra(fem.functionspace(box, ("Lagrange", 1)))
    print("volume", round(MPI.COMM_WORLD.allreduce(float(space.volumes_m3.sum())), 9), flush=True)
except InputError as error:
    leave(2, f"palpate: {error}")
"""


@pytest.mark.skipif(not NODES, reason="needs disks of its own for a process: root and unshare")
@pytest.mark.parametrize("ahead", [True, False], ids=["forms-ahead", "none-ahead"])
def test_two_machines_that_share_no_home(ahead: bool, forms: Path, tmp_path: Path) -> None:  # noqa: FBT001
    """The second rank sees another home and has no compiler: it reads what was compiled ahead, or says what to do."""
    (tmp_path / "rank.py").write_text(ON_A_MESH)
    (tmp_path / "home").mkdir()
    _bare(tmp_path, forms if ahead else None)
    second = f'mount -t tmpfs none {tmp_path}/home; export PATH=; exec "{sys.executable}" {tmp_path}/rank.py'
    extra = {"XDG_CACHE_HOME": f"{tmp_path}/home", VARIABLE: str(forms) if ahead else ""}
    ranks = ["-n", "1", sys.executable, tmp_path / "rank.py", ":", "-n", "1", "unshare", "-m", "sh", "-c", second]
    done = subprocess.run(
        [BIN / "mpiexec", *ranks],
        cwd=tmp_path,
        env=user_environment(extra),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if ahead:
        assert re.findall(r"volume|1\.0", done.stdout).count("volume") == 2, done.stderr  # ranks may share a line
        assert re.findall(r"volume|1\.0", done.stdout).count("1.0") == 2, done.stderr
        assert not list((tmp_path / "home").rglob("*.so"))
    else:
        assert done.returncode == 2, done.stdout + done.stderr
        assert (done.stdout + done.stderr).count("Compile ahead on a machine with gcc") == 1
