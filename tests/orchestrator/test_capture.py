"""Capture from a channel's event to what agents and operators see: a whole server in one loop, real HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from actors.rules.capture import CaptureRules, Field, Template, Who
from actors.rules.policy import Policy
from actors.rules.taxonomy import NO_TAXONOMY, Label, Tagger, Taxonomy
from orchestrator.gateway.incoming import replaying
from orchestrator.inprocess import InProcess, in_process
from orchestrator.parts import cell, front
from orchestrator.settings import GatewayAccount, Http, Settings, Store
from orchestrator.tokens import Tokens
from protocol.errors import Code
from tests.adapters.channels.letters import ARRIVED_MS

TIME = "2026-11-22T08:00:00Z"
TIME_MS = 1_795_334_400_000
CONTRACT = Field(name="contract", found_at=("data.text", "raw.contract"), pattern=r"\b[A-Z]\d{4}\b")


def template(when_missing: str, **more: Any) -> CaptureRules:
    """What chats must bring: a contract's number."""
    field = msgspec.structs.replace(CONTRACT, when_missing=when_missing, **more)
    return CaptureRules(templates=(Template(channel="chat", fields=(field,)),))


class Server:
    """A server with one chat account, whoever speaks for it, and an operator. `policy` is what its cell next reads."""

    def __init__(self, parts: InProcess, http: httpx.AsyncClient, chat: str) -> None:
        self.parts = parts
        self.http = http
        self._chat = {"Authorization": f"Bearer {chat}", "Content-Type": "application/cloudevents+json"}
        self.count = 0

    async def say(self, text: str, *, id: str = "", identities: str = "user:1", **more: Any) -> dict[str, Any]:
        """Posts a message; what it answers."""
        self.count += 1
        event = {
            "specversion": "1.0",
            "id": id or f"m{self.count}",
            "source": "shop",
            "type": "throughline.message.received",
            "time": TIME,
            "identities": identities,
            "data": {"text": text},
            **more,
        }
        response = await self.http.post("/v1/events", json=event, headers=self._chat)
        return {"http": response.status_code, **response.json()}

    async def get(self, path: str) -> Any:
        """What a read answers, with all that is committed by now."""
        position = (await self.http.get("/v1/status")).json()["journal_position"]
        await self.http.get(f"/v1/conversations?at_least={position}")
        response = await self.http.get(path)
        assert response.status_code == 200, response.text
        return response.json()

    async def replay(self, quarantine: str, **body: Any) -> dict[str, Any]:
        """Takes it in after all."""
        response = await self.http.post(f"/v1/quarantine/{quarantine}/replay", json=body)
        return {"http": response.status_code, **response.json()}

    async def messages(self, conversation: str) -> list[dict[str, Any]]:
        """The customer's words in it."""
        events = (await self.get(f"/v1/conversations/{conversation}"))["events"]
        return [event for event in events if event["type"] == "MessageReceived"]

    async def everyone(self) -> list[dict[str, Any]]:
        """All customers' words, whoever's they became."""
        rows = (await self.get("/v1/conversations"))["conversations"]
        return [message for row in rows for message in await self.messages(row["conversation"])]


class Policies:
    """The policy in force; a cell reads it when it begins."""

    def __init__(self) -> None:
        self.now = Policy(version=1)

    def write(self, version: int, capture: CaptureRules, taxonomy: Taxonomy = NO_TAXONOMY) -> None:
        """Another version."""
        self.now = Policy(version=version, capture=capture, taxonomy=taxonomy)


@pytest.fixture
def policies(monkeypatch: pytest.MonkeyPatch) -> Policies:
    """In the place of what the settings say."""
    policies = Policies()
    for part in (cell, front):
        monkeypatch.setattr(part, "policy_of", lambda settings, noted=(): policies.now)
    return policies


@asynccontextmanager
async def serving(folder: Path, *, store: Store = "memory") -> AsyncIterator[Server]:
    """A server in this loop."""
    account = GatewayAccount(name="chat", channel="chat")
    settings = Settings(data=str(folder), store=store, cells=1, http=Http(port=0), accounts=[account])
    tokens = Tokens(folder / "tokens.json", now_ms=lambda: ARRIVED_MS)
    olga, _ = tokens.create(["operator"], "olga")
    chat, _ = tokens.create(["gateway:chat"], "chat")
    async with (
        in_process(settings, folder, now_ms=lambda: TIME_MS) as parts,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{parts.facts['gateway']['port']}",
            headers={"Authorization": f"Bearer {olga}"},
            trust_env=False,
        ) as http,
    ):
        yield Server(parts, http, chat)


