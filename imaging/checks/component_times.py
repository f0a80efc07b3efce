"""Check that the three components of a wave field share one time: none is shifted in the period, none reversed.

Two faults of one direction pass every check of one direction alone: its offsets start later than
those of the others (its displacement is turned by a phase), or they run backwards (its displacement is the complex
conjugate). Tissue is nearly incompressible at every instant, so that both make a divergence which the right times do
not have. Divergence and curl of components moved in time by phases p_c are Hermitian forms in exp(i p_c), with other
matrices where one component is reversed; their ratio is smallest at the phases that fit the data best.

On sound data the phases come out as zero to a few degrees, even where thick and distant slices leave a large divergence
(3.8 degrees on a real scan of five slices). One offset of eight is 45 degrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.checks.component_axes import component_frames
from palpate.imaging.checks.gradient_moments import GradientMoments, divergence_over_curl
from palpate.imaging.limits.check_limits import AXES_LEAST, REVERSED_GAIN, SHIFTED_DEG, SHIFTED_GAIN
from palpate.imaging.wavefield import WaveField
from palpate.quality_warning import QualityWarning

_COARSE_DEG: Final = 10.0
_FINE_DEG: Final = 0.5
_TURN_DEG: Final = 360.0


@dataclass(frozen=True, slots=True)
class ComponentTimes:
    """Divergence of the components as given, and at times of their own.

    Attributes:
        given: root mean square of div U over that of curl U.
        best: this ratio at the best times of one frame's components.
        component: name of the odd component, such as "encoding direction 2".
        ahead_deg: phase by which its vibration is ahead of the other two, degrees.
        backwards: whether its time is reversed at the best times.
    """

    given: float
    best: float
    component: str
    ahead_deg: float = 0.0
    backwards: bool = False


def component_times(
    moments: GradientMoments, field: WaveField, encoding_axes: NDArray[np.float64] | None = None
) -> tuple[ComponentTimes, ComponentTimes]:
    """Find the times of the components at which divergence over curl is least.

    Args:
        moments: second moments of the wave field's gradient.
        field: wave field, for its axes.
        encoding_axes: axes along which the scanner encoded, in R A S, shape (3, 3), where they are known.

    Returns:
        The best with components shifted, and the best with one component reversed and components shifted.
    """
    given = divergence_over_curl(moments.proper.real)
    shifts, reversals = [], []
    for axes, names, what in component_frames(field, encoding_axes):
        forms = ComponentForms.of(moments, axes)
        ratio, phases_deg = forms.least(None)
        odd, ahead_deg = _odd_one(phases_deg)
        shifts.append(ComponentTimes(given, ratio, f"{what} {names[odd]}", ahead_deg))
        for number, name in enumerate(names):
            reversals.append(ComponentTimes(given, forms.least(number)[0], f"{what} {name}", backwards=True))
    return min(shifts, key=lambda one: one.best), min(reversals, key=lambda one: one.best)


def check_component_times(found: ComponentTimes) -> tuple[QualityWarning, ...]:
    """Warn where one component is reversed in time, or shifted against the others.

    Args:
        found: one of the results of component_times.
    """
    limit = REVERSED_GAIN if found.backwards else SHIFTED_GAIN
    if found.given < AXES_LEAST or found.best > limit * found.given:
        return ()
    if found.backwards:
        told = (
            f"{found.component} ran backwards in time, or one of real and imaginary part were mirrored along this axis"
        )
    elif abs(found.ahead_deg) > SHIFTED_DEG:
        side = "ahead of" if found.ahead_deg > 0 else "behind"
        told = f"{found.component} were {abs(found.ahead_deg):.0f} degrees of the vibration {side} the other two"
    else:
        return ()
    sentence = (
        f"The components seem to have been measured at different times: divergence over curl is {found.given:.2f}, and "
        f"it would be {found.best:.2f} if {told}."
    )
    advice = (
        "Check order and first image of this component's time offsets; of arrays, sign and orientation of the "
        "imaginary part. Stiffness from this wave field is wrong."
    )
    return (QualityWarning("component-times", sentence, advice),)


@dataclass(frozen=True, slots=True)
class ComponentForms:
    """Hermitian forms whose values at exp(i p) are the mean squares of divergence and curl.

    Attributes:
        divergence: form of div U, with and without conjugation of the second factor, shape (2, 3, 3).
        curl: form of curl U, likewise, shape (2, 3, 3).
    """

    divergence: NDArray[np.complex128]
    curl: NDArray[np.complex128]

    @classmethod
    def of(cls, moments: GradientMoments, axes: NDArray[np.float64]) -> ComponentForms:
        """Return the forms of the components along some axes, in rows."""
        # What component c contributes to U along R, A, S: P_c U with P_c the c-th column of E^-1 times row c of E.
        parts = np.einsum("ac,cb->cab", np.linalg.inv(axes), axes)
        pair = np.stack([moments.proper, moments.pseudo])
        divergence = np.einsum("cab,def,mbafe->mcd", parts, parts, pair)
        squares = np.einsum("cab,daf,mbwfw->mcd", parts, parts, pair)
        products = np.einsum("cab,dwf,mbwfa->mcd", parts, parts, pair)
        return cls(np.asarray(divergence), np.asarray(squares - products))

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
        for width_deg, step_deg in ((_TURN_DEG / 2.0, _COARSE_DEG), (_COARSE_DEG, _FINE_DEG)):
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


def _odd_one(phases_deg: NDArray[np.float64]) -> tuple[int, float]:
    """Return which component differs most from the other two, and by how much it is ahead of them, degrees."""
    apart = [_wrapped(float(phases_deg[(n + 1) % 3] - phases_deg[(n + 2) % 3])) for n in range(3)]
    odd = int(np.argmin(np.abs(apart)))
    others = phases_deg[(odd + 2) % 3] + 0.5 * apart[odd]
    # The phases are those to add: who is ahead must go back.
    return odd, -_wrapped(float(phases_deg[odd] - others))


def _wrapped(angle_deg: float) -> float:
    return (angle_deg + 180.0) % _TURN_DEG - 180.0
