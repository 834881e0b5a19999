"""Where contacts belong, shown to a user: at an agent's socket, over HTTP and in the archive."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from actors.rules.correlation import CorrelationRules, Window
from actors.rules.policy import Policy
from actors.rules.taxonomy import Label, Tagger, Taxonomy
from orchestrator.client import AgentClient, GatewayClient
from orchestrator.client.classifying import Labels, Said, classify
from orchestrator.inprocess import InProcess, in_process
from orchestrator.parts import cell
from orchestrator.settings import GatewayAccount, Http, Placement, Settings
from orchestrator.tokens import Tokens
from protocol.commands import Join, Relate, Resolve, Split, TagInteraction
from protocol.entities import ConversationView, RelationKind
from protocol.errors import Refusal
from protocol.events import Event, InteractionTagged
from protocol.inbound import (
    ActivityArrived,
    AnyData,
    InboundEvent,
    InteractionBegan,
    InteractionStopped,
    MessageArrived,
)

NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000
WITHIN_S = 20.0
"""Far more than anything here takes."""
POLICY = Policy(
    taxonomy=Taxonomy(
        topics={
            "bill": Label(taggers=(Tagger(words=("bill",)), Tagger(property="menu", values=("1",)))),
            "claim": Label(taggers=(Tagger(words=("claim",)), Tagger(property="menu", values=("2",)))),
        },
        keys={"claim": ("CLM-######",)},
    ),
    correlation=CorrelationRules(
        windows=(Window(earlier="app", later="phone", within_ms=2 * HOUR_MS),), repeat_within_ms=7 * 24 * HOUR_MS
    ),
)

IDENTITIES = {"app": "web:ann", "chat": "chat:ann", "phone": "tel:+447700900123"}

_number = itertools.count(1)
E = TypeVar("E", bound=Event)


class Office:
    """The server, an agent at their socket, and the customer."""

    def __init__(self, server: InProcess, tokens: dict[str, str], agent: AgentClient) -> None:
        self.server = server
        self.agent = agent
        self._tokens = tokens
        self._url = url_of(server)
        self._views: dict[str, ConversationView] = {}

    async def comes(self, channel: str, data: AnyData | str) -> None:
        """The customer makes contact."""
        event = InboundEvent(
            id=f"e{next(_number)}",
            source="test",
            account=channel,
            channel=channel,
            time_ms=NOW_MS,
            identities=[IDENTITIES[channel], "user:ann"],
            data=MessageArrived(text=data) if isinstance(data, str) else data,
        )
        async with GatewayClient(self._url, self._tokens[channel]) as gateway:
            assert await gateway.send(event) == "committed"

    async def read(self, path: str, **query: str | int) -> dict[str, Any]:
        """What HTTP answers once the archive has everything that is committed now."""
        headers = {"Authorization": f"Bearer {self._tokens['olga']}"}
        async with httpx.AsyncClient(trust_env=False, base_url=self._url, headers=headers) as http:
            position = (await http.get("/v1/status")).json()["journal_position"]
            response = await http.get(path, params={"at_least": position, **query})
            assert response.status_code == 200, response.text
            answer: dict[str, Any] = response.json()
            return answer

    async def conversation(self, conversation: str) -> dict[str, Any]:
        """One conversation as HTTP shows it."""
        return await self.read(f"/v1/conversations/{conversation}")

    async def known(self) -> list[str]:
        """The ids of all conversations, oldest first."""
        rows = (await self.read("/v1/conversations"))["conversations"]
        return sorted(row["conversation"] for row in rows)

    async def shown(self, conversation: str, condition: Callable[[ConversationView], object]) -> ConversationView:
        """What the agent's screen gets at a first look, once it fulfils this."""
        async with asyncio.timeout(WITHIN_S), AgentClient(self._url, self._tokens["bob"]) as client:
            client.watch(conversation=conversation)
            async for update in client.updates():
                if update.view is not None and condition(update.view):
                    return update.view
        raise AssertionError("the socket ended")

    async def told(self, conversation: str, kind: type[E], condition: Callable[[E], object]) -> E:
        """The first event of a kind that an agent is shown and that fulfils this."""
        async with asyncio.timeout(WITHIN_S), AgentClient(self._url, self._tokens["bob"]) as client:
            client.watch(conversation=conversation)
            async for update in client.updates():
                for event in update.events:
                    if isinstance(event, kind) and condition(event):
                        return event
        raise AssertionError("the socket ended")


def url_of(server: InProcess) -> str:
    """Where it listens."""
    return f"http://127.0.0.1:{server.facts['gateway']['port']}"


