"""Queries of contours on a planning CT: its registration gives the numbers of the elastogram's own frame."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import Outcome
from tests.imaging.drawn_files import write_rtstruct
from tests.imaging.registration_files import rigid, write_sro
from tests.service.conftest import SessionFiles

MRE, CT = "1.2.826.0.1.3680043.10.543.2", "1.2.3.4"
TO_CT = rigid((0.12, -0.08, 0.2), (30.0, -240.0, 700.0))

type Inside = Callable[..., Outcome]


def _circles(centre_mm: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """A ball of 8 mm as contours 1 mm apart, RAS."""
    angles = np.linspace(0.0, 2.0 * np.pi, 60, endpoint=False)
    heights = np.arange(-7.5, 8.0)
    radii = np.sqrt(64.0 - heights**2)
    return [
        centre_mm + np.column_stack([r * np.cos(angles), r * np.sin(angles), np.full(60, z)])
        for r, z in zip(radii, heights, strict=True)
    ]


@pytest.mark.parametrize("error_mm", [0.0, 3.0])
def test_a_contour_on_ct_gives_the_numbers_of_the_elastogram(
    error_mm: float, finished_session: SessionFiles, tmp_path: Path, palpate_inside: Inside
) -> None:
    """The same ball, drawn here and on the CT, within 0.5 %; the error that is stated widens the interval."""
    drawn = _circles(np.array([0.0, -12.0, 27.0]))
    carried = [one @ TO_CT[:3, :3].T + TO_CT[:3, 3] for one in drawn]
    write_rtstruct(tmp_path / "here.dcm", {"GTV": drawn}, frame=MRE)
    write_rtstruct(tmp_path / "there.dcm", {"GTV": carried}, frame=CT)
    way = write_sro(tmp_path / "reg.dcm", CT, [(MRE, [TO_CT], "RIGID")])
    stated = ("--settings", json.dumps({"registration_uncertainty_mm": error_mm}))

    def asked(file: str, *more: object) -> dict[str, object]:
        done = palpate_inside(
            "query", finished_session.folder, "--roi", tmp_path / file, "--out", tmp_path / "a.json", *more
        )
        assert done.code == 0, done.printed
        return json.loads((tmp_path / "a.json").read_text())["results"][0]

    here, there = asked("here.dcm"), asked("there.dcm", "--registration", way, *stated)
    assert here["registration"] == {"state": "none needed", "uncertainty_mm": None}
    assert there["registration"] == {"state": "given", "uncertainty_mm": pytest.approx(error_mm)}
    mine, its = (one["quantities"]["storage_modulus"] for one in (here, there))
    if error_mm == 0.0:
        for key in ("mean_kpa", "lower_kpa", "upper_kpa"):
            assert its[key] == pytest.approx(mine[key], rel=5e-3)
    else:
        assert its["std_kpa"] > mine["std_kpa"]


BAD = {
    "a sphere on the T1": (("--space", "t1"), "beside --sphere"),
    "a sphere by a registration": (("--registration", "to_ct.tfm"), "which it does not carry"),
    "a sphere on a CT": (("--contour-image", "ct"), "which it does not carry"),
}


@pytest.mark.parametrize("case", BAD)
def test_options_without_effect_on_a_sphere_are_refused(
    case: str, finished_session: SessionFiles, palpate_inside: Inside
) -> None:
    """A sphere lies in the elastogram's world; whoever names another one would get numbers of the wrong place."""
    options, words = BAD[case]
    done = palpate_inside("query", finished_session.folder, "--sphere", "0,-12,27,8", *options)
    assert done.code == 2
    assert words in " ".join(done.printed.split())
