"""Titles: a label is written down by its name, and people read what they call it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from actors.rules.policy import Policy
from actors.rules.taxonomy import DIMENSIONS
from orchestrator.bundles.folder import DEFAULTS, SHIPPED, read_folder
from orchestrator.bundles.making import SetUp, make
from orchestrator.cli import app as cli
from orchestrator.cli.exits import Exit, Failure
from orchestrator.cli.titles import Titles
from tests.orchestrator.policy.test_policy_http import event, server

pytestmark = pytest.mark.usefixtures("quiet_log")

TAXONOMY = """
topics:
  premium:
    title: Bills and premiums
    taggers: [{words: [bill]}]
  claim:
    taggers: [{words: [accident]}]
product_lines:
  motor:
    title: Motor
    taggers: [{words: [car]}]
segments:
  broker:
    title: "[red]Brokers[/red]"
    taggers: [{words: ["my client"]}]
keys:
  contract: ["P-########"]
"""
FILES = {"taxonomy.yaml": TAXONOMY, "accounts.yaml": "whatsapp:\n  channel: whatsapp\n"}


async def test_the_taxonomy_in_force_is_read_with_its_titles(tmp_path: Path) -> None:
    """In the bundle's order, by an agent's token too; another version's titles with the next question."""
    async with server(tmp_path) as here:
        empty: dict[str, list[str]] = {"topics": [], "intents": [], "product_lines": [], "segments": [], "keys": []}
        assert await here.get("/v1/taxonomy") == {"version": 1, **empty}
        await here.post("/v1/policy", {"files": FILES})
        headers = {"Authorization": f"Bearer {here.tokens['agent']}"}
        answer = (await here.http.get("/v1/taxonomy", headers=headers)).raise_for_status().json()
        assert answer == {
            "version": 2,
            "topics": [{"name": "premium", "title": "Bills and premiums"}, {"name": "claim", "title": "claim"}],
            "intents": [],
            "product_lines": [{"name": "motor", "title": "Motor"}],
            "segments": [{"name": "broker", "title": "[red]Brokers[/red]"}],
            "keys": ["contract"],
        }
        headers = {"Authorization": f"Bearer {here.tokens['gateway:whatsapp']}"}
        assert (await here.http.get("/v1/taxonomy", headers=headers)).status_code == 403
        await here.post("/v1/policy", {"files": {**FILES, "taxonomy.yaml": TAXONOMY.replace("Bills and", "All")}})
        assert (await here.get("/v1/taxonomy"))["topics"][0]["title"] == "All premiums"


async def test_people_read_titles_and_programs_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a conversation and of a timeline; JSON is as the server wrote it down, and a name that is no more stays."""
    async with server(tmp_path) as here:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("THROUGHLINE_URL", here.url)
        monkeypatch.setenv("THROUGHLINE_TOKEN", here.tokens["operator"])

        async def run(*arguments: str) -> str:
            monkeypatch.setattr("sys.argv", ["throughline", *arguments])
            with pytest.raises(SystemExit) as ended:
                await asyncio.to_thread(cli.main)
            assert not ended.value.code
            return " ".join(capsys.readouterr().out.split())

        await here.post("/v1/policy", {"files": FILES})
        said = {**event("1"), "data": {"text": "The bill for my client and their car, P-12345678"}}
        said_at = await here.post("/v1/events", said, token="gateway:whatsapp")
        conversation = said_at["conversation"]
        await here.get(f"/v1/conversations/{conversation}?at_least={said_at['position']}")

        everything = "Bills and premiums (premium), motor, [red]Brokers[/red] (broker), contract:P12345678"
        shown = await run("conversation", "show", conversation)
        assert f"InteractionTagged system {everything}" in shown
        assert "user:ann Bills and premiums (premium) motor [red]Brokers[/red] (broker)" in shown
        assert everything in await run("timeline", "user:ann")
        assert "premium Bills and premiums topics" in await run("policy", "taxonomy")
        as_json: Any = json.loads(await run("conversation", "show", conversation, "--json"))
        assert as_json["interactions"][0]["topic"] == "premium"

        await here.post("/v1/policy", {"files": {**FILES, "taxonomy.yaml": "keys: {}\n"}})
        assert "user:ann premium motor broker" in await run("conversation", "show", conversation)
        assert "has no taxonomy" in await run("policy", "taxonomy")


class Asked:
    """A server with one product line, which counts its questions."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.refuses = False

    def get(self, path: str, **params: str | int) -> Any:
        """Its taxonomy."""
        self.paths.append(path)
        if self.refuses:
            raise Failure(Exit.REFUSED, "an older server has no titles")
        rest: dict[str, Any] = {"topics": [{"name": "move", "title": "Moving"}], "intents": [], "segments": []}
        return {"version": 2, "product_lines": [{"name": "motor", "title": "Cars and vans"}], **rest, "keys": []}


