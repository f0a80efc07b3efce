"""Laws of trials: patients and chances are shared by arms, numbers do not depend on how the work is cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from palpate.twin.priors import ALPHA, DIFFUSIVITY, PROLIFERATION, WHITE_TO_GREY
from palpate.twin.state_space.chances import Chances
from palpate.twin.trial import block
from palpate.twin.trial.block import BlockOutcome, TrialPlan
from palpate.twin.trial.cohort import FromPopulation
from palpate.twin.trial.effects import HAZARD_RATIO, RESTRICTED, effects
from palpate.twin.trial.heterogeneity import heterogeneity
from palpate.twin.trial.run import part_of, run_blocks, run_part
from palpate.twin.trust.population import Population
from tests.twin.trial.trials import RADIOTHERAPY, content, planned


def equal(one: BlockOutcome, other: BlockOutcome) -> bool:
    """Whether two outcomes have the same bits."""
    names = ("covariates", "days", "kinds", "log_ml")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def test_exchanging_arms_turns_the_signs(tmp_path: Path) -> None:
    """Every effect of b against a is less that of a against b, to the last bit but for the hazard ratio."""
    one = planned(tmp_path)
    other = planned(tmp_path, arms=content()["arms"][::-1])
    before, after = (effects(each, each.outcome(each.blocks[0])) for each in (one, other))
    for a, b in zip(before, after, strict=True):
        assert (a.arm, a.against, a.outcome) == (b.against, b.arm, b.outcome)
        exact = 1e-9 if a.outcome == HAZARD_RATIO else 0.0
        assert abs(a.estimate + b.estimate) <= exact
        assert abs(a.lower + b.upper) <= exact + 1e-15 * abs(a.lower)


def test_equal_arms_have_equal_patients(tmp_path: Path) -> None:
    """Two names for one treatment: no difference in any patient, since all meet the same chances."""
    arms = [{"name": name, "schedule": {"add": [RADIOTHERAPY]}} for name in ("a", "b")]
    found = planned(tmp_path, arms=arms)
    outcome = found.outcome(found.blocks[0])
    assert np.array_equal(outcome.days[0], outcome.days[1])
    assert np.array_equal(outcome.log_ml[0], outcome.log_ml[1])


def test_pairing_narrows_the_variance_where_effects_are_alike(tmp_path: Path) -> None:
    """A drug's small effect on large differences between patients: at least five-fold in time and volume."""
    found = planned(tmp_path)
    told = {one.outcome: one for one in effects(found, found.outcome(found.blocks[0]))}
    assert told[RESTRICTED].variance_ratio > 5.0
    assert told["ln_visible_ml_day_40"].variance_ratio > 5.0
    assert told[RESTRICTED].estimate > 0.0 > told["ln_visible_ml_day_40"].estimate


def test_other_arms_and_other_patients_change_no_patient(tmp_path: Path) -> None:
    """A third arm leaves the two as they were, and a larger cohort begins with the patients of a smaller one."""
    small = planned(tmp_path)
    outcome = small.outcome(small.blocks[0])
    third = {"name": "none", "schedule": {"drop": "all_planned"}}
    wider = planned(tmp_path, arms=[*content()["arms"], third])
    assert np.array_equal(wider.outcome(wider.blocks[0]).days[:2], outcome.days)
    larger = planned(tmp_path, cohort={"size": 300, "seed": 3})
    np.testing.assert_allclose(larger.outcome(larger.blocks[0]).days[:, :80], outcome.days, rtol=1e-9)
    other = planned(tmp_path, cohort={"size": 80, "seed": 4})
    assert not np.allclose(other.outcome(other.blocks[0]).days, outcome.days)


