"""Graph of what acts on what: how treatment was chosen, and what it acts on."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from palpate.config.section import Section


class CausesSettings(Section):
    """Structural model of the choice of a treatment, as a graph without cycles."""

    edges: Annotated[tuple[str, ...], Field(min_length=1, max_length=400)]
    """Arrows from cause to effect, such as "volume -> chemotherapy"; names are columns of the table, or hidden."""

    hidden: tuple[str, ...] = ()
    """Causes that nobody measured."""

    @model_validator(mode="after")
    def _arrows(self) -> Self:
        for one in self.edges:
            parts = [part.strip() for part in one.split("->")]
            if len(parts) != 2 or not all(parts):
                raise ValueError('write arrows such as "volume -> chemotherapy"')
        return self

    @property
    def arrows(self) -> tuple[tuple[str, str], ...]:
        """Arrows as pairs of cause and effect."""
        return tuple((one.partition("->")[0].strip(), one.partition("->")[2].strip()) for one in self.edges)
