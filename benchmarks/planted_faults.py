"""Faults of exports and settings, planted into sound sessions, and the warning or refusal that each must lead to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from functools import partial
from io import StringIO
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.anatomy.noisy_voxels import without_noisy_voxels
from palpate.imaging.anatomy.tissue_mask import tissue_mask
from palpate.imaging.checks.passivity import apparent_modulus_pa
from palpate.imaging.checks.phase_checks import check_images, check_offsets
from palpate.imaging.checks.wave_checks import wave_warnings
from palpate.imaging.exam_record import slices_of
from palpate.imaging.files.wavefield_folder import read_wave_fields, write_wave_field
from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.reconstruct import Reconstruction, reconstruct

OFFSETS, SCALE = "offsets-not-one-period", "phase images that wrap"
OFFSETS_REFUSED: Final = "time offsets that do not fill one period"
TIMES: Final = ("component-times",)
PARTS: Final = ("parts-apart",)
type FieldPlant = Callable[[WaveField, NDArray[np.float64], Path], WaveField | None]
_SPACE: Final = 3
_FEWEST_SLICES: Final = 4
"""Slices of which an order can be told."""
_MOVED_VOXELS: Final = 2
_CLOSE: Final = 0.25
"""Largest distance of slices over the wavelength at which their order shows."""
_LEAST_OFFSETS: Final = 5
"""Fewest offsets of which one can be missing with a word: three determine mean, cosine and sine for any times."""


@dataclass(frozen=True, slots=True)
class Images:
    """Phase images of a session, with the noise that planting a fault needs.

    Attributes:
        acquisition: phase and magnitude as read.
        noise_rad: noise of one phase image where the signal is median, radians.
    """

    acquisition: PhaseAcquisition
    noise_rad: float


@dataclass(frozen=True, slots=True)
class ImageFault:
    """Fault of phase images.

    Attributes:
        name: name of the fault.
        told: codes of warnings, and words of refusals, that name it.
        plant: function that returns the images with the fault; None where these images cannot have it.
    """

    name: str
    told: tuple[str, ...]
    plant: Callable[[Images], PhaseAcquisition | None]


@dataclass(frozen=True, slots=True)
class FieldFault:
    """Fault of a wave field.

    Attributes:
        name: name of the fault.
        told: codes of warnings, and words of refusals, that name it.
        plant: function of the field, the axes along which the scanner encoded (rows) and an empty folder to work in,
            that returns the field with the fault; None where the field cannot have it.
        directions: least number of measured directions that show it.
    """

    name: str
    told: tuple[str, ...]
    plant: FieldPlant
    directions: int = 3


def named(said: list[str], told: tuple[str, ...]) -> bool:
    """Return whether one of the messages holds one of the words that name a fault."""
    return any(word in one for one in said for word in told)


def said_of_images(acquisition: PhaseAcquisition, settings: IngestSettings) -> list[str]:
    """Return the import's codes of warnings for phase images, or the reason of its refusal."""
    try:
        check_images(acquisition)
        made, mask = measured(acquisition, settings)
        _, warnings = check_offsets(made, mask)
    except InputError as error:
        return [error.found]
    magnitude = acquisition.magnitude.mean(axis=(0, 1))
    with redirect_stderr(StringIO()):
        _, moved = slices_of(acquisition.name, made.wave_field(mask, "planted", None), magnitude)
    return [one.code for one in (*warnings, *moved)]


def measured(acquisition: PhaseAcquisition, settings: IngestSettings) -> tuple[Reconstruction, NDArray[np.bool_]]:
    """Return harmonic motion and mask of an acquisition as the import makes them, the head at rest."""
    voxel_mm = np.linalg.norm(acquisition.affine_mm[:3, :3], axis=0)
    limits = {"threshold": settings.mask_threshold, "opening_mm": settings.mask_opening_mm}
    bright = tissue_mask(acquisition.magnitude.mean(axis=(0, 1)), voxel_mm, **limits)
    made = reconstruct(acquisition, bright, settings)
    return made, without_noisy_voxels([made], bright, settings)


