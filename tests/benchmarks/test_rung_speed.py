"""The script that measures the rungs' speed runs through."""

from __future__ import annotations

from rung_speed import measured


def test_every_rung_is_measured() -> None:
    """In its short version, whose seconds mean nothing."""
    found = measured(short=True)
    assert all(found[name] > 0.0 for name in ("logistic", "radial", "lattice"))
