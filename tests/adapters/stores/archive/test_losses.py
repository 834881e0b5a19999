"""Where context gets lost: each measure finds what it says, in its group, with examples."""

import re
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.inbound.importing import IMPORTED
from adapters.stores.archive.losses import EXAMPLES_MAX, REPEAT_WITHIN_MS, LossesWanted
from adapters.stores.archive.measures import MEASURES, WITH_ALL, Measure
from adapters.stores.archive.memory import MemoryArchive
from adapters.stores.archive.schema import ARCHIVE
from adapters.stores.migrations import migrate
from protocol import events as ev
from protocol.entities import Interaction, Relation, RelationKind, Tag
from protocol.handoffs import HandoffPackage
from tests.adapters.stores.story import HOUR_MS, Story

ANN, BOB = "cuann0000000000000", "cubob0000000000000"
DAY_MS = 24 * HOUR_MS
MONDAY = "2023-11-13"


def refused(
    n: int, account: str = "chat", *, code: int = 4200, field: str = "", rule: str = "schema"
) -> tuple[str, ev.AnyEvent]:
    """A quarantined event of an account."""
    stream = f"account:{account}"
    return stream, ev.InputQuarantined(
        at_ms=0, quarantine=f"{account}.{n}", account=account, source="s", id=str(n), code=code, field=field,
        reason="r", raw=b"", rule=rule,
    )  # fmt: skip


async def lost(story: Story, **wanted: Any) -> list[dict[str, Any]]:
    """The report on the story."""
    archive = MemoryArchive()
    await archive.open()
    await archive.apply(story.changes())
    rows = await archive.losses(LossesWanted(**wanted))
    await archive.close()
    return rows


def back(story: Story, after_ms: int, relation: Relation | None = None) -> str:
    """Ann's issue is resolved; later she writes a text about another."""
    first = story.meet(ANN, "mailto:ann@example.org", "email", "My bill is wrong")
    story.unit(ANN, (first, ev.ConversationResolved(at_ms=0, close_at_ms=story.now_ms + 1)))
    story.unit(ANN, (first, ev.ConversationClosed(at_ms=0)))
    story.now_ms += after_ms
    opened = ev.ConversationOpened(at_ms=0, customer=ANN, queue="bills", relation=relation)
    second = f"{ANN}-2"
    story.unit(ANN, (second, opened), (second, story.contact(1, "tel:+447700900123", "sms")))
    return second


async def test_quarantined_events_are_counted_until_they_are_replayed() -> None:
    """By account and week, the newest examples first, and only so many."""
    story = Story()
    for n in range(EXAMPLES_MAX + 2):
        story.now_ms += 1
        story.unit("account:chat", refused(n))
    story.unit("account:mail", refused(1, "mail"))
    story.unit("account:chat", ("account:chat", ev.QuarantineReplayed(at_ms=0, quarantine="chat.0")))
    chat, mail = await lost(story)
    assert (chat["measure"], chat["channels"], chat["count"], chat["week"]) == ("quarantined", "chat", 6, MONDAY)
    assert chat["examples"] == [f"chat.{n}" for n in range(6, 1, -1)]
    assert (mail["channels"], mail["count"], mail["mend"]) == ("mail", 1, "sender")


async def test_a_refused_event_is_of_the_product_line_that_it_speaks_of() -> None:
    """Though nobody knows whose it is; else of that which the customer's newest conversation is about."""
    story = Story()
    stream, event = refused(1)
    story.unit(stream, (stream, msgspec.structs.replace(event, product_line="motor")), refused(2))
    motor, other = sorted(await lost(story), key=lambda row: row["product"], reverse=True)
    assert [(motor["product"], motor["count"]), (other["product"], other["count"])] == [("motor", 1), ("", 1)]


async def test_a_refused_event_of_a_customer_is_their_newest_conversations_teams() -> None:
    """Who has the customer now is who misses it; of an account alone nobody knows."""
    story = Story()
    story.meet(ANN, "web:ann", "chat", "hello", queue="bills")
    story.now_ms += HOUR_MS
    opened = ev.ConversationOpened(at_ms=0, customer=ANN, queue="sales")
    story.unit(ANN, (f"{ANN}-2", opened), (f"{ANN}-2", story.contact(1, "web:ann", "chat")))
    story.meet(BOB, "web:bob", "chat", "hello", queue="claims")
    _, event = refused(1)
    story.unit(ANN, (ANN, event))
    [row] = await lost(story)
    assert (row["measure"], row["team"], row["count"]) == ("quarantined", "sales", 1)


