"""The in-silico patient as a whole, small enough for a test."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from palpate.config.phantom import PhantomSettings
from palpate.imaging.files.wavefield_folder import read_wave_fields
from palpate.provenance import digest
from palpate.solvers.virtual_patient import incoming_waves
from tests.conftest import Command, Outcome

TINY = {"shape": [8, 7, 5], "element_mm": 5.5}


def test_incoming_waves_solve_the_equation_of_homogeneous_tissue() -> None:
    """Sources without divergence that obey laplace u = -k^2 u: otherwise the boundary would squeeze the tissue."""
    settings = PhantomSettings()
    points = np.random.default_rng(0).uniform(-0.02, 0.02, (50, 3))
    waves = incoming_waves(settings, points)
    h = 1e-4
    steps = h * np.eye(3)
    first = np.stack([(waves(points + s) - waves(points - s)) / (2 * h) for s in steps])
    second = sum(waves(points + s) - 2 * waves(points) + waves(points - s) for s in steps) / h**2
    scale = abs(waves.wavenumber) * np.abs(waves(points)).max()
    assert np.abs(np.einsum("cnc->n", first)).max() < 1e-3 * scale
    assert second == pytest.approx(-(waves.wavenumber**2) * waves(points), abs=1e-3 * abs(waves.wavenumber) * scale)
    assert waves.wavenumber.imag < 0  # damped in the direction of travel


@pytest.mark.long
def test_the_command_makes_a_patient_and_repeats_it(palpate: Command, tmp_path: Path) -> None:
    """`palpate phantom` from a terminal: a whole study, the same twice, and waves everywhere."""
    for name in ("first", "again"):
        done = palpate("phantom", "--out", name, "--settings", json.dumps(TINY))
        assert done.returncode == 0, done.stderr
    assert digest(tmp_path / "first" / "sub-01" / "ses-01") == digest(tmp_path / "again" / "sub-01" / "ses-01")
    (field,) = read_wave_fields(tmp_path / "first" / "sub-01" / "ses-01" / "truth" / "wavefield")
    length = np.linalg.norm(np.abs(field.displacement_m), axis=-1)[field.mask]
    assert np.median(length) > 5e-6
    assert length.min() > 0.1 * np.median(length)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"centre_mm": [0, 300, 0]}, "brain"),
        ({"element_mm": 30}, "element_mm"),
        ({"frequency_hz": 0}, "frequency_hz"),
        ({"shape": [1, 20, 20]}, "3 voxels"),
        ({"sedd": 3}, "unknown key sedd"),
        ({"grey": {"storage_kpa": -1, "loss_kpa": 1, "magnitude": 1}}, "storage_kpa"),
    ],
)
def test_impossible_patients_are_refused(
    palpate_inside: Callable[..., Outcome], tmp_path: Path, settings: dict[str, object], complaint: str
) -> None:
    """The user's mistake ends in one sentence and exit code 2, and leaves nothing behind."""
    ended = palpate_inside("phantom", "--out", tmp_path / "out", "--settings", json.dumps(settings))
    assert ended.code == 2
    assert complaint in ended.printed
    assert "Traceback" not in ended.printed
    assert not list(tmp_path.glob("*"))


def test_a_strangers_folder_is_not_replaced(palpate_inside: Callable[..., Outcome], tmp_path: Path) -> None:
    """Refused before the work, not after it, and untouched."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    assert palpate_inside("phantom", "--out", tmp_path / "out").code == 2
    assert (tmp_path / "out" / "thesis.txt").read_text() == "years of work"
