"""A real archive: Orthanc on loopback with its DICOMweb plugin, filled with a pretend scanner's study."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import requests

from palpate.config.phantom import PhantomSettings
from palpate.imaging.phantom.grid import block
from palpate.imaging.phantom.identity import Identity
from palpate.imaging.phantom.scan import acquire
from palpate.imaging.phantom.vendors import WRITERS
from tests.imaging.scanner import STUDY, Scan, write_mre

PLUGINS = Path("/usr/share/orthanc/plugins")
TITLE, CALLING, ACCESSION = "ARCHIVE", "PALPATE", "A-17"


@dataclass(frozen=True)
class RunningArchive:
    """An archive that answers.

    Attributes:
        web: address of its DICOMweb service.
        classic: address for DIMSE.
        listen_port: where it sends what is moved.
        source: the files that it was filled with.
        study: their StudyInstanceUID.
        frames: folder of the one enhanced file of another study in it.
    """

    web: str
    classic: str
    listen_port: int
    source: Path
    frames: Path
    study: str = STUDY


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Ports:
    """Where an archive answers, and where it sends what is moved."""

    http: int
    dimse: int
    listen: int

    @property
    def root(self) -> str:
        """Address of the archive's own web interface."""
        return f"http://127.0.0.1:{self.http}"


@contextmanager
def running_orthanc(home: Path) -> Iterator[Ports]:
    """Start an empty archive in a folder of its own and end it afterwards."""
    program = shutil.which("Orthanc")
    if program is None or not (PLUGINS / "libOrthancDicomWeb.so").exists():
        pytest.skip("needs Debian's orthanc and orthanc-dicomweb")
    ports = Ports(free_port(), free_port(), free_port())
    settings = {
        "StorageDirectory": str(home / "storage"),
        "IndexDirectory": str(home / "index"),
        "HttpPort": ports.http,
        "DicomPort": ports.dimse,
        "DicomAet": TITLE,
        "RemoteAccessAllowed": False,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomModalities": {"palpate": [CALLING, "127.0.0.1", ports.listen]},
        "Plugins": [str(PLUGINS / "libOrthancDicomWeb.so")],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (home / "orthanc.json").write_text(json.dumps(settings), encoding="utf-8")
    with (home / "log").open("w") as log:
        running = subprocess.Popen([program, home / "orthanc.json"], stdout=log, stderr=log)
    try:
        _wait_for(ports.root, running)
        yield ports
    finally:
        running.terminate()
        running.wait(20)


def send(ports: Ports, folder: Path) -> None:
    """Send every file of a folder to an archive."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            requests.post(f"{ports.root}/instances", data=path.read_bytes(), timeout=20).raise_for_status()


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningArchive]:
    """One archive for all tests, which only read it."""
    home = tmp_path_factory.mktemp("orthanc")
    with running_orthanc(home) as ports:
        source = home / "source"
        write_mre(source, Scan(shape=(8, 6, 3), offsets=4, extra={"AccessionNumber": ACCESSION}))
        frames = home / "frames"
        write_mre_frames(frames)
        send(ports, source)
        send(ports, frames)
        classic = f"dicom://{TITLE}@127.0.0.1:{ports.dimse}"
        yield RunningArchive(f"{ports.root}/dicom-web", classic, ports.listen, source, frames)


def write_mre_frames(folder: Path) -> None:
    """One enhanced multi-frame file of an MRE, as Philips packs it."""
    folder.mkdir()
    settings = PhantomSettings(lesion=None, noise_percent=0.0, motion_rad=0.0, offsets=4)
    grid = block(np.zeros(3), np.diag([-1.0, -1.0, 1.0]), (6, 5, 3), 2.0)
    waves = 1e-6 * np.exp(-0.2j * grid.points_mm) @ np.array([[3, 1j, 0], [0, 4, 2], [1, 0, 5j]])
    scan = acquire(settings, grid, waves, np.ones(grid.shape))
    WRITERS["philips-enhanced"](folder, Identity("01", "01", "archive"), settings, grid, scan)


def _wait_for(root: str, running: subprocess.Popen[bytes]) -> None:
    for _ in range(120):
        assert running.poll() is None, "Orthanc ended"
        try:
            requests.get(f"{root}/system", timeout=5).raise_for_status()
        except requests.RequestException:
            time.sleep(0.25)
        else:
            return
    raise AssertionError("Orthanc did not answer within 30 s")
