"""Derived maps: statistics of joint draws, on files and in Python, with reasons where there is no value."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from palpate import read_stiffness
from palpate.config.derived import DerivedSettings
from palpate.errors import InputError
from palpate.imaging.derived import statistics
from palpate.imaging.derived.maps import write_derived_maps
from palpate.imaging.derived.quantities import DERIVED, Medium
from palpate.imaging.derived.statistics import by_voxel, draws_in_tail, ends, summary
from palpate.imaging.files import stiffness_folder
from palpate.imaging.files.draws import open_draws
from palpate.imaging.files.maps import read_map, sidecar_path, write_map, write_mask
from palpate.imaging.region_values.averages import averages
from tests.conftest import Outcome

SHAPE, LABEL = (5, 4, 3), "sub-01_ses-01"
COUNT = 199
"""Number of draws: the 2.5 % quantile is the fifth draw itself, so that no interpolation stands between two laws."""
AFFINE_MM = np.diag([2.0, 2.0, 3.0, 1.0])
DEFAULTS = ("magnitude", "losstangent", "wavespeed")
ATTRIBUTES = {
    "magnitude": "magnitude_kpa",
    "loss_tangent": "loss_tangent",
    "wave_speed": "wave_speed_m_per_s",
    "phase_angle": "phase_angle_rad",
    "attenuation": "attenuation_np_per_m",
    "damping_ratio": "damping_ratio",
    "shear_stiffness": "shear_stiffness_kpa",
}
ALL = DerivedSettings(quantities=tuple(DERIVED))


@dataclass(frozen=True)
class Draws:
    """Draws of one frequency, and the density of each."""

    storage_kpa: NDArray[np.float32]
    loss_kpa: NDArray[np.float32]
    density_kg_m3: NDArray[np.float64]


def mask() -> NDArray[np.bool_]:
    inside = np.ones(SHAPE, dtype=bool)
    inside[0, 0] = False
    return inside


def drawn(seed: int, coupling: float = 0.8, density_std: float = 0.04) -> Draws:
    """Correlated draws: common density, and one pattern that stiffens G' and G'' together."""
    rng, voxels = np.random.default_rng(seed), int(mask().sum())
    first, second = rng.normal(size=(2, COUNT, voxels))
    density = density_std * rng.normal(size=COUNT)
    log_storage = np.log(3.0) + 0.15 * first + density[:, None]
    log_loss = np.log(1.2) + 0.15 * (coupling * first + np.sqrt(1.0 - coupling**2) * second) + density[:, None]
    values = (np.exp(one).astype(np.float32) for one in (log_storage, log_loss))
    return Draws(*values, 1000.0 * np.exp(density))


def write_folder(folder: Path, runs: dict[float, Draws], *, with_density: bool = True) -> Path:
    """A folder of stiffness maps with draws at one or several frequencies, as palpate invert leaves it."""
    folder.mkdir(parents=True)
    inside = mask()
    for hertz, draws in runs.items():
        stem = f"{LABEL}_acq-{hertz:g}Hz" if len(runs) > 1 else LABEL
        for modulus in ("storagemodulus", "lossmodulus"):
            for statistic in ("mean", "std", "lower", "upper"):
                path = folder / f"{stem}_stat-{statistic}_{modulus}.nii.gz"
                write_map(path, np.where(inside, 2.0, np.nan), AFFINE_MM, units="kPa", description="")
        write_mask(folder / f"{stem}_desc-informed_mask.nii.gz", inside, AFFINE_MM, description="")
        with h5py.File(folder / f"{stem}_samples.h5", "w") as file:
            for name, values in (("storagemodulus", draws.storage_kpa), ("lossmodulus", draws.loss_kpa)):
                file.create_dataset(f"{name}_kpa", data=values, compression="gzip")
            file["voxels"] = np.argwhere(inside).astype(np.int32)
            if with_density:
                file["density_kg_m3"] = draws.density_kg_m3
    record = {"frequency_hz": list(runs), "density_kg_m3": 1000.0, "converged": True, "warnings": []}
    (folder / f"{LABEL}_inversion.json").write_text(json.dumps(record))
    return folder


@pytest.fixture
def mre(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "mre", {60.0: drawn(1)})


