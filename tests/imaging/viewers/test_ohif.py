"""The OHIF viewer over a real archive: stiffness over the T1 with the file's numbers, regions in their place."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import requests
from numpy.typing import NDArray
from PIL import Image

from tests.imaging.archive.conftest import running_orthanc, send
from tests.imaging.dicom_judge import places_ras_mm, series_in
from tests.imaging.viewers.conftest import Session
from tests.imaging.viewers.ohif import served_viewer
from tests.service.browser import Browser, needs_browser, running_browser

pytestmark = [pytest.mark.long, needs_browser]
type Picture = NDArray[np.int64]
"""Colours of the window's pixels, shape (rows, columns, 3)."""

BLACK = 40
"""Brightness below which a part of the window shows no brain."""
BESIDE = 45.0
"""Pixels of the window from an edge to where no edge of that region is."""
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
LPS = np.array([-1.0, -1.0, 1.0])
SETS = """() => Object.fromEntries(services.displaySetService.getActiveDisplaySets().map(
    one => [one.Modality + ' ' + (one.SeriesDescription || ''), one.displaySetInstanceUID]))"""
ADD = "uid => { commandsManager.run('addDisplaySetAsLayer', {viewportId: 'default', displaySetInstanceUID: uid}); }"
REMOVE = """uid => { commandsManager.run('removeDisplaySetLayer', {viewportId: 'default', displaySetInstanceUID: uid});
    services.segmentationService.remove(uid); }"""
LOADED = """count => { const found = cornerstone.cache.getVolumes().filter(one => one.loadStatus);
    return found.length === count && found.every(one => one.loadStatus.loaded); }"""
IN_VIEW = """count => {
    const view = services.cornerstoneViewportService.getCornerstoneViewport('default');
    return view.viewportStatus === 'rendered' && view.type === 'orthographic'
        && view.getAllVolumeIds().length === count; }"""
FIRST_SHOWN = """() => { const view = services.cornerstoneViewportService.getCornerstoneViewport('default');
    return !!view && view.viewportStatus === 'rendered' && !!view.getCornerstoneImage?.(); }"""
WINDOW = """(uid, width, centre) => commandsManager.run('setViewportWindowLevel',
    {viewportId: 'default', displaySetInstanceUID: uid, windowWidth: width, windowCenter: centre})"""
COLOUR = """(uid, colormap) => {
    const view = services.cornerstoneViewportService.getCornerstoneViewport('default');
    view.setProperties({colormap}, view.getAllVolumeIds().find(one => one.includes(uid))); view.render(); }"""
CENTRE = """(place, half) => { const view = services.cornerstoneViewportService.getCornerstoneViewport('default');
    view.resetCamera(); const {position, focalPoint} = view.getCamera(), moved = place.map((x, i) => x - focalPoint[i]);
    view.setCamera({focalPoint: place, position: position.map((x, i) => x + moved[i]), parallelScale: half});
    view.render(); }"""
VALUES = """(uid, places) => { const volume = cornerstone.cache.getVolumes().find(one => one.volumeId.includes(uid));
    return places.map(place => volume.voxelManager.getAtIJK(
        ...cornerstone.utilities.transformWorldToIndex(volume.imageData, place))); }"""
ON_SCREEN = """places => { const view = services.cornerstoneViewportService.getCornerstoneViewport('default');
    const corner = view.canvas.getBoundingClientRect();
    return places.map(place => { const [x, y] = view.worldToCanvas(place); return [corner.x + x, corner.y + y]; }); }"""
SHOWN = """(uid, kind) => {
    const named = services.segmentationService.getSegmentation(uid)?.segments;
    const found = services.segmentationService.getSegmentationRepresentations('default', {segmentationId: uid})
        .find(one => one.type === kind && one.visible);
    return named && found ? Object.values(found.segments).filter(one => one.visible).map(
        one => [named[one.segmentIndex].label, one.color]) : null; }"""


class Viewer:
    """The viewer with the T1 of a session in its one view.

    Attributes:
        browser: the browser.
        sets: identifiers of what the study holds, by modality and description.
    """

    def __init__(self, browser: Browser, address: str, study: str, count: int) -> None:
        self.browser = browser
        browser.size(1400, 900)
        browser.visit(f"{address}/viewer?StudyInstanceUIDs={study}")
        many = f"services.displaySetService.getActiveDisplaySets().length === {count}"
        browser.wait_for(f"!!window.services && {many}")
        self.sets: dict[str, str] = browser.call(SETS)
        # A layer that comes before the first image is shown leaves the view black.
        self.wait_for(FIRST_SHOWN)
        time.sleep(3.0)

    def of(self, start: str) -> str:
        """Return the identifier of the one set of images or regions whose name starts so."""
        (found,) = (uid for name, uid in self.sets.items() if name.startswith(start))
        return found

    def wait_for(self, function: str, *arguments: object) -> None:
        """Wait until a function returns something true."""
        end = time.monotonic() + 240.0
        while not self.browser.call(function, *arguments):
            assert time.monotonic() < end, function
            time.sleep(0.2)

    def picture(self, path: Path) -> Picture:
        """Return the window as colours, shape (rows, columns, 3), and keep it as a file."""
        time.sleep(2.0)  # the next frames of the viewer
        self.browser.picture(path)
        return np.asarray(Image.open(path).convert("RGB"), dtype=np.int64)


