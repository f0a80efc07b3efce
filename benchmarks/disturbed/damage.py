"""Damage to intermediate files of every kind, and what the steps that read them make of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from disturbed.compare import differences, results_of
from disturbed.study import DisturbedStudy, RuleStage
from disturbed.trial import EndedRun, finish, words_of

DAMAGES: Final = ("truncated", "emptied", "zeros", "changed")
"""Ways to damage a file."""
_DIGITS: Final = re.compile(rb"\d")
_ENDINGS: Final = (".nii.gz", ".h5", ".json", ".tsv", ".dcm", ".html", ".xdmf", ".vtu", ".png", ".npz")


@dataclass(frozen=True, slots=True)
class DamageOutcome:
    """Result of one damage.

    Attributes:
        ended: end of the re-run, "refused", "made anew", "warned" (other results, and a warning that names the
            file), "not read" (the results are right all the same), "harmless" (another text of the same meaning) or
            "silent" (other results and no word).
        sentence: last sentence of the re-run.
        named: whether the sentence names the file or the folder that it lies in.
        failures: sentences on what is wrong.
    """

    ended: str
    sentence: str
    named: bool
    failures: tuple[str, ...]


def kind_of(path: Path) -> str:
    """Return the kind of a file: its ending, or its name where that is hidden."""
    if path.name.startswith("."):
        return re.sub(r"^\..+(\.receipt\.json|\.resources\.json)$", r".*\1", path.name)
    return next((ending for ending in _ENDINGS if path.name.endswith(ending)), path.suffix)


def intermediates(results: Path, read: Sequence[str]) -> Iterator[Path]:
    """Yield files to damage, relative to the results: the largest of each kind.

    Of each kind there is one in every output that a later step reads, and one among all other outputs.

    Args:
        results: folder of finished results.
        read: outputs that a later step reads, relative to the study.
    """
    seen: dict[tuple[str, str], Path] = {}
    for path in sorted(one for one in results.rglob("*") if one.is_file() and not one.is_symlink()):
        name = path.relative_to(results)
        if name.parts[0] == "logs" or path.name.startswith(".snakemake") or path.name.endswith(".resources.json"):
            continue
        places = (Path("results") / name, *(Path("results") / name).parents)
        of = "" if path.name.startswith(".") else next((one for one in read if Path(one) in places), "")
        at = of, kind_of(path)
        if at not in seen or path.stat().st_size > (results / seen[at]).stat().st_size:
            seen[at] = name
    yield from seen.values()


def damage(path: Path, way: str, generator: Random) -> None:
    """Damage a file.

    Args:
        path: the file.
        way: "truncated", "emptied", "zeros" (a block of zeros in its middle) or "changed" (one byte; in text a digit).
        generator: generator that chooses the place.
    """
    content = bytearray(path.read_bytes())
    if way == "truncated":
        del content[len(content) // 2 :]
    elif way == "emptied":
        content.clear()
    elif way == "zeros":
        first = len(content) // 2
        content[first : first + 512] = bytes(len(content[first : first + 512]))
    else:
        digits = [one.start() for one in _DIGITS.finditer(content)] if _is_text(path) else []
        place = generator.choice(digits) if digits else generator.randrange(len(content) // 4, len(content))
        content[place] = ord("7") if digits and content[place] != ord("7") else (content[place] + 1) % 256
    path.write_bytes(content)


def after_damage(
    study: DisturbedStudy,
    name: Path,
    way: str,
    readers: Sequence[RuleStage],
    expected: dict[str, str],
    generator: Random,
) -> DamageOutcome:
    """Damage a file and run the workflow, or the commands that read it.

    Args:
        study: copy of the finished study, without the outputs of the readers where these are given; it is used up.
        name: the file, relative to the results.
        way: kind of damage.
        readers: steps whose commands are run; none for the whole workflow.
        expected: digests of the undisturbed results.
        generator: generator that chooses the place.
    """
    damage(study.results / name, way, generator)
    damaged = results_of(study.results).get(str(name))
    if readers:
        runs = [finish(study, words_of(study, stage, "command")) for stage in readers]
        run = next((one for one in runs if one.code), runs[-1])
    else:
        run = finish(study, study.snakemake("--keep-going"))
    found = results_of(study.results)
    healed = found.get(str(name)) == expected.get(str(name))
    other = [one for one in differences(found, expected) if one != str(name) or not readers]
    ended = "refused" if run.code else _ending(other, healed=healed, damaged=damaged == expected.get(str(name)))
    warned = any("warning: " in line and name.name in line for line in run.printed.splitlines())
    return _outcome(name, run, "warned" if ended == "silent" and warned else ended, other)


def _ending(other: Sequence[str], *, healed: bool, damaged: bool) -> str:
    if damaged:
        return "harmless"
    if other:
        return "silent"
    return "made anew" if healed else "not read"


def _outcome(name: Path, run: EndedRun, ended: str, other: Sequence[str]) -> DamageOutcome:
    said = "".join(run.sentences)
    named = name.name in said or name.parent.name in said
    failures = [f"{one} differs, with exit code 0" for one in other] if ended == "silent" else []
    if ended == "refused":
        failures += [] if named else [f"no sentence that names the file: {said or run.printed[-400:]}"]
        failures += ["a traceback"] if "Traceback" in run.printed else []
    return DamageOutcome(ended, "".join(run.sentences[-1:]), named, tuple(failures))


def _is_text(path: Path) -> bool:
    return path.name.endswith((".json", ".tsv", ".html", ".xdmf", ".palpate"))