def test_a_voxels_figures_are_those_of_its_draws(mre: Path) -> None:
    """The formula in every draw, statistics afterwards; a formula of the means would miss the spread's curvature."""
    draws, posterior = drawn(1), read_stiffness(mre)
    at = tuple(np.argwhere(mask())[7])
    storage, loss = draws.storage_kpa[:, 7].astype(float), draws.loss_kpa[:, 7].astype(float)
    speed = np.sqrt(2e3 * (storage**2 + loss**2) / draws.density_kg_m3 / (storage + np.hypot(storage, loss)))
    for found, values in (
        (posterior.magnitude_kpa, np.hypot(storage, loss)),
        (posterior.loss_tangent, loss / storage),
        (posterior.wave_speed_m_per_s, speed),
    ):
        ordered = np.sort(values)
        expected = [values.mean(), values.std(ddof=1), ordered[4], ordered[-5]]
        assert [found.mean[at], found.std[at], found.lower[at], found.upper[at]] == pytest.approx(expected, rel=1e-6)
        assert found.interval(0.5)[0][at] == pytest.approx(ordered[49], rel=1e-6)
        assert found.draws == COUNT
        assert found.undefined == {}
        assert np.array_equal(np.isfinite(found.mean), mask())


def test_monotone_functions_and_intervals_commute(mre: Path) -> None:
    """Tan delta, delta and xi order the draws alike, and so do c and mu at one density: their ends are one draw's."""
    posterior = read_stiffness(mre)
    for level in (0.5, 0.95):
        angles = posterior.phase_angle_rad.interval(level)
        tangents, ratios = posterior.loss_tangent.interval(level), posterior.damping_ratio.interval(level)
        for angle, tangent, ratio in zip(angles, tangents, ratios, strict=True):
            assert np.allclose(np.tan(angle), tangent, rtol=1e-6, equal_nan=True)
            assert np.allclose(0.5 * tangent, ratio, rtol=1e-6, equal_nan=True)


def test_draws_keep_their_correlation() -> None:
    """G' and G'' that rise together have a narrow loss tangent and a wide magnitude; independent ones, the reverse."""
    together = drawn(2, coupling=0.95, density_std=0.0)
    shuffled = np.random.default_rng(3).permuted(together.loss_kpa, axis=0)
    widths = []
    for loss_kpa in (together.loss_kpa, shuffled):
        block = (slice(0, loss_kpa.shape[1]), together.storage_kpa.astype(float), loss_kpa.astype(float))
        asked = [DERIVED["loss_tangent"], DERIVED["magnitude"]]
        found = by_voxel([block], loss_kpa.shape[1], asked, Medium(60.0, 1000.0), ends(0.95))
        widths.append([float(np.median(found[one.key][1] - found[one.key][0])) for one in asked])
    (tangent, magnitude), (tangent_apart, magnitude_apart) = widths
    assert tangent < 0.5 * tangent_apart
    assert magnitude > 1.05 * magnitude_apart


def test_density_does_not_widen_a_wave_speed(tmp_path: Path) -> None:
    """Waves tell G* / rho: where each draw's density is kept, c is as sure as if the density were known."""
    kept = read_stiffness(write_folder(tmp_path / "kept", {60.0: drawn(4, density_std=0.2)}))
    older = read_stiffness(write_folder(tmp_path / "older", {60.0: drawn(4, density_std=0.2)}, with_density=False))
    known = read_stiffness(write_folder(tmp_path / "known", {60.0: drawn(4, density_std=0.0)}))
    for name in ("wave_speed_m_per_s", "attenuation_np_per_m"):
        assert np.allclose(getattr(kept, name).std, getattr(known, name).std, rtol=1e-5, equal_nan=True)
        assert np.nanmedian(getattr(older, name).std / getattr(known, name).std) > 1.2
    assert np.allclose(older.magnitude_kpa.std, kept.magnitude_kpa.std, equal_nan=True)


def test_region_averages_each_draw(mre: Path) -> None:
    """A region's figure is the weighted mean of the quantity in each draw, not the quantity of mean moduli."""
    draws, posterior = drawn(1), read_stiffness(mre)
    shares = np.zeros(SHAPE)
    shares[2], shares[3] = 1.0, 0.5
    region, weights = posterior.region(shares), shares[mask()] / shares.sum()
    tangents = (draws.loss_kpa.astype(float) / draws.storage_kpa) @ weights
    assert region.loss_tangent.values == pytest.approx(tangents, rel=1e-12)
    assert region.loss_tangent.std < 0.5 * float(np.nanmedian(posterior.loss_tangent.std))
    assert str(region.loss_tangent).startswith(f"{tangents.mean():.3g} (std")
    assert str(region.magnitude_kpa).startswith(f"{region.magnitude_kpa.mean:.3g} kPa (std")
    one = np.zeros(SHAPE)
    one[2, 2, 1] = 1.0
    for name in ATTRIBUTES.values():
        alone, map_ = getattr(posterior.region(one), name), getattr(posterior, name)
        found = [alone.mean, alone.std, alone.lower, alone.upper]
        assert found == pytest.approx([part[2, 2, 1] for part in (map_.mean, map_.std, map_.lower, map_.upper)], 1e-6)


