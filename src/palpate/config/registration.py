"""Settings of registrations that a user names: how far they may be off, and which image is their fixed one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from palpate.config.section import Section


class RegistrationSettings(Section):
    """Settings of a registration file that carries a region or dose from another frame of reference."""

    registration_uncertainty_mm: Annotated[float, Field(ge=0, le=20, allow_inf_nan=False)] = 2.0
    """Root mean square distance by which a registration that a user names may be off, mm, since its file states none.
    The default is the strict end of what AAPM TG-132 tolerates of a target registration error, the largest voxel edge
    of about 2 to 3 mm (Brock et al., Med. Phys. 44 (2017) e43)."""

    registration_fixed: Literal["session", "region"] = "session"
    """Fixed image of an ITK transform, whose file names none. session: the T1, or the elastogram where there is no T1,
    was fixed, and the image of the region (mostly a CT) was moved onto it; region: the other way round. A DICOM Spatial
    Registration names its frames of reference and needs no setting."""
