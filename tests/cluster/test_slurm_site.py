"""A workflow asks for the states of its jobs in a way that the site answers, or does not start."""

from __future__ import annotations

import pytest

from palpate.cluster.slurm_site import demand_job_states
from palpate.errors import InputError

NO_ACCOUNTING = {"AccountingStorageType": "accounting_storage/none", "MinJobAge": "300"}
ACCOUNTING = {"AccountingStorageType": "accounting_storage/slurmdbd", "MinJobAge": "2"}


def test_sacct_without_accounting_is_refused() -> None:
    """The binary is there, each question fails, and the workflow waits for ever; the sentence names the way out."""
    with pytest.raises(InputError, match="--slurm-status-command squeue --slurm-no-account"):
        demand_job_states("sacct", NO_ACCOUNTING)


def test_squeue_that_forgets_is_refused() -> None:
    """A job that ended and was forgotten between two looks is taken for one that waits."""
    with pytest.raises(InputError, match="forgets after 2 s"):
        demand_job_states("squeue", ACCOUNTING)


def test_the_other_way_is_accepted() -> None:
    """Each kind of site has one; where nothing is known of the site, nothing is refused."""
    demand_job_states("squeue", NO_ACCOUNTING)
    demand_job_states("sacct", ACCOUNTING)
    demand_job_states("sacct", {})
