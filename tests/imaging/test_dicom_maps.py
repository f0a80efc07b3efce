"""The DICOM folder of a session: complete, whole or absent, and honest where there is no study to join."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest

from palpate.config.maps import MapsSettings
from palpate.errors import InputError
from palpate.imaging.dicom_out.dicom_maps import NOTE_NAME, write_dicom_maps
from palpate.imaging.files.maps import read_map, write_map, write_mask

type Command = Callable[..., Any]

AFFINE_MM = np.diag([2.0, 2.0, 3.0, 1.0])
PSEUDONYM = MapsSettings(identity="pseudonym")
SOURCE = {
    "StudyInstanceUID": "1.2.826.0.1.3680043.10.543.1",
    "FrameOfReferenceUID": "1.2.826.0.1.3680043.10.543.2",
    "SeriesInstanceUID": "1.2.826.0.1.3680043.10.543.3",
    "SOPInstanceUID": "1.2.826.0.1.3680043.10.543.4",
}


def _write(folder: Path, stems: dict[str, float], record: dict[str, object]) -> tuple[Path, Path]:
    """Maps of constant moduli, 1 kPa for the first stem, 2 kPa for the second, and the record of ingest."""
    mre, wavefield = folder / "mre", folder / "wavefield"
    wavefield.mkdir(parents=True)
    values = np.full((4, 5, 3), np.nan)
    values[1:] = 1.0
    for number, stem in enumerate(stems, start=1):
        for modulus in ("storagemodulus", "lossmodulus"):
            for statistic in ("mean", "std", "lower", "upper"):
                path = mre / f"{stem}_stat-{statistic}_{modulus}.nii.gz"
                write_map(path, number * values, AFFINE_MM, units="kPa", description="")
        write_mask(mre / f"{stem}_desc-informed_mask.nii.gz", values > 0.0, AFFINE_MM, description="")
    (mre / "sub-01_inversion.json").write_text(json.dumps({"frequency_hz": list(stems.values())}))
    (wavefield / "sub-01_ingest.json").write_text(json.dumps(record))
    return mre, wavefield


def test_four_maps_for_each_frequency(tmp_path: Path) -> None:
    """Planners get mean and spread of both moduli at every frequency, each in its own series."""
    stems = {"sub-01_acq-40Hz": 40.0, "sub-01_acq-60Hz": 60.0}
    mre, wavefield = _write(tmp_path, stems, {"dicom": SOURCE})
    written = write_dicom_maps(mre, wavefield, tmp_path / "dicom", settings=PSEUDONYM)
    assert len(written) == 8
    series = set()
    for path in written:
        image = hd.imread(path)
        series.add(image.SeriesInstanceUID)
        number = 1.0 if "40Hz" in path.name else 2.0
        assert f"{'40' if number == 1.0 else '60'} Hz" in image.SeriesDescription
        source = read_map(mre / path.name.replace(".dcm", ".nii.gz"))
        inside = image.get_volume(apply_real_world_transform=True).array
        assert inside.max() == number == np.nanmax(source.values)
        assert np.count_nonzero(inside) == source.covered.sum()
    assert len(series) == 8


def test_no_dicom_source_leaves_a_note(tmp_path: Path, palpate: Command) -> None:
    """A wave field from elsewhere is a normal study: exit code 0 and a note, not an empty folder to wonder about."""
    mre, wavefield = _write(tmp_path, {"sub-01": 50.0}, {"dicom": None})
    done = palpate("maps", mre, "--wavefield", wavefield, "--out", tmp_path / "dicom")
    assert done.returncode == 0, done.stderr
    assert "did not come from DICOM" in (tmp_path / "dicom" / NOTE_NAME).read_text()
    assert not list((tmp_path / "dicom").glob("*.dcm"))


def test_bad_input_leaves_nothing(tmp_path: Path, palpate: Command) -> None:
    """A source that cannot be referenced, maps that are missing, a folder of somebody else's: refused, untouched."""
    mre, wavefield = _write(tmp_path, {"sub-01": 50.0}, {"dicom": {**SOURCE, "FrameOfReferenceUID": ""}})
    out = tmp_path / "dicom"
    with pytest.raises(InputError, match="cannot be referenced"):
        write_dicom_maps(mre, wavefield, out, settings=PSEUDONYM)
    assert not out.exists()
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="did not write"):
        write_dicom_maps(mre, wavefield, foreign, settings=PSEUDONYM)
    assert (foreign / "thesis.txt").exists()
    done = palpate("maps", wavefield, "--wavefield", wavefield, "--out", out)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert not out.exists()
