"""The demo: who plays, what it refuses to play with, what the desk makes of what it hears, and the whole of it."""

import asyncio
import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random
from typing import Any, cast

import httpx
import pytest
from msgspec.structs import replace
from rich.cells import cell_len
from rich.console import Console

from actors.rules.policy import Policy
from orchestrator.bundles.differences import rules_of
from orchestrator.bundles.folder import DEFAULTS, SHIPPED, read_folder
from orchestrator.bundles.making import SetUp, make
from orchestrator.client import AgentClient, ConversationUpdate
from orchestrator.demo.cast import meet, was_met
from orchestrator.demo.desk import Desk
from orchestrator.demo.outside import Outside, Unplayable, playable
from orchestrator.demo.play import Missing, _beside
from orchestrator.demo.screen import Lines
from orchestrator.settings import DEMO_ACCOUNTS, Account, EmailAccount, TwilioAccount
from protocol.entities import ConversationSummary, ConversationView, Status
from protocol.events import MessageReceived
from protocol.frames import Error, Inbox
from protocol.identities import normalise
from tests.live_server import LiveServer


def test_a_customer_is_someone_nobody_has_met() -> None:
    """Identities are in the server's own spelling, and a number that belongs to someone is not taken."""
    taken: list[str] = []

    def known(identity: str) -> bool:
        taken.append(identity)
        return len(taken) < 3

    customer = meet(Random(1), known=known)
    assert f"tel:{customer.number}" == taken[2]
    assert [normalise(identity) for identity in customer.identities] == customer.identities
    assert meet(Random(2), known=lambda _: False) != customer


def test_customers_of_other_runs_are_told_from_real_ones() -> None:
    """By the id that the chat gives them."""
    for seed in range(50):
        assert was_met(meet(Random(seed), known=lambda _: False).identities[0])
    assert not any(
        map(
            was_met,
            ("web:visitor-88", "web:visitor-deadbeef", "chat:throughline-demo-123456", "web:throughline-demo-12345x"),
        )
    )


def test_a_world_without_free_numbers_ends() -> None:
    """It says so, and does not look forever."""
    with pytest.raises(LookupError, match="fresh data folder"):
        meet(Random(1), known=lambda _: True)


def test_the_accounts_of_a_server_without_settings_are_playable() -> None:
    """One of each kind."""
    accounts = playable(list(DEMO_ACCOUNTS))
    assert (accounts.mail.name, accounts.sms.name, accounts.chat.name) == ("mail", "sms", "chat")


def test_nobody_real_gets_a_mail_or_a_text_from_a_demo() -> None:
    """Accounts whose other end is not on this machine are refused."""
    outside: Account
    for account in DEMO_ACCOUNTS:
        if isinstance(account, EmailAccount):
            outside = replace(account, relay="smtp.example.org:587")
        elif isinstance(account, TwilioAccount):
            outside = replace(account, api="https://api.twilio.com")
        else:
            outside = replace(account, trusted=False)
        with pytest.raises(Unplayable, match="loopback"):
            playable([outside if other is account else other for other in DEMO_ACCOUNTS])


async def test_a_demo_with_another_server_s_settings_says_so() -> None:
    """Its mail goes where they say, and nobody is there: it ended in a traceback."""
    accounts = playable(list(DEMO_ACCOUNTS))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # And does not listen, so that whoever connects is refused.
        nobody = f"127.0.0.1:{bound.getsockname()[1]}"
        outside = Outside("http://127.0.0.1", replace(accounts, mail=replace(accounts.mail, listen=nobody)))
        with pytest.raises(Unplayable, match=f"nobody takes mail on {nobody}.*--settings"):
            await outside.send_mail(meet(Random(1), known=lambda identity: False), subject="s", text="t", id="i")


async def test_a_demo_whose_webhook_answers_from_elsewhere_alone_says_so() -> None:
    """A `public_url` that Twilio reaches, and this machine does not: it ended in a traceback."""
    accounts = playable(list(DEMO_ACCOUNTS))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # And does not listen, as above.
        nobody = f"http://127.0.0.1:{bound.getsockname()[1]}"
        outside = Outside("http://127.0.0.1", replace(accounts, sms=replace(accounts.sms, public_url=nobody)))
        with pytest.raises(Unplayable, match=f"cannot reach {nobody}/webhooks/sms.*ConnectError.*public_url"):
            await outside.send_sms(meet(Random(1), known=lambda identity: False), text="t")


@pytest.mark.parametrize("where", ["in the block", "beside it"])
async def test_what_goes_wrong_in_the_play_is_raised_as_itself(where: str) -> None:
    """And no group of it, which nobody who tells it catches: it ended in a traceback."""

    async def work() -> None:
        if where == "beside it":
            raise Missing("the mail")
        await asyncio.Event().wait()

    async def block() -> None:
        async with asyncio.timeout(5), _beside(work()):
            if where == "in the block":
                raise Missing("the mail")
            await asyncio.Event().wait()

    with pytest.raises(Missing, match="the mail"):
        await block()


