"""A checkout of its own to edit, and a small study whose steps are finished without computing anything."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from palpate import receipt
from palpate.output_marker import mark
from tests.conftest import BIN, CHECKOUT, user_environment

_PARTS = ("src", "imaging", "meshing", "solvers", "twin", "service", "workflow", "profiles", "envs")
SCAN = "scan"
FIELD = "field"


def copy_checkout(to: Path) -> Path:
    """Copy what the workflow needs of the checkout, links as links, so that a test may edit it."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for part in _PARTS:
        source = CHECKOUT / part
        if source.is_symlink():
            (to / part).symlink_to(source.readlink())
        else:
            shutil.copytree(source, to / part, symlinks=True, ignore=ignored)
    for part in ("Snakefile", "config.yaml"):
        shutil.copy(CHECKOUT / part, to / part)
    return to


def write_study(home: Path) -> Path:
    """Write a table of two sessions: one of DICOM with an anatomy, one of a small wave field that can be computed."""
    (home / SCAN).mkdir(parents=True)
    (home / SCAN / "IM0001").write_bytes(b"pixels of a scan")
    (home / "t1.nii.gz").write_bytes(b"pixels of an anatomy")
    field = home / FIELD
    field.mkdir()
    shape, affine = (8, 7, 6), np.diag([3.0, 3.0, 3.0, 1.0])
    waves = np.exp(2j * np.pi / 12 * np.stack(np.indices(shape)[[1, 2, 0]], axis=-1))  # of shear, along each axis
    for part, values in (("real", waves.real), ("imag", waves.imag)):
        name = field / f"sub-box_ses-01_acq-50Hz_part-{part}_wavefield.nii.gz"
        nib.save(nib.Nifti1Image(values.astype(np.float32), affine), name)
    said = {"MechanicalFrequency": 50.0, "Units": "um", "NoiseStd": 0.02, "Density": 1000.0}
    (field / "sub-box_ses-01_acq-50Hz_wavefield.json").write_text(json.dumps(said))
    nib.save(nib.Nifti1Image(np.ones(shape, np.uint8), affine), field / "sub-box_ses-01_mask.nii.gz")
    table = home / "sessions.tsv"
    table.write_text(f"subject\tsession\tmre\tanatomy\nA\t01\t{SCAN}\tt1.nii.gz\nbox\t01\t{FIELD}\t\n")
    return table


class Workflow:
    """The workflow of a checkout on a study, started in the study's folder.

    Args:
        checkout: with the Snakefile.
        home: folder of the study, with sessions.tsv.
        first_on_path: further places where Python looks first.
    """

    def __init__(self, checkout: Path, home: Path, first_on_path: tuple[Path, ...] = ()) -> None:
        self.home = home
        self._snakefile = checkout / "Snakefile"
        path = (*first_on_path, checkout / "src")
        self.environment = user_environment({"PYTHONPATH": os.pathsep.join(map(str, path))})

    def command(self, *arguments: str, config: Sequence[str] = ()) -> list[str]:
        """The words of `snakemake` with further arguments and entries of the configuration."""
        given = ["--config", "sessions=sessions.tsv", "results=results", *config]
        return [str(BIN / "snakemake"), "-s", str(self._snakefile), "-c1", *arguments, *given]

    def run(self, *arguments: str, config: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Run it to its end and keep what it prints."""
        return subprocess.run(
            self.command(*arguments, config=config),
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
            check=False,
        )

    def planned(self, *arguments: str, config: Sequence[str] = ()) -> dict[tuple[str, str], set[str]]:
        """What a dry run plans: rule and subject to the reasons that the receipts give.

        There is none where an output is missing, or an earlier step runs: Snakemake looks no further then.
        """
        done = self.run("-n", *arguments, config=config)
        printed = done.stdout + done.stderr
        assert done.returncode == 0, printed
        plans = {}
        for rule, block in re.findall(r"^(?:local)?rule (\w+):\n((?: {4}.*\n)+)", printed, re.M):
            if rule != "all":
                (subject,) = re.findall(r"subject=(\w+)", block)
                plans[rule, subject] = set(re.findall(r"out-of-date/([\w-]+)", block.split("reason:")[1]))
        assert plans or "Nothing to be done" in printed
        return plans

    def finish(self) -> None:
        """Make every output with its receipt as the steps would, without computing what is in it."""
        printed = self.run("-n", "-p", "--forceall")
        orders = [
            receipt.Order.from_json(shlex.split(text)[0])
            for text in re.findall(r"PALPATE_RECEIPT=('.*?'(?:\"'\"'.*?')*) ", printed.stdout + printed.stderr)
        ]
        assert orders, printed.stdout + printed.stderr
        here = Path.cwd()
        os.chdir(self.home)
        try:
            while orders:
                ready = [one for one in orders if all(path.exists() for paths in one.inputs.values() for path in paths)]
                assert ready
                for order in ready:
                    _make(order)
                orders = [one for one in orders if one not in ready]
        finally:
            os.chdir(here)


def _make(order: receipt.Order) -> None:
    receipt.begin(order.to_json())
    folder = not order.output.suffix
    (order.output if folder else order.output.parent).mkdir(parents=True, exist_ok=True)
    for path in (order.output / "content" if folder else order.output, *order.beside):
        path.write_text(f"made by {order.command}")
    if folder:
        mark(order.output, order.command)
    for path in (order.output, *order.beside):
        receipt.sign(path, path)
