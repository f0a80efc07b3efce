"""Context of use of a credibility report: the question, what rests on the answer, and what a mistake would do."""

from __future__ import annotations

from typing import Literal

from palpate.config.section import Section

type Grade = Literal["low", "medium", "high"]

_GRADES = ("low", "medium", "high")


class CredibilitySettings(Section):
    """Context of use in the words of V&V 40. The defaults are those of research, in which nothing is decided."""

    question: str = "How stiff is tissue, how will a tumour grow under a given treatment, and how sure is each figure?"
    """Question of interest."""

    use: str = (
        "Research: figures are compared with each other, with a known truth or with later scans. "
        "No figure guides a diagnosis or a treatment."
    )
    """Context of use: what is decided with the figures, and what else the decision rests on."""

    influence: Grade = "low"
    """Influence of the model: how much of the decision rests on it."""

    consequence: Grade = "low"
    """Consequence of a wrong decision for a patient."""

    @property
    def risk(self) -> Grade:
        """Model risk: the larger of influence and consequence, a step lower where the other one is low."""
        more, less = sorted((_GRADES.index(self.influence), _GRADES.index(self.consequence)), reverse=True)
        grades: tuple[Grade, ...] = ("low", "medium", "high")
        return grades[more - 1 if less == 0 and more > 0 else more]
