"""The cycle of the report: from lost context to a finding, to a change of the policy, to the comparison after it.

On a whole server in one loop, with time in the test's hand, over HTTP and by the command line.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest

from actors.archive.archive import rebuild
from adapters.stores.archive.memory import MemoryArchive
from orchestrator.cli import app as cli
from orchestrator.following import reach
from orchestrator.inprocess import InProcess, in_process
from orchestrator.parts.gateway import GatewayPart
from orchestrator.report.desk import ReportDesk
from orchestrator.settings import GatewayAccount, Http, Placement, Settings
from orchestrator.tokens import Tokens

pytestmark = pytest.mark.usefixtures("quiet_log")

DEADLINE_S = 20.0
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
MONDAY_MS = 1_767_596_400_000
"""2026-01-05 07:00 UTC."""
NAMES = ("operator", "read", "agent", "gateway:chat")
FINDINGS = "/v1/reports/context-loss/findings"
REPORT = "days: [monday]\nat: 07:00\nstands_out:\n  count: 2\n"
CAPTURE = """templates:
  - channel: chat
    fields:
      - name: contract
        found_at: [data.properties.contract]
        when_missing: quarantine
"""


class Here:
    """A server, its clock, and who asks."""

    def __init__(self, running: InProcess, http: httpx.AsyncClient, tokens: dict[str, str], clock: list[int]) -> None:
        self.running = running
        self.http = http
        self.tokens = tokens
        self.clock = clock
        self.url = str(http.base_url)
        self.sent = 0

    @property
    def desk(self) -> ReportDesk:
        """The gateway's."""
        part = self.running.parts["gateway"]
        assert isinstance(part, GatewayPart)
        return part.report

    def another_desk(self) -> ReportDesk:
        """Another gateway's, or the one of a gateway's next life: it knows nothing yet."""
        desk = self.desk
        return ReportDesk(desk.archive, desk.journal, desk.policy, desk.commands, now_ms=lambda: self.clock[0])

    def move(self, days: float) -> None:
        """Time passes."""
        self.clock[0] += round(days * DAY_MS)

    async def look(self) -> None:
        """The desk looks, as it does each second; returns when the archive has what came of it."""
        await self.desk.look(self.clock[0])
        await reach(self.desk.archive, await self.desk.journal.position(), within_s=DEADLINE_S)

    async def get(self, path: str, *, status: int = 200, **params: str) -> Any:
        """What a GET answers."""
        answer = await self.http.get(path, params=params, headers=self._as("read"))
        assert answer.status_code == status, answer.text
        return answer.json()

    async def post(self, path: str, body: dict[str, Any], *, status: int = 200, token: str = "operator") -> Any:
        """What a POST answers."""
        answer = await self.http.post(path, json=body, headers=self._as(token))
        assert answer.status_code == status, answer.text
        return answer.json()

    async def apply(self, **files: str) -> int:
        """A bundle is in force; returns its version."""
        texts = {f"{name}.yaml": text for name, text in files.items()}
        applied = await self.post("/v1/policy", {"files": texts})
        assert applied["late"] == []
        version: int = applied["version"]
        return version

    async def chat(self, count: int) -> None:
        """So many chats come from as many people, now."""
        for _ in range(count):
            self.sent += 1
            said: dict[str, Any] = {
                "specversion": "1.0", "id": str(self.sent), "source": "web", "account": "chat",
                "type": "throughline.message.received", "identities": f"user:u{self.sent}",
                "data": {"text": "hello"},
            }  # fmt: skip
            headers = {**self._as("gateway:chat"), "Content-Type": "application/cloudevents+json"}
            answer = await self.http.post("/v1/events", content=json.dumps(said), headers=headers)
            assert answer.status_code in (200, 202, 409, 422), answer.text

    async def findings(self, states: str = "") -> list[dict[str, Any]]:
        """The list."""
        rows: list[dict[str, Any]] = (await self.get(FINDINGS, states=states))["findings"]
        return rows

    def _as(self, token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[token]}"}


@asynccontextmanager
async def server(
    folder: Path,
    *,
    placement: Placement = "pooled",
    begun_ms: int = MONDAY_MS,
    store: Literal["memory", "sqlite"] = "memory",
) -> AsyncIterator[Here]:
    """With a clock that stands until it is moved."""
    settings = Settings(
        data=str(folder),
        store=store,
        cells=2,
        placement=placement,
        http=Http(port=0),
        accounts=[GatewayAccount(name="chat", trusted=True)],
    )
    kept = Tokens(folder / "tokens.json", now_ms=lambda: 1)
    run = f"{begun_ms}"
    tokens = {name: kept.create([name], f"{name.replace(':', '-')}-{run}")[0] for name in NAMES}
    clock = [begun_ms]
    async with in_process(settings, folder, now_ms=lambda: clock[0]) as running:
        url = f"http://127.0.0.1:{running.facts['gateway']['port']}"
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=DEADLINE_S) as http:
            yield Here(running, http, tokens, clock)


