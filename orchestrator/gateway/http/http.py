"""HTTP: the Litestar application of the one port, its limits, its OpenAPI, and the one shape of its errors."""

from typing import Any

from litestar import Litestar, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, NotFoundException, ValidationException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from adapters.stores.errors import ReadCutOff, ReadsWait
from orchestrator.gateway.failures import failed
from orchestrator.gateway.health import health
from orchestrator.gateway.http.access import SIGNED, check_needs
from orchestrator.gateway.http.bodies import ErrorAnswer, error_answer, error_status
from orchestrator.gateway.http.described import Described
from orchestrator.gateway.incoming import posted_events, webhooks
from orchestrator.gateway.operations import (
    erasures,
    identity_reviews,
    imports,
    operations,
    policy,
    reports,
    webhook_operations,
)
from orchestrator.gateway.reads import attachments, feed, history, quarantine_search, reads, taxonomy
from orchestrator.gateway.services import HttpRequest, Services, services_of
from protocol.errors import Code, Refusal
from protocol.faults import known_tags, told

RETRY_AFTER_S = 1
"""Said with every retryable refusal (RFC 9110 §10.2.3)."""

_CLIENT_LEFT = "client disconnected prematurely"
"""What the framework says of a body that breaks off, in the type that its own bugs have. Strangers can cause it without
end, so it is counted and not logged."""
_ANY_PART = "/{path:str}"
"""Beside the API's description the framework answers a page of HTML for each path of one part that there is not."""

# What the framework itself refuses → the row of the error table that says the same.
_CODES: dict[int, Code] = {
    400: Code.INVALID,
    401: Code.UNAUTHENTICATED,
    403: Code.FORBIDDEN,
    404: Code.NOT_FOUND,
    405: Code.INVALID,
    413: Code.TOO_LARGE,
    415: Code.INVALID,
}


def application(services: Services, *, body_bytes_max: int, version: str) -> Litestar:
    """The HTTP application. `access.Access` stands before it."""
    return Litestar(
        route_handlers=[
            *posted_events.ROUTES,
            *reads.ROUTES,
            *feed.ROUTES,
            *history.ROUTES,
            *reports.ROUTES,
            *imports.ROUTES,
            *identity_reviews.ROUTES,
            *quarantine_search.ROUTES,
            *operations.ROUTES,
            *policy.ROUTES,
            *taxonomy.ROUTES,
            *attachments.ROUTES,
            *webhooks.ROUTES,
            *webhook_operations.ROUTES,
            *erasures.ROUTES,
            *health.ROUTES,
        ],
        state=State({"services": services}),
        before_request=_check,
        exception_handlers={
            Refusal: _refusal,
            ReadCutOff: _cut_off,
            ReadsWait: _waits,
            ValidationException: _validation,
            HTTPException: _http,
            RecursionError: _nested,
            UnicodeDecodeError: _no_text,
            Exception: _failure,
        },
        request_max_body_size=body_bytes_max,
        logging_config=None,
        openapi_config=OpenAPIConfig(
            title="Throughline",
            version=version,
            description="Events in, context and history out. Errors have the shape ErrorAnswer.",
            path="/",
            render_plugins=[Described(path="/openapi.json")],
            use_handler_docstrings=True,
            components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}),
            security=[{"token": []}],
        ),
    )


_BODY = "data"


async def _check(request: HttpRequest) -> None:
    """What is asked of a request before its handler is. A coroutine: a plain function would be run on a thread."""
    if _ANY_PART in request.route_handler.paths:
        raise NotFoundException
    check_needs(request)
    _check_parameters(request)


def _check_parameters(request: HttpRequest) -> None:
    """Refuses a read's parameter that does not exist: left out unsaid, a misspelt filter would answer with everything.

    Reads alone: a vendor's webhook may add what it likes, and so may whoever asks for health or metrics.
    """
    if request.method != "GET" or not request.scope["path"].startswith("/v1/"):
        return
    fields = request.route_handler.parsed_fn_signature.parameters
    others = {*request.path_params, "request"}
    for name in request.query_params:
        if name not in fields or name in others:
            known = sorted(fields.keys() - others)
            message = f"there is no parameter {name[:64]!r} here; known are {', '.join(known) or 'none'}"
            raise Refusal(Code.INVALID, message, field=name[:64])


