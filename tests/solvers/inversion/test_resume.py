"""`palpate invert` killed in the middle: the same command goes on from there, to the same result."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.imaging.files.wavefield_folder import write_wave_field
from palpate.run_crate.names import CRATE, SIGNATURE
from palpate.solvers.inversion.posterior.joint import TOLERANCE
from tests.conftest import BIN, Outcome, run, user_environment
from tests.solvers.inversion.small_fields import CASES, wave_field
from tests.solvers.inversion.tetrahedra import BACKGROUND_PA, scanned, wave_through

LABEL = "sub-box"
SHAPE = (9, 7, 5)
MESH = {"zone_width_mm": 8.0, "zone_stride_mm": 4.0}
ZONES = 6
BRIEF = {"samples": 20, "hessian_rank": 20, "max_iterations": 3, "fit_prior": False}
KILLED_AT = 2 * ZONES + 4
"""The file of the fourth zone of the third evaluation."""

type Inside = Callable[..., Outcome]
type Resume = Callable[..., tuple[Path, dict[str, int], str]]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wave field, its mesh, and `whole`: what a run that nobody kills makes of them."""
    home = tmp_path_factory.mktemp("given")
    (home / "wavefield").mkdir()
    write_wave_field(
        home / "wavefield", scanned(wave_through(lambda x: BACKGROUND_PA + 0 * x[:, 0], SHAPE, 3e-3), 0.02, 1)
    )
    for arguments in (["mesh", "--settings", json.dumps(MESH), "--out", "mesh"], _arguments("whole")):
        done = run("palpate", arguments[0], "wavefield", *arguments[1:], cwd=home)
        assert done.returncode == 0, done.stderr
    return home


def _arguments(out: Path | str, **settings: object) -> list[object]:
    return ["invert", "--mesh", "mesh", "--settings", json.dumps(BRIEF | settings), "--out", out]


def _kill(given: Path, out: str, *launcher: object, count: int = KILLED_AT) -> None:
    """Start an inversion that is killed; its output must not be there, what it finished must."""
    command, *rest = _arguments(out)
    program = (*launcher, BIN / "python", Path(__file__).parent / "killed_invert.py", count)
    done = run(*program, command, "wavefield", *rest, cwd=given)
    assert done.returncode != 0
    assert not (given / out).exists()
    assert (given / f".unfinished-{out}").exists()


@pytest.fixture(scope="module")
def killed(given: Path) -> Path:
    """What a run left that was killed in its third evaluation, beside the output `killed` that it did not make."""
    _kill(given, "killed")
    return given / ".unfinished-killed"


@pytest.fixture
def resume(
    given: Path, killed: Path, palpate_inside: Inside, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Resume:
    """Run again in a copy of what the killed run left; gives the output, its counts and what was printed."""
    monkeypatch.chdir(given)

    def again(spoil: Callable[[Path], None] = lambda _: None, **settings: object) -> tuple[Path, dict[str, int], str]:
        name = request.node.name.replace("[", "-").strip("]")
        left = shutil.copytree(killed, given / f".unfinished-{name}")
        spoil(left)
        command, *rest = _arguments(name, **settings)
        ended = palpate_inside(command, "wavefield", *rest)
        assert ended.code == 0, ended.printed
        assert not left.exists()  # what is finished needs no checkpoint
        return given / name, _counts(given / name), ended.printed

    return again


def _counts(out: Path) -> dict[str, int]:
    counts: dict[str, int] = json.loads((out / f"{LABEL}_inversion.json").read_text())["counts"]
    return counts


def _results(out: Path) -> dict[str, bytes]:
    """Every file but the record of times and counts."""
    timed = ("_inversion.json", CRATE, SIGNATURE)
    return {path.name: path.read_bytes() for path in out.iterdir() if not path.name.endswith(timed)}


def test_resumed_run_gives_the_same_bits_for_less_work(given: Path, resume: Resume) -> None:
    """A run that resumes to something else would make results depend on power cuts; one that redoes all helps nobody.

    The fourth zone's file was being written when SIGKILL came: 3 zones of that evaluation were finished, and the last
    accepted evaluation gives all of its.
    """
    out, counts, _ = resume()
    assert _results(out) == _results(given / "whole")
    assert counts["factorisations"] == _counts(given / "whole")["factorisations"] - KILLED_AT + 1
    assert counts["zones taken over"] == ZONES + 3


def _files(left: Path, pattern: str) -> list[Path]:
    return sorted(left.rglob(pattern))


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [_truncate, _flip, Path.unlink], ids=["truncated", "flipped", "lost"])
def test_damaged_zone_is_computed_again(damage: Callable[[Path], None], given: Path, resume: Resume) -> None:
    """A disk that tore a file must cost one zone's work, not a wrong map."""
    out, counts, _ = resume(lambda left: damage(_files(left, "evaluation-2/zone-*.npz")[0]))
    assert _results(out) == _results(given / "whole")
    assert counts["zones taken over"] == ZONES + 2


