"""Assumption of isotropic tissue, in words for the page and for the record beside it.

The model has one complex modulus at a place. Fibres leave next to no trace in the residuals of one vibration
(docs/decisions/0064), so that no warning can find them: the page names the assumption beside the figure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from palpate.service.report.session import RunView

CODE: Final = "isotropic"
"""Code of the assumption in records."""
FIBRE_RATIO: Final = 2.0
"""Shear modulus in planes along the fibres over that across them, in the field of FIBRE_ERROR_PERCENT."""
FIBRE_ERROR_PERCENT: Final = 42.0
"""Mean error of G' over the scored voxels, percent of the modulus across the fibres, in the worse of two fields.

Measured in `fibres-2-tensile` of benchmarks/foreign/scenes.py (uniform tissue of 3 kPa across, also twice as stiff in
tension, 50 Hz, 3 % noise); without the tensile term (`fibres-2`) it is 17 % (benchmarks/results/foreign_waves.json).
"""


@dataclass(frozen=True, slots=True)
class Isotropy:
    """Assumption of isotropic tissue behind the figures of a run.

    Attributes:
        run: results of the run.
        allowance_percent: standard deviation of ln G' by which intervals allow for fibres, percent; 0 for none.
    """

    run: RunView
    allowance_percent: float

    @classmethod
    def of(cls, run: RunView) -> Isotropy:
        """Return the assumption of a run; a record that states no allowance for fibres has none."""
        stated = run.stiffness.inversion.get("anisotropy_percent")
        if isinstance(stated, int | float) and math.isfinite(stated) and stated > 0.0:
            return cls(run, float(stated))
        return cls(run, 0.0)

    @property
    def words(self) -> str:
        """Assumption with the measured error where it is wrong; it has no capital and no full stop."""
        error = f"fibres of ratio {FIBRE_RATIO:g} have put G' {FIBRE_ERROR_PERCENT:.0f} % off"
        if self.allowance_percent == 0.0:
            return f"isotropic tissue assumed; {error}"
        return f"isotropic tissue assumed; intervals allow {self.allowance_percent:.3g} % of G' for fibres, and {error}"

    def as_record(self) -> dict[str, Any]:
        """Return the assumption as an object of JSON."""
        return {
            "label": self.run.stiffness.label,
            "frequency_hz": self.run.stiffness.frequency_hz,
            "code": CODE,
            "words": self.words,
            "fibre_allowance_percent": self.allowance_percent,
            "fibre_ratio": FIBRE_RATIO,
            "storage_error_percent": FIBRE_ERROR_PERCENT,
        }


def assumptions(runs: Sequence[RunView]) -> list[str]:
    """Return the assumptions of all runs in words, each once; one that is not of every run names its runs.

    Args:
        runs: runs of a session.
    """
    told: dict[str, list[str]] = {}
    for run in runs:
        told.setdefault(Isotropy.of(run).words, []).append(run.title)
    return [words if len(told) == 1 else f"{', '.join(titles)}: {words}" for words, titles in told.items()]
