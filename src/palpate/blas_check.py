"""Check that refuses a NumPy whose BLAS crashes or multiplies wrongly on this processor, before hours of work.

OpenBLAS chooses its kernels and their block sizes when it meets the processor, so that one wheel is right on a machine
and crashes on the next (docs/decisions/0075). Only a test multiplication shows it. The test takes about a second in a
process of its own, once for each NumPy and kind of processor: a good verdict is kept in the user's cache.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from palpate.errors import InputError

PROBE: Final = Path(__file__).with_name("blas_probe.py")
"""Script that multiplies matrices in a process of its own, so that a crash is survived."""
WRONG: Final = 3
"""Exit code of the probe for a wrong product."""

PATIENCE_S: Final = 60.0
"""Longest time for the probe, seconds; it needs one, more where many processes share the cores. Without a verdict until
then the command goes on."""

_CRASHES: Final = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT})
"""Signals that end a faulty program; other signals are sent by users or systems."""

_CPU_FIELDS: Final = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags")
_CPUINFO: Final = Path("/proc/cpuinfo")
_CACHE_SIZES: Final = "/sys/devices/system/cpu/cpu0/cache"


def check_blas(program: Sequence[str] | None = None, verdicts: Path | None = None) -> None:
    """Test matrix products in a process of its own, unless this NumPy has passed on such a processor before.

    Args:
        program: command of the probe; palpate's own by default.
        verdicts: folder of good verdicts; the user's cache by default.

    Raises:
        InputError: the probe crashed or found a wrong product.
    """
    program = program or (sys.executable, "-P", str(PROBE))
    passed = (verdicts or _user_cache()) / _key(program)
    if os.path.exists(passed):  # noqa: PTH110 - pathlib raises where the home is somebody else's
        return
    fault, blas = _fault_of(program)
    if fault:
        raise InputError(
            f"NumPy {_numpy_version()} with {blas or 'an unknown BLAS'}",
            found=f"that multiplying matrices {fault} on this processor ({_cpu().get('model name', 'unknown')})",
            expected="a NumPy that can multiply matrices",
            advice="Install the environment that palpate pins ('make setup'), or NumPy 2.5.0.",
        )
    if fault is None:  # it was ended from outside, or the machine is too busy, which says nothing of BLAS
        return
    try:
        passed.parent.mkdir(parents=True, exist_ok=True)
        passed.touch()
    except OSError:
        pass  # costs a second at the next start, not the work


def _fault_of(program: Sequence[str]) -> tuple[str | None, str]:
    """Run the probe; return what is wrong, "" for nothing and None for no verdict, and the name of the BLAS."""
    try:
        done = subprocess.run(program, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except (subprocess.TimeoutExpired, OSError):  # where nothing can be started, the step itself says why
        return None, ""
    blas = done.stdout.strip()
    if done.returncode == 0:
        return "", blas
    if done.returncode == WRONG:
        return "gives wrong products", blas
    if -done.returncode in _CRASHES:
        return f"crashes ({signal.Signals(-done.returncode).name})", blas
    return None, blas


def _key(program: Sequence[str]) -> str:
    """Return the digest of all that decides the verdict: probe, NumPy, processor and what steers its kernels."""
    steering = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith("OPENBLAS_"))
    sizes = [path.read_text() for path in sorted(Path(_CACHE_SIZES).glob("index*/size"))]
    parts = [*program, PROBE.read_text(encoding="utf-8"), _numpy_files(), *_cpu().values(), *sizes, *steering]
    return sha256("\0".join(parts).encode()).hexdigest()[:32]


def _numpy_version() -> str:
    try:
        return distribution("numpy").version
    except PackageNotFoundError:
        return "of unknown version"


def _numpy_files() -> str:
    """Return NumPy's list of files with their digests, which differs between builds."""
    try:
        return distribution("numpy").read_text("RECORD") or _numpy_version()
    except PackageNotFoundError:
        return ""


def _cpu() -> dict[str, str]:
    """Return what the kernel says of the first processor; empty where it says nothing."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0].splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    found = {name.strip(): value.strip() for name, _, value in pairs}
    return {name: found[name] for name in _CPU_FIELDS if name in found}


def _user_cache() -> Path:
    """Return the folder of good verdicts: palpate/blas in $XDG_CACHE_HOME, or in ~/.cache where that is not set."""
    stated = Path(os.environ.get("XDG_CACHE_HOME", ""))
    home = stated if stated.is_absolute() else Path(os.path.expanduser("~")) / ".cache"  # noqa: PTH111 - never raises
    return home / "palpate" / "blas"


def main() -> int:
    """Check, print one sentence where it fails, return the exit code; the set-up runs this."""
    try:
        check_blas()
    except InputError as error:
        sys.stderr.write(f"palpate: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
