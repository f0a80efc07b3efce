"""Program for test_resume: `palpate invert ...` that is killed while it writes a zone's file.

Usage: python killed_invert.py COUNT invert WAVEFIELD --out OUT ...

SIGKILL arrives at the moment at which the rank would give its COUNT-th zone's file its name.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from palpate.cli import main

left = int(sys.argv.pop(1))
replace = os.replace


def _replace_or_die(partial: Path, path: Path) -> None:
    global left  # noqa: PLW0603
    left -= Path(path).name.startswith("zone-")
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(partial, path)


os.replace = _replace_or_die  # type: ignore[assignment]
main()
