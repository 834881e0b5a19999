"""The intake: checks, whose an identity is, and the order of a customer's events while that is being found out."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from msgspec.structs import replace

from actors.rules.capture import CaptureRules, Template, Who
from orchestrator.cell_lines.cells import Cells
from orchestrator.cell_lines.questions import Reply
from orchestrator.way_in.event_checks import CHANNEL_MAX, LINE_MAX, check_form, check_time
from orchestrator.way_in.intake import AccountRule, Intake, IntakeLimits
from protocol.commands import AddNote
from protocol.errors import Code, Refusal
from protocol.inbound import (
    ActivityArrived,
    AnyData,
    Attachment,
    DeliveryReport,
    InboundEvent,
    InteractionBegan,
    InteractionStopped,
    MessageArrived,
    PastConversation,
    PastMessage,
)
from protocol.links import Answered, AnyToCell, Input, Moved, Quarantine, Refused, Replay, Unlinked

NOW_MS = 1_000_000_000
ANN, TEL = "mailto:ann@example.org", "tel:+447700900123"


class Asked:
    """Stands in for the cells, as far as an intake asks: keeps what was asked, and answers when the test says so."""

    def __init__(self) -> None:
        self.full = False
        self.open: list[tuple[Input, Callable[[Reply], None]]] = []
        self.kept: list[tuple[Quarantine, Callable[[Reply], None]]] = []
        self.refs = itertools.count(1)

    def new_ref(self) -> int:
        return next(self.refs)

    def put(self, customer: str, ref: int, question: AnyToCell, done: Callable[[Reply], None]) -> None:
        assert isinstance(question, Input)
        assert question.ref == ref
        assert question.customer == customer
        self.open.append((question, done))

    def ask(self, customer: str, make: Callable[[int], AnyToCell], done: Callable[[Reply], None]) -> None:
        question = make(self.new_ref())
        assert isinstance(question, Quarantine)
        self.kept.append((question, done))

    def follow_turned_away(self, overtaking: object) -> None:
        """Nothing is asked again here."""

    def broke(self, exc: Exception) -> None:
        raise exc

    def commit(self, *, owns: bool = True) -> None:
        """Answers the oldest; `owns`: its identities are the customer's now."""
        question, done = self.open.pop(0)
        done(Answered(question.ref, "committed", f"{question.customer}-1", 1, 1, owns))

    def refuse(self) -> None:
        """Refuses the oldest."""
        question, done = self.open.pop(0)
        done(Refused(question.ref, Code.NOT_FOUND, "no"))

    def unlink(self, identity: str, *shared: str) -> None:
        """Says of the oldest that the identity is not its customer's; or that it leads there, being shared."""
        question, done = self.open.pop(0)
        done(Unlinked(question.ref, identity, question.customer, list(shared)))

    def inputs_under_way(self, customer: str) -> list[InboundEvent]:
        return [question.event for question, _ in self.open if question.customer == customer]

    def move(self, identity: str, customer: str) -> None:
        """Says of the oldest that the identity is another's."""
        question, done = self.open.pop(0)
        done(Moved(question.ref, identity, customer))


def past(*, time_ms: int = 1, at_ms: int = 2) -> InboundEvent:
    """A contact of the past, with one message."""
    return replace(
        event("1", ANN, time_ms=time_ms), data=PastConversation(messages=[PastMessage(at_ms=at_ms, text="x")])
    )


def with_data(data: AnyData) -> InboundEvent:
    """Whatever Ann's channel says."""
    return replace(event("1", ANN), data=data)


class Door:
    """An intake over asked cells and a table of identities."""

    def __init__(
        self, known: dict[str, str] | None = None, *, waiting_max: int = 100, waiting_bytes_max: int = 10**6
    ) -> None:
        self.cells = Asked()
        self.known = known or {}
        self.lookups: list[list[str]] = []
        self.outcomes: list[Answered | Refusal] = []
        self.broken = False
        self.may_look = asyncio.Event()
        self.may_look.set()
        ids = itertools.count(1)
        self.intake = Intake(
            cast(Cells, self.cells),
            self.look_up,
            {"mail": AccountRule(trusted=False), "chat": AccountRule(trusted=True)},
            region="GB",
            limits=IntakeLimits(
                waiting_max=waiting_max, waiting_bytes_max=waiting_bytes_max, ahead_ms=1000, behind_ms=10_000
            ),
            now_ms=lambda: NOW_MS,
            new_customer=lambda: f"cunew{next(ids)}",
        )

    async def look_up(self, identities: Sequence[str]) -> dict[str, str]:
        self.lookups.append(list(identities))
        await self.may_look.wait()
        if self.broken:
            raise OSError("the disk is gone")
        return {i: self.known[i] for i in identities if i in self.known}

    async def take(self, *events: InboundEvent) -> None:
        """Takes events in order and lets lookups happen."""
        for event in events:
            self.intake.take(event, self.outcomes.append)
        for _ in range(5):
            await asyncio.sleep(0)

    @property
    def sent(self) -> list[tuple[str, str, bool]]:
        """What is with the cells: event id, customer, proposed."""
        return [(question.event.id, question.customer, question.proposed) for question, _ in self.cells.open]