class Client:
    """An SDK client whose stream a test writes."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[ConversationUpdate | Inbox | Error] = asyncio.Queue()
        self.asked: list[str] = []

    def watch(self, *, conversation: str = "", inbox: str = "") -> None:
        self.asked.append(f"watch {conversation or inbox}")

    def unwatch(self, *, conversation: str) -> None:
        self.asked.append(f"unwatch {conversation}")

    async def stream(self) -> AsyncIterator[ConversationUpdate | Inbox | Error]:
        while True:
            yield await self.heard.get()


def update(conversation: str, identity: str, text: str) -> ConversationUpdate:
    """A first look at a conversation with one message."""
    view = ConversationView(conversation=conversation, customer="cu", status=Status.OPEN, identities=[identity])
    event = MessageReceived(
        at_ms=1, interaction=1, channel="chat", identity=identity, source="s", id="1", provider_ms=1, text=text
    )
    return ConversationUpdate(conversation=conversation, generation="g", seq=1, events=[event], view=view)


def rows(*conversations: str, full: bool = False) -> Inbox:
    """An inbox's rows."""
    entries = [ConversationSummary(conversation=c, customer="cu", head=1) for c in conversations]
    return Inbox(inbox="queue:default", entries=entries, full=full)


async def test_the_desk_follows_its_own_customer_and_lets_others_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waited before is not looked at; what is somebody else's is not shown."""
    client, out = Client(), io.StringIO()
    agent = cast(AgentClient, client)  # A desk asks no more of one.
    desk = Desk(agent, ["web:v"], Lines(Console(file=out, width=200)))
    reading = asyncio.create_task(desk.run())
    sitting = asyncio.create_task(desk.sit_down("queue:default"))
    async with asyncio.timeout(5):
        client.heard.put_nowait(rows("old-1", full=True))
        await sitting
        client.heard.put_nowait(rows("old-1", "other-1", "own-1"))
        client.heard.put_nowait(update("other-1", "web:other", "not ours"))
        client.heard.put_nowait(update("own-1", "web:v", "[bold]ours"))
        conversation, seq, _ = await desk.see(lambda event: isinstance(event, MessageReceived))
    reading.cancel()
    assert (conversation, seq, desk.conversations) == ("own-1", 1, ["own-1"])
    assert client.asked == ["watch queue:default", "watch other-1", "watch own-1", "unwatch other-1"]
    assert "[bold]ours" in out.getvalue()
    assert "not ours" not in out.getvalue()


