"""Arrays of other laboratories: what they hold passes unchanged, what they do not say is asked for by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import scipy.io
from numpy.typing import NDArray

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.files.wavefield_folder import read_wave_fields
from palpate.imaging.ingest import ingest
from palpate.imaging.wavefield import WaveField
from tests.conftest import Outcome

SHAPE = (5, 4, 3)
# Oblique, 1.5 mm, k downwards: what tells i, j, k from R, A, S.
AXES = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, -1.0]])
AFFINE = np.eye(4)
AFFINE[:3, :3], AFFINE[:3, 3] = 1.5 * AXES, (3.0, -20.0, 7.0)
BBIR = {"units": "um", "components": "world"}
BIOQIC = {"units": "m", "voxel_mm": (1.0, 1.0, 1.0), "frequencies_hz": (50.0, 60.0), "mask": "all"}


def _waves_um(seed: int = 0) -> NDArray[np.complex128]:
    """Displacement, shape (i, j, k, 3), some 10 um."""
    real, imaginary = np.random.default_rng(seed).normal(scale=10, size=(2, *SHAPE, 3))
    return real + 1j * imaginary


def _write_bbir(folder: Path, frequencies: tuple[str, ...] = ("30", "50", "70")) -> None:
    folder.mkdir(exist_ok=True)
    for seed, frequency in enumerate(frequencies):
        for part, values in (("re", _waves_um(seed).real), ("im", _waves_um(seed).imag)):
            nib.save(nib.Nifti1Image(values, AFFINE), folder / f"U01_{frequency}Hz_disp_{part}.nii.gz")
    mask = np.ones(SHAPE, dtype=np.uint8)
    mask[0] = 0
    nib.save(nib.Nifti1Image(mask, AFFINE), folder / "U01_mask.nii.gz")


def _write_bioqic(path: Path, **variables: object) -> None:
    waves = np.stack([_waves_um(0), _waves_um(1)], axis=-1) * 1e-6
    scipy.io.savemat(path, {"u_ft": waves, "note": "simulated"} | variables)


def _ingest(source: Path, out: Path, arrays: Mapping[str, object], **settings: object) -> tuple[WaveField, ...]:
    ingest(source, "sub-01", out, anatomy=None, settings=IngestSettings(arrays=dict(arrays), **settings))
    return read_wave_fields(out)


def test_bbir_folder(tmp_path: Path) -> None:
    """Values, grid, mask and frequencies as published; the noise stays unknown instead of becoming zero."""
    _write_bbir(tmp_path / "U01")
    fields = _ingest(tmp_path / "U01", tmp_path / "out", BBIR, density_kg_m3=1040.0)
    assert [one.frequency_hz for one in fields] == [30.0, 50.0, 70.0]
    for seed, one in enumerate(fields):
        np.testing.assert_allclose(1e6 * one.displacement_m, _waves_um(seed), atol=1e-5)
        np.testing.assert_allclose(one.affine_mm, AFFINE, atol=1e-5)
        assert (one.mask.sum(), one.noise_std_m, one.density_kg_m3) == (48, None, 1040.0)


@pytest.mark.parametrize("stated_kg_m3", [None, 1000.0])
def test_a_density_is_assumed_only_where_none_is_stated(stated_kg_m3: float | None, tmp_path: Path) -> None:
    """1000 kg/m3 may be known, of a gel, or be what everybody writes: the inversion has to know which."""
    _write_bbir(tmp_path / "U01")
    for one in _ingest(tmp_path / "U01", tmp_path / "out", BBIR, density_kg_m3=stated_kg_m3):
        assert (one.density_kg_m3, one.density_assumed) == (1000.0, stated_kg_m3 is None)


def test_components_along_the_image(tmp_path: Path) -> None:
    """Components along i, j, k must be turned into R, A, S, not only the grid."""
    _write_bbir(tmp_path / "U01")
    fields = _ingest(tmp_path / "U01", tmp_path / "out", BBIR | {"components": "image"})
    expected = _waves_um(0) @ AXES.T
    np.testing.assert_allclose(1e6 * fields[0].displacement_m, expected, atol=1e-5)


def test_bioqic_file(tmp_path: Path) -> None:
    """A MATLAB array of two frequencies, in metres, on 1 mm voxels."""
    _write_bioqic(tmp_path / "box.mat")
    fields = _ingest(tmp_path / "box.mat", tmp_path / "out", BIOQIC)
    assert [one.frequency_hz for one in fields] == [50.0, 60.0]
    for seed, one in enumerate(fields):
        np.testing.assert_allclose(1e6 * one.displacement_m, _waves_um(seed), atol=1e-5)
        np.testing.assert_allclose(one.affine_mm, np.eye(4), atol=1e-9)
        assert one.mask.all()


def test_mask_of_a_matlab_file_and_one_frequency(tmp_path: Path) -> None:
    """Four dimensions are one frequency; the file's own mask is used."""
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[1:4] = 1
    scipy.io.savemat(tmp_path / "box.mat", {"u": _waves_um(), "mask": mask})
    (found,) = _ingest(
        tmp_path / "box.mat",
        tmp_path / "out",
        {"units": "um", "voxel_mm": (1.0, 2.0, 3.0), "frequencies_hz": (40.0,)},
    )
    assert found.frequency_hz == 40.0
    np.testing.assert_array_equal(found.mask, mask == 1)
    np.testing.assert_allclose(found.voxel_size_mm, [1.0, 2.0, 3.0])


