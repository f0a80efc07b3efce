"""All topics of the check, in the order in which a run would meet them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from palpate.machine_check.blas import blas_facts, blas_line
from palpate.machine_check.check_line import CheckLine, Verdict
from palpate.machine_check.compiled_forms import form_facts, form_line
from palpate.machine_check.folders import folder_facts, results_line, scratch_line
from palpate.machine_check.form_cache import cache_facts, cache_line
from palpate.machine_check.hdf5 import hdf5_facts, hdf5_line
from palpate.machine_check.key import key_facts, key_line
from palpate.machine_check.launchers import ProfileName, launch_facts, launch_line
from palpate.machine_check.memory import memory_facts, memory_line
from palpate.machine_check.profile import local_profile, profile_text, shipped_profile, slurm_profile
from palpate.machine_check.programs import ask
from palpate.machine_check.slurm import accounting_line, partition_line, slurm_facts
from palpate.machine_check.text_encoding import encoding_facts, encoding_line
from palpate.machine_check.versions import version_facts, version_line
from palpate.machine_failures import temporary_folder


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """Folder, key and launcher that a run would use.

    Attributes:
        profile: kind of the machine; None finds out.
        results: folder of the results.
        key: file of the key; None for the user's own.
        sessions: number of sessions of the study; None where it is unknown.
        launcher: launcher of ranks; None tries the usual ones.
    """

    profile: ProfileName | None = None
    results: Path = Path()
    key: Path | None = None
    sessions: int | None = None
    launcher: str | None = None


@dataclass(frozen=True, slots=True)
class MachineReport:
    """Answers of all topics, and the profile that fits.

    Attributes:
        profile: kind of the machine.
        lines: answers.
        profile_yaml: profile of the workflow.
    """

    profile: ProfileName
    lines: tuple[CheckLine, ...]
    profile_yaml: str

    @property
    def suffices(self) -> bool:
        """Whether nothing is missing that a run needs."""
        return all(one.verdict is not Verdict.MISSING for one in self.lines)

    def text(self) -> str:
        """Return the report for people: a line a topic, its advice below, and the profile."""
        return "\n".join([*_shown(self.lines), "", "Profile that fits:", "", self.profile_yaml])

    def as_json(self) -> str:
        """Return the report for programs."""
        checks = [
            {"topic": one.topic, "found": one.found, "verdict": str(one.verdict), "advice": one.advice}
            for one in self.lines
        ]
        return json.dumps(
            {"profile": self.profile, "suffices": self.suffices, "checks": checks, "profile_yaml": self.profile_yaml},
            indent=2,
            ensure_ascii=False,
        )


def check_machine(request: CheckRequest) -> MachineReport:
    """Ask all topics on this machine.

    Args:
        request: folder, key and launcher that a run would use.
    """
    kind = request.profile or _kind()
    results, forms = folder_facts(request.results), form_facts()
    trials, memory = launch_facts(kind, request.launcher), memory_facts()
    slurm = slurm_facts() if kind == "slurm" else None
    complete = not (forms.missing or forms.failure)
    lines = [
        version_line(version_facts()),
        blas_line(blas_facts()),
        encoding_line(encoding_facts()),
        form_line(forms),
        cache_line(cache_facts(), kind, complete=complete),
        launch_line(trials),
        memory_line(memory),
        scratch_line(folder_facts(temporary_folder())),
        results_line(results, request.sessions),
        hdf5_line(hdf5_facts(results.path)),
        key_line(key_facts(request.key), kind),
    ]
    launcher = trials[-1].launcher if trials[-1].works else None
    base = shipped_profile(kind)
    if slurm is None:
        made = local_profile(base, memory, launcher)
    else:
        lines += [partition_line(slurm), accounting_line(slurm)]
        made = slurm_profile(base, slurm, launcher)
    return MachineReport(kind, tuple(lines), profile_text(made, kind, slurm))


def _kind() -> ProfileName:
    """Return slurm where its programs answer, otherwise local."""
    return "slurm" if shutil.which("sbatch") and ask(["sinfo", "-h"], patience_s=10.0).code == 0 else "local"


def _shown(lines: Sequence[CheckLine]) -> Iterator[str]:
    width = max(len(one.topic) for one in lines)
    for one in lines:
        yield f"{one.verdict:<8}  {one.topic:<{width}}  {one.found}"
        if one.advice:
            yield f"{'':<8}  {'':<{width}}  -> {one.advice}"
