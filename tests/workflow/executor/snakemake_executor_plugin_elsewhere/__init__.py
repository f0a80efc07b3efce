"""An executor that starts jobs as a cluster does: in processes of their own that read the workflow again, later.

A job of a rule starts when there is a file `go-<rule>` in the working directory.
"""

from __future__ import annotations

import subprocess
from collections.abc import AsyncGenerator

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
from snakemake_interface_executor_plugins.settings import CommonSettings

common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_default_storage_provider_args=True,
    pass_default_resources_args=True,
    pass_envvar_declarations_to_cmd=True,
    auto_deploy_default_storage_provider=False,
    init_seconds_before_status_checks=0,
)


class Executor(RemoteExecutor):
    """Runs each job by the shell, once its rule may go."""

    def run_job(self, job: JobExecutorInterface) -> None:
        """Start a process that waits and then runs the job."""
        gate = f"go-{job.name}"
        command = f"until [ -e {gate} ]; do sleep 0.1; done; {self.format_job_exec(job)}"
        process = subprocess.Popen(command, shell=True)
        self.report_job_submission(SubmittedJobInfo(job, external_jobid=str(process.pid), aux={"process": process}))

    async def check_active_jobs(self, active_jobs: list[SubmittedJobInfo]) -> AsyncGenerator[SubmittedJobInfo, None]:
        """Report the jobs that ended, and yield the others."""
        for job in active_jobs:
            code = job.aux["process"].poll()
            if code is None:
                yield job
            elif code == 0:
                self.report_job_success(job)
            else:
                self.report_job_error(job)

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        """End the processes."""
        for job in active_jobs:
            job.aux["process"].kill()
