"""The two ways a command can fail: the user's input (exit code 2) or our own bug (exit code 1)."""

from __future__ import annotations

from pathlib import Path


class InputError(Exception):
    """Error of input that is not usable; its message alone must let the user mend it.

    Args:
        where: the file, folder, column or option at fault. Give a path, never a patient's name.
        found: noun phrase for the thing found there.
        expected: noun phrase for the thing expected instead.
        advice: sentence that says how to mend it.
    """

    def __init__(self, where: Path | str, *, found: str, expected: str, advice: str) -> None:
        self.where = str(where)
        self.found = found
        self.expected = expected
        self.advice = advice
        super().__init__(f"{self.where}: found {found}; expected {expected}. {advice}")

    def __reduce__(self) -> tuple[object, ...]:
        """Return how to rebuild the error in another process, since pickle passes positional arguments."""
        return _again, (self.where, self.found, self.expected, self.advice)


def _again(where: str, found: str, expected: str, advice: str) -> InputError:
    return InputError(where, found=found, expected=expected, advice=advice)
