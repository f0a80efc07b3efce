"""Fields that the addresses of the service share, and the form of its responses."""

from __future__ import annotations

import base64
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Path, Query, Request, Response

from palpate.service.serve.answers import ServedAnswer
from palpate.service.serve.desk import ServiceDesk
from palpate.service.serve.events import RequestFacts
from palpate.service.serve.guard import DIGEST_HEADER
from palpate.service.serve.kept import DIGEST
from palpate.service.serve.results import LABEL
from palpate.service.serve.tokens import AskingPerson

type Subject = Annotated[str, Path(pattern=LABEL, description="Label of the subject.", examples=["01"])]
type Session = Annotated[str, Path(pattern=LABEL, description="Label of the session.", examples=["01"])]
type Purpose = Annotated[
    Literal["care", "research", "trial", "training"],
    Query(description="Purpose of use, which consents and tokens may limit."),
]
type Digest = Annotated[str, Query(pattern=DIGEST, description="Digest of an uploaded region.")]

_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["where", "found", "expected", "advice"],
            "properties": {name: {"type": "string"} for name in ("where", "found", "expected", "advice")},
        }
    },
}
_STATUSES: Final = {
    400: "The question has no answer, or a file cannot be used.",
    401: "No token, or one that does not hold.",
    403: "The token or a missing consent does not allow it.",
    404: "There is no such thing.",
    405: "The address has no such method.",
    408: "The request arrived too slowly.",
    413: "The request is too large.",
    414: "The query is too long.",
    421: "The request is for another host.",
    422: "A field is missing or of another form.",
    429: "Too many requests.",
    503: "The service is busy, or cannot keep its trail.",
}
RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": words, "content": {"application/json": {"schema": _ERROR}}}
    for status, words in _STATUSES.items()
}
"""Refusals of every address, for the OpenAPI document."""


def _desk(request: Request) -> ServiceDesk:
    found: ServiceDesk = request.app.state.desk
    return found


def _person(request: Request) -> AskingPerson:
    found: AskingPerson = request.state.person
    return found


def _facts(request: Request) -> RequestFacts:
    found: RequestFacts = request.state.facts
    return found


type Desk = Annotated[ServiceDesk, Depends(_desk)]
type Asking = Annotated[AskingPerson, Depends(_person)]
type Facts = Annotated[RequestFacts, Depends(_facts)]


def response(answer: ServedAnswer, status: int = 200) -> Response:
    """Return an answer as it leaves, with its digest, by which an override calls it.

    Args:
        answer: the answer.
        status: status code of HTTP.
    """
    headers = {"Content-Disposition": f'attachment; filename="{answer.file}"'} if answer.file else {}
    digest = base64.b64encode(sha256(answer.content).digest()).decode("ascii")
    headers[DIGEST_HEADER.decode("ascii")] = f"sha-256=:{digest}:"
    return Response(answer.content, status, headers=headers, media_type=answer.media)
