"""The OHIF viewer of npm, served on loopback beside an archive. For tests only; the package never needs it."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

VERSION = "3.13.2"
"""Version of the npm package @ohif/app, which brings a built viewer."""
SOURCE = "archive"
CONFIGURATION = f"""
localStorage.setItem('shownTours', '["basicViewerTour"]');
window.config = {{
  routerBasename: null, extensions: [], modes: [], customizationService: {{}}, showStudyList: true,
  investigationalUseDialog: {{ option: 'never' }}, disableConfirmationPrompts: true, measurementTrackingMode: 'none',
  showCPUFallbackMessage: false, maxNumberOfWebWorkers: 1, strictZSpacingForVolumeViewport: true,
  defaultDataSourceName: '{SOURCE}',
  dataSources: [{{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: '{SOURCE}',
    configuration: {{
      friendlyName: 'Orthanc', name: '{SOURCE}', qidoRoot: '/dicom-web', wadoRoot: '/dicom-web',
      qidoSupportsIncludeField: false, imageRendering: 'wadors', thumbnailRendering: 'wadors',
      enableStudyLazyLoad: true, supportsFuzzyMatching: false, supportsWildcard: true,
      omitQuotationForMultipartRequest: true, bulkDataURI: {{ enabled: true }},
    }},
  }}],
}};
"""


def cache_folder() -> Path:
    """Where downloaded viewers are kept: outside of the checkout, and used again."""
    kept = os.environ.get("PALPATE_TEST_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(kept) / "palpate-tests"


def built_viewer() -> Path:
    """The folder of the built viewer, fetched by npm where it is not there yet; the test is skipped where it cannot."""
    home = cache_folder() / f"ohif-{VERSION}"
    if (home / "dist" / "index.html").exists():
        return home / "dist"
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"needs npm, or the unpacked package @ohif/app {VERSION} in {home}")
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as there:
        words = [npm, "pack", f"@ohif/app@{VERSION}", "--silent", "--pack-destination", there]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=600, cwd=there)
        packed = sorted(Path(there).glob("*.tgz"))
        if done.returncode or not packed:
            pytest.skip(f"npm cannot fetch @ohif/app {VERSION}: {done.stderr.strip()[-200:]}")
        with tarfile.open(packed[0]) as archive:
            archive.extractall(there, filter="data")
        (Path(there) / "package").rename(home)
    return home / "dist"


class _Handler(SimpleHTTPRequestHandler):
    """The viewer's files, its configuration, and the archive under the same address."""

    archive = ""

    def do_GET(self) -> None:
        if self.path.startswith("/dicom-web/"):
            self._from_archive()
        elif self.path == "/app-config.js":
            self._answer(200, "text/javascript", CONFIGURATION.encode())
        else:
            if not Path(self.translate_path(self.path)).is_file():
                self.path = "/index.html"  # an address of the viewer's own
            super().do_GET()

    def end_headers(self) -> None:
        # The viewer shares memory with its workers, which browsers allow to isolated pages only.
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _from_archive(self) -> None:
        accept = {"Accept": self.headers.get("Accept", "*/*")}
        answer = requests.get(self.archive + self.path, headers=accept, timeout=120)
        self._answer(answer.status_code, answer.headers.get("Content-Type", ""), answer.content)

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def served_viewer(archive: str) -> Iterator[str]:
    """Serve the viewer over an archive, such as http://127.0.0.1:8042, and give the viewer's address."""
    kind = type("Handler", (_Handler,), {"archive": archive})
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(kind, directory=str(built_viewer())))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