@pytest.mark.parametrize(
    ("code", "field", "rule", "mend", "pointed"),
    [
        (4200, "contract", "capture:chat", "capture.yaml", "templates[chat].fields[contract]"),
        (4204, "identities", "schema", "capture.yaml", "templates[chat].identities"),
        (4206, "identities", "schema", "identity.yaml", "match"),
        (4209, "account", "schema", "accounts.yaml", "chat"),
        (4202, "id", "once", "sender", "once: id"),
        (4203, "time_ms", "schema", "sender", "schema: time_ms"),
    ],
)
async def test_a_refusal_leads_to_the_rule_that_refused(
    code: int, field: str, rule: str, mend: str, pointed: str
) -> None:
    """What no rule of the policy refused is the sender's to mend."""
    story = Story()
    story.unit("account:chat", refused(1, code=code, field=field, rule=rule))
    [row] = await lost(story)
    assert (row["mend"], row["rule"]) == (mend, pointed)


async def test_a_rule_stands_out_where_more_than_half_lead_to_it() -> None:
    """Else the file of the measure is all that is said."""
    story = Story()
    for n, field in enumerate(["contract", "contract", "meter", "claim"]):
        story.unit("account:chat", refused(n, field=field, rule="capture:chat"))
    [row] = await lost(story)
    assert (row["count"], row["mend"], row["rule"]) == (4, "capture.yaml", "")
    story.unit("account:chat", refused(5, field="contract", rule="capture:chat"))
    [row] = await lost(story)
    assert row["rule"] == "templates[chat].fields[contract]"


async def test_what_more_than_half_lead_to_is_looked_at_though_no_rule_stands_out() -> None:
    """No owner finds in a template what is wrong with a form that only the sending program can mend."""
    story = Story()
    for n, field in enumerate(["data.text", "data.type", "id"]):
        story.unit("account:chat", refused(n, field=field, rule="schema"))
    story.unit("account:chat", refused(3, field="contract", rule="capture:chat"))
    [row] = await lost(story)
    assert (row["count"], row["mend"], row["rule"]) == (4, "sender", "")
    for n in (4, 5):
        story.unit("account:chat", refused(n, field="meter", rule="capture:chat"))
    [row] = await lost(story)
    assert (row["count"], row["mend"], row["rule"]) == (6, "capture.yaml", "")  # Half of each: the measure's own.
    for n in (6, 7):
        story.unit("account:chat", refused(n, field="claim", rule="capture:chat"))
    [row] = await lost(story)
    assert (row["mend"], row["rule"]) == ("capture.yaml", "")
    for n in (8, 9, 10, 11, 12, 13):
        story.unit("account:chat", refused(n, code=4206, field="identities", rule="schema"))
    [row] = await lost(story)
    assert (row["count"], row["mend"], row["rule"]) == (14, "capture.yaml", "")
    for n in (14, 15, 16):
        story.unit("account:chat", refused(n, code=4206, field="identities", rule="schema"))
    [row] = await lost(story)
    assert (row["count"], row["mend"], row["rule"]) == (17, "identity.yaml", "match")


async def test_of_how_many_occasions_something_was_lost() -> None:
    """Contacts of the channel and refusals together; a week counts its own."""
    story = Story()
    story.unit("account:chat", refused(1))
    story.meet(ANN, "web:ann", "chat", "hello", queue="sales")
    story.now_ms += 7 * DAY_MS
    story.meet(BOB, "web:bob", "chat", "hello", queue="sales")
    [row] = await lost(story)
    assert (row["count"], row["occasions"], row["team"], row["week"]) == (1, 2, "sales", MONDAY)


