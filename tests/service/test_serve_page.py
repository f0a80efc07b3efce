"""Page of the service in a browser: a sphere is picked, and the number shown is the one that the service tells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.browser import Browser, needs_browser, running_browser
from tests.service.conftest import SessionFiles
from tests.service.serve_client import ServiceClient, listening, running

pytestmark = needs_browser
READY = (
    "Number.isFinite(document.getElementById('index').valueAsNumber) && document.getElementById('place').textContent"
)
ANSWERED = "window.palpateAnswer !== undefined && !document.getElementById('distribution').hidden"


@pytest.fixture(scope="module")
def client(finished_session: SessionFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceClient]:
    with running(finished_session.folder.parent.parent, tmp_path_factory.mktemp("service")) as found:
        yield found


@pytest.fixture(scope="module")
def address(client: ServiceClient) -> Iterator[str]:
    with listening(client.app) as (host, port):
        yield f"http://{host}:{port}"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with running_browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


def _open(browser: Browser, address: str, width: int) -> None:
    browser.size(width, 900)
    browser.visit(address)
    browser.wait_for(f"location.port !== '' && document.readyState === 'complete' && {READY}", 60.0)


@pytest.mark.parametrize("width", [1440, 390])
def test_a_sphere_is_typed_and_answered(
    width: int, browser: Browser, address: str, client: ServiceClient, tmp_path: Path
) -> None:
    """Number, interval, probability, distribution and picture, on a desk and on a telephone; nothing is cut off."""
    _open(browser, address, width)
    for name, value in {"x": -16, "y": -10, "z": 27, "radius": 8, "above": 2.6}.items():
        browser.evaluate(f"document.getElementById('{name}').value = '{value}'")
    browser.evaluate("document.getElementById('ask').click()")
    browser.wait_for(ANSWERED, 60.0)
    shown = browser.evaluate("window.palpateAnswer")
    told = client.region({"sphere": "-16,-10,27,8", "above": "2.6"}).json()
    assert shown == told
    figure = told["results"][0]["quantities"]["storage_modulus"]
    head = browser.evaluate("document.getElementById('headline').textContent")
    assert f"{figure['mean_kpa']:.4g}"[:5] in head
    assert f"{100 * figure['above']['probability']:.1f} % above 2.6 kPa" in browser.evaluate("document.body.innerText")
    assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    for canvas in ("slice", "histogram"):
        pixels = f"document.getElementById('{canvas}').getContext('2d').getImageData(0, 0, 300, 200).data"
        assert browser.evaluate(f"[...{pixels}].some((one) => one > 60 && one < 250)")
    browser.picture(tmp_path / f"page-{width}.png", whole=True)


def test_a_click_into_the_slice_asks_there(browser: Browser, address: str) -> None:
    """The middle of the picture is the middle of the slice, in the world of the elastogram."""
    _open(browser, address, 1440)
    browser.evaluate("window.palpateAnswer = undefined; document.getElementById('slice').scrollIntoView()")
    box = browser.evaluate(
        "(({x, y, width, height}) => [x, y, width, height])(document.getElementById('slice').getBoundingClientRect())"
    )
    browser.click(box[0] + box[2] / 2, box[1] + box[3] / 2)
    browser.wait_for(ANSWERED, 60.0)
    region = browser.evaluate("window.palpateAnswer.region")
    assert region["radius_mm"] == 8
    assert browser.evaluate("window.palpateAnswer.results[0].covered_share") > 0.9


def test_a_refusal_is_a_sentence_on_the_page(browser: Browser, address: str) -> None:
    """A sphere beside the map: the page says what to do, and runs nothing that the answer holds."""
    _open(browser, address, 390)
    for name, value in {"x": 900, "y": 0, "z": 0, "radius": 5}.items():
        browser.evaluate(f"document.getElementById('{name}').value = '{value}'")
    browser.evaluate("document.getElementById('ask').click()")
    browser.wait_for("document.getElementById('message').classList.contains('fault')", 60.0)
    assert "touches no voxel of the map" in browser.evaluate("document.getElementById('message').textContent")


def test_the_page_asks_its_own_service_alone(browser: Browser, address: str) -> None:
    """No font, script, picture or word from elsewhere, and its policy would let none in."""
    _open(browser, address, 1440)
    asked = browser.evaluate("performance.getEntriesByType('resource').map((one) => one.name)")
    assert asked
    assert all(one.startswith((f"{address}/api/v1/", "data:")) for one in asked)
    elsewhere = "fetch('https://example.org/').then(() => 'let out', () => 'kept in')"
    assert browser.evaluate(elsewhere) == "kept in"