async def test_what_is_missing_is_asked_once_and_the_answer_is_kept(tmp_path: Path, policies: Policies) -> None:
    """One question for two messages without the number; the third brings it, and the agent sees both."""
    policies.write(7, template("ask_customer", question="Which contract is it?"))
    async with serving(tmp_path) as server:
        conversation = (await server.say("my bill is wrong"))["conversation"]
        await server.say("hello?")
        shown = await server.get(f"/v1/conversations/{conversation}")
        [missing] = [gap for gap in shown["missing"] if gap["field"] == "contract"]
        assert (missing["action"], missing["template"], missing["policy"]) == ("ask_customer", "chat", 7)
        assert missing["known_at_ms"] is None
        assert [delivery["delivery"] for delivery in shown["deliveries"]] == [missing["delivery"]]
        await server.say("it is B1234")
        shown = await server.get(f"/v1/conversations/{conversation}")
        assert {item["key"]: item["value"] for item in shown["context"]} == {"contract": "B1234"}
        assert [event["text"] for event in shown["events"] if event["type"] == "MessageQueued"] == [
            "Which contract is it?"
        ]
        seen = await server.get("/v1/context?identity=user:1")
        assert [gap["field"] for gap in seen["open"][0]["missing"]] == ["topic"]


async def test_a_refused_event_says_why_and_comes_in_once_the_template_is_mended(
    tmp_path: Path, policies: Policies
) -> None:
    """At its own time, in one copy: also where its sender repeats it, and where it is replayed twice."""
    policies.write(3, template("quarantine"))
    async with serving(tmp_path) as server:
        refused = await server.say("my bill is wrong", id="m")
        assert (refused["http"], refused["status"], refused["field"]) == (202, "quarantined", "contract")
        again = await server.say("my bill is wrong", id="m")
        assert again["quarantine"] == refused["quarantine"]
        [row] = await server.get("/v1/quarantine?rule=capture:chat&field=contract&code=4200&waiting=true")
        shown = await server.get(f"/v1/quarantine/{row['quarantine']}")
        assert (shown["rule"], shown["policy"], shown["field"]) == ("capture:chat", 3, "contract")
        assert "my bill is wrong" in shown["text"]
        # Refused again, it is not kept a second time.
        assert (await server.replay(row["quarantine"]))["field"] == "contract"
        assert len(await server.get("/v1/quarantine")) == 1
        assert "contract" in (await server.get(f"/v1/quarantine/{row['quarantine']}"))["refused_reason"]
        policies.write(4, template("ask_agent"))
        await server.parts.restart("cell-0")
        replayed = await server.replay(row["quarantine"])
        assert (replayed["http"], replayed["status"]) == (200, "committed")
        assert (await server.replay(row["quarantine"]))["code"] == Code.NOT_ALLOWED_NOW
        assert (await server.say("my bill is wrong", id="m"))["status"] == "repeat"
        [message] = await server.messages(replayed["stream"])
        assert (message["text"], message["provider_ms"]) == ("my bill is wrong", TIME_MS)
        assert await server.get("/v1/quarantine?waiting=true") == []
        shown = await server.get(f"/v1/quarantine/{row['quarantine']}")
        assert shown["replayed_stream"] == replayed["stream"]


async def test_an_event_of_nobody_waits_until_someone_says_whose_it_is(tmp_path: Path, policies: Policies) -> None:
    """It lies with its account; what an operator says of it is the operator's word, and no channel's."""
    async with serving(tmp_path) as server:
        homeless = await server.say("who am I?", id="m", identities="")
        assert (homeless["status"], homeless["code"]) == ("quarantined", Code.NO_IDENTITY)
        [row] = await server.get(f"/v1/quarantine?account=chat&code={Code.NO_IDENTITY:d}")
        assert (row["stream"], row["rule"], row["field"]) == ("account:chat", "schema", "identities")
        assert (await server.replay(row["quarantine"]))["code"] == Code.NO_IDENTITY
        replayed = await server.replay(row["quarantine"], identities=["tel:+44 7700 900123"])
        assert replayed["status"] == "committed"
        journey = await server.get(f"/v1/customers/{replayed['stream'].rpartition('-')[0]}/journey")
        [identity] = journey["identities"]
        assert (identity["identity"], identity["evidence"]) == ("tel:+447700900123", "agent")
        assert (identity["verified"], identity["linked_by"]) == (0, "operator:olga")
        [message] = await server.messages(replayed["stream"])
        assert message["provider_ms"] == TIME_MS
        # And a second one, of that customer.
        second = await server.say("me again", identities="")
        customer = journey["customer"]
        assert (await server.replay(second["quarantine"], customer=customer))["stream"] == replayed["stream"]


