"""File of a population prior: what a hospital shares, and the settings of the twin that it gives.

It holds a number of patients, the means of parameters over patients and their covariance, and nothing of any patient.
Settings hold the median and the spread of each parameter; the twin's priors are independent, so that correlations
between parameters are kept in the file and not used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.files.json_object import read_json
from palpate.output_kinds import FileKind, json_kind
from palpate.provenance import versions
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.priors import ALPHA, DIFFUSIVITY, KILL, PROLIFERATION, WHITE_TO_GREY
from palpate.twin.trust.population import PatientPosterior, Population, learn
from palpate.units import mm2_day_to_m2_s, per_day_to_per_s

type Values = NDArray[np.float64]

FORMAT: Final = "palpate population prior 1"
"""Name and version of the format of the file."""
PRIOR: Final = FileKind("prior", "population prior", (".json",), json_kind("format", "parameters", "covariance"))
"""Kind of the file."""
_SETTINGS: Final[Mapping[str, tuple[str, float]]] = {
    PROLIFERATION: ("proliferation_1_day", per_day_to_per_s(1.0)),
    DIFFUSIVITY: ("diffusivity_mm2_day", mm2_day_to_m2_s(1.0)),
    WHITE_TO_GREY: ("white_to_grey", 1.0),
    ALPHA: ("alpha_1_gy", 1.0),
}
"""Names of the twin's settings by parameter, and their unit in SI."""
_ADVICE: Final = "Make it again with palpate prior learn."


def population_of(calibrations: Mapping[str, Calibration]) -> Population:
    """Return the population that calibrated patients come from.

    A parameter that a patient does not have, such as the effect of a drug that was not given, counts as untold by that
    patient.

    Args:
        calibrations: calibrations by the place that errors name.

    Raises:
        InputError: priors differ between patients, or there are too few patients.
    """
    reference: dict[str, tuple[float, float]] = {}
    for where, one in calibrations.items():
        for unknown in one.unknowns.single:
            if not _is_shared(unknown.name):
                continue
            first = reference.setdefault(unknown.name, (unknown.mean, unknown.std))
            if not np.allclose(first, (unknown.mean, unknown.std), rtol=1e-12):
                raise InputError(
                    where,
                    found=f"another prior of {unknown.name} than in the other calibrations",
                    expected="patients that were calibrated with the same settings",
                    advice="Calibrate all patients with one configuration.",
                )
    names = sorted(reference)
    mean = np.array([reference[name][0] for name in names])
    spread = np.diag([reference[name][1] ** 2 for name in names])
    posteriors = [_posterior(one, names, mean, spread) for one in calibrations.values()]
    try:
        return learn(names, posteriors, mean, spread)
    except ValueError as error:
        raise InputError(
            "calibrations", found=str(error), expected="calibrated patients of one hospital", advice="Add patients."
        ) from error


def population_text(population: Population) -> str:
    """Return the content of the file.

    Args:
        population: distribution over the patients of one hospital or several.
    """
    record = {
        "format": FORMAT,
        "patients": population.patients,
        "parameters": list(population.names),
        "units": "natural logarithms of SI units: 1/s, m2/s, ratio, 1/Gy, 1/g",
        "mean": population.mean.tolist(),
        "covariance": population.covariance.tolist(),
        "settings": {"twin": settings_of(population)},
        "versions": versions(),
    }
    return json.dumps(record, indent=2) + "\n"


def read_population(path: Path) -> Population:
    """Read the file of population_text.

    Args:
        path: JSON file.

    Raises:
        InputError: it is another file, of another version, or what it holds is no distribution.
    """
    content = read_json(path, what="a population prior", advice=_ADVICE)
    if content.get("format") != FORMAT:
        found = f"the format {content.get('format')!r}"[:60]
        raise InputError(path, found=found, expected=repr(FORMAT), advice=_ADVICE)
    try:
        return Population(
            tuple(str(name) for name in content["parameters"]),
            int(content["patients"]),
            np.array(content["mean"], dtype=np.float64),
            np.array(content["covariance"], dtype=np.float64),
        )
    except (KeyError, TypeError, ValueError) as error:
        found = f"values that cannot be used ({error})"
        raise InputError(path, found=found, expected="what palpate prior writes", advice=_ADVICE) from error


def settings_of(population: Population) -> dict[str, Any]:
    """Return the settings of the twin that have this population's medians and spreads.

    Args:
        population: distribution over patients.
    """
    found: dict[str, Any] = {}
    for name, mean, variance in zip(population.names, population.mean, np.diag(population.covariance), strict=True):
        key, unit = _SETTINGS.get(name, ("kill_1_g", 1.0))
        prior = {"median": float(np.exp(mean) / unit), "log_std": float(np.sqrt(variance))}
        if name.startswith(KILL):
            found.setdefault("drugs", {})[name.removeprefix(KILL)] = {key: prior}
        else:
            found[key] = prior
    return found


def _is_shared(name: str) -> bool:
    """Return whether a parameter is one of tissue and treatment rather than of one patient's images."""
    return name in _SETTINGS or name.startswith(KILL)


def _posterior(one: Calibration, names: Sequence[str], mean: Values, spread: Values) -> PatientPosterior:
    """Return mean and covariance over draws, with the reference prior where the patient lacks a parameter."""
    middle, covariance = mean.copy(), spread.copy()
    at = [(place, one.unknowns.index(name)) for place, name in enumerate(names)]
    own = [(place, index) for place, index in at if index is not None]
    places = [place for place, _ in own]
    xi = one.draws.xi[:, [index for _, index in own]].astype(np.float64)
    stds = np.sqrt(np.diag(spread))[places]
    middle[places] = mean[places] + stds * xi.mean(axis=0)
    covariance[np.ix_(places, places)] = np.outer(stds, stds) * np.cov(xi.T).reshape(len(own), len(own))
    return PatientPosterior(middle, covariance)
