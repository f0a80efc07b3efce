"""Problem of an inversion: a run's wave fields and zones, in voxel axes and units of the noise, shared by the ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.sparse as sparse
from mpi4py import MPI
from numpy.typing import NDArray
from scipy import ndimage

from palpate.config.inversion import InversionSettings
from palpate.imaging.anatomy.labels import Regions, no_regions
from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.outliers import outlying_voxels
from palpate.imaging.waves.robust import bounded_mean
from palpate.meshing.lattice import Lattice
from palpate.meshing.zones import Zone
from palpate.progress import say
from palpate.solvers.comparators.direct import DirectResult, direct_inversion
from palpate.solvers.inversion.prior.correlation import Correlation, matern
from palpate.solvers.inversion.stages import zone_cost
from palpate.solvers.inversion.steps.checkpoint import Checkpoint
from palpate.solvers.inversion.steps.linearisation import InversionProblem
from palpate.solvers.inversion.steps.state import REFIT_BELOW, refit_rounds
from palpate.solvers.inversion.steps.uniform_start import most_data
from palpate.solvers.inversion.time_left import EXPECTED_ROUNDS, StepClock
from palpate.solvers.inversion.zone.data_weights import Contaminated, Likelihood, contaminated, gaussian
from palpate.solvers.inversion.zone.equilibrium import Scales
from palpate.solvers.inversion.zone.likelihood import ZoneData
from palpate.solvers.inversion.zone.noise import NoiseModel, complex_normal, noise_of
from palpate.solvers.inversion.zone.slice_phase import linear_phase_errors, rigid_turns
from palpate.solvers.inversion.zone.zone_solver import WorkCounter, ZoneSolver
from palpate.solvers.rheology import Dispersion, dispersions
from palpate.units import m_to_mm, m_to_um, mm_to_m

DIVERGENCE_PER_STRAIN = 5e-3
"""Divergence that triquadratic elements leave in an incompressible wave, per |U| and millimetre."""

USELESS = 1e-6
"""Weight of an outlying voxel, which does not measure the wave; not zero, as a corner could be left without
equation."""

SMALLEST_PART = 1e-3
"""Smallest part of a phase error's prior that is given to a zone; with a smaller part the error is practically
free there."""


@dataclass(frozen=True, slots=True)
class InversionDomain:
    """Inputs of an inversion beside the waves.

    Attributes:
        zones: all zones of the mask, on every rank.
        regions: regions of the anatomy by labels or brightness; None without them.
        unfinished: folder that keeps finished work, from which a later run of the same inversion goes on; None keeps
            nothing.
        compare: whether the evidence is computed, which takes one more factorisation for each zone and frequency.
        correlation: correlation of the prior.
        likelihood: likelihood of the errors of the data; the default is that of Gaussian errors where the evidence is
            computed, see `law`.
        lattice: lattice of nodes on which zones were cut; None where nodes are the voxels' centres.
        later: work of the session's inversions after this one, over that of this one; 0 for the last.
    """

    zones: Sequence[Zone]
    regions: Regions | None = None
    unfinished: Path | None = None
    compare: bool = False
    correlation: Correlation = matern
    likelihood: Likelihood = contaminated
    lattice: Lattice | None = None
    later: float = 0.0

    def __post_init__(self) -> None:
        """Refuse to keep finished work, which records neither correlation nor likelihood, and to compare likelihoods.

        Weights differ between the models that evidence compares, and their own probability is not part of it.
        """
        default = self.correlation is matern and self.law in (gaussian, contaminated)
        if self.unfinished is not None and not default:
            raise ValueError("an inversion under another correlation or likelihood keeps nothing for a later run")
        if self.compare and self.law is not gaussian:
            raise ValueError("the evidence is that of Gaussian errors")

    @property
    def law(self) -> Likelihood:
        """Likelihood of the fit, Gaussian in place of the default where the evidence is computed."""
        return gaussian if self.compare and self.likelihood is contaminated else self.likelihood


@dataclass(frozen=True, slots=True)
class Measured:
    """One wave field of a run with its baseline, noise and outliers, which are known before the fit.

    Attributes:
        field: displacement, mask and stated noise.
        direct: the algebraic baseline.
        guide: algebraic inversion with outlying voxels replaced by the nearest others, for the prior's centre.
        noise: noise of the inversion.
        outlying: whether each voxel begins left out of the data, as it does not measure the wave, shape (N,).
        unmeasured: whether each voxel has no data at all, shape (N,).
        dispersion: map from the fields that are inverted to the moduli at the wave field's frequency.
    """

    field: WaveField
    direct: DirectResult
    guide: DirectResult
    noise: NoiseModel
    outlying: NDArray[np.bool_]
    unmeasured: NDArray[np.bool_]
    dispersion: Dispersion

    @property
    def log_median(self) -> NDArray[np.float64]:
        """Logarithms of the direct inversion's medians of G' and G'', pascal, shape (2,)."""
        return np.log([np.nanmedian(self.guide.storage_pa), np.nanmedian(self.guide.loss_pa)])

    def soundness(self, judged: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """Return the weight of each voxel's data: the probability that the voxel measures the wave, shape (N,).

        Args:
            judged: probabilities by the fit, shape (frequencies, N); None where the search before the fit stands.
        """
        if judged is None:
            return np.where(self.outlying, USELESS, 1.0)
        return np.where(self.unmeasured, USELESS, judged[self.dispersion.frequency])


def measure(fields: Sequence[WaveField], settings: InversionSettings) -> list[Measured]:
    """Return the wave fields of a run with their baselines, noise and outliers.

    Args:
        fields: wave fields of one run, one for each frequency.
        settings: settings of the inversion.
    """
    laws = dispersions(settings, [field.frequency_hz for field in fields])
    return [_measured(field, settings, dispersion) for field, dispersion in zip(fields, laws, strict=True)]


def _measured(field: WaveField, settings: InversionSettings, dispersion: Dispersion) -> Measured:
    unmeasured = _unmeasured(field)
    outlying = outlying_voxels(field) | unmeasured
    direct = direct_inversion(field)
    return Measured(
        field,
        direct,
        direct_inversion(_with_neighbours(field, outlying)) if outlying.any() else direct,
        noise_of(field, factor=settings.noise_factor, discretisation_percent=settings.discretisation_percent),
        outlying,
        unmeasured,
        dispersion,
    )


def _with_neighbours(field: WaveField, outlying: NDArray[np.bool_]) -> WaveField:
    """The field with the displacement of the nearest other voxel in each outlying one."""
    trusted = field.mask.copy()
    trusted[field.mask] = ~outlying
    if not trusted.any():
        return field
    nearest = ndimage.distance_transform_edt(~trusted, return_distances=False, return_indices=True)
    at = np.argwhere(field.mask)[outlying].T
    displacement = field.displacement_m.copy()
    displacement[tuple(at)] = field.displacement_m[tuple(nearest[(slice(None), *at)])]
    return replace(field, displacement_m=displacement)


def _unmeasured(field: WaveField) -> NDArray[np.bool_]:
    """Whether each voxel of the mask holds no data, shape (N,)."""
    count = int(np.count_nonzero(field.mask))
    return np.zeros(count, dtype=bool) if field.measured is None else ~field.measured[field.mask]


def centre_of(measured: Sequence[Measured]) -> NDArray[np.float64]:
    """Return the prior's centre: the direct inversions' medians of ln G' and ln G'' at the reference, shape (2,).

    Args:
        measured: wave fields, one for each frequency.
    """
    return np.asarray(np.mean([one.dispersion.back(one.log_median) for one in measured], axis=0))


def problem_of(
    measured: Sequence[Measured],
    domain: InversionDomain,
    settings: InversionSettings,
    counter: WorkCounter,
    comm: MPI.Comm,
) -> tuple[InversionProblem, Scales]:
    """Return the problem with zones and frequencies shared by the ranks, and the units that all zones have in common.

    Args:
        measured: wave fields, one for each frequency.
        domain: zones and regions.
        settings: settings of the inversion.
        counter: counter of the work.
        comm: communicator of the ranks.
    """
    first, zones = measured[0].field, domain.zones
    regions = domain.regions or no_regions(int(np.count_nonzero(first.mask)))
    centre = centre_of(measured)
    spacing_mm = first.voxel_size_mm if domain.lattice is None else domain.lattice.spacing_mm
    scales = Scales(mm_to_m(float(spacing_mm.min())), float(np.hypot(*np.exp(centre))))
    for one in measured:
        say(
            f"{first.label}: {one.field.frequency_hz:g} Hz, {len(zones)} zones, "
            f"noise {m_to_um(one.noise.std_m):.3g} um ({one.noise.source}), {comm.size} ranks"
        )
    complete = first.directions is None and all(zone.refinement is None for zone in zones)
    asked = [] if complete else most_data([float(zone.weight.sum()) for zone in zones])
    mine = share_out([zone.work for zone in zones] * len(measured), comm.size, asked)[comm.rank]
    solvers = []
    for one in measured:
        before = one.dispersion.frequency * len(zones)
        numbers = [item - before for item in mine if 0 <= item - before < len(zones)]
        solvers += _solvers(one, zones, numbers, mm_to_m(spacing_mm), scales, settings, counter)
    problem = InversionProblem(
        solvers=solvers,
        mask=first.mask,
        voxel_size_mm=first.voxel_size_mm,
        regions=regions,
        centre=centre - np.log(scales.modulus_pa),
        comm=comm,
        counter=counter,
        # Priors of waves are not kept; such exams take minutes.
        checkpoint=Checkpoint(domain.unfinished if complete else None, comm, counter),
        clock=StepClock(
            [zone_cost(solver.data.zone.work) for solver in solvers],
            int(np.count_nonzero(first.mask)),
            settings.samples,
            refit_rounds(len(REFIT_BELOW)) if settings.fit_prior else 0,
            rounds=0 if domain.law is gaussian or isinstance(domain.law, Contaminated) else EXPECTED_ROUNDS,
            recalibrations=0 if complete else 1,
            compare=domain.compare,
            later=domain.later,
        ),
        components=first.displacement_m.shape[-1],
        complete=complete,
    )
    return problem, scales


def _solvers(
    measured: Measured,
    zones: Sequence[Zone],
    numbers: Sequence[int],
    spacing_m: NDArray[np.float64],
    scales: Scales,
    settings: InversionSettings,
    counter: WorkCounter,
) -> list[ZoneSolver]:
    """Return the chosen zones with their data at one frequency, in voxel axes and in units of the noise."""
    field, std_m = measured.field, measured.noise.std_m
    grid = field.affine_mm[:3, :3] / field.voxel_size_mm
    given = field.displacement_m[field.mask] / std_m
    # All components are turned into voxel axes; fewer stay as they were measured.
    data, axes = (given @ grid, np.eye(3)) if field.directions is None else (given, field.directions @ grid)
    # The components that were not measured are taken as large as those that were.
    mean = bounded_mean(np.linalg.norm(data, axis=-1)) * float(np.sqrt(3.0 / len(axes)))
    errors = linear_phase_errors(field.mask, field.linear_phase_error_std_m / std_m, len(axes))
    if field.turn_std_m > 0.0:
        turn = rigid_turns(field.mask, field.voxel_size_mm, field.turn_std_m / std_m)
        errors = sparse.hstack([errors, turn], format="csr")
    # One probe for all frequencies: the counts behind the evidence must not depend on which are inverted together.
    probe_errors = errors @ complex_normal(np.random.default_rng([settings.seed, 3]), (errors.shape[1],))
    probe = complex_normal(np.random.default_rng([settings.seed, 4]), data.shape) + probe_errors.reshape(data.shape)
    shared = measured.noise.of_probe(probe, field.mask)
    weights = measured.noise.weights
    slack = DIVERGENCE_PER_STRAIN * mean * m_to_mm(scales.length_m)
    own = {
        number: replace(zones[number], weight=_usable_weight(zones[number], measured.outlying)) for number in numbers
    }
    return [
        ZoneSolver(
            number,
            ZoneData(
                zone=own[number],
                displacement=data[own[number].voxels].ravel(),
                axes=axes,
                phase_errors=_of_zone(errors, own[number], len(axes)),
                probe=probe[own[number].voxels].ravel(),
                node_spacing=spacing_m / scales.length_m,
                inertia=scales.inertia(field.density_kg_m3, field.frequency_hz),
                divergence_tolerance=slack,
                weights=None if weights is None else weights[own[number].voxels].ravel(),
                shared_noise=None if shared is None else shared[own[number].voxels].ravel(),
            ),
            field.voxel_size_mm,
            settings.hessian_rank,
            counter,
            measured.dispersion,
            share=_usable_weight(zones[number], measured.unmeasured),
        )
        for number in numbers
    ]


def _usable_weight(zone: Zone, outlying: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return a zone's weights of its data, almost 0 at such voxels, whose motion follows from equilibrium alone."""
    return np.where(outlying[zone.voxels], USELESS, 1.0) * zone.weight


