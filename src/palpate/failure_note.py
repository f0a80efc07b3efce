"""Note of the first failure of a command that runs on several ranks, for the shell that started the launcher.

A launcher ends the other ranks when one fails, and reports their end instead: `srun` exits with 137 where a rank left
with 2, and may lose what it said. The rank that fails therefore leaves its exit code and its sentence in a file. The
workflow's rule names the file in a variable, and its shell repeats what is there:

    rm -f NOTE; PALPATE_FAILURE=NOTE srun palpate invert ... || python -m palpate.failure_note NOTE LOG $?
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

VARIABLE: Final = "PALPATE_FAILURE"
"""Environment variable with the file for the note; without it none is left."""

_KILLED: Final = (9, 137)
"""Exit codes of launchers where a rank was killed."""


def leave_note(code: int, sentence: str) -> None:
    """Leave exit code and sentence of a failure, unless another rank was first: its failure is the cause of this one.

    Args:
        code: exit code of the command.
        sentence: last message to the user.
    """
    told = os.environ.get(VARIABLE)
    if not told:
        return
    note = Path(told)
    partial = note.with_name(f"{note.name}.{os.uname().nodename}.{os.getpid()}")
    with suppress(OSError):
        try:
            partial.write_text(json.dumps({"code": code, "sentence": sentence}), encoding="utf-8")
            try:
                os.link(partial, note)  # with its content; whoever comes second fails to
            except FileExistsError:
                pass
            except OSError:  # a file system without links
                os.replace(partial, note)
        finally:
            partial.unlink(missing_ok=True)


def repeat(note: Path, log: Path, status: int) -> int:
    """Say what a failed command said last, unless its log has it already, and return its exit code.

    Args:
        note: file of the note; it is removed.
        log: log of the command; a sentence that was lost on the way is added.
        status: exit code of the launcher.
    """
    code, sentence = status, ""
    with suppress(OSError, ValueError, LookupError, TypeError):
        told = json.loads(note.read_text(encoding="utf-8"))
        code, sentence = int(told["code"]) or status, str(told["sentence"])
    if not sentence and status in _KILLED:
        sentence = (
            "palpate: a rank was killed from outside, as it happens when memory runs out or a job is cancelled; "
            "run the same command to go on from what was finished."
        )
    with suppress(OSError):
        note.unlink(missing_ok=True)
    if sentence and sentence not in _text_of(log):
        sys.stderr.write(sentence + "\n")
        with suppress(OSError), log.open("a", encoding="utf-8") as stream:
            stream.write(sentence + "\n")
    return code


def _text_of(log: Path) -> str:
    try:
        return log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


if __name__ == "__main__":
    sys.exit(repeat(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