async def test_a_line_has_its_product_line_and_is_found_by_it() -> None:
    """By channel on either side, by team, by product line."""
    story = Story()
    second = back(story, DAY_MS)
    tagged = ev.InteractionTagged(at_ms=0, interaction=1, product_line=Tag(value="motor", tagger="words"))
    story.unit(ANN, (second, tagged))
    [row] = await lost(story)
    assert (row["measure"], row["product"]) == ("repeat_without_relation", "motor")
    for fits in ({"channel": "email"}, {"channel": "sms"}, {"team": "bills"}, {"product": "motor"}):
        assert await lost(story, **fits) == [row]
    for misfits in ({"channel": "mail"}, {"team": "sales"}, {"product": "home"}):
        assert await lost(story, **misfits) == []


async def test_a_repeat_without_a_relation_is_a_loss() -> None:
    """From channel to channel, in the team that has it now."""
    story = Story()
    second = back(story, DAY_MS)
    [row] = await lost(story)
    assert (row["measure"], row["channels"], row["team"]) == ("repeat_without_relation", "email → sms", "bills")
    assert (row["count"], row["examples"], row["mend"]) == (1, [second], "correlation.yaml")


async def test_a_repeat_with_a_relation_or_much_later_is_none() -> None:
    """Somebody knows what it belongs to; or it does not."""
    related, late = Story(), Story()
    back(related, DAY_MS, Relation(kind=RelationKind.REPEATS, conversation=f"{ANN}-1"))
    back(late, REPEAT_WITHIN_MS + 1)
    assert await lost(related) == await lost(late) == []


async def test_what_was_imported_is_nobodys_to_relate() -> None:
    """A past without relations is no context that this desk lost."""
    story = Story()
    second = back(story, DAY_MS)
    ended = ev.InteractionEnded(at_ms=0, interaction=1, reason=IMPORTED)
    story.unit(ANN, (second, ended), (second, ev.ConversationClosed(at_ms=0, reason=IMPORTED)))
    assert await lost(story) == []


async def test_a_conflict_names_the_customer_and_their_team() -> None:
    """One finding a conflict."""
    story = Story()
    story.meet(ANN, "mailto:ann@example.org", "email", "hello", queue="sales")
    story.unit(ANN, (ANN, ev.IdentityConflictFound(at_ms=0, identity="tel:+1", other=BOB)))
    [row] = await lost(story)
    assert (row["measure"], row["team"], row["examples"]) == ("identity_conflict", "sales", [ANN])


async def test_one_number_by_two_channels_is_two_customers() -> None:
    """Where it is one customer's, nothing is lost."""
    story = Story()
    story.meet(ANN, "tel:+447700900123", "sms", "hello")
    story.meet(BOB, "whatsapp:+447700900123", "whatsapp", "hello")
    story.unit(BOB, (BOB, ev.IdentityLinked(at_ms=0, identity="sip:+447700900199", evidence="agent")))
    story.unit(BOB, (BOB, ev.IdentityLinked(at_ms=0, identity="tel:+447700900199", evidence="agent")))
    [row] = await lost(story)
    assert (row["measure"], row["channels"], row["team"]) == ("duplicate_identity", "tel → whatsapp", "bills")
    assert (row["count"], row["occasions"]) == (1, 4)
    assert row["examples"] == [f"{ANN},{BOB}"]


async def test_a_handoff_that_nobody_acknowledged_and_an_incomplete_package() -> None:
    """The team it was offered to has the first; an accepted one is complete or not, but not lost."""
    story = Story()
    first = story.meet(ANN, "mailto:ann@example.org", "email", "hello", queue="sales")
    package = HandoffPackage(conversation=first, lease=1, through=1, missing=["contract"])
    offered = ev.HandoffOffered(
        at_ms=0, lease=1, kind="t1-t2", giver="bo", to="queue:bills", continuity="bo", package=package, sha256="",
        expires_at_ms=1,
    )  # fmt: skip
    story.unit(ANN, (first, offered), (first, ev.HandoffExpired(at_ms=0, lease=1)))
    whole = msgspec.structs.replace(offered, lease=2, package=msgspec.structs.replace(package, missing=[]))
    accepted = ev.HandoffAccepted(at_ms=0, lease=2, sha256="", continuity="al")
    story.unit(ANN, (first, whole), (first, accepted))
    found = {row["measure"]: (row["team"], row["channels"], row["count"]) for row in await lost(story)}
    assert found == {"handoff_unacknowledged": ("bills", "email", 1), "incomplete_package": ("sales", "email", 1)}


