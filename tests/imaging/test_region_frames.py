"""Regions drawn in another frame of reference, such as on a planning CT: carried there and back, or refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.config.registration import RegistrationSettings
from palpate.errors import InputError
from palpate.imaging.anatomy.foreign_frame import GivenRegistration, of_region
from palpate.imaging.anatomy.session_frames import SessionFrames, session_frames
from palpate.imaging.deidentify.key import Key
from palpate.imaging.derived.statistics import medium_of
from palpate.imaging.files.draws import DrawsFile, open_draws
from palpate.imaging.files.nifti import write_nifti
from palpate.imaging.files.stiffness_folder import StiffnessMaps, read_stiffness
from palpate.imaging.region_values.quantities import REGION_QUANTITIES, USUAL
from palpate.imaging.region_values.values import RegionValue, region_values
from palpate.imaging.region_values.way_motion import motion_by
from palpate.imaging.region_values.weights import weighted
from palpate.imaging.regions.read import read_region
from palpate.imaging.regions.region import DrawnRegion
from palpate.imaging.registration.placement import Placement, write_placement
from palpate.imaging.registration.rigid import Rigid
from tests.imaging.drawn_files import write_rtstruct
from tests.imaging.registration_files import Item, rigid, write_itk, write_sro
from tests.service.conftest import write_session

MRE, T1, CT = "1.2.3.1", "1.2.3.2", "1.2.3.3"
LABEL = "sub-01_ses-01"
PLACED = Rigid(np.array([0.05, -0.03, 0.08, 4.0, -3.0, 2.0]), np.array([5.0, 5.0, 5.0]))
TO_CT = rigid((0.12, -0.08, 0.2), (30.0, -240.0, 700.0))
"""From the T1 to the CT."""
KEY = Key(bytes(range(32)))
RADIUS_MM = 8.0
ALL = [REGION_QUANTITIES[key] for key in USUAL]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames") / "session"
    write_session(folder, folder.parent / "truth")
    write_placement(folder / "wavefield", LABEL, Placement("registered", PLACED, np.zeros((6, 6)), 0.0, {}))
    return folder


@pytest.fixture(scope="module")
def run(session: Path) -> StiffnessMaps:
    return read_stiffness(session / "mre")[0]


@pytest.fixture(scope="module")
def draws(run: StiffnessMaps) -> DrawsFile:
    assert run.samples_path is not None
    return open_draws(run.samples_path, run.informed.shape)


@pytest.fixture(scope="module")
def frames(session: Path) -> SessionFrames:
    return session_frames(session / "wavefield", LABEL, _record())


@pytest.fixture(scope="module")
def here(run: StiffnessMaps, tmp_path_factory: pytest.TempPathFactory) -> DrawnRegion:
    return _region(tmp_path_factory.mktemp("here"), _middle_mm(run), MRE)


@pytest.fixture(scope="module")
def there(run: StiffnessMaps, tmp_path_factory: pytest.TempPathFactory) -> DrawnRegion:
    return _region(tmp_path_factory.mktemp("there"), _on_ct(run), CT)


@pytest.fixture(scope="module")
def wanted(run: StiffnessMaps, draws: DrawsFile, frames: SessionFrames, here: DrawnRegion) -> list[RegionValue]:
    return _values(run, draws, frames, here, GivenRegistration())


def _record(t1: str = T1) -> Mapping[str, object]:
    return {"dicom": {"FrameOfReferenceUID": MRE}, "anatomy": {"dicom": {"FrameOfReferenceUID": t1}}}


def _moved(matrix: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(points @ matrix[:3, :3].T + matrix[:3, 3])


def _middle_mm(run: StiffnessMaps) -> NDArray[np.float64]:
    return _moved(run.affine_mm, np.array([12.0, 9.0, 6.0]))


def _contours(middle_mm: NDArray[np.float64], step_mm: float = 1.0) -> list[NDArray[np.float64]]:
    """Contours of a sphere on axial planes."""
    around = np.linspace(0.0, 2.0 * np.pi, 40, endpoint=False)
    found = []
    for height in np.arange(-RADIUS_MM + step_mm / 2, RADIUS_MM, step_mm):
        radius = np.sqrt(RADIUS_MM**2 - height**2)
        ring = np.stack([radius * np.cos(around), radius * np.sin(around), np.full(40, height)], axis=1)
        found.append(middle_mm + ring)
    return found


def _on_ct(run: StiffnessMaps) -> NDArray[np.float64]:
    return _moved(TO_CT, PLACED.moved(_middle_mm(run)))


def _region(folder: Path, middle_mm: NDArray[np.float64], frame: str) -> DrawnRegion:
    return read_region(write_rtstruct(folder / f"{frame}.dcm", {"gtv": _contours(middle_mm)}, frame=frame))


def _values(
    run: StiffnessMaps, draws: DrawsFile, frames: SessionFrames, region: DrawnRegion, given: GivenRegistration
) -> list[RegionValue]:
    carried = weighted(region, run, draws, motion_by(frames.way_to(of_region(region), given)))
    medium = medium_of(run.stem, run.inversion, run.frequency_hz, draws.density_kg_m3, ALL)
    return region_values(run, draws, [carried], ALL, medium)


def _sro(folder: Path, items: list[Item] | None = None, registered: str = CT, person: str = "4711") -> Path:
    return write_sro(folder / "reg.dcm", registered, items or [(T1, [TO_CT], "RIGID")], person=person)


def _files(folder: Path, way: str) -> GivenRegistration:
    """A registration of T1 and CT, as another program writes it."""
    exact = RegistrationSettings(registration_uncertainty_mm=0.0)
    if way == "spatial registration":
        return GivenRegistration(_sro(folder), settings=exact)
    if way == "the other way":
        return GivenRegistration(_sro(folder, [(CT, [np.linalg.inv(TO_CT)], "RIGID")], T1), settings=exact)
    if way == "pseudonyms":
        items: list[Item] = [(KEY.identifier(T1), [TO_CT], "RIGID")]
        return GivenRegistration(_sro(folder, items, KEY.identifier(CT), KEY.pseudonym("4711")), None, exact, KEY)
    if way == "ITK transform":
        return GivenRegistration(write_itk(folder / "to_ct.tfm", TO_CT), settings=exact)
    turned = exact.model_copy(update={"registration_fixed": "region"})
    return GivenRegistration(write_itk(folder / "to_t1.h5", np.linalg.inv(TO_CT)), settings=turned)


WAYS = ["spatial registration", "the other way", "pseudonyms", "ITK transform", "ITK, CT fixed"]


@pytest.mark.parametrize("way", WAYS)
def test_every_file_holds_the_same_way(
    run: StiffnessMaps, frames: SessionFrames, there: DrawnRegion, tmp_path: Path, way: str
) -> None:
    """Whoever exports a registration chooses its direction and its format; the patient has one place."""
    found = frames.way_to(of_region(there), _files(tmp_path, way))
    np.testing.assert_allclose(found.matrix_mm, TO_CT @ PLACED.matrix_mm, atol=1e-6)
    np.testing.assert_allclose(found.moved(_middle_mm(run)), _on_ct(run), atol=1e-5)


def test_a_contour_on_the_ct_has_the_values_of_the_mr(
    run: StiffnessMaps,
    draws: DrawsFile,
    frames: SessionFrames,
    here: DrawnRegion,
    there: DrawnRegion,
    wanted: list[RegionValue],
    tmp_path: Path,
) -> None:
    """One sphere, drawn on planes of the elastogram's world and of the CT's: means within 0.5 %, with any uncertainty.

    Where the registration may be off, the contour crosses the lesion's edge in some draws and the interval widens.
    """
    assert frames.way_to(of_region(here), GivenRegistration()).source == "same frame of reference"
    given = _files(tmp_path, "spatial registration")
    found = _values(run, draws, frames, there, given)
    for one, other in zip(wanted, found, strict=True):
        for name in ("mean", "lower", "upper"):
            assert getattr(other, name) == pytest.approx(getattr(one, name), rel=5e-3)
        assert other.region.covered_ml == pytest.approx(one.region.covered_ml, rel=0.01)
    assert RegistrationSettings().registration_uncertainty_mm == 2.0
    wide = _values(
        run, draws, frames, there, replace(given, settings=RegistrationSettings(registration_uncertainty_mm=4.0))
    )
    usual = _values(run, draws, frames, there, replace(given, settings=RegistrationSettings()))
    assert found[0].std < usual[0].std < wide[0].std
    for one, *others in zip(wanted, usual, wide, strict=True):
        assert [other.mean for other in others] == pytest.approx([one.mean] * 2, rel=5e-3)


def test_masks_of_nifti_follow_the_file_that_is_named(
    run: StiffnessMaps, draws: DrawsFile, frames: SessionFrames, wanted: list[RegionValue], tmp_path: Path
) -> None:
    """NIfTI names no frame: a registration carries it, to the only other frame that the file holds."""
    affine_mm = np.diag([1.0, 1.0, 1.0, 1.0])
    affine_mm[:3, 3] = np.round(_on_ct(run)) - 12.0
    away = np.moveaxis(np.indices((25, 25, 25)), 0, -1) + affine_mm[:3, 3] - _on_ct(run)
    path = tmp_path / "mask.nii.gz"
    write_nifti(path, (np.linalg.norm(away, axis=-1) <= RADIUS_MM).astype(np.uint8), affine_mm)
    found = _values(run, draws, frames, read_region(path), _files(tmp_path, "spatial registration"))[0]
    assert found.mean == pytest.approx(wanted[0].mean, rel=5e-3)


def _refused(frames: SessionFrames, region: DrawnRegion, given: GivenRegistration) -> str:
    with pytest.raises(InputError) as refused:
        frames.way_to(of_region(region), given)
    assert "4711" not in str(refused.value)
    assert "Mustermann" not in str(refused.value)
    return str(refused.value)


def test_without_a_way_a_region_is_refused(frames: SessionFrames, there: DrawnRegion, tmp_path: Path) -> None:
    """Coordinates of another frame are numbers without a place; each refusal names what would help."""
    assert "no way to it" in _refused(frames, there, GivenRegistration())
    assert "the CT on which it was drawn" in _refused(frames, there, GivenRegistration())
    other: list[Item] = [("1.2.9", [TO_CT], "RIGID")]
    assert "frame of reference of the T1 or the elastogram" in _refused(
        frames, there, GivenRegistration(_sro(tmp_path, other))
    )
    said = _refused(frames, there, GivenRegistration(_sro(tmp_path, registered="1.2.9")))
    assert "frame of reference of the region or dose" in said
    assert "another patient" in _refused(frames, there, GivenRegistration(_sro(tmp_path, person="9999")))
    for name, content in (("a.tfm", "nothing"), ("a.csv", "1 2 3"), ("b.mat", "1 0 0 0")):
        (tmp_path / name).write_text(content)
        _refused(frames, there, GivenRegistration(tmp_path / name))
    assert "a folder" in _refused(frames, there, GivenRegistration(tmp_path))
    assert "no such file" in _refused(frames, there, GivenRegistration(tmp_path / "none.tfm"))
    several: list[Item] = [(T1, [TO_CT], "RIGID"), ("1.2.9", [np.eye(4)], "RIGID")]
    nameless = replace(there, frame_uid="", kind="NIfTI", person=())
    assert "2 frames of reference" in _refused(frames, nameless, GivenRegistration(_sro(tmp_path, several)))
    with pytest.raises(InputError, match="one of them"):
        GivenRegistration(_sro(tmp_path), tmp_path)


def test_what_a_user_must_know_of_a_way(
    frames: SessionFrames, here: DrawnRegion, there: DrawnRegion, tmp_path: Path
) -> None:
    """An unused file, and one that nothing ties to the patient, are said."""
    unused = frames.way_to(of_region(here), _files(tmp_path, "spatial registration"))
    assert [one.code for one in unused.warnings] == ["registration-not-needed"]
    np.testing.assert_array_equal(unused.matrix_mm, np.eye(4))
    codes = [one.code for one in frames.way_to(of_region(there), _files(tmp_path, "ITK transform")).warnings]
    assert codes == ["registration-unproved"]
    on_t1 = frames.way_to(of_region(replace(here, frame_uid=T1)), GivenRegistration())
    np.testing.assert_allclose(on_t1.matrix_mm, PLACED.matrix_mm)


def test_records_of_earlier_versions_name_no_frame_of_the_t1(session: Path, tmp_path: Path) -> None:
    """They say only whether both share one; without any record nothing is known."""
    older = {"dicom": {"FrameOfReferenceUID": MRE}, "anatomy": {"same_frame_of_reference": True}}
    assert [one.frame_uid for one in session_frames(session / "wavefield", LABEL, older).known] == [MRE, MRE]
    empty = session_frames(tmp_path, LABEL, json.loads("{}"))
    assert [one.frame_uid for one in empty.known] == [""]
    assert empty.image is None
