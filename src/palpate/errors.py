"""The two ways a command can fail: the user's input (exit code 2) or our own bug (exit code 1)."""

from __future__ import annotations

from pathlib import Path


class InputError(Exception):
    """Something a user gave is not usable; the message alone must let them mend it.

    Args:
        where: the file, folder, column or option at fault. Give a path, never a patient's name.
        found: what was found there.
        expected: what was expected instead.
        advice: what to do about it.
    """

    def __init__(self, where: Path | str, *, found: str, expected: str, advice: str) -> None:
        self.where = str(where)
        self.found = found
        self.expected = expected
        self.advice = advice
        super().__init__(f"{self.where}: found {found}; expected {expected}. {advice}")

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the way from a worker process, which knows positional arguments only."""
        return _again, (self.where, self.found, self.expected, self.advice)


def _again(where: str, found: str, expected: str, advice: str) -> InputError:
    return InputError(where, found=found, expected=expected, advice=advice)
