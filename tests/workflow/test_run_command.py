"""`palpate run` starts the checkout's workflow as Snakemake would, with profiles and configurations by their names."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from palpate.errors import InputError
from palpate.pipeline.launch import PipelineStart
from palpate.pipeline.places import EVERY_RUN, PROFILES, config_file, profile_folder, profile_names
from tests.conftest import BIN, CHECKOUT, Command, Outcome, user_environment

TABLE = CHECKOUT / "tests" / "configs" / "study" / "sessions.tsv"


def _words(*options: str, **given: object) -> list[str]:
    return PipelineStart(TABLE, Path("out"), options=options, **given).words()  # type: ignore[arg-type]


def test_plans_what_snakemake_plans(palpate: Command, tmp_path: Path) -> None:
    """The same jobs, from a folder that holds nothing, and nothing is left there but Snakemake's records."""
    done = palpate("run", TABLE, "--results", "2026", "--config", "demo", "--", "-n", "-p")
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    assert re.search(r"^total +21$", printed, re.M)
    assert "--out 2026/sub-A1/ses-01/mre" in printed
    assert [path.name for path in tmp_path.iterdir()] == [".snakemake"]


def test_targets_are_not_taken_for_settings(palpate: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Snakemake's --config takes all words up to the next option; a page that is asked for is no setting.

    The home cannot be written, as in a batch job of some sites, for which Snakemake has a traceback.
    """
    monkeypatch.setenv("HOME", "/proc/nowhere")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    done = palpate("run", TABLE, "--results", "out", "--", "-n", "out/sub-A1/ses-01/report.html")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^report +1$", done.stdout + done.stderr, re.M)
    assert f"caches go to {tmp_path}/.snakemake/cache" in done.stderr


@pytest.mark.parametrize("options", [("--config", "inversion={}"), ("--config=inversion={}",), ("-Cinversion={}",)])
def test_further_settings_keep_the_study(options: tuple[str, ...]) -> None:
    """Of two options --config Snakemake reads the last alone, and the study would be that of the demo."""
    words = _words(*options)
    (at,) = [number for number, word in enumerate(words) if word in {"--config", "-C"}]
    assert {"inversion={}", f"sessions= '{TABLE}' ", "results= './out' "} == set(words[at + 1 : at + 4])


@pytest.mark.parametrize("option", ["-c8", "--cores=8", "-s", "--snakefile", "--profile", "--configfile"])
def test_options_that_palpate_sets_are_refused(option: str) -> None:
    """The study would silently run with other cores, or another workflow would run."""
    with pytest.raises(InputError, match="none that palpate run sets itself"):
        _words(option)


def test_cores_are_those_of_the_profile_where_one_is_named() -> None:
    """A cluster's profile limits jobs; all cores of the login node would limit them to these."""
    assert "--cores" not in _words(profile="slurm")
    assert _words()[_words().index("--cores") + 1] == "all"
    assert _words(profile="slurm", cores=3)[-6:-4] == ["--cores", "3"]


def test_profiles_by_name_and_by_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapted copy goes before the one that palpate brings; Snakemake's own places count as well."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    assert profile_names() == sorted(path.parent.name for path in PROFILES.glob("*/*.yaml") if path.parent != EVERY_RUN)
    assert profile_folder("slurm") == PROFILES / "slurm"
    for folder, name in ((tmp_path / "slurm", "slurm"), (tmp_path / "home" / "snakemake" / "site", "site")):
        folder.mkdir(parents=True)
        (folder / "config.yaml").touch()
        assert profile_folder(name) == folder
    with pytest.raises(InputError, match=r"--profile: found no profile nowhere; expected local or slurm"):
        profile_folder("nowhere")


def test_configurations_by_name_and_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's lies in the package; a user's file of that name goes before it."""
    monkeypatch.chdir(tmp_path)
    assert "twin" in yaml.safe_load(config_file("demo").read_text())
    with pytest.raises(InputError, match=r"no file study\.yaml"):
        config_file("study.yaml")
    (tmp_path / "demo").touch()
    assert config_file("demo") == tmp_path / "demo"


def test_printed_profile_is_the_profile(palpate_inside: Command) -> None:
    """What is adapted starts from what runs."""
    done: Outcome = palpate_inside("config", "profile", "slurm")  # type: ignore[assignment]
    assert (done.code, done.printed) == (0, (PROFILES / "slurm" / "config.yaml").read_text())


def test_missing_table_is_one_sentence(palpate: Command) -> None:
    """Known before Snakemake is started."""
    done = palpate("run", "nowhere.tsv", "--results", "out")
    assert done.returncode == 2
    assert done.stderr.startswith("palpate: nowhere.tsv: found no such file; expected a table of sessions.")


def test_bad_configuration_keeps_its_exit_code(palpate: Command, tmp_path: Path) -> None:
    """The process has become Snakemake's, whose code is what a script sees."""
    (tmp_path / "bad.yaml").write_text("sesions: x\n")
    done = palpate("run", TABLE, "--results", "out", "--config", "bad.yaml", "--", "-n")
    assert done.returncode == 2
    assert "unknown key sesions" in done.stderr


def test_signal_reaches_snakemake(tmp_path: Path) -> None:
    """Snakemake ends its jobs and cancels a cluster's; a supervisor before it would kill it in the midst of that."""
    words = [str(BIN / "palpate"), "run", str(TABLE), "--results", "out"]
    process = subprocess.Popen(words, cwd=tmp_path, env=user_environment(), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while "snakemake" not in Path(f"/proc/{process.pid}/cmdline").read_text():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=60)
    assert children == ""
