"""Cluster as Slurm describes it: its partitions, and how a job's state can be asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from palpate.cluster.slurm_site import LONGEST_WAIT_S, forgotten_after_s, has_no_accounting, site_configuration
from palpate.machine_check.check_line import CheckLine, Verdict
from palpate.machine_check.programs import ask

FORMAT: Final = "%P|%a|%l|%c|%m|%D"
"""Format of sinfo: partition, availability, time limit, processors and memory (MB) of a node, number of nodes."""
_TIME: Final = re.compile(r"(?:(?P<days>\d+)-)?(?:(?P<hours>\d+):)?(?P<minutes>\d+):(?P<seconds>\d+)")


@dataclass(frozen=True, slots=True)
class Partition:
    """Partition of a cluster.

    Attributes:
        name: its name.
        is_default: whether jobs that name none go there.
        minutes: longest time of a job, minutes; None without limit.
        cores: processors of a node, the least number where nodes differ.
        memory_mb: memory of a node, MB, the least where nodes differ.
        nodes: number of nodes.
    """

    name: str
    is_default: bool
    minutes: int | None
    cores: int
    memory_mb: int
    nodes: int


@dataclass(frozen=True, slots=True)
class SlurmFacts:
    """Answers of Slurm's programs.

    Attributes:
        partitions: partitions that take jobs.
        complaint: words of a sinfo that failed; empty where it answered.
        has_accounting: whether sacct answers, and the site does not say that it has no accounting.
        has_queue: whether squeue answers.
        site: configuration of the site by name; empty where nobody says.
    """

    partitions: tuple[Partition, ...]
    complaint: str = ""
    has_accounting: bool = False
    has_queue: bool = False
    site: Mapping[str, str] = field(default_factory=dict)


def slurm_facts() -> SlurmFacts:
    """Ask Slurm's programs."""
    shown = ask(["sinfo", "-h", "-o", FORMAT])
    accounting = ask(["sacct", "-X", "-n", "-P", "-o", "JobID", "-S", "now-1hours"])
    queue = ask(["squeue", "-h", "-o", "%i|%T"])
    site = site_configuration()
    return SlurmFacts(
        partitions_of(shown.text) if shown.code == 0 else (),
        "" if shown.code == 0 else shown.complaint,
        accounting.code == 0 and "disabled" not in accounting.errors and not has_no_accounting(site),
        queue.code == 0,
        site,
    )


def partitions_of(text: str) -> tuple[Partition, ...]:
    """Return the partitions that take jobs, from the table of sinfo.

    Rows of one partition, whose nodes differ, are joined: a job must fit on the smallest.

    Args:
        text: table in FORMAT.
    """
    found: dict[str, Partition] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) != 6 or cells[1] != "up":
            continue
        name, (cores, memory, nodes) = cells[0].rstrip("*"), (int(re.sub(r"\D.*", "", one) or 0) for one in cells[3:])
        one = Partition(name, cells[0].endswith("*"), minutes_of(cells[2]), cores, memory, nodes)
        if (before := found.get(name)) is not None:
            least = min(before.cores, cores), min(before.memory_mb, memory)
            one = Partition(name, one.is_default, one.minutes, *least, before.nodes + nodes)
        found[name] = one
    return tuple(found.values())


def minutes_of(text: str) -> int | None:
    """Return a time limit of sinfo in minutes; None without limit.

    Args:
        text: such as 1-00:00:00, 12:00:00, 30:00 or infinite.
    """
    parts = _TIME.fullmatch(text)
    if parts is None:
        return None
    days, hours, minutes = (int(parts[name] or 0) for name in ("days", "hours", "minutes"))
    return (24 * days + hours) * 60 + minutes


def partition_line(facts: SlurmFacts) -> CheckLine:
    """Judge the partitions: at least one takes jobs."""
    if not facts.partitions:
        found = f"that sinfo does not answer ({facts.complaint})" if facts.complaint else "no partition that takes jobs"
        advice = "Run this where Slurm's programs answer, or take --profile local."
        return CheckLine("partitions", found, Verdict.MISSING, advice)
    return CheckLine("partitions", "; ".join(partition_words(one) for one in facts.partitions))


def partition_words(one: Partition) -> str:
    """Return a partition in words."""
    limit = "no time limit" if one.minutes is None else f"{one.minutes} min"
    nodes = f"{one.nodes} node{'s' if one.nodes > 1 else ''} of {one.cores} processors and {one.memory_mb} MB"
    return f"{one.name}{' (default)' if one.is_default else ''}: {nodes}, {limit}"


def accounting_line(facts: SlurmFacts) -> CheckLine:
    """Judge which program tells a job's state."""
    if facts.has_accounting:
        return CheckLine("accounting", "sacct answers")
    forgotten = forgotten_after_s(facts.site)
    if facts.has_queue and forgotten is not None:
        found = f"no answer of sacct, and ended jobs that squeue forgets after {forgotten} s (MinJobAge)"
        advice = f"Ask the site for accounting, or for a MinJobAge above {LONGEST_WAIT_S} s; a workflow does not start."
        return CheckLine("accounting", found, Verdict.MISSING, advice)
    if facts.has_queue:
        advice = "Take the profile below (slurm-status-command: squeue); with sacct the workflow would wait for ever."
        return CheckLine("accounting", "no answer of sacct, but of squeue", Verdict.NOTE, advice)
    advice = "Run this where Slurm's programs answer."
    return CheckLine("accounting", "an answer of neither sacct nor squeue", Verdict.MISSING, advice)