async def test_a_conversation_that_changes_hands_without_an_offer() -> None:
    """From one agent to another; not to the first, not to nobody, not by a handoff."""
    story = Story()
    first = story.meet(ANN, "mailto:ann@example.org", "email", "hello", queue="sales")
    for owner in ("ann", "", "bo"):
        story.unit(ANN, (first, ev.OwnerChanged(at_ms=0, owner=owner)))
    story.now_ms += HOUR_MS
    package = HandoffPackage(conversation=first, lease=1, through=1)
    offered = ev.HandoffOffered(
        at_ms=0, lease=1, kind="t1-t2", giver="bo", to="agent:al", continuity="bo", package=package, sha256="",
        expires_at_ms=1,
    )  # fmt: skip
    accepted = ev.HandoffAccepted(at_ms=0, lease=1, sha256="", continuity="al")
    story.unit(ANN, (first, offered))
    story.unit(ANN, (first, accepted), (first, ev.OwnerChanged(at_ms=0, owner="al", previous="bo")))
    assert await lost(story) == []
    story.now_ms += HOUR_MS
    story.unit(ANN, (first, ev.OwnerChanged(at_ms=0, owner="cy", previous="al")))
    [row] = await lost(story)
    assert (row["measure"], row["team"], row["count"], row["occasions"]) == ("handoff_unacknowledged", "sales", 1, 2)
    assert (row["mend"], row["rule"]) == ("handoffs.yaml", "others")


async def test_what_was_missing_at_a_switch_of_channels() -> None:
    """By the pair of channels; a switch that had all is none."""
    story = Story()
    first = story.meet(ANN, "mailto:ann@example.org", "email", "hello", queue="sales")
    switch = ev.ChannelSwitched(
        at_ms=0, from_channel="email", to_channel="phone", interaction=1, by="customer", continuity="queue:sales"
    )
    story.unit(ANN, (first, switch))
    assert await lost(story) == []
    story.unit(ANN, (first, msgspec.structs.replace(switch, required=["contract"], missing=["contract"])))
    [row] = await lost(story)
    assert (row["measure"], row["channels"], row["team"]) == ("switch_missing", "email → phone", "sales")


async def test_a_customer_who_is_back_about_the_same_and_an_agent_who_corrects() -> None:
    """Both by the pair of channels; the product line is the contact's. An unmerge is no correction of theirs."""
    story = Story()
    relation = Relation(kind=RelationKind.REPEATS, conversation=f"{ANN}-1")
    second = back(story, DAY_MS, relation)
    tagged = ev.InteractionTagged(at_ms=0, interaction=1, product_line=Tag(value="motor", tagger="words"))
    found = ev.RepeatContactFound(
        at_ms=0, interaction=1, earlier=f"{ANN}-1", topic="bill", resolved_at_ms=1, channel="sms"
    )
    corrected = ev.CorrelationCorrected(
        at_ms=0, actor="agent:bo", correction="relate", other=f"{ANN}-1", earlier_channel="email", channel="sms"
    )
    unmerged = msgspec.structs.replace(corrected, correction="unmerge", earlier_channel="", channel="")
    story.unit(ANN, (second, tagged), (second, found), (second, corrected), (second, unmerged))
    rows = await lost(story)
    assert {row["measure"] for row in rows} == {"repeat_contact", "correlation_corrected"}
    assert [(row["channels"], row["team"], row["product"], row["examples"], row["count"]) for row in rows] == [
        ("email → sms", "bills", "motor", [second], 1)
    ] * 2


def joined(story: Story, other: str, into: str, number: int, contact: ev.InteractionStarted) -> None:
    """An agent says that the one contact of `other` belongs to `into`, where it gets that number."""
    came = Interaction(
        number=number,
        channel=contact.channel,
        account=contact.account,
        identity=contact.identity,
        origins=((other, 1),),
    )
    join = ev.CorrelationCorrected(
        at_ms=0, actor="agent:bo", correction="join", other=other, interactions=[number], channel=contact.channel
    )
    story.unit(
        ANN,
        (into, join),
        (into, ev.InteractionReceived(at_ms=0, interaction=came, came_from=other)),
        (other, ev.InteractionMoved(at_ms=0, interaction=1, to=into, number=number)),
        (other, ev.ConversationClosed(at_ms=0, actor="agent:bo", reason=f"joined into {into}")),
    )


