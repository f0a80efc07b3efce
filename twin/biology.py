"""Biology that shifts named priors by factors of cited studies: hypoxia and the state of MGMT's promoter.

Hypoxia. Where a share h of the cells is hypoxic, a dose d acts as m d does on well-supplied cells,

    m = 1 - h (1 - 1 / OER),        so that alpha becomes m alpha and beta becomes m^2 beta.

The oxygen enhancement ratio is about 3 in vitro for photons and depends little on dose (Wenzl and Wilkens, Radiat Oncol
6 (2011) 171). A fraction meets the map of the last scan until its day, or the first map where there was none yet.

MGMT. Hegi et al., N Engl J Med 352 (2005) 997: adding temozolomide to radiotherapy had a hazard ratio of 0.51 where
the promoter was methylated (45 % of 206 patients) and of 0.69 where it was not. Kill is taken as proportional to the
logarithm of the hazard ratio: with L = ln(ln 0.51 / ln 0.69) = ln 1.81 and p = 0.45,

    methylated      ln s -> ln s + (1 - p) L,   variance w + (1 - p)^2 v
    unmethylated    ln s -> ln s - p L,         variance w + p^2 v        w = sigma^2 - p (1 - p) (L^2 + v)

v is the variance of L. Both groups together have the mean and the variance sigma^2 of the prior of all patients. The
sign agrees with a meta-analysis of progression (Zhao et al., Front Neurol 9 (2018) 127: hazard ratio of methylated
over unmethylated 0.48 with temozolomide, 0.76 without).

IDH and age are read and shift nothing: no study was found that states a factor for the rates of this model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.twin import LogNormal, TwinSettings
from palpate.imaging.tumour.history import Irradiation, TumourHistory, TumourMarkers

type Values = NDArray[np.float64]

TEMOZOLOMIDE: Final = "temozolomide"
"""Name of the drug whose effect depends on MGMT."""
METHYLATED_SHARE: Final = 0.45
"""Share p of patients whose promoter is methylated."""
MGMT_LOG: Final = math.log(math.log(0.51) / math.log(0.69))
"""Logarithm L of the ratio of temozolomide's effect, methylated over unmethylated."""
MGMT_LOG_STD: Final = 0.7
"""Standard deviation of L. That of ln 0.51 follows from its P of 0.007, that of ln 0.69 from the groups' sizes."""
_WENZL: Final = "Wenzl and Wilkens, Radiat Oncol 6 (2011) 171"
_HEGI: Final = "Hegi et al., N Engl J Med 352 (2005) 997; Zhao et al., Front Neurol 9 (2018) 127"


@dataclass(frozen=True, slots=True)
class PriorShift:
    """Effect of one fact on a prior.

    Attributes:
        fact: the fact, such as "MGMT methylated".
        prior: name of the prior; empty where none is shifted.
        factor: factor on its median, or on the radiosensitivity in the mean of the visible tumour; None without one.
        log_std: standard deviation of the prior's logarithm after the shift; None where it stays.
        source: study that states the factor; empty without one.
        sentence: all of it for a person.
    """

    fact: str
    prior: str
    factor: float | None
    log_std: float | None
    source: str
    sentence: str

    def as_record(self) -> dict[str, Any]:
        """Return the entry of `prior_shifts` in a record."""
        return asdict(self)


def mgmt_prior(known: LogNormal, mgmt: str) -> LogNormal | None:
    """Return the prior of temozolomide's kill of patients in one state of MGMT's promoter.

    Args:
        known: prior of all patients.
        mgmt: "methylated" or "unmethylated".

    Returns:
        The shifted prior; None where that of all patients is narrower than the difference between the two states.
    """
    p, v = METHYLATED_SHARE, MGMT_LOG_STD**2
    within = known.log_std**2 - p * (1.0 - p) * (MGMT_LOG**2 + v)
    if within <= 0.0:
        return None
    weight = 1.0 - p if mgmt == "methylated" else -p
    median = known.median * math.exp(weight * MGMT_LOG)
    return LogNormal(median=median, log_std=math.sqrt(within + weight**2 * v))


def kill_of(drug: str, settings: TwinSettings, markers: TumourMarkers | None) -> LogNormal:
    """Return the prior of a drug's kill for a patient with these markers.

    Args:
        drug: name of the drug, which the settings have.
        settings: settings of the twin, with the prior of all patients.
        markers: markers of the patient; None where nothing is known.
    """
    known = settings.drugs[drug].kill_1_g
    if drug != TEMOZOLOMIDE or markers is None or markers.mgmt is None:
        return known
    return mgmt_prior(known, markers.mgmt) or known


