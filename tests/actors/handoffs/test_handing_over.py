"""Handing over: every state against every move, what a package must hold, and that each offer ends with one owner."""

import json
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.cells.snapshots import freeze, thaw
from actors.handoffs.handoff_states import TABLE, Move
from actors.handoffs.withdrawing import withdrawn_by
from actors.rules.handoffs import HandoffRules, Handoffs
from actors.state.conversation import Conversation
from actors.state.journey import next_due_ms
from actors.way_out.conversation_views import lists_of, summary
from protocol.commands import (
    AcceptHandoff,
    AnyCommand,
    Assign,
    DeclineHandoff,
    OfferHandoff,
    Reopen,
    Resolve,
    SetContext,
    Snooze,
    Take,
    WithdrawHandoff,
)
from protocol.commands import Move as MoveTo
from protocol.errors import Code, Refusal
from protocol.events import (
    AnyEvent,
    ConversationClosed,
    HandoffAccepted,
    HandoffDeclined,
    HandoffExpired,
    HandoffOffered,
    HandoffWithdrawn,
    NoteAdded,
    OwnerChanged,
)
from protocol.handoffs import Handoff, HandoffPackage, HandoffState, canonical, package_sha256
from tests.actors.player import CONVERSATION, POLICY, Player, names

WAITS_MS = 60_000
RULES = Handoffs(
    kinds={
        "plain": HandoffRules(waits_ms=WAITS_MS),
        "strict": HandoffRules(required=("invoice", "note"), incomplete="block"),
        "warned": HandoffRules(required=("invoice", "subject"), continuity="taker"),
        "queued": HandoffRules(on_decline="queue:triage", on_expiry="queue:triage", continuity="role:case-manager"),
        "chain": HandoffRules(
            to=("agent:bob", "queue:tier2", "agent:cat"), on_decline="next", on_expiry="next", waits_ms=WAITS_MS
        ),
    },
    only_listed=True,
)


class Desk(Player):
    """A customer's conversation that `ann` owns."""

    def __init__(self, handoffs: Handoffs = RULES) -> None:
        super().__init__(msgspec.structs.replace(POLICY, handoffs=handoffs))
        self.message("my bill", subject="Bill")
        self.command(Take())

    @property
    def conversation(self) -> Conversation:
        return self.state.conversations[CONVERSATION]

    @property
    def handoff(self) -> Handoff:
        """The newest one."""
        assert self.conversation.handoff is not None
        return self.conversation.handoff

    def offer(self, kind: str = "plain", *, agent: str = "bob", queue: str = "", by: str = "ann") -> HandoffOffered:
        """Makes an offer; returns the fact."""
        events = self.command(OfferHandoff(kind=kind, agent=agent, queue=queue), agent=by)
        assert isinstance(events[-1], HandoffOffered)
        return events[-1]

    def accept(self, offered: HandoffOffered, *, by: str = "bob") -> list[AnyEvent]:
        """As somebody does who was given the package."""
        return self.command(AcceptHandoff(lease=offered.lease, sha256=package_sha256(offered.package)), agent=by)

    def refused(self, command: AnyCommand, *, by: str = "ann") -> Refusal:
        """What is said to a command that may not happen; it changes nothing."""
        before = freeze(self.state)
        with pytest.raises(Refusal) as caught:
            self.command(command, agent=by)
        assert freeze(self.state) == before
        return caught.value


# States and moves


def _in_state(state: HandoffState | None) -> Desk:
    """A desk whose newest handoff stands there."""
    desk = Desk()
    if state is None:
        return desk
    offered = desk.offer()
    match state:
        case HandoffState.ACCEPTED:
            desk.accept(offered)
            desk.command(Assign(owner="ann"))
        case HandoffState.DECLINED:
            desk.command(DeclineHandoff(lease=1), agent="bob")
        case HandoffState.EXPIRED:
            desk.pass_time(WAITS_MS)
        case HandoffState.WITHDRAWN:
            desk.command(WithdrawHandoff(lease=1))
        case HandoffState.OFFERED:
            pass
    assert desk.handoff.state is state
    return desk


