"""A calibration comes back from its file to the last bit, or says why not."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from palpate.errors import InputError
from palpate.twin.calibration.calibrate import calibrate
from palpate.twin.calibration_file import load_calibration, save_calibration
from tests.twin.small import SETTINGS, history


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, Path]:
    """A calibration and its file."""
    path = tmp_path_factory.mktemp("saved") / "calibration.h5"
    found = calibrate(history(), SETTINGS.model_copy(update={"max_iterations": 1, "draws": 20}))
    save_calibration(found, path)
    return found, path


def same(one: Any, other: Any) -> bool:  # noqa: ANN401 (whatever a calibration holds)
    """Equal to the last bit, through dataclasses and tuples."""
    if dataclasses.is_dataclass(one):
        names = [field.name for field in dataclasses.fields(one)]
        return type(one) is type(other) and all(same(getattr(one, name), getattr(other, name)) for name in names)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return bool(one == other)


def test_calibration_comes_back_to_the_last_bit(saved: tuple[object, Path]) -> None:
    """A forecast of a stored twin must be the forecast of the twin, its history with it in double precision."""
    assert same(saved[0], load_calibration(saved[1]))


def test_equal_doses_are_kept_once(saved: tuple[object, Path]) -> None:
    """Sixty fractions of one plan would else be most of the file; on the lattice each is an array of its own."""
    with h5py.File(saved[1]) as file:
        assert list(file["history/irradiations/dose"]) == [0, 0]
        assert len(file["history/irradiations/doses"]) == 1


@pytest.mark.parametrize("group", ["/", "history"])
def test_another_version_says_so(saved: tuple[object, Path], tmp_path: Path, group: str) -> None:
    """Files outlive versions; the sentence must name both, of the calibration and of the history inside."""
    path = tmp_path / "calibration.h5"
    path.write_bytes(saved[1].read_bytes())
    with h5py.File(path, "a") as file:
        file[group].attrs["format"] = str(file[group].attrs["format"])[:-1] + "0"
    with pytest.raises(InputError, match=r"the format 'palpate .* 0'; expected .*Make it again with palpate calibrate"):
        load_calibration(path)


def test_half_a_file_is_refused(saved: tuple[object, Path], tmp_path: Path) -> None:
    """A copy that broke off must not become a forecast."""
    path = tmp_path / "calibration.h5"
    path.write_bytes(saved[1].read_bytes()[:5000])
    with pytest.raises(InputError, match="no readable calibration"):
        load_calibration(path)
