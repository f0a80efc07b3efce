"""Observations of the lattice rung's states by each stream of measurements."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from palpate.twin.forecast.predict import shares_above, with_front_error
from palpate.twin.lattice import nearest_in
from palpate.twin.priors import ENHANCING_ABOVE, INFILTRATED_ABOVE
from palpate.twin.rungs.front_modes import FrontModes, front_modes
from palpate.twin.rungs.lattice import LatticeModel
from palpate.twin.rungs.observed import (
    BURDEN,
    CENTROID,
    ENHANCING_VOLUME,
    FLAIR_VOLUME,
    FRONT_MODES,
    FRONT_RADIUS,
    StreamObservation,
    log_column,
)

type Values = NDArray[np.float64]

_FAINT = 1e-6
"""Weight of the density in a centroid beside what is seen, so that it exists where nothing is seen."""


def lattice_observations(model: LatticeModel) -> tuple[StreamObservation, ...]:
    """Return the streams that the lattice rung knows.

    Volumes and burden are logarithms of millilitres, the centroid is in millimetres of world RAS, the radius and the
    modes of the front are in millimetres.

    Args:
        model: lattice rung.
    """
    seen = _Seen(model)
    return (
        StreamObservation(ENHANCING_VOLUME, ("ln_enhancing_volume_ml",), partial(seen.volume, ENHANCING_ABOVE)),
        StreamObservation(FLAIR_VOLUME, ("ln_flair_volume_ml",), partial(seen.volume, INFILTRATED_ABOVE)),
        StreamObservation(BURDEN, ("ln_burden_ml",), seen.burden),
        StreamObservation(CENTROID, ("right_mm", "anterior_mm", "superior_mm"), seen.centroid),
        StreamObservation(FRONT_RADIUS, ("front_radius_mm",), seen.radius),
        StreamObservation(FRONT_MODES, ("front_1_mm", "front_2_mm", "front_3_mm"), seen.modes),
    )


class _Seen:
    """Densities with the front model error, and shares of voxels above thresholds."""

    def __init__(self, model: LatticeModel) -> None:
        history = model.history
        self._model, self._history = model, history
        self._by_mm = nearest_in(history.tissue, history.edges_mm)
        self._by_voxels = nearest_in(history.tissue)
        self._voxel_ml = float(np.prod(history.edges_mm)) * 1e-3
        self._points_mm = np.argwhere(history.tissue) @ history.affine_mm[:3, :3].T + history.affine_mm[:3, 3]
        self._modes: FrontModes = front_modes(history, model.field)

    def volume(self, name: str, x: Values, theta: Values) -> Values:
        return log_column(self._volumes_ml(name, x, theta))

    def burden(self, x: Values, theta: Values) -> Values:  # noqa: ARG002
        return log_column(np.array([one.sum() for one in self._densities(x)]) * self._voxel_ml)

    def centroid(self, x: Values, theta: Values) -> Values:
        shares, densities = self._shares(INFILTRATED_ABOVE, x, theta), np.stack(list(self._densities(x)))
        weights = shares + _FAINT * (densities + np.finfo(np.float64).tiny)
        return np.asarray(weights @ self._points_mm / weights.sum(axis=1, keepdims=True))

    def radius(self, x: Values, theta: Values) -> Values:
        return np.cbrt(3e3 * self._volumes_ml(INFILTRATED_ABOVE, x, theta) / (4.0 * np.pi))[:, None]

    def modes(self, x: Values, theta: Values) -> Values:
        return self._modes.of(self._shares(INFILTRATED_ABOVE, x, theta))

    def _volumes_ml(self, name: str, x: Values, theta: Values) -> Values:
        return self._shares(name, x, theta).sum(axis=1) * self._voxel_ml

    def _densities(self, x: Values) -> Iterator[Values]:
        n = self._model.voxels
        for one in x:
            away_mm = self._model.phi @ one[n + 1 :]
            density = np.clip(one[:n], 0.0, 1.0)
            yield with_front_error(density, away_mm, self._history, self._by_mm) if away_mm.any() else density

    def _shares(self, name: str, x: Values, theta: Values) -> Values:
        """Return the share of each tissue voxel above a threshold, shape (draws, n)."""
        size, layout = self._model.unknowns.size, self._model.unknowns
        found = []
        for density, xi in zip(self._densities(x), theta, strict=True):
            above = layout.natural(xi[:size], name)
            found += shares_above(density, [above], self._history.tissue, self._by_voxels)
        return np.stack(found)