@pytest.mark.parametrize("placement", ["pooled", "dedicated"])
async def test_from_a_loss_to_a_finding_to_a_change_to_the_comparison(tmp_path: Path, placement: Placement) -> None:
    """Refused chats stand out on Monday; the template is mended; a whole week later they are fewer."""
    async with server(tmp_path, placement=placement) as here:
        assert await here.apply(report=REPORT, capture=CAPTURE) == 2
        here.move(3)
        await here.chat(3)
        here.move(4)
        await here.look()
        [found] = await here.findings()
        assert (found["finding"], found["state"], found["measure"]) == ("report-1", "open", "quarantined")
        assert (found["channels"], found["count"], found["occasions"]) == ("chat", 3, 3)
        assert (found["file"], found["rule"]) == ("capture.yaml", "templates[chat].fields[contract]")
        assert (found["policy"], len(found["examples"])) == (2, 3)

        mended = CAPTURE.replace("quarantine", "ask_agent")
        assert await here.apply(report=REPORT, capture=mended) == 3
        await here.look()
        [changed] = await here.findings("changed")
        assert changed["changed_version"] == 3
        assert changed["changed_rules"] == ["templates[chat].fields[contract].when_missing"]

        here.move(1)
        await here.chat(4)
        here.move(6)
        await here.look()
        [compared] = await here.findings("compared")
        assert (compared["outcome"], compared["before_count"], compared["after_count"]) == ("better", 3, 0)
        assert (compared["after_occasions"], compared["compared_version"]) == (4, 3)
        shown = await here.get(f"{FINDINGS}/report-1")
        assert [event["type"] for event in shown["history"]] == ["FindingOpened", "FindingChanged", "FindingCompared"]
        runs = await here.get("/v1/reports/context-loss/runs")
        assert [(run["due_ms"], run["opened"], run["compared"]) for run in runs] == [
            (MONDAY_MS + 2 * WEEK_MS, 0, 1),
            (MONDAY_MS + WEEK_MS, 1, 0),
        ]


async def test_a_change_that_does_not_help_opens_it_again(tmp_path: Path) -> None:
    """With its figures of now; the next change is compared with those."""
    async with server(tmp_path) as here:
        await here.apply(report=REPORT, capture=CAPTURE)
        await here.chat(3)
        here.move(7)
        await here.look()
        await here.apply(report=REPORT, capture=CAPTURE.replace("data.properties", "data"))
        await here.look()
        here.move(1)
        await here.chat(5)
        here.move(6)
        await here.look()
        [again] = await here.findings()
        assert (again["state"], again["outcome"], again["count"], again["policy"]) == ("open", "same", 5, 3)
        assert (again["before_count"], again["changed_version"]) == (3, 0)


async def test_a_report_is_made_once_however_often_and_by_whomever_it_is_looked_at(tmp_path: Path) -> None:
    """Two desks at one moment, and again after a restart; of periods that were missed, the last one is made up for."""
    async with server(tmp_path) as here:
        await here.apply(report=REPORT)
        here.move(3 * 7 + 2)
        await asyncio.gather(here.look(), here.another_desk().look(here.clock[0]))
        here.move(1)
        await here.another_desk().look(here.clock[0])
        await here.look()
        assert [row["due_ms"] for row in await here.desk.archive.reports(9)] == [MONDAY_MS + 3 * WEEK_MS]


async def test_on_disk_a_restart_changes_nothing(tmp_path: Path) -> None:
    """The report is not made again, what it found is there, and goes on; also where no snapshot is left of it."""
    async with server(tmp_path, store="sqlite") as here:
        await here.apply(report=REPORT, capture=CAPTURE)
        await here.chat(3)
        here.move(7)
        await here.look()
        before = await here.findings("open")
        assert len(before) == 1
    with sqlite3.connect(tmp_path / "archive.sqlite") as archive:
        archive.execute("DELETE FROM snapshot")
    archive.close()
    async with server(tmp_path, store="sqlite", begun_ms=MONDAY_MS + 8 * DAY_MS) as here:
        await here.look()
        assert await here.findings() == before
        assert len(await here.get("/v1/reports/context-loss/runs")) == 1
        await here.apply(report=REPORT, capture=CAPTURE.replace("quarantine", "ignore"))
        await here.look()
        assert [row["changed_version"] for row in await here.findings("changed")] == [3]


async def test_nothing_is_due_before_the_rules_were_there(tmp_path: Path) -> None:
    """The Monday before the first bundle asked for no report; without days none ever is made."""
    async with server(tmp_path, begun_ms=MONDAY_MS + DAY_MS) as here:
        await here.look()
        await here.apply(report=REPORT)
        await here.look()
        await here.apply(report="stands_out:\n  count: 2\n")
        here.move(30)
        await here.look()
        assert await here.get("/v1/reports/context-loss/runs") == []


