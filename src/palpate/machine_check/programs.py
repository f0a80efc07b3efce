"""Other programs, asked with patience that ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_OF_A_LAUNCHER = ("PMI_", "PMIX_", "HYDRA_", "HYDI_", "MPIR_")
"""Beginnings of variables that a launcher leaves for its own ranks."""


@dataclass(frozen=True, slots=True)
class ProgramAnswer:
    """Answer of a program.

    Attributes:
        code: its exit code; None where it is not there or did not answer in time.
        text: its output on stdout.
        errors: its output on stderr, or the reason for which there is no answer.
    """

    code: int | None
    text: str = ""
    errors: str = ""

    @property
    def complaint(self) -> str:
        """First line that says what went wrong."""
        lines = [line.strip() for line in (self.errors or self.text).splitlines() if line.strip()]
        return lines[0][:160] if lines else f"exit code {self.code}"


def ask(command: Sequence[str], *, patience_s: float = 20.0) -> ProgramAnswer:
    """Run a program outside of the MPI job that this process may belong to; those of the environment come first.

    Args:
        command: name of the program and its arguments.
        patience_s: time after which it is ended, seconds.
    """
    plain = {name: value for name, value in os.environ.items() if not name.startswith(_OF_A_LAUNCHER)}
    plain["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    if shutil.which(command[0], path=plain["PATH"]) is None:
        return ProgramAnswer(None, errors=f"no {command[0]}")
    try:
        done = subprocess.run(
            command,
            env=plain,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=patience_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ProgramAnswer(None, errors=f"no answer within {patience_s:g} s")
    except OSError as error:
        return ProgramAnswer(None, errors=str(error.strerror))
    return ProgramAnswer(done.returncode, done.stdout, done.stderr)