def _try(desk: Desk, move: Move) -> None:
    """Makes the move. Raises `Refusal` where it may not happen."""
    newest = desk.conversation.handoff
    lease, sha256 = (newest.lease, newest.sha256) if newest else (1, "")
    match move:
        case Move.OFFER:
            desk.offer()
        case Move.ACCEPT:
            desk.command(AcceptHandoff(lease=lease, sha256=sha256), agent="bob")
        case Move.DECLINE:
            desk.command(DeclineHandoff(lease=lease), agent="bob")
        case Move.WITHDRAW:
            desk.command(WithdrawHandoff(lease=lease))
        case Move.EXPIRE:
            if not desk.pass_time(WAITS_MS):
                raise Refusal(Code.NOT_ALLOWED_NOW, "no timer rang")


@pytest.mark.parametrize("move", Move)
@pytest.mark.parametrize("state", [None, *HandoffState])
def test_every_state_against_every_move(state: HandoffState | None, move: Move) -> None:
    """What the table has happens and leads where it says; what it hasn't is refused and changes nothing."""
    desk = _in_state(state)
    before = freeze(desk.state)
    if move in TABLE[state]:
        _try(desk, move)
        assert desk.handoff.state is TABLE[state][move]
        return
    with pytest.raises(Refusal):
        _try(desk, move)
    assert freeze(desk.state) == before


OVERRULING: list[tuple[AnyCommand, str]] = [
    (Take(force=True), "owner changed to dan"),
    (Assign(owner="bob"), "owner changed to bob"),
    (Assign(owner=""), "nobody owns it now"),
    (MoveTo(queue="legal"), "moved to queue legal"),
    (Resolve(), "resolved"),
]


@pytest.mark.parametrize(("command", "reason"), OVERRULING, ids=lambda value: type(value).__name__)
def test_what_goes_over_an_offers_head_withdraws_it(command: AnyCommand, reason: str) -> None:
    """Another owner or queue, or the end of the work: the offer ends first, with the reason in words."""
    desk = Desk()
    offered = desk.offer()
    events = desk.command(command, agent="dan")
    assert names(events)[0] == "HandoffWithdrawn"
    assert len(events) == 2
    assert (desk.handoff.state, desk.handoff.reason, desk.handoff.ended_by) == ("withdrawn", reason, "agent:dan")
    accept = AcceptHandoff(lease=offered.lease, sha256=offered.sha256)
    assert "withdrawn by agent:dan" in desk.refused(accept, by="bob").message


def test_a_conversation_that_closes_by_what_was_asked_of_another_has_its_offer_withdrawn() -> None:
    """Before it closes, in its own stream; what is decided elsewhere stays where it was."""
    desk = Desk()
    desk.offer()
    other = ("cu1-2", NoteAdded(at_ms=1, text="joined"))
    closed = (CONVERSATION, ConversationClosed(at_ms=1, reason="joined"))
    decided = withdrawn_by(desk.conversation, [other, closed], "agent:dan", 1)
    withdrawn = HandoffWithdrawn(at_ms=1, actor="agent:dan", lease=1, reason="closed")
    assert decided == [other, (CONVERSATION, withdrawn), closed]
    assert withdrawn_by(desk.conversation, [other], "agent:dan", 1) == [other]


@pytest.mark.parametrize("command", [Snooze(until_ms=10**10), SetContext(key="a", value=1)])
def test_what_concerns_neither_owner_nor_queue_leaves_it_open(command: AnyCommand) -> None:
    """A snooze or a new context item is no answer."""
    desk = Desk()
    offered = desk.offer()
    desk.command(command)
    assert desk.handoff.open
    desk.accept(offered)


# Answers


def test_an_acceptance_makes_the_taker_the_owner() -> None:
    """The giver owns it until then; the hash is on record, and the context is what it was."""
    desk = Desk()
    desk.command(SetContext(key="invoice", value="R-7"))
    offered = desk.offer()
    assert desk.conversation.owner == "ann"
    context = dict(desk.conversation.context)
    accepted, owner = desk.accept(offered)
    assert isinstance(accepted, HandoffAccepted)
    assert (accepted.lease, accepted.sha256, accepted.continuity) == (1, offered.sha256, "agent:ann")
    assert isinstance(owner, OwnerChanged)
    assert (owner.owner, owner.previous) == ("bob", "ann")
    assert desk.conversation.context == context