async def test_who_is_back_about_what_was_joined_to_it_is_a_correction_alone() -> None:
    """An agent has said that both are one; nothing is left of the earlier one that nobody related."""
    story = Story()
    second = back(story, DAY_MS)
    joined(story, f"{ANN}-1", second, 2, story.contact(1, "mailto:ann@example.org", "email"))
    assert [(row["measure"], row["count"]) for row in await lost(story)] == [("correlation_corrected", 1)]


async def test_a_conversation_that_a_join_closed_was_not_done_by_that() -> None:
    """Nor does who was put elsewhere come back by it: of the next contact there is nothing earlier that was done."""
    story = Story()
    first = story.meet(ANN, "mailto:ann@example.org", "email", "My bill is wrong")
    text = story.contact(1, "tel:+447700900123", "sms")
    story.unit(ANN, (f"{ANN}-2", ev.ConversationOpened(at_ms=0, customer=ANN, queue="bills")), (f"{ANN}-2", text))
    joined(story, f"{ANN}-2", first, 2, text)
    story.now_ms += DAY_MS
    story.open(ANN, f"{ANN}-3", "mailto:ann@example.org", "email", "Something else")
    assert [row["measure"] for row in await lost(story)] == ["correlation_corrected"]


async def test_nobody_is_back_whose_contact_was_put_to_what_was_open_all_along() -> None:
    """That conversation began before the other one was done."""
    story = Story()
    third = story.open(ANN, f"{ANN}-3", "mailto:ann@example.org", "email", "My claim")
    story.now_ms += 1
    second = back(story, DAY_MS)
    joined(story, second, third, 2, story.contact(1, "tel:+447700900123", "sms"))
    assert [row["measure"] for row in await lost(story)] == ["correlation_corrected"]


async def test_a_repeat_contact_is_counted_where_a_join_put_it() -> None:
    """Once, in the team that has it now, by what it is about; there an operator looks next. The customer was back, and
    stays so."""
    story = Story()
    second = back(story, DAY_MS, Relation(kind=RelationKind.REPEATS, conversation=f"{ANN}-1"))
    found = ev.RepeatContactFound(
        at_ms=0, interaction=1, earlier=f"{ANN}-1", topic="bill", resolved_at_ms=1, channel="sms"
    )
    story.unit(ANN, (second, found))
    third = f"{ANN}-3"
    tagged = ev.InteractionTagged(at_ms=0, interaction=2, product_line=Tag(value="motor", tagger="words"))
    relation = Relation(kind=RelationKind.REPEATS, conversation=f"{ANN}-1")
    opened = ev.ConversationOpened(at_ms=0, customer=ANN, queue="sales", relation=relation)
    story.unit(ANN, (third, opened), (third, story.contact(1, "mailto:ann@example.org", "email")))
    joined(story, second, third, 2, story.contact(1, "tel:+447700900123", "sms"))
    story.unit(ANN, (third, tagged))
    [row] = [row for row in await lost(story) if row["measure"] == "repeat_contact"]
    assert (row["channels"], row["team"], row["product"]) == ("email → sms", "sales", "motor")
    assert (row["count"], row["occasions"], row["examples"]) == (1, 1, [third])
    assert {row["measure"] for row in await lost(story)} == {"repeat_contact", "correlation_corrected"}


async def test_a_contact_that_was_split_off_is_an_occasion_of_its_pair() -> None:
    """Where it is now it has none before it; of two calls after a text one was put in the wrong place."""
    story = Story()
    for customer, number in ((ANN, "+447700900123"), (BOB, "+447700900124")):
        first = story.meet(customer, f"tel:{number}", "sms", "My bill is wrong")
        story.unit(customer, (first, story.contact(2, f"tel:{number}", "phone")))
    came = Interaction(
        number=1, channel="phone", account="phone", identity="tel:+447700900123", origins=((f"{ANN}-1", 2),)
    )
    split = ev.CorrelationCorrected(
        at_ms=0, correction="split", other=f"{ANN}-2", interactions=[2], earlier_channel="sms", channel="phone"
    )
    story.unit(
        ANN,
        (f"{ANN}-1", split),
        (f"{ANN}-1", ev.InteractionMoved(at_ms=0, interaction=2, to=f"{ANN}-2", number=1)),
        (f"{ANN}-2", ev.ConversationOpened(at_ms=0, customer=ANN, queue="bills")),
        (f"{ANN}-2", ev.InteractionReceived(at_ms=0, interaction=came, came_from=f"{ANN}-1")),
    )
    [row] = await lost(story)
    assert (row["measure"], row["channels"]) == ("correlation_corrected", "sms → phone")
    assert (row["count"], row["occasions"]) == (1, 2)


