"""A study of one session that two ranks invert in seconds: plane shear waves in a box, as a finished wave field."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np

from tests.conftest import BIN, CHECKOUT, user_environment

PROFILE = CHECKOUT / "workflow" / "profiles" / "slurm"
QUICK = "inversion={'fit_prior': False, 'max_iterations': 3, 'hessian_rank': 40, 'samples': 40}"
SESSION = Path("results", "sub-box", "ses-01")
NO_ACCOUNTING = ("--slurm-status-command", "squeue", "--slurm-no-account")
"""What docs/cluster.md names for a site without accounting."""

_NAME = "sub-box_ses-01"


def write_study(home: Path) -> None:
    """Write the wave field and its table: waves of 27 mm along each axis, moved along the next one, with 2 % noise."""
    field = home / "field"
    field.mkdir(parents=True)
    shape, affine, step_mm = (9, 9, 9), np.diag([3.0, 3.0, 3.0, 1.0]), 3.0
    axes = np.indices(shape) * step_mm
    waves = np.stack([np.exp(2j * np.pi / 27.0 * axes[(axis + 1) % 3]) for axis in range(3)], axis=-1)
    noise = np.random.default_rng(1).normal(scale=0.02, size=(2, *waves.shape))
    for part, values in (("real", waves.real + noise[0]), ("imag", waves.imag + noise[1])):
        name = field / f"{_NAME}_acq-50Hz_part-{part}_wavefield.nii.gz"
        nib.save(nib.Nifti1Image(values.astype(np.float32), affine), name)
    said = {"MechanicalFrequency": 50.0, "Units": "um", "NoiseStd": 0.02, "Density": 1000.0}
    (field / f"{_NAME}_acq-50Hz_wavefield.json").write_text(json.dumps(said))
    nib.save(nib.Nifti1Image(np.ones(shape, np.uint8), affine), field / f"{_NAME}_mask.nii.gz")
    (home / "sessions.tsv").write_text("subject\tsession\tmre\nbox\t01\tfield\n")


def start(home: Path, *arguments: str, target: str = str(SESSION / "mre")) -> subprocess.Popen[str]:
    """Start the workflow on a cluster of this machine, as a user does who follows docs/cluster.md."""
    words = [str(BIN / "snakemake"), "-s", str(CHECKOUT / "Snakefile"), "--profile", str(PROFILE), *NO_ACCOUNTING]
    words += ["--set-threads", "invert=2", "--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5"]
    words += [*arguments, "--config", "sessions=sessions.tsv", "results=results", QUICK, "--", target]
    return subprocess.Popen(
        words,
        cwd=home,
        env=user_environment({"PYTHONPATH": os.pathsep.join([str(CHECKOUT / "src"), str(CHECKOUT)])}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(process: subprocess.Popen[str], seconds: float = 300.0) -> tuple[int, str]:
    """Return exit code and printed text of a workflow; it fails where the workflow hangs."""
    try:
        printed, _ = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return process.returncode, printed


def sentences(printed: str) -> list[str]:
    """Return what palpate itself says."""
    return [line for line in printed.splitlines() if line.startswith("palpate: ")]


def bits(home: Path) -> dict[str, str]:
    """Return digests of the maps and draws of the session."""
    files = [path for path in sorted((home / SESSION / "mre").iterdir()) if path.name.endswith((".nii.gz", ".h5"))]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
