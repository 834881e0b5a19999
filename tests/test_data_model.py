"""The data model's page: its tables are the schema's; its queries answer on an archive that the projection filled."""

import re
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from adapters.stores import migrations
from adapters.stores.archive.schema import ARCHIVE
from adapters.stores.archive.sqlite import SqliteArchive
from adapters.stores.journal.schema import JOURNAL
from adapters.stores.migrations import Schema
from protocol import events as ev
from protocol.entities import Interaction, Relation, RelationKind
from tests.adapters.stores.story import HOUR_MS, MINUTE_MS, Story

PAGE = (Path(__file__).parents[1] / "docs" / "data-model.md").read_text()
ANN, BOB, CARA = "cuann0000000000000", "cubob0000000000000", "cucara000000000000"
MAIL, SMS = "mailto:ann@example.org", "tel:+447700900123"

Row = Sequence[Any]


def questions() -> list[tuple[str, str]]:
    """The worked queries: heading and SQL."""
    return re.findall(r"^### (\d+\. .+?)$.*?^```sql\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def documented(heading: str) -> dict[str, set[str]]:
    """Tables and columns that the page explains under a heading."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    tables = re.split(r"^### (\w+)$", section, flags=re.MULTILINE)[1:]
    return {
        name: {
            column for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for column in re.findall(r"`(\w+)`", row)
        }
        for name, text in zip(tables[::2], tables[1::2], strict=True)
    }


@pytest.mark.parametrize(
    ("schema", "heading"),
    [(ARCHIVE, "The archive's tables"), (JOURNAL, "The journal's tables")],
    ids=lambda v: str(v)[:4],
)
def test_every_table_and_column_is_explained(schema: Schema, heading: str) -> None:
    """Views too; and nothing is explained that is not there."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    migrations.migrate(db, schema)
    # All but the tables that a virtual table keeps for itself.
    listed = db.execute("SELECT name FROM pragma_table_list WHERE type <> 'shadow' AND name NOT LIKE 'sqlite_%'")
    names = [name for (name,) in listed]
    columns = {name: {row[1] for row in db.execute(f"PRAGMA table_info({name})")} for name in names}
    db.close()
    assert documented(heading) == columns


def tell() -> Story:
    """Ann mails and texts about her bill and comes back in chat; Bob waits; Cara's answer dies; a mail is refused."""
    story = Story()
    seen = ev.ActivitySeen(
        at_ms=0, actor="customer", interaction=0, channel="web", identity="web:7", provider_ms=0, name="bill.viewed"
    )
    linked = ev.IdentityLinked(at_ms=0, actor="account:web", identity="web:7", evidence="first_contact", account="web")
    story.unit(ANN, (ANN, linked), (ANN, seen))
    story.now_ms += 30 * MINUTE_MS
    mailed = ev.IdentityLinked(
        at_ms=0, actor="account:mail", identity=MAIL, evidence="asserted_by_channel", verified=True, account="mail"
    )
    story.unit(ANN, (ANN, mailed))
    first = story.open(ANN, f"{ANN}-1", MAIL, "email", "My bill is wrong", subject="Bill")
    story.now_ms += HOUR_MS
    sent = story.reply(ANN, first, 1, MAIL, "email", "Which month?")
    story.unit(ANN, (first, ev.DeliverySent(at_ms=0, actor="system", delivery=sent, external_id="m1")))
    story.unit(ANN, (ANN, ev.IdentityLinked(at_ms=0, actor="agent:ann", identity=SMS, evidence="agent")))
    switched = ev.ChannelSwitched(
        at_ms=0,
        actor="customer",
        from_channel="email",
        to_channel="sms",
        interaction=2,
        by="customer",
        continuity="queue:bills",
        required=["contract"],
        missing=["contract"],
    )
    texted: list[tuple[str, ev.AnyEvent]] = [
        (first, story.contact(2, SMS, "sms")),
        (first, story.message(2, SMS, "sms", "March")),
    ]
    story.unit(ANN, *texted, (first, switched))
    resolved = ev.ConversationResolved(
        at_ms=0, actor="agent:ann", close_at_ms=story.now_ms + HOUR_MS, reason="credited"
    )
    story.unit(ANN, (first, resolved))
    story.now_ms += 24 * HOUR_MS
    story.unit(ANN, (first, ev.ConversationClosed(at_ms=0, actor="system", reason="resolved")))
    again = Relation(kind=RelationKind.REPEATS, conversation=first, reason="within a week of it")
    story.open(ANN, f"{ANN}-2", MAIL, "chat", "April is wrong too", relation=again)
    lamps = story.meet(BOB, "chat:bob", "chat", "Do you sell lamps?", queue="sales")
    story.unit(BOB, (lamps, story.contact(2, "tel:+447700900124", "sms")))
    story.unit(BOB, (lamps, story.message(2, "tel:+447700900124", "sms", "And curtains?")))
    split = ev.CorrelationCorrected(
        at_ms=0, correction="split", other=f"{BOB}-2", interactions=[2], earlier_channel="chat", channel="sms"
    )
    moved = Interaction(
        number=1, channel="sms", account="sms", identity="tel:+447700900124", origins=((lamps, 2),), started_at_ms=1
    )
    story.unit(
        BOB,
        (lamps, split),
        (f"{BOB}-2", ev.ConversationOpened(at_ms=0, customer=BOB, queue="sales")),
        (lamps, ev.InteractionMoved(at_ms=0, interaction=2, to=f"{BOB}-2", number=1, channel="chat")),
        (f"{BOB}-2", ev.InteractionReceived(at_ms=0, interaction=moved, came_from=lamps, channel="sms")),
    )
    third = story.meet(CARA, "mailto:cara@example.org", "email", "Hello")
    dead = story.reply(CARA, third, 1, "mailto:cara@example.org", "email", "Good day")
    story.unit(CARA, (third, ev.DeliveryDead(at_ms=0, actor="system", delivery=dead, code="550", reason="no mailbox")))
    refused = ev.InputQuarantined(
        at_ms=0,
        actor="account:mail",
        quarantine="mail.1",
        account="mail",
        source="smtp",
        id="m9",
        code=4205,
        field="identities",
        reason="a mailto identity must be local@domain",
        raw=b"From: nobody",
    )
    story.unit("account:mail", ("account:mail", refused))
    story.now_ms += 2 * HOUR_MS
    return story


def _journey(rows: list[Row]) -> bool:
    said = [(channel, what, words) for _, _, channel, what, _, words in rows if not what.startswith("identity")]
    return said == [
        ("web", "activity", "bill.viewed"),
        ("email", "message inbound", "My bill is wrong"),
        ("email", "message outbound", "Which month?"),
        ("sms", "message inbound", "March"),
        ("", "resolved", "credited"),
        ("", "closed", "resolved"),
        ("chat", "message inbound", "April is wrong too"),
    ]


ANSWERS: list[Callable[[list[Row]], bool]] = [
    _journey,
    lambda rows: rows == [("bills", 2, 2, 2.0, 2.0), ("sales", 2, 2, 2.0, 2.0)],
    lambda rows: {(row[0], row[3]) for row in rows} == {(f"{ANN}-2", 120), (f"{BOB}-1", 120)},
    lambda rows: rows == [("email", 2, 2, 30.0, 60.0), ("chat", 2, 0, None, None)],
    lambda rows: rows == [("bills", "repeats", 1, 1.0)],
    lambda rows: [(row[0], row[2], row[4], row[7]) for row in rows] == [(f"{CARA}-1.4", "dead", "550", "Good day")],
    lambda rows: (
        [(row[1], row[2]) for row in rows]
        == [("web:7", "first_contact"), (MAIL, "asserted_by_channel"), (SMS, "agent")]
    ),
    lambda rows: rows == [(f"{ANN}-1", "Bill", "email → sms", 2)],
    lambda rows: (
        [row[:5] for row in rows] == [("mail", 4205, "identities", "a mailto identity must be local@domain", 1)]
    ),
    lambda rows: rows == [("bill.viewed", 1)],
    lambda rows: rows == [("email → sms", "contract", 1, "queue:bills", f"{ANN}-1")],
    lambda rows: [(row[0], row[4]) for row in rows] == [(f"{ANN}-1", "[Bill] My [bill] is wrong")],
    lambda rows: rows == [("chat", "sms", "split", 1)],
    lambda rows: rows == [(1, "customer", "And curtains?")],
]
"""What each question must answer about the story."""


async def test_the_questions_are_answered(tmp_path: Path) -> None:
    """Each query of the page, by a connection that knows nothing of our code, on the file our code wrote."""
    story = tell()
    archive = SqliteArchive(tmp_path / "archive.db")
    await archive.open()
    await archive.apply(story.changes())
    while await archive.index():
        pass
    db = sqlite3.connect(f"{(tmp_path / 'archive.db').as_uri()}?mode=ro", uri=True)
    asked = questions()
    assert len(asked) == len(ANSWERS)
    for (heading, sql), right in zip(asked, ANSWERS, strict=True):
        rows = db.execute(sql, {"identity": MAIL, "now_ms": story.now_ms, "conversation": f"{BOB}-2"}).fetchall()
        assert right(rows), (heading, rows)
    db.close()
    await archive.close()