@pytest.fixture(scope="module")
def viewer(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    """The viewer, in which the mean of G' lies over the T1."""
    home = tmp_path_factory.mktemp("ohif")
    with running_orthanc(home) as ports, served_viewer(ports.root) as address:
        send(ports, session.t1)
        send(ports, session.mean)
        for kind in ("seg", "rtstruct"):
            body = session.regions(kind).read_bytes()
            requests.post(f"{ports.root}/instances", data=body, timeout=60).raise_for_status()
        study = str(pydicom.dcmread(next(session.t1.iterdir()), stop_before_pixels=True).StudyInstanceUID)
        with running_browser(home / "profile", OFFLINE) as browser:
            found = Viewer(browser, address, study, 4)
            browser.call(ADD, found.of("MR G'"))
            found.wait_for(LOADED, 2)
            found.wait_for(IN_VIEW, 2)
            time.sleep(3.0)  # the view settles in its frame
            yield found


@pytest.fixture(scope="module")
def series(session: Session) -> list[pydicom.Dataset]:
    """The images of the mean of G', in the order of their names."""
    return series_in(session.mean)


def _stiffest(series: list[pydicom.Dataset]) -> tuple[int, NDArray[np.float64]]:
    """Slice of the stiffest pixel, and its place, LPS in mm."""
    k = int(np.argmax([image.pixel_array.max() for image in series]))
    pixels = series[k].pixel_array
    row, column = np.unravel_index(int(pixels.argmax()), pixels.shape)
    return k, places_ras_mm(series[k])[row, column] * LPS


def test_pixels_of_the_lesion_are_those_of_the_file(
    viewer: Viewer, series: list[pydicom.Dataset], tmp_path: Path
) -> None:
    """A reader who points at the lesion over the T1 must read what the posterior says there, within 5 Pa."""
    k, lesion = _stiffest(series)
    pixels = series[k].pixel_array
    covered = np.argwhere(pixels > 0)
    chosen = covered[np.random.default_rng(0).choice(len(covered), 150, replace=False)]
    places = [lesion, *(places_ras_mm(series[k])[tuple(one)] * LPS for one in chosen)]
    expected = [pixels.max(), *(pixels[tuple(one)] for one in chosen)]
    found = viewer.browser.call(VALUES, viewer.of("MR G'"), [one.tolist() for one in places])
    assert expected[0] > 3500  # the lesion is in the picture
    assert np.abs(np.array(found) - np.array(expected, dtype=float)).max() <= 5.0
    assert viewer.browser.call(IN_VIEW, 2)
    _look_at(viewer, lesion, tmp_path / "ohif-stiffness.png")


def _look_at(viewer: Viewer, place: NDArray[np.float64], path: Path) -> Picture:
    """Show T1 in grey and stiffness above it in colours, nothing where there is none, around a place."""
    end = time.monotonic() + 120.0
    while True:
        viewer.browser.call(CENTRE, place.tolist(), 60.0)
        time.sleep(2.0)
        viewer.browser.call(WINDOW, viewer.of("MR t1"), 800, 400)
        viewer.browser.call(WINDOW, viewer.of("MR G'"), 5000, 2500)
        viewer.browser.call(COLOUR, viewer.of("MR G'"), {"name": "jet", "opacity": 0.9, "threshold": 1})
        picture = viewer.picture(path)
        if np.median(picture[300:600, 500:900]) > BLACK:
            return picture
        assert time.monotonic() < end, "the view stays black"


def _outline(session: Session, name: str, height_mm: float) -> NDArray[np.float64]:
    """Middles of the edges of a region's outlines in one plane, LPS in mm."""
    structures = pydicom.dcmread(session.regions("rtstruct"))
    number = next(one.ROINumber for one in structures.StructureSetROISequence if one.ROIName == name)
    contours = next(one for one in structures.ROIContourSequence if one.ReferencedROINumber == number).ContourSequence
    corners = [np.reshape([float(x) for x in one.ContourData], (-1, 3)) for one in contours]
    flat = [one for one in corners if abs(one[0, 2] - height_mm) < 0.01]
    return np.concatenate([(one + np.roll(one, -1, axis=0)) / 2 for one in flat])


def _share_coloured(before: Picture, after: Picture, points: Any, colour: list[int]) -> float:  # noqa: ANN401 - JSON
    """Share of points of the window near which a pixel came much closer to a colour."""
    closer = []
    for x, y in points:
        near = np.s_[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4]
        apart = [float(np.abs(one[near] - np.array(colour[:3])).sum(axis=-1).min()) for one in (before, after)]
        closer.append(apart[1] < 0.6 * apart[0])
    return float(np.mean(closer))


@pytest.mark.parametrize(("kind", "way"), [("SEG", "Labelmap"), ("RTSTRUCT", "Contour")])
def test_regions_are_outlined_where_they_lie(
    kind: str, way: str, viewer: Viewer, session: Session, series: list[pydicom.Dataset], tmp_path: Path
) -> None:
    """Every region of the file is shown by its name, and on the screen its colour follows its edge."""
    k, lesion = _stiffest(series)
    before = _look_at(viewer, lesion, tmp_path / "before.png")
    names = [one.ROIName for one in pydicom.dcmread(session.regions("rtstruct")).StructureSetROISequence]
    stiff = next(one for one in names if one.startswith("stiff"))
    height = float(series[k].ImagePositionPatient[2])
    edge = viewer.browser.call(ON_SCREEN, _outline(session, stiff, height).tolist())
    uid = viewer.of(kind)
    viewer.browser.call(ADD, uid)
    viewer.wait_for(f"(uid, kind) => !!({SHOWN})(uid, kind)", uid, way)
    shown = dict(viewer.browser.call(SHOWN, uid, way))
    assert list(shown) == names
    after = _look_at(viewer, lesion, tmp_path / f"ohif-{kind.lower()}.png")
    viewer.browser.call(REMOVE, uid)
    beside = [(x + BESIDE, y) for x, y in edge]
    shares = [_share_coloured(before, after, one, shown[stiff]) for one in (edge, beside)]
    assert shares[0] > 0.9, shares
    assert shares[1] < 0.1, shares
