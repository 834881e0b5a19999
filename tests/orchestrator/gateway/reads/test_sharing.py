"""The archive's readers are shared by tokens; a read that was cut off says what to ask for instead."""

import pytest

from adapters.stores.errors import ReadCutOff, ReadsWait
from adapters.stores.read_pool import THE_SERVER
from orchestrator.gateway.reads.sharing import ASKER, STRANGER
from protocol.errors import Code
from tests.orchestrator.gateway.conftest import Running

DEAR = {
    "/v1/conversations": "a list or a customer",
    "/v1/customers/c/journey": "a smaller page",
    "/v1/customers/c/timeline?q=word": "from_ms, until_ms",
    "/v1/conversations/c/vcon": "a page at a time",
    "/v1/reports/context-loss": "a week",
    "/v1/quarantine?account=mail": "since_ms, until_ms",
    "/v1/outbox": "more filters",
}
"""Reads, and a word of what is to be asked for in their place."""


@pytest.mark.parametrize(("path", "word"), DEAR.items())
async def test_a_read_that_was_cut_off_says_what_to_ask_for_instead(
    running: Running, monkeypatch: pytest.MonkeyPatch, path: str, word: str
) -> None:
    """To ask for the same again would help nobody: it is refused for good, and counted."""

    async def too_long() -> int:
        raise ReadCutOff("archive.sqlite: the read was cut off", within_s=7.0)

    monkeypatch.setattr(running.archive, "position", too_long)
    async with running.http("operator") as http:
        response = await http.get(path)
    error = response.json()
    assert (response.status_code, error["code"]) == (422, Code.TOO_COSTLY)
    assert "after 7 s" in error["message"]
    assert word in error["message"]
    assert "Retry-After" not in response.headers
    assert running.metric("throughline_refusals_total", code="too_costly", entrance="http") == 1


async def test_a_read_that_waited_in_vain_is_to_be_asked_again(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others were before it."""

    async def waits() -> int:
        raise ReadsWait("archive.sqlite: 3 reads wait")

    monkeypatch.setattr(running.archive, "position", waits)
    async with running.http("reader") as http:
        response = await http.get("/v1/conversations")
    assert (response.status_code, response.json()["code"]) == (503, Code.OVERLOADED)
    assert response.headers["Retry-After"] == "1"


async def test_a_read_is_its_tokens(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """All strangers are one asker."""
    askers: list[str] = []

    async def position() -> int:
        askers.append(ASKER.get())
        return 1

    monkeypatch.setattr(running.archive, "position", position)
    for name in ("reader", "agent", ""):
        async with running.http(name) as http:
            await http.get("/v1/conversations" if name else "/readyz")
    ids = [running.token[name].split("_")[1] for name in ("reader", "agent")]
    assert askers == [*ids, STRANGER]
    assert ASKER.get() == THE_SERVER
