"""Parameters of a command as a user gave them, for the record of the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from typer.models import OptionInfo

from palpate.run_crate.command import GivenParameter

_APART: Final = frozenset({"out", "settings", "ranks"})
"""Parameters that the record holds elsewhere: the folder itself, the settings as they were read, the ranks."""
_WITHHELD: Final = frozenset({"key", "first_scan"})
"""Parameters without their values: a secret, and a day of a person's life."""


def given_parameters(hints: Mapping[str, Any], given: Mapping[str, object]) -> Iterator[GivenParameter]:
    """Yield the parameters that were given, in the order of the command's signature.

    Args:
        hints: annotations of the command's function.
        given: values by the names of the parameters.
    """
    for name, value in given.items():
        if name in _APART or value is None or value is False or value == []:
            continue
        option = _option(name, hints[name])
        values = list(value) if isinstance(value, list | tuple) else [value]
        label = name.replace("_", "-")
        if name in _WITHHELD:
            yield GivenParameter(label, option, withheld=True)
        elif "Path" in str(hints[name]):
            yield GivenParameter(label, option, paths=tuple(Path(str(one)) for one in values))
        else:
            texts = () if value is True else tuple(str(one) for one in values)
            yield GivenParameter(label, option, texts)


def _option(name: str, hint: Any) -> str:  # noqa: ANN401 - annotations have no common type
    """Return the option of a parameter, such as "--after-days"; empty for an argument."""
    note = next((one for one in getattr(hint, "__metadata__", ()) if isinstance(one, OptionInfo)), None)
    if note is None:
        return ""
    named = [one for one in note.param_decls or () if one.startswith("--")]
    return named[0].partition("/")[0] if named else f"--{name.replace('_', '-')}"
