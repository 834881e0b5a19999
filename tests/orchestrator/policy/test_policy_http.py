"""The policy as operators meet it: over HTTP, by the command line, and in a folder that is watched."""

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from orchestrator.cli import app as cli
from orchestrator.client import AgentClient, GatewayClient
from orchestrator.inprocess import InProcess, in_process
from orchestrator.parts.front import Front
from orchestrator.policy.former_lines import note_lines
from orchestrator.settings import GatewayAccount, Http, Placement, Settings
from orchestrator.tokens import Tokens
from protocol.events import MessageReceived
from protocol.inbound import InboundEvent, MessageArrived

pytestmark = pytest.mark.usefixtures("quiet_log")

DEADLINE_S = 10.0
WRONG = {"general.yaml": "queue_defualt: x\nattempts_max: many\n"}
RIGHT = {"general.yaml": "queue_default: bills\n"}


class Server:
    """A whole server in one loop, and an operator's client."""

    def __init__(self, running: InProcess, url: str, tokens: dict[str, str], http: httpx.AsyncClient) -> None:
        self.running = running
        self.url = url
        self.tokens = tokens
        self.http = http

    async def post(self, path: str, body: dict[str, Any], *, status: int = 200, token: str = "operator") -> Any:
        """What a POST answers."""
        kind = "application/cloudevents+json" if "specversion" in body else "application/json"
        headers = {"Authorization": f"Bearer {self.tokens[token]}", "Content-Type": kind}
        answer = await self.http.post(path, content=json.dumps(body), headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def get(self, path: str, *, status: int = 200) -> Any:
        """What a GET answers."""
        answer = await self.http.get(path, headers={"Authorization": f"Bearer {self.tokens['operator']}"})
        assert answer.status_code == status, answer.text
        return answer.json()


@asynccontextmanager
async def server(folder: Path, *, placement: Placement = "pooled", policy_folder: str = "") -> AsyncIterator[Server]:
    """On a port of its own, with a token for an operator and one for a program that serves WhatsApp."""
    settings = Settings(
        data=str(folder),
        store="memory",
        cells=2,
        placement=placement,
        policy_folder=policy_folder,
        http=Http(port=0),
        accounts=[GatewayAccount(name="chat", trusted=True)],
    )
    kept = Tokens(folder / "tokens.json", now_ms=lambda: 1)
    tokens = {
        name: kept.create([name], name.replace(":", "-").replace("*", "all"))[0]
        for name in ("operator", "gateway:whatsapp", "gateway:carrier", "gateway:*", "agent", "read")
    }
    async with in_process(settings, folder) as running:
        url = f"http://127.0.0.1:{running.facts['gateway']['port']}"
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=DEADLINE_S) as http:
            yield Server(running, url, tokens, http)


def event(id: str) -> dict[str, Any]:
    """A CloudEvent of an account that no setting names."""
    return {
        "specversion": "1.0",
        "id": id,
        "source": "wa",
        "type": "throughline.message.received",
        "account": "whatsapp",
        "identities": "user:ann",
        "data": {"text": "hello"},
    }


async def until(check: Any) -> Any:
    """What `check` answers, once it is something."""
    async with asyncio.timeout(DEADLINE_S):
        while not (found := await check()):  # noqa: ASYNC110 - over HTTP nobody tells a test
            await asyncio.sleep(0.01)
    return found


@pytest.mark.parametrize("placement", ["pooled", "dedicated"])
async def test_a_bundle_from_check_to_rollback(tmp_path: Path, placement: Placement) -> None:
    """Each step answers what the next one needs."""
    async with server(tmp_path, placement=placement) as here:
        assert (await here.get("/v1/policy"))["version"] == 1
        checked = await here.post("/v1/policy/check", {"files": WRONG}, token="read")
        assert not checked["valid"]
        assert [(each["file"], each["line"]) for each in checked["wrong"]] == [("general.yaml", 1), ("general.yaml", 2)]
        refused = await here.post("/v1/policy", {"files": WRONG}, status=422)
        assert "general.yaml:1: " in refused["message"]
        assert "general.yaml:2: " in refused["message"]
        [changed] = await here.post("/v1/policy/diff", {"files": RIGHT})
        assert changed == {"rule": "general.yaml: queue_default", "before": "default", "after": "bills"}
        applied = await here.post("/v1/policy", {"files": RIGHT, "note": "why not", "base": 1})
        assert (applied["version"], applied["late"], applied["watched"]) == (2, [], "")
        shown = await here.get("/v1/policy")
        assert (shown["version"], shown["actor"], shown["note"], shown["files"]) == (
            2,
            "operator:operator",
            "why not",
            RIGHT,
        )
        assert (await here.post("/v1/policy/rollback", {"version": 1}))["version"] == 3
        versions = await here.get("/v1/policy/versions")
        assert [(v["version"], v.get("note", "")) for v in versions] == [
            (3, "back to version 1"),
            (2, "why not"),
            (1, "as the settings say"),
        ]
        assert (await here.get("/v1/policy/versions/2"))["files"] == RIGHT
        await here.get("/v1/policy/versions/9", status=404)
        await here.post("/v1/policy", {"files": RIGHT}, status=403, token="read")
        assert (await here.get("/v1/status"))["policy"] == 3