async def test_a_field_that_another_conversation_had_is_asked_again() -> None:
    """Not one that nobody said before, nor one that became known later."""
    story = Story()
    first = story.meet(ANN, "mailto:ann@example.org", "email", "My bill is wrong")
    asked = {
        name: ev.FieldMissing(at_ms=0, field=name, interaction=1, channel="sms", template="sms", action="ask_customer")
        for name in ("contract", "meter", "claim")
    }
    story.unit(ANN, (first, ev.ContextSet(at_ms=0, key="contract", value="C-1", channel="email", interaction=1)))
    story.now_ms += HOUR_MS
    second = f"{ANN}-2"
    relation = Relation(kind=RelationKind.FOLLOWS_UP, conversation=first)
    opened = ev.ConversationOpened(at_ms=0, customer=ANN, queue="bills", relation=relation)
    contact = story.contact(1, "tel:+447700900123", "sms")
    story.unit(ANN, (second, opened), (second, contact), *((second, missing) for missing in asked.values()))
    story.now_ms += HOUR_MS
    story.unit(ANN, (first, ev.ContextSet(at_ms=0, key="meter", value="7", channel="email", interaction=1)))
    [row] = await lost(story)
    assert (row["measure"], row["channels"], row["team"]) == ("asked_again", "email → sms", "bills")
    assert (row["count"], row["examples"], row["mend"]) == (1, [second], "capture.yaml")


async def test_who_asks_again_is_not_who_knew() -> None:
    """Three conversations had it, that which asks before the others: it asks before and after they did."""
    story = Story()
    talks = [story.meet(ANN, "mailto:ann@example.org", "email", "My bill is wrong")]
    for number in (2, 3):
        opened = ev.ConversationOpened(at_ms=0, customer=ANN, queue="bills")
        talks.append(f"{ANN}-{number}")
        story.unit(ANN, (talks[-1], opened), (talks[-1], story.contact(1, "mailto:ann@example.org", "email")))
    for talk in talks:
        story.unit(ANN, (talk, ev.ContextSet(at_ms=0, key="contract", value="C-1", channel="email", interaction=1)))
        asks = ev.FieldMissing(
            at_ms=0, field="contract", interaction=1, channel="sms", template="sms", action="ask_agent"
        )
        story.now_ms += HOUR_MS
        story.unit(ANN, (talks[0], asks))
        story.now_ms += HOUR_MS
    asked_ms = story.now_ms - HOUR_MS
    for bounds, count in (({"from_ms": asked_ms}, 1), ({"from_ms": asked_ms + 1}, 0), ({"until_ms": asked_ms}, 1)):
        found = [row["count"] for row in await lost(story, **bounds) if row["measure"] == "asked_again"]
        assert sum(found) == count, bounds
    again = [row for row in await lost(story) if row["measure"] == "asked_again"]
    assert [(row["channels"], row["count"], row["occasions"]) for row in again] == [("email → sms", 2, 3)]


def moves(story: Story, origin: str, number: int, to: str, as_number: int) -> None:
    """A contact goes to another conversation."""
    contact = Interaction(
        number=as_number, channel="sms", account="sms", identity="tel:+447700900123", origins=((origin, number),)
    )
    story.unit(
        ANN,
        (origin, ev.InteractionMoved(at_ms=0, interaction=number, to=to, number=as_number)),
        (to, ev.InteractionReceived(at_ms=0, interaction=contact, came_from=origin)),
    )


