"""A command's digest follows what the command runs, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from palpate.cli import COMMANDS
from palpate.errors import InputError
from palpate.program import Program
from tests.conftest import user_environment

LINES = {
    "__init__.py": '__version__ = "1"\n',
    "cli/__init__.py": 'COMMANDS = ("read", "show")\n',
    "cli/read.py": 'def read():\n    """Help."""\n    from palpate.inner.reader import go\n    go()\n',
    "cli/show.py": "from palpate.page import page\n",
    "inner/__init__.py": "",
    "inner/reader.py": "from . import scale\nfrom .deep.tool import edge\nimport scipy.ndimage\n",
    "inner/scale.py": "FACTOR = 2  # times\n",
    "inner/deep/__init__.py": "",
    "inner/deep/tool.py": "from ..other import *\nfrom typing import TYPE_CHECKING\n"
    "if TYPE_CHECKING:\n    import palpate.page\n",
    "inner/other.py": "edge = 1\n",
    "inner/unused.py": "edge = 3\n",
    "page/__init__.py": "from palpate.page.view import STYLE\n\npage = 1\n",
    "page/view.py": 'from importlib.resources import files\n\nSTYLE = files("palpate.page.package")\n',
    "page/package/__init__.py": "",
    "page/package/style.css": "p {}\n",
    "page/assets/page.css": "body {}\n",
    "page/assets/deep/page.js": "let x;\n",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small package of two commands, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    home = tmp_path / "src" / "palpate"
    for name, text in LINES.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    return home


def _digests(home: Path) -> tuple[str, str]:
    program = Program(home)
    return program.source_digest("read"), program.source_digest("show")


CHANGES = {
    "constant of a relative import": ("inner/scale.py", "FACTOR = 3\n", (True, False)),
    "module behind two relative imports": ("inner/other.py", "edge = 2\n", (True, False)),
    "module that is imported in a function": ("inner/reader.py", LINES["inner/reader.py"] + "x = 1\n", (True, False)),
    "package on the way": ("inner/__init__.py", "x = 1\n", (True, False)),
    "indentation": ("inner/scale.py", "if True:\n    FACTOR = 2\n", (True, False)),
    "module that nobody imports": ("inner/unused.py", "edge = 4\n", (False, False)),
    "comment": ("inner/scale.py", "# Why.\n\nFACTOR = 2\n", (False, False)),
    "line that is broken": ("inner/scale.py", "FACTOR = (\n    2\n)\n", (True, False)),
    "docstring": ("inner/scale.py", '"""Why."""\n\nFACTOR = 2\n"""Times."""\n', (False, False)),
    "hash in a string": ("inner/scale.py", "FACTOR = 2 # a\nx = f\"{'#'}a\"\n", (True, False)),
    "half an edit": ("inner/scale.py", "FACTOR = (\n", (True, False)),
    "asset": ("page/assets/page.css", "body { margin: 0; }\n", (False, True)),
    "asset in a folder of assets": ("page/assets/deep/page.js", "let y;\n", (False, True)),
    "asset in a package that is named": ("page/package/style.css", "p { margin: 0; }\n", (False, True)),
    "new asset": ("page/assets/new.html", "", (False, True)),
    "version": ("__init__.py", '__version__ = "2"\n', (False, False)),
    "table of commands": ("cli/__init__.py", 'COMMANDS = ("read", "show", "more")\n', (False, False)),
}


@pytest.mark.parametrize("what", CHANGES)
def test_changes_reach_the_commands_that_run_them(what: str, home: Path) -> None:
    """What is forgotten here leaves wrong results that are called up to date; what is too much costs hours again."""
    before = _digests(home)
    name, text, expected = CHANGES[what]
    (home / name).write_text(text)
    assert tuple(old != new for old, new in zip(before, _digests(home), strict=True)) == expected


def test_same_bytes_with_the_same_times_are_not_taken_for_each_other(home: Path) -> None:
    """Two files of equal length that change places leave all names, sizes and contents as a set."""
    first, second = home / "inner" / "other.py", home / "inner" / "deep" / "tool.py"
    second.write_text(LINES["inner/deep/tool.py"].replace("*", "edge"))
    (home / "inner" / "deep" / "other.py").write_text("edge = 7\n")
    (home / "inner" / "reader.py").write_text("import palpate.inner.other\nimport palpate.inner.deep.other\n")
    before = _digests(home)
    other = home / "inner" / "deep" / "other.py"
    first_text, other_text = first.read_text(), other.read_text()
    first.write_text(other_text)
    other.write_text(first_text)
    assert _digests(home)[0] != before[0]


def test_data_of_other_packages_count(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An atlas is data of another package, whose code nobody imports."""
    data = tmp_path / "elsewhere" / "atlases_of_nobody"
    data.mkdir(parents=True)
    (data / "__init__.py").touch()
    (data / "brain.nii").write_bytes(b"grey")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    (home / "inner" / "scale.py").write_text('PACKAGE_DATA = ("atlases_of_nobody/brain.nii",)\n')
    before = _digests(home)
    (data / "brain.nii").write_bytes(b"pink")
    after = _digests(home)
    assert (before[0] != after[0], before[1] == after[1]) == (True, True)


