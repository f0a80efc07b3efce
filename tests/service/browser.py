"""A headless Chromium that tests drive over a pipe: open a page, evaluate an expression, click, take a picture."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    # WebGL 2 without a graphics card.
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--remote-debugging-pipe",
)
VIEWER_READY = "document.getElementById('viewer-status')?.textContent.startsWith('At the cross-hair')"
PAGE_READY = "location.protocol === 'file:' && document.readyState === 'complete'"
PROGRAM = shutil.which("chromium")
needs_browser = pytest.mark.skipif(PROGRAM is None, reason="needs chromium")


class Browser:
    """One tab of a running browser, spoken to in the DevTools protocol: JSON messages that end in a zero byte."""

    def __init__(self, to_browser: int, from_browser: int, process: int) -> None:
        self._process = process
        self._to, self._from, self._rest, self._number = to_browser, from_browser, b"", 0
        self._session: str | None = None
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._ask("Page.enable")

    def size(self, width: int, height: int) -> None:
        """Make the window so many CSS pixels large."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._ask("Emulation.setDeviceMetricsOverride", **metrics)

    def scheme(self, name: str) -> None:
        """Prefer the "light" or the "dark" colour scheme."""
        self._ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def processor_s(self) -> float:
        """Return the processor time of the browser so far, seconds, which a busy machine hardly changes."""
        spent, children = {}, defaultdict(list)
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                words = path.read_text().rpartition(")")[2].split()
                children[int(words[1])].append(int(path.parent.name))
                spent[int(path.parent.name)] = sum(map(int, words[11:15]))
        found = [self._process]
        for one in found:
            found += children[one]
        return sum(spent.get(one, 0) for one in found) / os.sysconf("SC_CLK_TCK")

    def print_media(self) -> None:
        """Lay the page out as for a printer."""
        self._ask("Emulation.setEmulatedMedia", media="print")

    def navigate(self, page: Path) -> None:
        """Begin to open a file."""
        self._ask("Page.navigate", url=page.as_uri())

    def open(self, page: Path, ready: str = VIEWER_READY) -> None:
        """Open a file and wait until it is ready; by default, its viewer then tells something at the cross-hair."""
        self.navigate(page)
        self.wait_for(ready)

    def visit(self, address: str) -> None:
        """Open an address and wait for nothing."""
        self._ask("Page.navigate", url=address)

    def wait_for(self, expression: str, timeout_s: float = 240.0) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + timeout_s
        while not self.evaluate(expression):
            assert time.monotonic() < end, f"still not true: {expression}"
            time.sleep(0.1)

    def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Return the value of an expression in the page, as JSON has it; a promise is awaited."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def call(self, function: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Return what a function of the page's language returns for arguments that JSON can hold."""
        return self.evaluate(f"({function})({', '.join(json.dumps(one) for one in arguments)})")

    def click(self, x: float, y: float) -> None:
        """Press and release the left button at a point of the window, CSS pixels."""
        for kind in ("mousePressed", "mouseReleased"):
            self._ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Write what the window, or the whole page, looks like as PNG."""
        made = self._ask("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(made["data"]))

    def _ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send one command and return its result; events that come before it are passed over."""
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], 120.0)
            assert ready, "the browser does not answer"
            piece = os.read(self._from, 1 << 20)
            assert piece, "the browser ended"
            self._rest += piece
        first, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(first))


@contextmanager
def running_browser(profile: Path, *flags: str) -> Iterator[Browser]:
    """Start a browser with a profile folder of its own, and flags beside the usual ones, and end it afterwards."""
    assert PROGRAM is not None
    read_command, write_command = os.pipe()
    read_answer, write_answer = os.pipe()
    # The browser reads from descriptor 3 and writes to descriptor 4; the shell puts the pipes there.
    command = f'exec "$@" 3<&{read_command} 4>&{write_answer}'
    running = subprocess.Popen(
        ["bash", "-c", command, "browser", PROGRAM, *FLAGS, *flags, f"--user-data-dir={profile}", "about:blank"],
        pass_fds=(read_command, write_answer),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(read_command)
    os.close(write_answer)
    try:
        yield Browser(write_command, read_answer, running.pid)
    finally:
        os.close(write_command)
        running.terminate()
        running.wait(20)
        os.close(read_answer)
