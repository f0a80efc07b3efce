"""Divergence and curl of components that are scaled, moved in time or reversed, as Hermitian forms.

Divergence and curl of components that are moved in time by phases p_c or scaled by s_c are forms in g_c = exp(i p_c) or
g_c = s_c, with other matrices where one component is reversed in time. They follow from the second moments of the
gradient, so that every other reading of the components costs a product of small matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.checks.component_frames import ComponentFrame
from palpate.imaging.checks.gradient_moments import GradientMoments

TURN_DEG: Final = 360.0
"""Whole turn of a phase, degrees."""
_COARSE_DEG: Final = 10.0
_FINE_DEG: Final = 0.5


@dataclass(frozen=True, slots=True)
class ComponentForms:
    """Hermitian forms whose values at exp(i p) are the mean squares of divergence and curl.

    Attributes:
        frame: frame of the components.
        divergence: form of div U, with and without conjugation of the second factor, shape (2, 3, 3).
        curl: form of curl U, likewise, shape (2, 3, 3).
    """

    frame: ComponentFrame
    divergence: NDArray[np.complex128]
    curl: NDArray[np.complex128]

    @classmethod
    def of(cls, moments: GradientMoments, frame: ComponentFrame) -> ComponentForms:
        """Return the forms of the components in a frame.

        Args:
            moments: second moments of the wave field's gradient.
            frame: frame of the components.
        """
        # What component c contributes to U along R, A, S: P_c U with P_c the c-th column of E^-1 times row c of E.
        parts = np.einsum("ac,cb->cab", np.linalg.inv(frame.axes), frame.axes)
        pair = np.stack([moments.proper, moments.pseudo])
        divergence = np.einsum("cab,def,mbafe->mcd", parts, parts, pair)
        squares = np.einsum("cab,daf,mbwfw->mcd", parts, parts, pair)
        products = np.einsum("cab,dwf,mbwfa->mcd", parts, parts, pair)
        return cls(frame, np.asarray(divergence), np.asarray(squares - products))

    def ratios(self, factors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return divergence over curl of components times factors, shape (n,).

        Args:
            factors: factors of the components, shape (n, 3).
        """
        return _ratios(self.divergence[0], self.curl[0], factors.astype(np.complex128))

    def least(self, backwards: int | None) -> tuple[float, NDArray[np.float64]]:
        """Return the least ratio, and the phases to add to the components for it, degrees, shape (3,), the first 0.

        Args:
            backwards: number of the component to conjugate first; None for none.
        """
        divergence, curl = (_reversed(form, backwards) for form in (self.divergence, self.curl))
        best, phases_deg = np.inf, np.zeros(3)
        for width_deg, step_deg in ((TURN_DEG / 2.0, _COARSE_DEG), (_COARSE_DEG, _FINE_DEG)):
            along = np.arange(-width_deg, width_deg + 0.5 * step_deg, step_deg)
            second, third = (one.ravel() for one in np.meshgrid(phases_deg[1] + along, phases_deg[2] + along))
            tried = np.stack([np.zeros_like(second), second, third], axis=-1)
            ratios = _ratios(divergence, curl, np.exp(1j * np.radians(tried)))
            chosen = int(ratios.argmin())
            best, phases_deg = float(ratios[chosen]), tried[chosen]
        return best, phases_deg


def _ratios(
    divergence: NDArray[np.complex128], curl: NDArray[np.complex128], factors: NDArray[np.complex128]
) -> NDArray[np.float64]:
    """Return divergence over curl of components times complex factors, shape (n,)."""
    above, below = (
        np.einsum("nc,cd,nd->n", factors, form, factors.conj(), optimize=True).real for form in (divergence, curl)
    )
    return np.asarray(np.sqrt(np.maximum(above, 0.0) / np.maximum(below, 1e-300)))


def _reversed(form: NDArray[np.complex128], backwards: int | None) -> NDArray[np.complex128]:
    """Return the form with one component conjugated, shape (3, 3)."""
    proper, pseudo = form
    if backwards is None:
        return np.asarray(proper)
    made = proper.copy()
    made[:, backwards] = pseudo[:, backwards]
    made[backwards, :] = pseudo[backwards, :].conj()
    made[backwards, backwards] = proper[backwards, backwards].conj()
    return np.asarray(made)
