"""The line at the page's cross-hair, in a real browser: the native map's own numbers, or none.

A surgeon clicks and reads. A number of another voxel, or one where the map says nothing, looks just like a right one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from palpate.config.report import ReportSettings
from palpate.service.report.page import render
from palpate.service.report.session import read_session
from tests.service.browser import Browser, needs_browser, running_browser
from tests.service.conftest import SessionFiles, write_session

pytestmark = needs_browser

OUTSIDE = "At the cross-hair: outside the map"
FREQUENCIES_HZ = (50.0, 70.0)
TELL = """
((points) => points.map((point) => {
  niivue.scene.crosshairPos = niivue.mm2frac(point, 0, true);
  niivue.createOnLocationChange();
  return document.getElementById("viewer-status").textContent;
}))
"""
POINT = "Array.from(niivue.frac2mm(niivue.scene.crosshairPos, 0, true)).slice(0, 3)"
STATUS = "document.getElementById('viewer-status').textContent"
LINES_OF_LABELS = """
[...document.querySelectorAll('h1 .label')].map((one) => {
  const range = document.createRange();
  range.selectNodeContents(one);
  return new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size;
})
"""


@dataclass(frozen=True)
class Opened:
    """A browser that shows the page of a session."""

    browser: Browser
    files: SessionFiles

    def maps(self, frequency_hz: float) -> dict[str, nib.Nifti1Image]:
        """The NIfTI maps of one frequency."""
        stem = self.files.mre / f"sub-01_ses-01_acq-{frequency_hz:g}Hz"
        names = [f"{s}_{m}" for m in ("storagemodulus", "lossmodulus") for s in ("mean", "lower", "upper")]
        return {name: nib.load(f"{stem}_stat-{name}.nii.gz") for name in names} | {
            "informed": nib.load(f"{stem}_desc-informed_mask.nii.gz")
        }

    def told(self, points_mm: NDArray[np.float64]) -> list[str]:
        """What the page says at world points, shape (n, 3)."""
        return list(self.browser.evaluate(f"{TELL}({json.dumps(points_mm.tolist())})"))

    def choose(self, control: str, value: str) -> None:
        """Choose an entry of one of the viewer's lists and wait for the line to come back."""
        self.browser.evaluate(
            f"(() => {{ const list = document.getElementById('viewer-{control}'); list.value = {value!r};"
            " list.dispatchEvent(new Event('change')); })()"
        )
        self.browser.wait_for(f"{STATUS}.startsWith('At the cross-hair')")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """The page of a steeply oblique, left-handed session of two frequencies, over a T1 of another grid."""
    home = tmp_path_factory.mktemp("cross-hair")
    axes = Rotation.from_euler("xyz", [17.0, -23.0, 41.0], degrees=True).as_matrix() @ np.diag([-1.0, 1.0, 1.0])
    files = write_session(home / "session", home / "truth", frequencies_hz=FREQUENCIES_HZ, axes=axes)
    page = home / "report.html"
    page.write_text(render(read_session(files.folder), ReportSettings()), encoding="utf-8")
    with running_browser(home / "profile") as browser:
        browser.size(1440, 900)
        browser.open(page)
        yield Opened(browser, files)


def _expected(maps: dict[str, nib.Nifti1Image], point_mm: NDArray[np.float64]) -> str:
    """The line by the plain way: the NIfTI's voxel whose centre is nearest to a world point."""
    mean = maps["mean_storagemodulus"]
    index = np.floor(np.linalg.inv(mean.affine) @ np.append(point_mm, 1.0) + 0.5)[:3].astype(int)
    if np.any(index < 0) or np.any(index >= mean.shape) or not np.isfinite(mean.get_fdata()[tuple(index)]):
        return OUTSIDE
    value = {name: f"{image.get_fdata()[tuple(index)]:.2f}" for name, image in maps.items()}
    figures = [
        f"{name} {value[f'mean_{m}']} kPa ({value[f'lower_{m}']} to {value[f'upper_{m}']})"
        for name, m in (("G'", "storagemodulus"), ("G''", "lossmodulus"))
    ]
    source = "mostly from this scan" if float(value["informed"]) == 1.0 else "mostly a prior assumption"
    return f"At the cross-hair: {', '.join(figures)}; mean (95 % interval), {source}"