def test_mask_of_what_moves(tmp_path: Path) -> None:
    """Published fields are 0 outside the brain; that may serve as the mask, if somebody says so."""
    _write_bbir(tmp_path / "U01", ("50",))
    for part in ("re", "im"):
        path = tmp_path / "U01" / f"U01_50Hz_disp_{part}.nii.gz"
        values = nib.load(path).get_fdata()
        values[-1] = 0
        nib.save(nib.Nifti1Image(values, AFFINE), path)
    (found,) = _ingest(tmp_path / "U01", tmp_path / "out", BBIR | {"mask": "nonzero"})
    assert not found.mask[-1].any()
    assert found.mask[:-1].all()


def test_sign_of_time(tmp_path: Path) -> None:
    """Laboratories differ in exp(+i omega t); the setting gives the complex conjugate."""
    _write_bioqic(tmp_path / "box.mat")
    fields = _ingest(tmp_path / "box.mat", tmp_path / "out", BIOQIC, time_step_sign="negative")
    np.testing.assert_allclose(1e6 * fields[0].displacement_m, _waves_um(0).conj(), atol=1e-5)


type Spoiler = Callable[[Path], object]


def _rewrite(change: Callable[[NDArray[np.float64]], NDArray[np.float64]], name: str = "U01_50Hz_disp_re") -> Spoiler:
    def spoil(folder: Path) -> None:
        path = folder / f"{name}.nii.gz"
        nib.save(nib.Nifti1Image(change(nib.load(path).get_fdata()), AFFINE), path)

    return spoil


def _with_nan(values: NDArray[np.float64]) -> NDArray[np.float64]:
    values[1, 1, 1, 1] = np.nan
    return values


def _moved(folder: Path) -> None:
    path = folder / "U01_50Hz_disp_im.nii.gz"
    affine = AFFINE.copy()
    affine[0, 3] += 1
    nib.save(nib.Nifti1Image(nib.load(path).get_fdata(), affine), path)


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


FOLDERS: dict[str, tuple[Spoiler, Mapping[str, object], str]] = {
    "no unit": (lambda _: None, {"components": "world"}, "arrays.units"),
    "wrong unit": (lambda _: None, BBIR | {"units": "m"}, "arrays.units"),
    "no axes": (lambda _: None, {"units": "um"}, "arrays.components"),
    "no mask": (lambda path: (path / "U01_mask.nii.gz").unlink(), BBIR, "mask: nonzero"),
    "mask of labels": (_rewrite(lambda values: 2 * values, "U01_mask"), BBIR, "other than 0 and 1"),
    "mask of another size": (_rewrite(lambda values: values[:-1], "U01_mask"), BBIR, "shape"),
    "imaginary part missing": (lambda path: (path / "U01_50Hz_disp_im.nii.gz").unlink(), BBIR, "50 Hz"),
    "two components": (_rewrite(lambda values: values[..., :2]), BBIR, "shape"),
    "not a number": (_rewrite(_with_nan), BBIR, "not finite"),
    "parts on two grids": (_moved, BBIR, "another affine"),
    "name without frequency": (
        lambda path: (path / "U01_50Hz_disp_re.nii.gz").rename(path / "U01_disp_re.nii.gz"),
        BBIR,
        "without frequency",
    ),
    "two subjects": (
        lambda path: [
            (path / f"U02_50Hz_disp_{part}.nii.gz").write_bytes((path / f"U01_50Hz_disp_{part}.nii.gz").read_bytes())
            for part in ("re", "im")
        ],
        BBIR,
        "another array of that frequency",
    ),
    "truncated": (lambda path: _truncated(path / "U01_50Hz_disp_re.nii.gz"), BBIR, "to its end"),
    "nothing moves": (
        lambda path: [_rewrite(np.zeros_like, f"U01_50Hz_disp_{part}")(path) for part in ("re", "im")],
        BBIR,
        "largest displacement of 0",
    ),
}