async def test_what_is_refused_is_about_something_all_the_same(tmp_path: Path, policies: Policies) -> None:
    """The taxonomy says of which product line, whoever refused it: the template, or the door. The report has it."""
    cars = Taxonomy(product_lines={"motor": Label(taggers=(Tagger(words=("car",)),))})
    policies.write(3, template("quarantine"), taxonomy=cars)
    async with serving(tmp_path) as server:
        for identities, text in (("user:1", "my car"), ("", "a car"), ("pidgeon:1", "the car"), ("", "the boat")):
            assert (await server.say(text, identities=identities))["status"] == "quarantined"
        rows = await server.get("/v1/quarantine")
        assert sorted(row["product_line"] for row in rows) == ["", "motor", "motor", "motor"]
        report = await server.get("/v1/reports/context-loss?product_line=motor")
        assert sum(row["count"] for row in report["rows"] if row["measure"] == "quarantined") == 3


async def test_whose_an_event_is_may_stand_in_it(tmp_path: Path, policies: Policies) -> None:
    """A form's number, by the template: linked, not verified, and the same customer for the next form. What is no
    number is kept, as what has none is."""
    who = (Who(kind="tel", found_at=("raw.phone",)), Who(kind="mailto", pattern=r"\S+@\S+"))
    policies.write(5, CaptureRules(templates=(Template(channel="chat", identities=who),)))
    async with serving(tmp_path) as server:
        first = await server.say("call me", identities="", phone="07700 900123")
        assert first["status"] == "committed"
        second = await server.say("I am ann@example.org", identities="", phone="+44 7700 900123")
        assert second["conversation"] == first["conversation"]
        journey = await server.get(f"/v1/customers/{first['conversation'].rpartition('-')[0]}/journey")
        [identity] = journey["identities"]
        assert (identity["identity"], identity["evidence"]) == ("tel:+447700900123", "policy")
        assert (identity["verified"], identity["linked_by"]) == (0, "policy")
        assert (await server.say("hm", identities="", phone="none"))["code"] == Code.BAD_IDENTITY
        assert (await server.say("hm", identities=""))["code"] == Code.NO_IDENTITY


async def test_an_edited_event_comes_in_as_it_was_edited(tmp_path: Path, policies: Policies) -> None:
    """What came stays as it came, beside the edit."""
    policies.write(3, template("quarantine"))
    async with serving(tmp_path) as server:
        refused = await server.say("my bill is wrong")
        shown = await server.get(f"/v1/quarantine/{refused['quarantine']}")
        event = shown["event"]
        event["data"]["text"] += ", contract B1234"
        replayed = await server.replay(refused["quarantine"], event=event)
        assert replayed["status"] == "committed"
        [message] = await server.messages(replayed["stream"])
        assert message["text"] == "my bill is wrong, contract B1234"
        shown = await server.get(f"/v1/quarantine/{refused['quarantine']}")
        assert (shown["edited"]["data"], "B1234" in shown["text"]) == (
            {"type": "throughline.message.received", "text": "my bill is wrong, contract B1234"},
            False,
        )


async def test_an_edit_that_stands_where_nobody_looks_is_refused(tmp_path: Path, policies: Policies) -> None:
    """A form's field belongs into `raw`; beside it, it would be read by nobody, and the field be missing as before."""
    policies.write(3, template("quarantine"))
    async with serving(tmp_path) as server:
        refused = await server.say("my bill is wrong")
        assert refused["message"].endswith("it is looked for in data.text, raw.contract")
        event = (await server.get(f"/v1/quarantine/{refused['quarantine']}"))["event"]
        wrong = await server.replay(refused["quarantine"], event={**event, "contract": "B1234"})
        assert (wrong["http"], wrong["field"], "`raw`" in wrong["message"]) == (422, "contract", True)
        right = await server.replay(refused["quarantine"], event={**event, "raw": {"contract": "B1234"}})
        assert right["status"] == "committed"


