"""The first picture of a page: it needs one image and one map, and comes within seconds on a whole brain.

A page that unpacks every map before it draws keeps a clinician before a still picture, without a graphics card for nine
seconds of a processor.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from palpate.config.report import ReportSettings
from palpate.service.report import planning_image
from palpate.service.report.page import render
from palpate.service.report.session import read_session
from tests.service.browser import Browser, needs_browser, running_browser
from tests.service.conftest import SessionFiles
from tests.service.whole_brain import VOXELS, write_whole_brain

LARGEST_MB = 30.0
SECONDS = 3.0
PIECE = re.compile(r'<script type="text/plain" id="(viewer-piece-\d+)">')
MARKS = "performance.getEntriesByType('mark').map((one) => one.name)"
DRAWN = "performance.getEntriesByName('first-picture').length > 0"
WHOLE = "performance.getEntriesByName('whole-picture').length > 0"
SECONDS_TO_PICTURE = "performance.getEntriesByName('first-picture')[0].startTime / 1000"


@pytest.fixture(scope="module")
def page(finished_session: SessionFiles) -> str:
    """The page of a session, with a T1 that counts as large."""
    with mock.patch.object(planning_image, "QUICK", 20_000):
        return render(read_session(finished_session.folder), ReportSettings())


@pytest.fixture(scope="module")
def opened(page: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser that shows it."""
    home = tmp_path_factory.mktemp("first-picture")
    (home / "report.html").write_text(page, encoding="utf-8")
    with running_browser(home / "profile") as browser:
        browser.size(1440, 900)
        browser.open(home / "report.html")
        browser.wait_for(WHOLE)
        yield browser


def _scene(page: str) -> dict[str, Any]:
    found = re.search(r'id="viewer-data">(.*?)</script>', page, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def _first(scene: dict[str, Any]) -> set[str]:
    (frame,) = scene["frames"]
    return {scene["image"]["preview"], frame["layers"][0]["data"], frame["veil"], frame["outline_data"]}


def test_only_the_first_pieces_stand_before_the_scripts(page: str) -> None:
    """A browser runs a script when it has read what stands before it: that must be the first picture, no more."""
    scene = _scene(page)
    before, after = page[: page.rindex("<script>")], page[page.rindex("<script>") :]
    assert set(PIECE.findall(before)) == _first(scene)
    later = PIECE.findall(after)
    assert len(later) == len(set(later)) > 12
    assert len(json.dumps(scene)) < 30_000, "a volume lies within the scene"


@needs_browser
def test_the_first_picture_unpacks_one_image_and_one_map(page: str, opened: Browser) -> None:
    """Everything else is unpacked on demand: numbers and the fine image afterwards, another map when it is chosen."""
    scene = _scene(page)
    marks = opened.evaluate(MARKS)
    unpacked = [one.removeprefix("unpacked ") for one in marks[: marks.index("first-picture")]]
    assert set(unpacked) == _first(scene)
    other = [one["data"] for one in scene["frames"][0]["layers"][1:]]
    assert not {f"unpacked {one}" for one in other} & set(marks)
    opened.evaluate(
        "(() => { const list = document.getElementById('viewer-layer'); list.selectedIndex = 3;"
        " list.dispatchEvent(new Event('change')); })()"
    )
    opened.wait_for(f"{MARKS}.includes('unpacked {other[2]}')")
    assert not {f"unpacked {one}" for one in (*other[:2], *other[3:])} & set(opened.evaluate(MARKS))


@needs_browser
def test_the_whole_image_takes_the_place_of_the_coarse_one(finished_session: SessionFiles, opened: Browser) -> None:
    """The coarse image is for the first seconds: what a surgeon looks at is the planning image itself."""
    settings = ReportSettings()
    view = read_session(finished_session.folder)
    assert view.anatomy is not None
    whole = planning_image.average_down(planning_image.without_air(view.anatomy), settings.anatomy_mm)
    assert opened.evaluate("niivue.volumes[0].hdr.dims.slice(1, 4)") == list(whole.values.shape)
    assert opened.evaluate("niivue.volumes.map((one) => one.name)")[0] == "image.nii.gz"
    # The cross-hair begins at the largest finding, on either image.
    point = opened.evaluate("Array.from(niivue.frac2mm(niivue.scene.crosshairPos, 0, true)).slice(0, 3)")
    np.testing.assert_allclose(point, view.runs[0].findings[0].place_mm, atol=0.01)


def _settled_s(browser: Browser) -> float:
    """Processor time of a browser that has ended its own start."""
    before = -1.0
    while browser.processor_s() - before > 0.03:
        before = browser.processor_s()
        time.sleep(1.5)
    return browser.processor_s()


@needs_browser
@pytest.mark.long
def test_a_whole_brain_is_drawn_within_seconds(tmp_path: Path) -> None:
    """190,000 voxels under a T1 of 6 million, without a graphics card: medians of five openings, and the size.

    Where other work keeps all cores busy the time says little; the processor time of the browser holds everywhere.
    """
    files = write_whole_brain(tmp_path)
    view = read_session(files.folder)
    assert int(view.runs[0].stiffness.moduli["storagemodulus"].mean.covered.sum()) == VOXELS
    page = tmp_path / "report.html"
    page.write_text(render(view, ReportSettings()), encoding="utf-8")
    assert page.stat().st_size < LARGEST_MB * 1e6
    quiet = os.getloadavg()[0] < len(os.sched_getaffinity(0))
    seconds, processor_s = [], []
    for turn in range(5):
        with running_browser(tmp_path / f"profile-{turn}") as browser:
            browser.size(1440, 900)
            before_s = _settled_s(browser)
            browser.navigate(page)
            browser.wait_for(DRAWN)
            processor_s.append(browser.processor_s() - before_s)
            seconds.append(browser.evaluate(SECONDS_TO_PICTURE))
    assert statistics.median(processor_s) <= SECONDS, processor_s
    assert not quiet or statistics.median(seconds) <= SECONDS, seconds
