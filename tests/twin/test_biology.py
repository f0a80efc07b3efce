"""Hypoxia and markers: what a study's factor does to doses and priors, and that nothing happens without them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.config.twin import LogNormal, TwinSettings
from palpate.imaging.tumour.history import DrugDose, TumourHistory, TumourMarkers
from palpate.imaging.tumour.history_file import read_history, write_history
from palpate.solvers.growth.treatment.treatment import log_survival
from palpate.twin.biology import (
    METHYLATED_SHARE,
    MGMT_LOG,
    dose_factor,
    effective_irradiations,
    kill_of,
    mgmt_prior,
    prior_shifts,
    with_markers,
)
from palpate.twin.calibration.calibrate import prepared
from palpate.twin.dynamics import events_of
from palpate.twin.lattice import TwinLattice, on_lattice
from palpate.twin.priors import KILL, kill_prior, unknowns
from palpate.twin.rungs.build import small_rungs
from palpate.twin.rungs.from_history import regimen
from tests.twin.small import SETTINGS, SHAPE, history

QUICK = SETTINGS.model_copy(update={"mechanics": False})
KNOWN = SETTINGS.drugs["temozolomide"].kill_1_g


def hypoxic(share: float | NDArray[np.float64], on_scan: int = 0) -> TumourHistory:
    """The small tumour with a map of hypoxia at one scan."""
    plain = history()
    scans = list(plain.scans)
    scans[on_scan] = replace(scans[on_scan], hypoxia=np.broadcast_to(np.asarray(share, dtype=float), SHAPE).copy())
    return replace(plain, scans=tuple(scans))


def states(tumour: TumourHistory, settings: TwinSettings = QUICK) -> NDArray[np.float64]:
    """Densities of the prior's median tumour at the scans."""
    own = prepared(tumour, settings)
    return np.stack(own.dynamics.states(np.zeros(own.dynamics.unknowns.size)))


def test_no_hypoxic_cells_are_as_no_map() -> None:
    """A map of zeros tells that all cells are well supplied, which is what the model assumes without one."""
    assert (states(hypoxic(0.0)) == states(history())).all()


def test_without_maps_nothing_is_touched() -> None:
    """The mechanism is off where the table has none: not even a copy is made."""
    plain = history()
    assert effective_irradiations(plain, QUICK) is plain.irradiations
    assert with_markers(QUICK, None) is QUICK
    assert unknowns(plain, QUICK, 3) == unknowns(
        replace(plain, markers=TumourMarkers(idh="mutant", age=61.0)), QUICK, 3
    )


def test_hypoxic_cells_have_alpha_over_oer_and_beta_over_its_square() -> None:
    """The oxygen enhancement ratio is a ratio of doses of equal effect."""
    ratio, alpha, alpha_beta, dose = 2.7, 0.04, 10.0, np.array([0.5, 2.0, 8.0])
    beta = alpha / alpha_beta
    acts = log_survival(dose * dose_factor(np.array(1.0), ratio), alpha, alpha_beta)
    assert acts == pytest.approx(-(alpha / ratio) * dose - (beta / ratio**2) * dose**2, rel=1e-12)


def test_the_whole_model_obeys_it() -> None:
    """A tumour all of whose cells are hypoxic is one with other radiosensitivities."""
    ratio = QUICK.oxygen_enhancement_ratio
    alpha = QUICK.alpha_1_gy.model_copy(update={"median": QUICK.alpha_1_gy.median / ratio})
    other = QUICK.model_copy(update={"alpha_1_gy": alpha, "alpha_beta_gy": QUICK.alpha_beta_gy * ratio})
    assert states(hypoxic(1.0)) == pytest.approx(states(history(), other), rel=1e-9)


def test_hypoxia_spares_cells() -> None:
    """The mechanism works: more cells are left after radiotherapy, and none before it."""
    plain, spared = states(history()), states(hypoxic(0.6))
    assert (spared[1] == plain[1]).all()  # both fractions come after the second scan
    assert spared[2].sum() > 1.01 * plain[2].sum()


