"""What the workflow asks of Slurm for each step: read back from a stub of sbatch to which all steps of a study go."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import BIN, CHECKOUT, user_environment
from tests.workflow.slurm.small_study import NO_ACCOUNTING, PROFILE
from tests.workflow.slurm.stub_cluster import Request, StubCluster, planned_outputs

CONFIG = ("sessions=sessions.tsv", "results=results", "forecast={'on_mesh': True}", "ingest={'key': 'key'}")
SMALL, LARGE = "1", "2"
PRODUCTS = {"derived", "overlay", "report", "regions", "maps"}


def _mesh_record(zones: int, nodes: int, voxels: int) -> str:
    record = {"zones": zones, "largest_zone_nodes": nodes**3, "mask_voxels": voxels, "zone_nodes": [nodes] * 3}
    return json.dumps(record | {"frequencies": [{"frequency_hz": 50.0}]})


def _study(home: Path) -> None:
    """Two sessions of a subject with all that a session can bring, so that each rule has a job."""
    shutil.copytree(CHECKOUT / "tests" / "configs" / "study", home)
    (home / "labels.tsv").write_text("index\tname\n1\tbrain\n")
    rows = [f"A\t{one}\tdicom\tdicom\tlabels.nii.gz\t2026-0{one}-11\tlabels.nii.gz" for one in (SMALL, LARGE)]
    table = "\n".join(["subject\tsession\tmre\tanatomy\tlabels\tdate\tgrowth", *rows])
    (home / "sessions.tsv").write_text(table + "\n")


def _snakemake(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = user_environment({"PYTHONPATH": str(CHECKOUT / "src")})
    return subprocess.run(
        [str(BIN / "snakemake"), "-s", str(CHECKOUT / "Snakefile"), *arguments, "--config", *CONFIG],
        cwd=home,
        env=environment | {"PATH": f"{home / 'bin'}:{environment['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def printed_and_requests(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Request]]:
    """What the workflow printed, and what it asked for, with a small brain in one session and a large in the other."""
    home = tmp_path_factory.mktemp("stub") / "study"
    _study(home)
    planned = _snakemake(home, "-n")
    outputs = planned_outputs(planned.stdout + planned.stderr, home)
    for session, record in ((SMALL, _mesh_record(6, 13, 4000)), (LARGE, _mesh_record(557, 21, 776_975))):
        outputs[f"mesh:subject=A,session={session}"] = {
            str(home / f"results/sub-A/ses-{session}/mesh/sub-A_ses-{session}_mesh.json"): record
        }
    (home / "bin").mkdir()
    stub = StubCluster(home / "bin", outputs)
    soon = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5")
    ranks = ("--set-threads", "invert=32", "calibrate=4")
    done = _snakemake(home, "--profile", str(PROFILE), *NO_ACCOUNTING, *soon, *ranks)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr, stub.requests()


@pytest.fixture
def requests(printed_and_requests: tuple[str, list[Request]]) -> list[Request]:
    """What was asked for."""
    return printed_and_requests[1]


def _of(requests: list[Request], rule: str, session: str = "") -> Request:
    (found,) = [one for one in requests if any(job.startswith(f"{rule}:") and session in job for job in one.jobs)]
    return found


def test_each_rule_asks_for_memory_time_and_processors(requests: list[Request]) -> None:
    """A rule without memory gets the site's default, often a few hundred MB; every rule but a local one goes there."""
    text = "".join(path.read_text() for path in (CHECKOUT / "workflow" / "rules").glob("*.smk"))
    rules = set(re.findall(r"^rule (\w+):", text, re.M)) - {"study_page"}  # made where the workflow runs
    assert {rule for one in requests for rule in one.rules} == rules
    for one in requests:
        assert one.memory_mb is not None, one.jobs
        assert one.memory_mb >= 1000, one.jobs
        assert int(one.options["-t"]) >= 10, one.jobs
        assert {"--ntasks", "--cpus-per-task"} <= one.options.keys(), one.jobs


def test_memory_is_that_of_the_rule(requests: list[Request]) -> None:
    """A default of mem_mb_per_cpu in the profile makes the executor ignore mem_mb, and 10 GB become 4."""
    assert _of(requests, "tetrahedra").options["--mem"] == "10000"
    assert _of(requests, "forecast").options["--mem"] == "8000"
    assert _of(requests, "group_regions").options["--mem"] == "1000"


def test_an_inversion_asks_by_the_size_of_its_mesh(requests: list[Request]) -> None:
    """4000 voxels need six ranks of 2 GB for half an hour; 777,000 as many ranks as allowed, of 9 GB, for hours."""
    small, large = (_of(requests, "invert", f"session={one}") for one in (SMALL, LARGE))
    assert (small.options["--ntasks"], large.options["--ntasks"]) == ("6", "32")
    assert int(small.options["--mem-per-cpu"]) < 2500
    assert 7000 < int(large.options["--mem-per-cpu"]) < 12000
    assert int(small.options["-t"]) <= 40
    assert int(large.options["-t"]) > 120
    assert {one.options["--cpus-per-task"] for one in (small, large)} == {"1"}


def test_a_tumour_asks_for_the_ranks_of_the_profile(requests: list[Request]) -> None:
    """Without a word in the profile it takes one rank, without a launcher; of several, each asks for its memory."""
    alone, shared = (_of(requests, name).options for name in ("forecast", "calibrate"))
    assert (alone["--ntasks"], shared["--ntasks"]) == ("1", "4")
    assert "--mem-per-cpu" not in alone
    assert shared["--mem-per-cpu"] == "4000"


def test_ranks_end_with_the_first_that_fails(printed_and_requests: tuple[str, list[Request]]) -> None:
    """Without --kill-on-bad-exit a rank that dies leaves the others waiting until the time limit."""
    launchers = set(re.findall(r"mpi=(.*?), tasks", printed_and_requests[0]))
    assert launchers == {"srun --mpi=pmi2 --kill-on-bad-exit=1"}


def test_short_steps_share_a_job(requests: list[Request]) -> None:
    """Each job starts Snakemake twice. Steps of two sessions stay apart, else one fails with the other."""
    for session in (SMALL, LARGE):
        assert set(_of(requests, "ingest", f"session={session}").rules) == {"ingest", "mesh"}
        products = _of(requests, "report", f"session={session}")
        assert set(products.rules) == PRODUCTS
        assert all(f"session={session}" in job for job in products.jobs)


def test_steps_that_share_a_job_run_in_turn(requests: list[Request]) -> None:
    """Five products at once would ask for five times the memory and processors; in turn they take longer."""
    small, large = (_of(requests, "report", f"session={one}") for one in (SMALL, LARGE))
    assert small.options["--cpus-per-task"] == "1"
    assert small.memory_mb == 4100
    assert large.memory_mb == 8800
    assert int(small.options["-t"]) == 180


def test_slurm_does_not_start_jobs_again_by_itself(requests: list[Request]) -> None:
    """A job that starts again under its old number meets MPI's shared memory of the ranks that were killed."""
    assert all("--no-requeue" in one.options for one in requests)