WRONG: list[tuple[str, Callable[[HandoffOffered], AnyCommand], str, str]] = [
    ("old lease", lambda new: AcceptHandoff(lease=1, sha256=new.sha256), "bob", "handoff 1 is over; 2, to agent:bob"),
    ("no such lease", lambda new: AcceptHandoff(lease=3, sha256=new.sha256), "bob", "no handoff 3; the newest is 2"),
    ("wrong hash", lambda new: AcceptHandoff(lease=2, sha256="0" * 64), "bob", "not the hash of handoff 2's package"),
    ("somebody else", lambda new: AcceptHandoff(lease=2, sha256=new.sha256), "cat", "to agent:bob, not to you"),
    ("the giver", lambda new: AcceptHandoff(lease=2, sha256=new.sha256), "ann", "your own offer; withdraw it"),
    ("decline by another", lambda new: DeclineHandoff(lease=2), "cat", "to agent:bob, not to you"),
    ("decline by giver", lambda new: DeclineHandoff(lease=2), "ann", "your own offer; withdraw it"),
    ("decline of an old one", lambda new: DeclineHandoff(lease=1), "bob", "handoff 1 is over"),
    ("withdrawal by taker", lambda new: WithdrawHandoff(lease=2), "bob", "ann offered handoff 2"),
    ("withdrawal of an old one", lambda new: WithdrawHandoff(lease=1), "ann", "handoff 1 is over"),
    ("a second offer", lambda new: OfferHandoff(kind="plain", agent="cat"), "ann", "2 to agent:bob is open"),
]


@pytest.mark.parametrize(("case", "command", "by", "said"), WRONG, ids=[case for case, *_ in WRONG])
def test_a_wrong_answer_is_refused_precisely(
    case: str, command: Callable[[HandoffOffered], AnyCommand], by: str, said: str
) -> None:
    """After a declined offer, the second is open: only its taker, its lease and its hash count."""
    desk = Desk()
    desk.offer()
    desk.command(DeclineHandoff(lease=1), agent="bob")
    new = desk.offer()
    assert new.lease == 2
    assert said in desk.refused(command(new), by=by).message


def test_a_lease_is_over_at_its_end_also_before_the_timer_rings() -> None:
    """Late is late: an answer in the moment between the two is refused."""
    desk = Desk()
    offered = desk.offer()
    desk.now_ms += WAITS_MS - 1
    assert next_due_ms(desk.state) == offered.expires_at_ms
    desk.now_ms += 1
    accept = AcceptHandoff(lease=1, sha256=offered.sha256)
    assert "its lease ended" in desk.refused(accept, by="bob").message
    assert names(desk.pass_time(0)) == ["HandoffExpired"]
    assert next_due_ms(desk.state) is None
    assert "expired 0 s ago" in desk.refused(accept, by="bob").message


def test_any_agent_but_the_giver_accepts_for_a_queue() -> None:
    """The conversation goes into that queue; who answers for the context has a name from then on."""
    desk = Desk(Handoffs(kinds={"plain": HandoffRules(continuity="taker")}))
    offered = desk.offer(agent="", queue="tier2")
    assert offered.continuity == "queue:tier2"
    assert "your own offer" in desk.refused(AcceptHandoff(lease=1, sha256=offered.sha256)).message
    assert names(desk.accept(offered, by="eve")) == ["HandoffAccepted", "OwnerChanged", "QueueChanged"]
    assert (desk.conversation.owner, desk.conversation.queue) == ("eve", "tier2")
    assert desk.handoff.continuity == "agent:eve"


NOT_OFFERED: list[tuple[str, AnyCommand, str, str]] = [
    ("unknown kind", OfferHandoff(kind="teir2", agent="bob"), "ann", "no handoff 'teir2'; it has chain, plain"),
    ("nobody", OfferHandoff(kind="plain"), "ann", "the policy names nobody"),
    ("both", OfferHandoff(kind="plain", agent="bob", queue="tier2"), "ann", "not to both"),
    ("oneself", OfferHandoff(kind="plain", agent="ann"), "ann", "to themselves"),
    ("not the owner", OfferHandoff(kind="plain", agent="cat"), "bob", "ann owns the conversation"),
    ("too many fields", OfferHandoff(kind="plain", agent="b", fields={f"{n}": 1 for n in range(33)}), "ann", "32"),
    ("long note", OfferHandoff(kind="plain", agent="bob", note="x" * 4097), "ann", "note has at most"),
    ("no kind", OfferHandoff(kind="", agent="bob"), "ann", "kind must have 1 to 128"),
    ("never offered", AcceptHandoff(lease=1, sha256=""), "bob", "never offered"),
]


