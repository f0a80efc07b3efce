"""Scores of a whole folder of maps: a table for the terminal, JSON for other programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from palpate.imaging.files.stiffness_folder import Modulus, read_stiffness
from palpate.output_kinds import FileKind, json_kind
from palpate.outputs import claim_file
from palpate.service.score import Score, read_truth, score_run

_NAMES: Mapping[Modulus, str] = {"storagemodulus": "G'", "lossmodulus": "G''"}


@dataclass(frozen=True, slots=True)
class RunScores:
    """Scores of both moduli of one run against truth.

    Attributes:
        stem: name of the run, with the frequency where it holds several.
        frequency_hz: frequency f, Hz.
        tissue_voxels: number of voxels that the maps cover.
        informed_voxels: number of voxels whose value comes mostly from this scan.
        scores: score of each modulus.
    """

    stem: str
    frequency_hz: float
    tissue_voxels: int
    informed_voxels: int
    scores: Mapping[Modulus, Score]

    def to_json(self) -> dict[str, Any]:
        """Return the scores as JSON values, with shares and relative errors as fractions of 1."""
        return {
            "frequency_hz": self.frequency_hz,
            "tissue_voxels": self.tissue_voxels,
            "informed_voxels": self.informed_voxels,
            **{modulus: asdict(score) for modulus, score in self.scores.items()},
        }


def verify_folder(results: Path, truth: Path, *, margin_voxels: int = 0) -> tuple[RunScores, ...]:
    """Score every run and frequency of a folder of stiffness maps.

    Args:
        results: path of the `mre` folder, or of the session folder that holds it.
        truth: folder of the true maps, kPa.
        margin_voxels: distance from the edge of the grid, in voxels; nearer voxels are left out.

    Raises:
        InputError: maps or truth cannot be used together.
    """
    return tuple(
        RunScores(
            stem=run.stem,
            frequency_hz=run.frequency_hz,
            tissue_voxels=int(run.moduli["storagemodulus"].mean.covered.sum()),
            informed_voxels=int(run.informed.sum()),
            scores=score_run(run, read_truth(truth, run), margin_voxels=margin_voxels),
        )
        for run in read_stiffness(results)
    )


SCORES: Final = FileKind(
    "verify maps", "file of scores", (".json",), json_kind("tissue_voxels", "informed_voxels", inside=True)
)
"""Kind of the file of scores."""


def write_scores(path: Path, scores: tuple[RunScores, ...]) -> None:
    """Write scores as JSON, by run; an interrupted run leaves no partial file.

    Raises:
        InputError: the path holds another file.
    """
    with claim_file(path, SCORES, {}).writing() as partial:
        content = {run.stem: run.to_json() for run in scores}
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def score_table(scores: tuple[RunScores, ...]) -> str:
    """Return the scores as lines for a terminal."""
    return "\n\n".join(_run_table(run) for run in scores)


def _run_table(run: RunScores) -> str:
    """Return the table of one run: a row a figure, a column a modulus."""
    first = next(iter(run.scores.values()))
    share = run.informed_voxels / run.tissue_voxels
    informed = f"{run.informed_voxels} of {run.tissue_voxels} informed ({share:.0%})"
    rows: list[tuple[str, Callable[[Score], str]]] = [
        ("median |error|", lambda score: f"{score.median_error:.1%}"),
        ("  direct inversion", lambda score: _percent(score.direct_median_error)),
        ("median error", lambda score: f"{score.median_bias:+.1%}"),
        *((f"coverage of {item.level:.0%} intervals", _coverage_at(item.level)) for item in reversed(first.coverage)),
        ("width of 95% intervals", lambda score: f"{score.interval_width:.0%}"),
        ("CRPS, kPa", lambda score: "-" if score.crps_kpa is None else f"{score.crps_kpa:.3f}"),
    ]
    return "\n".join(
        [
            f"{run.stem}, {run.frequency_hz:g} Hz: {first.voxels} voxels scored; {informed}",
            _row("", [_NAMES[modulus] for modulus in run.scores]),
            *(_row(name, [cell(score) for score in run.scores.values()]) for name, cell in rows),
        ]
    )


def _row(name: str, cells: list[str]) -> str:
    return f"  {name:<26}" + "".join(f"{cell:<24}" for cell in cells).rstrip()


def _coverage_at(level: float) -> Callable[[Score], str]:
    """Return the text of the coverage of one level."""

    def cell(score: Score) -> str:
        item = score.covered(level)
        return f"{item.share:.1%} ({item.lower:.0%} to {item.upper:.0%})"

    return cell


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
