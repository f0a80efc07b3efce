"""What all tests share: the command line as a user meets it, and care for runs on several ranks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from palpate import resources
from palpate.cli import door
from palpate.launcher import launcher_rank, launcher_size

CHECKOUT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent

LONG_FILES = (
    "workflow/test_end_to_end.py",
    "test_examples.py",
    "workflow/test_twin.py",
    "imaging/phantom/test_vendors.py",
    "service/test_report.py",
    "workflow/test_dry_run.py",
    "workflow/test_frozen.py",
    "imaging/test_masks.py",
    "benchmarks/test_short.py",
    "benchmarks/test_short_growth.py",
    "twin/test_sampling.py",
)
"""Files of a minute and more, dealt to the processes first, so that none works alone at the end."""

type Command = Callable[..., subprocess.CompletedProcess[str]]


def user_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a user's own terminal: not inside an MPI job, one thread a rank."""
    launcher = ("PMI_", "PMIX_", "HYDRA_", "MPICH_", "MPI_")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(launcher)}
    return plain | {"OMP_NUM_THREADS": "1", "UCX_TLS": "self,sm,tcp"} | dict(extra or {})


def run(*arguments: object, cwd: Path | None = None, timeout_s: float = 300.0) -> subprocess.CompletedProcess[str]:
    """Run a program of the environment and keep what it prints."""
    program, *rest = (str(argument) for argument in arguments)
    return subprocess.run(
        [str(BIN / program), *rest],
        cwd=cwd,
        env=user_environment(),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=timeout_s,
        check=False,
    )


@pytest.fixture(scope="session", autouse=True)
def _key_of_nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A place for a user's own key that is not the place of whoever runs the tests, with a key in it.

    It is there from the start, so that no test prints more than another because it came first.
    """
    home = tmp_path_factory.mktemp("config")
    (home / "palpate").mkdir(mode=0o700)
    (home / "palpate" / "key").write_bytes(bytes(range(32)))
    (home / "palpate" / "key").chmod(0o600)
    (home / "palpate" / "signing-key").write_bytes(bytes(range(32)))
    (home / "palpate" / "signing-key").chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(home))
        yield


@pytest.fixture
def palpate(tmp_path: Path) -> Command:
    """Run `palpate ...` in an empty folder, as from a terminal."""

    def command(*arguments: object, timeout_s: float = 300.0) -> subprocess.CompletedProcess[str]:
        return run("palpate", *arguments, cwd=tmp_path, timeout_s=timeout_s)

    return command


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended: its exit code, and what it printed on stdout and stderr."""

    code: int
    printed: str


@pytest.fixture
def palpate_inside(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run `palpate ...` within this process, for the many cases that would else pay for importing everything."""

    def command(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["palpate", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            door.run()
        resources.begin("")  # what follows in this process is no part of the command
        printed = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), printed.out + printed.err)

    return command


@pytest.fixture
def snakemake(tmp_path: Path) -> Command:
    """Run the checkout's workflow from an empty folder, as from a terminal."""

    def command(*arguments: object, timeout_s: float = 900.0) -> subprocess.CompletedProcess[str]:
        return run("snakemake", "-s", CHECKOUT / "Snakefile", *arguments, cwd=tmp_path, timeout_s=timeout_s)

    return command


@pytest.fixture
def shared_tmp_path(tmp_path: Path) -> Path:
    """A temporary folder that is the same on every rank; on one rank it is tmp_path."""
    if launcher_size() == 1:
        return tmp_path
    from mpi4py import MPI

    return Path(MPI.COMM_WORLD.bcast(str(tmp_path), root=0))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files of LONG_FILES first; the others keep their order."""
    ranks = {CHECKOUT / "tests" / name: rank for rank, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Let rank 0 alone report; a failure on another rank still decides the exit code."""
    if launcher_rank() == 0:
        return
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reporter._tw._file = Path(os.devnull).open("w")  # noqa: SIM115 - lives as long as the process
