"""Python names that other projects import stay where they are, wherever the code behind them moves."""

from __future__ import annotations

import importlib

import pytest

STABLE = (
    ("palpate.imaging.ingest", "ingest"),
    ("palpate.config.ingest", "IngestSettings"),
    ("palpate.errors", "InputError"),
    ("palpate.imaging.dicom.anatomy", "read_anatomy"),
    ("palpate.imaging.dicom_source", "dicom_source"),
)


@pytest.mark.parametrize(("module", "name"), STABLE)
def test_stable_names_are_importable(module: str, name: str) -> None:
    """A file that moves to another room must not break the scripts of a hospital."""
    assert callable(getattr(importlib.import_module(module), name))