def test_damaged_state_starts_afresh(given: Path, resume: Resume) -> None:
    """Without the state of the iterations the zones' files mean nothing."""
    out, counts, _ = resume(lambda left: _truncate(*_files(left, "state.npz")))
    assert _results(out) == _results(given / "whole")
    assert counts == _counts(given / "whole")


def test_changed_settings_do_not_resume(given: Path, resume: Resume) -> None:
    """Zones at another noise answer another question; mixing them in silence would be the worst of all results."""
    out, counts, printed = resume(noise_factor=2.0)
    assert "starting afresh" in printed
    assert "zones taken over" not in counts
    assert _results(out) != _results(given / "whole")


def test_another_number_of_ranks_goes_on(given: Path, palpate_inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a node failed there may be fewer; the answer is the same to the solver's tolerance in each step."""
    _kill(given, "ranks", "mpiexec", "-n", 2, count=ZONES + 2)
    monkeypatch.chdir(given)
    command, *rest = _arguments("ranks")
    assert palpate_inside(command, "wavefield", *rest).code == 0
    assert _counts(given / "ranks")["zones taken over"] >= ZONES + 1
    whole, ranks = (_log_storage(given / name) for name in ("whole", "ranks"))
    allowed = 2 * TOLERANCE * (int(str(BRIEF["max_iterations"])) + 1)
    assert np.abs(ranks - whole).max() <= allowed * whole.std(axis=0).max()


def test_second_run_on_an_output_is_refused_and_a_killed_rank_ends_the_job(given: Path) -> None:
    """Two runs that shared the kept zones removed each other's; a dead rank left the others waiting."""
    command, *rest = _arguments("shared")
    words = [str(word) for word in (BIN / "mpiexec", "-n", 2, BIN / "palpate", command, "wavefield", *rest)]
    first = subprocess.Popen(words, cwd=given, env=user_environment(), stderr=subprocess.PIPE, text=True)
    owner = given / ".owner-shared.json"
    until = time.monotonic() + 60.0
    while not owner.exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    held = json.loads(owner.read_text())
    os.kill(held["pid"], signal.SIGSTOP)
    second = run(*words, cwd=given)
    assert second.returncode == 2, second.stderr
    assert f"started on {held['host']} at {held['since']} (process {held['pid']})" in second.stderr
    assert first.poll() is None
    os.kill(held["pid"], signal.SIGKILL)
    _, told = first.communicate(timeout=10.0)
    assert "the system killed rank 0 of the step" in told
    third = run("palpate", command, "wavefield", *rest, cwd=given)
    assert third.returncode == 0, third.stderr
    assert not list(given.glob(".*-shared*"))


@pytest.mark.long
def test_an_exam_of_one_component_gives_the_same_bits(tmp_path: Path) -> None:
    """It keeps no zones, for it takes minutes: killed and run again it starts afresh, and nothing is in its way."""
    (tmp_path / "wavefield").mkdir()
    write_wave_field(tmp_path / "wavefield", wave_field(CASES["one component"]))
    command, *rest = ["invert", "wavefield", "--settings", json.dumps(BRIEF), "--out"]
    assert run("palpate", command, *rest, "whole", cwd=tmp_path).returncode == 0
    program = (BIN / "python", Path(__file__).parent / "killed_invert.py", "solves=1")
    killed = run(*program, command, *rest, "again", cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "again").exists()
    resumed = run("palpate", command, *rest, "again", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert _results(tmp_path / "again") == _results(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "wavefield", "whole"]


def _log_storage(out: Path) -> NDArray[np.float64]:
    with h5py.File(out / f"{LABEL}_samples.h5") as file:
        return np.log(np.asarray(file["storagemodulus_kpa"], dtype=np.float64))
