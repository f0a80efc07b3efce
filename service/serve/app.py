"""Application of the service: addresses, what they take, and the functions that answer them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final, Literal

from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Route

import palpate
from palpate.errors import InputError
from palpate.imaging.region_values.quantities import USUAL
from palpate.imaging.region_values.worlds import Space
from palpate.machine_failures import machine_fault
from palpate.service.query.ask import Query as RegionQuery
from palpate.service.query.options import QueryOptions
from palpate.service.query.region_spec import RegionSpec, SphereSpec
from palpate.service.query.session import OpenSession
from palpate.service.serve.answers import (
    AnswerFormat,
    NamedOrgan,
    ServedAnswer,
    TableFormat,
    change_answer,
    forecasts_answer,
    json_answer,
    labels_answer,
    region_answer,
    slice_answer,
)
from palpate.service.serve.consent import PURPOSES
from palpate.service.serve.desk import ServiceDesk
from palpate.service.serve.events import RequestFacts
from palpate.service.serve.fields import RESPONSES, Asking, Desk, Digest, Facts, Purpose, Session, Subject, response
from palpate.service.serve.kept import DIGEST
from palpate.service.serve.override_routes import add_overrides
from palpate.service.serve.page import POLICY, page_text
from palpate.service.serve.refusals import RequestRefusal, error_body, refusal_of
from palpate.service.serve.results import LABEL, MAP_NAME
from palpate.service.serve.tokens import AskingPerson

_EXPECTED: Final = {
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "int_parsing": "a whole number",
    "string_pattern_mismatch": "letters and digits as /openapi.json describes them",
    "string_too_long": "a shorter text",
    "missing": "a value",
}
"""Words for what a field expects, by the fault that pydantic found."""


def make_app(desk: ServiceDesk) -> FastAPI:
    """Return the application without its guard.

    Args:
        desk: results, uploads, consents and threads.
    """

    @asynccontextmanager
    async def alive(app: FastAPI) -> AsyncIterator[None]:
        app.state.desk = desk
        yield
        desk.close()

    app = FastAPI(
        title="palpate", version=palpate.__version__, docs_url=None, redoc_url=None, lifespan=alive, openapi_url=None
    )
    app.state.desk = desk
    _lists(app)
    _questions(app)
    _uploads(app)
    add_overrides(app)
    _doors(app)
    _refusals(app)
    return app


def _lists(app: FastAPI) -> None:
    @app.get("/api/v1/subjects", responses=RESPONSES, tags=["lists"])
    async def subjects(desk: Desk, asking: Asking) -> Response:
        """List the subjects."""
        asking.demand("reader", "planner")
        return response(json_answer({"subjects": await desk.pool.run(desk.results.subjects)}))

    @app.get("/api/v1/subjects/{subject}/sessions", responses=RESPONSES, tags=["lists"])
    async def sessions(
        subject: Subject, desk: Desk, asking: Asking, facts: Facts, purpose: Purpose = "care"
    ) -> Response:
        """List the finished sessions of a subject."""
        desk.admit(asking, facts, subject, purpose)
        desk.results.subject(subject)
        return response(json_answer({"subject": subject, "sessions": desk.results.sessions(subject)}))

    @app.get("/api/v1/subjects/{subject}/sessions/{session}/maps", responses=RESPONSES, tags=["lists"])
    async def maps(
        subject: Subject, session: Session, desk: Desk, asking: Asking, facts: Facts, purpose: Purpose = "care"
    ) -> Response:
        """List the maps of a session."""
        desk.admit(asking, facts, subject, purpose, session)
        found = desk.results.maps(subject, session)
        told = [{"name": one.name, "bytes": one.stat().st_size} for one in found]
        return response(json_answer({"subject": subject, "session": session, "maps": told}))

    @app.get(
        "/api/v1/subjects/{subject}/sessions/{session}/maps/{name}",
        responses={**RESPONSES, 200: {"content": {"application/gzip": {}}, "description": "The map, NIfTI."}},
        response_class=FileResponse,
        tags=["lists"],
    )
    async def one_map(
        subject: Subject,
        session: Session,
        name: Annotated[str, Path(pattern=MAP_NAME, description="Name of a map.")],
        desk: Desk,
        asking: Asking,
        facts: Facts,
        purpose: Purpose = "care",
    ) -> Response:
        """Download a map."""
        desk.admit(asking, facts, subject, purpose, session)
        path = desk.map(subject, session, name)
        return FileResponse(path, media_type="application/gzip", filename=path.name)

    @app.get("/api/v1/subjects/{subject}/forecasts", responses=RESPONSES, tags=["figures"])
    async def forecasts(
        subject: Subject, desk: Desk, asking: Asking, facts: Facts, purpose: Purpose = "care"
    ) -> Response:
        """Tell the figures of a subject's finished forecasts."""
        desk.admit(asking, facts, subject, purpose)
        folder = desk.results.subject(subject)
        return response(await desk.pool.run(lambda: forecasts_answer(folder, subject)))


