"""From DICOM to wave field as a whole: what was put into a pretend scanner must come out, with its noise."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid
from scipy.spatial.transform import Rotation

from palpate.config.ingest import IngestSettings
from palpate.imaging.deidentify.key_file import known_key
from palpate.imaging.dicom.geometry import LPS_TO_RAS
from palpate.imaging.files.wavefield_folder import read_wave_fields, write_wave_field
from palpate.imaging.ingest import ingest
from palpate.imaging.wavefield import WaveField
from tests.imaging.planting import identifiers_in
from tests.imaging.scanner import FRAME, PATIENT, STUDY, Scan, edit, write_mre, write_t1

STEM = "sub-01_ses-01"
DEFAULTS = IngestSettings()
TILT = Rotation.from_euler("xyz", [2, -3, 12], degrees=True).as_matrix()


def _angles_deg(axis_lps: np.ndarray) -> tuple[int, int]:
    """Azimuth and polar angle in the device's axes (L, -P, -S), in whole degrees, as the sequence writes them."""
    x, y, z = axis_lps * [1, -1, -1]
    return round(float(np.degrees(np.arctan2(y, x)))) % 360, round(float(np.degrees(np.arccos(z))))


OBLIQUE = Scan(
    row=tuple(TILT[:, 0]),
    column=tuple(TILT[:, 1]),
    angles_deg=(_angles_deg(TILT[:, 2]), _angles_deg(TILT[:, 1]), _angles_deg(-TILT[:, 0])),
    noise_rad=0.04,
)


def _truth_um(scan: Scan) -> np.ndarray:
    """Displacement in micrometres along R, A, S: normal, column and minus row are the encoding axes."""
    axes = np.stack([np.cross(scan.row, scan.column), scan.column, -np.asarray(scan.row)]) @ LPS_TO_RAS
    return np.einsum("dc,d...->...c", axes, scan.encoded_rad() * scan.menc_um_per_rad)


def _ingest(tmp_path: Path, scan: Scan, **changes: object) -> tuple[WaveField, dict]:
    write_mre(tmp_path / "mre", scan)
    ingest(tmp_path / "mre", STEM, tmp_path / "out", anatomy=None, settings=IngestSettings(**changes))
    record = json.loads((tmp_path / "out" / f"{STEM}_ingest.json").read_text())
    return read_wave_fields(tmp_path / "out")[0], record


def test_displacement_comes_out_in_world_axes(tmp_path: Path) -> None:
    """The whole chain at once: mosaic, phase scaling, unwrapping, transform, motion encoding, oblique axes, units."""
    field, record = _ingest(tmp_path, OBLIQUE)
    difference = field.displacement_m * 1e6 - _truth_um(OBLIQUE)
    noise_um = 0.04 / 2 * OBLIQUE.menc_um_per_rad
    assert field.frequency_hz == pytest.approx(50)
    assert np.std(difference.real) == pytest.approx(noise_um, rel=0.1)
    assert np.std(difference.imag) == pytest.approx(noise_um, rel=0.1)
    assert field.noise_std_m * 1e6 == pytest.approx(noise_um, rel=0.1)
    assert record["frequencies"][0]["motion_encoding_known"] is True


def test_slices_of_a_free_running_vibration(tmp_path: Path) -> None:
    """Slices acquired at other phases of the vibration must come out as if acquired at once."""
    scan = Scan(slice_time_ms=(0.0, 2013.0, 1007.0), shape=(20, 16, 3), rigid_rad=5.0)
    field, record = _ingest(tmp_path, scan)
    np.testing.assert_allclose(field.displacement_m * 1e6, _truth_um(scan), atol=0.02)
    assert record["frequencies"][0]["slice_timing"]["applied"]


def test_slices_of_a_restarted_vibration(tmp_path: Path) -> None:
    """Headers state slice times even where the vibration restarts for each slice; then they must not be used."""
    scan = Scan(slice_time_ms=(0.0, 2000.0, 1000.0))
    write_mre(tmp_path / "mre", scan)
    for file in (tmp_path / "mre").rglob("*.ima"):
        from tests.imaging.scanner import edit

        edit(file, lambda image: image[0x0019, 0x1029].__setattr__("value", [0.0, 2013.0, 1007.0]))
    fields = ingest(tmp_path / "mre", STEM, tmp_path / "out", anatomy=None, settings=DEFAULTS)
    np.testing.assert_allclose(fields[0].displacement_m * 1e6, _truth_um(scan), atol=0.02)


