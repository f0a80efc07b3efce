"""The folder of a run with several frequencies under a rheology: what it holds, and that every reader can read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from palpate.config.maps import MapsSettings
from palpate.imaging.dicom_out.dicom_maps import write_dicom_maps
from palpate.imaging.files.maps import read_map
from palpate.imaging.files.stiffness_folder import read_stiffness
from palpate.imaging.files.wavefield_folder import write_wave_field
from palpate.imaging.wavefield import WaveField
from tests.conftest import Outcome

LABEL = "sub-01_ses-01"
SHAPE = (6, 5, 5)
PARAMETERS = {"springpot": {"springpotmodulus": "kPa", "springpotalpha": "1"}, "kelvin-voigt": {"viscosity": "Pa s"}}
BRIEF = {"samples": 20, "hessian_rank": 20, "max_iterations": 1}
DICOM = {
    "StudyInstanceUID": "1.2.826.0.1.3680043.10.543.1",
    "FrameOfReferenceUID": "1.2.826.0.1.3680043.10.543.2",
    "SeriesInstanceUID": "1.2.826.0.1.3680043.10.543.3",
    "SOPInstanceUID": "1.2.826.0.1.3680043.10.543.4",
}

type Inside = Callable[..., Outcome]


def _write(folder: Path, frequency_hz: float, density_kg_m3: float = 1000.0) -> None:
    place = np.argwhere(np.ones(SHAPE, dtype=bool)).reshape(*SHAPE, 3)
    wave = 1e-5 * np.exp((-0.05 - 0.005j * frequency_hz) * place[..., :1]) * np.array([0.2, 1.0, 0.5j])
    affine_mm = np.diag([2.0, 2.0, 2.0, 1.0])
    folder.mkdir(exist_ok=True)
    mask = np.ones(SHAPE, dtype=bool)
    write_wave_field(
        folder,
        WaveField(
            displacement_m=wave,
            mask=mask,
            affine_mm=affine_mm,
            frequency_hz=frequency_hz,
            noise_std_m=2e-7,
            density_kg_m3=density_kg_m3,
            label=LABEL,
        ),
    )


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """A session folder with the wave fields of one run at two frequencies."""
    folder = tmp_path / "ses-01"
    folder.mkdir()
    for frequency_hz in (40.0, 60.0):
        _write(folder / "wavefield", frequency_hz)
    (folder / "wavefield" / f"{LABEL}_ingest.json").write_text(json.dumps({"dicom": DICOM}))
    return folder


def _invert(session: Path, palpate_inside: Inside, **settings: object) -> dict[str, object]:
    text = json.dumps(BRIEF | settings)
    ended = palpate_inside("invert", session / "wavefield", "--out", session / "mre", "--settings", text)
    assert ended.code == 0, ended.printed
    return json.loads((session / "mre" / f"{LABEL}_inversion.json").read_text())


@pytest.mark.parametrize("rheology", ["springpot", pytest.param("kelvin-voigt", marks=pytest.mark.long)])
def test_every_reader_reads_a_joint_folder(rheology: str, session: Path, palpate_inside: Inside) -> None:
    """Two measured frequencies under the contract's names, the law's own parameters beside them, DICOM and page."""
    record = _invert(session, palpate_inside, rheology=rheology)
    runs = read_stiffness(session / "mre")
    assert [run.frequency_hz for run in runs] == [40.0, 60.0]
    assert set(record["misfit_per_frequency"]) == {"40", "60"}
    assert record["reference_hz"] == pytest.approx(np.sqrt(40.0 * 60.0))
    for run in runs:
        assert run.inversion["frequency_hz"] == run.frequency_hz
        assert run.samples() is not None
        assert run.residual is not None
    for name, units in PARAMETERS[rheology].items():
        mean, std, lower, upper = (
            read_map(session / "mre" / f"{LABEL}_stat-{statistic}_{name}.nii.gz", units=units).values
            for statistic in ("mean", "std", "lower", "upper")
        )
        stated = np.isfinite(mean)
        assert np.all((lower < upper)[stated] & (std > 0)[stated])
        assert stated.all() or name == "springpotmodulus"  # which a fluid has not
    pseudonym = MapsSettings(identity="pseudonym")
    written = write_dicom_maps(session / "mre", session / "wavefield", session / "dicom", settings=pseudonym)
    assert len(written) == 8
    page = palpate_inside("report", "--session", session, "--out", session / "report.html")
    assert page.code == 0, page.printed


def test_draws_of_a_run_are_draws_of_one_tissue(session: Path, palpate_inside: Inside) -> None:
    """Draw by draw a Kelvin-Voigt solid has one G' and a G'' in proportion to frequency: differences get intervals."""
    _invert(session, palpate_inside, rheology="kelvin-voigt")
    low, high = (run.samples() for run in read_stiffness(session / "mre"))
    assert low is not None
    assert high is not None
    assert high.moduli_kpa["storagemodulus"] == pytest.approx(low.moduli_kpa["storagemodulus"], rel=1e-5)
    assert high.moduli_kpa["lossmodulus"] == pytest.approx(1.5 * low.moduli_kpa["lossmodulus"], rel=1e-5)


def test_evidence_of_separate_frequencies_adds_up(session: Path, palpate_inside: Inside) -> None:
    """What a joint law is compared with: the data of a run are all its frequencies, in either case."""
    record = _invert(session, palpate_inside, max_iterations=12, fit_prior=False)
    parts = [one["log_evidence"] for one in record["per_frequency"]]
    if None in parts:
        assert record["log_evidence"] is None
    else:
        assert record["log_evidence"] == pytest.approx(sum(parts))
    assert record["converged"] == (None not in parts)


def test_two_densities_are_not_one_tissue(session: Path, palpate_inside: Inside) -> None:
    """Stiffness is known relative to density, so that a law between frequencies needs one."""
    _write(session / "wavefield", 60.0, density_kg_m3=1040.0)
    settings = json.dumps(BRIEF | {"rheology": "springpot"})
    ended = palpate_inside("invert", session / "wavefield", "--out", session / "mre", "--settings", settings)
    assert ended.code == 2
    assert "densities of 1000, 1040" in ended.printed
    assert not (session / "mre").exists()
