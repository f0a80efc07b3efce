"""Settings of stiffness on tetrahedra."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from palpate.config.section import Section


class MeshMapsSettings(Section):
    """Settings of stiffness on tetrahedra."""

    space: Literal["anatomy", "elastogram"] = "anatomy"
    """World in which the mesh lies: anatomy (that of the T1, to which the recorded registration leads; without one the
    two worlds are taken to be the same) or elastogram (that of the maps)."""

    draws: Annotated[int, Field(ge=0)] | None = None
    """Number of joint draws to write, the first of the file; all by default. Means and standard deviations do not
    depend on it."""
