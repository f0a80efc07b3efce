"""A session with a T1 as DICOM, ingested and as if inverted, with joint draws: what DICOM for planning is made from."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np

from palpate.config.ingest import IngestSettings
from palpate.config.maps import MapsSettings
from palpate.imaging.dicom_out.dicom_maps import write_dicom_maps
from palpate.imaging.files.maps import read_map
from palpate.imaging.ingest import ingest
from tests.imaging.scanner import Scan, write_mre, write_t1
from tests.imaging.session_files import write_maps

STEM = "sub-01_ses-01"
SCAN = Scan(shape=(8, 6, 4), offsets=4)


class Home:
    """A patient's scan and T1, the session made from them, and where its DICOM goes."""

    def __init__(self, root: Path) -> None:
        self.mre, self.t1, self.key = root / "scan" / "mre", root / "scan" / "t1", root / "key"
        self.session = root / "results" / "sub-01" / "ses-01"
        self.out = self.session / "dicom"

    def write(self, **settings: object) -> list[Path]:
        """Write DICOM of some kinds and return its files."""
        write_dicom_maps(
            self.session / "mre",
            self.session / "wavefield",
            self.out,
            settings=MapsSettings.model_validate(settings),
            scan=self.mre,
            key=self.key,
            anatomy=self.t1,
        )
        return sorted(self.out.rglob("*.dcm"))

    def reasons(self) -> dict[str, str]:
        """Why kinds were not written, by kind."""
        record = json.loads(self.out.with_name("dicom.json").read_text())
        return {one["kind"]: one["reason"] for one in record["not_written"]}


def make_session(root: Path) -> None:
    """Make a session of a scan with a T1 of the same frame, ingested and inverted, with joint draws."""
    home = Home(root)
    write_mre(home.mre, SCAN)
    values = np.random.default_rng(0).integers(100, 900, (15, 12, 15)).astype(np.uint16)
    write_t1(home.t1, values, SCAN, (1.0, 1.0, 1.1))
    settings = IngestSettings(registration="never", key=home.key)
    ingest(home.mre, STEM, home.session / "wavefield", anatomy=home.t1, settings=settings)
    write_maps(home.session)
    mask = read_map(home.session / "mre" / f"{STEM}_desc-informed_mask.nii.gz").values > 0.5
    with h5py.File(home.session / "mre" / f"{STEM}_samples.h5", "w") as file:
        file["voxels"] = np.argwhere(mask).astype(np.int32)
        for name, middle in (("storagemodulus_kpa", 2.0), ("lossmodulus_kpa", 1.0)):
            draws = np.random.default_rng(len(name)).lognormal(np.log(middle), 0.1, (20, int(mask.sum())))
            file[name] = draws.astype(np.float32)
        file["density_kg_m3"] = np.full(20, 1000.0)