def with_markers(settings: TwinSettings, markers: TumourMarkers | None) -> TwinSettings:
    """Return settings whose priors of drugs are those of a patient with these markers.

    Args:
        settings: settings of the twin, with the priors of all patients.
        markers: markers of the patient; None where nothing is known.
    """
    if markers is None:
        return settings
    drugs = {
        name: one.model_copy(update={"kill_1_g": kill_of(name, settings, markers)})
        for name, one in settings.drugs.items()
    }
    return settings.model_copy(update={"drugs": drugs})


def dose_factor(hypoxia: Values, oxygen_enhancement_ratio: float) -> Values:
    """Return the factor m by which a dose acts less on hypoxic cells, in the shape of the map.

    Args:
        hypoxia: share h of the cells that are hypoxic, 0 to 1.
        oxygen_enhancement_ratio: ratio OER of equally effective doses, hypoxic over well-supplied.
    """
    return np.asarray(1.0 - hypoxia * (1.0 - 1.0 / oxygen_enhancement_ratio))


def effective_irradiations(history: TumourHistory, settings: TwinSettings) -> tuple[Irradiation, ...]:
    """Return the fractions with the doses that act: a history without maps of hypoxia has its own, unchanged.

    Args:
        history: history of the tumour on any grid.
        settings: settings of the twin, with the oxygen enhancement ratio.
    """
    maps = [(scan.day, scan.hypoxia) for scan in history.scans if scan.hypoxia is not None]
    if not maps:
        return history.irradiations
    found = []
    for one in history.irradiations:
        before = [hypoxia for day, hypoxia in maps if day <= one.day]
        factor = dose_factor(before[-1] if before else maps[0][1], settings.oxygen_enhancement_ratio)
        found.append(replace(one, dose_gy=one.dose_gy * factor))
    return tuple(found)


def prior_shifts(history: TumourHistory, settings: TwinSettings) -> tuple[PriorShift, ...]:
    """Return what the patient's biology does to priors, fact by fact; nothing where nothing is known.

    Args:
        history: history of the tumour.
        settings: settings of the twin, with the priors of all patients.
    """
    markers = history.markers or TumourMarkers()
    found = list(_hypoxia_shifts(history, settings))
    if markers.mgmt is not None:
        found.append(_mgmt_shift(markers.mgmt, settings))
    if markers.idh is not None:
        found.append(_unshifted(f"IDH {markers.idh}", "no published factor for the rates of growth or invasion"))
    if markers.age is not None:
        found.append(_unshifted("age", "no published factor for the rates of growth or invasion"))
    return tuple(found)


def untried(shifts: Sequence[PriorShift]) -> tuple[str, ...]:
    """Return the facts that shift priors in words: no cohort had them, so that they lie outside what was tried.

    Args:
        shifts: effects of a patient's biology on priors.
    """
    return tuple(f"{one.fact}, which shifts {one.prior}" for one in shifts if one.factor is not None)


def _hypoxia_shifts(history: TumourHistory, settings: TwinSettings) -> tuple[PriorShift, ...]:
    ratio, found = settings.oxygen_enhancement_ratio, []
    for scan in history.scans:
        if scan.hypoxia is None:
            continue
        where = scan.tumour if scan.tumour.any() else history.tissue
        factor = float(dose_factor(scan.hypoxia, ratio)[where].mean())
        fact = f"hypoxia of day {scan.day:g}"
        sentence = (
            f"{_capital(fact)}: alpha is multiplied by 1 - h (1 - 1/{ratio:g}) and beta by its square, voxel by voxel; "
            f"{factor:.2f} in the mean of the visible tumour ({_WENZL})."
        )
        found.append(PriorShift(fact, "alpha", factor, None, _WENZL, sentence))
    return tuple(found)


def _mgmt_shift(mgmt: str, settings: TwinSettings) -> PriorShift:
    fact = f"MGMT {mgmt}"
    if TEMOZOLOMIDE not in settings.drugs:
        return _unshifted(fact, f"the settings have no drug {TEMOZOLOMIDE}")
    known = settings.drugs[TEMOZOLOMIDE].kill_1_g
    shifted = mgmt_prior(known, mgmt)
    if shifted is None:
        return _unshifted(fact, "the prior of the settings is narrower than the difference between the two states")
    factor = shifted.median / known.median
    sentence = (
        f"{fact}: the prior median of the kill by {TEMOZOLOMIDE} is multiplied by {factor:.2f}, the standard deviation "
        f"of its logarithm becomes {shifted.log_std:.2f} ({_HEGI})."
    )
    return PriorShift(fact, f"kill by {TEMOZOLOMIDE}", factor, shifted.log_std, _HEGI, sentence)


def _unshifted(fact: str, why: str) -> PriorShift:
    return PriorShift(fact, "", None, None, "", f"{_capital(fact)} does not change priors: {why}.")


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
