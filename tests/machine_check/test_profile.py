"""Profile that the check prints: what was found stands in it, whichever way the shipped profile is written."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from palpate.machine_check.launchers import MPIEXEC, ProfileName
from palpate.machine_check.memory import GIB, MemoryFacts
from palpate.machine_check.profile import local_profile, profile_text, shipped_profile, slurm_profile
from palpate.machine_check.slurm import Partition, SlurmFacts

SHORT = Partition("short", is_default=False, minutes=120, cores=8, memory_mb=32000, nodes=2)
LONG = Partition("long", is_default=False, minutes=None, cores=64, memory_mb=256000, nodes=4)
MAPPINGS = {"set-threads": {"invert": 32}, "set-resources": {"invert": {"mpi": "srun", "cpus_per_task": 1}}}
LISTS = {"set-threads": ["invert=32"], "set-resources": ['invert:mpi="srun"', "invert:cpus_per_task=1"]}


def _said(profile: dict[str, Any], group: str) -> dict[str, str]:
    """Entries of a group as Snakemake's options spell them."""
    content = profile[group]
    if isinstance(content, list):
        return dict(str(one).split("=", 1) for one in content)
    flat = {}
    for rule, inner in content.items():
        pairs = inner.items() if isinstance(inner, dict) else ((None, inner),)
        flat |= {rule if name is None else f"{rule}:{name}": str(value) for name, value in pairs}
    return flat


@pytest.mark.parametrize("base", [MAPPINGS, LISTS, {}], ids=["mappings", "lists", "nothing"])
def test_cluster_without_accounting_or_default_partition(base: dict[str, Any]) -> None:
    """Status by squeue, the launcher that worked, a partition by name, and no more than it allows."""
    slurm = SlurmFacts((SHORT,), has_accounting=False, has_queue=True)
    made = slurm_profile(base, slurm, "srun --mpi=pmi2")
    assert (made["executor"], made["slurm-status-command"], made["slurm-no-account"]) == ("slurm", "squeue", True)
    assert _said(made, "default-resources") == {"slurm_partition": "short"}
    assert _said(made, "set-threads") == {"invert": "16"}
    resources = {name: text.strip('"') for name, text in _said(made, "set-resources").items()}
    assert (resources["invert:mpi"], resources["invert:runtime"]) == ("srun --mpi=pmi2", "120")
    if base:
        assert resources["invert:cpus_per_task"] == "1"
    assert yaml.safe_load(profile_text(made, "slurm", slurm)) == made
    assert "# partition short: 2 nodes of 8 processors and 32000 MB, 120 min" in profile_text(made, "slurm", slurm)


def test_cluster_that_lacks_nothing_gets_what_is_shipped() -> None:
    """With accounting, a default partition and time enough, only the launcher is set."""
    default = Partition("main", is_default=True, minutes=None, cores=64, memory_mb=256000, nodes=4)
    made = slurm_profile(MAPPINGS, SlurmFacts((SHORT, default), has_accounting=True, has_queue=True), "srun")
    assert made == MAPPINGS | {"executor": "slurm"}


def test_partition_with_the_most_time_is_taken() -> None:
    """An inversion of a whole brain takes hours."""
    made = slurm_profile({}, SlurmFacts((SHORT, LONG), has_accounting=True, has_queue=True), None)
    assert _said(made, "default-resources") == {"slurm_partition": "long"}


def test_one_machine_is_not_filled_beyond_its_memory() -> None:
    """Steps that run beside each other share the memory of the container, not that of the machine."""
    made = local_profile({"keep-going": True}, MemoryFacts(64 * GIB, {"a container": 8 * GIB}, 16), MPIEXEC)
    assert made["cores"] == 16
    assert made["resources"] == [f"mem_mb={int(0.9 * 8 * 1024)}"]
    assert _said(made, "set-threads") == {"invert": "4"}
    assert made["keep-going"] is True


@pytest.mark.parametrize("name", ["local", "slurm"])
def test_shipped_profiles_are_found(name: ProfileName) -> None:
    """Without them the printed profile would lack what does not depend on the machine."""
    assert shipped_profile(name)["keep-going"] is True
