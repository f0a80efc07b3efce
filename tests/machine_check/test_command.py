"""`palpate check` on this machine, for real."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.conftest import CHECKOUT, run, user_environment

TABLE = CHECKOUT / "tests" / "configs" / "study" / "sessions.tsv"


def _check(folder: Path, *words: object, extra: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "palpate", "check", *map(str, words)],
        cwd=folder,
        env=user_environment(extra),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_machine_that_runs_the_tests_suffices(tmp_path: Path) -> None:
    """Two ranks start, a file is locked and renamed, and the profile that is printed plans the study."""
    done = _check(tmp_path, "--profile", "local", "--results", "new/results", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 0, told
    assert told["suffices"]
    found = {one["topic"]: one["found"] for one in told["checks"]}
    assert found["launcher"].endswith("2 ranks of one world")
    assert str(tmp_path) in found["results"]
    assert found["results"].endswith("written, renamed and locked there")
    assert not list(tmp_path.iterdir())
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile" / "config.yaml").write_text(told["profile_yaml"])
    profile = yaml.safe_load(told["profile_yaml"])
    assert profile["cores"] == len(os.sched_getaffinity(0))
    choices = ["--config", f"sessions={TABLE}", "results=out"]
    planned = run("snakemake", "-s", CHECKOUT / "Snakefile", "-n", "--profile", "profile", *choices, cwd=tmp_path)
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert re.search(r"^invert +3$", planned.stdout + planned.stderr, re.M)


def test_machine_that_lacks_things(tmp_path: Path) -> None:
    """Everything that is missing is said in one go, with exit code 3: a launcher of copies, no compiler, /proc."""
    copies = tmp_path / "copies"
    copies.write_text('#!/bin/sh\nshift 2\n"$@"; "$@"\n')
    copies.chmod(0o755)
    (tmp_path / "dolfinx_jit_options.json").write_text('{"cffi_extra_compile_args": ["-O1"]}')  # compiled nowhere
    words = ["--profile", "local", "--results", "/proc", "--launcher", copies]
    lacks = {"CC": "no-such-compiler", "HDF5_USE_FILE_LOCKING": "FALSE", "PALPATE_FORMS": str(tmp_path / "none")}
    done = _check(tmp_path, *words, extra=lacks)
    assert done.returncode == 3, done.stdout + done.stderr
    assert not done.stderr
    lines = {
        words[1]: " ".join(words[2:]) for line in done.stdout.splitlines() if (words := line.split())[:1] == ["missing"]
    }
    assert set(lines) == {"forms", "launcher", "results", "HDF5"}
    assert "2 unconnected copies instead of 2 ranks" in lines["launcher"]
    assert "no no-such-compiler" in lines["forms"]
    assert done.stdout.count("  -> ") >= 4


def test_configuration_names_what_is_checked(tmp_path: Path) -> None:
    """The folder of results, the key and the forms are those of the study; a bad configuration is refused as ever."""
    (tmp_path / "key").write_bytes(b"short")
    settings = {"sessions": str(TABLE), "results": "out", "ingest": {"key": "key"}, "forms": "nowhere"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    done = _check(tmp_path, "--config", "config.yaml", "--profile", "local", "--json")
    assert done.returncode == 3, done.stderr
    found = {one["topic"]: one for one in json.loads(done.stdout)["checks"]}
    assert "5 bytes" in found["key"]["found"]
    (tmp_path / "config.yaml").write_text("results: out\n")
    done = _check(tmp_path, "--config", "config.yaml")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_compiling_ahead_needs_a_compiler_and_a_folder(tmp_path: Path) -> None:
    """Without them the command says which folder, and ends before the check."""
    done = _check(tmp_path, "--compile", "--forms", "forms", extra={"CC": "no-such-compiler"})
    assert done.returncode == 2, done.stdout
    assert len(done.stderr.splitlines()) == 1
    assert str(tmp_path / "forms") in done.stderr
    assert "--forms or PALPATE_FORMS" in done.stderr
    assert "Traceback" not in done.stderr
