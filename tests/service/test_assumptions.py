"""What the model assumes stands beside the figure, in words that follow from the record of the inversion."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from palpate.service.exam.record import exam_record
from palpate.service.report.assumptions import FIBRE_ERROR_PERCENT, assumptions

MEASURED = f"fibres of ratio 2 have put G' {FIBRE_ERROR_PERCENT:.0f} % off"


def _run(stated: object, title: str = "50 Hz") -> Any:  # noqa: ANN401 - as much of a run as the words need
    inversion = {} if stated is None else {"anisotropy_percent": stated}
    return SimpleNamespace(
        title=title, stiffness=SimpleNamespace(inversion=inversion, label="sub-01", frequency_hz=50.0)
    )


@pytest.mark.parametrize("stated", [None, 0, 0.0, float("nan"), "none", [2.8]])
def test_isotropy_is_assumed_where_nothing_allows_for_fibres(stated: object) -> None:
    """A phantom or a liver without anatomy, and a record of an older version or of another program."""
    assert assumptions([_run(stated)]) == [f"isotropic tissue assumed; {MEASURED}"]


def test_an_allowance_changes_the_words() -> None:
    """Where an anatomy tells tissues apart, intervals allow for fibres; the model itself stays isotropic."""
    (told,) = assumptions([_run(2.8), _run(2.8)])
    assert told == f"isotropic tissue assumed; intervals allow 2.8 % of G' for fibres, and {MEASURED}"


def test_runs_that_differ_are_named() -> None:
    """One sentence for all runs would be wrong for one of them."""
    told = assumptions([_run(0.0, "Run 1"), _run(5.0, "Run 2"), _run(0.0, "Run 3")])
    assert [one.partition(": isotropic")[0] for one in told] == ["Run 1, Run 3", "Run 2"]


def test_the_record_has_the_words_and_the_numbers() -> None:
    """A program that reads the record must not have to parse the sentence; a session without exams has one too."""
    content = json.loads(exam_record([], [_run(2.8)]))
    assert content["exams"] == []
    (told,) = content["assumptions"]
    assert told["code"] == "isotropic"
    assert told["words"] in assumptions([_run(2.8)])
    assert (told["label"], told["frequency_hz"], told["fibre_allowance_percent"]) == ("sub-01", 50.0, 2.8)
    assert (told["fibre_ratio"], told["storage_error_percent"]) == (2.0, FIBRE_ERROR_PERCENT)
