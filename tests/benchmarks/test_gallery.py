"""The gallery shows what exists: a figure for every vendor, and figures that the record confirms."""

from __future__ import annotations

import json
import re
from typing import get_args

import pytest

from palpate.config.phantom import Vendor
from tests.conftest import CHECKOUT

DOCS = CHECKOUT / "docs"
VENDORS: tuple[str, ...] = get_args(Vendor.__value__)


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_vendor_has_its_figure(vendor: str) -> None:
    """A vendor that is added must be shown, and a figure must not weigh more than a page does."""
    assert f"(pictures/vendor-{vendor}.png)" in (DOCS / "gallery.md").read_text(encoding="utf-8")
    assert (DOCS / "pictures" / f"vendor-{vendor}.png").stat().st_size < 100_000


def test_every_picture_of_the_gallery_exists() -> None:
    """A page of broken images convinces nobody."""
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (DOCS / "gallery.md").read_text(encoding="utf-8"))
    assert shown
    assert not [name for name in shown if not (DOCS / name).exists()]


def test_the_record_confirms_the_imports() -> None:
    """The page says how close imports are to the truth, for every vendor with eight and with four offsets."""
    record = json.loads((CHECKOUT / "benchmarks" / "results" / "vendors.json").read_text(encoding="utf-8"))
    figures = {row["quantity"]: row["ours"] for row in record["rows"]}
    errors = [figures[f"{vendor}, {n} offsets: largest error of U"] for vendor in VENDORS for n in (8, 4)]
    assert max(errors) <= 0.03
    assert figures["files in which dciodvfy finds an error"] == 0