@pytest.mark.parametrize("placement", ["pooled", "dedicated"])
async def test_a_new_channel_is_live(tmp_path: Path, placement: Placement) -> None:
    """Its token is refused before, and its next event is committed once it is in the bundle; no restart."""
    async with server(tmp_path, placement=placement) as here:
        await here.post("/v1/events", event("1"), status=404, token="gateway:whatsapp")
        files = {"accounts.yaml": "whatsapp:\n  channel: whatsapp\n  queue: messages\n"}
        await here.post("/v1/policy", {"files": files})
        answer = await here.post("/v1/events", event("1"), token="gateway:whatsapp")
        assert answer["status"] == "committed"
        listed = await here.get(f"/v1/conversations?list=queue:messages&at_least={answer['position']}")
        assert [(c["conversation"], c["channel"]) for c in listed["conversations"]] == [
            (answer["conversation"], "whatsapp")
        ]
        accounts = (await here.get("/v1/status"))["accounts"]
        assert {"account": "whatsapp", "kind": "gateway", "address": ""} in accounts


async def test_who_checks_hears_of_a_line_that_changes_its_channel(tmp_path: Path) -> None:
    """By what is in force, the settings' accounts among it; once it is so it is no more said."""
    line = {"accounts.yaml": "whatsapp:\n  channel: whatsapp\n"}
    moved = {"accounts.yaml": "whatsapp:\n  channel: sms\nchat:\n  channel: app\n"}
    async with server(tmp_path) as here:
        assert (await here.post("/v1/policy/check", {"files": line}))["remarks"] == []
        await here.post("/v1/policy", {"files": line})
        remarks = (await here.post("/v1/policy/check", {"files": moved}))["remarks"]
        assert [(each["file"], each["line"]) for each in remarks] == [("accounts.yaml", 2), ("accounts.yaml", 4)]
        assert "would be one of sms" in remarks[0]["text"]
        assert "account chat is a line of chat now" in remarks[1]["text"]
        await here.post("/v1/policy", {"files": moved})
        assert (await here.post("/v1/policy/check", {"files": moved}))["remarks"] == []


@pytest.mark.parametrize("placement", ["pooled", "dedicated"])
async def test_who_checks_hears_of_a_line_that_was_another_channels_before_it_was_gone(
    tmp_path: Path, placement: Placement
) -> None:
    """Also from a gateway that began after the version which had it; and of what the settings had at an earlier start,
    before the first version and after."""
    note_lines(tmp_path, {"old": "email", "chat": "chat"})
    comes_back = {"accounts.yaml": "line:\n  channel: whatsapp\nold:\n  channel: web\n"}
    async with server(tmp_path, placement=placement) as here:
        for accounts in ("line:\n  channel: sms\n", "other:\n  channel: sms\n"):
            *_, remark = (await here.post("/v1/policy/check", {"files": comes_back}))["remarks"]
            assert remark["line"] == 4
            assert "account old was a line of email before" in remark["text"]
            await here.post("/v1/policy", {"files": {"accounts.yaml": accounts}})
        another = Front(here.running.surroundings("gateway-1"))
        await another.start()
        assert another.in_force.policy.former == {"line": frozenset({"sms"}), "old": frozenset({"email"})}
        await another.stop()
        remarks = (await here.post("/v1/policy/check", {"files": comes_back}))["remarks"]
        assert [(each["file"], each["line"]) for each in remarks] == [("accounts.yaml", 2), ("accounts.yaml", 4)]
        assert "account line was a line of sms before" in remarks[0]["text"]
        assert (await here.post("/v1/policy/diff", {"files": comes_back})) != []
        await here.post("/v1/policy", {"files": comes_back})
        assert (await here.post("/v1/policy/check", {"files": comes_back}))["remarks"] == []


