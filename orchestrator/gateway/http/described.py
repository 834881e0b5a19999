"""Described: the OpenAPI document as clients are generated from it.

The framework derives it from the handlers' types. It does not know what is decided elsewhere: the one shape of every
refusal, which paths want no token, and that a whole number is a number too.
"""

from copy import deepcopy
from typing import Any

import msgspec
from litestar.openapi.plugins import JsonRenderPlugin

from orchestrator.gateway.http.access import OPEN, SIGNED
from orchestrator.gateway.http.bodies import ErrorAnswer
from orchestrator.gateway.services import HttpRequest

_SCHEMAS = "#/components/schemas/"
_REFUSAL = {
    "description": "Refused or failed: `code` is of the error table, and its hundreds say whether to send it again. "
    "Statuses: 400, 401, 403, 404, 409, 410, 413, 422, 429, 500, 503, 504.",
    "content": {"application/json": {"schema": {"$ref": f"{_SCHEMAS}ErrorAnswer"}}},
}


class Described(JsonRenderPlugin):
    """Serves the document at `/openapi.json`."""

    def render(self, request: HttpRequest, openapi_schema: dict[str, Any]) -> bytes:
        """The document as JSON."""
        return super().render(request, described(openapi_schema))


def described(document: dict[str, Any]) -> dict[str, Any]:
    """The framework's document with what it does not know. The given one stays as it is."""
    whole: dict[str, Any] = _any_of(deepcopy(document))
    _, components = msgspec.json.schema_components([ErrorAnswer], ref_template=f"{_SCHEMAS}{{name}}")
    whole["components"]["schemas"] |= components
    for path, methods in whole["paths"].items():
        for operation in methods.values():
            # The framework's own 400 has a shape that `http.py` answers nobody with.
            operation["responses"].pop("400", None)
            operation["responses"]["default"] = _REFUSAL
            if path in OPEN or path.startswith(SIGNED):
                operation["security"] = []
    return whole


def _any_of(node: Any) -> Any:
    """A union's members may overlap, as `integer` and `number` do: 7 is both, and `oneOf` would refuse it."""
    if isinstance(node, dict):
        return {("anyOf" if key == "oneOf" else key): _any_of(value) for key, value in node.items()}
    return [_any_of(each) for each in node] if isinstance(node, list) else node