def image_noise_rad(made: Reconstruction) -> float:
    """Return the noise of one phase image where the signal is median, from that of the first harmonic."""
    stds = [one.noise.std_rad for one in made.directions if one.noise is not None]
    return float(np.mean(stds) * np.sqrt(made.acquisition.phase_rad.shape[1] / 2.0))


def said_of_field(
    plant: Callable[[WaveField, NDArray[np.float64], Path], WaveField | None],
    field: WaveField,
    axes: NDArray[np.float64],
    folder: Path,
) -> list[str] | None:
    """Return codes of warnings for a field with a fault, or the reason of its refusal; None where it cannot have it."""
    try:
        faulty = plant(field, axes, folder)
        return None if faulty is None else [one.code for one in wave_warnings(faulty, encoding_axes=axes)]
    except InputError as error:
        return [error.found]


def _chosen(images: Images, order: list[int], *, noisy: bool = True) -> PhaseAcquisition:
    """Return images in another order; an image that comes again has noise of its own, unless it is a copy."""
    one = images.acquisition
    phase, magnitude = one.phase_rad[:, order], one.magnitude[:, order]
    again = [place for place, offset in enumerate(order) if offset in order[:place]]
    if noisy and again:
        generator = np.random.default_rng(len(order))
        sigma = images.noise_rad * float(np.median(magnitude[magnitude > 0.2 * magnitude.max()]))
        parts = sigma * generator.standard_normal((2, *phase[:, again].shape))
        signal = magnitude[:, again] * np.exp(1j * phase[:, again]) + parts[0] + 1j * parts[1]
        phase[:, again], magnitude[:, again] = np.angle(signal), np.abs(signal)
    return replace(one, phase_rad=phase, magnitude=magnitude, still_phase_rad=None)


def _offsets(images: Images) -> int:
    return images.acquisition.phase_rad.shape[1]


def _last_missing(images: Images) -> PhaseAcquisition | None:
    count = _offsets(images)
    return _chosen(images, list(range(count - 1))) if count >= _LEAST_OFFSETS else None


def _one_copied(images: Images) -> PhaseAcquisition:
    return _chosen(images, [*range(_offsets(images)), 0], noisy=False)


def _one_again(images: Images) -> PhaseAcquisition:
    return _chosen(images, [*range(_offsets(images)), 0])


def _two_periods(images: Images) -> PhaseAcquisition:
    count = _offsets(images)
    return _chosen(images, [2 * place % count for place in range(count)])


def _half_scale(images: Images) -> PhaseAcquisition | None:
    one = images.acquisition
    if one.facts.get("reader") == "GE" and one.encoding_gain != 1.0:
        return None  # Real and imaginary parts have no scale of phase.
    period_rad = None if one.wrap_period_rad is None else 0.5 * one.wrap_period_rad
    return replace(one, phase_rad=0.5 * one.phase_rad, wrap_period_rad=period_rad)