@pytest.mark.parametrize("rung", ["logistic", "radial"])
def test_a_stopped_trial_and_one_in_parts_give_the_same_bits(
    rung: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks that were finished are read and not made again; parts may run in any order; nothing is left behind."""
    monkeypatch.setitem(block.PATIENTS, rung, 20)
    found = planned(tmp_path, model=rung, outcome={"event": "visible", "until_day": 12})
    whole = run_blocks(found, tmp_path / "one", "0" * 16)
    simulate, made = TrialPlan.outcome, []

    def stops(own: TrialPlan, patients: range) -> BlockOutcome:
        made.append(patients.start)
        if len(made) == 3:
            raise KeyboardInterrupt
        return simulate(own, patients)

    monkeypatch.setattr(TrialPlan, "outcome", stops)
    with pytest.raises(KeyboardInterrupt):
        run_blocks(found, tmp_path / "two", "0" * 16)
    assert equal(run_blocks(found, tmp_path / "two", "0" * 16), whole)
    assert made == [0, 20, 40, 40, 60]
    for part in ("2/2", "1/2"):
        run_part(found, tmp_path / "three", "0" * 16, part)
    made.clear()
    assert equal(run_blocks(found, tmp_path / "three", "0" * 16), whole)
    assert made == []
    assert {one.name for one in tmp_path.iterdir()} == {"trial.yaml"}
    assert part_of("3/20") == (3, 20)


def test_more_dose_leaves_fewer_cells_on_the_radial_rung(tmp_path: Path) -> None:
    """More dose leaves fewer cells in every patient, on the radial rung too.

    Progression is not always later: 40 % above a lower nadir are reached by less growth.
    """
    arms = [
        {"name": name, "schedule": {"add": [RADIOTHERAPY | {"dose_gy": dose}]}}
        for name, dose in (("low", 1), ("high", 3))
    ]
    found = planned(
        tmp_path,
        arms=arms,
        model="radial",
        cohort={"size": 30},
        outcome={"event": "hazard", "baseline_1_day": 1e-3, "per_ln_ml": 1, "until_day": 30},
    )
    outcome = found.outcome(found.blocks[0])
    assert (outcome.log_ml[1] <= outcome.log_ml[0] + 1e-12).all()
    assert (outcome.days[1] >= outcome.days[0] - 1e-9).all()  # a hazard of the burden knows no nadir
    assert outcome.log_ml[1].mean() < outcome.log_ml[0].mean() - 0.1


def test_an_operation_can_compete(tmp_path: Path) -> None:
    """Whoever has not progressed until the operation has it as an event on its day."""
    arms = content()["arms"]
    arms[1] = arms[1] | {"operations": [{"day": 9, "share": 0.9}]}
    outcome = {"event": "visible", "until_day": 40, "operations_compete": True}
    found = planned(tmp_path, arms=arms, outcome=outcome)
    told = found.outcome(found.blocks[0])
    assert told.days[1].max() == 9.0
    assert set(told.kinds[1]) <= {1, 2}
    assert (told.kinds[1][told.days[1] == 9.0] == 2).any()


def test_a_population_keeps_its_correlations(tmp_path: Path) -> None:
    """Rate and sensitivity of virtual patients have the population's means, spreads and correlation."""
    names = (ALPHA, DIFFUSIVITY, PROLIFERATION, WHITE_TO_GREY)
    mean = np.array([-3.0, -27.0, -14.0, 2.0])
    root = np.array([[0.3, 0, 0, 0], [0, 0.5, 0, 0], [0.2, 0, 0.2, 0], [0, 0, 0, 0.1]])
    population = Population(names, 30, mean, root @ root.T)
    model = planned(tmp_path, model="radial").model
    theta = FromPopulation(population, 0.5).theta(model, Chances(1, tuple(range(20_000))))
    known = {one.name: one.mean + one.std * theta[:, at] for at, one in enumerate(model.parameters)}
    assert np.corrcoef(known[ALPHA], known[PROLIFERATION])[0, 1] == pytest.approx(0.2 / np.hypot(0.2, 0.2), abs=0.02)
    assert known[PROLIFERATION].mean() == pytest.approx(-14.0, abs=0.01)
    assert known[DIFFUSIVITY].mean() == pytest.approx(-27.0 - 0.5 * 2.0, abs=0.02)
    assert known[DIFFUSIVITY].std() == pytest.approx(np.hypot(0.5, 0.05), rel=0.03)


def test_heterogeneity_is_found_where_it_is_and_not_where_it_is_not() -> None:
    """An effect that rises with one covariate, and noise; groups by prediction are ordered by the true effect."""
    rng = np.random.default_rng(8)
    x = rng.standard_normal((400, 3))
    some = heterogeneity(("a", "b", "c"), x, x[:, 1] + rng.standard_normal(400), 1)
    assert some is not None
    assert some.p_value < 1e-6
    assert max(some.importance, key=lambda name: some.importance[name]) == "b"
    predicted = [one.estimate for one in some.groups if one.kind == "predicted"]
    assert predicted == sorted(predicted)
    nothing = heterogeneity(("a", "b", "c"), x, rng.standard_normal(400), 1)
    assert nothing is not None
    assert nothing.p_value > 0.05
    assert heterogeneity(("a",), x[:40, :1], x[:40, 0], 1) is None
