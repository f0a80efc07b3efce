"""participants.tsv: facts come back, other columns may be there, and what makes no sense is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from palpate.config.participants import Participant, read_participants
from palpate.errors import InputError


def write(folder: Path, text: str) -> Path:
    """A table of participants."""
    path = folder / "participants.tsv"
    path.write_text(text)
    return path


def test_bids_and_own_names_are_read(tmp_path: Path) -> None:
    """A BIDS study calls the column participant_id and writes sub- before the label."""
    own = Participant("01", age=61.0, sex="female", mgmt="methylated", scanner="A 3T")
    text = "\tage\tsex\tmgmt\tscanner\thandedness\nsub-01\t61\tF\tMethylated\tA 3T\tleft\nsub-02\tn/a\t\t\t\t\n"
    found = read_participants(write(tmp_path, "participant_id" + text))
    assert found == {"01": own, "02": Participant("02")}
    assert read_participants(write(tmp_path, "subject" + text)) == found


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("age\n60\n", "no subject"),
        ("subject\tage\n01\t610\n", "years from 0 to 120"),
        ("subject\tage\n01\tsixty\n", "years"),
        ("subject\tsex\n01\t1\n", "sex"),
        ("subject\tmgmt\n01\tyes\n", "methylated"),
        ("subject\tidh\n01\tR132H\n", "wildtype"),
        ("subject\tcreatinine\n01\t0.9\n", "umol/L"),
        ("subject\tage\n01\t60\n01\t61\n", "a second time"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    """A creatinine of 0.9 is mg/dL, an age of 610 a slip: both would shift a prior."""
    with pytest.raises(InputError, match=sentence):
        read_participants(write(tmp_path, text))
