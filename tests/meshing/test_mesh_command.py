"""`palpate mesh` as a user and the workflow meet it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import meshio
import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.imaging.files.wavefield_folder import read_wave_fields, write_wave_field
from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.inversion_grid import inversion_grid
from palpate.meshing.mesh_folder import zones_path
from palpate.meshing.zone_file import check_zones, read_zones
from palpate.run_crate.names import CRATE, SIGNATURE
from tests.conftest import Outcome
from tests.meshing.masks import ragged_mask

AFFINE = np.array([[-2.0, 0, 0, 40], [0, 2.0, 0, -30], [0, 0, 3.0, 12], [0, 0, 0, 1.0]])

type Inside = Callable[..., Outcome]


def _folder(path: Path, masks: dict[str, NDArray[np.bool_]], frequencies_hz: tuple[float, ...] = (50.0,)) -> Path:
    path.mkdir()
    for label, mask in masks.items():
        for frequency_hz in frequencies_hz:
            parts = np.random.default_rng(round(10.0 * frequency_hz)).normal(scale=1e-6, size=(2, *mask.shape, 3))
            displacement = parts[0] + 1j * parts[1]
            write_wave_field(
                path,
                WaveField(
                    displacement_m=displacement,
                    mask=mask,
                    affine_mm=AFFINE,
                    frequency_hz=frequency_hz,
                    noise_std_m=1e-8,
                    density_kg_m3=1000.0,
                    label=label,
                ),
            )
    return path


def test_runs_and_frequencies(tmp_path: Path, palpate_inside: Inside) -> None:
    """Runs have masks of their own, frequencies of a run share one; the inversion finds each by its label."""
    masks = {f"sub-01_ses-01_run-{run}": ragged_mask((14, 13, 9), run) for run in (1, 2)}
    wavefield = _folder(tmp_path / "wavefield", masks, (30.0, 62.5))
    done = palpate_inside("mesh", wavefield, "--out", tmp_path / "mesh")
    assert done.code == 0, done.printed
    names = {f"{label}_{kind}" for label in masks for kind in ("zones.h5", "mesh.json", "mesh.vtu")}
    assert {path.name for path in (tmp_path / "mesh").iterdir()} == names | {".palpate", CRATE, SIGNATURE}
    inverted = {one.label: inversion_grid(one).field.mask for one in read_wave_fields(wavefield)}
    for label, mask in inverted.items():
        zones = read_zones(zones_path(tmp_path / "mesh", label))
        check_zones(zones, mask)
        summary = json.loads((tmp_path / "mesh" / f"{label}_mesh.json").read_text())
        cells = meshio.read(tmp_path / "mesh" / f"{label}_mesh.vtu").cell_data["zones"][0]
        assert summary["zones"] == len(zones)
        assert summary["cells"] == sum(len(zone.cells) for zone in zones) == cells.sum()
        assert summary["covered_voxels"] + summary["uncovered_voxels"] == summary["mask_voxels"] == mask.sum()
        assert [entry["frequency_hz"] for entry in summary["frequencies"]] == [30.0, 62.5]
        assert str(tmp_path) not in json.dumps(summary)


def test_wavelength_of_the_reference(tmp_path: Path, palpate_inside: Inside) -> None:
    """The summary says how much of a wave a zone sees: 2 kPa at 1000 kg/m3 carry waves at sqrt(2) m/s."""
    wavefield = _folder(tmp_path / "wavefield", {"sub-01": np.ones((9, 9, 9), dtype=bool)})
    assert palpate_inside("mesh", wavefield, "--out", tmp_path / "mesh").code == 0
    (frequency,) = json.loads((tmp_path / "mesh" / "sub-01_mesh.json").read_text())["frequencies"]
    assert frequency["reference_wavelength_mm"] == pytest.approx(1000 * np.sqrt(2) / 50.0)
    assert frequency["zone_width_wavelengths"] == pytest.approx([24 / (1000 * np.sqrt(2) / 50.0)] * 3)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('{"zone_width_mm": 10}', "zone_stride_mm"),
        ('{"zone_stride_mm": 24}', "zones overlap"),
        ('{"zone_width_mm": -1}', "a number above 0"),
        ('{"zone_width": 20}', "unknown key zone_width"),
        ("24", "a single value (24)"),
    ],
)
def test_settings_that_make_no_zones(settings: str, said: str, tmp_path: Path, palpate_inside: Inside) -> None:
    """Zones that do not overlap would leave seams; a misspelt size would silently be the default."""
    wavefield = _folder(tmp_path / "wavefield", {"sub-01": np.ones((9, 9, 9), dtype=bool)})
    done = palpate_inside("mesh", wavefield, "--out", tmp_path / "mesh", "--settings", settings)
    assert done.code == 2
    assert said in done.printed
    assert not (tmp_path / "mesh").exists()


def test_one_thin_run_spoils_the_folder(tmp_path: Path, palpate_inside: Inside) -> None:
    """A folder with half of the runs would pass for finished; the sentence names the run to mend."""
    masks = {"sub-01_run-1": np.ones((9, 9, 9), dtype=bool), "sub-01_run-2": np.ones((9, 9, 4), dtype=bool)}
    wavefield = _folder(tmp_path / "wavefield", masks)
    done = palpate_inside("mesh", wavefield, "--out", tmp_path / "mesh")
    assert done.code == 2
    assert "sub-01_run-2_mask: found tissue too thin" in done.printed
    assert [path.name for path in tmp_path.iterdir()] == ["wavefield"]