@pytest.mark.parametrize("placement", ["pooled", "dedicated"])
async def test_a_line_that_goes_and_comes_back_costs_its_client_no_connection(
    tmp_path: Path, placement: Placement
) -> None:
    """It is connected before the line is there, and given what is for it from then on, twice."""
    files = {"accounts.yaml": "whatsapp:\n  channel: whatsapp\n"}
    said: list[str] = []
    async with (
        server(tmp_path, placement=placement) as here,
        GatewayClient(here.url, here.tokens["gateway:*"], accounts=["chat", "whatsapp"]) as program,
        asyncio.timeout(DEADLINE_S),
    ):

        async def told(*untaken: str) -> None:
            while list(program.untaken) != list(untaken):  # noqa: ASYNC110 - it is a state that frames change
                await asyncio.sleep(0.01)

        await told("whatsapp")
        for id in ("1", "2"):
            await here.post("/v1/policy", {"files": files})
            await told()
            answer = await here.post("/v1/events", event(id), token="gateway:whatsapp")
            reply = {"command": {"do": "reply", "text": f"hello {id}"}}
            await here.post(f"/v1/conversations/{answer['conversation']}/commands", reply)
            delivery = await anext(program.deliveries())
            program.delivered(delivery, "sent")
            said.append(delivery.text)
            await here.post("/v1/policy", {"files": RIGHT})
            await told("whatsapp")
    assert said == ["hello 1", "hello 2"]


@pytest.mark.parametrize("placement", ["pooled", "dedicated"])
async def test_a_channel_nobody_has_heard_of_has_its_own_identities(tmp_path: Path, placement: Placement) -> None:
    """Its customers are known by its own addresses, which no other channel's can be taken for; agents link them, and go
    on by the channel."""
    async with server(tmp_path, placement=placement) as here:
        first = event("1") | {"account": "whatsapp", "identities": "Pigeon:@coo"}
        files = {"accounts.yaml": "whatsapp:\n  channel: Pigeon\n  queue: messages\n  trusted: yes\n"}
        await here.post("/v1/policy", {"files": files})
        answer = await here.post("/v1/events", first, token="gateway:whatsapp")
        assert answer["status"] == "committed"
        known = await here.get("/v1/context?identity=pigeon:coo")
        assert known["identities"] == ["pigeon:coo"]
        await here.get("/v1/context?identity=pidgeon:coo", status=422)

        second = event("2") | {"identities": "tel:+447700900123"}
        other = await here.post("/v1/events", second, token="gateway:whatsapp")
        customer = other["conversation"].rpartition("-")[0]
        link = {"command": {"do": "link_identity", "identity": "pigeon:Two"}}
        await here.post(f"/v1/customers/{customer}/commands", link)
        switch = {"command": {"do": "reply", "text": "coo", "to": "pigeon:Two", "channel": "Pigeon"}}
        await here.post(f"/v1/conversations/{other['conversation']}/commands", switch)
        unlink = {"command": {"do": "unlink_identity", "identity": "pigeon:Two"}}
        await here.post("/v1/policy", {"files": RIGHT})
        await here.post(f"/v1/customers/{customer}/commands", unlink)


async def test_a_new_channel_is_pushed(tmp_path: Path) -> None:
    """An agent who watches the queue since before there was such a channel sees its first word."""
    async with server(tmp_path) as here, AgentClient(here.url, here.tokens["agent"]) as agent:
        agent.watch(inbox="queue:messages", follow=True)
        await here.post("/v1/policy", {"files": {"accounts.yaml": "carrier:\n  channel: pigeon\n  queue: messages\n"}})
        token = here.tokens["gateway:carrier"]
        async with GatewayClient(here.url, token, accounts=["carrier"]) as loft:
            said = InboundEvent(
                id="p1",
                source="loft",
                account="carrier",
                channel="pigeon",
                time_ms=time.time_ns() // 1_000_000,
                identities=["user:ann"],
                data=MessageArrived(text="coo"),
            )
            assert await loft.send(said) == "committed"
            async with asyncio.timeout(DEADLINE_S):
                async for update in agent.updates():
                    texts = [event.text for event in update.events if isinstance(event, MessageReceived)]
                    if texts:
                        assert texts == ["coo"]
                        break