def test_a_ratio_of_one_is_no_hypoxia() -> None:
    """Some radiation (heavy ions) hardly needs oxygen."""
    settings = QUICK.model_copy(update={"oxygen_enhancement_ratio": 1.0})
    assert (states(hypoxic(1.0), settings) == states(history())).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flipped_images_give_the_flipped_tumour(axis: int) -> None:
    """A map belongs to places, not to indices."""
    tumour = hypoxic(np.random.default_rng(5).uniform(size=SHAPE))
    acts = effective_irradiations(tumour, QUICK)
    turned = effective_irradiations(_flipped(tumour, axis), QUICK)
    for one, other in zip(acts, turned, strict=True):
        assert (np.flip(one.dose_gy, axis) == other.dose_gy).all()


def _flipped(tumour: TumourHistory, axis: int) -> TumourHistory:
    def flip(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.flip(values, axis).copy()

    affine_mm = tumour.affine_mm.copy()
    affine_mm[:3, 3] += affine_mm[:3, axis] * (SHAPE[axis] - 1)
    affine_mm[:3, axis] *= -1.0
    scans = tuple(
        replace(
            one,
            cellularity=flip(one.cellularity),
            cellularity_std=flip(one.cellularity_std),
            roi=np.flip(one.roi, axis).copy(),
            hypoxia=None if one.hypoxia is None else flip(one.hypoxia),
        )
        for one in tumour.scans
    )
    doses = tuple(replace(one, dose_gy=flip(one.dose_gy)) for one in tumour.irradiations)
    tissue = np.flip(tumour.tissue, axis).copy()
    return replace(
        tumour, affine_mm=affine_mm, tissue=tissue, white=flip(tumour.white), scans=scans, irradiations=doses
    )


def test_a_fraction_meets_the_last_map_before_it() -> None:
    """A tumour reoxygenates: a later map says nothing of earlier fractions, unless it is the only one."""
    tumour = hypoxic(0.2)
    scans = (*tumour.scans[:1], replace(tumour.scans[1], hypoxia=np.full(SHAPE, 0.8)), *tumour.scans[2:])
    doses = [one.dose_gy[5, 5, 5] for one in effective_irradiations(replace(tumour, scans=scans), QUICK)]
    assert doses == pytest.approx([2.0 * float(dose_factor(np.array(0.8), 3.0))] * 2)
    (first, _) = effective_irradiations(hypoxic(0.5, on_scan=2), QUICK)
    assert first.dose_gy[5, 5, 5] == pytest.approx(2.0 * float(dose_factor(np.array(0.5), 3.0)))


def test_blocks_have_the_mean_share_of_their_tissue() -> None:
    """A share of cells is averaged over where cells may live."""
    share = np.zeros(SHAPE)
    share[::2] = 1.0
    share[:2] = 0.7  # outside tissue
    grid = TwinLattice((0, 0, 0), (2, 2, 2), (7, 6, 6), SHAPE, np.diag([8.0, 8.0, 8.0, 1.0]))
    coarse = on_lattice(hypoxic(share), grid).scans[0].hypoxia
    assert coarse is not None
    assert coarse[1:6, :5, :5] == pytest.approx(0.5)
    assert coarse[0] == pytest.approx(0.0)


def test_every_rung_gets_the_doses_that_act() -> None:
    """A schedule that is optimised on a small rung and certified on the lattice must be one treatment."""
    tumour = hypoxic(0.5)
    factor = float(dose_factor(np.array(0.5), QUICK.oxygen_enhancement_ratio))
    assert [one.dose_gy for one in regimen(tumour, QUICK).fractions] == pytest.approx([2.0 * factor] * 2)
    assert events_of(tumour, QUICK).irradiations[0].dose_gy[4, 4, 4] == pytest.approx(2.0 * factor)


@pytest.mark.parametrize(("mgmt", "factor"), [("methylated", 1.388), ("unmethylated", 0.765)])
def test_mgmt_shifts_the_prior_as_stated(mgmt: str, factor: float) -> None:
    """The factors are those of docs/theory/twin.md."""
    shifted = mgmt_prior(KNOWN, mgmt)
    assert shifted is not None
    assert shifted.median / KNOWN.median == pytest.approx(factor, abs=5e-4)
    single = unknowns(replace(history(), markers=TumourMarkers(mgmt=mgmt)), QUICK, 3).single
    (kill,) = [one for one in single if one.name == KILL + "temozolomide"]
    assert (kill.mean, kill.std) == pytest.approx((math.log(shifted.median), shifted.log_std))


def test_both_states_together_are_the_prior_of_all_patients() -> None:
    """Knowing the state must move patients apart without moving or widening the population."""
    yes, no = mgmt_prior(KNOWN, "methylated"), mgmt_prior(KNOWN, "unmethylated")
    assert yes is not None
    assert no is not None
    p, means = METHYLATED_SHARE, (math.log(yes.median), math.log(no.median))
    mean = p * means[0] + (1.0 - p) * means[1]
    variance = p * yes.log_std**2 + (1.0 - p) * no.log_std**2 + p * (1.0 - p) * (means[0] - means[1]) ** 2
    assert means[0] - means[1] == pytest.approx(MGMT_LOG)
    assert mean == pytest.approx(math.log(KNOWN.median))
    assert variance == pytest.approx(KNOWN.log_std**2)


def test_a_prior_narrower_than_the_difference_stays() -> None:
    """A hospital that knows the effect in all its patients to 10 % contradicts the difference, and is believed."""
    narrow = LogNormal(median=0.1, log_std=0.1)
    assert mgmt_prior(narrow, "methylated") is None
    own = QUICK.model_copy(
        update={"drugs": {"temozolomide": QUICK.drugs["temozolomide"].model_copy(update={"kill_1_g": narrow})}}
    )
    assert kill_of("temozolomide", own, TumourMarkers(mgmt="methylated")) == narrow
    (said,) = prior_shifts(replace(history(), markers=TumourMarkers(mgmt="methylated")), own)
    assert said.factor is None
    assert "narrower" in said.sentence


def test_mgmt_concerns_temozolomide_alone() -> None:
    """The studies are of one drug."""
    drugs = QUICK.drugs | {"lomustine": QUICK.drugs["temozolomide"]}
    settings, markers = QUICK.model_copy(update={"drugs": drugs}), TumourMarkers(mgmt="methylated")
    assert kill_prior("lomustine", settings, markers) == kill_prior("lomustine", settings)
    assert kill_prior("temozolomide", settings, markers) != kill_prior("temozolomide", settings)


def test_small_rungs_have_the_shifted_prior() -> None:
    """Priors of one patient are the same on every rung."""
    tumour = replace(history(), markers=TumourMarkers(mgmt="unmethylated"))
    expected = kill_prior("temozolomide", QUICK, tumour.markers)
    for rung in small_rungs(tumour, QUICK):
        (kill,) = [one for one in rung.parameters if one.name == KILL + "temozolomide"]
        assert (kill.mean, kill.std) == pytest.approx((expected.mean, expected.std))


def test_what_shifts_nothing_is_said() -> None:
    """A reader who filled in IDH and age must learn that they had no part."""
    said = prior_shifts(replace(history(), markers=TumourMarkers(idh="mutant", age=61.0)), QUICK)
    assert [one.prior for one in said] == ["", ""]
    assert all("no published factor" in one.sentence for one in said)
    assert prior_shifts(history(), QUICK) == ()


def test_history_keeps_both(tmp_path: Path) -> None:
    """Calibration reads a file and no table."""
    tumour = replace(hypoxic(0.25), markers=TumourMarkers(mgmt="methylated", age=61.0))
    write_history(tmp_path / "history.h5", tumour)
    found = read_history(tmp_path / "history.h5")
    assert found.markers == tumour.markers
    assert found.scans[0].hypoxia is not None
    assert (found.scans[0].hypoxia == 0.25).all()
    assert found.scans[1].hypoxia is None
    write_history(tmp_path / "plain.h5", history())
    assert read_history(tmp_path / "plain.h5").markers is None


def test_a_new_drug_of_a_schedule_has_the_shifted_prior() -> None:
    """A what-if with a drug that the patient never had draws its effect from the prior of patients alike."""
    from palpate.twin.scenario.effects import under
    from tests.twin.drawn import drawn

    calibration = drawn(4, QUICK)
    plain = replace(calibration.history, drug_doses=())
    without = under(calibration, plain)
    asked = replace(
        plain, drug_doses=(DrugDose(80.0, "temozolomide", 150.0),), markers=TumourMarkers(mgmt="methylated")
    )
    single = {one.name: one for one in under(without, asked).unknowns.single}
    assert single[KILL + "temozolomide"] == kill_prior("temozolomide", QUICK, asked.markers)
