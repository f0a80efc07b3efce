"""Workflow profile that fits this machine: the shipped one, with what the check found in its place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import yaml

from palpate.machine_check.launchers import MPIEXEC, ProfileName
from palpate.machine_check.memory import MemoryFacts
from palpate.machine_check.shipped import shipped_file
from palpate.machine_check.slurm import SlurmFacts, partition_words

INVERSION_MINUTES: Final = 480
"""Time that an inversion asks for where the size of its problem is not known, minutes."""
_MARGIN: Final = 0.9
"""Part of the memory that steps may take together; the rest is the system's."""


def local_profile(base: Mapping[str, Any], memory: MemoryFacts, launcher: str | None) -> dict[str, Any]:
    """Return the profile of one machine, with the processors and the memory that may be used at one time.

    Args:
        base: shipped profile.
        memory: memory and processors.
        launcher: launcher that works; None where none does.
    """
    mem_mb = int(_MARGIN * memory.usable) >> 20
    profile = dict(base) | {"cores": memory.cores, "resources": [f"mem_mb={mem_mb}"]}
    if launcher is not None and launcher != MPIEXEC:
        _set(profile, "set-resources", "invert", "mpi", launcher)
    if memory.ranks < memory.cores:
        _set(profile, "set-threads", "invert", None, memory.ranks)
    return profile


def slurm_profile(base: Mapping[str, Any], slurm: SlurmFacts, launcher: str | None) -> dict[str, Any]:
    """Return the profile of a cluster: status command, launcher, and the partition with its limits.

    Args:
        base: shipped profile.
        slurm: partitions and programs.
        launcher: launcher that works; None where none does.
    """
    profile = dict(base) | {"executor": "slurm"}
    if launcher is not None:
        _set(profile, "set-resources", "invert", "mpi", launcher)
    if not slurm.has_accounting:
        profile |= {"slurm-status-command": "squeue", "slurm-no-account": True}
    if not slurm.partitions:
        return profile
    default = next((one for one in slurm.partitions if one.is_default), None)
    chosen = default or max(slurm.partitions, key=lambda one: (one.minutes or 1 << 30, one.nodes * one.cores))
    if default is None:
        _set(profile, "default-resources", "slurm_partition", None, chosen.name)
    cores = chosen.cores * chosen.nodes
    _set(profile, "set-threads", "invert", None, min(_threads(profile), cores))
    if chosen.minutes is not None and chosen.minutes < INVERSION_MINUTES:
        _set(profile, "set-resources", "invert", "runtime", chosen.minutes)
    return profile


def profile_text(profile: Mapping[str, Any], name: ProfileName, slurm: SlurmFacts | None) -> str:
    """Return a profile as YAML, with the partitions as comments.

    Args:
        profile: keys and values.
        name: kind of the machine.
        slurm: partitions; None for one machine.
    """
    head = f"# {name}/config.yaml: snakemake --profile {name} --config sessions=... results=..."
    lines = [head, *(f"# partition {partition_words(one)}" for one in (slurm.partitions if slurm else ()))]
    return "\n".join([*lines, yaml.safe_dump(dict(profile), sort_keys=False, width=120).rstrip()])


def shipped_profile(name: ProfileName) -> dict[str, Any]:
    """Return the profile that palpate ships; an empty one where it is not at hand.

    Args:
        name: kind of the machine.
    """
    path = shipped_file(f"workflow/profiles/{name}/config.yaml")
    content = None if path is None else yaml.safe_load(path.read_text(encoding="utf-8"))
    return content if isinstance(content, dict) else {}


def _threads(profile: Mapping[str, Any]) -> int:
    """Return the ranks that a profile gives the inversion; one node's processors are the limit where it is silent."""
    given = profile.get("set-threads", {})
    pairs = given.items() if isinstance(given, Mapping) else (str(one).split("=", 1) for one in given)
    found = {str(rule): int(count) for rule, count in pairs}
    return found.get("invert", 32)


def _set(profile: dict[str, Any], group: str, rule: str, resource: str | None, value: str | int) -> None:
    """Set one entry of a group, which a profile may write as a mapping or as a list of texts."""
    content = profile.get(group, {})
    if isinstance(content, Mapping):
        inner = value if resource is None else dict(content.get(rule, {})) | {resource: value}
        profile[group] = dict(content) | {rule: inner}
        return
    start = f"{rule}=" if resource is None else f"{rule}:{resource}="
    text = json.dumps(value) if resource is not None else str(value)
    profile[group] = [*(one for one in content if not str(one).startswith(start)), f"{start}{text}"]
