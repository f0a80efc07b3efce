"""Simulation-based calibration: a check of the intervals over many patients whose truth is known.

For each quantity whose truth is known - a voxel, the mean of a region - its rank among the posterior's joint draws,

    u = (number of draws below the truth + a uniform number) / (draws + 1),

is uniform on [0, 1] if the posterior is calibrated (Talts et al. 2018). The central interval of level L holds the truth
where |u - 1/2| <= L / 2. Patients are independent, voxels are not: error bars come from the spread between patients.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from palpate.config.study import Session
from palpate.errors import InputError
from palpate.imaging.draw_scores import crps
from palpate.imaging.files.json_object import read_json
from palpate.imaging.files.nifti import read_nifti
from palpate.imaging.files.stiffness_folder import MODULI, Modulus, StiffnessMaps, read_stiffness
from palpate.service.score import counted_draws, counted_voxels, cube_voxels, cubes, direct_errors, read_truth

LEVELS: Final = (0.5, 0.8, 0.9, 0.95)
"""Probabilities of the intervals whose coverage is measured."""
_FINE_LEVELS: Final = np.arange(0.05, 1.0, 0.05)
_COHORTS: Final = 2000
REGION_EDGES_MM: Final = (6.0, 10.0, 16.0, 24.0)
"""Edges of the cubes whose mean stiffness is ranked, millimetres."""

_FULLEST: Final = 0.5
"""Share of a cube's voxels that must count for the cube to count."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """Ranks of truths among draws, for one modulus and one kind of quantity.

    Attributes:
        patients: arrays of ranks u in (0, 1), one for each patient that has such quantities.
    """

    patients: tuple[NDArray[np.float64], ...]

    @property
    def pooled(self) -> NDArray[np.float64]:
        """Ranks of all patients in one array, shape (n,)."""
        return np.concatenate(self.patients)

    def coverage(self, level: float) -> tuple[float, float]:
        """Return the share of central intervals of a level that hold the truth, and its standard error.

        The standard error comes from the spread between patients, as voxels are not independent; NaN for one patient.
        """
        held = [np.abs(u - 0.5) <= level / 2.0 for u in self.patients]
        share = float(np.concatenate(held).mean())
        weights = np.array([h.size for h in held]) / sum(h.size for h in held)
        spread = np.sum((weights * (np.array([h.mean() for h in held]) - share)) ** 2)
        count = len(held)
        return share, float(np.sqrt(spread * count / (count - 1))) if count > 1 else float("nan")

    @property
    def calibration_error(self) -> float:
        """Expected calibration error: mean of |share - level| over the levels 5, 10, ... 95 %."""
        counts, held = self._held
        return float(np.mean(np.abs(held.sum(axis=0) / counts.sum() - _FINE_LEVELS)))

    @property
    def resampled_error(self) -> tuple[float, float]:
        """Central 90 % interval of the calibration errors of cohorts resampled from the patients."""
        counts, held = self._held
        patients = len(counts)
        drawn = np.random.default_rng(32).multinomial(patients, np.full(patients, 1.0 / patients), _COHORTS)
        errors = np.abs((drawn @ held) / (drawn @ counts)[:, None] - _FINE_LEVELS).mean(axis=1)
        low, high = np.quantile(errors, (0.05, 0.95))
        return float(low), float(high)

    @property
    def _held(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Things of each patient, shape (patients,), and how many intervals hold them, shape (patients, levels)."""
        counts = np.array([u.size for u in self.patients])
        levels = _FINE_LEVELS[:, None]
        return counts, np.array([np.sum(np.abs(u - 0.5) <= levels / 2.0, axis=1) for u in self.patients])

    def histogram(self, bins: int = 20) -> NDArray[np.float64]:
        """Return the density of the ranks in equal bins; 1 everywhere if calibrated."""
        return np.histogram(self.pooled, bins=bins, range=(0.0, 1.0))[0] * bins / self.pooled.size