async def test_the_policy_says_when_an_identity_is_taken_for_a_shared_one(tmp_path: Path) -> None:
    """The review list calls it so from the policy's number of claimants on, unless the reader says another."""
    accounts = "whatsapp:\n  channel: whatsapp\n  trusted: yes\n"
    async with server(tmp_path) as here:
        await here.post("/v1/policy", {"files": {"accounts.yaml": accounts}})
        phone = "tel:+447700900123"
        for number, named in enumerate(("user:ann", "user:bob", f"user:ann,{phone}", f"user:bob,{phone}")):
            said = event(str(number)) | {"identities": named}
            answer = await here.post("/v1/events", said, token="gateway:whatsapp")

        async def kinds(asked: str = "") -> list[str]:
            page = await here.get(f"/v1/identity/reviews?at_least={answer['position']}{asked}")
            return [review["kind"] for review in page["reviews"]]

        assert await kinds() == ["conflict"]
        await here.post("/v1/policy", {"files": {"accounts.yaml": accounts, "identity.yaml": "shared_after: 1\n"}})
        assert await kinds() == ["shared"]
        assert await kinds("&shared_after=3") == ["conflict"]


async def test_a_machine_hears_that_an_identity_is_shared(tmp_path: Path) -> None:
    """And gets no greeting that names one person's issue to another, until the policy lists it no more."""
    accounts = "whatsapp:\n  channel: whatsapp\n"
    async with server(tmp_path) as here:
        files = {"accounts.yaml": accounts, "identity.yaml": "shared: [tel:+4477009001*]\n"}
        await here.post("/v1/policy", {"files": files})
        said = event("1") | {"identities": "tel:+447700900123", "data": {"text": "hm", "subject": "Bill of March"}}
        await here.post("/v1/events", said, token="gateway:whatsapp")
        shared = await here.get("/v1/context?identity=tel:%2B447700900123")
        assert (shared["shared"], shared["suggested_greeting"]) == (True, "Hello, how can we help?")
        await here.post("/v1/policy", {"files": {"accounts.yaml": accounts}})
        own = await here.get("/v1/context?identity=tel:%2B447700900123")
        assert ("shared" in own, own["suggested_greeting"]) == (False, "Hello, are you calling about “Bill of March”?")
        alike = "alike:\n  whatsapp: tel\nshared: [whatsapp:+4477009001*]\n"
        await here.post("/v1/policy", {"files": {"accounts.yaml": accounts, "identity.yaml": alike}})
        other = await here.get("/v1/context?identity=whatsapp:%2B447700900123")
        assert (other["shared"], other["suggested_greeting"]) == (True, "Hello, how can we help?")


async def test_no_files_are_no_bundle(tmp_path: Path) -> None:
    """They would take every account of the bundle in force away; whoever means that goes back to version 1."""
    async with server(tmp_path) as here:
        await here.post("/v1/policy", {"files": RIGHT})
        refused = await here.post("/v1/policy", {"files": {}}, status=422)
        assert refused["field"] == "files"
        assert (await here.get("/v1/policy"))["files"] == RIGHT
        await here.post("/v1/policy/rollback", {"version": 1})
        assert (await here.get("/v1/policy"))["files"] == {}


async def test_apply_policy_is_no_command_of_clients(tmp_path: Path) -> None:
    """A bundle that nobody checked gets nowhere."""
    async with server(tmp_path) as here:
        command = {"do": "apply_policy", "files": {}, "body": ""}
        refused = await here.post("/v1/customers/policy/commands", {"command": command}, status=422)
        assert "POST /v1/policy" in refused["message"]


