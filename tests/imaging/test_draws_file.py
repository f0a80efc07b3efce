"""Files of joint draws: every form gives the same numbers, a region costs its own voxels, damage is told."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from palpate.errors import InputError
from palpate.imaging.files import draws as draws_module
from palpate.imaging.files.draws import DrawBlock, block_places, open_draws, write_draws
from palpate.imaging.files.moduli import MODULI
from palpate.imaging.files.stiffness_folder import read_samples
from palpate.imaging.files.stored_draws import MappedDraws

SHAPE, COUNT = (7, 6, 5), 24
VOXELS = np.argwhere(np.random.default_rng(0).random(SHAPE) < 0.7)
KPA = {
    modulus: np.random.default_rng(seed).lognormal(size=(len(VOXELS), COUNT)).astype(np.float32)
    for seed, modulus in enumerate(MODULI)
}
DENSITY = np.full(COUNT, 1000.0)


def as_now(path: Path) -> None:
    """Write as palpate invert does."""
    blocks = ((here, *(KPA[one][here].T.astype(float) for one in MODULI)) for here in block_places(len(VOXELS), COUNT))
    write_draws(path, blocks, VOXELS, DENSITY, np.eye(4))


def in_form(path: Path, *, voxel_major: bool, user_block: int = 0, kind: str = "<f4", **options: object) -> None:
    """Write in another form; without the attribute where draws come first, as older versions did."""
    with h5py.File(path, "w", userblock_size=user_block) as file:
        for modulus, values in KPA.items():
            file.create_dataset(f"{modulus}_kpa", data=(values if voxel_major else values.T).astype(kind), **options)
        file["voxels"] = VOXELS
        file["density_kg_m3"] = DENSITY
        if voxel_major:
            file.attrs["axes"] = "voxel, draw"


FORMS = {
    "now": (as_now, True),
    "older": (lambda path: in_form(path, voxel_major=False, compression="gzip", chunks=(8, 10)), False),
    "older, contiguous": (lambda path: in_form(path, voxel_major=False), True),
    "packed": (lambda path: in_form(path, voxel_major=True, compression="gzip", chunks=(9, 5)), False),
    "user block": (lambda path: in_form(path, voxel_major=True, user_block=1024), True),
    "64 bit": (lambda path: in_form(path, voxel_major=True, kind="<f8"), False),
    "other end first": (lambda path: in_form(path, voxel_major=False, kind=">f4"), False),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_numbers(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older files stay readable, and no order of axes is guessed from shapes: each way to read gives what went in."""
    monkeypatch.setattr(draws_module, "BLOCK_VALUES", 13 * COUNT)
    path = tmp_path / "samples.h5"
    write, mapped = FORMS[form]
    write(path)
    file = open_draws(path, SHAPE)
    assert (file.count, len(file.voxels)) == (COUNT, len(VOXELS))
    assert all(isinstance(one, MappedDraws) == mapped for one in file._stored.values())
    chosen = np.array([57, 3, 4, 90, 3, len(VOXELS) - 1])
    some = np.zeros(len(VOXELS), dtype=bool)
    some[chosen] = True
    blocks = list(file.blocks())
    assert [here.start for here, *_ in blocks[1:]] == [here.stop for here, *_ in blocks[:-1]]
    for at, (modulus, values) in enumerate(KPA.items()):
        assert np.array_equal(file.at(chosen)[at], values[chosen].T)
        assert np.array_equal(file.at(some)[at], values[some].T)
        assert np.array_equal(np.hstack([block[1 + at] for block in blocks]), values.T)
        assert np.array_equal(np.stack(list(file.log_draws(modulus))), np.log(values.T.astype(float)))
        assert np.array_equal(read_samples(path, SHAPE).moduli_kpa[modulus], values.T)


def test_axes_are_named_where_their_lengths_are_equal(tmp_path: Path) -> None:
    """With as many voxels as draws shapes tell nothing; the attribute alone does."""
    path, values = tmp_path / "samples.h5", np.arange(400.0).reshape(20, 20) + 1.0
    voxels = np.argwhere(np.ones((5, 4, 1)))
    write_draws(path, [(slice(0, 20), values.T, values.T)], voxels, np.ones(20), np.eye(4))
    assert np.array_equal(open_draws(path, (5, 4, 1)).at(np.array([2]))[0][:, 0], values[2])
    with h5py.File(path, "r+") as file:
        assert file.attrs["axes"] == "voxel, draw"
        del file.attrs["axes"]
    assert np.array_equal(open_draws(path, (5, 4, 1)).at(np.array([2]))[0][:, 0], values[:, 2])


