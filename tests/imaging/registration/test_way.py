"""Ways between frames of reference: directions, products and errors, from files as other programs write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.uid import DeformableSpatialRegistrationStorage, RTDoseStorage

from palpate.errors import InputError
from palpate.imaging.registration.itk_transform import read_itk_transform
from palpate.imaging.registration.placement import Placement
from palpate.imaging.registration.rigid import Rigid
from palpate.imaging.registration.spatial_registration import SpatialRegistration, read_spatial_registration
from palpate.imaging.registration.way import FrameWay, given_way, placement_way
from tests.imaging.registration_files import Item, rigid, write_itk, write_sro

MR, CT, PET = "1.2.3.1", "1.2.3.2", "1.2.3.3"
TO_CT = rigid((0.1, -0.2, 0.3), (12.0, -250.0, 40.0))
TO_PET = rigid((0.0, 0.1, 0.0), (5.0, 0.0, 900.0))
BACK = np.linalg.inv(TO_CT)
POINTS = np.random.default_rng(3).normal(scale=60.0, size=(40, 3))
SHEAR = np.eye(4)
SHEAR[0, 1] = 0.25


def _matrix(file: SpatialRegistration, start: str, end: str) -> NDArray[np.float64]:
    found = file.between(start, end, lambda one, other: one == other)
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    ("registered", "items"),
    [
        (CT, [(MR, [TO_CT], "RIGID")]),
        (MR, [(CT, [BACK], "RIGID")]),
        (CT, [(CT, [np.eye(4)], "RIGID"), (MR, [TO_CT], "AFFINE"), (PET, [TO_PET], "RIGID_SCALE")]),
        (PET, [(MR, [TO_PET @ TO_CT], "RIGID"), (CT, [TO_PET], "RIGID")]),
        (CT, [(MR, [np.eye(4), TO_CT, np.eye(4)], "RIGID"), (MR, [TO_CT], "RIGID")]),
    ],
    ids=["to the CT", "to the MR", "several items", "by a third frame", "several matrices"],
)
def test_direction_follows_from_identifiers(tmp_path: Path, registered: str, items: list[Item]) -> None:
    """Planning systems register in either direction; the wrong one would double the error."""
    file = read_spatial_registration(write_sro(tmp_path / "reg.dcm", registered, items))
    np.testing.assert_allclose(_matrix(file, MR, CT), TO_CT, atol=1e-7)
    np.testing.assert_allclose(_matrix(file, CT, MR), BACK, atol=1e-7)
    assert file.between(MR, "1.2.9", lambda one, other: one == other) is None
    assert "4711" not in repr(file)


def _write(change: Callable[[NDArray[np.float64]], object]) -> list[Item]:
    matrix = TO_CT.copy()
    change(matrix)
    return [(MR, [matrix], "RIGID")]


def _mirrored(matrix: NDArray[np.float64]) -> None:
    matrix[:, 0] *= -1.0


def _transposed(matrix: NDArray[np.float64]) -> None:
    matrix[:] = matrix.T.copy()


@pytest.mark.parametrize(
    ("items", "kind", "said"),
    [
        (_write(_mirrored), None, "mirrors: left and right"),
        (_write(_transposed), None, "last row is not 0 0 0 1"),
        (_write(lambda matrix: np.copyto(matrix, 2e4, where=np.eye(4, k=3, dtype=bool))), None, "shift of 2e"),
        (_write(lambda matrix: np.copyto(matrix, np.nan, where=np.eye(4, dtype=bool))), None, "finite numbers"),
        ([(MR, [np.diag([1.0, 1.0, 1.05, 1.0])], "RIGID")], None, "type RIGID that is no rotation"),
        ([(MR, [np.diag([1.0, 1.0, 1.3, 1.0])], "RIGID_SCALE")], None, "stretches by factors of 1 to 1.3"),
        ([(MR, [SHEAR], "AFFINE")], None, "stretches by factors of 0.88"),
        ([(MR, [np.diag([0.0, 1.0, 1.0, 1.0])], "AFFINE")], None, "stretches by factors of 0 "),
        ([(MR, [TO_CT], "CURVED")], None, "no known type"),
        ([(MR, [], "RIGID")], None, "without a matrix"),
        ([("", [TO_CT], "RIGID")], None, "does not name its frames"),
        ([(MR, [TO_CT, TO_PET], "RIGID")], None, "whose order changes"),
        ([(MR, [TO_CT], "RIGID")], DeformableSpatialRegistrationStorage, "deformable"),
        ([(MR, [TO_CT], "RIGID")], RTDoseStorage, "of another kind"),
    ],
)
def test_what_is_no_motion_of_a_patient_is_refused(
    tmp_path: Path, items: list[Item], kind: str | None, said: str
) -> None:
    """A matrix in the wrong order, mirrored or of another head lays a contour on healthy tissue."""
    path = write_sro(tmp_path / "reg.dcm", CT, items, **({} if kind is None else {"kind": kind}))
    with pytest.raises(InputError, match=said):
        read_spatial_registration(path)


def test_one_frame_in_two_places_is_refused(tmp_path: Path) -> None:
    """Two registrations in one object: nobody knows which of them was approved."""
    items: list[Item] = [(MR, [TO_CT], "RIGID"), (MR, [TO_PET], "RIGID")]
    file = read_spatial_registration(write_sro(tmp_path / "reg.dcm", CT, items))
    with pytest.raises(InputError, match="two different matrices"):
        _matrix(file, MR, CT)
    cut = tmp_path / "cut.dcm"
    cut.write_bytes((tmp_path / "reg.dcm").read_bytes()[:700])
    with pytest.raises(InputError, match="registration"):
        _matrix(read_spatial_registration(cut), MR, CT)


def _euler() -> sitk.Transform:
    transform = sitk.Euler3DTransform()
    transform.SetCenter((10.0, -20.0, 30.0))
    transform.SetRotation(0.2, 0.1, -0.3)
    transform.SetTranslation((4.0, 5.0, -6.0))
    return transform


def _versor() -> sitk.Transform:
    transform = sitk.VersorRigid3DTransform()
    transform.SetRotation((0.0, 1.0, 0.2), 0.4)
    return transform


@pytest.mark.parametrize("ending", [".tfm", ".txt", ".h5", ".mat"])
@pytest.mark.parametrize("make", [_euler, _versor, lambda: sitk.CompositeTransform([_euler(), _versor()])])
def test_transforms_of_itk_move_points_as_itk_does(
    tmp_path: Path, ending: str, make: Callable[[], sitk.Transform]
) -> None:
    """From L P S to R A S once: each point moves as SimpleITK moves it, through centres, versors and products."""
    transform = make()
    path = tmp_path / f"to_ct{ending}"
    try:
        sitk.WriteTransform(transform, str(path))
        sitk.ReadTransform(str(path))
    except RuntimeError:
        pytest.skip("ITK itself does not store this one")
    matrix, warnings = read_itk_transform(path)
    flip = np.array([-1.0, -1.0, 1.0])
    moved = [flip * transform.TransformPoint((flip * point).tolist()) for point in POINTS]
    np.testing.assert_allclose(POINTS @ matrix[:3, :3].T + matrix[:3, 3], moved, atol=1e-5)
    assert not warnings


def test_a_scale_of_some_percent_is_said(tmp_path: Path) -> None:
    """Affine registrations of one head scale by a few per mille; more is another head, or an error of a gantry."""
    matrix, warnings = read_itk_transform(write_itk(tmp_path / "a.tfm", TO_CT @ np.diag([1.03, 1.0, 1.0, 1.0])))
    assert [one.code for one in warnings] == ["registration-not-rigid"]
    assert given_way("ITK transform", matrix, 1.0).scale == pytest.approx(1.03)
    assert not read_itk_transform(write_itk(tmp_path / "b.tfm", TO_CT @ np.diag([1.003, 1.0, 1.0, 1.0])))[1]


def _flat() -> sitk.Transform:
    return sitk.Euler2DTransform()


def _spline() -> sitk.Transform:
    return sitk.BSplineTransformInitializer(sitk.Image(8, 8, 8, sitk.sitkUInt8), [2, 2, 2])


@pytest.mark.parametrize(("make", "said"), [(_flat, "2 dimensions"), (_spline, "deformable"), (None, "no transform")])
def test_other_transforms_are_refused(tmp_path: Path, make: Callable[[], sitk.Transform] | None, said: str) -> None:
    """FSL's .mat holds a matrix of another convention; splines have no exact inverse."""
    path = tmp_path / "a.tfm"
    if make is None:
        path.write_text("1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n")
    else:
        sitk.WriteTransform(make(), str(path))
    with pytest.raises(InputError, match=said) as refused:
        read_itk_transform(path)
    assert "ITK ERROR" not in str(refused.value)