def _questions(app: FastAPI) -> None:
    @app.get(
        "/api/v1/subjects/{subject}/sessions/{session}/region",
        responses={
            **RESPONSES,
            200: {
                "description": "The figures, as palpate query writes them.",
                "content": {
                    one: {} for one in ("application/json", "text/csv", "application/fhir+json", "application/dicom")
                },
            },
        },
        response_class=Response,
        tags=["figures"],
    )
    async def region(
        subject: Subject,
        session: Session,
        desk: Desk,
        asking: Asking,
        facts: Facts,
        sphere: Annotated[
            str | None,
            Query(max_length=100, description="X,Y,Z,RADIUS: R A S mm of the elastogram.", examples=["-16,-10,27,8"]),
        ] = None,
        region: Annotated[str | None, Query(pattern=DIGEST, description="Digest of an uploaded region.")] = None,
        name: Annotated[str, Query(max_length=100, description="Name or number of the segment or ROI.")] = "",
        than_sphere: Annotated[str | None, Query(max_length=100, description="Second region, a sphere.")] = None,
        than_region: Annotated[str | None, Query(pattern=DIGEST, description="Second region, uploaded.")] = None,
        than_name: Annotated[str, Query(max_length=100, description="Name or number in the second region.")] = "",
        above: Annotated[float | None, Query(description="Threshold, kPa.", allow_inf_nan=False)] = None,
        quantity: Annotated[list[str] | None, Query(max_length=9, description="Quantities; default: four.")] = None,
        run: Annotated[str, Query(max_length=100, description="Number or label of one run.")] = "",
        frequency_hz: Annotated[float | None, Query(description="One frequency, Hz.", allow_inf_nan=False)] = None,
        space: Annotated[Space, Query(description="World of an uploaded region.")] = "auto",
        format: AnswerFormat = "json",  # noqa: A002 - the field's name
        purpose: Purpose = "care",
    ) -> Response:
        """Tell how stiff a region is: the figures of palpate query, to the last bit."""
        desk.admit(asking, facts, subject, purpose, session)
        folder = desk.results.session(subject, session)
        facts.regions += [one for one in (region, than_region) if one is not None]
        options = QueryOptions(tuple(quantity) if quantity else USUAL, above, run, frequency_hz)

        def answer(opened: OpenSession) -> ServedAnswer:
            spec = _spec(desk, opened, asking, sphere, region, name, "region")
            second = than_sphere is not None or than_region is not None or than_name
            than = _spec(desk, opened, asking, than_sphere, than_region, than_name, "than") if second else None
            return region_answer(opened, RegionQuery(spec, options, space, desk.key, None, than), format, desk.key)

        return response(await desk.pool.run(lambda: desk.cache.use(folder, answer)))

    @app.get("/api/v1/subjects/{subject}/sessions/{session}/labels", responses=RESPONSES, tags=["figures"])
    async def labels(
        subject: Subject,
        session: Session,
        region: Digest,
        desk: Desk,
        asking: Asking,
        facts: Facts,
        quantity: Annotated[list[str] | None, Query(max_length=9)] = None,
        space: Annotated[Space, Query(description="World of the labels.")] = "auto",
        format: TableFormat = "json",  # noqa: A002 - the field's name
        purpose: Purpose = "care",
    ) -> Response:
        """Tell how stiff each label of an uploaded NIfTI is: the table of palpate regions."""
        desk.admit(asking, facts, subject, purpose, session)
        folder = desk.results.session(subject, session)
        facts.regions.append(region)
        chosen = QueryOptions(tuple(quantity)).quantities if quantity else ()

        def answer(_: OpenSession) -> ServedAnswer:
            kept = desk.regions.find(region, asking.name)
            return labels_answer(folder, kept, space, chosen, format, desk.key)

        return response(await desk.pool.run_large(lambda: desk.cache.use(folder, answer)))

    @app.get("/api/v1/subjects/{subject}/change", responses=RESPONSES, tags=["figures"])
    async def change(
        subject: Subject,
        first: Annotated[str, Query(alias="from", pattern=LABEL, description="Earlier session.")],
        second: Annotated[str, Query(alias="to", pattern=LABEL, description="Later session.")],
        region: Digest,
        desk: Desk,
        asking: Asking,
        facts: Facts,
        organ: NamedOrgan = "auto",
        physiology: Literal["on", "off"] = "on",
        format: TableFormat = "json",  # noqa: A002 - the field's name
        purpose: Purpose = "care",
    ) -> Response:
        """Tell what has changed between two sessions in each label of an uploaded NIfTI: as palpate change does."""
        desk.admit(asking, facts, subject, purpose, f"{first} {second}")
        folders = desk.results.session(subject, first), desk.results.session(subject, second)
        facts.regions.append(region)
        kept = desk.regions.find(region, asking.name)
        varied = physiology == "on"
        return response(
            await desk.pool.run_large(lambda: change_answer(folders, kept, organ, format, physiology=varied))
        )

    @app.get("/api/v1/subjects/{subject}/sessions/{session}/slices/{index}", responses=RESPONSES, tags=["figures"])
    async def one_slice(
        subject: Subject,
        session: Session,
        index: Annotated[int, Path(ge=0, le=4096, description="Number of the slice.")],
        desk: Desk,
        asking: Asking,
        facts: Facts,
        run: Annotated[int, Query(ge=0, le=1000, description="Number of the run, from 0.")] = 0,
        purpose: Purpose = "care",
    ) -> Response:
        """Give one slice of the mean storage modulus, for a picture."""
        desk.admit(asking, facts, subject, purpose, session)
        folder = desk.results.session(subject, session)
        found = await desk.pool.run(lambda: desk.cache.use(folder, lambda opened: slice_answer(opened, run, index)))
        return response(found)


