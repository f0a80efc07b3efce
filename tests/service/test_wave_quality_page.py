"""The page's section on the waves: amplitude, harmonics, wraps, strain SNR, directions; and what it warns of."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from palpate.config.report import ReportSettings
from palpate.service.report.page import render
from palpate.service.report.session import read_session
from palpate.service.report.wave_notes import wave_notes
from tests.service.conftest import SessionFiles, write_session


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> SessionFiles:
    folder = tmp_path_factory.mktemp("waves")
    return write_session(folder / "session", folder / "truth")


def _text(folder: Path) -> str:
    page = render(read_session(folder), ReportSettings())
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_the_page_says_how_good_the_waves_are(session: SessionFiles) -> None:
    """A map can only be as good as its waves; each of the five things that can be wrong with them has its place."""
    text = _text(session.folder)
    for part in (
        "Mean |u|",
        "Signal and noise of the scan",
        "Phase wraps, share of samples",
        "Octahedral-shear-strain SNR",
        "Where the waves travel",
        "Divergence over curl",
    ):
        assert part in text, part
    assert "The waves are weak" not in text


def test_the_page_warns_of_moved_images_and_weak_waves(session: SessionFiles, tmp_path: Path) -> None:
    """What ingest found must reach the one who looks at the map."""
    shutil.copytree(session.folder, tmp_path / "session")
    (record,) = (tmp_path / "session" / "wavefield").glob("*_ingest.json")
    content = json.loads(record.read_text())
    content["frequencies"][0] |= {
        "oss_snr": 2.0,
        "least_oss_snr": 3.0,
        "image_motion": {"largest_mm": 2.44, "images_moved": 3, "put_back": True},
        "compressional": "removed",
    }
    record.write_text(json.dumps(content))
    text = _text(tmp_path / "session")
    assert "octahedral-shear-strain SNR is 2.0" in text
    assert "In 3 images the head was displaced by up to 2.4 mm; these images were moved back." in text
    assert "2.44 mm" in text
    assert "divergence was removed" in text


def test_good_waves_need_no_words() -> None:
    """Records of earlier versions have none of the keys; those of good scans give no note either."""
    assert wave_notes({}) == []
    still = {"largest_mm": 0.1, "images_moved": 0, "put_back": False}
    assert wave_notes({"oss_snr": 5.0, "image_motion": still, "compressional": "kept"}) == []


def test_weak_waves_are_said_once() -> None:
    """Ingest warns of them since a code exists for it; records of before only have the number."""
    assert len(wave_notes({"oss_snr": 1.2})) == 1
    assert wave_notes({"oss_snr": 1.2}, {"weak-waves"}) == []
