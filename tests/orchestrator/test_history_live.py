"""History on a whole server: what is said is in the feed, at a webhook, in the timeline, a vCon and the report; what
is imported comes in once, closed, at its own time. Real HTTP, real files, the command line."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.channels.fakes.http_server import Answer, HttpServer, Request
from orchestrator.inprocess import InProcess, in_process
from orchestrator.settings import GatewayAccount, Http, Settings, WebhookEndpoint
from orchestrator.tokens import Tokens
from tests.orchestrator.feed.test_webhook_sender import SECRET

WITHIN_S = 15.0
THEN_MS = 1_700_000_000_000


class Server:
    """A running one, and an operator at it."""

    def __init__(self, running: InProcess, http: httpx.AsyncClient, token: str, url: str) -> None:
        self.running = running
        self.http = http
        self.token = token
        self.url = url

    async def get(self, path: str, **params: Any) -> Any:
        """What a read answers."""
        response = await self.http.get(path, params=params)
        assert response.status_code == 200, response.text
        return response.json()

    async def say(self, text: str, id: str) -> Any:
        """A customer writes."""
        event = {
            "specversion": "1.0",
            "type": "throughline.message.received",
            "source": "test",
            "id": id,
            "time": "2026-11-25T08:00:00Z",
            "identities": "user:ann",
            "data": {"text": text},
        }
        headers = {"Content-Type": "application/cloudevents+json"}
        response = await self.http.post("/v1/events", content=json.dumps(event), headers=headers)
        assert response.status_code == 200, response.text
        return response.json()

    async def settled(self) -> int:
        """The archive has all that was committed; its position."""
        position = (await self.get("/v1/status"))["journal_position"]
        await self.get("/v1/conversations", at_least=position)
        return int(position)

    async def throughline(self, line: list[str]) -> tuple[int, Any]:
        """The command line against it: exit code, and the JSON it prints."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "orchestrator.cli", *line, "--url", self.url, "--token", self.token),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        return process.returncode or 0, json.loads(out) if out else None


