"""Effects of treatments that a patient never had: they enter with their priors, and the data say nothing of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from palpate.imaging.tumour.history import TumourHistory
from palpate.twin.calibration.calibrate import NORMAL_95, Calibration
from palpate.twin.priors import ALPHA, KILL, Unknown, alpha_prior, drugs, kill_prior
from palpate.twin.state_space.chances import Chances


def under(calibration: Calibration, history: TumourHistory) -> Calibration:
    """Return the same patient under other treatments.

    Parameters of treatments that the calibration does not know are drawn from their priors, keyed by draw and name:
    a draw meets the same effect of a drug in every schedule.

    Args:
        calibration: calibration of the tumour.
        history: history on its lattice, with the other treatments.

    Raises:
        InputError: a drug is not in the configuration.
    """
    found = replace(calibration, history=history)
    for name in calibration.unknowns.names:
        if name.startswith(KILL) and name.removeprefix(KILL) not in drugs(history):
            found = _without_unknown(found, name)
    settings, known = calibration.settings, calibration.unknowns.names
    missing = [] if ALPHA in known or not history.irradiations else [alpha_prior(settings)]
    missing += [kill_prior(drug, settings, history.markers) for drug in drugs(history) if KILL + drug not in known]
    for one in missing:
        found = _with_unknown(found, one)
    return found


def new_effects(calibration: Calibration, history: TumourHistory) -> tuple[str, ...]:
    """Return the names of effects that come from priors alone.

    Args:
        calibration: calibration of the tumour.
        history: history on its lattice, with other treatments.
    """
    known = calibration.unknowns.names
    alpha = (ALPHA,) if history.irradiations and ALPHA not in known else ()
    return (*alpha, *(KILL + drug for drug in drugs(history) if KILL + drug not in known))


def _with_unknown(calibration: Calibration, one: Unknown) -> Calibration:
    """Return a calibration with one more unknown, whose posterior is its prior."""
    layout, drawn = calibration.unknowns, calibration.draws
    at = _place(layout.names, one.name)
    chances = Chances(calibration.settings.seed, tuple(range(len(drawn.xi))))
    xi = np.insert(drawn.xi, at, chances.normals(f"effect {one.name}", 0), axis=1)
    covariance = np.insert(np.insert(calibration.covariance, at, 0.0, axis=0), at, 0.0, axis=1)
    covariance[at, at] = 1.0
    bounds = np.insert(calibration.bounds, at, (-NORMAL_95, 0.0, NORMAL_95), axis=1)
    return replace(
        calibration,
        quantiles=bounds,
        unknowns=replace(layout, single=(*layout.single[:at], one, *layout.single[at:])),
        mode=np.insert(calibration.mode, at, 0.0),
        covariance=covariance,
        draws=replace(drawn, xi=xi),
    )


def _without_unknown(calibration: Calibration, name: str) -> Calibration:
    """Return a calibration without an unknown that no treatment of its history uses."""
    layout, drawn = calibration.unknowns, calibration.draws
    at = layout.names.index(name)
    return replace(
        calibration,
        quantiles=np.delete(calibration.bounds, at, axis=1),
        unknowns=replace(layout, single=(*layout.single[:at], *layout.single[at + 1 :])),
        mode=np.delete(calibration.mode, at),
        covariance=np.delete(np.delete(calibration.covariance, at, axis=0), at, axis=1),
        draws=replace(drawn, xi=np.delete(drawn.xi, at, axis=1)),
    )


def _place(names: tuple[str, ...], name: str) -> int:
    """Return where an unknown stands: kills in alphabetical order, as their exposures are, and alpha before them."""
    if name == ALPHA:
        later = [at for at, one in enumerate(names) if one.startswith(KILL)]
        return later[0] if later else len(names)
    later = [at for at, one in enumerate(names) if one.startswith(KILL) and one > name]
    return later[0] if later else len(names)
