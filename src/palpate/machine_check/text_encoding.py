"""Encoding of names of files and of printed text."""

from __future__ import annotations

import codecs
import os
import sys
from dataclasses import dataclass

from palpate.machine_check.check_line import CheckLine, Verdict


@dataclass(frozen=True, slots=True)
class EncodingFacts:
    """Encodings of a process.

    Attributes:
        file_names: encoding of names of files.
        output: encoding of stdout.
        variable: setting that they follow from, such as LC_ALL=de_DE; empty where nothing is set.
    """

    file_names: str
    output: str
    variable: str = ""


def encoding_facts() -> EncodingFacts:
    """Return the encodings of this process, which those of a step are as well."""
    names = ("PYTHONIOENCODING", "LC_ALL", "LC_CTYPE", "LANG")
    variable = next((f"{name}={os.environ[name]}" for name in names if os.environ.get(name)), "")
    output = getattr(sys.stdout, "encoding", None) or "utf-8"
    return EncodingFacts(sys.getfilesystemencoding(), output, variable)


def encoding_line(facts: EncodingFacts) -> CheckLine:
    """Judge the encodings: UTF-8 for both, or names and signs such as G' are lost or end a step."""
    wrong = [one for one in (facts.file_names, facts.output) if codecs.lookup(one).name != "utf-8"]
    by = f" ({facts.variable})" if facts.variable else ""
    if not wrong:
        return CheckLine("locale", f"UTF-8{by}")
    advice = "Set LC_ALL=C.UTF-8, or PYTHONUTF8=1, in the job."
    return CheckLine("locale", f"{wrong[0]}{by}", Verdict.MISSING, advice)
