"""A conversation is handed over: two agents at their sockets, the server's parts in one loop, a restart in between."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from actors.rules.handoffs import HandoffRules, Handoffs
from actors.rules.policy import Policy
from orchestrator.client import AgentClient, GatewayClient
from orchestrator.inprocess import InProcess, in_process
from orchestrator.parts import cell
from orchestrator.settings import GatewayAccount, Http, Placement, Settings
from orchestrator.tokens import Tokens
from protocol.commands import SetContext
from protocol.entities import ConversationSummary
from protocol.errors import Refusal
from protocol.events import AnyEvent, HandoffExpired, HandoffOffered, OwnerChanged
from protocol.frames import Inbox
from protocol.handoffs import HandoffState
from protocol.inbound import InboundEvent, MessageArrived
from protocol.watched import ConversationUpdate

NOW_MS = 1_800_000_000_000
WITHIN_S = 20.0
"""Far more than anything here takes."""
MINUTE_MS = 60_000
RULES = Handoffs(
    kinds={
        "tier1-tier2": HandoffRules(required=("invoice", "note"), incomplete="block"),
        "bot-person": HandoffRules(
            required=("invoice",), to=("queue:people",), on_expiry="queue:triage", waits_ms=5 * MINUTE_MS
        ),
    }
)


class Clock:
    """The server's; moved by hand."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS


