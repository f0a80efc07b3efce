"""A calibration whose draws are those of the prior, for laws of forecasts that ask nothing of the posterior."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from palpate.config.twin import TwinSettings
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.calibration.draws import Draws
from palpate.twin.calibration.posterior import Statistics
from palpate.twin.lattice import TwinLattice
from tests.twin.small import SETTINGS, history, problem


def drawn(count: int, settings: TwinSettings = SETTINGS) -> Calibration:
    """The small tumour with draws of the prior, spread by half, and its stress as images suggest it."""
    own, tumour = problem(settings), history()
    layout, rng = own.dynamics.unknowns, np.random.default_rng(3)
    xi = 0.5 * rng.standard_normal((count, layout.size))
    states = np.stack([np.stack(own.states(one)) for one in xi]).astype(np.float32)
    centres = len(own.observations.field.centres_mm)
    fronts = 0.3 * rng.standard_normal((count, centres))
    draws = Draws(xi, states[:, -1], states, np.ones(count), fronts, 1.0, 1, 0.3)
    shape = tumour.tissue.shape
    return Calibration(
        settings,
        TwinLattice((0, 0, 0), (1, 1, 1), shape, shape, tumour.affine_mm),  # type: ignore[arg-type]
        replace(tumour, stiffness=None),
        layout,
        np.zeros(layout.size),
        np.eye(layout.size),
        1.0,
        own.stress,
        own.observations.field,
        draws,
        Statistics(True, 1, 1, 1.0, 1.0, 10),
    )
