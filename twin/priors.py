"""Unknowns of a tumour and their priors: independent normal numbers, most of them logarithms.

Every unknown is q = mean + std xi with xi ~ N(0, 1); calibration works in xi. The ranges of the rates are those of the
literature and come from the configuration (palpate.config.twin), the others are stated here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from palpate.config.twin import LogNormal, TwinSettings
from palpate.errors import InputError
from palpate.imaging.tumour.history import TumourHistory, TumourMarkers
from palpate.twin.biology import kill_of
from palpate.units import mm2_day_to_m2_s, per_day_to_per_s

type Values = NDArray[np.float64]
type Scale = Literal["log", "logit", "mm"]

PROLIFERATION: Final = "proliferation"
"""Name of the unknown: rate of growth k, 1/s."""
DIFFUSIVITY: Final = "diffusivity"
"""Name of the unknown: diffusivity D of white matter, m2/s."""
WHITE_TO_GREY: Final = "white_to_grey"
"""Name of the unknown: ratio of D in white matter to D in grey matter."""
ALPHA: Final = "alpha"
"""Name of the unknown: radiosensitivity alpha, 1/Gy."""
KILL: Final = "kill:"
"""Beginning of the name of the unknown kill by a drug, 1/g; the name of the drug follows."""
SLOWING: Final = "stress_slowing"
"""Name of the unknown: product gamma lambda by which stress slows invasion, without unit."""
WIDTH: Final = "front_width"
"""Name of the unknown: width of the front at the first scan over that of a free wave."""
OFFSET: Final = "outline_offset"
"""Name of the unknown: distance of the true outline beyond the visible one at the first scan, mm."""
PLATEAU: Final = "plateau"
"""Name of the unknown: largest density at the first scan."""
GAIN: Final = "cellularity_gain"
"""Name of the unknown: factor on all of a patient's cellularity."""
ENHANCING_ABOVE: Final = "enhancing_above"
"""Name of the unknown: density above which contrast agent is taken up."""
INFILTRATED_ABOVE: Final = "infiltrated_above"
"""Name of the unknown: density above which FLAIR is bright."""
BIOPSY: Final = "biopsy"
"""Kind of the data of biopsies, which have no unknown of their own: they tell the density itself."""

WIDTH_LOG: Final = (-0.5, 0.4)
"""Mean and standard deviation of ln c, the front's width beyond what is visible over that of a free wave in white
matter; grey matter, slower, makes it narrower."""
PLATEAU_LOGIT: Final = (4.0, 1.0)
"""Mean and standard deviation of the logit of the largest density at the first scan; its median is 0.98."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Unknown number with a normal prior after a transform.

    Attributes:
        name: name of the number.
        mean: prior mean of the transformed number, SI inside logarithms.
        std: prior standard deviation of the transformed number.
        scale: transform of the number; "mm" is none.
    """

    name: str
    mean: float
    std: float
    scale: Scale = "log"

    def natural(self, transformed: Values) -> Values:
        """Return the number itself, from its transform."""
        if self.scale == "log":
            return np.exp(transformed)
        if self.scale == "logit":
            return np.asarray(1.0 / (1.0 + np.exp(-transformed)))
        return transformed


@dataclass(frozen=True, slots=True)
class Unknowns:
    """Layout of xi: single numbers, drifts of ln k by interval, then shapes of outline, ln k and ln G'.

    Attributes:
        single: single numbers with their priors.
        drifts: number of intervals between scans.
        shapes: number of the outline's shapes.
        fields: number of the shapes by which ln k varies in space; 0 where it does not.
        modes: number of the shapes by which the stiffness may differ.
    """

    single: tuple[Unknown, ...]
    drifts: int
    shapes: int
    fields: int = 0
    modes: int = 0

    @property
    def size(self) -> int:
        """Length of xi."""
        return len(self.single) + self.drifts + self.shapes + self.fields + self.modes

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the single numbers."""
        return tuple(one.name for one in self.single)

    def index(self, name: str) -> int | None:
        """Return the index of a single number in xi; None if this tumour does not have it."""
        return self.names.index(name) if name in self.names else None

    def value(self, xi: Values, name: str) -> float:
        """Return the transformed number q; its prior mean must exist."""
        at = self.names.index(name)
        return self.single[at].mean + self.single[at].std * float(xi[at])

    def natural(self, xi: Values, name: str) -> float:
        """Return the number itself."""
        return float(self.single[self.names.index(name)].natural(np.asarray(self.value(xi, name))))

    def drift_slice(self) -> slice:
        """Return the slice of xi with the drifts."""
        return slice(len(self.single), len(self.single) + self.drifts)

    def shape_slice(self) -> slice:
        """Return the slice of xi with the outline's shapes."""
        return slice(len(self.single) + self.drifts, self.field_slice().start)

    def field_slice(self) -> slice:
        """Return the slice of xi with the shapes of ln k."""
        return slice(self.mode_slice().start - self.fields, self.mode_slice().start)

    def mode_slice(self) -> slice:
        """Return the slice of xi with the shapes of the stiffness."""
        return slice(self.size - self.modes, self.size)


