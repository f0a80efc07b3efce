"""Memory that this process and its children may take: the machine's, or less where a limit is set."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from palpate.machine_check.check_line import CheckLine, Verdict

GIB: Final = 1 << 30
LEAST_GIB: Final = 2.0
"""Memory below which one rank of a small volume does not end; it takes 1.3 GiB beside its zones (docs/scaling.md)."""
BRAIN_GIB: Final = 11.0
"""Memory of two ranks for a whole brain at 2 mm (docs/scaling.md)."""
RANK_GIB: Final = 2.0
"""Memory of a rank with some twenty zones, with a margin (docs/scaling.md)."""
_GROUPS: Final = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class MemoryFacts:
    """Memory of a machine and its limits.

    Attributes:
        installed: memory of the machine, bytes.
        limits: further limits, a name in words and a size in bytes.
        cores: number of processors that this process may use.
    """

    installed: int
    limits: Mapping[str, int] = field(default_factory=dict)
    cores: int = 1

    @property
    def usable(self) -> int:
        """Least of all limits, bytes."""
        return min(self.installed, *self.limits.values(), self.installed)

    @property
    def ranks(self) -> int:
        """Number of ranks that processors and memory have room for; at least one."""
        return max(1, min(self.cores, int(self.usable / (RANK_GIB * GIB))))


def memory_facts() -> MemoryFacts:
    """Return the memory that this process may take."""
    return MemoryFacts(
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), dict(_limits()), len(os.sched_getaffinity(0))
    )


def memory_line(facts: MemoryFacts) -> CheckLine:
    """Judge the memory: enough for one rank, and for a whole brain."""
    by = next((f", limited by {name}" for name, size in facts.limits.items() if size == facts.usable), "")
    found = f"{facts.usable / GIB:.1f} GiB and {facts.cores} processors{by}"
    if facts.usable < LEAST_GIB * GIB:
        advice = f"Ask for at least {LEAST_GIB:g} GiB a rank (sbatch --mem, or the container's limit)."
        return CheckLine("memory", found, Verdict.MISSING, advice)
    if facts.usable < BRAIN_GIB * GIB:
        advice = f"A whole brain at 2 mm takes {BRAIN_GIB:g} GiB on two ranks; ask for more where you invert one."
        return CheckLine("memory", found, Verdict.NOTE, advice)
    return CheckLine("memory", found)


def group_limits(groups: str, root: Path = _GROUPS) -> list[int]:
    """Return all limits of memory on the way from a control group to the root, bytes.

    Args:
        groups: content of /proc/self/cgroup.
        root: folder of the control groups.
    """
    found: list[int] = []
    for line in groups.splitlines():
        _, _, rest = line.partition(":")
        kinds, _, inside = rest.partition(":")
        if kinds and "memory" not in kinds.split(","):
            continue
        top, name = (root / "memory", "memory.limit_in_bytes") if kinds else (root, "memory.max")
        here = top / inside.lstrip("/")
        # A container sees its own group at the root, under a path that is another's.
        within = (folder for folder in (here, *here.parents) if folder.is_relative_to(top))
        found += [limit for folder in within if (limit := _number(folder / name)) is not None]
    return found


def _limits() -> Iterator[tuple[str, int]]:
    try:
        groups = group_limits(Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        groups = []
    if groups:
        yield "a control group (container or job)", min(groups)
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        yield "ulimit -v", soft
    per_node, per_cpu = (os.environ.get(f"SLURM_MEM_PER_{unit}", "") for unit in ("NODE", "CPU"))
    cpus = os.environ.get("SLURM_CPUS_ON_NODE", "1")
    if per_node.isdigit() and int(per_node):
        yield "the Slurm job", int(per_node) << 20
    elif per_cpu.isdigit() and int(per_cpu) and cpus.isdigit():
        yield "the Slurm job", int(per_cpu) * int(cpus) << 20


def _number(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return int(text) if text.isdigit() and int(text) < 1 << 60 else None
