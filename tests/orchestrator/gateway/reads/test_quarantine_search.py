"""Finding refused input by what is in it: a whole server in one loop, mails that name nobody, and HTTP."""

import base64
from pathlib import Path
from typing import Any

import pytest

from orchestrator.gateway.reads import quarantine_search
from tests.adapters.channels.letters import letter
from tests.orchestrator.test_quarantined_mail import Server, serving

WORDS = "I am the widow of the baker in Grünstraße 7"


async def refused(server: Server, *mails: bytes) -> None:
    """Sends mails of nobody: they lie in quarantine, `mail.1` first, and the archive has them."""
    for mail in mails:
        assert "NO_IDENTITY" in await server.send(mail, sender="")
    position = (await server.get("/v1/status"))["journal_position"]
    await server.get(f"/v1/conversations?at_least={position}")


def mail(text: str, **fields: Any) -> bytes:
    """Of nobody, in Base64."""
    body = base64.encodebytes(text.encode())
    fields = {"content_type": "text/plain; charset=utf-8", "content_transfer_encoding": "base64", **fields}
    return letter(body, from_=None, to="<us@throughline.example>", **fields)


async def search(server: Server, **wanted: Any) -> tuple[list[str], list[str], int]:
    """What is found on all pages, what is too large, and how many pages there were."""
    found: list[str] = []
    too_large: list[str] = []
    pages, before = 0, ""
    while pages == 0 or before:
        response = await server.http.get("/v1/quarantine/search", params={**wanted, "before": before})
        assert response.status_code == 200, response.text
        page = response.json()
        found += [row["quarantine"] for row in page["found"]]
        too_large += page["too_large"]
        pages, before = pages + 1, page["next"]
    return found, too_large, pages


async def test_words_and_addresses_are_found_in_what_came(tmp_path: Path) -> None:
    """In whatever coding and case, over the ends of lines; both where both are asked for; by account and time."""
    async with serving(tmp_path) as server:
        call = "Call me, 030 1234567 or ANN.Smith@example.org"
        await refused(server, mail(WORDS), mail(call), mail(WORDS.replace("widow of", "WIDOW\nof") + call))
        assert await search(server, text="widow of the baker in grünstrasse") == ([], [], 1)
        assert await search(server, text="Widow of the baker in GRÜNSTRAßE") == (["mail.3", "mail.1"], [], 1)
        assert (await search(server, address="mailto:ann.smith@example.org"))[0] == ["mail.3", "mail.2"]
        assert (await search(server, address="mailto:smith@example.org"))[0] == []
        assert (await search(server, address="mailto:ann.smith@example.org", text="baker"))[0] == ["mail.3"]
        assert (await search(server, text="baker", account="mail", until_ms=server.now_ms))[0] == ["mail.3", "mail.1"]
        for elsewhere in ({"account": "chat"}, {"since_ms": server.now_ms + 1}, {"until_ms": server.now_ms - 1}):
            assert (await search(server, text="baker", **elsewhere))[0] == []


async def test_a_page_is_of_so_much_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is over the bound is looked into alone; what is too large for that is named."""
    monkeypatch.setattr(quarantine_search, "LOOKED_BYTES_MAX", 1000)
    monkeypatch.setattr(quarantine_search, "INPUT_BYTES_MAX", 400_000)
    monkeypatch.setattr(quarantine_search, "ROWS", 2)
    async with serving(tmp_path) as server:
        long = "x" * 2000 + WORDS
        await refused(
            server, mail(long), mail(WORDS), mail(f"x{long}"), mail("y" * 400_000), mail("z" * 200_000 + WORDS)
        )
        assert await search(server, text="baker") == (["mail.5", "mail.3", "mail.2", "mail.1"], ["mail.4"], 4)
        assert await search(server, text="baker", limit=1) == (["mail.5", "mail.3", "mail.2", "mail.1"], ["mail.4"], 5)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "text"),
        ("text=ab", "text"),
        ("text=" + "a" * 257, "text"),
        ("address=web:7", "address"),
        ("address=nothing", "address"),
        ("text=baker&before=mail.1", "before"),
    ],
)
async def test_what_cannot_be_looked_for_is_refused(tmp_path: Path, query: str, field: str) -> None:
    """With the field."""
    async with serving(tmp_path) as server:
        response = await server.http.get(f"/v1/quarantine/search?{query}")
        assert (response.status_code, response.json()["field"]) == (422, field)