@pytest.mark.parametrize(("case", "command", "by", "said"), NOT_OFFERED, ids=[case for case, *_ in NOT_OFFERED])
def test_an_offer_that_may_not_be_made_is_refused_precisely(case: str, command: AnyCommand, by: str, said: str) -> None:
    """Each with what to do instead."""
    assert said in Desk().refused(command, by=by).message


def test_a_resolved_conversation_is_reopened_before_it_is_handed_over() -> None:
    """It is no work any more."""
    desk = Desk()
    desk.command(Resolve())
    assert "reopen it" in desk.refused(OfferHandoff(kind="plain", agent="bob")).message
    desk.command(Reopen())
    desk.offer()


# Without an acceptance


def test_the_giver_keeps_what_was_declined() -> None:
    """By default nothing else happens."""
    desk = Desk()
    desk.offer()
    assert names(desk.command(DeclineHandoff(lease=1, reason="not mine"), agent="bob")) == ["HandoffDeclined"]
    assert (desk.conversation.owner, desk.handoff.reason) == ("ann", "not mine")


@pytest.mark.parametrize("expires", [True, False])
def test_it_goes_to_a_queue_where_the_policy_says_so(expires: bool) -> None:
    """Nobody owns it, and it waits there."""
    desk = Desk()
    offered = desk.offer("queued")
    assert offered.continuity == "role:case-manager"
    events = desk.pass_time(600_000) if expires else desk.command(DeclineHandoff(lease=1), agent="bob")
    assert names(events)[1:] == ["OwnerChanged", "QueueChanged"]
    assert (desk.conversation.owner, desk.conversation.queue) == ("", "triage")


def test_the_next_is_asked_until_there_is_none() -> None:
    """Each once, with a higher lease and a package of its own; after the last one the giver keeps it."""
    desk = Desk()
    first = desk.command(OfferHandoff(kind="chain", note="see the bill"))[-1]
    assert isinstance(first, HandoffOffered)
    assert first.to == "agent:bob"
    _, second = desk.command(DeclineHandoff(lease=1), agent="bob")
    assert isinstance(second, HandoffOffered)
    assert (second.lease, second.to, second.giver, second.package.note) == (2, "queue:tier2", "ann", "see the bill")
    assert second.package.through == desk.conversation.head - 1
    assert second.sha256 != first.sha256
    third = desk.pass_time(WAITS_MS)[-1]
    assert isinstance(third, HandoffOffered)
    assert (third.lease, third.to, third.expires_at_ms) == (3, "agent:cat", desk.now_ms + WAITS_MS)
    assert names(desk.pass_time(WAITS_MS)) == ["HandoffExpired"]
    assert desk.conversation.owner == "ann"


def test_who_gives_is_not_asked() -> None:
    """Neither at first nor as the next, though the policy names them beside the others."""
    rules = HandoffRules(to=("agent:ann", "agent:bob", "agent:cat"), on_decline="next")
    desk = Desk(Handoffs(kinds={"chain": rules}))
    assert desk.offer("chain", agent="").to == "agent:bob"
    desk.command(DeclineHandoff(lease=1), agent="bob")
    assert desk.handoff.to == "agent:cat"
    assert names(desk.command(DeclineHandoff(lease=2), agent="cat")) == ["HandoffDeclined"]
    again = Desk(Handoffs(kinds={"chain": rules}))
    again.command(Assign(owner="bob"))
    assert again.offer("chain", agent="", by="bob").to == "agent:ann"
    _, second = again.command(DeclineHandoff(lease=1))
    assert isinstance(second, HandoffOffered)
    assert second.to == "agent:cat", "bob gave it, and comes between the two"


def test_what_is_missing_is_asked_for_as_it_can_be_given() -> None:
    """Words of the giver's own are a note; all else is the context's."""
    desk = Desk()
    both = desk.refused(OfferHandoff(kind="strict", agent="bob")).message
    assert both.endswith("lacks invoice, note: set invoice as context, or give it in fields; write a note")
    note = desk.refused(OfferHandoff(kind="strict", agent="bob", fields={"invoice": "7"})).message
    assert note.endswith("lacks note: write a note")
    invoice = desk.refused(OfferHandoff(kind="strict", agent="bob", note="see the bill")).message
    assert invoice.endswith("lacks invoice: set invoice as context, or give it in fields")


