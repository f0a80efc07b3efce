"""Where a file puts its voxels: two affines, codes of spaces, forms of files; whatever is ambiguous is refused."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from palpate.config.tumour import TumourSettings
from palpate.errors import InputError
from palpate.imaging.anatomy.anatomy import read_anatomy_image
from palpate.imaging.anatomy.labels import read_regions
from palpate.imaging.anatomy.user_mask import read_user_mask
from palpate.imaging.files.nifti import Volume, is_volume_file, read_nifti, read_volume, same_grid, write_nifti
from palpate.imaging.files.wavefield_folder import read_wave_fields
from palpate.imaging.tumour.growth_folder import read_growth

SHAPE = (5, 6, 7)
ANGLE = 0.3
TURN = np.array([[np.cos(ANGLE), -np.sin(ANGLE), 0.0], [np.sin(ANGLE), np.cos(ANGLE), 0.0], [0.0, 0.0, 1.0]])
SCANNER = np.eye(4)
SCANNER[:3, :3], SCANNER[:3, 3] = TURN * [-2.0, -2.0, 3.0], [12.0, -7.0, 30.0]
OTHER = SCANNER.copy()
OTHER[:3, :3] *= 1.08
OTHER[:3, 3] += [7.0, -12.0, 9.0]
VALUES = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)


def _write(path: Path, sform: tuple[np.ndarray, int], qform: tuple[np.ndarray, int]) -> Path:
    """A volume with two affines and their codes."""
    image = nib.Nifti1Image(VALUES, sform[0])
    image.header.set_xyzt_units("mm")
    image.set_sform(sform[0], sform[1])
    image.set_qform(qform[0], qform[1])
    nib.save(image, path)
    return path


# Codes of sform and qform, which differ, and the one whose affine is to be taken.
CHOICES = [(4, 1, "qform"), (3, 1, "qform"), (5, 2, "qform"), (2, 1, "qform"), (1, 2, "sform"), (1, 4, "sform"),
           (2, 4, "sform"), (0, 1, "qform"), (1, 0, "sform"), (2, 0, "sform"), (0, 2, "qform")]  # fmt: skip


@pytest.mark.parametrize(("sform", "qform", "taken"), CHOICES)
def test_the_scanners_affine_is_taken(
    sform: int, qform: int, taken: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two affines the scanner's places a patient's image; a template's lies centimetres off. It is said."""
    affines = {"sform": SCANNER, "qform": OTHER} if taken == "sform" else {"sform": OTHER, "qform": SCANNER}
    path = _write(tmp_path / "t1.nii.gz", (affines["sform"], sform), (affines["qform"], qform))
    volume = read_nifti(path)
    np.testing.assert_allclose(volume.affine_mm, SCANNER, atol=1e-4)
    assert not volume.of_template
    said = capsys.readouterr().err
    assert (f"the {taken} is taken" in said) == (0 not in (sform, qform))


@pytest.mark.parametrize("code", [1, 2])
def test_two_affines_of_one_space_that_differ_are_refused(code: int, tmp_path: Path) -> None:
    """Both claim the scanner; nothing says which is right."""
    with pytest.raises(InputError, match=r"differ by up to 1\d(?:\.\d)? mm and claim the same space"):
        read_nifti(_write(tmp_path / "t1.nii.gz", (SCANNER, code), (OTHER, code)))


def test_two_templates_that_differ_are_refused(tmp_path: Path) -> None:
    """Neither is the scanner's."""
    with pytest.raises(InputError, match=r"MNI 152"):
        read_nifti(_write(tmp_path / "t1.nii.gz", (SCANNER, 4), (OTHER, 3)))