def _spec(
    desk: ServiceDesk,
    opened: OpenSession,
    asking: AskingPerson,
    sphere: str | None,
    region: str | None,
    name: str,
    where: str,
) -> RegionSpec:
    """Return the one region that a request names.

    Raises:
        InputError: it names none or two, or a name beside a sphere.
    """
    if (sphere is None) == (region is None):
        found = "no region" if sphere is None else "a sphere and an uploaded region"
        expected = "a sphere, or the digest of an uploaded region"
        raise InputError(where, found=found, expected=expected, advice="Name one of them.")
    if sphere is not None:
        if name:
            raise InputError("name", found="a name beside a sphere", expected="none", advice="Leave it out.")
        return SphereSpec(sphere)
    assert region is not None  # one of both is named
    return desk.regions.spec(region, asking.name, name, opened)


def _uploads(app: FastAPI) -> None:
    body = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}

    @app.post(
        "/api/v1/regions",
        status_code=201,
        responses=RESPONSES,
        openapi_extra={"requestBody": {"required": True, **body}},
        tags=["regions"],
    )
    async def upload(request: Request, desk: Desk, asking: Asking, facts: Facts) -> Response:
        """Keep a region (NIfTI, SEG or RTSTRUCT as the body) without identity, and tell its digest and names."""
        asking.demand("planner")
        async with desk.uploading:
            content = bytearray()
            async for piece in request.stream():
                content += piece
            kept = await desk.pool.run(lambda: desk.regions.keep(bytes(content), asking.name))
        facts.regions.append(kept.sha256)
        return response(json_answer(kept.told()), 201)

    @app.get("/api/v1/regions/{digest}", responses=RESPONSES, tags=["regions"])
    async def uploaded(
        digest: Annotated[str, Path(pattern=DIGEST)], desk: Desk, asking: Asking, facts: Facts
    ) -> Response:
        """Tell the names in an uploaded region, and when it is deleted."""
        asking.demand("reader", "planner")
        facts.regions.append(digest)
        return response(json_answer(desk.regions.find(digest, asking.name).told()))

    @app.delete("/api/v1/regions/{digest}", status_code=204, responses=RESPONSES, tags=["regions"])
    async def remove(
        digest: Annotated[str, Path(pattern=DIGEST)], desk: Desk, asking: Asking, facts: Facts
    ) -> Response:
        """Delete an uploaded region."""
        asking.demand("planner")
        facts.regions.append(digest)
        desk.regions.remove(digest, asking.name)
        return Response(status_code=204)


