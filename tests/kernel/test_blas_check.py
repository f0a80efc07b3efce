"""A BLAS that crashes or errs on this processor is refused with a sentence, and a sound one costs a second once."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from palpate import blas_check, blas_probe
from palpate.blas_check import check_blas
from palpate.errors import InputError
from tests.conftest import Outcome

FAULTS = {
    "crashes (SIGSEGV)": "os.kill(os.getpid(), signal.SIGSEGV)",
    "crashes (SIGILL)": "os.kill(os.getpid(), signal.SIGILL)",
    "gives wrong products": f"sys.exit({blas_probe.WRONG})",
}
SOUND, ENDED = "sys.exit(0)", "os.kill(os.getpid(), signal.SIGTERM)"


def _ending(how: str, ran: Path) -> Sequence[str]:
    """A probe that names its BLAS, notes that it ran, and ends in this way."""
    lines = (
        "import os, signal, sys",
        f"open({str(ran)!r}, 'a').write('x')",
        "print('some-blas 0.3.34', flush=True)",
        how,
    )
    return (sys.executable, "-c", "\n".join(lines))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_blas_is_refused_every_time(fault: str, tmp_path: Path) -> None:
    """It would end the process hours later without a word, or spoil numbers. The sentence names NumPy and the fault.

    A bad verdict is not kept: whoever installs another NumPy, or another library under it, must not be refused for it.
    """
    program = _ending(FAULTS[fault], tmp_path / "ran")
    for runs in (1, 2):
        with pytest.raises(InputError) as refused:
            check_blas(program, tmp_path / "verdicts")
        for part in (f"NumPy {np.__version__} with some-blas 0.3.34", fault, "NumPy 2.5.0"):
            assert part in str(refused.value)
        assert len((tmp_path / "ran").read_text()) == runs


def test_a_sound_blas_is_asked_once(tmp_path: Path) -> None:
    """A second at every start of every command of a workflow would be minutes; another NumPy is asked anew."""
    program = _ending(SOUND, tmp_path / "ran")
    for _ in range(2):
        check_blas(program, tmp_path / "verdicts")
    assert len((tmp_path / "ran").read_text()) == 1


@pytest.mark.parametrize("changed", ["kernels", "NumPy"])
def test_a_verdict_holds_for_one_numpy_and_its_kernels(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sound with one kernel says nothing of the next."""
    program = _ending(SOUND, tmp_path / "ran")
    check_blas(program, tmp_path / "verdicts")
    if changed == "kernels":
        monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    else:
        monkeypatch.setattr(blas_check, "_numpy_files", lambda: "of another build")
    check_blas(program, tmp_path / "verdicts")
    assert len((tmp_path / "ran").read_text()) == 2


def test_who_is_ended_from_outside_is_no_fault_of_blas(tmp_path: Path) -> None:
    """Ctrl-C and a scheduler's SIGTERM reach the probe too; neither a refusal nor a verdict may come of it."""
    program = _ending(ENDED, tmp_path / "ran")
    for runs in (1, 2):
        check_blas(program, tmp_path / "verdicts")
        assert len((tmp_path / "ran").read_text()) == runs


def test_a_cache_that_cannot_be_written_costs_a_second_only(tmp_path: Path) -> None:
    """Home folders of clusters' nodes may be read-only."""
    (tmp_path / "file").touch()
    check_blas(_ending(SOUND, tmp_path / "ran"), tmp_path / "file" / "verdicts")


def test_the_pinned_blas_passes(tmp_path: Path) -> None:
    """The probe's own shapes, on whatever processor the tests run: no false alarm."""
    check_blas(verdicts=tmp_path)
    assert blas_check.WRONG == blas_probe.WRONG


class _OffByOne(np.ndarray):  # type: ignore[type-arg]
    """An array whose products have one wrong entry."""

    def __matmul__(self, other: object) -> np.ndarray:  # type: ignore[type-arg]
        product = np.asarray(self) @ np.asarray(other)
        product[-1, -1] += 1.0
        return product


def test_one_wrong_entry_is_found() -> None:
    """A stack that is overrun may spoil a number instead of the process."""
    left, right = np.ones((5, 3)), np.ones((5, 4))
    assert blas_probe.product_is_right(left, right, np.ones(4))
    assert not blas_probe.product_is_right(left.view(_OffByOne), right, np.ones(4))


def test_commands_ask_and_help_does_not(
    tmp_path: Path, palpate_inside: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal comes before any work, with exit code 2; reading a help page needs no BLAS."""
    probe = tmp_path / "probe.py"
    probe.write_text("import os\nos.abort()\n")
    monkeypatch.setattr(blas_check, "PROBE", probe)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    refused = palpate_inside("mesh", tmp_path / "nothing", "--out", tmp_path / "mesh")
    assert refused.code == 2
    assert "multiplying matrices crashes (SIGABRT)" in refused.printed
    assert "Traceback" not in refused.printed
    for words in (("--help",), ("mesh", "--help"), ("--version",)):
        assert palpate_inside(*words).code == 0


def test_a_home_of_somebody_else_refuses_no_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service account has root's HOME in its environment; nor does a probe that cannot start say anything of BLAS."""

    def refuses(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "exists", refuses)
    monkeypatch.setattr(Path, "mkdir", refuses)
    check_blas(_ending(SOUND, tmp_path / "ran"), tmp_path / "verdicts")
    assert (tmp_path / "ran").read_text() == "x"
    check_blas((str(tmp_path / "no-python"),), tmp_path / "verdicts")
