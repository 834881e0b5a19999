"""Each entrance and each token: what a scope opens, and that it opens nothing else."""

import re
from typing import Any, cast

import pytest
from litestar.routes import HTTPRoute

from orchestrator.gateway.http.http import application
from protocol.errors import Code
from tests.orchestrator.gateway.conftest import SCOPES, Running

READS = "read agent"
TABLE = {
    "POST /v1/events": "gateway",
    "GET /v1/context": READS,
    "GET /v1/conversations": READS,
    "GET /v1/conversations/{conversation}": READS,
    "GET /v1/conversations/{conversation}/handoffs": READS,
    "GET /v1/conversations/{conversation}/interactions/{interaction}/messages": READS,
    "GET /v1/conversations/{conversation}/vcon": "read",
    "GET /v1/customers/{customer}/journey": READS,
    "GET /v1/customers/{customer}/timeline": READS,
    "GET /v1/identity/reviews": READS,
    "GET /v1/attachments/{sha256}": READS,
    "GET /v1/taxonomy": READS,
    "POST /v1/conversations/{conversation}/commands": "agent",
    "POST /v1/customers/{customer}/commands": "agent",
    "GET /v1/feed": "read",
    "GET /v1/reports/context-loss": "read",
    "GET /v1/reports/context-loss/findings": "read",
    "GET /v1/reports/context-loss/findings/{finding}": "read",
    "GET /v1/reports/context-loss/runs": "read",
    "GET /v1/policy": "read",
    "GET /v1/policy/versions": "read",
    "GET /v1/policy/versions/{version}": "read",
    "POST /v1/policy/check": "read",
    "POST /v1/policy/diff": "read",
    "GET /metrics": "metrics",
    "GET /v1/status": "read metrics",
    # An operator's alone.
    "POST /v1/reports/context-loss/runs": "",
    "POST /v1/reports/context-loss/findings/{finding}/resolve": "",
    "POST /v1/reports/context-loss/findings/{finding}/dismiss": "",
    "POST /v1/import": "",
    "POST /v1/policy": "",
    "POST /v1/policy/rollback": "",
    "GET /v1/quarantine": "",
    "GET /v1/quarantine/search": "",
    "GET /v1/quarantine/{quarantine}": "",
    "POST /v1/quarantine/{quarantine}/replay": "",
    "POST /v1/quarantine/{quarantine}/erasure": "",
    "POST /v1/quarantine/{quarantine}/erasure/withdraw": "",
    "GET /v1/outbox": "",
    "POST /v1/outbox/{delivery}/replay": "",
    "POST /v1/outbox/{delivery}/settle": "",
    "GET /v1/webhooks": "",
    "POST /v1/webhooks/{endpoint}/enable": "",
    "POST /v1/webhooks/{endpoint}/resend": "",
    "GET /v1/erasures": "",
    "POST /v1/customers/{customer}/erasure": "",
    "POST /v1/customers/{customer}/erasure/withdraw": "",
}
"""Which scopes open it. An operator's opens all but the first, where nobody speaks for an account of others."""
TO_ANYBODY = {"POST /webhooks/{account}", "GET /healthz", "GET /readyz"}
TO_ANY_TOKEN = {"GET /openapi.json", "GET /", "GET /{path}"}
"""The API's description; the framework's page for what is not there, which is answered 404."""
PARTS = {"interaction": "1", "version": "1", "sha256": "0" * 64}
"""Of paths, where they are not `x`."""


def entrances() -> set[str]:
    """All that the application has, each as its method and path, without types."""
    return {
        f"{method} {re.sub(r':[a-z]+}', '}', route.path)}"
        for route in application(cast(Any, None), body_bytes_max=1, version="1").routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in handler.http_methods - {"OPTIONS", "HEAD"}
    }


def test_the_table_has_every_entrance() -> None:
    """A new one is closed until somebody says here whose it is."""
    assert entrances() == TABLE.keys() | TO_ANYBODY | TO_ANY_TOKEN


@pytest.mark.parametrize("name", SCOPES)
async def test_a_token_opens_what_its_scope_says_and_no_more(running: Running, name: str) -> None:
    """Refused is refused whatever is asked: before a path's ids are looked up, and before a body is read."""
    (scope,) = SCOPES[name]
    opened = set()
    async with running.http(name) as http:
        for entrance in TABLE:
            method, path = entrance.split()
            path = re.sub(r"{(\w+)}", lambda part: PARTS.get(part[1], "x"), path)
            # No JSON: what is opened refuses it, so that nothing is done.
            response = await http.request(method, path, content=b"{" if method == "POST" else None)
            assert response.status_code != 401, entrance
            if response.status_code != 403:
                opened.add(entrance)
            else:
                assert response.json()["code"] == Code.FORBIDDEN, entrance
    kind = scope.partition(":")[0]
    of_scope = {entrance for entrance, scopes in TABLE.items() if kind in scopes.split()}
    assert opened == (TABLE.keys() - {"POST /v1/events"} if kind == "operator" else of_scope)


@pytest.mark.parametrize(
    ("path", "opens"), [("/v1/agent", {"agent", "bob", "operator"}), ("/v1/gateway", {"chat", "star"})]
)
async def test_a_websocket_welcomes_its_scope_and_no_other(running: Running, path: str, opens: set[str]) -> None:
    """Each entrance has its own; only an operator is an agent, too."""
    welcomed = set()
    for name in SCOPES:
        async with running.socket(path) as client:
            await client.send({"op": "hello", "token": running.token[name]})
            if (await client.frame())["op"] == "welcome":
                welcomed.add(name)
            else:
                assert await client.close_code() == Code.FORBIDDEN, name
    assert welcomed == opens