class Desk:
    """An agent who watches what they own and what is offered to them."""

    def __init__(self, client: AgentClient) -> None:
        self.client = client
        self.rows: dict[str, ConversationSummary] = {}
        self.events: list[AnyEvent] = []
        self.newest: ConversationUpdate | None = None
        self._changed = asyncio.Condition()

    async def read(self) -> None:
        """Reads until cancelled."""
        async for heard in self.client.stream():
            if isinstance(heard, Inbox):
                for gone in heard.removed:
                    self.rows.pop(gone, None)
                self.rows.update({row.conversation: row for row in heard.entries})
            elif isinstance(heard, ConversationUpdate):
                self.events += heard.events
                self.newest = heard
            async with self._changed:
                self._changed.notify_all()

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits for what comes over the socket."""
        async with asyncio.timeout(WITHIN_S), self._changed:
            await self._changed.wait_for(lambda: bool(condition()))

    async def offer(self) -> HandoffOffered:
        """The newest offer that came; waits for one that has no answer yet."""
        await self.until(lambda: any(isinstance(event, HandoffOffered) for event in self.events))
        return next(event for event in reversed(self.events) if isinstance(event, HandoffOffered))


class Office:
    """The server, the clock, and who is there."""

    def __init__(self, server: InProcess, clock: Clock, tokens: dict[str, str]) -> None:
        self.server = server
        self.clock = clock
        self.url = f"http://127.0.0.1:{server.facts['gateway']['port']}"
        self._tokens = tokens

    @asynccontextmanager
    async def desk(self, name: str, inbox: str = "mine") -> AsyncIterator[Desk]:
        """An agent who follows an inbox."""
        async with AgentClient(self.url, self._tokens[name]) as client:
            desk = Desk(client)
            client.watch(inbox=inbox, follow=True)
            reading = asyncio.create_task(desk.read())
            try:
                yield desk
            finally:
                reading.cancel()

    async def arrival(self) -> str:
        """A customer writes; returns the conversation once the archive has it."""
        event = InboundEvent(
            id="m1",
            source="test",
            account="chat",
            channel="chat",
            time_ms=NOW_MS,
            identities=["chat:ann"],
            data=MessageArrived(text="my bill is wrong", subject="Bill"),
        )
        async with GatewayClient(self.url, self._tokens["gateway"]) as gateway:
            assert await gateway.send(event) == "committed"
        [conversation] = await self.listed("queue:default")
        return conversation

    async def read(self, path: str, **query: str | int) -> dict[str, Any]:
        """What HTTP answers."""
        headers = {"Authorization": f"Bearer {self._tokens['olga']}"}
        async with httpx.AsyncClient(trust_env=False, base_url=self.url, headers=headers) as http:
            response = await http.get(path, params=query)
            assert response.status_code == 200, response.text
            answer: dict[str, Any] = response.json()
            return answer

    async def command(self, name: str, conversation: str, command: dict[str, Any]) -> httpx.Response:
        """What an agent is answered over HTTP."""
        headers = {"Authorization": f"Bearer {self._tokens[name]}"}
        async with httpx.AsyncClient(trust_env=False, base_url=self.url, headers=headers) as http:
            return await http.post(f"/v1/conversations/{conversation}/commands", json={"command": command})

    async def read_all(self, path: str, **query: str | int) -> dict[str, Any]:
        """What it answers once the archive has everything that is committed now."""
        position = (await self.read("/v1/status"))["journal_position"]
        return await self.read(path, at_least=position, **query)

    async def listed(self, name: str) -> list[str]:
        """The conversations of a list."""
        rows = (await self.read_all("/v1/conversations", list=name))["conversations"]
        return [row["conversation"] for row in rows]


@asynccontextmanager
async def office(folder: Path, placement: Placement, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    """All parts, under these rules."""
    monkeypatch.setattr(cell, "policy_of", lambda settings, noted=(): Policy(handoffs=RULES))
    settings = Settings(
        data=str(folder),
        store="memory",
        placement=placement,
        http=Http(port=0),
        accounts=[GatewayAccount(name="chat", trusted=True)],
    )
    clock = Clock()
    tokens = Tokens(folder / "tokens.json", now_ms=lambda: NOW_MS)
    scopes = {"ann": ["agent"], "bob": ["agent"], "olga": ["operator"], "gateway": ["gateway:*"]}
    texts = {name: tokens.create(scopes, name)[0] for name, scopes in scopes.items()}
    async with in_process(settings, folder, now_ms=lambda: clock.now_ms) as server:
        yield Office(server, clock, texts)


@pytest.mark.parametrize("placement", ["pooled", "dedicated"])
async def test_a_conversation_goes_from_tier_1_to_tier_2(
    tmp_path: Path, placement: Placement, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocked while something is missing; offered, seen, acknowledged with the hash after a restart; and shown."""
    async with office(tmp_path, placement, monkeypatch) as here, here.desk("ann") as ann, here.desk("bob") as bob:
        conversation = await here.arrival()
        await ann.client.take(conversation)
        with pytest.raises(
            Refusal, match="lacks invoice, note: set invoice as context, or give it in fields; write a note"
        ):
            await ann.client.offer_handoff(conversation, "tier1-tier2", agent="bob")
        await ann.client.offer_handoff(
            conversation, "tier1-tier2", agent="bob", note="third call", fields={"invoice": "R-7"}
        )
        offered = await bob.offer()
        await bob.until(lambda: bob.rows[conversation].offered_to == "agent:bob" if bob.rows else False)
        assert bob.rows[conversation].owner == "ann"
        assert [(item.key, item.version) for item in offered.package.items] == [("invoice", 1)]
        await here.server.restart("cell-0")
        with pytest.raises(Refusal, match="your own offer"):
            await ann.client.accept_handoff(offered.package)
        await bob.client.accept_handoff(offered.package)
        await bob.until(lambda: any(isinstance(event, OwnerChanged) and event.owner == "bob" for event in bob.events))
        await ann.until(lambda: conversation not in ann.rows)
        [row] = (await here.read_all(f"/v1/conversations/{conversation}/handoffs"))["handoffs"]
        assert (row["state"], row["giver"], row["ended_by"], row["missing"]) == ("accepted", "ann", "agent:bob", [])
        assert row["sha256"] == offered.sha256
        assert row["package"]["note"] == "third call"
        shown = await here.read(f"/v1/conversations/{conversation}")
        assert (shown["owner"], shown["handoffs"][0]["state"]) == ("bob", "accepted")
        assert [(item["key"], item["value"]) for item in shown["context"]] == [("invoice", "R-7")]