def unknowns(history: TumourHistory, settings: TwinSettings, shapes: int, fields: int = 0, modes: int = 0) -> Unknowns:
    """Return the unknowns of this tumour.

    Args:
        history: scans and treatment of the tumour; a treatment that was not given has no unknown.
        settings: settings of the twin, with the priors.
        shapes: number of shapes of the outline.
        fields: number of shapes of ln k.
        modes: number of shapes of the stiffness.

    Raises:
        InputError: a drug is not in the configuration.
    """
    single = [
        _log(PROLIFERATION, settings.proliferation_1_day, per_day_to_per_s(1.0)),
        _log(DIFFUSIVITY, settings.diffusivity_mm2_day, mm2_day_to_m2_s(1.0)),
        _log(WHITE_TO_GREY, settings.white_to_grey),
    ]
    if history.irradiations:
        single.append(alpha_prior(settings))
    single += [kill_prior(drug, settings, history.markers) for drug in drugs(history)]
    if settings.mechanics:
        single.append(_log(SLOWING, settings.stress_slowing))
    single += [
        Unknown(WIDTH, *WIDTH_LOG),
        Unknown(OFFSET, 0.0, settings.outline_std_mm, "mm"),
        Unknown(PLATEAU, *PLATEAU_LOGIT, "logit"),
        Unknown(GAIN, 0.0, settings.cellularity_gain_log_std),
        Unknown(ENHANCING_ABOVE, logit(settings.enhancing_above), settings.threshold_logit_std, "logit"),
        Unknown(INFILTRATED_ABOVE, logit(settings.infiltrated_above), settings.threshold_logit_std, "logit"),
    ]
    return Unknowns(tuple(single), len(history.scans) - 1, shapes, fields, modes)


def drugs(history: TumourHistory) -> tuple[str, ...]:
    """Return the names of the drugs that were given, in alphabetical order."""
    return tuple(sorted({dose.drug for dose in history.drug_doses}))


def alpha_prior(settings: TwinSettings) -> Unknown:
    """Return the prior of the radiosensitivity alpha.

    Args:
        settings: settings of the twin.
    """
    return _log(ALPHA, settings.alpha_1_gy)


def kill_prior(drug: str, settings: TwinSettings, markers: TumourMarkers | None = None) -> Unknown:
    """Return the prior of a drug's sensitivity.

    Args:
        drug: name of the drug.
        settings: settings of the twin, with the prior of all patients.
        markers: markers of the patient, which may shift it (palpate.twin.biology); None where nothing is known.

    Raises:
        InputError: it is not in the configuration.
    """
    if drug not in settings.drugs:
        raise InputError(
            "treatments",
            found=f"the drug {drug}",
            expected=f"one of {', '.join(sorted(settings.drugs))}",
            advice="Add its half-life and what it kills to the drugs of the twin's settings.",
        )
    return _log(KILL + drug, kill_of(drug, settings, markers))


def logit(share: float) -> float:
    """Return the logarithm of the odds."""
    return float(np.log(share / (1.0 - share)))


def _log(name: str, known: LogNormal, unit: float = 1.0) -> Unknown:
    return Unknown(name, float(np.log(known.median * unit)), known.log_std)