async def test_a_folder_is_followed(tmp_path: Path) -> None:
    """What is in it is applied at the start and at each change; what is wrong is shown, and the version stays."""
    folder = tmp_path / "policy"
    folder.mkdir()
    general = folder / "general.yaml"
    general.write_text(RIGHT["general.yaml"])
    async with server(tmp_path, policy_folder=str(folder)) as here:

        async def version(wanted: int) -> Any:
            shown = await here.get("/v1/policy")
            # A version is in force a moment before the folder knows that it is, and takes its troubles back.
            return shown if shown["version"] == wanted and not shown["troubles"] else None

        assert (await until(lambda: version(2)))["files"] == RIGHT
        general.write_text("queue_default: claims\n")
        assert (await until(lambda: version(3)))["actor"] == "operator:policy-folder"

        general.write_text(WRONG["general.yaml"])

        async def troubled() -> Any:
            return (await here.get("/readyz")).get("policy_troubles")

        troubles = await until(troubled)
        assert troubles[0].startswith("not in force: general.yaml:1: there is no key 'queue_defualt'")
        assert (await here.get("/readyz"))["ready"]
        assert (await here.get("/v1/status"))["policy_troubles"] == troubles
        assert (await here.get("/v1/policy"))["version"] == 3

        general.write_text("queue_default: service\n")
        await until(lambda: version(4))
        assert "policy_troubles" not in await here.get("/readyz")

        folder.rename(tmp_path / "away")
        assert "is no folder" in (await until(troubled))[0]
        assert (await here.get("/v1/policy"))["version"] == 4
        folder.mkdir()
        general.write_text("queue_default: again\n")
        await until(lambda: version(5))
        assert (await here.post("/v1/policy/rollback", {"version": 1}))["watched"] == str(folder)


async def test_who_owns_a_watched_folder_is_asked_what_a_check_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where they look, for as long as it is in force: nobody stood by as it was applied."""
    folder = tmp_path / "policy"
    folder.mkdir()
    accounts = folder / "accounts.yaml"
    accounts.write_text("line:\n  channel: sms\n")
    async with server(tmp_path, policy_folder=str(folder)) as here:

        async def remarks(version: int) -> Any:
            shown = await here.get("/v1/policy")
            return shown["remarks"] if shown["version"] == version else None

        async def said(*arguments: str) -> str:
            monkeypatch.setattr("sys.argv", ["throughline", *arguments])
            with pytest.raises(SystemExit):
                await asyncio.to_thread(cli.main)
            return " ".join(capsys.readouterr().out.split())

        monkeypatch.setenv("THROUGHLINE_URL", here.url)
        monkeypatch.setenv("THROUGHLINE_TOKEN", here.tokens["operator"])
        await until(lambda: _is_version(here, 2))
        assert (await here.get("/v1/status"))["policy_remarks"] == []
        assert "meant" not in await said("policy", "show")
        accounts.write_text("line:\n  channel: whatsapp\n")
        [remark] = await until(lambda: remarks(3))
        assert (remark["file"], remark["line"]) == ("accounts.yaml", 2)
        assert (await here.get("/v1/status"))["policy_remarks"] == [f"accounts.yaml:2: {remark['text']}"]
        asked = "? was this meant, in the policy's folder: accounts.yaml:2: account line is a line of sms now"
        assert asked in await said("status")
        assert "Was this meant? where text accounts.yaml:2 account line is a line of sms now" in await said(
            "policy", "show"
        )
        await here.running.parts["gateway"].drain()  # A process that dies leaves its port; this one has to be asked.
        await here.running.restart("gateway")
        assert await until(lambda: remarks(3)) == [remark]
        figures = await here.http.get("/metrics", headers={"Authorization": f"Bearer {here.tokens['operator']}"})
        assert "\nthroughline_policy_remarks 1.0\n" in figures.text
        await here.post("/v1/policy/rollback", {"version": 2})
        assert (await here.get("/v1/policy"))["remarks"] == (await here.get("/v1/status"))["policy_remarks"] == []


async def _is_version(here: Server, version: int) -> bool:
    return bool((await here.get("/v1/policy"))["version"] == version)


async def test_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From `init` to `rollback`, against a server that runs."""
    monkeypatch.chdir(tmp_path)

    async def run(*arguments: str, code: int = 0) -> Any:
        monkeypatch.setattr("sys.argv", ["throughline", "policy", *arguments, "--json"])
        with pytest.raises(SystemExit) as ended:
            await asyncio.to_thread(cli.main)
        assert (ended.value.code or 0) == code
        said = capsys.readouterr()
        return json.loads(said.out or said.err)

    bundle = tmp_path / "bundle"
    assert "general.yaml" in (await run("init", str(bundle), "--from", "utility"))["files"]
    assert await run("check", str(bundle)) == {"valid": True, "wrong": [], "remarks": []}
    async with server(tmp_path) as here:
        monkeypatch.setenv("THROUGHLINE_URL", here.url)
        monkeypatch.setenv("THROUGHLINE_TOKEN", here.tokens["operator"])
        assert await run("check", str(bundle)) == {"valid": True, "wrong": [], "remarks": []}
        rules = [row["rule"] for row in await run("diff", str(bundle))]
        assert "general.yaml: queue_default" in rules
        applied = await run("apply", str(bundle), "--note", "begin", "--base", "1")
        assert (applied["version"], applied["live_conversations"]) == (2, "follow")
        late = await run("apply", str(bundle), "--base", "1", code=1)
        assert "version 2 was applied meanwhile" in late["error"]["message"]
        assert await run("diff", str(bundle)) == []
        assert [row["version"] for row in await run("history")] == [2, 1]
        assert set((await run("show"))["files"]) == {file.name for file in bundle.glob("*.yaml")}
        await run("show", "2", "--to", str(tmp_path / "before"))
        assert await run("diff", str(bundle), "--against", str(tmp_path / "before")) == []
        (bundle / "general.yaml").write_text("live_conversations: pinned\n")
        assert (await run("apply", str(bundle)))["live_conversations"] == "pinned"
        (bundle / "general.yaml").write_text("queue_defualt: x\n")
        assert (await run("check", str(bundle), code=1))["wrong"][0]["line"] == 1
        assert (await run("rollback", "1", "--note", "no"))["version"] == 4