def event(id: str, *identities: str, account: str = "mail", text: str = "hi", time_ms: int = NOW_MS) -> InboundEvent:
    """A message."""
    return InboundEvent(
        id=id, source="s", time_ms=time_ms, account=account, channel="email", identities=list(identities or (ANN,)),
        data=MessageArrived(text=text),
    )  # fmt: skip


async def test_a_stranger_is_proposed_and_those_who_follow_go_along() -> None:
    """While a proposal is under way every event with its identities goes to the same customer, after it."""
    door = Door()
    await door.take(event("1"), event("2"))
    assert door.sent == [("1", "cunew1", True), ("2", "cunew1", True)]
    door.cells.commit()
    door.cells.commit()
    await door.take(event("3"))
    assert door.sent == [("3", "cunew1", False)]
    assert door.lookups == [[ANN]]


async def test_a_known_identity_decides_and_the_new_one_is_linked() -> None:
    """A trusted event with one known identity goes to its customer, and brings the other along."""
    door = Door({TEL: "cuold"})
    await door.take(event("1", "web:1", TEL, account="chat"))
    question = door.cells.open[0][0]
    assert (question.customer, question.identities, question.proposed) == ("cuold", ["web:1", TEL], False)
    assert question.claimed == ["web:1"]
    door.cells.commit()
    await door.take(event("2", "web:1", account="chat"))
    assert door.sent == [("2", "cuold", False)]
    await door.take(event("3", TEL, "web:1", account="chat"))
    assert len(door.lookups) == 1, "and neither is looked up again"


async def test_conflicting_identities_are_named_and_not_merged() -> None:
    """The first identity decides; the other is reported with its owner."""
    door = Door({ANN: "cua", TEL: "cub"})
    await door.take(event("1", ANN, TEL, account="chat"))
    question = door.cells.open[0][0]
    assert (question.customer, question.identities, question.conflicts) == ("cua", [ANN], [(TEL, "cub")])


async def test_a_wrong_proposal_moves_on_in_order() -> None:
    """Newer events wait until all that are under way are answered; then all go on as they came."""
    door = Door()
    await door.take(event("1"), event("2"))
    door.cells.move(ANN, "cutrue")
    await door.take(event("3"))
    assert door.sent == [("2", "cunew1", True)], "3 is held: 2 is still under way"
    door.cells.move(ANN, "cutrue")
    assert door.sent == [("1", "cutrue", False), ("2", "cutrue", False), ("3", "cutrue", False)]
    assert door.outcomes == []


async def test_those_who_moved_stay_in_front_of_those_who_wait_for_the_store() -> None:
    """An older event that comes back from a wrong proposal is not overtaken by one that is being looked up."""
    door = Door()
    await door.take(event("1", "web:1", account="chat"))
    door.may_look.clear()
    await door.take(event("2", "web:1", "web:2", account="chat"))
    door.cells.move("web:1", "cutrue")
    door.may_look.set()
    await door.take()
    assert [(id, customer) for id, customer, _ in door.sent] == [("1", "cutrue"), ("2", "cutrue")]


@pytest.mark.parametrize("more", [(), ("crm:7",)])
async def test_who_is_known_waits_behind_its_own_event_that_is_looked_up(more: tuple[str, ...]) -> None:
    """Memory would have it overtake that one, whose other identity is new."""
    door = Door({ANN: "cua", "crm:7": "cua"})
    await door.take(event("0", ANN, "crm:7", account="chat"))
    door.may_look.clear()
    await door.take(event("1", ANN, TEL, account="chat"), event("2", ANN, *more, account="chat"))
    assert [id for id, _, _ in door.sent] == ["0"]
    door.may_look.set()
    await door.take()
    assert [id for id, _, _ in door.sent][:2] == ["0", "1"]
    door.cells.commit()
    door.cells.commit()
    assert door.sent == [("2", "cua", False)]


