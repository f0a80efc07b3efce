"""The command line tells a user's mistake from a bug of ours, alone and on several ranks."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from palpate import __version__
from palpate.cli import COMMANDS, door
from palpate.cli.style import EXAMPLES
from palpate.config.inversion import InversionSettings
from palpate.config.listing import settings_text
from palpate.config.section import parse_settings
from palpate.config.settings import read_settings
from palpate.errors import InputError
from tests.conftest import CHECKOUT, Command, run

ON_TWO_RANKS = """
import sys
from mpi4py import MPI
from palpate.cli.failed_exit import leave
if MPI.COMM_WORLD.rank in {failing}:
    leave(2, "palpate: bad input")
MPI.COMM_WORLD.Barrier()
"""


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command(name: str, palpate: Command) -> None:
    """Every command answers --help at once: heavy libraries are imported only when it works."""
    began = time.monotonic()
    done = palpate(name, "--help")
    assert done.returncode == 0, done.stderr
    assert f"palpate {name}" in done.stdout
    assert time.monotonic() - began < 20.0


def test_overview_lists_each_command(palpate: Command) -> None:
    """`palpate --help` is where a newcomer starts."""
    done = palpate("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("arguments", [["inver"], ["--nonsense"], ["mesh"], ["mesh", "--nonsense"]])
def test_usage_error_is_one_sentence(arguments: list[str], palpate: Command) -> None:
    """A typing mistake is the user's: exit code 2 and no traceback."""
    done = palpate(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("palpate: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["phantom", "ingest", "mesh", "invert"])
def test_unknown_setting_is_refused(name: str, tmp_path: Path, palpate: Command) -> None:
    """A misspelt setting must not silently become the default, and nothing may be written before it is noticed."""
    where = [] if name == "phantom" else [tmp_path]
    label = ["--label", "sub-01_ses-01"] if name == "ingest" else []
    done = palpate(name, *where, *label, "--settings", '{"nonsense": 1}', "--out", "out")
    assert done.returncode == 2, done.stderr
    assert "unknown key nonsense" in done.stderr
    assert not (tmp_path / "out").exists()


def test_bug_is_ours(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is no InputError keeps its traceback and says that the user is not to blame."""

    def broken(**_: object) -> None:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr(door, "app", broken)
    with pytest.raises(SystemExit) as caught:
        door.run()
    assert caught.value.code == 1
    printed = capsys.readouterr().err
    assert "ZeroDivisionError: of ours" in printed
    assert "this is our bug" in printed


@pytest.mark.parametrize("failing", ["{0}", "{1}", "{0, 1}"], ids=["first", "other", "both"])
def test_bad_input_ends_all_ranks(failing: str, tmp_path: Path) -> None:
    """A rank that fails alone must not leave the others waiting for ever; the sentence appears once."""
    script = tmp_path / "rank.py"
    script.write_text(ON_TWO_RANKS.format(failing=failing))
    done = run("mpiexec", "-n", 2, sys.executable, script, timeout_s=60.0)
    assert done.returncode == 2
    assert (done.stdout + done.stderr).count("palpate: bad input") == 1
    assert "Abort" not in done.stdout + done.stderr


def test_ranks_that_share_cores_do_not_start_threads_of_their_own() -> None:
    """Snakemake gives all threads of a job to every rank's OpenBLAS, which waits by spinning: four times slower.

    The command line must speak before NumPy is loaded, so the number of threads is read after everything is.
    """
    script = (
        "import sys; sys.argv = ['palpate', '--version']\n"
        "import palpate.cli\n"
        "try: palpate.cli.main()\n"
        "except SystemExit: pass\n"
        "import numpy, os; a = numpy.ones((600, 600)); a @ a\n"
        "print(len(os.listdir('/proc/self/task')))"
    )
    counts = []
    for ranks in ("1", "2"):
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "2", "PMI_SIZE": ranks, "PMI_RANK": "0"}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        counts.append(int(done.stdout.split()[-1]))
    assert counts == [2, 1]


def _helps() -> Iterator[tuple[str, TyperCommand, typer.Context]]:
    """Every command with the words that a user types, as the command line builds it."""
    group = get_command(door.app)
    assert isinstance(group, TyperGroup)
    top = group.make_context("palpate", [], resilient_parsing=True)
    for name in COMMANDS:
        command = group.get_command(top, name)
        assert command is not None
        own = command.make_context(name, [], parent=top, resilient_parsing=True)
        if not isinstance(command, TyperGroup):
            yield name, command, own
            continue
        for inner in command.list_commands(own):
            one = command.get_command(own, inner)
            yield f"{name} {inner}", one, one.make_context(inner, [], parent=own, resilient_parsing=True)


def test_help_has_one_style() -> None:
    """Whole lines, an example, and the same three short options at every command and in every overview."""
    helps = {words: (command.get_help(context), command) for words, command, context in _helps()}
    assert set(helps) == set(EXAMPLES)
    top = get_command(door.app)
    overview = " ".join(top.get_help(top.make_context("palpate", [], resilient_parsing=True)).split())
    assert all(str(one.short_help) in overview for words, (_, one) in helps.items() if " " not in words)
    for words, (text, command) in helps.items():
        assert f"Example:\n    {EXAMPLES[words]}" in text, words
        assert (command.short_help or "").endswith("."), words
        for option in ("-h, --help", "-q, --quiet", "-v, --verbose"):
            assert option in text, words
        assert not re.search(r"<(str|int|float|bool|list|tuple|.* range)\b", text), words
    for name in (None, "verify", "config"):
        command = (
            top if name is None else top.get_command(top.make_context("palpate", [], resilient_parsing=True), name)
        )
        assert "Example:\n    palpate " in command.get_help(command.make_context("palpate", [], resilient_parsing=True))


def test_examples_of_the_help_are_commands() -> None:
    """A line that is copied from the help must be understood: no option that is not there, none that is missing."""
    wrong = {}
    for words, command, _ in _helps():
        typed = shlex.split(EXAMPLES[words].partition(" > ")[0])
        arguments = typed[typed.index("palpate") + 1 + len(words.split()) :]
        try:
            command.make_context(words, arguments)
        except typer.TyperException as error:
            wrong[words] = error.format_message()
    assert wrong == {}


def test_python_m_palpate() -> None:
    """Where scripts of the environment are not on the path, Python is."""
    done = subprocess.run([sys.executable, "-m", "palpate", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"palpate {__version__}\n")


def test_settings_that_are_shown_are_settings(tmp_path: Path) -> None:
    """What `palpate config show` prints is a configuration of the same meaning, and says what each key means."""
    shown = settings_text(CHECKOUT / "config.yaml", None)
    (tmp_path / "again.yaml").write_text(shown, encoding="utf-8")
    assert read_settings(tmp_path / "again.yaml") == read_settings(CHECKOUT / "config.yaml")
    assert "# Joint draws of the posterior" in shown
    alone = settings_text(None, "inversion")
    (tmp_path / "section.yaml").write_text(alone, encoding="utf-8")
    assert parse_settings(InversionSettings, str(tmp_path / "section.yaml")) == InversionSettings()
    assert InversionSettings(**json.loads(settings_text(None, "inversion", as_json=True))) == InversionSettings()
    with pytest.raises(InputError, match="one of phantom, ingest"):
        settings_text(None, "sessions")
