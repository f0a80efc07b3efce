"""Command line of Snakemake for a study, the same one in a checkout and from an installed package."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final, NoReturn

from palpate.errors import InputError
from palpate.machine_failures import on_this_machine
from palpate.pipeline.places import EVERY_RUN, SNAKEFILE, config_file, profile_folder
from palpate.progress import say

_CONFIG: Final = ("--config", "-C")
_OWN: Final = ("--snakefile", "-s", "--configfile", "--configfiles", "--profile", "--cores", "-c")
"""Options of Snakemake that would replace what palpate run gives it."""


@dataclass(frozen=True, slots=True)
class PipelineStart:
    """One start of the pipeline on a study.

    Attributes:
        sessions: the table of sessions.
        results: folder for everything that is computed.
        config: a configuration file, or "demo"; None for the default settings.
        cores: number of cores on this machine; None for the profile's, or all where no profile is named.
        profile: name or folder of a profile; None for none.
        options: further options and targets of Snakemake.
        amount: Snakemake's option for how much it prints, if any.
    """

    sessions: Path
    results: Path
    config: str | None = None
    cores: int | None = None
    profile: str | None = None
    options: Sequence[str] = ()
    amount: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.sessions.is_file():
            advice = "Correct the path; docs/files.md says what the table holds."
            raise InputError(self.sessions, found="no such file", expected="a table of sessions", advice=advice)
        for word in self.options:
            name = word.partition("=")[0]
            if name in _OWN or (name[:2] in {"-s", "-c"} and not name.startswith("--")):
                advice = "Use palpate run's own --config, --profile and --cores, which stand before the `--`."
                raise InputError(
                    "options after --", found=name, expected="none that palpate run sets itself", advice=advice
                )

    def words(self) -> list[str]:
        """Return the words of the command, with the Python that runs now.

        Raises:
            InputError: there is no such configuration or profile.
        """
        entries = [f"sessions={_as_text(self.sessions)}", f"results={_as_text(self.results)}"]
        options = [part for word in self.options for part in _apart(word)]
        if at := [number for number, word in enumerate(options) if word in _CONFIG]:
            options[at[-1] + 1 : at[-1] + 1] = entries  # of two options --config Snakemake reads the last
            entries = []
        config = ["--configfile", str(config_file(self.config))] if self.config is not None else []
        profile = ["--profile", str(profile_folder(self.profile))] if self.profile is not None else []
        cores = [] if self.profile is not None and self.cores is None else ["--cores", str(self.cores or "all")]
        given = [*config, *(["--config", *entries] if entries else []), *profile, *cores, *self.amount]
        # Last comes an option with one value: Snakemake would take a target for a further entry of --config.
        fixed = ["--workflow-profile", str(EVERY_RUN), "--snakefile", str(SNAKEFILE)]
        # Without -P a file of the study's folder, such as imaging.py, would be imported in place of a library.
        return [sys.executable, "-P", "-m", "snakemake", *given, *fixed, *options]

    def start(self) -> NoReturn:
        """Become Snakemake: signals reach it, and its exit code is this process's.

        Raises:
            InputError: there is no such configuration or profile, or the program cannot be started.
        """
        words = self.words()
        environment = os.environ | _cache_that_can_be_written()
        sys.stdout.flush()
        sys.stderr.flush()
        with on_this_machine(Path(words[0])):
            os.execve(words[0], words, environment)


def _cache_that_can_be_written() -> dict[str, str]:
    """Return the variable that moves caches into the working folder where the home cannot be written; else nothing.

    Snakemake stops with a traceback without a cache, and compiled forms would be lost with each step.
    """
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser(), "snakemake")
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=cache):
            return {}
    except (OSError, RuntimeError):  # RuntimeError: an account without a home
        here = Path(".snakemake", "cache").absolute()
        say(f"the folder of caches in your home cannot be written; caches go to {here}")
        return {"XDG_CACHE_HOME": str(here)}


def _apart(word: str) -> list[str]:
    """Split an option --config from a value that is written together with it."""
    for name, gap in (("--config", "="), ("-C", "")):
        if word.startswith(name + gap) and word != name:
            return [name, word.removeprefix(name + gap)]
    return [word]


def _as_text(path: Path) -> str:
    """Return a path that Snakemake takes for text: it reads values as YAML, where 2026 is a number and "a: b" a map.

    Spaces around the quotes keep Snakemake from stripping these before.
    """
    relative = "" if path.is_absolute() else "./"
    quoted = f"{relative}{path}".replace("'", "''")
    return f" '{quoted}' "