async def test_whose_an_identity_is_as_far_as_memory_goes() -> None:
    """What was vouched for, until the customer's cell says that it has left."""
    door = Door()
    assert door.intake.known(ANN) is None
    await door.take(event("1"))
    assert door.intake.known(ANN) is None, "it is but proposed"
    door.cells.commit()
    assert door.intake.known(ANN) == "cunew1"
    await door.take(event("2"))
    door.cells.unlink(ANN)
    assert door.intake.known(ANN) is None


async def test_a_cell_gets_the_event_as_it_came_and_by_whom() -> None:
    """Whether its account may say whose it is, and the bytes that quarantine would keep."""
    door = Door({ANN: "cua"})
    for id, account in (("1", "mail"), ("2", "chat")):
        door.intake.take(event(id, account=account), door.outcomes.append, raw=id.encode())
    await door.take()
    asked = [(q.event.id, q.raw, q.trusted) for q, _ in door.cells.open]
    assert asked == [("1", b"1", False), ("2", b"2", True)]


async def test_events_without_an_identity_in_common_do_not_wait_for_each_other() -> None:
    """A stranger's lookup holds up nobody else."""
    door = Door({ANN: "cua"})
    await door.take(event("0"))
    door.may_look.clear()
    await door.take(event("1", "mailto:bob@example.org"), event("2"))
    assert [id for id, _, _ in door.sent] == ["0", "2"]


async def test_a_refused_first_event_leaves_its_followers_together() -> None:
    """The claim lives as long as anything under it is under way."""
    door = Door()
    await door.take(event("1"), event("2"))
    door.cells.refuse()
    await door.take(event("3"))
    assert door.sent == [("2", "cunew1", True), ("3", "cunew1", True)]


async def test_only_what_the_cell_vouches_for_is_remembered() -> None:
    """An answer that did not make the identities the customer's teaches nothing: the store is asked again."""
    door = Door({TEL: "cub"})
    await door.take(event("1", ANN, account="chat"))
    door.cells.commit(owns=False)
    door.known[ANN] = "cutrue"
    await door.take(event("2"))
    assert door.sent == [("2", "cutrue", False)]


async def test_a_lookup_that_fails_is_answered_and_forgotten() -> None:
    """Who waited is told to come again; who comes again is looked up."""
    door = Door()
    door.broken = True
    await door.take(event("1"))
    refusal = door.outcomes[0]
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.ref) == (Code.UNAVAILABLE, "1")
    assert door.intake.waiting == 0
    door.broken = False
    await door.take(event("1"))
    assert len(door.sent) == 1


async def test_an_identity_that_keeps_moving_is_given_up() -> None:
    """The bound on moves ends in a retryable refusal."""
    door = Door()
    await door.take(event("1"))
    for n in range(6):
        door.intake._attribution._known.clear()
        if door.cells.open:
            question, done = door.cells.open.pop(0)
            done(Moved(question.ref, ANN, f"cu{n}"))
        for _ in range(5):
            await asyncio.sleep(0)
    assert isinstance(door.outcomes[0], Refusal)
    assert door.outcomes[0].retryable
    assert door.intake.waiting == 0


