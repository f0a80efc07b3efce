"""Weak forms: compiled ahead, or a compiler that does it at their first use."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from palpate.errors import InputError
from palpate.form_folders import VARIABLE, environment_folder, stated_folder
from palpate.machine_check.check_line import CheckLine, Verdict
from palpate.machine_check.programs import ask

_PATIENCE_S: Final = 900.0
_MODULE: Final = "palpate.solvers.compile_ahead"
_AHEAD: Final = (
    "Compile ahead on a machine with gcc, into a folder that this machine reads too: palpate check --compile --forms "
    f"FOLDER. Name that folder in {VARIABLE}, or in forms of config.yaml."
)


@dataclass(frozen=True, slots=True)
class FormFacts:
    """Forms and compiler of a machine.

    Attributes:
        missing: uses of forms that are in none of the folders.
        compiler: fault of the C compiler, a noun phrase; empty where it works.
        failure: reason for which nothing is known of the forms; empty where they are known.
        stated: folder that is stated for forms compiled ahead; None where none is.
        stated_is_there: whether that folder exists.
    """

    missing: tuple[str, ...]
    compiler: str = ""
    failure: str = ""
    stated: Path | None = None
    stated_is_there: bool = False


def form_facts() -> FormFacts:
    """Look for all forms in all folders, and try the compiler, in a process of its own."""
    stated = stated_folder()
    there = stated is not None and stated.is_dir()
    answer = ask([sys.executable, "-m", _MODULE], patience_s=_PATIENCE_S)
    if answer.code != 0:
        return FormFacts((), failure=answer.complaint, stated=stated, stated_is_there=there)
    told = json.loads(answer.text.splitlines()[-1])
    return FormFacts(tuple(told["missing"]), told["compiler"], stated=stated, stated_is_there=there)


def form_line(facts: FormFacts) -> CheckLine:
    """Judge the forms: all compiled, or a compiler that works."""
    if facts.failure:
        return CheckLine(
            "forms",
            f"that the finite elements do not load ({facts.failure})",
            Verdict.MISSING,
            "Install the environment again (make setup), on a system that its wheels support (envs/README.md).",
        )
    if not facts.missing:
        return CheckLine("forms", "all forms compiled")
    lacking = f"no compiled forms of {', '.join(facts.missing)}"
    if facts.stated is not None and not facts.stated_is_there:
        lacking += f", and no folder {facts.stated} ({VARIABLE})"
    if facts.compiler:
        return CheckLine("forms", f"{lacking}, and {facts.compiler}", Verdict.MISSING, _AHEAD)
    found = f"{lacking}, but a C compiler, which makes them at their first use"
    advice = "Where other nodes have no compiler, compile ahead here: palpate check --compile."
    return CheckLine("forms", found, Verdict.NOTE, advice)


def compile_ahead() -> tuple[Path, int]:
    """Compile all forms into the stated folder, else the environment's; return it and the number of forms it lacked.

    Raises:
        InputError: there is no compiler that works, or the folder cannot be written.
    """
    folder = stated_folder() or environment_folder()
    answer = ask([sys.executable, "-m", _MODULE, str(folder)], patience_s=_PATIENCE_S)
    if answer.code == 0:
        return folder, int(json.loads(answer.text.splitlines()[-1])["compiled"])
    raise InputError(
        folder,
        found=f"that forms could not be compiled ({answer.errors.strip().removeprefix('palpate: ')[:600]})",
        expected="compiled forms",
        advice=f"Run this on a machine with gcc, and name a folder that can be written (--forms or {VARIABLE}).",
    )