def test_errors_of_ways_add_up_as_motions_drawn_one_after_the_other() -> None:
    """First order suffices for errors of millimetres and degrees: draws of both motions have the same spread."""
    generator = np.random.default_rng(5)
    widths = np.array([0.01] * 3 + [0.5] * 3)
    rigids, covariances = [], []
    for shift in ((50.0, -20.0, 10.0), (5.0, -200.0, 10.0)):
        root = generator.normal(size=(6, 6)) * widths[:, None]
        covariances.append(root @ root.T)
        angles = generator.uniform(-0.4, 0.4, 3)
        rigids.append(Rigid(np.concatenate([angles, shift]), generator.uniform(-60.0, 60.0, 3)))
    ways = [placement_way(Placement("registered", one, c)) for one, c in zip(rigids, covariances, strict=True)]
    way = ways[0].then(ways[1])
    there = rigids[1].moved(rigids[0].moved(POINTS))
    np.testing.assert_allclose(way.moved(POINTS), there, atol=1e-9)
    drawn = [
        np.mean(np.sum((second.moved(first.moved(POINTS)) - there) ** 2, axis=1))
        for first, second in zip(
            rigids[0].draws(covariances[0], 400, 1), rigids[1].draws(covariances[1], 400, 2), strict=True
        )
    ]
    assert way.uncertainty_mm(POINTS) == pytest.approx(np.sqrt(np.mean(drawn)), rel=0.1)
    assert ways[0].uncertainty_mm(POINTS) == pytest.approx(rigids[0].spread_mm(covariances[0], POINTS), rel=1e-3)
    own = [np.mean(np.sum((one.moved(POINTS) - there) ** 2, axis=1)) for one in way.draws(400, 3)]
    assert np.sqrt(np.mean(own)) == pytest.approx(way.uncertainty_mm(POINTS), rel=0.1)


def test_a_stated_error_is_a_shift_of_that_length() -> None:
    """Two millimetres are two millimetres everywhere, behind whatever matrix, and zero is none."""
    way: FrameWay = given_way("spatial registration", TO_CT, 2.0)
    assert way.uncertainty_mm(POINTS) == pytest.approx(2.0)
    away = [one.moved(POINTS) - way.moved(POINTS) for one in way.displaced(1.0)]
    assert len(away) == 6
    assert np.linalg.norm(away, axis=-1) == pytest.approx(2.0 / np.sqrt(3.0))
    assert given_way("spatial registration", TO_CT, 0.0).displaced(1.0) == ()