def _half_the_slices_moved(images: Images) -> PhaseAcquisition | None:
    """Return images of which a breath-hold of another depth moved the upper slices by two voxels along the longer edge.

    Only exams of fewer than three directions measure slices in breath-holds of their own.
    """
    one = images.acquisition
    slices = one.phase_rad.shape[-1]
    if len(one.encoding_axes) == _SPACE or slices < _FEWEST_SLICES:
        return None
    axis = int(np.linalg.norm(one.affine_mm[:3, :2], axis=0).argmax()) - 3
    phase, magnitude = one.phase_rad.copy(), one.magnitude.copy()
    for values in (phase, magnitude):
        values[..., slices // 2 :] = np.roll(values[..., slices // 2 :], _MOVED_VOXELS, axis=axis)
    return replace(one, phase_rad=phase, magnitude=magnitude)


IMAGE_FAULTS: Final = (
    ImageFault("last offset missing", (OFFSETS, OFFSETS_REFUSED), _last_missing),
    ImageFault("one offset twice, measured again", (OFFSETS, OFFSETS_REFUSED), _one_again),
    ImageFault("one offset twice, a copy", ("the same phase image",), _one_copied),
    ImageFault("two periods", (OFFSETS, OFFSETS_REFUSED), _two_periods),
    ImageFault("phase at half scale", (SCALE,), _half_scale),
    ImageFault("half of the slices moved by two voxels", ("slices-moved",), _half_the_slices_moved),
)


def _turned(choice: NDArray[np.float64]) -> Callable[[WaveField, NDArray[np.float64], Path], WaveField]:
    """Fault that takes encoded displacement with other signs or in another order."""

    def plant(field: WaveField, axes: NDArray[np.float64], _: Path) -> WaveField:
        turn = np.linalg.inv(axes) @ choice @ axes
        return replace(field, displacement_m=np.asarray(field.displacement_m @ turn.T))

    return plant


def _for_another(a: int, b: int) -> NDArray[np.float64]:
    """Return the matrix that takes direction b for a."""
    choice = np.eye(3)
    choice[a] = choice[b]
    return choice


def _silent(number: int) -> FieldPlant:
    """Fault that leaves one direction noise alone, a twentieth of its displacement."""

    def plant(field: WaveField, axes: NDArray[np.float64], _: Path) -> WaveField:
        encoded = field.displacement_m @ axes.T
        size = 0.05 * float(np.abs(encoded[field.mask][:, number]).mean())
        real, imaginary = np.random.default_rng(number).standard_normal((2, *field.mask.shape))
        encoded[..., number] = size * (real + 1j * imaginary)
        return replace(field, displacement_m=np.asarray(encoded @ np.linalg.inv(axes).T))

    return plant


def _stated(unit: str) -> Callable[[WaveField, NDArray[np.float64], Path], WaveField | None]:
    """Fault of a folder that states a unit for displacement in micrometres: nm is as much too small as um for mm."""

    def plant(field: WaveField, _: NDArray[np.float64], folder: Path) -> WaveField | None:
        if not field.motion_encoding_known:
            return None
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_wave_field(folder, field)
        (sidecar,) = folder.glob("*_wavefield.json")
        facts = json.loads(sidecar.read_text(encoding="utf-8")) | {"Units": unit}
        sidecar.write_text(json.dumps(facts), encoding="utf-8")
        (read,) = read_wave_fields(folder)
        return read

    return plant


def _timed(number: int, *, backwards: bool) -> Callable[[WaveField, NDArray[np.float64], Path], WaveField]:
    """Fault of one encoding direction: an eighth of a period ahead of the others, or its offsets backwards."""

    def plant(field: WaveField, axes: NDArray[np.float64], _: Path) -> WaveField:
        encoded = field.displacement_m @ axes.T
        one = encoded[..., number]
        encoded[..., number] = (one.conj() if backwards else one) * np.exp(0.25j * np.pi)
        return replace(field, displacement_m=np.asarray(encoded @ np.linalg.inv(axes).T))

    return plant


def _imaginary(change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> FieldPlant:
    """Fault of the imaginary part alone; where it is mirrored, the mask is what both parts cover."""

    def plant(field: WaveField, _: NDArray[np.float64], __: Path) -> WaveField:
        displacement = field.displacement_m
        both = field.mask & change(field.mask[..., np.newaxis].astype(np.float64))[..., 0].astype(bool)
        made = displacement.real + 1j * change(displacement.imag)
        return replace(field, displacement_m=np.asarray(made), mask=both)

    return plant


def _first_two_exchanged(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[..., [1, 0, 2]] if values.shape[-1] > 1 else values


def _amplitude_and_phase(field: WaveField, _: NDArray[np.float64], folder: Path) -> WaveField:
    """Fault of a folder whose parts are amplitude in um and phase in radians."""
    waves_um = 1e6 * field.displacement_m
    polar = np.abs(waves_um) + 1j * np.angle(waves_um)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_wave_field(folder, replace(field, displacement_m=1e-6 * polar, noise_std_m=None))
    (read,) = read_wave_fields(folder)
    return read


def _slices_chosen(order: Callable[[int], list[int]]) -> FieldPlant:
    """Fault that takes slices in another order; with three directions the divergence is the check of that.

    Slices more than a quarter of a wavelength apart are no more like their neighbours than like others.
    """

    def plant(field: WaveField, _: NDArray[np.float64], __: Path) -> WaveField | None:
        slices, modulus_pa = np.flatnonzero(field.mask.any(axis=(0, 1))), apparent_modulus_pa(field)
        if field.directions is not None and len(slices) >= _FEWEST_SLICES and modulus_pa is not None:
            length_mm = 1e3 * np.sqrt(abs(modulus_pa) / field.density_kg_m3) / field.frequency_hz
            if field.voxel_size_mm[2] <= _CLOSE * length_mm:
                return _with_slices(field, slices, slices[order(len(slices))])
        return None

    return plant


def _with_slices(field: WaveField, places: NDArray[np.int64], shown: NDArray[np.int64]) -> WaveField:
    """Return a field that shows other slices in some places."""
    chosen = np.arange(field.mask.shape[2])
    chosen[places] = shown
    return replace(field, displacement_m=field.displacement_m[:, :, chosen], mask=field.mask[..., chosen])


def _interleaved(count: int) -> list[int]:
    return [*range(0, count, 2), *range(1, count, 2)]


def _second_twice(count: int) -> list[int]:
    return [0, 1, 1, *range(3, count)]


def _exchanged(one: int, other: int) -> NDArray[np.float64]:
    order = [0, 1, 2]
    order[one], order[other] = other, one
    return np.eye(3)[order]


FIELD_FAULTS: Final = (
    FieldFault(
        "conjugate field",
        ("sign-of-time",),
        lambda f, _, __: replace(f, displacement_m=f.displacement_m.conj()),
        directions=1,
    ),
    *(
        FieldFault(
            f"encoding direction {axis + 1} reversed",
            ("component-axes",),
            _turned(np.diag(np.where(np.arange(3) == axis, -1.0, 1.0))),
        )
        for axis in range(3)
    ),
    *(
        FieldFault(f"encoding directions {a + 1} and {b + 1} exchanged", ("component-axes",), _turned(_exchanged(a, b)))
        for a, b in combinations(range(3), 2)
    ),
    *(
        FieldFault(f"encoding direction {n + 1} an eighth of a period ahead", TIMES, _timed(n, backwards=False))
        for n in range(3)
    ),
    *(FieldFault(f"encoding direction {n + 1} backwards in time", TIMES, _timed(n, backwards=True)) for n in range(3)),
    *(
        FieldFault(f"imaginary part mirrored along {'ijk'[n]}", (*TIMES, *PARTS), _imaginary(partial(np.flip, axis=n)))
        for n in range(3)
    ),
    *(
        FieldFault(
            f"encoding direction {n + 1} doubled", ("component-scale",), _turned(np.diag(np.ones(3) + np.eye(3)[n]))
        )
        for n in range(3)
    ),
    *(
        FieldFault(f"encoding direction {n + 1} without encoding", ("component-without-wave",), _silent(n))
        for n in range(3)
    ),
    *(
        FieldFault(f"encoding direction {b + 1} for {a + 1}", ("component-twice",), _turned(_for_another(a, b)))
        for a, b in combinations(range(3), 2)
    ),
    FieldFault("components R and A of the imaginary part exchanged", PARTS, _imaginary(_first_two_exchanged)),
    FieldFault("amplitude and phase for the parts", ("amplitude and phase",), _amplitude_and_phase, directions=1),
    FieldFault(
        "frequency in rad/s",
        ("implausible-modulus",),
        lambda f, _, __: replace(f, frequency_hz=2.0 * np.pi * f.frequency_hz),
        directions=1,
    ),
    FieldFault(
        "density in g/cm3", ("kg/m3",), lambda f, _, __: replace(f, density_kg_m3=1e-3 * f.density_kg_m3), directions=1
    ),
    FieldFault("displacement in um stated as mm", ("largest displacement",), _stated("mm"), directions=1),
    FieldFault(
        "displacement in mm stated as um", ("small-displacement", "largest displacement"), _stated("nm"), directions=1
    ),
    FieldFault("slices interleaved", ("slices-out-of-order",), _slices_chosen(_interleaved), directions=1),
    FieldFault("one slice twice", ("slice-twice",), _slices_chosen(_second_twice), directions=1),
)
