"""Memory, time and ranks of the steps. They grow with the size of the mesh, once there is one, and with each attempt."""

import os

from palpate.cluster.problem_size import sizes_of_mesh
from palpate.cluster.requests import inversion_cores, inversion_minutes, output_mb, rank_mb
from palpate.cluster.requests import ranks_of, twin_rank_mb, twin_ranks

DRAWS = {"draws": settings.inversion.samples}
LAUNCHED_BY = "PALPATE_LAUNCHER"
# UCX_TLS keeps ranks on one machine off network devices that a guest may not open. The MPICH of the wheel speaks PMI-2:
# `--mpi=pmix` aborts, and `--mpi=none` starts unconnected copies. Without --kill-on-bad-exit the other ranks wait for one
# that died until the time limit.
ONE_MACHINE = "mpiexec -genv UCX_TLS self,sm,tcp"
SLURM = "srun --mpi=pmi2 --kill-on-bad-exit=1"


def launcher(wildcards):
    """Return how ranks are started here; jobs of Slurm take what the workflow that submitted them says.

    A profile's `set-resources: invert:mpi=...` replaces it.
    """
    if workflow.is_main_process and workflow.executor_plugin is not None:
        os.environ[LAUNCHED_BY] = SLURM if workflow.executor_plugin.name == "slurm" else ONE_MACHINE
    return os.environ.get(LAUNCHED_BY, ONE_MACHINE)


def sizes(wildcards):
    """Return the sizes of a session's inversions; none before the session has a mesh."""
    return sizes_of_mesh(Path(MESH.format(**wildcards)))


def ranks(wildcards, threads):
    """Return the number of ranks of a session's inversion: as many as the profile allows, but no more than zones."""
    return ranks_of(sizes(wildcards), threads)


def memory_of_rank(wildcards, threads, attempt):
    """Return the memory of a rank of a session's inversion, MiB."""
    directions = settings.inversion.hessian_rank
    of = sizes(wildcards)
    return rank_mb(of, ranks_of(of, threads), **DRAWS, directions=directions, attempt=attempt)


def memory_of_ranks(wildcards, threads, attempt):
    """Return the memory of all ranks of a session's inversion, MiB."""
    return ranks(wildcards, threads) * memory_of_rank(wildcards, threads, attempt)


def inversion_time(wildcards, threads, attempt):
    """Return the time of a session's inversion, min."""
    return inversion_minutes(sizes(wildcards), ranks(wildcards, threads), attempt=attempt)


# A tumour's steps wait for one another and share few cores; inversions fill all that are left. Started last, a tumour
# would be what everybody waits for at the end.
FIRST = 2


def critical(wildcards):
    """Return the priority of a session's step up to its stiffness: first where a tumour's history waits for it."""
    if wildcards.subject not in twins:
        return 0
    awaited = inverted_session(wildcards.subject)
    return FIRST if awaited is not None and awaited.session == wildcards.session else 0


def cores_here():
    """Return the cores that jobs share; None where they run elsewhere, with what the profile says (set-threads)."""
    return workflow.resource_settings.cores if workflow.is_main_process and workflow.local_exec else None


def cores_of_inversion(wildcards):
    """Return the cores of a session's inversion."""
    here = (wildcards.subject, wildcards.session)
    awaited = {one: inverted_session(one) for one in twins}
    beside = any(one is None or (subject, one.session) != here for subject, one in awaited.items())
    return inversion_cores(cores_here(), beside=beside)


def ranks_of_twin(made):
    """Return the ranks of a tumour's step, by what is still to be made once the step is ready.

    Args:
        made: output of the step; it has the same bytes on any number of ranks.
    """

    def threads(wildcards):
        wanted = [made.format(subject=one) for one in twins]
        wanted += [MRE.format(subject=subject, session=session) for subject, session in sessions]
        return twin_ranks(cores_here(), sum(not Path(one).exists() for one in wanted))

    return threads


def twin_launcher(wildcards, threads):
    """Return how several ranks are started; none for one, which needs no launcher."""
    return launcher(wildcards) if threads > 1 else None


def memory_of_twin(wildcards, threads, attempt):
    """Return the memory of all ranks of a tumour's calibration or forecast, MiB."""
    return threads * twin_rank_mb(threads, attempt=attempt)


def memory_of_twin_rank(wildcards, threads, attempt):
    """Return the memory of each of several ranks, which may lie on several nodes, MiB; none for one rank."""
    return twin_rank_mb(threads, attempt=attempt) if threads > 1 else None


def start_of_twin(wildcards, resources, threads):
    """Return the words that start the ranks of a tumour's calibration or forecast, before the command."""
    return f"{resources.mpi} -n {threads}" if resources.get("mpi") else ""


def with_draws(least_mb):
    """Return the memory of a step on a session's draws, MiB: `least_mb` beside the draws."""
    return lambda wildcards, attempt: output_mb(sizes(wildcards), least_mb, **DRAWS, attempt=attempt)


def by_attempt(first):
    """Return a request that is `first` at the first attempt and as much more at each further one."""
    return lambda wildcards, attempt: first * attempt
