"""Damaged bytes, in the quick version of benchmarks/damaged_bytes.py, whose full run leaves a record."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from damaged_bytes import SHORT_VARIANTS, fuzz
from worlds.damaged_sources import KINDS, Kind

from tests.conftest import CHECKOUT

TOTAL = int(os.environ.get("PALPATE_FUZZ", str(SHORT_VARIANTS)))


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_damaged_bytes(kind: Kind, tmp_path: Path) -> None:
    """A crash, a hang, half an output or a wrong number would each cost a user more than the file did."""
    count = round(TOTAL * kind.share)
    found = fuzz(kind, count, tmp_path)
    assert not found.failures, "\n".join(found.failures)
    assert found.refused + found.read == count
    assert found.refused > count / 6, f"only {found.refused} of {count} were refused: is the damage done?"


def test_kinds_share_all_variants() -> None:
    """A kind that is added must not silently make the whole fewer or more."""
    assert sum(kind.share for kind in KINDS) == pytest.approx(1.0)


def test_the_full_run_is_on_record() -> None:
    """The claim of the documentation is a run of at least 2000 variants without a failure."""
    record = json.loads((CHECKOUT / "benchmarks" / "results" / "damaged_bytes.json").read_text(encoding="utf-8"))
    figures = {row["quantity"]: row["ours"] for row in record["rows"]}
    assert figures["variants"] >= 2000
    assert figures["failures of all variants"] == 0