def test_time_step_sign(tmp_path: Path) -> None:
    """The switch must give the complex conjugate, the field of a vibration that runs the other way."""
    scan = Scan(shape=(20, 16, 2))
    field, _ = _ingest(tmp_path, scan, time_step_sign="negative")
    np.testing.assert_allclose(field.displacement_m * 1e6, _truth_um(scan).conj(), atol=0.02)


def test_unknown_motion_encoding_is_said(tmp_path: Path) -> None:
    """Displacements in invented units are useful for moduli only; whoever reads the sidecar must learn that."""
    _, record = _ingest(tmp_path, Scan(menc_um_per_rad=None))
    sidecar = json.loads((tmp_path / "out" / f"{STEM}_acq-50Hz_wavefield.json").read_text())
    assert sidecar["MotionEncodingKnown"] is False
    assert record["frequencies"][0]["menc_um_per_rad"] == DEFAULTS.assumed_menc_um_per_rad


def test_motion_encoding_of_the_settings_wins(tmp_path: Path) -> None:
    """A study that calibrated its sequence knows better than the header."""
    field, _ = _ingest(tmp_path, Scan(), menc_um_per_rad=8.0)
    np.testing.assert_allclose(field.displacement_m * 1e6, 2 * _truth_um(Scan()), atol=0.04)


def test_runs_are_numbered_in_series_order(tmp_path: Path) -> None:
    """Two runs of one session must never overwrite or swap each other."""
    write_mre(tmp_path / "mre" / "b", Scan(series=45, amplitude_rad=1.0))
    write_mre(tmp_path / "mre" / "a", Scan(series=47, amplitude_rad=2.0))
    with zipfile.ZipFile(tmp_path / "mre.zip", "w") as archive:
        for file in sorted((tmp_path / "mre").rglob("*.ima")):
            archive.write(file, file.relative_to(tmp_path))
    fields = ingest(tmp_path / "mre.zip", STEM, tmp_path / "out", anatomy=None, settings=DEFAULTS)
    assert [field.label for field in fields] == [f"{STEM}_run-1", f"{STEM}_run-2"]
    sizes = [np.abs(field.displacement_m).max() for field in fields]
    assert sizes[1] == pytest.approx(2 * sizes[0], rel=0.01)
    record = json.loads((tmp_path / "out" / f"{STEM}_run-2_ingest.json").read_text())
    assert (record["series_number_magnitude"], record["series_number_phase"]) == (47, 48)


def test_a_protocol_that_was_scanned_again_may_keep_its_numbers(tmp_path: Path) -> None:
    """Archives and consoles number by study or by body part: each phase series finds the magnitude of its own time."""
    for folder, amplitude_rad in (("a", 1.0), ("b", 2.0)):
        write_mre(tmp_path / "mre" / folder, Scan(series=45, amplitude_rad=amplitude_rad))

    def again(image: pydicom.Dataset) -> None:
        for name in ("SeriesInstanceUID", "SOPInstanceUID"):
            setattr(image, name, generate_uid(entropy_srcs=[image[name].value]))
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        if "M" in image.ImageType:  # equal images would be copies of each other
            image.PixelData = np.where(image.pixel_array > 0, image.pixel_array + 1, 0).astype("u2").tobytes()

    for file in (tmp_path / "mre" / "b").rglob("*.ima"):
        edit(file, again)
    fields = ingest(tmp_path / "mre", STEM, tmp_path / "out", anatomy=None, settings=DEFAULTS)
    sizes = [np.abs(field.displacement_m).max() for field in fields]
    assert sizes[1] == pytest.approx(2 * sizes[0], rel=0.01)


