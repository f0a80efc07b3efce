"""`palpate invert` and what it cannot use: exit code 2, one sentence, and nothing written."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from palpate.imaging.files.wavefield_folder import write_wave_field
from palpate.imaging.wavefield import WaveField
from tests.conftest import Outcome

LABEL = "sub-01_ses-01"
SHAPE = (6, 5, 5)

type Inside = Callable[..., Outcome]


def _field(shape: tuple[int, int, int] = SHAPE) -> WaveField:
    place = np.argwhere(np.ones(shape, dtype=bool)).reshape(*shape, 3)
    wave = 1e-5 * np.exp((-0.05 - 0.3j) * place[..., :1]) * np.array([0.2, 1.0, 0.5j])
    return WaveField(
        displacement_m=wave,
        mask=np.ones(shape, dtype=bool),
        affine_mm=np.diag([2.0, 2.0, 2.0, 1.0]),
        frequency_hz=60.0,
        noise_std_m=2e-7,
        density_kg_m3=1000.0,
        label=LABEL,
    )


def _write(field: WaveField, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    write_wave_field(folder, field)
    return folder


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """A wave-field folder that is in order."""
    return _write(_field(), tmp_path / "given")


def _refused(ended: Outcome, out: Path, complaint: str) -> None:
    assert ended.code == 2, ended.printed
    sentences = [line for line in ended.printed.splitlines() if line.startswith("palpate: ")]
    assert len(sentences) == 1
    assert complaint in sentences[0]
    assert "Traceback" not in ended.printed
    assert not list(out.parent.glob(".partial*"))


def _sidecar(folder: Path, **changes: object) -> None:
    (path,) = folder.glob("*_wavefield.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _nan(folder: Path) -> None:
    import nibabel as nib

    path = next(folder.glob("*_part-real_wavefield.nii.gz"))
    image = nib.load(path)
    values = np.asarray(image.dataobj).copy()
    values[2, 2, 2, 0] = np.nan
    nib.save(nib.Nifti1Image(values, image.affine), path)


def _mask_of(voxels: int) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        import nibabel as nib

        path = next(folder.glob("*_mask.nii.gz"))
        mask = (np.arange(np.prod(SHAPE)) < voxels).reshape(SHAPE)
        nib.save(nib.Nifti1Image(mask.astype(np.uint8), nib.load(path).affine), path)

    return spoil


SPOILT: dict[str, tuple[Callable[[Path], None], str]] = {
    "NaN wave field": (_nan, "wavefield"),
    "empty mask": (_mask_of(0), "_mask.nii.gz: found an empty mask"),
    "one voxel": (_mask_of(1), "_mask.nii.gz: found a mask of 1 voxel"),
    "one row": (_mask_of(5), "_mask.nii.gz: found a mask of 5 voxels"),
    "two slices": (_mask_of(50), "too thin for a cell with neighbours (50 voxels within 2 x 5 x 5)"),
    "zero frequency": (lambda folder: _sidecar(folder, MechanicalFrequency=0.0), "MechanicalFrequency"),
    "negative noise": (lambda folder: _sidecar(folder, NoiseStd=-1.0), "NoiseStd"),
    "unit that is none of displacement": (lambda folder: _sidecar(folder, Units="kPa"), "Units"),
}


@pytest.mark.parametrize("method", ["nonlinear", "direct"])
@pytest.mark.parametrize("what", SPOILT)
def test_spoilt_wave_field_is_refused(
    what: str, method: str, given: Path, tmp_path: Path, palpate_inside: Inside
) -> None:
    """Either method would make a plausible map of it; both must refuse, by the same sentence."""
    spoil, complaint = SPOILT[what]
    spoil(given)
    out = tmp_path / "out"
    _refused(palpate_inside("invert", given, "--out", out, "--method", method), out, complaint)
    assert not out.exists()


def test_too_thin_a_mask_is_refused(tmp_path: Path, palpate_inside: Inside) -> None:
    """Four slices hold no voxel with equations all around; a map of it would be the prior in disguise."""
    out = tmp_path / "out"
    _refused(palpate_inside("invert", _write(_field((8, 8, 4)), tmp_path / "thin"), "--out", out), out, "mask")
    assert not out.exists()


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"sampels": 50}, "sampels"),
        ({"storage_std": -0.1}, "storage_std"),
        ({"noise_factor": 0}, "noise_factor"),
        ({"method": "magic"}, "method"),
    ],
)
def test_unusable_settings_are_refused(
    settings: dict[str, object], complaint: str, given: Path, tmp_path: Path, palpate_inside: Inside
) -> None:
    """A mistyped key that is ignored is a result with other settings than the paper says."""
    out = tmp_path / "out"
    _refused(palpate_inside("invert", given, "--out", out, "--settings", json.dumps(settings)), out, complaint)
    assert not out.exists()


def test_zones_of_another_mask_are_refused(given: Path, tmp_path: Path, palpate_inside: Inside) -> None:
    """Voxels are counted along the mask: with another one every stiffness would land in the wrong place."""
    mask = np.ones(SHAPE, dtype=bool)
    mask[:2, :2, :2] = False  # a corner voxel alone would be a hole
    other = _write(replace(_field(), mask=mask), tmp_path / "other")
    assert palpate_inside("mesh", other, "--out", tmp_path / "mesh").code == 0
    out = tmp_path / "out"
    _refused(palpate_inside("invert", given, "--mesh", tmp_path / "mesh", "--out", out), out, "mask")
    assert not out.exists()


def test_missing_zones_are_named(given: Path, tmp_path: Path, palpate_inside: Inside) -> None:
    """A wrong path to the mesh must not silently fall back on default zones."""
    out = tmp_path / "out"
    _refused(palpate_inside("invert", given, "--mesh", tmp_path / "nowhere", "--out", out), out, "zones")
    assert not out.exists()


def test_a_strangers_folder_is_not_replaced(given: Path, tmp_path: Path, palpate_inside: Inside) -> None:
    """Refused before the work, not after it, and untouched."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    _refused(palpate_inside("invert", given, "--out", out), out, "out")
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


def test_what_can_be_used_is_inverted(given: Path, tmp_path: Path, palpate_inside: Inside) -> None:
    """The same small folder, unspoilt: the refusals above are about what was spoilt."""
    out = tmp_path / "out"
    brief = json.dumps({"samples": 20, "hessian_rank": 20, "max_iterations": 1})
    assert palpate_inside("invert", given, "--out", out, "--settings", brief).code == 0
    assert (out / f"{LABEL}_stat-mean_storagemodulus.nii.gz").exists()
    assert json.loads((out / f"{LABEL}_inversion.json").read_text())["frequency_hz"] == 60.0