@asynccontextmanager
async def server(folder: Path, **settings: Any) -> AsyncIterator[Server]:
    """On files, with the system's clock."""
    made = Settings(
        data=str(folder / "data"),
        cells=1,
        http=Http(port=0),
        accounts=[GatewayAccount(name="chat", trusted=True)],
        **settings,
    )
    (folder / "data").mkdir(exist_ok=True)
    (folder / "run").mkdir(exist_ok=True)
    tokens = Tokens(folder / "data" / "tokens.json", now_ms=lambda: time.time_ns() // 1_000_000)
    text, _ = tokens.create(["operator", "gateway:*", "agent"], "op")
    async with in_process(made, folder / "run") as running:
        url = f"http://127.0.0.1:{running.facts['gateway']['port']}"
        headers = {"Authorization": f"Bearer {text}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=WITHIN_S) as http:
            yield Server(running, http, text, url)


async def test_what_is_said_is_found_everywhere(tmp_path: Path) -> None:
    """By cursor, pushed and signed, by its words, in the export; and the report has nothing to say."""
    got: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def take(request: Request) -> Answer:
        assert request.headers["webhook-signature"].startswith("v1,")
        await got.put(json.loads(request.body))
        return Answer(204, {})

    receiver = HttpServer(take)
    endpoint = WebhookEndpoint(
        name="crm", url=await receiver.start("127.0.0.1", 0), secret=SECRET, types=["MessageReceived"]
    )
    async with server(tmp_path, webhooks=[endpoint]) as live, asyncio.timeout(WITHIN_S):
        start = (await live.get("/v1/feed", after="now"))["next"]
        said = await live.say("my meter is wrong", "m1")
        customer = said["conversation"].removesuffix("-1")
        page = await live.get("/v1/feed", after=start, wait=5)
        assert "MessageReceived" in [event["type"] for event in page["events"]]
        pushed = await got.get()
        assert (pushed["type"], pushed["data"]["event"]["text"]) == ("MessageReceived", "my meter is wrong")
        await live.settled()
        path = f"/v1/customers/{customer}/timeline"
        while not (found := await live.get(path, q="meter"))["entries"]:  # noqa: ASYNC110 - in another part
            await asyncio.sleep(0.01)
        assert found["entries"][0]["found"] == "my [meter] is wrong"
        vcon = await live.get(f"/v1/conversations/{said['conversation']}/vcon")
        assert [one["body"] for one in vcon["dialog"]] == ["my meter is wrong"]
        assert (await live.get("/v1/reports/context-loss"))["rows"] == []
        status: dict[str, Any] = live.running.parts["channels"].status()
        assert status["webhooks"]["crm"]["state"] == "sending"
    await receiver.close()


CSV = """id,identity,channel,at,subject,direction,author,text
old-1,user:ann,phone,2023-11-14T22:13:20Z,Meter,inbound,,It runs backwards
old-1,,,2023-11-14T22:14:20Z,,outbound,bo,We send somebody
old-2,tel:1,phone,2023-11-14T22:13:20Z,,inbound,,hello
old-3,user:zoe,phone,2023-11-14T22:13:20Z,,inbound,,hi
old-4,user:zoe,phone,on Monday,,inbound,,hi
"""


async def test_the_past_comes_in_once_closed_at_its_own_time(tmp_path: Path) -> None:
    """A dry run takes nothing; what is refused is told, the rest is in; again, nothing happens; nobody has work."""
    file = tmp_path / "past.csv"
    file.write_text(CSV)
    line = ["import", str(file), "--account", "chat", "--json"]
    async with server(tmp_path) as live, asyncio.timeout(4 * WITHIN_S):
        said = await live.say("hello again", "m1")
        customer = said["conversation"].removesuffix("-1")
        before = await live.settled()
        code, dry = await live.throughline([*line, "--dry-run"])
        assert (code, dry["counts"]) == (1, {"known": 1, "new": 1, "refused": 2})
        assert (await live.get("/v1/status"))["journal_position"] == before
        code, done = await live.throughline(line)
        assert (code, done["counts"]) == (1, {"committed": 2, "refused": 2})
        assert [(row["id"], row["code"]) for row in done["refused"]] == [("", 4200), ("old-2", 4205)]
        assert "line 6: at is 'on Monday'" in done["refused"][0]["message"]
        position = await live.settled()
        code, again = await live.throughline(line)
        assert again["counts"] == {"repeat": 2, "refused": 2}
        assert await live.settled() == position
        rows = (await live.get("/v1/conversations", customer=customer))["conversations"]
        assert [(row["conversation"], row.get("status", "open")) for row in rows] == [
            (f"{customer}-1", "open"),
            (f"{customer}-2", "closed"),
        ]
        entries = (await live.get(f"/v1/customers/{customer}/timeline", until_ms=THEN_MS + 10**8))["entries"]
        assert [entry["event"].get("text") for entry in entries if "text" in entry["event"]] == [
            "We send somebody",
            "It runs backwards",
        ]
        assert entries[-1]["at_ms"] == THEN_MS
        assert await live.get("/v1/outbox") == []
        assert len((await live.get("/v1/conversations", list="queue:default"))["conversations"]) == 1
        assert (await live.say("and now?", "m2"))["conversation"] == f"{customer}-1"


async def test_the_past_is_an_operators_to_import(tmp_path: Path) -> None:
    """A channel that says it has some is refused."""
    event = {
        "specversion": "1.0",
        "type": "throughline.conversation.past",
        "source": "test",
        "id": "p1",
        "time": "2026-11-25T08:00:00Z",
        "identities": "user:ann",
        "data": {"subject": "x"},
    }
    async with server(tmp_path) as live, asyncio.timeout(WITHIN_S):
        headers = {"Content-Type": "application/cloudevents+json"}
        response = await live.http.post("/v1/events", content=json.dumps(event), headers=headers)
        assert response.json()["status"] == "quarantined"
        assert response.json()["code"] == 4201


@pytest.mark.parametrize("name", ["past.txt", "past.csv"])
async def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path, name: str) -> None:
    """Of an unknown kind, or not there."""
    async with server(tmp_path) as live, asyncio.timeout(2 * WITHIN_S):
        if name == "past.txt":
            (tmp_path / name).write_text("x")
        assert (await live.throughline(["import", str(tmp_path / name), "--account", "chat"]))[0] == 2


async def test_contacts_are_imported_from_the_oldest_on(tmp_path: Path) -> None:
    """Other systems mostly export the newest first, and memory has what came in last."""
    file = tmp_path / "past.jsonl"
    said = [{"id": f"p{n}", "identity": "user:ann", "at": THEN_MS + n, "text": str(n)} for n in (2, 0, 1)]
    file.write_text("\n".join(map(json.dumps, said)))
    async with server(tmp_path) as live, asyncio.timeout(2 * WITHIN_S):
        code, done = await live.throughline(["import", str(file), "--account", "chat", "--json"])
        assert (code, done["counts"]) == (0, {"committed": 3})
        customer = (await live.say("hello again", "m1"))["conversation"].removesuffix("-4")
        await live.settled()
        entries = (await live.get(f"/v1/customers/{customer}/timeline", until_ms=THEN_MS + 10))["entries"]
        texts = {entry["event"]["text"]: entry["stream"] for entry in entries if "text" in entry["event"]}
        assert texts == {str(n): f"{customer}-{n + 1}" for n in range(3)}


async def test_an_import_that_breaks_off_says_how_to_go_on(tmp_path: Path) -> None:
    """With the same file, whatever is in."""
    file = tmp_path / "past.csv"
    file.write_text(CSV)

    async def breaks_off(request: Request) -> Answer | None:
        return None

    broken = HttpServer(breaks_off)
    url = await broken.start("127.0.0.1", 0)
    async with asyncio.timeout(WITHIN_S):
        line = ["import", str(file), "--account", "chat", "--json", "--url", url, "--token", "tl_x"]
        run = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "orchestrator.cli", *line, stderr=asyncio.subprocess.PIPE
        )
        _, said = await run.communicate()
    await broken.close()
    assert run.returncode == 3
    assert "what is in does not come in twice" in json.loads(said)["error"]["message"]