def _positions(maps: dict[str, nib.Nifti1Image], count: int, seed: int) -> NDArray[np.float64]:
    """World points, a half in voxels with a value, a quarter in the grid without one, a quarter outside the grid."""
    rng = np.random.default_rng(seed)
    mean = maps["mean_storagemodulus"]
    known = np.isfinite(mean.get_fdata())
    size = np.array(mean.shape)
    inside = rng.permutation(np.argwhere(known))[: count // 2]
    empty = rng.permutation(np.argwhere(~known))[: count // 4]
    beyond = rng.integers(-6, size + 6, size=(20 * count, 3))
    beyond = beyond[np.any((beyond < 0) | (beyond >= size), axis=1)][: count - len(inside) - len(empty)]
    places = np.concatenate([inside, empty, beyond]) + rng.uniform(-0.49, 0.49, size=(count, 3))
    return places @ mean.affine[:3, :3].T + mean.affine[:3, 3]


@pytest.mark.parametrize("count", [40, pytest.param(300, marks=pytest.mark.long)])
def test_positions_tell_the_files_numbers(opened: Opened, count: int) -> None:
    """On the T1: inside the NIfTI's own voxel to the last digit, outside "outside the map", 300 of 300."""
    maps = opened.maps(50.0)
    points_mm = _positions(maps, count, seed=20)
    expected = [_expected(maps, point) for point in points_mm]
    assert expected.count(OUTSIDE) == count // 2
    assert len({line.rpartition(", ")[2] for line in expected}) == 3
    assert opened.told(points_mm) == expected


@pytest.mark.long
def test_every_frequency_and_background_tells_its_own_numbers(opened: Opened) -> None:
    """Another frequency has other maps and another background another grid; the point of the world stays the same."""
    for run, frequency_hz in ((1, 70.0), (0, 50.0)):
        for background in ("magnitude", "anatomy"):
            before = opened.browser.evaluate(POINT)
            opened.choose("run", str(run))
            opened.choose("background", background)
            np.testing.assert_allclose(opened.browser.evaluate(POINT), before, atol=1e-3)
            maps = opened.maps(frequency_hz)
            points_mm = _positions(maps, 40, seed=run)
            assert opened.told(points_mm) == [_expected(maps, point) for point in points_mm]


def test_arrow_keys_move_by_a_voxel(opened: Opened) -> None:
    """Who has no mouse reads the map, too: one voxel towards the patient's left, front and head, and back."""
    maps = opened.maps(50.0)
    start = _positions(maps, 40, seed=20)[:1]
    told = {opened.told(start)[0]}
    before = np.array(opened.browser.evaluate(POINT))
    for key, axis, sign in (("ArrowRight", 0, -1.0), ("ArrowUp", 1, 1.0), ("PageUp", 2, 1.0)):
        opened.browser.evaluate(
            f"document.getElementById('viewer-canvas').dispatchEvent(new KeyboardEvent('keydown', {{key: '{key}'}}))"
        )
        after = np.array(opened.browser.evaluate(POINT))
        np.testing.assert_allclose(after - before, sign * 2.0 * np.eye(3)[axis], atol=1e-3)
        assert opened.browser.evaluate(STATUS) == _expected(maps, after)
        told.add(opened.browser.evaluate(STATUS))
        before = after
    assert len(told) > 1
    place = opened.browser.evaluate("document.getElementById('viewer-place').textContent")
    assert " ".join(f"{one:.1f}" for one in before) in place


def test_clicks_on_the_picture(opened: Opened) -> None:
    """With the mouse, as people do: what is read belongs to where the cross-hair then is."""
    maps = opened.maps(50.0)
    box = opened.browser.evaluate(
        "(() => { const c = document.getElementById('viewer-canvas');"
        " c.scrollIntoView({block: 'center', behavior: 'instant'});"
        " const b = c.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()"
    )
    rng = np.random.default_rng(3)
    told = set()
    inside = np.argwhere(np.isfinite(maps["mean_storagemodulus"].get_fdata())).mean(axis=0)
    affine = maps["mean_storagemodulus"].affine
    # Anywhere, and near the middles of the three pictures, where the tissue is.
    middles = np.repeat([[0.17, 0.5], [0.5, 0.5], [0.82, 0.5]], 5, axis=0)
    for across, down in (*rng.uniform(0.03, 0.97, size=(12, 2)), *(middles + rng.uniform(-0.04, 0.04, size=(15, 2)))):
        # A click moves the cross-hair within one plane: each starts from the middle of the tissue.
        opened.told((affine[:3, :3] @ inside + affine[:3, 3])[None])
        opened.browser.click(box[0] + across * box[2], box[1] + down * box[3])
        line = opened.browser.evaluate(STATUS)
        assert line == _expected(maps, np.array(opened.browser.evaluate(POINT)))
        told.add(line)
    assert OUTSIDE in told
    assert len(told) > 4, "the clicks did not reach the picture"


def test_page_fits_a_telephone(opened: Opened) -> None:
    """At 390 pixels slices were as wide as a thumb, and the columns of intervals lay beyond the screen."""
    opened.browser.size(390, 844)
    try:
        opened.browser.wait_for("document.getElementById('viewer-canvas').clientHeight > 700")
        opened.browser.wait_for("niivue.opts.multiplanarLayout === niivue.MULTIPLANAR_TYPE.COLUMN")
        beyond = (
            "[...document.querySelectorAll('table *, figure *, .controls *, .legend *')]"
            ".filter((one) => !one.closest('.sheet, .scroll'))"  # these scroll sideways in a box that fits
            ".filter((one) => one.getBoundingClientRect().right > 391).map((one) => one.outerHTML.slice(0, 60))"
        )
        assert opened.browser.evaluate(beyond) == []
        boxes = "[...document.querySelectorAll('.sheet, .scroll')].map((one) => one.getBoundingClientRect().right)"
        assert max(opened.browser.evaluate(boxes)) <= 390
        assert opened.browser.evaluate("document.documentElement.scrollWidth") == 390
        for width in (320, 360, 390):  # a line of the title must not end in the middle of ses-01
            opened.browser.size(width, 844)
            assert opened.browser.evaluate(LINES_OF_LABELS) == [1, 1]
        longer = "document.querySelector('h1 .label').textContent = `sub-${'x'.repeat(64)}`"
        opened.browser.evaluate(longer)
        assert opened.browser.evaluate("document.documentElement.scrollWidth") == 390
    finally:
        opened.browser.size(1440, 900)