@dataclass(frozen=True, slots=True)
class Sharpness:
    """Width of intervals and accuracy of three estimates, over the voxels of all patients.

    Attributes:
        width: median width of the 95 % interval over the truth.
        crps_kpa: mean continuous ranked probability score of the posterior, kPa.
        direct_crps_kpa: mean score of the direct inversion, kPa; as it is a single value, its score is its absolute
            error.
        prior_crps_kpa: mean score of the prior alone, kPa: a log-normal distribution around the direct inversion's
            median.
    """

    width: float
    crps_kpa: float
    direct_crps_kpa: float
    prior_crps_kpa: float


@dataclass(frozen=True, slots=True)
class CalibrationScores:
    """Ranks and sharpness of a cohort whose truth is known.

    Attributes:
        patients: number of patients.
        ranks: ranks by modulus and by kind: "voxels", "regions of 10 mm", "voxels of white matter", ...
        sharpness: sharpness by modulus, over voxels.
        informed_share: informed share of the tissue voxels of all patients.
    """

    patients: int
    ranks: Mapping[Modulus, Mapping[str, Ranks]]
    sharpness: Mapping[Modulus, Sharpness]
    informed_share: float

    def to_json(self) -> dict[str, Any]:
        """Return the calibration as JSON values."""
        return {
            "patients": self.patients,
            "informed_share": self.informed_share,
            **{modulus: self._modulus_json(modulus) for modulus in MODULI},
        }

    def _modulus_json(self, modulus: Modulus) -> dict[str, Any]:
        sharp = self.sharpness[modulus]
        return {
            "interval_width": sharp.width,
            "crps_kpa": sharp.crps_kpa,
            "crps_direct_kpa": sharp.direct_crps_kpa,
            "crps_prior_kpa": sharp.prior_crps_kpa,
            **{
                kind: {
                    "count": ranks.pooled.size,
                    "calibration_error": ranks.calibration_error,
                    "calibration_error_of_resampled_cohorts": list(ranks.resampled_error),
                    "coverage": {
                        f"{level:g}": dict(zip(("share", "standard_error"), ranks.coverage(level), strict=True))
                        for level in LEVELS
                    },
                    "rank_histogram": ranks.histogram().round(4).tolist(),
                }
                for kind, ranks in self.ranks[modulus].items()
            },
        }


def calibrate_cohort(results: Path, sessions: Sequence[Session]) -> CalibrationScores:
    """Rank and score every session of a study that names its truth.

    Args:
        results: results folder of the study.
        sessions: sessions of the study's table.

    Raises:
        InputError: no session has a truth, or results are missing.
    """
    known = [session for session in sessions if session.truth is not None]
    if not known:
        raise InputError(
            results,
            found="no session with a truth",
            expected="a table of sessions with the column truth, as palpate phantom --patients writes it",
            advice="Name that table with --sessions.",
        )
    ranks: dict[Modulus, dict[str, list[NDArray[np.float64]]]] = {modulus: defaultdict(list) for modulus in MODULI}
    scores: dict[Modulus, list[NDArray[np.float64]]] = {modulus: [] for modulus in MODULI}
    informed = tissue = 0
    for number, session in enumerate(known):
        assert session.truth is not None
        for run in read_stiffness(results / session.folder):
            patient = _Patient.read(run, session.truth, np.random.default_rng([31, number]))
            informed += int(run.informed.sum())
            tissue += int(run.moduli["storagemodulus"].mean.covered.sum())
            for modulus in MODULI:
                for kind, values in patient.ranks(modulus).items():
                    ranks[modulus][kind].append(values)
                scores[modulus].append(patient.scores(modulus))
    return CalibrationScores(
        patients=len(known),
        ranks={m: {kind: Ranks(tuple(values)) for kind, values in by.items()} for m, by in ranks.items()},
        sharpness={m: _sharpness(np.concatenate(values, axis=1)) for m, values in scores.items()},
        informed_share=informed / tissue,
    )


def _sharpness(scores: NDArray[np.float64]) -> Sharpness:
    return Sharpness(float(np.median(scores[0])), *(float(np.nanmean(row)) for row in scores[1:]))