async def test_files_and_pipes_are_utf_8_whatever_the_locale_says(tmp_path: Path) -> None:
    """What is written is what was applied, byte by byte, and no letter ends the command."""
    files = {"general.yaml": "# Bäume → Büros\r\nqueue_default: Schäden\n"}
    async with server(tmp_path) as here:
        await here.post("/v1/policy", {"files": files})
        narrow = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        known = {"THROUGHLINE_URL": here.url, "THROUGHLINE_TOKEN": here.tokens["operator"]}
        paths = {"PYTHONPATH": os.pathsep.join(sys.path)}

        async def run(*arguments: str) -> str:
            ran = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "orchestrator.cli", "policy", *arguments,
                env={**os.environ, **known, **narrow, **paths}, cwd=tmp_path, stdout=PIPE, stderr=STDOUT,
            )  # fmt: skip
            said, _ = await ran.communicate()
            assert ran.returncode == 0, said
            return said.decode()

        assert json.loads(await run("show", "--to", "before", "--json"))["files"] == files
        assert (tmp_path / "before" / "general.yaml").read_bytes().decode() == files["general.yaml"]
        assert "Schäden" in await run("show")
        assert await run("diff", "before") == "nothing would change\n"


def test_a_mistake_is_found_without_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the settings in this folder, or without any, and it says which; and all mistakes are found in one go, one file
    that cannot be read or not."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "queues.yaml").write_text("post: letters\n")

    def checked() -> tuple[str, str]:
        monkeypatch.setattr("sys.argv", ["throughline", "policy", "check", "bundle"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 1
        said = capsys.readouterr()
        return said.out, " ".join(said.err.split())

    out, err = checked()
    assert "queues.yaml:1" in out
    assert "without settings, since there is no throughline.toml here; its accounts are mail, sms, chat" in err
    (tmp_path / "throughline.toml").write_text('[[accounts]]\nkind = "gateway"\nname = "line"\n')
    assert "checked by throughline.toml; its accounts are line" in checked()[1]
    (tmp_path / "bundle" / "general.yaml").write_bytes(b"\xff")
    (tmp_path / "bundle" / "channels.yaml").write_text("sms:\n  rest: 1h\n")
    out, _ = checked()
    assert ["channels.yaml:2" in out, "general.yaml:1" in out] == [True, True]


def test_what_looks_mistyped_hinders_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bundle is right, and whoever checks it is asked."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "channels.yaml").write_text("emial:\n  rest_after: 3h\n")
    monkeypatch.setattr("sys.argv", ["throughline", "policy", "check", "bundle"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    said = capsys.readouterr().out
    assert "nothing is wrong" in said
    assert "did you mean 'email'?" in said


def test_the_bundle_is_bounded() -> None:
    """A journal event has room for it, and an HTTP body."""
    from actors.own_streams.applying import BUNDLE_BYTES_MAX

    assert len(msgspec.json.encode({"files": {"x": "a" * BUNDLE_BYTES_MAX}})) < Http().body_bytes_max
