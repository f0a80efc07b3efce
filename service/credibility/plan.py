"""Plan of the credibility report: which benchmark shows what, which laws tests hold, what intervals contain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class PlannedSection:
    """Section of the report and the benchmarks that belong to it.

    Attributes:
        key: name of the section in the JSON file.
        title: title on the page.
        about: purpose of the section, in a sentence.
        benchmarks: purpose of each benchmark in words, by its name.
    """

    key: str
    title: str
    about: str
    benchmarks: Mapping[str, str]


SECTIONS: Final = (
    PlannedSection(
        "code_verification",
        "Verification of the code",
        "The program computes what its equations say, on every machine, and after every fault.",
        {
            "two_nodes": "results are the same on nodes that share no memory",
            "damaged_bytes": "damaged inputs are refused by name",
            "faults": "a step that is killed, starved or damaged gives the undisturbed results when it runs again",
            "fifty_signals": "a stopped inversion leaves no partial result",
            "soak": "memory and open files stay over hundreds of sessions",
            "study": "a killed study goes on to the same results",
            "vendors": "the images of each vendor are read to the same displacement",
        },
    ),
    PlannedSection(
        "calculation_verification",
        "Verification of the calculation",
        "Errors of discretisation are small beside the intervals.",
        {
            "growth": "errors of the growth model in time and space, and cost of its derivatives",
            "front_speed": "tumour fronts on voxels beside a radial solution of 0.1 mm",
            "tetrahedra": "angles and volumes of meshes",
        },
    ),
    PlannedSection(
        "validation",
        "Validation",
        "Results beside a known truth, and beside what others published.",
        {
            "phantom_box": "stiffness of a simulated block",
            "bioqic_box": "stiffness of a published simulation of another group",
            "hiscox2022_cortex": "stiffness of a simulated cortex, beside nonlinear inversion",
            "whole_brain": "a whole simulated brain",
            "whole_brain_fine": "pieces of a simulated brain at 1.25 mm",
            "lesions": "size and contrast of the smallest lesion that is seen",
            "findings": "stiff and soft regions that are found without being drawn",
            "foreign_livers": "simulated livers, one direction of motion",
            "foreign_waves": "waves of another maker",
            "unwrapping": "phase unwrapping",
            "brain_mask": "brain masks",
            "registration": "registration of the T1",
            "ct_registration": "registration of a planning CT",
            "growth_cohort": "forecasts of simulated tumours",
        },
    ),
    PlannedSection(
        "calibration",
        "Calibration of the uncertainty",
        "Intervals hold the truth as often as they say.",
        {
            "calibration_cohort": "coverage of the intervals of stiffness over a cohort",
            "region_coverage": "coverage of the intervals of regions' means",
            "test_retest": "changes between two sessions",
            "innovations": "innovations of the twin's filters",
            "clocks": "dates that are wrong are noticed, and intervals hold in spite of them",
        },
    ),
    PlannedSection(
        "sensitivity",
        "Sensitivity",
        "What happens where an assumption is wrong, and where nothing is.",
        {
            "misspecification": "coverage under wrong assumptions, and whether a warning tells",
            "false_alarms": "warnings in sound sessions",
        },
    ),
    PlannedSection(
        "applicability",
        "Applicability domain",
        "The ranges over which results were compared with a truth.",
        {"validated_domain": "ranges of the patients whose forecasts were tried"},
    ),
    PlannedSection(
        "computing",
        "Cost",
        "Time and memory; no evidence of correctness, listed so that every record and every missed goal is here.",
        {"limit": "cost of the inversion over its lower limit", "demo_schedule": "time of the demo"},
    ),
)
"""Sections in their order. A record that none of them names is listed under OTHERS."""
OTHERS: Final = PlannedSection("others", "Other records", "Records that the plan of this report does not name.", {})
"""Section of records that the plan does not name."""

LAWS: Final[Mapping[str, str]] = {
    "tests/laws/operators.py": "operators are adjoint, symmetric and linear where the equations say so",
    "tests/laws/taylor.py": "gradients and tangents pass Taylor tests",
    "tests/laws/ranks.py": "results do not depend on the number of processes",
    "tests/laws/lattice.py": "results turn and flip with the images",
    "tests/laws/chance.py": "draws have the distribution that they state",
    "tests/twin/test_rung_laws.py": "bounds and continuous dependence of the tumour's models",
    "tests/twin/assimilation/test_linear.py": "filters equal the exact Kalman filter on a linear model",
    "tests/twin/test_future.py": "one future for every draw, whichever days are asked for",
    "tests/twin/test_biology.py": "hypoxia and markers act as their sources state, and nothing acts without them",
}
"""Laws by the file of the source tree that states them. `make verify` runs all tests; this report runs none."""

UNCERTAINTY: Final[tuple[tuple[str, str], ...]] = (
    ("noise of the images", "measured from the images, in every interval of stiffness"),
    ("prior of the stiffness", "its spread and lengths are fitted to each scan and averaged over"),
    ("form of the wave model", "allowances for density and fibres; slices out of phase are warned of, not carried"),
    ("Monte-Carlo error", "stated beside the bounds of regions"),
    ("rates, thresholds and outline of a tumour", "joint posterior draws, each of them a forecast"),
    ("growth that changes in time, fronts that stray", "model errors of the twin, fitted within stated spreads"),
    ("voxels of the twin", "fronts are corrected, and what remains widens the forecast"),
    ("dates of treatments and scans", "one stream may be off by 28 days; draws carry it"),
    ("contours and registration of later scans", "errors with a stated spread; a rigid movement alone"),
    ("registration of a dose, necrosis, tissue that shifts after an operation", "not carried"),
)
"""Sources of uncertainty, and where each is carried."""
