"""Addresses of overrides: to keep one, and to read those of a subject or of the study."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI, Query, Request, Response

from palpate.service.serve.answers import MEDIA, ServedAnswer, json_answer
from palpate.service.serve.fields import RESPONSES, Asking, Desk, Facts, Purpose, Subject, response
from palpate.service.serve.override import Override, form_of, schema
from palpate.service.serve.override_check import OVERRIDE, SHOWN
from palpate.service.serve.override_store import TEXTS, FoundOverrides

type ListFormat = Annotated[Literal["json", "csv"], Query(description="Format of the list.")]

_TABLE: Final[dict[int | str, dict[str, Any]]] = {
    **RESPONSES,
    200: {"description": "The overrides.", "content": {one: {} for one in ("application/json", "text/csv")}},
}


def add_overrides(app: FastAPI) -> None:
    """Add the addresses to an application.

    Args:
        app: the application.
    """
    body = {"content": {"application/json": {"schema": schema()}}}

    @app.post(
        "/api/v1/subjects/{subject}/overrides",
        status_code=201,
        responses=RESPONSES,
        openapi_extra={"requestBody": {"required": True, **body}},
        tags=["overrides"],
    )
    async def override(
        request: Request, subject: Subject, desk: Desk, asking: Asking, facts: Facts, purpose: Purpose = "care"
    ) -> Response:
        """Keep another choice that a clinician made than the one shown, with the reason."""
        desk.admit(asking, facts, subject, purpose)
        asking.demand("planner")
        desk.results.subject(subject)
        form = form_of(await request.body())
        if form.session:
            desk.results.session(subject, form.session)
            facts.session = form.session
        made = Override.now(form, study=desk.study, subject=subject, person=asking.name, purpose=purpose)
        kept = await desk.pool.run(lambda: desk.overrides.keep(made))
        facts.named += [f"{OVERRIDE}{kept.sha256}", f"{SHOWN}{form.shown}"]
        return response(json_answer({"override": kept.sha256, "recorded": made.recorded}), 201)

    @app.get("/api/v1/subjects/{subject}/overrides", responses=_TABLE, response_class=Response, tags=["overrides"])
    async def of_subject(
        subject: Subject,
        desk: Desk,
        asking: Asking,
        facts: Facts,
        format: ListFormat = "json",  # noqa: A002 - the field's name
        purpose: Purpose = "care",
    ) -> Response:
        """List the overrides about a subject."""
        desk.admit(asking, facts, subject, purpose)
        desk.results.subject(subject)
        return response(_listed(await desk.pool.run(lambda: desk.overrides.find(subject)), format))

    @app.get("/api/v1/overrides", responses=_TABLE, response_class=Response, tags=["overrides"])
    async def of_study(
        desk: Desk,
        asking: Asking,
        format: ListFormat = "json",  # noqa: A002 - the field's name
    ) -> Response:
        """List the overrides of the study, for whoever reads the trail."""
        asking.demand("auditor")
        return response(_listed(await desk.pool.run_large(desk.overrides.find), format))


def _listed(found: FoundOverrides, form: Literal["json", "csv"]) -> ServedAnswer:
    file = "overrides.csv" if form == "csv" else ""
    return ServedAnswer(TEXTS[form](found).encode(), MEDIA[form], file)