def _of_zone(errors: sparse.csr_matrix, zone: Zone, components: int) -> sparse.csr_matrix:
    """Return a zone's rows of Z, without the phase errors of slices that it does not reach.

    A slice's linear phase error is the same in all zones, so its prior is shared between them as the data are: a zone
    with the part omega of a plane's energy takes the prior to the power omega, that is its standard deviation over
    sqrt(omega). Beside a prior of the displacement each zone's likelihood is that of its own data, with the errors'
    whole prior: a plane that were free there would take the wave of the one component.
    """
    rows = (components * zone.voxels[:, None] + np.arange(components)).ravel()
    own = errors[rows].tocsc()
    reached = np.flatnonzero(np.diff(own.indptr))
    if components < 3 or zone.refinement is not None:
        return own[:, reached].tocsr()
    energy = np.asarray(errors.power(2).sum(axis=0)).ravel()[reached]
    part = np.asarray(own[:, reached].power(2).T @ np.repeat(zone.weight, components)) / energy
    return (own[:, reached] @ sparse.diags(1.0 / np.sqrt(np.maximum(part, SMALLEST_PART)))).tocsr()


def share_out(work: Sequence[float], ranks: int, asked: Sequence[int] = ()) -> list[list[int]]:
    """Return the zones of each rank: the largest first, always to the rank with the least work so far.

    Args:
        work: estimated cost of each zone.
        ranks: number of ranks.
        asked: zones that are dealt before the others, since they are also worked on alone.
    """
    loads = np.zeros(ranks)
    mine: list[list[int]] = [[] for _ in range(ranks)]
    for number in sorted(range(len(work)), key=lambda i: (i not in asked, -work[i], i)):
        rank = int(np.argmin(loads))
        loads[rank] += work[number]
        mine[rank].append(number)
    return [sorted(numbers) for numbers in mine]