def test_no_identity_leaves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names, numbers and dates of a patient must be in no output and on no terminal; what DICOM output needs, must."""
    extra = {"SeriesDescription": "mre Mustermann", "ImageComments": "Erika", "StudyDate": "20240229"}
    _ingest(tmp_path, Scan(extra=extra))
    text = "".join(path.read_text() for path in (tmp_path / "out").glob("*.json")) + capsys.readouterr().err
    text += "".join(path.name for path in (tmp_path / "out").iterdir())
    for secret in (*PATIENT.split("^"), "MUSTER77", "19600102", "20240229"):
        assert secret not in text
    assert not [own for own in identifiers_in(tmp_path / "mre") if own in text]
    record = json.loads((tmp_path / "out" / f"{STEM}_ingest.json").read_text())
    key = known_key(None)
    assert key is not None
    assert record["dicom"]["StudyInstanceUID"] == key.identifier(STUDY)
    assert record["dicom"]["FrameOfReferenceUID"] == key.identifier(FRAME)
    assert record["acquisition"]["InversionTime"] == 2900


@pytest.mark.parametrize("as_nifti", [False, True])
def test_anatomy_keeps_its_own_grid(as_nifti: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter of the test
    """The planner looks at the T1 image: it must not be resampled, and must lie where the scanner had it."""
    scan = Scan()
    values = np.random.default_rng(0).integers(0, 4000, size=(9, 7, 6)).astype(np.uint16)
    write_mre(tmp_path / "mre", scan)
    write_t1(tmp_path / "t1", values, scan, (1.0, 1.25, 1.5))
    affine = np.diag([-1.0, -1.25, 1.5, 1.0])
    affine[:3, 3] = LPS_TO_RAS @ scan.corner_mm
    source = tmp_path / "t1"
    if as_nifti:
        source = tmp_path / "t1.nii.gz"
        nib.save(nib.Nifti1Image(values, affine), source)
    ingest(tmp_path / "mre", STEM, tmp_path / "out", anatomy=source, settings=DEFAULTS)
    found = nib.load(tmp_path / "out" / f"{STEM}_T1w.nii.gz")
    np.testing.assert_allclose(found.affine, affine, atol=1e-5)
    np.testing.assert_array_equal(found.get_fdata(), values)
    record = json.loads((tmp_path / "out" / f"{STEM}_ingest.json").read_text())
    assert record["anatomy"]["same_frame_of_reference"] is (None if as_nifti else True)


def test_wave_field_folder_passes_through(tmp_path: Path) -> None:
    """A field from another laboratory keeps every value, its noise and its place; only its label changes."""
    field, _ = _ingest(tmp_path, OBLIQUE)
    ingest(tmp_path / "out", "sub-02", tmp_path / "again", anatomy=None, settings=DEFAULTS)
    again = read_wave_fields(tmp_path / "again")[0]
    assert again.label == "sub-02"
    assert again.noise_std_m == pytest.approx(field.noise_std_m)
    np.testing.assert_array_equal(again.displacement_m, field.displacement_m)
    np.testing.assert_allclose(again.affine_mm, field.affine_mm, atol=1e-5)
    assert (tmp_path / "again" / "sub-02_magnitude.nii.gz").exists()


@pytest.mark.parametrize(("unit", "per_metre"), [("nm", 1e9), ("um", 1e6), ("mm", 1e3), ("m", 1.0)])
def test_units_of_other_laboratories(unit: str, per_metre: float, tmp_path: Path) -> None:
    """The same motion in other units is the same wave field, noise included."""
    field, _ = _ingest(tmp_path, OBLIQUE)
    folder = tmp_path / "theirs"
    folder.mkdir()
    write_wave_field(folder, field)
    for name in ("part-real_wavefield", "part-imag_wavefield", "desc-noise_map"):
        path = folder / f"{STEM}_acq-50Hz_{name}.nii.gz"
        image = nib.load(path)
        nib.save(nib.Nifti1Image(image.get_fdata() * 1e-6 * per_metre, image.affine), path)
    sidecar = folder / f"{STEM}_acq-50Hz_wavefield.json"
    facts = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps(facts | {"Units": unit, "NoiseStd": field.noise_std_m * per_metre}))
    found = read_wave_fields(folder)[0]
    assert found.noise_std_m == pytest.approx(field.noise_std_m)
    np.testing.assert_allclose(found.displacement_m, field.displacement_m, rtol=1e-6, atol=1e-15)
