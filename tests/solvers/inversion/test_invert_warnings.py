"""`palpate invert` looks at a folder that no importer has seen, and says what it found in record and log."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from palpate.imaging.files.wavefield_folder import write_wave_field
from palpate.imaging.wavefield import WaveField
from tests.conftest import Outcome
from tests.imaging.shear_waves import shear_waves

LABEL = "sub-01_ses-01"
DIRECT = {"method": "direct"}

type Inside = Callable[..., Outcome]


def _invert(folder: Path, field: WaveField, palpate_inside: Inside, settings: dict) -> tuple[Outcome, dict]:
    (folder / "in").mkdir()
    write_wave_field(folder / "in", field)
    ended = palpate_inside("invert", folder / "in", "--out", folder / "out", "--settings", json.dumps(settings))
    assert ended.code == 0, ended.printed
    return ended, json.loads((folder / "out" / f"{LABEL}_inversion.json").read_text())


def test_sound_waves_raise_nothing(tmp_path: Path, palpate_inside: Inside) -> None:
    """A flag that is often up is no flag."""
    _, record = _invert(tmp_path, shear_waves(noise=0.02), palpate_inside, DIRECT)
    assert record["warnings"] == record["doubts"] == []


@pytest.mark.parametrize(
    ("change", "code", "cause"),
    [
        (lambda f: replace(f, frequency_hz=377.0), "implausible-modulus", "377 rad/s are 60 Hz"),
        (lambda f: replace(f, displacement_m=f.displacement_m * [1, 1, -1]), "component-axes", "component S reversed"),
        (lambda f: replace(f, acquired_matrix=(9, 8)), "interpolated-images", "interpolated"),
    ],
)
def test_a_faulty_folder_is_named(
    change: Callable[[WaveField], WaveField], code: str, cause: str, tmp_path: Path, palpate_inside: Inside
) -> None:
    """The posterior of such waves is sure of itself and wrong: record, old list of sentences and log say why."""
    ended, record = _invert(tmp_path, change(shear_waves(noise=0.02)), palpate_inside, DIRECT)
    ((found,), (sentence,)) = record["warnings"], record["doubts"]
    assert set(found) == {"code", "sentence", "advice"}
    assert found["code"] == code
    assert cause in found["sentence"]
    assert sentence == f"{found['sentence']} {found['advice']}"
    assert found["sentence"] in ended.printed


def test_a_conjugate_folder_is_named_before_anything_is_computed(tmp_path: Path, palpate_inside: Inside) -> None:
    """The direct inversion finds no wave in it and ends: the log has said why by then."""
    field = shear_waves(noise=0.02)
    (tmp_path / "in").mkdir()
    write_wave_field(tmp_path / "in", replace(field, displacement_m=field.displacement_m.conj()))
    ended = palpate_inside("invert", tmp_path / "in", "--out", tmp_path / "out", "--settings", json.dumps(DIRECT))
    assert "gain energy as they travel" in ended.printed
    assert "sign of time" in ended.printed


def test_a_fit_that_did_not_end_is_a_warning(tmp_path: Path, palpate_inside: Inside) -> None:
    """Its maps look like any others; the record keeps `converged` and says so beside every other warning."""
    brief = {"samples": 20, "hessian_rank": 20, "max_iterations": 1, "fit_prior": False}
    ended, record = _invert(tmp_path, shear_waves(shape=(6, 5, 5), noise=0.02), palpate_inside, brief)
    assert record["converged"] is False
    assert "not-converged" in [one["code"] for one in record["warnings"]]
    assert "did not converge in 1 steps" in ended.printed


@pytest.mark.parametrize("settings", [{"tissue_density_kg_m3": 1.03}, {"reference_hz": 0.05}])
def test_settings_in_another_unit_are_refused(
    settings: dict[str, float], tmp_path: Path, palpate_inside: Inside
) -> None:
    """The limits of headers hold for settings."""
    (tmp_path / "in").mkdir()
    write_wave_field(tmp_path / "in", shear_waves())
    ended = palpate_inside("invert", tmp_path / "in", "--out", tmp_path / "out", "--settings", json.dumps(settings))
    assert ended.code == 2
    assert "the inversion settings" in ended.printed
