"""Two sessions of one person, without any inversion: the second is made from the first by known changes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.imaging.files.maps import read_map, write_map
from palpate.imaging.files.nifti import read_nifti, write_nifti
from tests.service.conftest import write_session

LABEL = "sub-01_ses-01"
MODULI = ("storagemodulus", "lossmodulus")

Change = Callable[[Path], None]


@pytest.fixture(scope="session")
def first_session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Session A, with the density that each draw assumes."""
    root = tmp_path_factory.mktemp("change")
    folder = root / "results" / "sub-01" / "ses-01"
    write_session(folder, root / "truth")
    rng = np.random.default_rng(3)
    with h5py.File(folder / "mre" / f"{LABEL}_samples.h5", "r+") as file:
        count = file["storagemodulus_kpa"].shape[0]
        density = 1030.0 * np.exp(0.04 * rng.standard_normal(count))
        file["density_kg_m3"] = density
        for modulus in MODULI:
            file[f"{modulus}_kpa"][...] = file[f"{modulus}_kpa"][...] * (density / 1030.0)[:, None]
    return folder


@pytest.fixture(scope="session")
def dseg(first_session: Path) -> Path:
    """Two spheres on the T1's voxels."""
    t1 = read_nifti(first_session / "wavefield" / f"{LABEL}_T1w.nii.gz")
    affine_mm = read_map(first_session / "mre" / f"{LABEL}_stat-mean_storagemodulus.nii.gz").affine_mm
    index = np.moveaxis(np.indices(t1.values.shape, dtype=np.float64), 0, -1)
    points_mm = index @ t1.affine_mm[:3, :3].T + t1.affine_mm[:3, 3]
    labels = np.zeros(t1.values.shape, dtype=np.int16)
    for number, voxel in enumerate([(10, 11, 6), (13, 8, 6)], start=1):
        centre_mm = (affine_mm @ np.array([*voxel, 1.0]))[:3]
        labels[np.linalg.norm(points_mm - centre_mm, axis=-1) < 7.0] = number
    path = first_session.parents[2] / "dseg.nii.gz"
    write_nifti(path, labels, t1.affine_mm)
    return path


def second_session(first: Path, folder: Path, *changes: Change, digest: str = "1") -> Path:
    """Return a copy of a session of which some things are changed, and which is another scan by its digest."""
    shutil.copytree(first, folder)
    for change in changes:
        change(folder)
    record(folder, "inversion", input_digests={"wavefield": digest * 64})
    return folder


def record(folder: Path, kind: str, **entries: object) -> None:
    """Change entries of a record of a session: inversion or ingest."""
    path = folder / {"inversion": "mre", "ingest": "wavefield"}[kind] / f"{LABEL}_{kind}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def scaled(factor: float) -> Change:
    """Multiply both moduli of a session: draws and maps."""

    def change(folder: Path) -> None:
        with h5py.File(folder / "mre" / f"{LABEL}_samples.h5", "r+") as file:
            for modulus in MODULI:
                file[f"{modulus}_kpa"][...] = factor * file[f"{modulus}_kpa"][...]
        for path in (folder / "mre").glob(f"{LABEL}_stat-*modulus.nii.gz"):
            known = read_map(path)
            write_map(path, factor * known.values, known.affine_mm, units="kPa", description=known.description)

    return change


def draws_by(change_of: Callable[[NDArray[np.float64]], NDArray[np.float64]], *, density: bool = True) -> Change:
    """Change the draws of both moduli and their density by a function of arrays of shape (draws, ...)."""

    def change(folder: Path) -> None:
        with h5py.File(folder / "mre" / f"{LABEL}_samples.h5", "r+") as file:
            for name in (*(f"{modulus}_kpa" for modulus in MODULI), *(("density_kg_m3",) if density else ())):
                file[name][...] = change_of(file[name][...])

    return change