@pytest.mark.parametrize(("to", "count"), [(f"{ANN}-3", 2), (f"{BOB}-1", 1)])
async def test_what_was_asked_was_asked_whose_contact_it_is(to: str, count: int) -> None:
    """Ann had told it before. Of two contacts that were asked all the same, one comes to the other, and both count; or
    it turns out to be Bob's, who had told nothing."""
    story = Story()
    first = story.meet(ANN, "mailto:ann@example.org", "email", "My bill is wrong")
    story.unit(ANN, (first, ev.ContextSet(at_ms=0, key="contract", value="C-1", channel="email", interaction=1)))
    story.now_ms += HOUR_MS
    missing = ev.FieldMissing(
        at_ms=0, field="contract", interaction=1, channel="sms", template="sms", action="ask_customer"
    )
    for conversation in (f"{ANN}-2", f"{ANN}-3"):
        opened = ev.ConversationOpened(at_ms=0, customer=ANN, queue="bills")
        contact = story.contact(1, "tel:+447700900123", "sms")
        story.unit(ANN, (conversation, opened), (conversation, contact), (conversation, missing))
    if to.startswith(BOB):
        story.unit(ANN, (to, ev.ConversationOpened(at_ms=0, customer=BOB, queue="bills")))
    moves(story, f"{ANN}-2", 1, to, 2)
    again = [row for row in await lost(story) if row["measure"] == "asked_again"]
    assert [(row["count"], row["examples"][-1]) for row in again] == [(count, f"{ANN}-3")]


async def test_only_the_time_asked_for_is_counted() -> None:
    """From the first to before the second; weeks are apart."""
    story = Story()
    story.unit("account:chat", refused(1))
    story.now_ms += 7 * DAY_MS
    story.unit("account:chat", refused(2))
    assert [(row["week"], row["count"]) for row in await lost(story)] == [("2023-11-20", 1), (MONDAY, 1)]
    assert [row["examples"] for row in await lost(story, from_ms=story.now_ms)] == [["chat.2"]]
    assert [row["examples"] for row in await lost(story, until_ms=story.now_ms)] == [["chat.1"]]


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
def test_every_measure_says_what_it_means_and_what_mends_it(measure: Any) -> None:
    """An operator who sees a number knows where to look next."""
    assert measure.meaning
    assert measure.mend.endswith(".yaml")
    page = (Path(__file__).parents[4] / "docs" / "operations.md").read_text()
    assert re.search(rf"^\| `{measure.name}` \| .* \| `{measure.mend}` \|$", page, re.MULTILINE)


@pytest.mark.parametrize("measure", MEASURES, ids=[measure.name for measure in MEASURES])
def test_events_are_not_read_whole(measure: Measure) -> None:
    """They are most of an archive's bytes, and a report is of a week."""
    db = sqlite3.connect(":memory:")
    migrate(db, ARCHIVE)
    bounds = {"from_ms": 1, "until_ms": 2, "repeat_within_ms": REPEAT_WITHIN_MS}
    for sql in (measure.sql, measure.occasions):
        plan = db.execute(f"EXPLAIN QUERY PLAN WITH {WITH_ALL}, asked_for AS ({sql}) SELECT * FROM asked_for", bounds)
        steps = [step for *_, step in plan]
        assert "SCAN event" not in steps, steps
    db.close()


def test_a_customer_of_thousands_of_conversations_is_not_read_for_each_of_them() -> None:
    """What was done in the two weeks before one began is found by its time; the newest of them by the first step."""
    db = sqlite3.connect(":memory:")
    migrate(db, ARCHIVE)
    bounds = {"from_ms": 1, "until_ms": 2, "repeat_within_ms": REPEAT_WITHIN_MS}
    steps = [step for *_, step in db.execute(f"EXPLAIN QUERY PLAN WITH {WITH_ALL} SELECT * FROM back", bounds)]
    assert "SEARCH earlier USING INDEX conversation_by_done (customer=? AND <expr>>? AND <expr><?)" in steps, steps
    [conflicts] = [measure for measure in MEASURES if measure.name == "identity_conflict"]
    steps = [step for *_, step in db.execute(f"EXPLAIN QUERY PLAN {conflicts.sql}")]
    assert "SEARCH latest USING COVERING INDEX conversation_by_customer (customer=?)" in steps, steps
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps, steps
    db.close()