@pytest.mark.parametrize(
    ("changed", "code", "field"),
    [
        (event("", ANN), Code.INVALID, "id"),
        (event("x" * 600, ANN), Code.INVALID, "id"),
        (event("1", "nonsense"), Code.BAD_IDENTITY, "identities"),
        (event("1", "tel:12"), Code.BAD_IDENTITY, "identities"),
        (event("1", *[f"mailto:{n}@x.org" for n in range(9)]), Code.OVER_LIMIT, "identities"),
        (event("1", text="x" * 300_000), Code.OVER_LIMIT, "data.text"),
        (event("1", text="my\0bill"), Code.INVALID, "data.text"),
        (event("1\0"), Code.INVALID, "id"),
        (replace(event("1"), channel="e\0mail"), Code.INVALID, "channel"),
        (with_data(MessageArrived(text="", in_reply_to=["a", "\0"])), Code.INVALID, "data.in_reply_to"),
        (with_data(MessageArrived(text="", attachments=[Attachment(name="a\0")])), Code.INVALID, "data.attachments"),
        (with_data(MessageArrived(text="", context={"a": "\0"})), Code.INVALID, "data.context"),
        (with_data(ActivityArrived(name="\0")), Code.INVALID, "data.name"),
        (with_data(InteractionBegan(subject="\0")), Code.INVALID, "data.subject"),
        (with_data(InteractionStopped(reason="\0")), Code.INVALID, "data.reason"),
        (with_data(DeliveryReport(delivery="cu1-1.2", status="read", code="\0")), Code.INVALID, "data.code"),
        (event("1", time_ms=NOW_MS + 2000), Code.TIME_IMPLAUSIBLE, "time"),
        (event("1", time_ms=NOW_MS - 20_000), Code.TIME_IMPLAUSIBLE, "time"),
        (event("1", account="nobodys"), Code.UNKNOWN_ACCOUNT, ""),
        (replace(event("1"), data=DeliveryReport(delivery="theirs", status="read")), Code.NOT_FOUND, "data.delivery"),
        (replace(event("1"), data=DeliveryReport(delivery="-1.2", status="read")), Code.NOT_FOUND, "data.delivery"),
        (replace(event("1"), data=DeliveryReport(delivery="cu1-1.2", status="seen")), Code.INVALID, "data.status"),
        (with_data(DeliveryReport(delivery="cu1-1.2", status="read", digest="5F")), Code.INVALID, "data.digest"),
        (
            replace(event("1"), data=DeliveryReport(delivery="cu1-1.2", status="read", code="x" * 513)),
            Code.OVER_LIMIT,
            "data.code",
        ),
        (
            replace(event("1"), data=DeliveryReport(delivery="cu1-1.2", status="read", external_id="x" * 513)),
            Code.OVER_LIMIT,
            "data.external_id",
        ),
    ],
)
async def test_bad_events_are_refused_before_anyone_sees_them(changed: InboundEvent, code: Code, field: str) -> None:
    """Each refusal has its code and names its field."""
    door = Door()
    await door.take(changed)
    refusal = door.outcomes[0]
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.field) == (code, field)
    assert door.cells.open == []
    assert door.intake.waiting == 0


LONG = "y" * (LINE_MAX + 1)
TOO_LONG: dict[str, AnyData] = {
    "subject": MessageArrived(text="hi", subject=LONG),
    "reference": MessageArrived(text="hi", reference=LONG),
    "session": MessageArrived(text="hi", session=LONG),
    "in_reply_to": MessageArrived(text="hi", in_reply_to=["r", LONG]),
    "attachments": MessageArrived(text="hi", attachments=[Attachment(name=LONG)]),
    "name": ActivityArrived(name=LONG),
    "session of a start": InteractionBegan(session=LONG),
    "subject of a start": InteractionBegan(subject=LONG),
    "session of an end": InteractionStopped(session=LONG),
    "reason": InteractionStopped(reason=LONG),
}


@pytest.mark.parametrize("case", TOO_LONG)
def test_what_people_read_in_one_line_is_bounded(case: str) -> None:
    """It stands in the conversation as long as that lives: 1 MiB of subject did, in every snapshot and list."""
    data = TOO_LONG[case]
    with pytest.raises(Refusal, match=f"over its limit of {LINE_MAX}") as refused:
        check_form(with_data(data))
    assert (refused.value.code, refused.value.field) == (Code.OVER_LIMIT, f"data.{case.split()[0]}")
    just = {field: _cut(getattr(data, field)) for field in data.__struct_fields__}
    check_form(with_data(replace(data, **just)))


def _cut(value: Any) -> Any:
    if isinstance(value, list):
        return [_cut(each) for each in value]
    if isinstance(value, Attachment):
        return replace(value, name=_cut(value.name))
    return value[:LINE_MAX] if isinstance(value, str) else value


@pytest.mark.parametrize("channel", ["", "c" * (CHANNEL_MAX + 1)])
def test_an_event_is_of_a_channel_that_can_be_named(channel: str) -> None:
    """One without a name was a channel by itself, which no rule of the policy reaches."""
    check_form(replace(event("1", ANN), channel="c" * CHANNEL_MAX))
    with pytest.raises(Refusal, match=f"channel must have 1 to {CHANNEL_MAX} characters") as refused:
        check_form(replace(event("1", ANN), channel=channel))
    assert (refused.value.code, refused.value.field) == (Code.INVALID, "channel")


@pytest.mark.parametrize("channel", ["chat\n", "cha\tt", "\x1b[2Jchat", "ch\u200bat"])
def test_a_channel_is_a_word_that_can_be_read(channel: str) -> None:
    """It stands in reports, lists and an operator's terminal, and a rule that names it by sight has to reach it."""
    check_form(replace(event("1", ANN), channel="Nachricht übers Häuschen"))
    with pytest.raises(Refusal, match="channel has a character that does not print") as refused:
        check_form(replace(event("1", ANN), channel=channel))
    assert (refused.value.code, refused.value.field) == (Code.INVALID, "channel")


