"""The population that calibration speaks of: reproducible, varied, and inside the head."""

from __future__ import annotations

import numpy as np
import pytest

from palpate.config.phantom import PhantomSettings
from palpate.imaging.anatomy.atlas import Atlas, load_atlas
from palpate.imaging.phantom.cohort import LEAST_BRAIN, cohort
from palpate.imaging.phantom.grid import scan_grid
from palpate.imaging.phantom.tissue import build_head

SETTINGS = PhantomSettings(shape=(14, 14, 10))
COUNT = 12


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return load_atlas()


@pytest.fixture(scope="module")
def members(atlas: Atlas) -> list[PhantomSettings]:
    return list(cohort(SETTINGS, atlas, COUNT))


@pytest.mark.long
def test_a_patient_is_the_same_in_a_larger_cohort(atlas: Atlas, members: list[PhantomSettings]) -> None:
    """A study that is extended keeps its first patients, so that their results need not be computed again."""
    assert list(cohort(SETTINGS, atlas, COUNT // 2)) == members[: COUNT // 2]


@pytest.mark.long
def test_patients_differ_in_all_that_intervals_must_not_depend_on(members: list[PhantomSettings]) -> None:
    """Coverage measured on one anatomy, noise or frequency says nothing of the others."""
    for name in (
        "subject",
        "seed",
        "centre_mm",
        "grey",
        "white",
        "noise_percent",
        "variation",
        "fine_variation",
        "density_kg_m3",
        "anisotropy",
    ):
        assert len({str(getattr(member, name)) for member in members}) == COUNT
    assert len({member.frequency_hz for member in members}) > 1
    assert 0 < sum(member.lesion is not None for member in members) < COUNT


@pytest.mark.long
def test_blocks_show_brain_and_lesions_lie_inside(atlas: Atlas, members: list[PhantomSettings]) -> None:
    """A block of air or a lesion outside the image would count as a patient and test nothing."""
    for member in members:
        grid = scan_grid(member, atlas)
        assert build_head(member, atlas).in_brain(grid.points_mm).mean() > LEAST_BRAIN - 0.05
        if member.lesion is not None:
            place = np.linalg.solve(grid.affine_mm, [*member.lesion.centre_mm, 1.0])[:3]
            assert np.all((place >= 0) & (place <= np.array(grid.shape) - 1))


@pytest.mark.long
def test_softer_lesions_are_as_many_as_stiffer_ones(atlas: Atlas) -> None:
    """Glioblastoma is softer than brain, meningioma stiffer; of 60 patients' lesions neither may be rare."""
    contrasts = [
        member.lesion.tissue.storage_kpa / member.white.storage_kpa
        for member in cohort(SETTINGS, atlas, 60)
        if member.lesion is not None
    ]
    softer = np.mean(np.array(contrasts) < 1.0)
    assert abs(softer - 0.5) < 4 * 0.5 / np.sqrt(len(contrasts))


@pytest.mark.long
def test_fibres_that_the_settings_state_are_all_patients(atlas: Atlas) -> None:
    """A benchmark of one strength of fibres would otherwise measure the population's mixture."""
    stated = SETTINGS.model_copy(update={"anisotropy": 0.3})
    assert {member.anisotropy for member in cohort(stated, atlas, 3)} == {0.3}