def test_the_next_offer_counts_its_events_also_where_more_is_due_at_once() -> None:
    """The end of a snooze comes behind it."""
    desk = Desk()
    desk.command(OfferHandoff(kind="chain"))
    desk.command(Snooze(until_ms=desk.handoff.expires_at_ms))
    head = desk.conversation.head
    events = desk.pass_time(WAITS_MS)
    assert names(events) == ["HandoffExpired", "HandoffOffered", "ConversationWoken"]
    assert isinstance(events[1], HandoffOffered)
    assert events[1].package.through == head + 1


# Packages

PACKAGES: list[tuple[str, str, dict[str, object], dict[str, str | int | float | bool], str, list[str] | None]] = [
    # case, kind, context before, fields given, note, missing (None: blocked)
    ("nothing is required", "plain", {}, {}, "", []),
    ("all is there", "strict", {"invoice": "R-7"}, {}, "angry", []),
    ("an item is missing", "strict", {}, {}, "angry", None),
    ("the note is missing", "strict", {"invoice": "R-7"}, {}, "", None),
    ("a note of blanks is none", "strict", {"invoice": "R-7"}, {}, "  ", None),
    ("a field fills the gap", "strict", {}, {"invoice": "R-7"}, "angry", []),
    ("an empty field does not", "strict", {}, {"invoice": ""}, "angry", None),
    ("a field of blanks does not", "strict", {}, {"invoice": " \t"}, "angry", None),
    ("an item without a value does not", "strict", {"invoice": None}, {}, "angry", None),
    ("a field goes before what is known", "strict", {"invoice": "R-7"}, {"invoice": ""}, "angry", None),
    ("false is a value", "warned", {"invoice": False}, {}, "", []),
    ("zero is a value", "warned", {}, {"invoice": 0}, "", []),
    ("a fact of the conversation counts", "warned", {"invoice": "R-7"}, {}, "", []),
    ("what is missing is said", "warned", {}, {}, "", ["invoice"]),
]


@pytest.mark.parametrize(
    ("case", "kind", "known", "fields", "note", "missing"), PACKAGES, ids=[c for c, *_ in PACKAGES]
)
def test_a_package_is_complete_or_says_what_is_missing(
    case: str,
    kind: str,
    known: dict[str, str | None],
    fields: dict[str, str | int | float | bool],
    note: str,
    missing: list[str] | None,
) -> None:
    """Blocked or warned, as the policy says."""
    desk = Desk()
    for key, value in known.items():
        desk.command(SetContext(key=key, value=value))
    offer = OfferHandoff(kind=kind, agent="bob", note=note, fields=fields)
    if missing is None:
        refusal = desk.refused(offer)
        lacks = refusal.message.partition(" lacks ")[2].partition(":")[0]
        assert lacks
        assert (refusal.code, refusal.field) == (Code.NOT_ALLOWED_NOW, "note" if lacks == "note" else "fields")
        return
    offered = desk.command(offer)[-1]
    assert isinstance(offered, HandoffOffered)
    assert offered.package.missing == desk.handoff.missing == missing


def test_fields_become_context_and_are_never_asked_again() -> None:
    """Each is set before the offer that carries it; what is known already is not set twice, and stays as secret."""
    desk = Desk()
    desk.command(SetContext(key="pin", value="7", sensitivity="secret"))
    desk.command(SetContext(key="name", value="Ann", sensitivity="personal"))
    events = desk.command(OfferHandoff(kind="plain", agent="bob", fields={"pin": "7", "name": "Anne", "bill": 12.5}))
    assert names(events) == ["ContextSet", "ContextSet", "HandoffOffered"]
    context = desk.conversation.context
    assert (context["name"].value, context["name"].sensitivity, context["name"].version) == ("Anne", "personal", 2)
    offered = events[-1]
    assert isinstance(offered, HandoffOffered)
    assert [(item.key, item.version) for item in offered.package.items] == [("bill", 1), ("name", 2), ("pin", 1)]
    assert offered.package.through == desk.conversation.head - 1
    assert offered.package.facts == {
        "channel": "email",
        "customer": desk.state.customer,
        "identity": "mailto:ann@example.org",
        "queue": "default",
        "subject": "Bill",
    }