async def test_an_offer_that_nobody_answers_expires_while_its_cell_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timer is durable: the next life of the cell finds it due, and does what the policy says."""
    async with office(tmp_path, "pooled", monkeypatch) as here, here.desk("ann", "queue:people") as ann:
        conversation = await here.arrival()
        await here.server.restart("cell-0")
        async with here.desk("bob") as bob:
            bob.client.watch(conversation=conversation)
            await bob.client.command(SetContext(key="said", value="twice"), conversation=conversation)
            await bob.client.offer_handoff(conversation, "bot-person")
            offered = await ann.offer()
            assert await here.listed("queue:people") == [conversation]
            assert offered.package.missing == ["invoice"], "a warning, and not in the way"
            here.clock.now_ms += 5 * MINUTE_MS
            await here.server.restart("cell-0")
            await bob.until(lambda: any(isinstance(event, HandoffExpired) for event in bob.events))
            with pytest.raises(Refusal, match="handoff 1 is over"):
                await ann.client.accept_handoff(offered.package)
        [row] = (await here.read_all(f"/v1/conversations/{conversation}/handoffs"))["handoffs"]
        assert (row["state"], row["ended_by"], row["missing"]) == ("expired", "system", ["invoice"])
        assert await here.listed("queue:triage") == [conversation]
        assert await here.listed("queue:people") == []


async def test_a_program_of_another_making_acknowledges_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over HTTP, with the hash that its own JSON library makes of what it was given."""
    async with office(tmp_path, "pooled", monkeypatch) as here, here.desk("ann") as ann:
        conversation = await here.arrival()
        await ann.client.offer_handoff(conversation, "team-team", agent="bob", note='é " \\ \n ✉', fields={"vip": True})
        [row] = (await here.read_all(f"/v1/conversations/{conversation}/handoffs"))["handoffs"]
        package = json.dumps(row["package"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        sha256 = hashlib.sha256(package.encode()).hexdigest()
        refused = await here.command("bob", conversation, {"do": "accept_handoff", "lease": 1, "sha256": "0" * 64})
        assert refused.status_code == 422
        accepted = await here.command("bob", conversation, {"do": "accept_handoff", "lease": 1, "sha256": sha256})
        assert accepted.json()["status"] == "committed"
        late = await here.command("bob", conversation, {"do": "decline_handoff", "lease": 1})
        assert late.status_code == 409
        assert "handoff 1 is over: accepted by agent:bob" in late.json()["message"]


async def test_a_first_look_shows_the_offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot's view has it with its package; after the answer it says how it ended."""
    async with office(tmp_path, "pooled", monkeypatch) as here, here.desk("ann") as ann:
        conversation = await here.arrival()
        await ann.client.offer_handoff(conversation, "team-team", agent="bob", note="yours?")
        async with here.desk("bob") as bob:
            await bob.until(lambda: bob.newest is not None)
            assert bob.newest is not None
            assert bob.newest.view is not None
            handoff = bob.newest.view.handoff
            assert handoff is not None
            assert handoff.package is not None
            assert (handoff.state, handoff.giver, handoff.package.note) == (HandoffState.OFFERED, "ann", "yours?")
            await bob.client.decline_handoff(conversation, handoff.lease, "not ours")
        ann.client.watch(conversation=conversation)
        await ann.until(lambda: ann.newest is not None and ann.newest.view is not None)
        assert ann.newest is not None
        assert ann.newest.view is not None
        ended = ann.newest.view.handoff
        assert ended is not None
        assert (ended.state, ended.reason, ended.ended_by) == (HandoffState.DECLINED, "not ours", "agent:bob")
        await ann.client.offer_handoff(conversation, "team-team", queue="tier2")
        await ann.client.withdraw_handoff(conversation, 2, "found it")
        rows = (await here.read_all(f"/v1/conversations/{conversation}/handoffs"))["handoffs"]
        assert [(row["state"], row["reason"]) for row in rows] == [("declined", "not ours"), ("withdrawn", "found it")]
