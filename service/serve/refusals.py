"""Refusals of a request: what was found, what is expected and what to do, without any path of the server."""

from __future__ import annotations

import re
from typing import Any, Final

from palpate.errors import InputError

_PATHS: Final = re.compile(r"(?:/[^\s/,;:'\"()]+){2,}/?")
_OPTIONS: Final = re.compile(r"--([a-z][a-z-]*)")
_LONGEST: Final = 400


class RequestRefusal(Exception):
    """Refusal of a request.

    Args:
        status: status code of HTTP, 400 to 599.
        where: part of the request at fault.
        found: noun phrase for the thing found there.
        expected: noun phrase for the thing expected instead.
        advice: sentence that says how to mend it.
        headers: further headers of the response.
    """

    def __init__(
        self, status: int, where: str, *, found: str, expected: str, advice: str, headers: dict[str, str] | None = None
    ) -> None:
        self.status = status
        self.headers = headers or {}
        self.body = error_body(where, found, expected, advice)
        super().__init__(f"{where}: found {found}; expected {expected}. {advice}")


def error_body(where: str, found: str, expected: str, advice: str) -> dict[str, Any]:
    """Return the JSON object of an error.

    Args:
        where: part of the request at fault.
        found: noun phrase for the thing found there.
        expected: noun phrase for the thing expected instead.
        advice: sentence that says how to mend it.
    """
    told = {"where": where, "found": found, "expected": expected, "advice": advice}
    return {"error": {name: _plain(text) for name, text in told.items()}}


def refusal_of(error: InputError) -> RequestRefusal:
    """Return the refusal of a request whose question has no answer; files are called by their role.

    Args:
        error: error of the function that was asked.
    """
    where = "the region or the session's files" if "/" in error.where else error.where
    return RequestRefusal(400, where, found=error.found, expected=error.expected, advice=error.advice)


def not_found(what: str) -> RequestRefusal:
    """Return the refusal of a thing that is not there, or not there for this person.

    Args:
        what: noun phrase for it.
    """
    return RequestRefusal(
        404, "the address", found=f"no {what}", expected=f"a {what} that the lists name", advice="Look at the lists."
    )


def busy(found: str) -> RequestRefusal:
    """Return the refusal of a request that this worker has no room for now.

    Args:
        found: noun phrase for the reason.
    """
    return RequestRefusal(
        503,
        "the service",
        found=found,
        expected="fewer questions at a time",
        advice="Ask again in a moment.",
        headers={"Retry-After": "1"},
    )


def _plain(text: str) -> str:
    """Return a sentence without paths, and with the names of options as the fields of a request have them."""
    short = _PATHS.sub("a file", text)[:_LONGEST]
    return _OPTIONS.sub(lambda found: found[1].replace("-", "_"), "".join(one for one in short if one.isprintable()))
