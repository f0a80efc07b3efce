"""User's cache of forms, to which steps write what was not compiled ahead."""

from __future__ import annotations

from palpate.form_folders import user_folder
from palpate.machine_check.check_line import CheckLine, Verdict
from palpate.machine_check.folders import GB, FolderFacts, folder_facts
from palpate.machine_check.launchers import ProfileName

_LEAST_GB = 0.01
"""Room for all forms, GB; they take 3 MB."""


def cache_facts() -> FolderFacts | None:
    """Try the user's cache of forms; None where there is no home."""
    try:
        return folder_facts(user_folder())
    except RuntimeError:
        return None


def cache_line(facts: FolderFacts | None, profile: ProfileName, *, complete: bool) -> CheckLine:
    """Judge the user's cache, which nobody needs where all forms were compiled ahead.

    Args:
        facts: the cache; None where there is no home.
        profile: kind of the machine.
        complete: whether all forms are compiled.
    """
    fault = "no home folder" if facts is None else facts.writing
    if facts is not None and not fault and facts.room < _LEAST_GB * GB:
        fault = "no room"
    found = f"a cache of forms that cannot be written ({fault})" if fault else "a cache of forms that can be written"
    if complete:
        return CheckLine("form cache", f"{found}; all forms are compiled")
    if fault:
        advice = "Compile ahead (palpate check --compile), or set XDG_CACHE_HOME; each rank would compile its own."
        return CheckLine("form cache", found, Verdict.NOTE, advice)
    if profile == "slurm" and facts is not None and not facts.is_shared:
        found += f", on a disk of this machine alone ({facts.kind})"
        return CheckLine("form cache", found, Verdict.NOTE, "Compile ahead, so that no node compiles on its own.")
    return CheckLine("form cache", found)
