"""Endpoints of webhooks over HTTP: seen, enabled, and sent to again from elsewhere."""

from typing import Any

import pytest

from orchestrator.feed.webhook_files import Asked, asked_file, take_asked
from orchestrator.gateway.health.webhook_troubles import troubles_of_webhooks
from tests.orchestrator.gateway.conftest import Running, Start

TOLD: dict[str, Any] = {
    "state": "disabled",
    "sent": 5,
    "failures": 24,
    "failing_since_at_ms": 1_763_000_000_000,
    "next_at_ms": None,
    "disabled_at_ms": 1_764_000_000_000,
    "gaps": 0,
    "reason": "HTTP 503",
    "cursor": "g1-0",
}


@pytest.fixture
async def endpoint(start: Start) -> Running:
    """A server that has one endpoint, which is disabled."""
    one: Running = await start(figures=lambda: {"channels": {"webhooks": {"crm": TOLD}}})
    return one


async def test_they_are_listed_with_what_is_wrong(endpoint: Running) -> None:
    """Also in the status, in words that say what to do."""
    async with endpoint.http("operator") as http:
        listed = (await http.get("/v1/webhooks")).json()
        status = (await http.get("/v1/status")).json()
        ready = (await http.get("/readyz")).json()
    assert listed == [{"endpoint": "crm", **TOLD}]
    (trouble,) = status["webhook_troubles"]
    assert "webhook crm is disabled since 2025-11-24" in trouble
    assert "throughline webhook enable crm" in trouble
    assert ready["webhook_troubles"] == [trouble]


async def test_an_operator_has_one_go_on(endpoint: Running) -> None:
    """What is asked waits in the data folder for who sends."""
    async with endpoint.http("operator") as http:
        answer = await http.post("/v1/webhooks/crm/enable")
        unknown = await http.post("/v1/webhooks/cmr/enable")
    assert (answer.status_code, answer.json()) == (202, {"endpoint": "crm", "after": ""})
    assert unknown.status_code == 404
    assert "crm" in unknown.text
    folder = endpoint.gateway._services.webhooks
    assert take_asked(asked_file(folder, "crm")) == Asked(by="operator:operator", after="")


async def test_only_a_cursor_of_the_feed_is_gone_on_behind(endpoint: Running) -> None:
    """`now` and `oldest` are said as what they are then."""
    async with endpoint.http("operator") as http:
        wrong = await http.post("/v1/webhooks/crm/resend", json={"after": "yesterday"})
        none = await http.post("/v1/webhooks/crm/resend", json={"after": ""})
        good = await http.post("/v1/webhooks/crm/resend", json={"after": "oldest"})
    assert (wrong.status_code, none.status_code, good.status_code) == (422, 422, 202)
    # Nothing is none here.
    message = "after must be a cursor that the feed gave, `oldest` or `now`"
    assert [wrong.json()["message"], none.json()["message"]] == [message, message]
    asked = take_asked(asked_file(endpoint.gateway._services.webhooks, "crm"))
    assert asked is not None
    assert asked.after == good.json()["after"] != ""


async def test_nobody_else_may(endpoint: Running) -> None:
    """They show where customers' data goes to."""
    async with endpoint.http("reader") as http:
        assert (await http.get("/v1/webhooks")).status_code == 403
        assert (await http.post("/v1/webhooks/crm/enable")).status_code == 403


def test_one_that_fails_is_named_before_it_is_disabled() -> None:
    """Since when, and how often; one that is well is not."""
    assert troubles_of_webhooks({"crm": {**TOLD, "state": "sending"}}) == []
    (trouble,) = troubles_of_webhooks({"crm": {**TOLD, "state": "retrying"}})
    assert trouble == "webhook crm fails since 2025-11-13 02:13 UTC (HTTP 503, 24 times)"