@pytest.mark.parametrize(("imported", "field"), [(past(time_ms=0), "time"), (past(at_ms=-5), "data.messages.at_ms")])
def test_nothing_is_imported_from_before_1970(imported: InboundEvent, field: str) -> None:
    """Of a conversation that began at no time nobody could tell it from one of which retention left nothing."""
    check_form(past())
    with pytest.raises(Refusal, match="counts milliseconds since 1970") as refused:
        check_form(imported)
    assert (refused.value.code, refused.value.field) == (Code.TIME_IMPLAUSIBLE, field)


@pytest.mark.parametrize("data", [{"queue": "\0"}, {"messages": [PastMessage(at_ms=1, text="", author="\0")]}])
def test_nothing_is_imported_that_has_a_nul(data: dict[str, Any]) -> None:
    """As of any event, what follows it would be in no view of the archive."""
    with pytest.raises(Refusal, match="has a NUL character"):
        check_form(with_data(PastConversation(**data)))


@pytest.mark.parametrize(("field", "times"), [("messages.at_ms", (2**53 - 1, 0)), ("ended_ms", (NOW_MS, NOW_MS + 2))])
def test_nothing_is_imported_that_is_yet_to_come(field: str, times: tuple[int, int]) -> None:
    """A conversation that ended in the year 287396 would be the newest for ever, and no calendar has that year."""
    at_ms, ended_ms = times
    data = PastConversation(messages=[PastMessage(at_ms=at_ms, text="x")], ended_ms=ended_ms)
    imported = replace(past(time_ms=NOW_MS), data=data)
    with pytest.raises(Refusal, match="ahead of the server's clock") as refused:
        check_time(imported, NOW_MS, ahead_ms=1, behind_ms=1)
    assert (refused.value.code, refused.value.field) == (Code.TIME_IMPLAUSIBLE, f"data.{field}")
    check_time(past(time_ms=NOW_MS, at_ms=NOW_MS + 1), NOW_MS, ahead_ms=1, behind_ms=1)


