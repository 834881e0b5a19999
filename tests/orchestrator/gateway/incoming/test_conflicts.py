"""What a cell keeps in quarantine, such as the same id with another payload: whoever sent it is told why, at each
entrance."""

import json
from typing import Any

from protocol.errors import Code
from tests.orchestrator.gateway.conftest import Running
from tests.orchestrator.gateway.http.test_http import sms, webhook
from tests.orchestrator.gateway.websockets.test_gateway_clients import event

CLOUD = {
    "specversion": "1.0",
    "id": "a",
    "source": "test",
    "type": "throughline.message.received",
    "identities": "user:1",
    "data": {"text": "hello"},
}


def counted(running: Running, entrance: str) -> float:
    """How often it was refused there."""
    return running.metric("throughline_refusals_total", code="digest_conflict", entrance=entrance)


async def post(running: Running, kind: str, body: Any) -> Any:
    """The answer to CloudEvents."""
    async with running.http("chat", **{"Content-Type": f"application/{kind}+json"}) as http:
        return await http.post("/v1/events", content=json.dumps(body))


async def test_http_says_why_an_event_is_in_quarantine(running: Running) -> None:
    """202, with the code of the error table and words for it; in a batch, too."""
    running.intake.statuses["a"] = "quarantined"
    response = await post(running, "cloudevents", CLOUD)
    answer = response.json()
    assert (response.status_code, answer["status"], answer["code"]) == (202, "quarantined", Code.DIGEST_CONFLICT)
    assert "another payload" in answer["message"]
    response = await post(running, "cloudevents-batch", [CLOUD, {**CLOUD, "id": "b"}])
    assert (response.status_code, [one["code"] for one in response.json()]) == (207, [Code.DIGEST_CONFLICT, 0])
    assert counted(running, "http") == 2


async def test_a_gateway_client_hears_why_before_the_ack(running: Running) -> None:
    """As of every event in quarantine: an `error` with its id, then an `ack` with the status."""
    running.intake.statuses["a"] = "quarantined"
    async with running.client() as client:
        await client.send({"op": "events", "events": [event("a"), event("b")]})
        error = await client.next("error")
        assert (error["code"], error["ref"]) == (Code.DIGEST_CONFLICT, "a")
        assert "another payload" in error["message"]
        assert await client.next("ack") == {"op": "ack", "ids": ["a"], "status": "quarantined"}
        assert await client.next("ack") == {"op": "ack", "ids": ["b"]}
    assert counted(running, "gateway") == 1


async def test_a_webhook_is_counted(running: Running) -> None:
    """A vendor hears yes, since it would not call again."""
    running.intake.statuses["SM1"] = "quarantined"
    assert (await webhook(running, sms())).status_code == 200
    assert counted(running, "webhook") == 1


async def test_a_templates_word_is_passed_on(running: Running) -> None:
    """The field, the code and the reason, by HTTP and to a gateway client."""
    running.intake.statuses["a"] = "quarantined"
    running.intake.whys["a"] = (int(Code.INVALID), "contract", "contract is missing")
    answer = (await post(running, "cloudevents", CLOUD)).json()
    assert (answer["code"], answer["field"], answer["message"]) == (Code.INVALID, "contract", "contract is missing")
    async with running.client() as client:
        await client.send({"op": "event", "event": event("a")})
        error = await client.next("error")
        assert (error["code"], error["message"], error["ref"]) == (Code.INVALID, "contract is missing", "a")
        assert (await client.next("ack"))["status"] == "quarantined"
