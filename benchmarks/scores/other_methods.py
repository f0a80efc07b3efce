"""Methods that a posterior is compared with, all on one wave field and with the inversion's own zones."""

from __future__ import annotations

from palpate.config.mesh import MeshSettings
from palpate.imaging.wavefield import WaveField
from palpate.meshing.zone_mesh import zones_of
from palpate.solvers.comparators.direct import DirectResult, direct_inversion
from palpate.solvers.comparators.direct_fe import direct_fe_inversion
from palpate.solvers.comparators.dirichlet import dirichlet_inversion
from palpate.solvers.comparators.zone_maps import ComparatorResult


def other_methods(field: WaveField) -> dict[str, DirectResult | ComparatorResult]:
    """Return the moduli by every other method, by the method's name."""
    zones = zones_of(field.mask, field.voxel_size_mm, MeshSettings())
    return {
        "algebraic": direct_inversion(field),
        "direct FE": direct_fe_inversion(field, zones),
        "Dirichlet L-BFGS": dirichlet_inversion(field, zones),
    }