async def test_a_time_in_seconds_is_told_from_one_that_is_old() -> None:
    """The commonest mistake with a time has a message of its own."""
    door = Door()
    await door.take(event("1", ANN, time_ms=NOW_MS // 1000), event("2", ANN, time_ms=NOW_MS - 20_000))
    seconds, old = (str(refusal) for refusal in door.outcomes)
    assert seconds.endswith("it seems to be in seconds, and `time_ms` counts milliseconds")
    assert old == "the event's time is 20 s behind the server's clock"


async def test_an_event_without_identity_is_refused_unless_it_reports_on_a_delivery() -> None:
    """A report's own id says whose it is."""
    door = Door()
    bare = event("1")
    await door.take(
        InboundEvent(
            id="1", source="s", time_ms=NOW_MS, account="mail", channel="email", identities=[], data=bare.data
        ),
        InboundEvent(
            id="2", source="s", time_ms=NOW_MS, account="mail", channel="email", identities=[],
            data=DeliveryReport(delivery="cuold-3.7", status="delivered"),
        ),
    )  # fmt: skip
    refusal = door.outcomes[0]
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.NO_IDENTITY
    assert door.sent == [("2", "cuold", False)]


async def test_a_replay_is_as_old_as_when_it_first_came() -> None:
    """However long it lay in quarantine; and who says whose it is goes along to the cell."""
    door = Door()
    old = event("1", ANN, TEL, time_ms=NOW_MS - 50_000)
    await door.take(old)
    [refused] = door.outcomes
    assert isinstance(refused, Refusal)
    assert refused.code == Code.TIME_IMPLAUSIBLE
    door.intake.take(old, door.outcomes.append, replay=Replay("mail.1", NOW_MS - 49_000, "operator:olga"))
    await door.take()
    [(question, _)] = door.cells.open
    assert (question.replay, question.said_by) == (Replay("mail.1", NOW_MS - 49_000, "operator:olga"), "operator:olga")
    # An operator may name several, also of an account that may not.
    assert question.event.identities == [ANN, TEL]
    # As it came, and vouched for by nobody, it names one here as well.
    door.intake.take(replace(old, id="2"), door.outcomes.append, replay=Replay("mail.2", NOW_MS - 49_000))
    await door.take()
    assert [q.event.identities for q, _ in door.cells.open[1:]] == [[ANN]]


async def test_who_imports_by_a_mistyped_account_is_told_where_the_accounts_are() -> None:
    """An event of a client's own is refused before it comes here; this is an operator's typing."""
    door = Door()
    await door.take(event("1", account="mial"))
    assert list(map(str, door.outcomes)) == ["no account 'mial' is configured: throughline status lists those that are"]


async def test_who_replays_an_event_of_nobody_is_told_how_to_say_whose_it_is() -> None:
    """Its sender cannot: there the bare reason stands."""
    door = Door()
    bare = replace(event("1"), identities=[])
    door.intake.take(bare, door.outcomes.append)
    door.intake.take(bare, door.outcomes.append, replay=Replay("mail.1", NOW_MS))
    sent, replayed = map(str, door.outcomes)
    assert sent == "the event carries no identity"
    assert replayed == f"{sent}: say whose it is, by `identities` or `customer` of the replay"


async def test_whose_an_event_is_may_stand_in_it() -> None:
    """Where it says nothing of that itself, and the policy says where to look: by the policy's word."""
    door = Door()
    who = (Who(kind="tel", pattern=r"0\d+ \d+"), Who(kind="crm", found_at=("raw.crm",)))
    rules = CaptureRules(templates=(Template(channel="email", identities=who),))
    door.intake.capture = lambda: rules
    said = replace(event("1", text="call 07700 900123"), identities=[], raw={"crm": "7"})
    chat = replace(said, id="2", account="chat")
    await door.take(said, chat, event("3", text="call 07700 900124"))
    found = [(q.event.id, q.event.identities, q.said_by) for q, _ in door.cells.open]
    assert found == [("1", [TEL], "policy"), ("2", [TEL, "crm:7"], "policy"), ("3", [ANN], "")]
    await door.take(replace(said, id="4", data=MessageArrived(text="hello"), raw={}))
    [refused] = door.outcomes
    assert isinstance(refused, Refusal)
    assert refused.code == Code.NO_IDENTITY


def test_an_address_that_is_the_same_under_another_kind_is_named_too() -> None:
    """Where the policy says so, also of an account that may name one alone; what is none of that kind is not."""
    door = Door()
    door.intake.alike = lambda: {"whatsapp": "tel", "chat": "tel"}
    phone = "whatsapp:+447700900123"
    for given, named in (
        (["whatsapp:+44 7700 900123"], [phone, TEL]),
        ([TEL], [TEL]),
        (["chat:visitor"], ["chat:visitor"]),
        ([phone, "crm:7"], [phone, TEL]),
    ):
        assert door.intake.check(event("1", *given)).identities == named
    assert door.intake.check(event("1", phone, TEL, account="chat")).identities == [phone, TEL]
    assert (door.intake.alike_to([phone]), door.intake.alike_to([TEL])) == ([TEL], [])
    door.intake.alike = dict
    assert door.intake.alike_to([phone]) == []


async def test_too_much_waiting_is_refused_as_retryable() -> None:
    """The bound is on what is unanswered."""
    door = Door(waiting_max=1)
    await door.take(event("1"), event("2"))
    refusal = door.outcomes[0]
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.OVERLOADED
    assert refusal.retryable
    door.cells.commit()
    await door.take(event("3"))
    assert len(door.sent) == 1


@pytest.mark.parametrize("said", [{"data": MessageArrived(text="x" * 900)}, {"raw": {"form": "x" * 900}}])
async def test_too_many_bytes_waiting_are_too_much(said: dict[str, Any]) -> None:
    """Few events may be large: 2,500 of 250 KB were 2 GB in the gateway and a cell whose journal hung."""
    door = Door(waiting_bytes_max=1000)
    await door.take(*(replace(event(id), **said) for id in "123"))
    (refusal,) = door.outcomes
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.ref) == (Code.OVERLOADED, "3")
    door.cells.commit()
    await door.take(event("3"))
    door.cells.commit()
    door.cells.commit()
    assert [isinstance(each, Refusal) for each in door.outcomes] == [True, False, False, False]
    assert door.intake.waiting_bytes == 0


async def test_what_is_on_its_way_into_quarantine_waits_too() -> None:
    """As many, and as large, are sent by whoever sends what is refused; and a cell keeps them as long."""
    door = Door(waiting_bytes_max=1000)

    def kept(id: str) -> asyncio.Task[Answered]:
        said = door.intake.quarantine(
            account="chat", source="s", id=id, refusal=Refusal(Code.INVALID, "no"), raw=b"x" * 600, event=event(id)
        )
        return asyncio.ensure_future(said)

    first = kept("1")
    await door.take()
    await door.take(event("2"))
    with pytest.raises(Refusal) as caught:
        await kept("3")
    refusal = door.outcomes.pop()
    assert isinstance(refusal, Refusal)
    assert (refusal.code, caught.value.code) == (Code.OVERLOADED, Code.OVERLOADED)
    first.cancel()
    await asyncio.wait((first,))
    assert door.intake.waiting_bytes == 1200, "whoever waited for it may be gone; the cell has it still"
    [(question, done)] = door.cells.kept
    done(Answered(question.ref, "quarantined", "account:chat", 1, 1))
    assert (door.intake.waiting, door.intake.waiting_bytes) == (0, 0)
    await door.take(event("2"))
    assert len(door.cells.open) == 1


async def test_what_cannot_be_written_is_refused_as_retryable() -> None:
    """Of those who hold a request open: an event, a command, what would go to quarantine. A gateway client waits."""
    door = Door()
    door.intake.writing = lambda: False
    refusal = Refusal(Code.INVALID, "no")
    for asked in (
        door.intake.submit(event("a", ANN)),
        door.intake.command(actor="agent:ann", id="c", command=AddNote(text="x"), customer="cu1"),
        door.intake.quarantine(account="chat", source="s", id="q", refusal=refusal, raw=b""),
    ):
        with pytest.raises(Refusal) as refused:
            await asked
        assert (refused.value.code, refused.value.retryable) == (Code.UNAVAILABLE, True)
    assert not door.cells.open
    await door.take(event("a", ANN))
    assert len(door.cells.open) == 1


async def test_who_holds_a_request_open_is_answered_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the commit is late; it may still happen, and the answer says so."""
    monkeypatch.setattr("orchestrator.way_in.answers.ANSWER_WITHIN_S", 0.01)
    door = Door()
    with pytest.raises(Refusal) as refused:
        await door.intake.submit(event("a", ANN))
    assert (refused.value.code, refused.value.retryable) == (Code.TIMED_OUT, True)
    door.cells.commit()


async def test_a_cells_refusal_reaches_the_sender() -> None:
    """With its code, message and the event's id."""
    door = Door()
    await door.take(event("1"))
    question, done = door.cells.open.pop(0)
    done(Refused(question.ref, Code.NOT_FOUND, "gone", "data.delivery"))
    refusal = door.outcomes[0]
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.ref, refusal.field) == (Code.NOT_FOUND, "1", "data.delivery")