def _doors(app: FastAPI) -> None:
    described = get_openapi(title="palpate", version=palpate.__version__, routes=app.routes)
    described["info"]["description"] = "Research use only: palpate is not a medical device."

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return JSONResponse(described)

    @app.get("/", include_in_schema=False)
    async def page(desk: Desk) -> Response:
        text = page_text(with_token=desk.demands_tokens, purposes=list(PURPOSES))
        return Response(text, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": POLICY})

    @app.get("/health", include_in_schema=False)
    async def health() -> Response:
        return JSONResponse({"status": "ok"})


def _refusals(app: FastAPI) -> None:
    def told(refusal: RequestRefusal, request: Request) -> Response:
        facts: RequestFacts | None = getattr(request.state, "facts", None)
        if facts is not None:
            facts.reason = facts.reason or str(refusal)
        return JSONResponse(refusal.body, refusal.status, headers=refusal.headers)

    @app.exception_handler(InputError)
    async def of_input(request: Request, error: InputError) -> Response:
        return told(refusal_of(error), request)

    @app.exception_handler(RequestRefusal)
    async def of_request(request: Request, error: RequestRefusal) -> Response:
        return told(error, request)

    @app.exception_handler(RequestValidationError)
    async def of_form(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(one) for one in first["loc"][1:2]) or "the request"
        found = "none" if first["type"] == "missing" else "a value of another form"
        stated = first.get("ctx", {}).get("expected")
        expected = (
            f"one of {stated}" if stated else _EXPECTED.get(first["type"], "a value as /openapi.json describes it")
        )
        body = error_body(where, found, expected, "Correct this field.")
        return JSONResponse(body, 422)

    @app.exception_handler(HTTPException)
    async def of_address(request: Request, error: HTTPException) -> Response:
        found = "no such address" if error.status_code == 404 else "another method than the address has"
        body = error_body("the address", found, "an address of /openapi.json", "Look at the document.")
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_methods(app, request.url.path))
        return JSONResponse(body, error.status_code, headers=headers)

    @app.exception_handler(OSError)
    async def of_machine(request: Request, error: OSError) -> Response:
        fault = machine_fault(error)
        words = "a machine that fails" if fault is None else fault.found
        refused = RequestRefusal(503, "the service", found=words, expected="a sound one", advice="Tell its operator.")
        return told(refused, request)


def _methods(app: FastAPI, path: str) -> list[str]:
    """Return the methods that an address has, over all its functions."""
    routes = [one for one in app.routes if isinstance(one, Route) and one.path_regex.match(path)]
    return sorted({method for one in routes for method in one.methods or ()})
