"""What a user sees when a command fails: one sentence and the right exit code."""

from __future__ import annotations

import pickle
from pathlib import Path

from palpate.errors import InputError


def test_message_says_where_what_and_how_to_mend() -> None:
    """The message is all a user gets, so it must hold the place, the finding, the expectation and the advice."""
    text = str(InputError(Path("a.json"), found="Hz", expected="um", advice="Correct the sidecar."))
    assert text == "a.json: found Hz; expected um. Correct the sidecar."


def test_error_survives_a_worker_process() -> None:
    """Cohorts and meshes run in processes of their own; one that cannot travel breaks the pool."""
    error = InputError("a.json", found="Hz", expected="um", advice="Correct the sidecar.")
    back = pickle.loads(pickle.dumps(error))
    assert str(back) == str(error)
    assert back.advice == error.advice