@asynccontextmanager
async def office(folder: Path, placement: Placement, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    """All parts, under these rules."""
    monkeypatch.setattr(cell, "policy_of", lambda settings, noted=(): POLICY)
    channels = ("app", "chat", "phone")
    settings = Settings(
        data=str(folder),
        store="memory",
        placement=placement,
        http=Http(port=0),
        accounts=[GatewayAccount(name=name, channel=name, trusted=True) for name in channels],
    )
    tokens = Tokens(folder / "tokens.json", now_ms=lambda: NOW_MS)
    scopes = {"ann": ["agent"], "bob": ["agent"], "olga": ["operator"], **{c: [f"gateway:{c}"] for c in channels}}
    texts = {name: tokens.create(scopes, name)[0] for name, scopes in scopes.items()}
    async with (
        in_process(settings, folder, now_ms=lambda: NOW_MS) as server,
        AgentClient(url_of(server), texts["ann"]) as agent,
    ):
        yield Office(server, texts, agent)


@pytest.mark.parametrize("placement", ["pooled", "dedicated"])
async def test_an_agent_corrects_where_a_contact_belongs_and_takes_it_back(
    tmp_path: Path, placement: Placement, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why it was put there is shown; it is split off, found again over HTTP with its words, and joined back."""
    async with office(tmp_path, placement, monkeypatch) as here:
        await here.comes("chat", "my bill is wrong")
        await here.comes("phone", InteractionBegan(session="call-1"))
        await here.comes("phone", ActivityArrived(name="ivr", properties={"menu": "2"}))
        await here.comes("phone", MessageArrived(text="about CLM-123456", session="call-1"))
        await here.comes("phone", InteractionStopped(session="call-1", reason="hung up"))
        [first] = await here.known()
        before = (await here.conversation(first))["interactions"]
        assert [(row["channel"], row["topic"], row["reason"]) for row in before] == [
            ("chat", "bill", ""),
            ("phone", "claim", "the open conversation; no window is given for chat → phone"),
        ]
        assert [row["key"] for row in (await here.conversation(first))["keys"]] == ["claim:CLM123456"]

        await here.agent.command(Split(interactions=[2], reason="the claim is another matter"), conversation=first)
        _, second = await here.known()
        await here.server.restart("cell-0")
        view = await here.shown(second, lambda view: view.interactions)
        assert view.relation is not None
        assert (view.relation.kind, view.relation.reason) == (RelationKind.FOLLOWS_UP, "the claim is another matter")
        assert view.tags is not None
        assert view.tags.topic is not None
        assert (view.tags.topic.value, view.tags.topic.matched) == ("claim", "menu: 2")
        shown = await here.conversation(second)
        [relation] = shown["relations"]
        assert (relation["earlier"], relation["kind"]) == (first, "follows_up")
        assert [(row["origin"], row["origin_interaction"]) for row in shown["moved"]] == [(first, 2)]
        said = await here.read(f"/v1/conversations/{second}/interactions/1/messages")
        assert [(row["text"], row["conversation"]) for row in said["messages"]] == [("about CLM-123456", first)]

        await here.comes("phone", "where is my claim?")
        said = await here.read(f"/v1/conversations/{second}/interactions/2/messages")
        assert [row["text"] for row in said["messages"]] == ["where is my claim?"], "the same topic goes there"

        await here.agent.command(Join(other=second), conversation=first)
        after = await here.conversation(first)
        assert [_facts(row) for row in after["interactions"][:2]] == [_facts(row) for row in before]
        assert [row["interaction"] for row in after["interactions"]] == [1, 2, 3]
        assert [row["kind"] for row in after["corrections"]] == ["split", "join"]
        assert (await here.conversation(second))["interactions"] == []
        assert (await here.conversation(second))["status"] == "closed"
        said = await here.read(f"/v1/conversations/{first}/interactions/3/messages")
        assert [row["text"] for row in said["messages"]] == ["where is my claim?"]


async def test_a_repeat_contact_is_counted_and_its_relation_corrected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened again soon after: a row says so. An agent changes what a conversation is to another, also over HTTP."""
    async with office(tmp_path, "pooled", monkeypatch) as here:
        await here.comes("chat", "my bill is wrong")
        await here.comes("phone", "and my claim")
        [first] = await here.known()
        await here.agent.command(Resolve(reason="explained"), conversation=first)
        await here.comes("chat", "the bill is wrong still")
        shown = await here.conversation(first)
        [repeat] = shown["repeats"]
        assert (repeat["earlier"], repeat["topic"], repeat["channel"]) == (first, "bill", "chat")

        await here.agent.command(Split(interactions=[2]), conversation=first)
        _, second = await here.known()
        await here.agent.command(Relate(kind=RelationKind.ESCALATES, reason="third call"), conversation=second)
        [relation] = (await here.conversation(second))["relations"]
        assert (relation["earlier"], relation["kind"], relation["reason"]) == (first, "escalates", "third call")
        await here.agent.command(TagInteraction(topic="bill"), conversation=second)
        assert (await here.conversation(second))["interactions"][0]["topic"] == "bill"
        with pytest.raises(Refusal, match="one of bill, claim"):
            await here.agent.command(TagInteraction(topic="weather"), conversation=second)
        await here.agent.command(Relate(), conversation=second)
        shown = await here.conversation(second)
        assert shown["relations"] == []
        assert [(row["kind"], row["previous_relation"], row["relation"]) for row in shown["corrections"]] == [
            ("relate", "follows_up", "escalates"),
            ("relate", "escalates", ""),
        ]


async def test_a_classifier_stands_beside_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer comes back as a command; what it is late for, or a tagger knows already, stays as it is."""
    asked: list[str] = []

    async def model(said: Said) -> Labels | None:
        asked.append(said.text)
        if said.text == "slow":
            await asyncio.Event().wait()
        return Labels(topic="claim", evidence="m1, 0.9") if said.text == "a tree fell on it" else None

    async with office(tmp_path, "pooled", monkeypatch) as here:
        classifying = asyncio.create_task(classify(here.agent, model, inbox="queue:default", within_s=0.05))
        await here.comes("chat", "slow")
        await here.comes("app", "my bill")
        await here.comes("phone", "a tree fell on it")
        [conversation] = await here.known()
        await here.told(conversation, InteractionTagged, lambda event: event.interaction == 3)
        rows = (await here.conversation(conversation))["interactions"]
        assert [row["topic"] for row in rows] == ["", "bill", "claim"]
        assert asked == ["slow", "a tree fell on it"]
        classifying.cancel()


def _facts(row: dict[str, Any]) -> dict[str, Any]:
    """A contact's row without what a correction says of itself."""
    return {name: value for name, value in row.items() if name not in ("position", "reason")}