def test_it_is_asked_once_and_only_for_names() -> None:
    """Most rows have none; a report's product is a product line."""
    asked = Asked()
    titles = Titles(asked)
    assert titles.row({"product": "", "topic": None, "team": "motor"}) == {
        "product": "",
        "topic": None,
        "team": "motor",
    }
    assert titles.about({"type": "NoteAdded", "text": "move"}) == "move"
    assert asked.paths == []
    assert [row["product"] for row in titles.rows([{"product": "motor"}, {"product": "gone"}])] == [
        "Cars and vans (motor)",
        "gone",
    ]
    again = {"type": "RepeatContactFound", "topic": "move", "earlier": "cu1-1"}
    assert titles.about(again) == "Moving (move), as in cu1-1"
    assert asked.paths == ["/v1/taxonomy"]


def test_where_no_titles_come_names_are_shown_alone() -> None:
    """The command goes on, and asks no second time."""
    asked = Asked()
    asked.refuses = True
    titles = Titles(asked)
    assert [row["product"] for row in titles.rows([{"product": "motor"}, {"product": "gone"}])] == ["motor", "gone"]
    assert asked.paths == ["/v1/taxonomy"]


@pytest.mark.parametrize("bundle", DEFAULTS)
def test_bundles_that_ship_have_a_title_for_every_label(bundle: str) -> None:
    """Who begins with one has them before their eyes."""
    policy = make(read_folder(SHIPPED / bundle)[0], SetUp(Policy(), {})).policy
    assert policy is not None
    labels = [label for dimension in DIMENSIONS for label in policy.taxonomy.labels(dimension).values()]
    assert labels
    assert all(label.title for label in labels)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"type": "FieldMissing", "field": "contract", "action": "ask_customer", "delivery": "c.6"}, "contract (ask_"),
        ({"type": "ContextSet", "key": "contract", "value": 0}, "contract: 0"),
        ({"type": "ContextSet", "key": "contract", "value": None}, "contract"),
        ({"type": "QueueChanged", "queue": "claims", "previous": "service"}, "claims"),
        ({"type": "ConversationOpened", "queue": "service", "subject": "A call"}, "A call"),
        ({"type": "ActivitySeen", "identity": "web:1", "name": "bill_viewed"}, "bill_viewed"),
        ({"type": "ChannelSwitched", "from_channel": "sms", "to_channel": "phone"}, "sms → phone"),
        (
            {"type": "HandoffOffered", "kind": "team-team", "to": "queue:z", "package": {"missing": ["note", "claim"]}},
            "team-team to queue:z, without note, claim",
        ),
        ({"type": "HandoffOffered", "kind": "", "to": ""}, " to "),
        ({"type": "HandoffDeclined", "reason": "not ours"}, "not ours"),
    ],
    ids=lambda value: str(value.get("type")) if isinstance(value, dict) else "",
)
def test_an_event_is_a_line_of_what_people_look_for(event: dict[str, Any], said: str) -> None:
    """The field that is missing, and not the message that asks for it; where a conversation went, and what with."""
    assert Titles(Silent()).about(event).startswith(said)


class Silent:
    """A server that is not asked."""

    def get(self, path: str, **params: str | int) -> Any:
        """No event here has a name with a title."""
        raise AssertionError(path)