async def test_what_owners_say_of_findings(tmp_path: Path) -> None:
    """A reason is needed; a dismissed group is left alone for its time; a version must be later than the finding."""
    async with server(tmp_path) as here:
        await here.apply(report=REPORT, capture=CAPTURE)
        await here.chat(3)
        here.move(1)
        made = await here.post("/v1/reports/context-loss/runs", {"id": "r1"})
        here.move(1)
        again = await here.post("/v1/reports/context-loss/runs", {"id": "r1"})
        assert (made["opened"], again["report"]) == (1, made["report"])
        path = f"{FINDINGS}/report-1"
        await here.post(f"{path}/dismiss", {"reason": " "}, status=422)
        await here.post(f"{path}/dismiss", {"reason": "x"}, status=403, token="agent")
        await here.post(f"{path}/resolve", {"version": 9}, status=404)
        refused = await here.post(f"{path}/resolve", {"version": 2}, status=409)
        assert "only a later one" in refused["message"]
        await here.apply(report=REPORT, capture=CAPTURE, general="attempts_max: 3\n")
        resolved = await here.post(f"{path}/resolve", {"version": 3})
        assert (resolved["state"], resolved["changed_by"]) == ("changed", f"operator:operator-{MONDAY_MS}")
        dismissed = await here.post(f"{path}/dismiss", {"reason": "a test of the web team"})
        assert (dismissed["state"], dismissed["reason"]) == ("dismissed", "a test of the web team")
        await here.post(f"{path}/dismiss", {"reason": "again"}, status=409)
        await here.post(f"{FINDINGS}/report-9/dismiss", {"reason": "x"}, status=404)
        await here.post("/v1/reports/context-loss/runs", {})
        assert await here.findings("open") == []
        here.move(91)
        await here.chat(3)
        here.move(1)
        await here.post("/v1/reports/context-loss/runs", {})
        [opened] = await here.findings("open")
        assert (opened["finding"], opened["earlier"]) == ("report-2", "report-1")


async def test_the_report_s_stream_is_nobody_s(tmp_path: Path) -> None:
    """It takes no identity and no client's command, and is no customer of the archive."""
    async with server(tmp_path) as here:
        await here.apply(report=REPORT)
        await here.post("/v1/reports/context-loss/runs", {})
        path = "/v1/customers/report/commands"
        await here.post(path, {"command": {"do": "link_identity", "identity": "user:x"}}, status=404)
        for command in (
            {"do": "dismiss_finding", "finding": "report-1", "reason": "x"},
            {"do": "resolve_finding", "finding": "report-1", "version": 3, "since_ms": 1},
            {"do": "make_report", "from_ms": 0, "until_ms": 1, "lines": []},
        ):
            refused = await here.post(path, {"command": command}, status=422)
            assert "server's own" in refused["message"]
        await here.get("/v1/customers/report/journey", status=404)


async def test_a_rebuild_from_the_journal_has_the_same_rows(tmp_path: Path) -> None:
    """Of findings and reports, whatever became of them."""
    async with server(tmp_path) as here:
        await here.apply(report=REPORT, capture=CAPTURE)
        await here.chat(3)
        here.move(7)
        await here.look()
        await here.apply(report=REPORT, capture=CAPTURE.replace("quarantine", "ignore"))
        await here.look()
        anew = MemoryArchive()
        await anew.open()
        storage = here.running.surroundings("gateway").storage
        await rebuild(storage.journal_reader(), anew, lambda position, head: None)
        for row in await here.findings():
            assert await anew.finding(row["finding"]) == await here.desk.archive.finding(row["finding"])
        assert await anew.reports(9) == await here.desk.archive.reports(9)
        assert len(await anew.reports(9)) == 1
        await anew.close()


async def test_the_cycle_by_its_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an owner of the policy types them."""
    async with server(tmp_path) as here:
        await here.apply(report=REPORT, capture=CAPTURE)
        await here.chat(3)
        here.move(1)

        async def run(*words: str, code: int = 0) -> str:
            given = ["--url", here.url, "--token", here.tokens["operator"]]
            monkeypatch.setattr("sys.argv", ["throughline", "report", *words, *given])
            with pytest.raises(SystemExit) as ended:
                await asyncio.to_thread(cli.main)
            assert ended.value.code == code, capsys.readouterr()
            return capsys.readouterr().out

        table = await run("context-loss", "--channel", "chat")
        assert "templates[chat].fields[contract]" in table
        assert "an event was refused, so nobody sees what it said" in table
        assert "nothing was lost" in await run("context-loss", "--team", "nobody")
        assert "report findings" in await run("run")
        assert "3 of 3 (100.0%)" in await run("findings", "--state", "open")
        assert "under version 2" in await run("show", "report-1")
        await here.apply(report=REPORT, capture=CAPTURE, general="attempts_max: 3\n")
        assert "changed in version 3" in await run("resolve", "report-1")
        assert "dismissed" in await run("dismiss", "report-1", "--reason", "tests")
        assert "tests" in await run("show", "report-1")
        assert json.loads(await run("findings", "--json"))["findings"][0]["state"] == "dismissed"
