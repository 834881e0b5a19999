"""The walk of the contract, on the real journal, archive and cells: a bill in the app, a text, a call; the agent who
takes the call sees one conversation with everything, and so does the archive."""

from functools import partial

import msgspec

from actors.rules.context import ContextRules, KeyRules, SwitchRules
from protocol.commands import SetContext
from protocol.events import ActivityCarried, AnyEvent, ChannelSwitched, ContextWithheld
from protocol.inbound import ActivityArrived, InteractionBegan
from protocol.links import Answered, Ask, CustomerRead, ReadCustomer, WatchConversation, Watched
from tests.actors.player import POLICY
from tests.actors.world import ACCOUNTS, World, world

USER, TEL = "user:7", "tel:+447700900123"
RULES = ContextRules(
    looks_back_ms=3_600_000,
    properties={"bill_number": "bill"},
    verified_channels=("app",),
    keys={"born": KeyRules(sensitivity="personal")},
    carries={"sms": ("normal",), "phone": ("normal", "personal")},
    switches={"any to phone": SwitchRules(required=("bill", "contract"), continuity="team:voice")},
)
VIEWED = ActivityArrived(name="bill.viewed", properties={"bill_number": "R-7"}, context={"born": "1980-02-01"})

_decode = msgspec.msgpack.Decoder(AnyEvent).decode


async def _ask(made: World, conversation: str, command: SetContext, number: int) -> Answered:
    customer = conversation.rpartition("-")[0]
    reply = await made.cells.call(
        customer, lambda ref: Ask(ref, customer, conversation, "agent:ann", f"c{number}", command, number, 1)
    )
    assert isinstance(reply, Answered), reply
    return reply


async def test_a_bill_viewed_a_text_and_a_call_are_one_conversation_with_everything() -> None:
    """Also after the cell was killed between the text and the call."""
    assert {"app", "phone"} <= set(ACCOUNTS)
    async with world(policy=msgspec.structs.replace(POLICY, version=5, context=RULES)) as made:
        await made.intake.submit(made.event(VIEWED, account="app", identities=(USER, TEL)))
        made.now_ms += 60_000
        texted = await made.intake.submit(made.event("this is too high", account="sms", identities=(TEL,)))
        conversation = texted.stream
        customer = conversation.rpartition("-")[0]
        await _ask(made, conversation, SetContext(key="reason", value="disputes the bill"), 1)
        await made.archived()
        for index in range(made.cell_count):
            made.kill_cell(index)
            await made.start_cell(index)
        began = InteractionBegan(session="call 1", context={"bill": "R-8"})
        called = await made.intake.submit(made.event(began, account="phone", identities=(TEL,)))
        assert called.stream == conversation

        watched = await made.cells.call(customer, lambda ref: WatchConversation(ref, customer, conversation, -1))
        assert isinstance(watched, Watched)
        assert watched.view is not None
        view, events = watched.view, [_decode(event) for event in watched.events]
        assert [i.channel for i in view.interactions] == ["sms", "phone"]
        known = {item.key: item for item in view.context}
        assert {key: item.value for key, item in known.items()} == {
            "bill": "R-7",
            "born": "1980-02-01",
            "reason": "disputes the bill",
        }
        assert (known["bill"].rule, [other.value for other in known["bill"].others]) == ("verified", ["R-8"])
        assert [event.name for event in events if isinstance(event, ActivityCarried)] == ["bill.viewed"]
        switches = [event for event in events if isinstance(event, ChannelSwitched)]
        assert [(s.from_channel, s.to_channel, s.by) for s in switches] == [
            ("app", "sms", "customer"),
            ("sms", "phone", "customer"),
        ]
        assert (switches[1].missing, switches[1].continuity, switches[1].policy) == (["contract"], "team:voice", 5)
        assert [s.kept == s.items_before for s in switches] == [True, True]
        [withheld] = [event for event in events if isinstance(event, ContextWithheld)]
        assert (withheld.channel, withheld.keys, withheld.policy) == ("sms", ["born"], 5)
        assert view.withheld == [], "the phone may carry what SMS may not"

        await _check_read(made, customer)
        await _check_archive(made, conversation)


async def _check_read(made: World, customer: str) -> None:
    """What a machine is told: on the phone all, on SMS not the date of birth."""
    shown = {}
    for channel in ("phone", "sms"):
        reply = await made.cells.call(customer, partial(ReadCustomer, customer=customer, channel=channel))
        assert isinstance(reply, CustomerRead), reply
        assert reply.view is not None
        shown[channel] = {item.key for item in reply.view.open[0].context}
        assert reply.view.last_steps[-1].words == "it went on by phone instead of sms"
    assert shown == {"phone": {"bill", "born", "reason"}, "sms": {"bill", "reason"}}


async def _check_archive(made: World, conversation: str) -> None:
    """Both values with their sources, the switches with what was missing, and what was withheld."""
    await made.archived()
    row = await made.archive_store.conversation(conversation)
    assert row is not None
    bill = [(v["channel"], v["source"], v["value"]) for v in row["context_values"] if v["key"] == "bill"]
    assert sorted(bill) == [("app", "customer", "R-7"), ("phone", "customer", "R-8")]
    assert [(i["value"], i["rule"]) for i in row["context"] if i["key"] == "bill"] == [("R-7", "verified")]
    assert [(s["from_channel"], s["to_channel"], s["missing"]) for s in row["switches"]] == [
        ("app", "sms", []),
        ("sms", "phone", ["contract"]),
    ]
    assert [(w["key"], w["channel"], w["policy"]) for w in row["withheld"]] == [("born", "sms", 5)]


async def test_whose_word_is_verified_is_the_accounts_doing_and_not_the_senders() -> None:
    """An untrusted account that calls itself the app: what it says is known, and counts as anybody's."""
    async with world(policy=msgspec.structs.replace(POLICY, version=5, context=RULES)) as made:
        began = InteractionBegan(session="call 1", context={"bill": "R-9"})
        posing = msgspec.structs.replace(made.event(began, account="sms", identities=(TEL,)), channel="app")
        said = await made.intake.submit(posing)
        customer = said.stream.rpartition("-")[0]
        watched = await made.cells.call(customer, lambda ref: WatchConversation(ref, customer, said.stream, -1))
        assert isinstance(watched, Watched)
        assert watched.view is not None
        assert [(item.key, item.verified) for item in watched.view.context] == [("bill", False)]
