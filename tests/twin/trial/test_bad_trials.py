"""Trials that cannot be: each is refused in a sentence that names the file, before anybody is simulated."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from palpate.errors import InputError
from palpate.twin.trial.run import part_of
from tests.conftest import Outcome
from tests.twin.trial.trials import RADIOTHERAPY, TEMOZOLOMIDE, content, planned


def arm(*rows: dict[str, Any], **further: object) -> dict[str, Any]:
    """The first arm as it is, and a second one."""
    second = {"name": "second", "schedule": {"add": list(rows)}} | further
    return {"arms": [content()["arms"][0], second]}


OUTCOME = content()["outcome"]
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "two arms of one name": ({"arms": [content()["arms"][0]] * 2}, "radiotherapy is there twice"),
    "one arm": ({"arms": content()["arms"][:1]}, "at least 2"),
    "outcome undefined": ({"outcome": {"until_day": 40}}, "no outcome.event"),
    "hazard without baseline": ({"outcome": {"event": "hazard"}}, "baseline_1_day"),
    "covariate after time zero": (
        {"covariates": [{"name": "visible_ml", "day": 30}]},
        "visible_ml of day 30, after day 0",
    ),
    "covariate by its name": ({"covariates": ["nadir_ml"]}, "nadir_ml, after day 0"),
    "covariate unknown": ({"covariates": ["shoe_size"]}, "'shoe_size'"),
    "effect of the unknown": (
        {"outcome": {"event": "hazard", "baseline_1_day": 0.01, "effects": {"age": 1.0}}},
        "outcome.effects",
    ),
    "negative drug": (arm(TEMOZOLOMIDE | {"amount_mg": -5}), "amount_mg '-5'"),
    "drug without kinetics": (arm(TEMOZOLOMIDE | {"drug": "hope"}), "no half-life"),
    "200 Gy at once": (arm(RADIOTHERAPY | {"dose_gy": 200}), "no single fraction has"),
    "200 Gy in a course": (arm(RADIOTHERAPY | {"fractions": 100}), "at most 100 Gy in a course"),
    "overlapping fractions": (arm(RADIOTHERAPY, RADIOTHERAPY | {"dose_gy": 3}), "do not overlap"),
    "treatment that nobody planned": (arm(schedule={"move": [{"from": 1, "to": 2}]}), "no planned treatment"),
    "image of nobody": (arm({"date": 3, "kind": "surgery", "roi": "1"}), "no images"),
    "course on a Saturday": (arm(RADIOTHERAPY | {"date": 5}), "Saturday"),
    "times of nothing": (arm(TEMOZOLOMIDE | {"times": 0}), "times '0'"),
    "dates of a virtual patient": (arm(RADIOTHERAPY | {"date": "2026-03-02"}), "2026-03-02"),
    "horizon beyond what was validated": ({"outcome": OUTCOME | {"until_day": 3000}}, "at most 730"),
    "volume after the end": ({"outcome": OUTCOME | {"volume_day": 41}}, "volume_day not after"),
    "lattice": ({"model": "lattice"}, "palpate forecast --do"),
    "no patients": ({"cohort": {"size": 0}}, "at least 10"),
    "no consent": ({"cohort": {"source": "results"}}, "consented"),
    "unknown schedule": (arm(schedule="nowhere.yaml"), "no such file"),
    "operation of everything": (arm(operations=[{"day": 3, "share": 1.0}]), "below 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_impossible_trials_are_refused(name: str, tmp_path: Path) -> None:
    """Whoever reads the sentence knows the file, what was found and what to do."""
    changes, told = BAD[name]
    with pytest.raises(InputError) as refusal:
        planned(tmp_path, **changes)
    sentence = str(refusal.value)
    assert told in sentence
    assert str(tmp_path) in sentence
    assert refusal.value.advice


@pytest.mark.parametrize("text", ["0/3", "4/3", "x", "1", "1/2/3", "-1/3"])
def test_parts_that_are_none_are_refused(text: str) -> None:
    """A job array that counts from 0 would leave patients out."""
    with pytest.raises(InputError, match="--part"):
        part_of(text)


def test_files_of_schedules_and_the_command(tmp_path: Path, palpate_inside: Callable[..., Outcome]) -> None:
    """A schedule of `forecast --do` serves as an arm; the command writes all files and the page, and refuses bad input.

    The page holds the figures of the record and loads nothing.
    """
    (tmp_path / "both.yaml").write_text(json.dumps({"name": "both", "add": [RADIOTHERAPY, TEMOZOLOMIDE]}))
    arms = [content()["arms"][0], {"name": "both", "schedule": "both.yaml"}]
    trial = tmp_path / "trial.json"
    trial.write_text(json.dumps(content(arms=arms)))
    done = palpate_inside("trial", str(trial), "--out", str(tmp_path / "out"))
    assert done.code == 0, done.printed
    written = {"effect.tsv", "heterogeneity.tsv", "patients.tsv", "survival.tsv", "trial.html", "trial.json"}
    assert written <= {one.name for one in (tmp_path / "out").iterdir()}
    record = json.loads((tmp_path / "out" / "trial.json").read_text())
    assert [one["code"] for one in record["warnings"]] == ["trial-from-priors"]
    assert len((tmp_path / "out" / "patients.tsv").read_text().splitlines()) == 81
    page = (tmp_path / "out" / "trial.html").read_text()
    assert "default-src 'none'" in page
    best = next(one for one in record["effects"] if one["outcome"] == "restricted_mean_days")
    assert f"both has {best['estimate']:.1f} ({best['lower']:.1f} to {best['upper']:.1f})" in page
    refused = palpate_inside("trial", str(trial), "--out", str(tmp_path / "out"), "--part", "0/2")
    assert refused.code == 2
    assert "--part" in refused.printed
