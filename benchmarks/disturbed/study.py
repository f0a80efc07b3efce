"""Smallest study with all stages of the workflow: one head with elastography and one tumour on three dates."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import nibabel as nib
import numpy as np

CHECKOUT: Final = Path(__file__).resolve().parents[2]
BIN: Final = Path(sys.executable).parent

_PHANTOM: Final = {
    "shape": [9, 8, 6],
    "element_mm": 4.0,
    "lesion": None,
    "longitudinal": {
        "half_edge_mm": 27.0,
        "truth_voxel_mm": 4.5,
        "truth_step_days": 2.0,
        "days_before_first_scan": 80.0,
        "voxel_mm": 5.0,
        "beyond_days": [110],
    },
}
_QUICK: Final = {
    "inversion": {"fit_prior": False, "max_iterations": 3, "hessian_rank": 40, "samples": 40},
    "twin": {"voxel_mm": 9.0, "outline_modes": 2, "draws": 20, "max_iterations": 2, "block_mm": 9.0},
    "forecast": {"days_after_last_scan": [30], "on_mesh": True},
    "mesh": {"tetrahedra": {"edge_mm": 4.0}},
    "derived": {"quantities": ["wave_speed"]},
    "report": {"viewer": False},
    "maps": {"kinds": ["seg"]},
}
GREY: Final = 1
FLUID: Final = 3
"""Labels of the phantom."""
STUDY_PAGE: Final = "study_page"
"""Rule that has neither inputs nor outputs, as it shows whatever is there."""
_RULE: Final = re.compile(r"^(?:local)?rule (?P<name>\w+):\n(?P<facts>(?: {4}.*\n)+)", re.MULTILINE)
_SHELL: Final = re.compile(r"^Shell command: *\n?(?P<words>.*(?:\n(?![\[\n]).*)*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class RuleStage:
    """One step of the study.

    Attributes:
        name: name of the rule.
        outputs: files and folders that it makes, relative to the study.
        inputs: files and folders that it reads and another step makes, relative to the study.
        shell: its command line as the workflow runs it, without the prefix of all steps.
    """

    name: str
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    shell: str

    @property
    def target(self) -> str:
        """Name by which the workflow is asked for this step alone."""
        return self.name if self.name == STUDY_PAGE else self.outputs[0]


class DisturbedStudy:
    """Study in a folder, with the workflow of this checkout.

    Args:
        home: folder of the study.
    """

    def __init__(self, home: Path) -> None:
        self.home, self.results = home, home / "results"

    def make(self) -> None:
        """Write the patients' images, the table of sessions and the configuration."""
        self.home.mkdir(parents=True)
        self._run([BIN / "palpate", "phantom", "--settings", json.dumps(_PHANTOM), "--out", "patient"])
        self._draw_region()
        self._merge_fluid()
        (self.home / "study.yaml").write_text(json.dumps(_QUICK), encoding="utf-8")

    def _draw_region(self) -> None:
        """Enter a drawn region into the table, so that the session has a table of regions."""
        session = self.home / "patient" / "sub-01" / "ses-01"
        tissue = nib.nifti1.load(session / "truth" / "truth_tissue.nii.gz")
        region = np.asarray(tissue.dataobj) > 0
        nib.nifti1.save(nib.Nifti1Image(region.astype(np.uint8), tissue.affine), session / "region.nii.gz")
        table = self.home / "patient" / "sessions.tsv"
        head, first, *others = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines()]
        lines = [[*head, "mask"], [*first, "sub-01/ses-01/region.nii.gz"], *([*line, ""] for line in others)]
        table.write_text("".join("\t".join(line) + "\n" for line in lines), encoding="utf-8")

    def _merge_fluid(self) -> None:
        """Make fluid grey matter in the labels that are meshed: it is thinner than an element here."""
        path = self.home / "patient" / "sub-02" / "ses-01" / "labels.nii.gz"
        image = nib.nifti1.load(path)
        labels = np.asarray(image.dataobj)
        nib.nifti1.save(nib.Nifti1Image(np.where(labels == FLUID, GREY, labels), image.affine, image.header), path)

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of every command: a key and a cache of the study's own, one thread a rank."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PMI_", "PMIX_", "HYDRA_"))}
        own = {"XDG_CONFIG_HOME": str(self.home / "config"), "OMP_NUM_THREADS": "1", "UCX_TLS": "self,sm,tcp"}
        return kept | own | dict(extra or {})

    def snakemake(self, *arguments: str, targets: Sequence[str] = ()) -> list[str]:
        """Return the words of snakemake on one core: with further arguments, for some targets or everything."""
        program = [str(BIN / "snakemake"), "-s", str(CHECKOUT / "Snakefile"), "-c1", *arguments]
        given = ["--configfile", "study.yaml", "--config", "sessions=patient/sessions.tsv", "results=results"]
        return [*program, *given, *(["--", *targets] if targets else [])]

    def run(self, *arguments: str, targets: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Run the workflow to its end and keep what it prints."""
        return subprocess.run(
            self.snakemake(*arguments, targets=targets),
            cwd=self.home,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def stages(self) -> list[RuleStage]:
        """Return all steps of the study in the order of the plan, as a dry run names them; the plan is kept."""
        plan = self.home / "plan.txt"
        if not plan.exists():
            plan.write_text(self.run("-n", "-p", "--forceall", targets=("all", STUDY_PAGE)).stdout, encoding="utf-8")
        printed = plan.read_text(encoding="utf-8")
        blocks = [one for one in re.split(r"\n(?=\[\w{3} \w{3} )", printed) if _RULE.search(one)]
        return [stage for block in blocks if (stage := _stage(block))]

    def _run(self, words: Sequence[str | Path]) -> None:
        subprocess.run(list(map(str, words)), cwd=self.home, env=self.environment(), check=True)


def _stage(block: str) -> RuleStage | None:
    """Return the step of one block of a plan; None for the target of all."""
    rule, shell = _RULE.search(block), _SHELL.search(block)
    if rule is None or shell is None or rule["name"] == "all":
        return None
    words = shell["words"].strip()
    if rule["name"] == STUDY_PAGE:
        return RuleStage(STUDY_PAGE, ("results/study.html",), (), words)
    (order,) = (one for one in shlex.split(words) if one.startswith("PALPATE_RECEIPT="))
    told = json.loads(order.partition("=")[2])
    given = (path for paths in told["inputs"].values() for path in paths)
    return RuleStage(
        rule["name"],
        (told["output"], *told["beside"]),
        tuple(path for path in given if path.startswith("results/")),
        words,
    )


def copy_study(source: Path, to: Path) -> DisturbedStudy:
    """Copy a study with its results; the images are linked, since no step writes to them.

    Args:
        source: folder of a finished study.
        to: folder of the copy, replaced where it exists.
    """
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    (to / "patient").symlink_to((source / "patient").resolve())
    for name in ("results", "config", ".snakemake"):
        if (source / name).exists():
            shutil.copytree(source / name, to / name, symlinks=True)
    shutil.copy(source / "study.yaml", to)
    return DisturbedStudy(to)
