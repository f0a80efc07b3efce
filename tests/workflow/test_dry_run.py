"""The workflow plans every configuration, from every place it may be started from, and refuses bad ones at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, Command, run

CONFIGS = sorted((CHECKOUT / "tests" / "configs").glob("*.yaml"))
TABLE = CHECKOUT / "tests" / "configs" / "study" / "sessions.tsv"


def _planned(printed: str) -> dict[str, int]:
    """Jobs per rule, as the dry run lists them."""
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", printed, re.M)}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configuration_plans_each_stage_of_each_session(path: Path, snakemake: Command) -> None:
    """A workflow can be green and plan nothing, so the counts are compared.

    Three sessions bring elastography, two of them as DICOM, one of these with an anatomy and its labels, whose table
    of regions makes one of the study; one brings none and takes no part.
    """
    done = snakemake("-n", "--configfile", path, "--config", f"sessions={TABLE}", "results=out")
    assert done.returncode == 0, done.stdout + done.stderr
    of_sessions = {"ingest": 3, "mesh": 3, "invert": 3, "derived": 3, "report": 3}
    expected = of_sessions | {"maps": 2, "overlay": 1, "regions": 1, "group_regions": 1, "all": 1, "total": 21}
    assert _planned(done.stdout + done.stderr) == expected


def test_catalogue_entry_plans_the_same(tmp_path: Path) -> None:
    """workflow/Snakefile includes the real one; Snakemake then finds no default target unless it has its own."""
    entry = CHECKOUT / "workflow" / "Snakefile"
    done = run("snakemake", "-s", entry, "-n", "--config", f"sessions={TABLE}", "results=out", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert _planned(done.stdout + done.stderr)["total"] == 21


@pytest.mark.parametrize("name", ["local", "slurm"])
def test_profile_plans(name: str, snakemake: Command) -> None:
    """A profile holds resources of rules by name; a renamed rule must not leave it behind."""
    profile = CHECKOUT / "workflow" / "profiles" / name
    done = snakemake("-n", "--profile", profile, "--config", f"sessions={TABLE}", "results=out")
    assert done.returncode == 0, done.stdout + done.stderr
    assert _planned(done.stdout + done.stderr)["invert"] == 3


def test_each_step_gets_its_own_section_only(snakemake: Command) -> None:
    """A change of the inversion's settings must not run the ingest again: no other section may reach a step."""
    done = snakemake("-n", "-p", "--config", f"sessions={TABLE}", "results=out")
    for line in re.findall(r"palpate ingest .*", done.stdout + done.stderr):
        assert "menc_um_per_rad" in line
        assert "seed" not in line


@pytest.mark.parametrize(
    ("config", "scans"),
    [
        pytest.param((), 2, marks=pytest.mark.long),
        (("ingest={'identifiers': 'retained', 'key': 'keys/study'}",), 2),
        (("maps={'identity': 'pseudonym'}",), 0),
    ],
)
def test_maps_read_the_scan_again_where_its_identity_is_wanted(
    config: tuple[str, ...], scans: int, snakemake: Command
) -> None:
    """Maps to hand on must be made without the patient's own scan; maps for an archive need it, and the study's key."""
    given = (f"sessions={TABLE}", "results=out", "ingest={'key': 'keys/study'}", *config)
    done = snakemake("-n", "-p", "--config", *given)
    lines = re.findall(r"palpate maps (?!.*--derived).*", done.stdout + done.stderr)
    assert len(lines) == 2
    assert sum("--scan" in line for line in lines) == scans
    assert all("--key keys/study" in line for line in lines)


def test_a_page_waits_for_its_table_of_regions(snakemake: Command) -> None:
    """A page that was made before the table would not show it, or show that of the inversion before."""
    done = snakemake("-n", "--config", f"sessions={TABLE}", "results=out")
    inputs = re.findall(r"^rule report:\n +input: (.*)$", done.stdout + done.stderr, re.M)
    assert len(inputs) == 3
    (with_labels,) = [one for one in inputs if "regions.tsv" in one]
    assert "sub-" in with_labels


def test_a_page_does_not_wait_for_dicom_maps(snakemake: Command) -> None:
    """DICOM maps are refused where the scan has gone or names two patients; that must cost the maps alone."""
    asked = [f"out/sub-A1/ses-01/report.{ending}" for ending in ("html", "json")]
    done = snakemake("-n", "--config", f"sessions={TABLE}", "results=out", "--", *asked)
    assert done.returncode == 0, done.stdout + done.stderr
    planned = _planned(done.stdout + done.stderr)
    assert planned["report"] == 1
    assert "maps" not in planned


BAD_CONFIGS = [
    ("sesions: table.tsv", "unknown key sesions"),
    ("ingest: {mask_treshold: 0.3}", "unknown key ingest.mask_treshold"),
    ("ingest: {mask_threshold: 3}", "ingest.mask_threshold = 3"),
    ("ingest: {density_kg_m3: -1}", "ingest.density_kg_m3 = -1"),
    ("phantom: {extent: left-half}", "phantom.extent = 'left-half'"),
    ("sessions: nowhere/sessions.tsv", "no such file"),
]


@pytest.mark.parametrize(("text", "said"), BAD_CONFIGS, ids=[said for _, said in BAD_CONFIGS])
def test_bad_configuration_is_refused_before_anything_runs(
    text: str, said: str, tmp_path: Path, snakemake: Command
) -> None:
    """A typo must end with one sentence and exit code 2 while planning, not hours later in a step."""
    path = tmp_path / "bad.yaml"
    path.write_text(f"sessions: {TABLE}\nresults: out\n" if "sessions" not in text else "results: out\n")
    with path.open("a") as stream:
        stream.write(text + "\n")
    done = snakemake("-n", "--configfile", path)
    assert done.returncode == 2
    told = [line for line in done.stderr.splitlines() if line.startswith("palpate: ")]
    assert len(told) == 1
    assert said in told[0]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
