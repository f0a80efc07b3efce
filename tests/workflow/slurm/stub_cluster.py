"""Slurm's programs, replaced: jobs are written down, and end at once with their outputs."""

from __future__ import annotations

import json
import re
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SBATCH = r"""
import json, os, re, shlex, sys
here = os.path.dirname(os.path.abspath(__file__))
wrapped = shlex.split(next(word for word in sys.argv if word.startswith("--wrap=")).partition("=")[2])
after = wrapped[wrapped.index("--target-jobs") + 1:]
jobs = after[: next((at for at, word in enumerate(after) if word.startswith("--")), len(after))]
with open(os.path.join(here, "outputs.json")) as file:
    outputs = json.load(file)
with open(os.path.join(here, "requests.jsonl"), "a") as file:
    file.write(json.dumps({"words": sys.argv[1:], "jobs": jobs}) + "\n")
for job in jobs:
    for path, content in outputs[job].items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(content)
with open(os.path.join(here, "requests.jsonl")) as file:
    number = len(file.readlines())
with open(os.path.join(here, "queue"), "a") as file:
    file.write(f"{number}|COMPLETED\n")
print(number)
"""
_SQUEUE = 'cat "$(dirname "$0")/queue"'
_SCONTROL = "echo 'AccountingStorageType   = accounting_storage/none'; echo 'MinJobAge               = 300 sec'"


@dataclass(frozen=True, slots=True)
class Request:
    """What one job asked Slurm for.

    Attributes:
        jobs: steps of the job, such as "mesh:subject=A,session=01".
        options: options of sbatch with their values.
    """

    jobs: tuple[str, ...]
    options: Mapping[str, str]

    @property
    def rules(self) -> tuple[str, ...]:
        """Names of the rules of the steps."""
        return tuple(job.partition(":")[0] for job in self.jobs)

    @property
    def memory_mb(self) -> int | None:
        """Memory of all processors together; None where none was asked for."""
        if "--mem" in self.options:
            return int(self.options["--mem"])
        if "--mem-per-cpu" in self.options:
            processors = int(self.options["--ntasks"]) * int(self.options["--cpus-per-task"])
            return int(self.options["--mem-per-cpu"]) * processors
        return None


class StubCluster:
    """A folder with Slurm's programs, to stand first in PATH.

    Args:
        folder: an empty folder.
        outputs: for each step, as --target-jobs names it, the files that the job leaves, with their content.
    """

    def __init__(self, folder: Path, outputs: Mapping[str, Mapping[str, str]]) -> None:
        self._requests = folder / "requests.jsonl"
        (folder / "outputs.json").write_text(json.dumps(outputs))
        programs = {"sbatch": f"#!{sys.executable} -SE\n{_SBATCH}"}
        programs |= {"squeue": f"#!/bin/sh\n{_SQUEUE}\n", "scontrol": f"#!/bin/sh\n{_SCONTROL}\n"}
        programs |= {"sinfo": "#!/bin/sh\necho 'debug*'\n", "scancel": "#!/bin/sh\n", "sacct": "#!/bin/sh\nexit 1\n"}
        for name, text in programs.items():
            (folder / name).write_text(text)
            (folder / name).chmod(stat.S_IRWXU)

    def requests(self) -> list[Request]:
        """Return what was asked for, in its order."""
        lines = [json.loads(line) for line in self._requests.read_text().splitlines()]
        return [Request(tuple(line["jobs"]), _options(line["words"])) for line in lines]


def _options(words: Sequence[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word.startswith("-"):
            name, equals, value = word.partition("=")
            options[name] = value if equals or following.startswith("-") else following
    return options


def planned_outputs(printed: str, home: Path) -> dict[str, dict[str, str]]:
    """Return the outputs of each step that a dry run prints, as StubCluster takes them.

    Args:
        printed: what `snakemake -n` printed.
        home: the folder that it was started in.
    """
    found: dict[str, dict[str, str]] = {}
    for rule, block in re.findall(r"^rule (\w+):\n((?: {4}.*\n)+)", printed, re.M):
        outputs = re.findall(r"^ {4}(?:output|benchmark): (.*)$", block, re.M)
        wildcards = re.findall(r"^ {4}wildcards: (.*)$", block, re.M)
        words = wildcards[0].replace(", ", ",") if wildcards else ""
        paths = [home / path for line in outputs for path in line.split(", ")]
        found[f"{rule}:{words}"] = {str(path if path.suffix else path / "content"): rule for path in paths}
    return found