@pytest.mark.parametrize("frequencies", [(60.0,), (40.0, 60.0)])
def test_files_hold_the_numbers_of_python(frequencies: tuple[float, ...], tmp_path: Path) -> None:
    """One name for each frequency, as other maps have; a unit beside each; the same numbers by both doors."""
    folder = write_folder(tmp_path / "mre", {hertz: drawn(int(hertz)) for hertz in frequencies})
    written = write_derived_maps(folder, tmp_path / "derived", ALL)
    assert len(written) == len(set(written)) == 4 * len(DERIVED) * len(frequencies)
    for hertz in frequencies:
        stem = f"{LABEL}_acq-{hertz:g}Hz" if len(frequencies) > 1 else LABEL
        posterior = read_stiffness(folder, frequency_hz=hertz)
        for key, quantity in DERIVED.items():
            ours = getattr(posterior, ATTRIBUTES[key])
            for statistic in ("mean", "std", "lower", "upper"):
                path = tmp_path / "derived" / f"{stem}_stat-{statistic}_{key.replace('_', '')}.nii.gz"
                theirs = read_map(path, units=quantity.unit)
                assert np.array_equal(theirs.values, getattr(ours, statistic).astype(np.float32), equal_nan=True)
                assert np.array_equal(theirs.affine_mm, AFFINE_MM)
                said = json.loads(sidecar_path(path).read_text())
                assert (said["Draws"], said["DrawsInEachTail"], said["MechanicalFrequency"]) == (COUNT, 5, hertz)
                assert (said["Density"], said["DensityDrawn"], said["Undefined"]) == (1000.0, True, {})
                assert said["Formula"] == quantity.formula
                assert len(said["SourceDigest"]) == 64


def test_values_that_do_not_exist(tmp_path: Path) -> None:
    """One draw without a modulus, or none at all, gives NaN and the reason; other voxels keep their numbers."""
    draws = drawn(6)
    draws.storage_kpa[3, 10] = draws.loss_kpa[3, 10] = 0.0
    folder = write_folder(tmp_path / "mre", {60.0: draws})
    with h5py.File(folder / f"{LABEL}_samples.h5", "r+") as file:
        for name in ("storagemodulus_kpa", "lossmodulus_kpa", "voxels"):
            kept = file[name][:-1] if name == "voxels" else file[name][:, :-1]
            del file[name]
            file[name] = kept
    write_derived_maps(folder, tmp_path / "derived", ALL)
    posterior = read_stiffness(folder)
    still, last = np.argwhere(mask())[10], np.argwhere(mask())[-1]
    for key, quantity in DERIVED.items():
        path = tmp_path / "derived" / f"{LABEL}_stat-mean_{quantity.in_files}.nii.gz"
        said, values = json.loads(sidecar_path(path).read_text())["Undefined"], read_map(path).values
        expected = {"no joint draws": 1}
        if key != "magnitude":
            expected[f"{quantity.undefined}, in one draw or more"] = 1
        assert said == expected
        assert np.isnan(values[tuple(last)])
        assert np.isnan(values[tuple(still)]) == (key != "magnitude")
        assert int(np.isnan(values[mask()]).sum()) == len(expected)
        found = getattr(posterior, ATTRIBUTES[key]).undefined
        assert {reason: int(where.sum()) for reason, where in found.items()} == expected
    region = posterior.region(mask())
    assert region.magnitude_kpa.draws == COUNT
    with pytest.raises(InputError, match=r"a voxel without loss tangent.*G' = 0.* among 56 voxels"):
        _ = region.loss_tangent