def _refusal(request: HttpRequest, refusal: Refusal) -> Response[ErrorAnswer]:
    here = services_of(request)
    entrance = "webhook" if request.scope["path"].startswith(SIGNED) else "http"
    here.metrics.refused(refusal.code, entrance)
    headers = {"Retry-After": str(RETRY_AFTER_S)} if refusal.retryable else {}
    return Response(error_answer(refusal), status_code=error_status(refusal), headers=headers)


def _cut_off(request: HttpRequest, exc: ReadCutOff) -> Response[ErrorAnswer]:
    """A read's handler says how to ask for less."""
    narrower = request.route_handler.opt.get("narrower", "ask for less, by a smaller limit or by more filters")
    took = "" if exc.within_s is None else f" after {exc.within_s:g} s"
    return _refusal(request, Refusal(Code.TOO_COSTLY, f"this read was cut off{took}: {narrower}"))


def _waits(request: HttpRequest, exc: ReadsWait) -> Response[ErrorAnswer]:
    message = "this read did not get its turn: others are before it, of the same token first of all; ask again"
    return _refusal(request, Refusal(Code.OVERLOADED, message))


def _validation(request: HttpRequest, exc: ValidationException) -> Response[ErrorAnswer]:
    """A path, query or body field that does not fit: the framework says which."""
    faults = exc.extra if isinstance(exc.extra, list) else []
    first: dict[str, Any] = faults[0] if faults else {}
    field, fault = str(first.get("key", "")), str(first.get("message", "see /openapi.json"))
    if field == _BODY:
        # A handler's name for it, which nobody sent; without a body it is all that is said.
        words = "it is empty; /openapi.json has what is wanted" if fault == f"'{_BODY}'" else told(fault, "")
        return _refusal(request, Refusal(Code.INVALID, f"the body: {words}"))
    unknown = fault.startswith("Invalid value")
    words = f"not a known value{known_tags(field)}" if unknown else told(fault, field)
    message = f"{field or 'the request'}: {words}"
    code = Code.UNKNOWN_TYPE if unknown and field.endswith(".do") else Code.INVALID
    return _refusal(request, Refusal(code, message, field=field))


def _nested(request: HttpRequest, exc: RecursionError) -> Response[ErrorAnswer]:
    """The only thing here that recurses without a bound of ours is the decoder of a body."""
    return _refusal(request, Refusal(Code.TOO_LARGE, "the body is nested too deeply"))


def _no_text(request: HttpRequest, exc: UnicodeDecodeError) -> Response[ErrorAnswer]:
    """The only thing here that decodes text without asking is, again, the decoder of a body: of a read it is a bug."""
    if request.method == "GET":
        return _failure(request, exc)
    return _refusal(request, Refusal(Code.MALFORMED, "the body is not UTF-8"))


def _http(request: HttpRequest, exc: HTTPException) -> Response[ErrorAnswer]:
    if exc.detail == _CLIENT_LEFT:
        return _refusal(request, Refusal(Code.MALFORMED, "the client left before the end of its body"))
    code = _CODES.get(exc.status_code)
    if code is None:
        return _failure(request, exc)
    messages = {
        404: "there is nothing at this path; /openapi.json has all that there are",
        405: "this path has no such method; /openapi.json has all that there are",
    }
    message = messages.get(exc.status_code, "the body is not JSON, or not what /openapi.json has for this path")
    if code is Code.TOO_LARGE:
        message = _too_large(request)
    services_of(request).metrics.refused(code, "http")
    return Response(ErrorAnswer(code=code, message=message), status_code=exc.status_code, headers=exc.headers)


def _too_large(request: HttpRequest) -> str:
    most, set_to = request.route_handler.resolve_request_max_body_size(), request.app.request_max_body_size
    why = "http.body_bytes_max allows no more" if most == set_to else "a webhook's may have no more"
    return f"the body has more than {most} bytes; {why}"


def _failure(request: HttpRequest, exc: Exception) -> Response[ErrorAnswer]:
    where = request.scope["path"].split("/")[1:3]
    return _refusal(request, failed(exc, where="/".join(where), new_reference=services_of(request).new_id))