async def test_events_of_an_unlinked_identity_wait_for_those_under_way_and_go_on_in_order() -> None:
    """Memory sends to the customer it left. The first that is told so stops the ones behind it; those under way are
    answered, and then all go to whoever has it by then, in the order in which they came."""
    door = Door({ANN: "cu1"})
    await door.take(event("1"), event("2"), event("3"))
    assert [customer for _, customer, _ in door.sent] == ["cu1"] * 3
    door.known[ANN] = "cu2"
    door.cells.unlink(ANN)
    await door.take(event("4"))
    assert [id for id, _, _ in door.sent] == ["2", "3"]
    door.cells.unlink(ANN)
    door.cells.unlink(ANN)
    await door.take()
    assert door.sent == [(id, "cu2", False) for id in "1234"]
    assert door.lookups == [[ANN], [ANN]]


async def test_an_unlinked_identity_that_nobody_took_is_a_strangers() -> None:
    """Its next event is a first contact."""
    door = Door({ANN: "cu1"})
    await door.take(event("1"))
    del door.known[ANN]
    door.cells.unlink(ANN)
    await door.take()
    assert door.sent == [("1", "cunew1", True)]
    question, _ = door.cells.open[0]
    assert question.claimed == [ANN]


async def test_an_event_with_a_new_identity_beside_an_unlinked_one_takes_its_followers_along() -> None:
    """The followers of its claim wait with it: none of an identity's events overtakes another."""
    door = Door({ANN: "cu1"})
    await door.take(event("1", ANN, TEL, account="chat"), event("2", TEL), event("3"))
    del door.known[ANN]
    door.cells.unlink(ANN)
    await door.take(event("4", TEL), event("5"))
    assert [id for id, _, _ in door.sent] == ["3"]
    door.cells.unlink(ANN)
    await door.take()
    assert door.sent == [("1", "cunew1", True)]
    door.cells.commit()
    assert door.sent == [(id, "cunew1", False) for id in "2345"]