def test_blocks_change_nothing(mre: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole brain is read a few voxels at a time; where the cuts fall must not matter."""
    file = open_draws(mre / f"{LABEL}_samples.h5", SHAPE)
    weights = sparse.csr_array(np.full((1, len(file.voxels)), 1.0 / len(file.voxels)))
    medium, asked = Medium(60.0, 1000.0), [DERIVED["attenuation"]]
    found = []
    for values in (2_000_000, 3 * COUNT):
        monkeypatch.setattr(stiffness_folder, "BLOCK_VALUES", values)
        for source in (read_stiffness(mre).samples, file):
            table = by_voxel(source.blocks(), len(file.voxels), asked, medium, summary)["attenuation"]
            found.append((table, averages(source, weights, asked, medium)["attenuation"]))
    for table, means in found[1:]:
        assert np.array_equal(table, found[0][0])
        assert np.array_equal(means, found[0][1])


def test_tails() -> None:
    """An end of an interval rests on few draws, and the log says on how many."""
    assert [draws_in_tail(count) for count in (20, 199, 200, 400, 1000)] == [1, 5, 5, 10, 25]


def test_command(mre: Path, tmp_path: Path, palpate_inside: Callable[..., Outcome]) -> None:
    """Three quantities unless others are asked for; DICOM maps and derived maps do not replace each other."""
    done = palpate_inside("maps", mre, "--derived", "--out", tmp_path / "derived")
    assert done.code == 0, done.printed
    names = {path.name for path in (tmp_path / "derived").glob("*.nii.gz")}
    statistics_ = ("mean", "std", "lower", "upper")
    assert names == {f"{LABEL}_stat-{one}_{quantity}.nii.gz" for one in statistics_ for quantity in DEFAULTS}
    assert f"from {COUNT} joint draws, 5 of them up to each end of the 95 % interval" in done.printed
    done = palpate_inside(
        *("maps", mre, "--derived", "--out", tmp_path / "derived", "--settings", '{"quantities": ["attenuation"]}')
    )
    assert done.code == 0, done.printed
    assert len(list((tmp_path / "derived").glob("*_attenuation.nii.gz"))) == 4
    assert not list((tmp_path / "derived").glob("*_magnitude.nii.gz"))


REFUSED = [
    (("--derived", "--settings", '{"quantities": ["stiffness"]}'), "quantities"),
    (("--derived", "--settings", '{"quantities": []}'), "an empty list"),
    (("--derived", "--wavefield", "."), "--wavefield beside it"),
    ((), "--wavefield: found none"),
]


@pytest.mark.parametrize(("options", "said"), REFUSED)
def test_command_refuses(
    options: tuple[str, ...], said: str, mre: Path, tmp_path: Path, palpate_inside: Callable[..., Outcome]
) -> None:
    """An option without effect, or a word that nobody knows, is told before any work."""
    done = palpate_inside("maps", mre, *options, "--out", tmp_path / "out")
    assert done.code == 2
    assert said in done.printed
    assert not (tmp_path / "out").exists()


def test_the_other_kind_of_maps_is_not_replaced(
    mre: Path, tmp_path: Path, palpate_inside: Callable[..., Outcome]
) -> None:
    """One command writes two kinds of folders; a slip in --out must not cost either."""
    (tmp_path / "wavefield").mkdir()
    dicom, derived = tmp_path / "dicom", tmp_path / "derived"
    given = ("maps", mre, "--wavefield", tmp_path / "wavefield", "--out")
    assert palpate_inside(*given, dicom).code == 0
    assert palpate_inside("maps", mre, "--derived", "--out", derived).code == 0
    for words, said in (
        ((*given, derived), "derived quantities"),
        (("maps", mre, "--derived", "--out", dicom), "DICOM"),
    ):
        done = palpate_inside(*words)
        assert done.code == 2, done.printed
        assert said in done.printed


def test_what_cannot_be_computed_is_refused(tmp_path: Path) -> None:
    """No draws, too few, densities of another number, no density where one is needed."""
    folder = write_folder(tmp_path / "mre", {60.0: drawn(1)}, with_density=False)
    record = folder / f"{LABEL}_inversion.json"
    record.write_text(json.dumps({"frequency_hz": 60.0}))
    with pytest.raises(InputError, match="needed for wave_speed"):
        write_derived_maps(folder, tmp_path / "out", DerivedSettings())
    assert len(write_derived_maps(folder, tmp_path / "out", DerivedSettings(quantities=("magnitude",)))) == 4
    posterior = read_stiffness(folder)
    assert np.isfinite(posterior.loss_tangent.mean[mask()]).all()
    with pytest.raises(InputError, match="density"):
        _ = posterior.wave_speed_m_per_s
    samples = folder / f"{LABEL}_samples.h5"
    with h5py.File(samples, "r+") as file:
        file["density_kg_m3"] = np.ones(3)
    for read in (lambda: read_stiffness(folder).samples, lambda: open_draws(samples, SHAPE)):
        with pytest.raises(InputError, match="a positive density for each draw"):
            read()
    few = Draws(drawn(1).storage_kpa[:19], drawn(1).loss_kpa[:19], drawn(1).density_kg_m3[:19])
    other = write_folder(tmp_path / "few", {60.0: few})
    with pytest.raises(InputError, match="19 draws"):
        write_derived_maps(other, tmp_path / "out", DerivedSettings())
    with pytest.raises(InputError, match="19 draws"):
        _ = read_stiffness(other).magnitude_kpa
    (other / f"{LABEL}_samples.h5").unlink()
    with pytest.raises(InputError, match="no joint draws"):
        write_derived_maps(other, tmp_path / "out", DerivedSettings())
    assert statistics.STATISTICS == ("mean", "std", "lower", "upper")