def test_a_region_costs_its_own_voxels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two voxels of a file of 32 GB: nothing else can have been read, and HDF5 is not asked again."""
    path, voxels, count = tmp_path / "samples.h5", np.argwhere(np.ones((20, 20, 50))), 200_000
    form = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    form.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    form.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple((len(voxels), count))
        for modulus in MODULI:
            h5py.h5d.create(file.id, f"{modulus}_kpa".encode(), h5py.h5t.IEEE_F32LE, space, form)
        file["voxels"], file.attrs["axes"] = voxels, "voxel, draw"
    try:
        found = open_draws(path, (20, 20, 50))
        monkeypatch.setattr("h5py.File", None)
        assert path.stat().st_size > 3.2e10
        assert found.at(np.array([0, len(voxels) - 1]))[1].shape == (count, 2)
    finally:
        path.unlink()


def test_writing_holds_one_block(tmp_path: Path) -> None:
    """The file is made a block at a time, so that memory does not grow with the brain."""
    voxels, count = np.argwhere(np.ones((40, 50, 10))), 100
    block = draws_module.BLOCK_VALUES // 20

    def blocks() -> Iterator[DrawBlock]:
        width = block // count
        for first in range(0, len(voxels), width):
            values = np.full((count, width), float(first))
            yield slice(first, first + width), values, values

    tracemalloc.start()
    try:
        write_draws(tmp_path / "samples.h5", blocks(), voxels, np.ones(count), np.eye(4))
        assert tracemalloc.get_traced_memory()[1] < 4 * 8 * block
    finally:
        tracemalloc.stop()
    assert (tmp_path / "samples.h5").stat().st_size > 8 * len(voxels) * count


@pytest.mark.parametrize("form", ["now", "older"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.3, 0.6, 0.9, 0.999])
def test_truncated(form: str, kept: float, tmp_path: Path) -> None:
    """A mapping that reaches beyond the end of a file would kill the process at the first use."""
    path = tmp_path / "samples.h5"
    FORMS[form][0](path)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(InputError, match="no readable samples"):
        open_draws(path, SHAPE)


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_shortened_while_it_is_open(kept: float, tmp_path: Path) -> None:
    """A copy over an open file shortens it first; the next use is refused."""
    path = tmp_path / "samples.h5"
    as_now(path)
    file = open_draws(path, SHAPE)
    with path.open("r+b") as shortened:
        shortened.truncate(int(kept * path.stat().st_size))
    for use in (lambda: file.at(np.array([len(VOXELS) - 1])), lambda: list(file.blocks())):
        if kept < 0.9:
            with pytest.raises(InputError, match="truncated"):
                use()
    with pytest.raises(InputError, match=r"truncated|no readable samples"):
        list(open_draws(path, SHAPE).blocks())


def test_damaged_in_a_packed_part(tmp_path: Path) -> None:
    """HDF5 sees damage in a compressed part only as it unpacks it; that is refused as well, in every way to read."""
    path = tmp_path / "samples.h5"
    FORMS["older"][0](path)
    with h5py.File(path) as opened:
        chunk = opened["lossmodulus_kpa"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + 4 : chunk.byte_offset + chunk.size] = bytes(chunk.size - 4)
    path.write_bytes(content)
    file = open_draws(path, SHAPE)
    for use in (
        lambda: file.at(np.arange(3)),
        lambda: list(file.blocks()),
        lambda: list(file.log_draws("lossmodulus")),
        lambda: read_samples(path, SHAPE),
    ):
        with pytest.raises(InputError, match="no readable samples"):
            use()


def test_what_does_not_fit(tmp_path: Path) -> None:
    """Words, other axes, other shapes and voxels outside the grid are told with what was found."""

    def refused(change: object, said: str) -> None:
        path = tmp_path / "samples.h5"
        as_now(path)
        with h5py.File(path, "r+") as file:
            change(file)
        with pytest.raises(InputError, match=said):
            open_draws(path, SHAPE)

    def replaced(name: str, values: object) -> object:
        def change(file: h5py.File) -> None:
            del file[name]
            file[name] = values

        return change

    refused(lambda file: file.attrs.__setitem__("axes", "draw"), "axes = 'draw'")
    refused(lambda file: file.attrs.__setitem__("axes", np.arange(3)), "axes = ")
    refused(lambda file: file.attrs.__setitem__("axes", "draw, voxel"), "for 135 voxels")
    refused(lambda file: file.attrs.__delitem__("axes"), "for 135 voxels")
    refused(replaced("voxels", VOXELS[:-1]), "for 134 voxels")
    refused(replaced("voxels", VOXELS + 1), "grid of")
    refused(replaced("voxels", VOXELS - 1), "grid of")
    refused(replaced("voxels", "words"), "no readable samples")
    refused(replaced("storagemodulus_kpa", "words"), "draws of shapes")
    refused(replaced("storagemodulus_kpa", np.full((len(VOXELS), COUNT), b"x")), "draws of shapes")
    refused(replaced("lossmodulus_kpa", KPA["lossmodulus"][:, :1]), "draws of shapes")
    refused(lambda file: file.__delitem__("lossmodulus_kpa") or file.create_group("lossmodulus_kpa"), "no readable")
    refused(replaced("density_kg_m3", DENSITY[:-1]), "positive density")


@pytest.mark.long
def test_a_sphere_of_a_whole_brain_takes_milliseconds(tmp_path: Path) -> None:
    """A sphere of 20 mm in 190,000 voxels of 2 mm with 200 draws is read within 5 ms."""
    path, count, side = tmp_path / "samples.h5", 200, 58
    voxels = np.argwhere(np.ones((side, side, side)))[:190_000]
    values = np.random.default_rng(1).lognormal(size=(count, 1000))
    blocks = ((slice(first, first + 1000), values, values) for first in range(0, len(voxels), 1000))
    write_draws(path, blocks, voxels, np.ones(count), np.eye(4))
    inside = np.flatnonzero(np.linalg.norm(2.0 * (voxels - side // 2), axis=1) <= 10.0)
    file, seconds = open_draws(path, (side, side, side)), []
    for _ in range(21):
        start = time.perf_counter()
        storage_kpa, _ = file.at(inside)
        seconds.append(time.perf_counter() - start)
    assert storage_kpa.shape == (count, len(inside))
    assert float(np.median(seconds)) <= 5e-3
