"""What an inversion keeps while it runs: it may end at any moment, and what it left is never misread."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.config.inversion import InversionSettings
from palpate.imaging.wavefield import WaveField
from palpate.meshing.zones import cut_zones
from palpate.solvers.inversion.prior import empirical_bayes as evidence
from palpate.solvers.inversion.run import Inversion, invert_wave_field
from palpate.solvers.inversion.steps import checkpoint, gauss_newton
from palpate.solvers.inversion.steps.acceleration import Acceleration, Pair
from palpate.solvers.inversion.steps.checkpoint import read_arrays, write_arrays
from palpate.solvers.inversion.steps.problem import InversionDomain
from tests.solvers.inversion.tetrahedra import BACKGROUND_PA, scanned, wave_through

SHAPE = (7, 5, 5)
ZONES = 2
BRIEF = InversionSettings(samples=20, hessian_rank=20, max_iterations=3)


class _Killed(BaseException):
    """Stands for SIGKILL between two files; that signal itself is sent in test_resume."""


@pytest.fixture(scope="module")
def field() -> WaveField:
    """Two zones of noisy waves."""
    return scanned(wave_through(lambda x: np.full(len(x), BACKGROUND_PA), SHAPE, 3e-3), 0.02, seed=1)


def _invert(field: WaveField, folder: Path | None, **changes: object) -> Inversion:
    zones = cut_zones(field.mask, width_voxels=(5, 5, 5), stride_voxels=(2, 5, 5))
    assert len(zones) == ZONES
    return invert_wave_field(
        field, InversionDomain(zones, unfinished=folder), BRIEF.model_copy(update=changes), MPI.COMM_SELF
    )


class _Disk:
    """Writes files until it has written so many; then the run is over."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: int | None = None
        self.written = 0
        self.most_evaluations = 0
        monkeypatch.setattr(checkpoint, "write_arrays", self._write)

    def _write(self, path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        if self.left == self.written:
            raise _Killed
        write_arrays(path, arrays)
        self.written += 1
        folder = path.parent if path.name == "state.npz" else path.parents[1]
        self.most_evaluations = max(self.most_evaluations, len(list(folder.glob("evaluation-*"))))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> _Disk:
    return _Disk(monkeypatch)


def _backwards(self: Acceleration, point: Pair, target: Pair) -> Pair:
    """A hopeless first try: as far from the target as the point is, on the other side."""
    del self
    return 3 * point[0] - 2 * target[0], 3 * point[1] - 2 * target[1]


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.long) for name in ("accepted", "rejected")])
def search(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Line searches as they come, and such that every first trial is rejected."""
    if request.param == "rejected":
        monkeypatch.setattr(Acceleration, "aim", _backwards)
        monkeypatch.setattr(gauss_newton, "SMALL", 0.0)
    return str(request.param)


@pytest.fixture(autouse=True)
def _quick_refits(monkeypatch: pytest.MonkeyPatch) -> None:
    """One correlation length: what a refit compares is not what is tested here."""
    monkeypatch.setattr(evidence, "LENGTHS_MM", (12.0,))


def test_a_run_may_be_killed_between_any_two_files(search: str, field: WaveField, tmp_path: Path, disk: _Disk) -> None:
    """Before, in and after a line search, a refit and a step: no moment may lead to other numbers or to a full disk."""
    fit_prior = search == "accepted"
    whole = _invert(field, tmp_path / "whole", fit_prior=fit_prior)
    files, steps, factorisations = disk.written, len(whole.fit.state.history), whole.counter.counts["factorisations"]
    assert files == (1 + ZONES) * factorisations // ZONES + 1 + steps
    assert (factorisations > (1 + steps) * ZONES) == (search == "rejected")
    assert disk.most_evaluations <= 3
    for moment in range(files):
        folder, disk.written, disk.left = tmp_path / str(moment), 0, moment
        with pytest.raises(_Killed):
            _invert(field, folder, fit_prior=fit_prior)
        finished = len(list(folder.glob("*/zone-*")))
        disk.left = None
        resumed = _invert(field, folder, fit_prior=fit_prior)
        assert np.array_equal(resumed.log_draws, whole.log_draws)
        assert resumed.fit.state.history == whole.fit.state.history
        assert resumed.counter.counts["factorisations"] <= factorisations - finished


def test_what_is_finished_is_only_joined_again(field: WaveField, tmp_path: Path) -> None:
    """Of several frequencies the finished ones must not cost their zones again; a zone lost since costs its own."""
    folder = tmp_path / "kept"
    whole = _invert(field, folder)
    again = _invert(field, folder)
    assert np.array_equal(again.log_draws, whole.log_draws)
    assert again.counter.counts["factorisations"] == 0
    max(folder.glob("evaluation-*/zone-0.npz")).unlink()
    assert _invert(field, folder).counter.counts["factorisations"] == 1


@pytest.mark.parametrize("room", [0, 1, 5])
def test_a_full_disk_costs_the_checkpoint_and_not_the_run(
    room: int, field: WaveField, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Hours of work must not die of what should protect them; what cannot be used any more makes room."""
    places = iter(range(room))

    def write(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        if next(places, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write_arrays(path, arrays)

    monkeypatch.setattr(checkpoint, "write_arrays", write)
    found = _invert(field, tmp_path / "full", fit_prior=False)
    assert np.array_equal(found.log_draws, _invert(field, None, fit_prior=False).log_draws)
    assert not (tmp_path / "full").exists()
    printed = capsys.readouterr().err
    assert "No space left" in printed
    assert str(tmp_path) not in printed


def test_torn_files_are_never_read(tmp_path: Path) -> None:
    """Whatever a failing disk leaves of a file counts as nothing; whole files give every bit back."""
    arrays = {"a": np.random.default_rng(1).standard_normal((3, 4)), "b": np.array(0.1), "c": np.array("text")}
    path = tmp_path / "whole.npz"
    write_arrays(path, arrays)
    back = read_arrays(path)
    assert back is not None
    assert all(np.array_equal(back[name], values) for name, values in arrays.items())
    content = path.read_bytes()
    for length in range(0, len(content), 3):
        path.write_bytes(content[:length])
        assert read_arrays(path) is None
    for place in range(0, len(content), 3):
        path.write_bytes(content[:place] + bytes([content[place] ^ 8]) + content[place + 1 :])
        assert read_arrays(path) is None