def test_pins_count_where_they_are_imported(home: Path) -> None:
    """A library of another version computes otherwise; so does what that library needs."""
    lock = home / "pipeline" / "envs" / "requirements.lock"
    lock.parent.mkdir(parents=True)
    seen = []
    for scipy, numpy, jinja in (("1", "1", "1"), ("2", "1", "1"), ("2", "2", "1"), ("2", "2", "2")):
        lock.write_text(f"scipy=={scipy} \\\n    --hash=x\nnumpy=={numpy}\nJinja2=={jinja} ; python_version < '4'\n")
        program = Program(home)
        seen.append((program.library_digest("read"), program.library_digest("show")))
    assert len({read for read, _ in seen}) == 3
    assert seen[2][0] == seen[3][0]
    assert len({show for _, show in seen}) == 1


def test_cache_that_cannot_be_written_costs_nothing_but_time(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that is read-only, or full, is no reason to stop."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/nowhere")
    (home / "inner" / "scale.py").write_text("FACTOR = 12345\n")
    assert all(_digests(home))


def test_unknown_command_is_refused(home: Path) -> None:
    """The Makefile and people type it."""
    with pytest.raises(InputError, match="nosuch"):
        Program(home).digest("nosuch")


@pytest.mark.parametrize("command", ["ingest", "invert"])
def test_closure_holds_all_that_python_imports(command: str) -> None:
    """What Python itself loads for a command's module is the least that its digest must follow."""
    script = (
        "import ast, importlib, sys\n"
        f"module = importlib.import_module('palpate.cli.{command}')\n"
        "for node in ast.walk(ast.parse(open(module.__file__).read())):\n"
        "    if isinstance(node, ast.ImportFrom) and node.module.startswith('palpate'):\n"
        "        importlib.import_module(node.module)\n"
        "print(*[name for name in sys.modules if name.split('.')[0] == 'palpate'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=user_environment(), check=True
    )
    bookkeeping = {"palpate", "palpate.cli", "palpate.cli.failed_exit", "palpate.program", "palpate.receipt"}
    bookkeeping |= {"palpate.package_data", "palpate.libraries", "palpate.module_source"}  # what these two need
    modules, _ = Program().closure(command)
    loaded = {name for name in done.stdout.split() if not name.startswith("palpate.run_crate")}  # records of runs
    assert loaded - bookkeeping <= modules


def test_steps_of_real_data_hold_no_phantom() -> None:
    """A change of the in-silico patient must not run a study of real scans again; two commands make no result."""
    program = Program()
    for command in set(COMMANDS) - {"phantom", "config", "check"}:
        modules, _ = program.closure(command)
        in_silico = ("palpate.imaging.phantom", "palpate.solvers.virtual", "palpate.config.phantom")
        assert not [name for name in modules if name.startswith(in_silico)], command


def test_atlas_belongs_to_the_steps_that_mask_brains() -> None:
    """The atlas is read where a brain is masked or its regions are asked for; the inversion takes the mask as it is."""
    program = Program()
    with_atlas = {one for one in COMMANDS if "palpate.imaging.anatomy.atlas" in program.closure(one)[0]}
    assert with_atlas == {"ingest", "tumour", "phantom", "regions", "serve"}
    assert "palpate.units" in program.closure("invert")[0]


def test_place_of_the_package_does_not_count(home: Path, tmp_path: Path) -> None:
    """The same program in another checkout is the same program."""
    before = _digests(home)
    home.rename(tmp_path / "moved")
    assert _digests(tmp_path / "moved") == before