def test_a_line_of_the_demo_is_one_line_of_a_terminal() -> None:
    """A message is cut to the room there is, and a conversation is named once."""
    out = io.StringIO()
    screen = Lines(Console(file=out, width=80))
    words = "I wrote an hour ago, and nobody has told me yet why my bill doubled this month."
    for seq in (1, 2):
        said = MessageReceived(
            at_ms=1, interaction=1, channel="chat", identity="web:v", source="s", id="1", provider_ms=1, text=words
        )
        screen.agent("cudc41l6kfm83irgnn0jq0-1", seq, said)
    screen.outside("email", "cleo.5894990c@customer.example gets", words)
    lines = out.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["conversation", "agent", "agent", "📧"]
    assert max(map(cell_len, lines)) <= 80
    assert all("…" in line for line in lines[1:])


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A real server."""
    server = LiveServer(tmp_path_factory.mktemp("demo"))
    server.start()
    yield server
    assert server.stop() == 0


def throughline(live: LiveServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command as an operator does, from the folder with the settings."""
    program = [sys.executable, "-m", "orchestrator.cli", *arguments]
    root = str(Path(__file__).parents[3])
    environ = {**os.environ, "PYTHONPATH": root, "COLUMNS": "160"}
    return subprocess.run(
        program, cwd=live.folder, env=environ, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.slow
def test_the_demo_plays_to_its_end_as_often_as_one_likes(live: LiveServer) -> None:
    """Three channels in, three out, one conversation, no gap; the second run has another customer."""
    first = throughline(live, "demo", "--json")
    assert first.returncode == 0, first.stderr
    told = json.loads(first.stdout)
    assert told["channels"] == ["chat", "email", "sms"]
    assert told["sent"] == ["email", "sms", "chat"]
    assert [seq for seq, _ in told["events"]] == [*range(1, len(told["events"]) + 1)]
    second = throughline(live, "demo")
    assert second.returncode == 0, second.stdout + second.stderr
    assert "agent sees" in second.stdout
    assert told["conversation"] not in second.stdout


@pytest.mark.slow
def test_the_demo_s_data_has_something_to_report(live: LiveServer) -> None:
    """One loss of each kind that it plays, with what to look at; the demo says where to look."""
    assert f"-m orchestrator.cli report context-loss --data {live.data}" in throughline(live, "demo").stdout
    rows = json.loads(throughline(live, "report", "context-loss", "--json").stdout)["rows"]
    found = {row["measure"]: (row["channels"], row["mend"], row["rule"]) for row in rows}
    assert found == {
        "quarantined": ("chat", "capture.yaml", "templates[chat].identities"),
        "handoff_unacknowledged": ("sms", "handoffs.yaml", "kinds.team-team"),
        "duplicate_identity": ("tel → whatsapp", "identity.yaml", "alike"),
    }


def shipped_rules() -> set[str]:
    """The rules of the bundles that ship, as `throughline policy diff` names them."""
    rules: set[str] = set()
    for name in DEFAULTS:
        made = make(read_folder(SHIPPED / name)[0], SetUp(Policy(), {})).policy
        assert made is not None
        rules |= rules_of(made).keys()
    return rules


@pytest.mark.slow
@pytest.mark.parametrize("bundle", DEFAULTS)
def test_the_demo_plays_with_a_bundle_in_force(live: LiveServer, bundle: str, tmp_path: Path) -> None:
    """Chats wait in another queue then, and the customer is asked for what a template wants."""
    folder = str(tmp_path / bundle)
    assert throughline(live, "policy", "init", folder, "--from", bundle).returncode == 0
    assert throughline(live, "policy", "apply", folder).returncode == 0
    played = throughline(live, "demo", "--json")
    assert played.returncode == 0, played.stderr
    assert json.loads(played.stdout)["sent"] == ["email", "sms", "chat"]
    lost = json.loads(throughline(live, "report", "context-loss", "--json").stdout)["rows"]
    pointed = {f"{row['mend']}: {row['rule']}" for row in lost if row["team"] == "service"}
    assert pointed
    assert all(any(rule.startswith(each) for rule in shipped_rules()) for each in pointed), pointed
    assert throughline(live, "policy", "rollback", "1").returncode == 0


@pytest.mark.slow
def test_operators_commands_work_on_a_real_server(live: LiveServer) -> None:
    """What the table of `docs/operations.md` says, against the real thing."""
    told = json.loads(throughline(live, "demo", "--json").stdout)
    assert json.loads(throughline(live, "status", "--json").stdout)["ready"] is True
    shown = throughline(live, "conversation", "show", told["conversation"])
    assert "MessageReceived" in shown.stdout
    linked = throughline(live, "customer", "link", told["customer"], f"user:{told['customer']}", "--json")
    assert json.loads(linked.stdout)["status"] == "committed"
    assert json.loads(throughline(live, "outbox", "list", "--json").stdout) == []
    refused = json.loads(throughline(live, "quarantine", "list", "--json").stdout)
    assert {(row["account"], row["code"]) for row in refused} == {("chat", 4204)}
    assert throughline(live, "conversation", "show", "cu-1").returncode == 1
    assert throughline(live, "archive", "rebuild").returncode == 4


@pytest.mark.slow
def test_the_demo_gives_up_nobody_elses_message(live: LiveServer) -> None:
    """What waits for the chat's own client waits on as it was: the demo is not played then, and says why."""
    event = {"specversion": "1.0", "id": "1", "source": "shop", "type": "throughline.message.received"}
    said = {**event, "account": "chat", "identities": "chat:real", "data": {"text": "Hello"}}
    structured = {"Content-Type": "application/cloudevents+json", "Authorization": f"Bearer {live.gateway_token}"}
    with httpx.Client(base_url=live.url, trust_env=False) as http:
        taken = http.post("/v1/events", content=json.dumps(said), headers=structured).raise_for_status().json()
        http.post(
            f"/v1/conversations/{taken['conversation']}/commands",
            json={"command": {"do": "reply", "text": "Good morning"}},
            headers={"Authorization": f"Bearer {live.agent_token}"},
        ).raise_for_status()
    before = _to_real(live)
    refused = throughline(live, "demo", "--json")
    assert refused.returncode == 1
    assert "the client of account chat: 1 to others than its own customers, the first to chat:real" in refused.stderr
    assert _to_real(live) == before


def _to_real(live: LiveServer) -> dict[str, Any]:
    """The message to the real customer as it waits, once the archive has it so."""
    for _ in range(50):
        rows = json.loads(throughline(live, "outbox", "list", "--json").stdout)
        if own := [row for row in rows if row["recipient"] == "chat:real" and row["state"] == "waiting"]:
            return dict(own[0])
    raise AssertionError(f"nothing waits for chat:real: {rows}")


@pytest.mark.slow
def test_a_second_server_on_the_same_data_folder_is_refused(live: LiveServer) -> None:
    """With the first one's process, and the first one goes on."""
    second = throughline(live, "serve", "--port", "0")
    assert second.returncode == 4
    assert "in use by another server" in second.stderr
    assert throughline(live, "status").returncode == 0