@pytest.mark.parametrize("what", FOLDERS)
def test_doubtful_folder_is_refused(what: str, tmp_path: Path) -> None:
    """A unit, an axis or a mask that is guessed makes a map that looks as good as a right one."""
    _write_bbir(tmp_path / "U01")
    spoil, arrays, mentioned = FOLDERS[what]
    spoil(tmp_path / "U01")
    with pytest.raises(InputError, match=mentioned):
        _ingest(tmp_path / "U01", tmp_path / "out", arrays)
    assert not (tmp_path / "out").exists()


def _bad_waves(path: Path) -> None:
    waves = np.stack([_waves_um(0), _waves_um(1)], axis=-1) * 1e-6
    waves[0, 0, 0, 0, 0] = np.nan
    scipy.io.savemat(path, {"u_ft": waves})


FILES: dict[str, tuple[Spoiler, Mapping[str, object], str]] = {
    "no unit": (lambda _: None, {"mask": "all"}, "arrays.units"),
    "no voxel size": (lambda _: None, {**BIOQIC, "voxel_mm": None}, "arrays.voxel_mm"),
    "no frequencies": (lambda _: None, {**BIOQIC, "frequencies_hz": None}, "arrays.frequencies_hz"),
    "too few frequencies": (lambda _: None, {**BIOQIC, "frequencies_hz": (50.0,)}, "2 arrays"),
    "one frequency twice": (lambda _: None, {**BIOQIC, "frequencies_hz": (50.0, 50.0)}, "different numbers"),
    "no mask": (lambda _: None, {**BIOQIC, "mask": "file"}, "no variable 'mask'"),
    "variable not there": (lambda _: None, {**BIOQIC, "variable": "cube"}, "cube"),
    "no such variable": (lambda path: scipy.io.savemat(path, {"phase": np.zeros((3, 4))}), BIOQIC, "phase"),
    "two such variables": (lambda path: _write_bioqic(path, again=_waves_um()), BIOQIC, "arrays: {variable"),
    "real numbers": (lambda path: scipy.io.savemat(path, {"u": _waves_um().real}), BIOQIC, "complex"),
    "not a number": (_bad_waves, BIOQIC, "not finite"),
    "truncated": (_truncated, BIOQIC, "no readable MATLAB file"),
    "hardly begun": (lambda path: path.write_bytes(path.read_bytes()[:100]), BIOQIC, "no readable MATLAB file"),
    "empty": (lambda path: path.write_bytes(b""), BIOQIC, "no readable MATLAB file"),
    "no MATLAB file": (lambda path: path.write_text("hello " * 50), BIOQIC, "no readable MATLAB file"),
    "missing": (lambda path: path.unlink(), BIOQIC, "no such file"),
}


@pytest.mark.parametrize("what", FILES)
def test_doubtful_matlab_file_is_refused(what: str, tmp_path: Path) -> None:
    """A MATLAB file says nothing of itself; each gap must be named, with the setting that fills it."""
    _write_bioqic(tmp_path / "box.mat")
    spoil, arrays, mentioned = FILES[what]
    spoil(tmp_path / "box.mat")
    with pytest.raises(InputError, match=mentioned):
        _ingest(tmp_path / "box.mat", tmp_path / "out", arrays)
    assert not (tmp_path / "out").exists()


def test_from_the_command_line(tmp_path: Path, palpate_inside: Callable[..., Outcome]) -> None:
    """The setting that an error asks for is the one that the command takes."""
    _write_bbir(tmp_path / "U01")
    given = ("ingest", tmp_path / "U01", "--label", "sub-01", "--out", tmp_path / "out")
    refused = palpate_inside(*given)
    assert refused.code == 2
    assert "arrays.units" in refused.printed
    taken = palpate_inside(*given, "--settings", '{"arrays": {"units": "um", "components": "world"}}')
    assert taken.code == 0, taken.printed


def test_a_reader_that_crashes_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scipy's compiled reader crashes on some damaged types; the process it runs in may go, palpate may not."""
    _write_bioqic(tmp_path / "box.mat")
    crashing = tmp_path / "python"
    crashing.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crashing.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(crashing))
    with pytest.raises(InputError, match="no readable MATLAB file"):
        _ingest(tmp_path / "box.mat", tmp_path / "out", BIOQIC)