@pytest.mark.parametrize("half_turn", [np.diag([-1.0, -1.0, 1.0]), np.diag([1.0, -1.0, -1.0]), TURN])
@pytest.mark.parametrize("code", [1, 2, 4])
def test_one_affine_written_twice_is_one(
    half_turn: np.ndarray, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A quaternion rounds, most near half a turn: that is no second position, and nothing is said."""
    affine = np.eye(4)
    affine[:3, :3] = TURN @ half_turn
    volume = read_nifti(_write(tmp_path / "t1.nii.gz", (affine, code), (affine, 1)))
    np.testing.assert_allclose(volume.affine_mm, affine, atol=1e-6)
    assert not volume.of_template
    assert "taken" not in capsys.readouterr().err


def test_no_affine_is_refused(tmp_path: Path) -> None:
    """Voxel sizes alone put an image anywhere."""
    with pytest.raises(InputError, match="neither sform nor qform"):
        read_nifti(_write(tmp_path / "t1.nii.gz", (SCANNER, 0), (SCANNER, 0)))


def test_every_patients_door_takes_the_scanners_affine(tmp_path: Path) -> None:
    """The rule is the file's, not the caller's: anatomy, mask, labels, growth maps and wave fields lie in one world."""
    reference = Volume(np.ones(SHAPE), SCANNER)
    path = _write(tmp_path / "t1.nii.gz", (OTHER, 4), (SCANNER, 1))
    np.testing.assert_allclose(read_anatomy_image(path, ()).volume.affine_mm, SCANNER, atol=1e-4)
    block = np.zeros(SHAPE, dtype=np.float32)
    block[1:4, 2:5, 2:6] = 1.0
    for name in ("mask", "roi", "cellularity"):
        _save(tmp_path / f"{name}.nii.gz", block)
    assert np.array_equal(read_user_mask(tmp_path / "mask.nii.gz", reference)[0], block > 0)
    regions = read_regions(tmp_path / "mask.nii.gz", block > 0, SCANNER)
    assert regions.fractions.toarray().mean() == pytest.approx(1.0)
    (tmp_path / "growth").mkdir()
    for name in ("roi", "cellularity"):
        (tmp_path / f"{name}.nii.gz").rename(tmp_path / "growth" / f"{name}.nii.gz")
    np.testing.assert_allclose(read_growth(tmp_path / "growth", TumourSettings()).affine_mm, SCANNER, atol=1e-4)
    folder = tmp_path / "waves"
    folder.mkdir()
    for part, waves in zip(("real", "imag"), np.random.default_rng(0).normal(size=(2, *SHAPE, 3)), strict=True):
        _save(folder / f"x_acq-50Hz_part-{part}_wavefield.nii.gz", waves.astype(np.float32))
    _save(folder / "x_mask.nii.gz", block)
    (folder / "x_acq-50Hz_wavefield.json").write_text('{"MechanicalFrequency": 50, "Units": "um", "Density": 1000}')
    np.testing.assert_allclose(read_wave_fields(folder)[0].affine_mm, SCANNER, atol=1e-4)


def _save(path: Path, values: np.ndarray) -> None:
    """Values on the scanner's grid, with a template's sform on top."""
    image = nib.Nifti1Image(values, OTHER)
    image.set_sform(OTHER, 4)
    image.set_qform(SCANNER, 1)
    nib.save(image, path)


def test_a_template_alone_places_nothing_in_the_patient(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An anatomy waits for its registration as with another frame of reference; a mask has none and is refused."""
    path = _write(tmp_path / "t1.nii.gz", (SCANNER, 4), (SCANNER, 0))
    assert read_anatomy_image(path, ()).same_frame is False
    assert "template by its header (MNI 152)" in capsys.readouterr().err
    block = np.zeros(SHAPE, dtype=np.float32)
    block[1:4, 2:5, 2:6] = 1.0
    image = nib.Nifti1Image(block, OTHER)
    image.set_sform(OTHER, 4)
    nib.save(image, tmp_path / "mask.nii.gz")
    with pytest.raises(InputError, match="a mask in the coordinates of a template"):
        read_user_mask(tmp_path / "mask.nii.gz", Volume(np.ones(SHAPE), SCANNER))
    with pytest.raises(InputError, match="a segmentation in the coordinates of a template"):
        read_regions(tmp_path / "mask.nii.gz", block > 0, SCANNER)


FORMS: dict[str, Callable[[Path], object]] = {
    "T1.NII.GZ": lambda path: nib.save(nib.Nifti1Image(VALUES, SCANNER), path.with_name("t1.nii.gz")),
    "t1.hdr": lambda path: nib.save(nib.Nifti1Pair(VALUES, SCANNER), path),
    "t1.img": lambda path: nib.save(nib.Nifti1Pair(VALUES, SCANNER), path),
    "t1.mgz": lambda path: nib.save(nib.MGHImage(VALUES, SCANNER), path),
    "T1.MGH": lambda path: nib.save(nib.MGHImage(VALUES, SCANNER), path.with_name("t1.mgh")),
    "t1.nii": lambda path: nib.save(nib.Nifti2Image(VALUES[..., None], SCANNER), path),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_files(name: str, tmp_path: Path) -> None:
    """FreeSurfer, SPM and upper-case names are what people have; all are read alike, a series of one volume as well."""
    path = tmp_path / name
    FORMS[name](path)
    if not path.exists():
        path.with_name(name.lower()).rename(path)
    assert is_volume_file(path)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.values, VALUES)
    np.testing.assert_allclose(volume.affine_mm, SCANNER, atol=1e-5)
    assert np.array_equal(read_anatomy_image(path, ()).volume.values, VALUES)


def test_an_old_dicom_name_is_no_volume(tmp_path: Path) -> None:
    """Exports call DICOM images .img too; NIfTI's has its .hdr beside it."""
    (tmp_path / "0001.img").write_bytes(b"DICM")
    assert not is_volume_file(tmp_path / "0001.img")


def test_mgz_without_a_place_is_refused(tmp_path: Path) -> None:
    """Its header says that its coordinates are not good; nibabel then makes some up."""
    nib.save(nib.MGHImage(VALUES, SCANNER), tmp_path / "t1.mgh")
    content = bytearray((tmp_path / "t1.mgh").read_bytes())
    content[28:30] = b"\0\0"
    (tmp_path / "t1.mgz").write_bytes(gzip.compress(content))
    with pytest.raises(InputError, match="no statement of where the voxels lie"):
        read_volume(tmp_path / "t1.mgz")


@pytest.mark.parametrize("cut", [0.5, 0.99])
def test_a_truncated_mgz_is_refused(cut: float, tmp_path: Path) -> None:
    """A copy that broke off must not become an image with an empty end."""
    path = tmp_path / "t1.mgz"
    nib.save(nib.MGHImage(VALUES, SCANNER), path)
    path.write_bytes(path.read_bytes()[: int(cut * path.stat().st_size)])
    with pytest.raises(InputError, match="cannot be read to its end"):
        read_volume(path)


def _sheared() -> np.ndarray:
    affine = SCANNER.copy()
    affine[:3, 2] += 0.25 * affine[:3, 1]
    return affine


def test_sheared_grids(tmp_path: Path) -> None:
    """Registration and DICOM hold no shear, so an anatomy or a wave field with it is refused, not straightened.

    What is only looked up voxel by voxel, such as a map, is written and read back where it lies.
    """
    write_nifti(tmp_path / "t1.nii.gz", VALUES, _sheared())
    assert same_grid(read_nifti(tmp_path / "t1.nii.gz").affine_mm, _sheared(), SHAPE)
    with pytest.raises(InputError, match=r"slices shifted sideways.*Resample the anatomy"):
        read_anatomy_image(tmp_path / "t1.nii.gz", ())


def test_a_large_mask_is_read_in_its_stored_type(tmp_path: Path) -> None:
    """Bytes as float64 take eight times the memory: a mask of 227 MB took more than 2 GB."""
    size = 16 * 1024**2
    values = np.zeros((256, 256, 256), dtype=np.uint8)
    values[100:140, 100:140, 100:140] = 1
    write_nifti(tmp_path / "mask.nii.gz", values, np.diag([0.5, 0.5, 0.5, 1.0]))
    magnitude = Volume(np.ones((64, 64, 64)), np.diag([2.0, 2.0, 2.0, 1.0]))
    tracemalloc.start()
    try:
        mask, _ = read_user_mask(tmp_path / "mask.nii.gz", magnitude)
        regions = read_regions(tmp_path / "mask.nii.gz", mask, magnitude.affine_mm)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert mask.sum() == 1000
    assert regions.numbers.tolist() == [1]
    # The file's bytes, and a slab of 4 million values as float64 with what is compared; float64 alone is 8 sizes.
    assert peak < 6 * size
