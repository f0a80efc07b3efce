"""Drugs of the configuration as courses of the growth models: from doses to concentration and to effect.

A patient's clearance CL and volume of distribution V, beside those of the configuration for 70 kg and healthy kidneys,

    CL / CL_70 = (w / 70 kg)^0.75 (1 - f (1 - min(1, c / 120 mL/min))),     V / V_70 = w / 70 kg,

with the weight w, the kidneys' share f of the clearance, and the clearance c of creatinine. The rate of elimination is
CL / V. The prior of the kill by one gram is that of the usual exposure to it, so that a patient who clears a drug at
half the rate has twice the kill by proportion.

Sources: Tozer 1974, J Pharmacokinet Biopharm 2:13 (share of the kidneys); Anderson and Holford 2008, Annu Rev
Pharmacol Toxicol 48:303 (weight).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from palpate.config.twin import DrugSettings, TwinSettings
from palpate.imaging.tumour.history import DrugDose, TumourMarkers
from palpate.quality_warning import QualityWarning
from palpate.solvers.growth.treatment.pharmacokinetics import (
    DrugCourse,
    Emax,
    LogKill,
    Pharmacokinetics,
    absorbed,
    one_compartment,
    two_compartment,
)
from palpate.units import days_to_s, mg_l_to_kg_m3, mg_to_kg, per_day_to_per_s

_M3_A_LITRE: Final = 1e-3
_GRAM_MG: Final = 1000.0
_HOURS_A_DAY: Final = 24.0
_FOREVER_HALF_LIVES: Final = 60.0
"""Half-lives after which nothing of a dose is left, to rounding."""
_WEIGHT_KG: Final = 70.0
_CREATININE_CLEARANCE: Final = 120.0
"""Clearance of creatinine of healthy kidneys, mL/min."""
_CLEARANCE_EXPONENT: Final = 0.75


def kinetics(drug: DrugSettings) -> Pharmacokinetics:
    """Return the concentration of a drug in time, after a dose of 1 kg.

    Args:
        drug: half-life, absorption, volume of distribution and second compartment.
    """
    elimination = float(np.log(2.0) / days_to_s(drug.half_life_h / _HOURS_A_DAY))
    absorption = None if drug.absorption_1_day is None else per_day_to_per_s(drug.absorption_1_day)
    volume_m3 = _M3_A_LITRE * drug.volume_l
    if drug.exchange is None:
        return one_compartment(volume_m3, elimination, absorption, drug.bioavailability)
    out, back = per_day_to_per_s(drug.exchange.out_1_day), per_day_to_per_s(drug.exchange.back_1_day)
    return absorbed(two_compartment(volume_m3, elimination, out, back), absorption, drug.bioavailability)


def course(name: str, doses: Sequence[DrugDose], drug: DrugSettings, first_day: float = 0.0) -> DrugCourse:
    """Return the course of a drug.

    Args:
        name: name of the drug.
        doses: doses of this drug, in order of their days.
        drug: settings of the drug.
        first_day: day from which the course's seconds are counted.
    """
    half = drug.half_effect_mg_l
    return DrugCourse(
        name,
        tuple(days_to_s(one.day - first_day) for one in doses),
        tuple(mg_to_kg(one.amount_mg) for one in doses),
        kinetics(drug),
        LogKill() if half is None else Emax(mg_l_to_kg_m3(half)),
        drug.radiosensitisation_l_mg / mg_l_to_kg_m3(1.0),
    )


def gram_exposure(drug: DrugSettings) -> float:
    """Return the exposure to one gram of a drug, from the dose until nothing is left.

    A share exp(-s E) of the cells survives this exposure E at a sensitivity s. It is in kg/m3 s where the drug kills in
    proportion to its concentration, in s where the effect saturates.

    Args:
        drug: settings of the drug.
    """
    one = course("one gram", (DrugDose(0.0, "one gram", _GRAM_MG),), drug)
    if isinstance(one.dynamics, LogKill):
        terms = zip(one.kinetics.coefficients_1_m3, one.kinetics.rates_1_s, strict=True)
        return one.amounts_kg[0] * float(sum(c / r for c, r in terms))
    forever_s = _FOREVER_HALF_LIVES * float(np.log(2.0)) / min(one.kinetics.rates_1_s)
    return float(one.exposure(0.0, np.array(forever_s)))


def of_patient(settings: TwinSettings, patient: TumourMarkers | None) -> tuple[TwinSettings, tuple[str, ...]]:
    """Return the settings with the drugs' kinetics of a patient, and what is missing for some.

    Settings that were adapted stay as they are, since their drugs ask for nothing any more.

    Args:
        settings: settings of the twin, with drugs of 70 kg and healthy kidneys.
        patient: facts about the patient; None where nothing is known.

    Returns:
        The settings, and a sentence for each drug whose kinetics ask for a fact that is not known.
    """
    patient = patient or TumourMarkers()
    adapted, missing = {}, []
    for name, drug in settings.drugs.items():
        adapted[name], lacking = _adapted(drug, patient)
        if lacking:
            missing.append(f"{name}: {' and '.join(lacking)} not known, the usual value was taken")
    return settings.model_copy(update={"drugs": adapted}), tuple(missing)


def clearance_warnings(missing: tuple[str, ...]) -> tuple[QualityWarning, ...]:
    """Return the warning of kinetics that could not be adapted to the patient; none where nothing is missing.

    Args:
        missing: sentence of each drug, from `of_patient`.
    """
    if not missing:
        return ()
    sentence = f"The clearance of drugs is not this patient's. {'; '.join(missing)}."
    return (QualityWarning("clearance-not-adapted", sentence, "Add the facts to participants.tsv, and start again."),)


def _adapted(drug: DrugSettings, patient: TumourMarkers) -> tuple[DrugSettings, list[str]]:
    """Return a drug's settings for a patient, and the names of facts that are missing."""
    lacking = []
    clearance = volume = 1.0
    if drug.by_weight:
        if patient.weight_kg is None:
            lacking.append("weight")
        else:
            volume = patient.weight_kg / _WEIGHT_KG
            clearance = volume**_CLEARANCE_EXPONENT
    if drug.renal_share > 0.0:
        of_creatinine = patient.creatinine_clearance_ml_min
        if of_creatinine is None:
            lacking.append("clearance of creatinine (age, sex, weight, creatinine)")
        else:
            clearance *= 1.0 - drug.renal_share * (1.0 - min(1.0, of_creatinine / _CREATININE_CLEARANCE))
    if not (drug.by_weight or drug.renal_share):
        return drug, lacking
    scaled = {"half_life_h": drug.half_life_h * volume / clearance, "volume_l": drug.volume_l * volume}
    scaled |= {"by_weight": False, "renal_share": 0.0}
    own = drug.model_copy(update=scaled)
    median = drug.kill_1_g.median * gram_exposure(own) / gram_exposure(drug)
    return own.model_copy(update={"kill_1_g": drug.kill_1_g.model_copy(update={"median": median})}), lacking