@given(st.text(), st.dictionaries(st.sampled_from(["channel", "subject"]), st.text()), st.lists(st.text()))
def test_the_hash_can_be_made_by_any_program(note: str, facts: dict[str, str], missing: list[str]) -> None:
    """Sorted, compact JSON in UTF-8 of the package as it stands in a frame: what Python's own library writes."""
    package = HandoffPackage(conversation="cu1-1", lease=1, through=4, facts=facts, note=note, missing=missing)
    frame = json.loads(msgspec.json.encode(package))
    written = json.dumps(frame, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical(package) == written.encode()


# What is shown


def test_who_is_offered_something_has_it_in_their_list() -> None:
    """Beside the giver, and no longer than the offer is open."""
    desk = Desk()
    before = lists_of(desk.conversation)
    offered = desk.offer()
    assert lists_of(desk.conversation) == (*before, "owner:bob")
    assert summary(desk.conversation).offered_to == "agent:bob"
    desk.accept(offered)
    assert "owner:ann" not in lists_of(desk.conversation)
    assert summary(desk.conversation).offered_to == ""
    desk.offer(agent="", queue="tier2", by="bob")
    assert lists_of(desk.conversation)[1:] == ("queue:default", "owner:bob", "queue:tier2")
    desk.command(WithdrawHandoff(lease=2), agent="bob")
    desk.offer(agent="", queue="default", by="bob")
    assert lists_of(desk.conversation)[1:] == ("queue:default", "owner:bob")
    desk.command(WithdrawHandoff(lease=3), agent="bob")
    desk.offer(agent="", queue="agent:desk", by="bob")
    assert lists_of(desk.conversation)[-1] == "queue:agent:desk"


def test_an_offer_survives_a_snapshot() -> None:
    """Lease, hash and package are part of the journey's state."""
    desk = Desk()
    offered = desk.offer()
    thawed = thaw(freeze(desk.state))
    assert thawed is not None
    desk.state = thawed
    kept = desk.handoff.package
    assert kept == offered.package
    desk.accept(offered)
    assert desk.handoff.package is None
    assert desk.offer(agent="cat", by="bob").lease == 2


# A model: whatever anybody does and whenever


class Handing(RuleBasedStateMachine):
    """Agents who offer, answer and interfere at random, with leases and hashes old and new."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.offers: list[HandoffOffered] = []
        self.open: HandoffOffered | None = None
        self.owner = "ann"

    def _do(self, command: AnyCommand, agent: str) -> None:
        try:
            self._take(self.desk.command(command, agent=agent))
        except Refusal:
            return

    def _take(self, events: list[AnyEvent]) -> None:
        """Follows the facts, and holds each against what was there before."""
        for event in events:
            match event:
                case HandoffOffered():
                    assert self.open is None
                    assert event.lease == len(self.offers) + 1
                    assert event.expires_at_ms > self.desk.now_ms
                    self.offers.append(event)
                    self.open = event
                case HandoffAccepted():
                    assert self.open is not None
                    assert (event.lease, event.sha256) == (self.open.lease, self.open.sha256)
                    assert self.desk.now_ms < self.open.expires_at_ms
                    assert event.actor in (self.open.to, event.actor if self.open.to.startswith("queue:") else "")
                    assert event.actor != f"agent:{self.open.giver}"
                    self.open = None
                case OwnerChanged():
                    assert event.previous == self.owner, "from the one owner there was"
                    assert self.open is None, "an owner changes over no open offer's head"
                    self.owner = event.owner
                case HandoffDeclined() | HandoffExpired() | HandoffWithdrawn():
                    assert self.open is not None
                    assert self.open.lease == event.lease
                    self.open = None

    agents = st.sampled_from(["ann", "bob", "cat"])
    kinds = st.sampled_from(["plain", "queued", "chain", "warned"])

    @rule(by=agents, to=agents, kind=kinds)
    def offers_to_an_agent(self, by: str, to: str, kind: str) -> None:
        self._do(OfferHandoff(kind=kind, agent=to), by)

    @rule(by=agents, kind=kinds)
    def offers_to_a_queue(self, by: str, kind: str) -> None:
        self._do(OfferHandoff(kind=kind, queue="tier2"), by)

    @precondition(lambda self: self.offers)
    @rule(by=agents, data=st.data())
    def accepts(self, by: str, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from([offer.lease for offer in self.offers[-3:]]))
        sha256 = data.draw(st.sampled_from([offer.sha256 for offer in self.offers[-3:]]))
        self._do(AcceptHandoff(lease=lease, sha256=sha256), by)

    @precondition(lambda self: self.offers)
    @rule(by=agents, back=st.integers(0, 1))
    def declines(self, by: str, back: int) -> None:
        self._do(DeclineHandoff(lease=len(self.offers) - back), by)

    @precondition(lambda self: self.offers)
    @rule(by=agents, back=st.integers(0, 1))
    def withdraws(self, by: str, back: int) -> None:
        self._do(WithdrawHandoff(lease=len(self.offers) - back), by)

    @rule(by=agents, force=st.booleans())
    def takes(self, by: str, force: bool) -> None:
        self._do(Take(force=force), by)

    @rule(by=agents, to=st.sampled_from(["", "ann", "bob"]))
    def assigns(self, by: str, to: str) -> None:
        self._do(Assign(owner=to), by)

    @rule(by=agents, queue=st.sampled_from(["default", "tier2"]))
    def moves(self, by: str, queue: str) -> None:
        self._do(MoveTo(queue=queue), by)

    @rule(by=agents, command=st.sampled_from([Resolve(), Reopen()]))
    def ends_the_work(self, by: str, command: AnyCommand) -> None:
        self._do(command, by)

    @rule(ms=st.sampled_from([1, 1_000, WAITS_MS, 600_000]), rings=st.booleans())
    def time_passes(self, ms: int, rings: bool) -> None:
        self.desk.now_ms += ms
        if rings:
            self._take(self.desk.pass_time(0))

    @invariant()
    def the_state_is_what_the_facts_say(self) -> None:
        conversation = self.desk.conversation
        assert conversation.owner == self.owner
        assert (conversation.handoff is not None and conversation.handoff.open) == (self.open is not None)
        assert (conversation.handoff.lease if conversation.handoff else 0) == len(self.offers)

    @invariant()
    def an_open_offer_has_a_timer(self) -> None:
        if self.open is not None:
            due = next_due_ms(self.desk.state)
            assert due is not None
            assert due <= self.open.expires_at_ms

    def teardown(self) -> None:
        """Left alone, every offer ends, with at most one owner."""
        for _ in range(8):
            self._take(self.desk.pass_time(600_000))
            if not self.desk.conversation.live:
                break
        assert self.open is None


TestHanding = Handing.TestCase
TestHanding.settings = settings(max_examples=60, stateful_step_count=25)


def test_only_members_answer_what_is_offered_to_their_queue() -> None:
    """Where the policy names them; a queue that it does not name is everybody's."""
    desk = Desk(Handoffs(members={"claims": ("cat",)}))
    desk.command(OfferHandoff(kind="plain", queue="claims"))
    for answer in (AcceptHandoff(lease=1, sha256=desk.handoff.sha256), DeclineHandoff(lease=1)):
        with pytest.raises(Refusal, match="no member"):
            desk.command(answer, agent="bob")
    accepted = desk.command(AcceptHandoff(lease=1, sha256=desk.handoff.sha256), agent="cat")
    assert "OwnerChanged" in names(accepted)
    desk.command(OfferHandoff(kind="plain", queue="other"), agent="cat")
    desk.command(AcceptHandoff(lease=2, sha256=desk.handoff.sha256), agent="bob")


def test_an_offer_to_a_queue_without_anybody_says_so() -> None:
    """By name it is refused; the policy's own list passes it by, also when an offer goes on to the next."""
    chain = HandoffRules(to=("queue:empty", "queue:claims", "queue:empty2", "agent:dan"), on_decline="next")
    members = {"empty": (), "claims": ("cat",), "empty2": ("ann",)}
    desk = Desk(Handoffs(kinds={"chain": chain}, members=members))
    for queue in ("empty", "empty2"):
        with pytest.raises(Refusal, match="has no member who could take it"):
            desk.command(OfferHandoff(kind="plain", queue=queue))
    desk.command(OfferHandoff(kind="chain"))
    assert desk.handoff.to == "queue:claims"
    desk.command(DeclineHandoff(lease=1), agent="cat")
    assert desk.handoff.to == "agent:dan"