@dataclass(frozen=True)
class _Patient:
    """One run and its truth, over the voxels that count."""

    run: StiffnessMaps
    counted: NDArray[np.bool_]
    true_kpa: Mapping[Modulus, NDArray[np.float64]]
    draws_kpa: Mapping[Modulus, NDArray[np.float64]]
    tissue: NDArray[np.int64]
    tissues: Mapping[int, str]
    generator: np.random.Generator

    @classmethod
    def read(cls, run: StiffnessMaps, folder: Path, generator: np.random.Generator) -> _Patient:
        truth = read_truth(folder, run)
        counted = counted_voxels(run, truth)
        samples = run.samples()
        draws = {m: counted_draws(samples, m, counted) for m in MODULI}
        draws_kpa = {m: values for m, values in draws.items() if values is not None}
        if len(draws_kpa) < len(MODULI):
            raise InputError(
                run.stem, found="no joint draws", expected="*_samples.h5", advice="Run palpate invert again."
            )
        path = folder / "truth_tissue.nii.gz"
        tissue = read_nifti(path).values if path.exists() else np.zeros(counted.shape)
        names = read_json(folder / "truth.json").get("tissues", {}) if path.exists() else {}
        return cls(
            run=run,
            counted=counted,
            true_kpa={m: truth[m].values[counted].astype(float) for m in MODULI},
            draws_kpa=draws_kpa,
            tissue=tissue[counted].astype(int),
            tissues={int(number): name for number, name in names.items()},
            generator=generator,
        )

    def ranks(self, modulus: Modulus) -> dict[str, NDArray[np.float64]]:
        """Return the ranks by kind of quantity."""
        draws, truth = self.draws_kpa[modulus], self.true_kpa[modulus]
        voxels = self._rank(draws, truth)
        found = {"voxels": voxels}
        for number, name in self.tissues.items():
            if np.any(self.tissue == number):
                found[f"voxels of {name}"] = voxels[self.tissue == number]
        for edge_mm in REGION_EDGES_MM:
            means = self._region_means(edge_mm)
            if means.shape[0]:
                found[f"regions of {edge_mm:g} mm"] = self._rank((means @ draws.T).T, means @ truth)
        return found

    def _rank(self, draws: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
        below = np.sum(draws < truth, axis=0)
        return np.asarray((below + self.generator.uniform(size=truth.shape)) / (len(draws) + 1))

    def _region_means(self, edge_mm: float) -> sparse.csr_matrix:
        """Return the means over well-filled cubes as a matrix on the voxels that count, shape (regions, n)."""
        number = cubes(self.counted, self.run.affine_mm, edge_mm)
        counts = np.bincount(number)
        means = sparse.csr_matrix((1.0 / counts[number], (number, np.arange(number.size))))
        return means[counts > _FULLEST * np.prod(cube_voxels(self.run.affine_mm, edge_mm))]

    def scores(self, modulus: Modulus) -> NDArray[np.float64]:
        """Return relative width and the CRPS of the posterior, direct inversion and prior, shape (4, n)."""
        marginals, truth = self.run.moduli[modulus], self.true_kpa[modulus]
        width = (marginals.upper.values - marginals.lower.values)[self.counted] / truth
        error, middle = truth, np.log(np.median(truth))
        if marginals.direct is not None:
            relative, usable = direct_errors(marginals.direct, truth, self.counted)
            error = relative * truth
            if usable.any():
                middle = np.log(np.median(marginals.direct.values[self.counted][usable].astype(float)))
        prior = self.run.inversion.get("prior", {})
        of_field = prior.get(f"{modulus.removesuffix('modulus')}_std", np.nan)
        std = np.hypot(prior.get("mean_std", np.nan), of_field)
        guesses = np.exp(middle + std * self.generator.standard_normal((200, 1)))
        draws = np.broadcast_to(guesses, (len(guesses), truth.size))
        return np.stack([width, crps(self.draws_kpa[modulus], truth), error, crps(draws, truth)])
