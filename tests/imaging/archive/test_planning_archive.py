"""All kinds through a real archive and back: by C-STORE, STOW-RS and WADO-RS, bit by bit, one study of one patient."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient

from tests.imaging.archive.conftest import TITLE, Ports, running_orthanc, send
from tests.imaging.planning_session import Home, make_session
from tests.imaging.scanner import STUDY

pytestmark = pytest.mark.long
_BOUNDARY = "palpate-parts"
STORESCU = shutil.which("storescu", path="/usr/local/bin:/usr/bin")
"""The program of dcmtk; pynetdicom brings another one of the same name."""


def _store(ports: Ports, folder: Path) -> None:
    """Send a folder as the documentation says."""
    assert STORESCU is not None
    words = [STORESCU, "-R", "-aec", TITLE, "127.0.0.1", str(ports.dimse), "+sd", "+r", "+sp", "*.dcm", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _stow(ports: Ports, folder: Path) -> None:
    """Send a folder's files in one request."""
    parts = [
        b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % (_BOUNDARY.encode(), path.read_bytes())
        for path in sorted(folder.rglob("*.dcm"))
    ]
    answer = requests.post(
        f"{ports.root}/dicom-web/studies",
        data=b"".join([*parts, b"--%s--" % _BOUNDARY.encode()]),
        headers={"Content-Type": f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}'},
        timeout=60,
    )
    answer.raise_for_status()


def _retrieved(ports: Ports) -> dict[str, pydicom.Dataset]:
    """Every object of the study, as WADO-RS gives them, by identifier."""
    found = DICOMwebClient(f"{ports.root}/dicom-web").retrieve_study(STUDY)
    return {str(one.SOPInstanceUID): one for one in found}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A session with its DICOM of every kind that it has."""
    root = tmp_path_factory.mktemp("planning archive")
    make_session(root)
    home = Home(root)
    home.write()
    return home


@pytest.mark.parametrize("way", ["storescu", "stow"])
def test_all_kinds_come_back_bit_by_bit(way: str, home: Home, tmp_path: Path) -> None:
    """As many studies and patients as before; ours arrive with the same elements and pixels, the T1 is unchanged."""
    if way == "storescu" and STORESCU is None:
        pytest.skip("needs storescu (Debian: dcmtk)")
    with running_orthanc(tmp_path) as ports:
        send(ports, home.mre.parent)
        before = _retrieved(ports)
        (_store if way == "storescu" else _stow)(ports, home.out)
        listed = {level: requests.get(f"{ports.root}/{level}", timeout=30).json() for level in ("studies", "patients")}
        assert {level: len(found) for level, found in listed.items()} == {"studies": 1, "patients": 1}
        after = _retrieved(ports)
    assert {uid: after[uid] for uid in before} == before
    ours = {str(pydicom.dcmread(path).SOPInstanceUID): path for path in home.out.rglob("*.dcm")}
    assert set(after) - set(before) == set(ours)
    for uid, path in ours.items():
        sent, received = pydicom.dcmread(path), after[uid]
        assert received == sent, path.name
        for name in ("PixelData", "FloatPixelData"):
            assert received.get(name) == sent.get(name)