async def test_an_event_that_is_in_conflict_by_memory_alone_overtakes_nobody() -> None:
    """The number left the customer that memory has for it, who still has an event of it to answer: what names it beside
    another customer's address waits for that."""
    door = Door({ANN: "cu1", TEL: "cu2"})
    await door.take(event("1", TEL, account="chat"), event("2", ANN))
    door.cells.commit()
    door.cells.commit()
    await door.take(event("3", TEL, account="chat"))
    del door.known[TEL]
    await door.take(event("4", ANN, TEL, account="chat"), event("5", TEL))
    assert door.sent == [("3", "cu2", False)]
    door.cells.unlink(TEL)
    await door.take()
    assert [id for id, _, _ in door.sent] == ["3", "4", "5"]
    assert [question.conflicts for question, _ in door.cells.open] == [[], [], []]


async def test_what_is_held_is_not_overtaken_by_its_other_identities_events() -> None:
    """It waits for its number's return; what comes from its mail alone waits behind it."""
    door = Door({ANN: "cu1", TEL: "cu1"})
    await door.take(event("1", TEL, account="chat"), event("2", TEL, account="chat"), event("3", ANN))
    door.known[TEL] = "cu2"
    door.cells.unlink(TEL)
    await door.take(event("4", ANN, TEL, account="chat"), event("5", ANN))
    assert [id for id, _, _ in door.sent] == ["2", "3"]
    door.cells.unlink(TEL)
    door.cells.commit()
    await door.take()
    assert [(id, customer) for id, customer, _ in door.sent] == [("1", "cu2"), ("2", "cu2")]
    door.cells.commit()
    door.cells.commit()
    await door.take()
    assert [(id, customer) for id, customer, _ in door.sent] == [("4", "cu1"), ("5", "cu1")]


async def test_a_conflict_is_what_the_store_says_and_not_what_memory_has() -> None:
    """Asked once more, it is as it was."""
    door = Door({ANN: "cu1", TEL: "cu2"})
    await door.take(event("1", ANN, TEL, account="chat"))
    ((question, _),) = door.cells.open
    assert (question.customer, question.conflicts) == ("cu1", [(TEL, "cu2")])
    assert [set(looked) for looked in door.lookups] == [{ANN, TEL}, {ANN, TEL}]


async def test_an_identity_that_is_unlinked_over_and_over_is_given_up() -> None:
    """The source is told to come again, and nothing is left behind."""
    door = Door({ANN: "cu1"})
    await door.take(event("1"))
    for _ in range(6):
        door.cells.unlink(ANN)
        await door.take()
    (outcome,) = door.outcomes
    assert isinstance(outcome, Refusal)
    assert (outcome.code, outcome.ref) == (Code.UNAVAILABLE, "1")
    await door.take(event("2"))
    assert door.sent == [("2", "cu1", False)]


async def test_a_shared_identity_leads_nobody_to_a_customer_who_names_more() -> None:
    """The cell says that it stands for several people: the event goes where its other identities lead, or to a new
    customer, and claims the shared one for nobody."""
    door = Door({TEL: "cuhouse", "crm:7": "cu7"})
    await door.take(event("1", TEL, "crm:7", account="chat"), event("2", TEL, "crm:8", account="chat"))
    assert [customer for _, customer, _ in door.sent] == ["cuhouse", "cuhouse"]
    door.cells.unlink(TEL, TEL)
    door.cells.unlink(TEL, TEL)
    await door.take()
    assert door.sent == [("1", "cu7", False), ("2", "cunew1", True)]
    assert [question.identities for question, _ in door.cells.open] == [["crm:7"], ["crm:8"]]


@pytest.mark.parametrize(
    ("identities", "conflicts"),
    [((ANN, TEL), [(TEL, "cuhouse")]), ((TEL, ANN), []), ((ANN, "crm:7", TEL), [(TEL, "cuhouse")])],
)
async def test_what_an_event_names_beside_its_own_address_is_a_conflict_where_it_led_astray(
    identities: tuple[str, ...], conflicts: list[tuple[str, str]]
) -> None:
    """People read of it: the event is somebody else's than the customer's whom it names. What it came from is none."""
    door = Door({TEL: "cuhouse"})
    await door.take(event("1", *identities, account="chat"))
    assert door.sent == [("1", "cuhouse", False)]
    door.cells.unlink(TEL, TEL)
    await door.take()
    [(question, _)] = door.cells.open
    assert (question.customer, question.conflicts) == ("cunew1", conflicts)
    assert TEL not in question.identities