async def test_what_came_in_as_somebody_elses_is_a_repeat_when_its_source_sends_it_again(
    tmp_path: Path, policies: Policies
) -> None:
    """Though the template takes it by then, and also where its own customer's cell has come back meanwhile."""
    policies.write(3, template("quarantine"))
    async with serving(tmp_path) as server:
        refused = await server.say("my bill is wrong", id="m")
        event = (await server.get(f"/v1/quarantine/{refused['quarantine']}"))["event"]
        edit = {**event, "raw": {"contract": "B1234"}, "identities": ["user:2"]}
        replayed = await server.replay(refused["quarantine"], event=edit)
        assert replayed["status"] == "committed"
        policies.write(4, CaptureRules())
        await server.parts.restart("cell-0")
        again = await server.say("my bill is wrong", id="m")
        assert (again["http"], again["status"], again["conversation"], again["seq"]) == (200, "repeat", "", 0)
        assert [message["identity"] for message in await server.everyone()] == ["user:2"]


async def test_what_its_source_sent_again_does_not_come_in_as_somebody_elses_too(
    tmp_path: Path, policies: Policies
) -> None:
    """The operator is told so; replayed as it is, it is marked as what came in."""
    policies.write(3, template("quarantine"))
    async with serving(tmp_path) as server:
        quarantine = (await server.say("my bill is wrong", id="m"))["quarantine"]
        policies.write(4, CaptureRules())
        await server.parts.restart("cell-0")
        came = await server.say("my bill is wrong", id="m")
        assert came["status"] == "committed"
        late = await server.replay(quarantine, identities=["user:2"])
        assert (late["http"], late["code"], "came in meanwhile" in late["message"]) == (409, Code.NOT_ALLOWED_NOW, True)
        assert (await server.replay(quarantine))["stream"] == came["conversation"]
        assert [message["identity"] for message in await server.everyone()] == ["user:1"]


async def test_what_nobody_else_could_get_comes_in_as_its_own_customers(tmp_path: Path, policies: Policies) -> None:
    """It was begun as another's and refused: until then, and after it, its source's word is a repeat; the operator's
    is not."""
    policies.write(3, template("quarantine"))
    async with serving(tmp_path) as server:
        quarantine = (await server.say("my bill is wrong", id="m"))["quarantine"]
        assert (await server.replay(quarantine, identities=["user:2"]))["field"] == "contract"
        policies.write(4, CaptureRules())
        await server.parts.restart("cell-0")
        assert (await server.say("my bill is wrong", id="m"))["status"] == "repeat"
        assert await server.everyone() == []
        assert (await server.replay(quarantine))["status"] == "committed"
        assert (await server.say("my bill is wrong", id="m"))["status"] == "repeat"
        assert [message["identity"] for message in await server.everyone()] == ["user:1"]


async def test_two_operators_at_once_take_it_in_once(tmp_path: Path, policies: Policies) -> None:
    """Each as somebody else's: one of them is told no, or that it was in already."""
    async with serving(tmp_path) as server:
        quarantine = (await server.say("who am I?", identities=""))["quarantine"]
        answers = await asyncio.gather(*(server.replay(quarantine, identities=[f"user:{n}"]) for n in range(4)))
        assert sorted(answer["http"] for answer in answers) == [200, 409, 409, 409]
        assert len(await server.everyone()) == 1


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize("dies", ["before it is sent", "before it is marked"])
@pytest.mark.parametrize("part", ["cell-0", "journal", "archive"])
async def test_a_replay_that_is_cut_short_comes_in_once(
    tmp_path: Path, policies: Policies, monkeypatch: pytest.MonkeyPatch, store: Store, dies: str, part: str
) -> None:
    """Its next try goes on with what was begun, even where it names somebody else by now."""
    async with serving(tmp_path, store=store) as server:
        quarantine = (await server.say("who am I?", id="m", identities=""))["quarantine"]
        with monkeypatch.context() as cut:
            step = "Replay" if dies == "before it is sent" else "MarkReplayed"
            cut.setattr(replaying, step, _died)
            assert (await server.replay(quarantine, identities=["user:1"]))["http"] == 500
        await server.parts.restart(part)
        late = await server.replay(quarantine, identities=["user:2"])
        assert late["code"] == Code.NOT_ALLOWED_NOW
        assert "came in as it was before this edit" in late["message"]
        assert [message["identity"] for message in await server.everyone()] == ["user:1"]
        assert (await server.replay(quarantine))["code"] == Code.NOT_ALLOWED_NOW


def _died(*_: object, **__: object) -> None:
    raise ConnectionError("the process ended here")
