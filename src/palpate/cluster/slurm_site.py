"""Check that the states of jobs can be asked for at a site with Slurm; a workflow would else wait for ever."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from typing import Final

from palpate.errors import InputError

LONGEST_WAIT_S: Final = 180
"""Longest time between two looks of Snakemake at its jobs, seconds."""

_SETTING: Final = re.compile(r"^(?P<name>\w+) *= *(?P<value>\S+)", re.MULTILINE)
_EXPECTED: Final = "a way to ask for the states of jobs"


def site_configuration() -> dict[str, str]:
    """Return the configuration of this site's Slurm by name; empty where it cannot be asked for."""
    try:
        done = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(_SETTING.findall(done.stdout))


def has_no_accounting(site: Mapping[str, str]) -> bool:
    """Return whether a site says that it has no accounting, so that sacct knows no job.

    Args:
        site: configuration of the site, as site_configuration returns it.
    """
    return site.get("AccountingStorageType") == "accounting_storage/none"


def forgotten_after_s(site: Mapping[str, str]) -> int | None:
    """Return the time after which squeue forgets a job that has ended, seconds; None where it is long enough.

    Args:
        site: configuration of the site, as site_configuration returns it.
    """
    remembered = site.get("MinJobAge", "")
    return int(remembered) if remembered.isdigit() and int(remembered) <= LONGEST_WAIT_S else None


def demand_job_states(status_command: str | None, site: Mapping[str, str]) -> None:
    """Refuse a command for the states of jobs that this site does not answer.

    Args:
        status_command: "sacct" or "squeue", as the workflow was started with; None where it does not say.
        site: configuration of the site, as site_configuration returns it.

    Raises:
        InputError: sacct without accounting, or squeue where ended jobs are forgotten before they are looked at.
    """
    if status_command == "sacct" and has_no_accounting(site):
        storage = site["AccountingStorageType"]
        raise InputError(
            "Slurm of this site",
            found=f"no accounting (AccountingStorageType = {storage}), so that sacct knows no job",
            expected=_EXPECTED,
            advice="Start the workflow with --slurm-status-command squeue --slurm-no-account.",
        )
    forgotten = forgotten_after_s(site)
    if status_command == "squeue" and forgotten is not None:
        raise InputError(
            "Slurm of this site",
            found=f"ended jobs that squeue forgets after {forgotten} s (MinJobAge)",
            expected=f"{_EXPECTED}, which are looked at every {LONGEST_WAIT_S} s",
            advice="Start the workflow with --slurm-status-command sacct, or ask the site for a longer MinJobAge.",
        )
