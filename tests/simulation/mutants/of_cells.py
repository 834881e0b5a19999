"""Mutants of the cells: the gate, timers, loading, leaving memory, and the decisions themselves."""

from collections.abc import Sequence
from typing import Any

import msgspec

from actors.cells import leaving, snapshots, stepping
from actors.cells.alarms import Alarms
from actors.cells.astray import Astray
from actors.cells.committing import Committer
from actors.cells.concluding import Concluding
from actors.cells.leaving import Leaving
from actors.cells.live import STEP_BYTES_MAX, Envelope, Live, Promise
from actors.cells.mailboxes import Mailboxes
from actors.commands import commanding
from actors.context import knowing
from actors.decisions import deciding, decision
from actors.decisions.decision import Decision, keyed
from actors.inbound import keeping, receiving
from actors.journal.notices import Notices
from actors.lines import Line
from actors.rules.policies import Policies
from actors.rules.policy import Policy
from actors.state import context_items, evolving, interactions
from actors.state.conversation import Conversation
from actors.state.journey import Journey
from actors.way_out import conversation_views
from actors.way_out.outlet import Outlet, _placed
from adapters.stores.journal.memory import MemoryJournal
from protocol.commands import AnyCommand, Take
from protocol.entities import ConversationView
from protocol.events import AnyEvent, DeliveryAttempted, InteractionStarted
from protocol.journal import Committed, Stale
from protocol.links import Input, SnapshotTaken
from tests.simulation.mutants.planting import Plant, mutant, mutant_of_either


def _sent_at_once(plant: Plant, which: Any) -> None:
    """Replies of some kind do not wait for their commit."""
    reply = Outlet.reply

    def hasty(self: Outlet, live: Live, envelope: Envelope, answer: Any) -> None:
        if answer is not None and envelope.line is not None and which(envelope, answer):
            envelope.line.send(_placed(answer, self.position))
        else:
            reply(self, live, envelope, answer)

    plant(Outlet, "reply", hasty)


@mutant
def early_ack(plant: Plant) -> None:
    """An input is answered as soon as it is decided."""
    _sent_at_once(plant, lambda envelope, answer: isinstance(envelope.message, Input) and isinstance(answer, Promise))


@mutant
def early_ack_of_a_duplicate(plant: Plant) -> None:
    """A repeat is answered though its original is not committed yet."""
    _sent_at_once(plant, lambda envelope, answer: isinstance(answer, Promise) and answer.status == "repeat")


@mutant
def early_read(plant: Plant) -> None:
    """A read shows what is decided and not committed."""
    _sent_at_once(plant, lambda envelope, answer: not isinstance(answer, Promise))


@mutant
def update_before_commit(plant: Plant) -> None:
    """Watchers are told what is decided and has not left for the journal."""
    step = Mailboxes._step

    def told(self: Mailboxes, live: Live, envelope: Envelope, now_ms: int) -> bool:
        before = len(live.open.entries) if live.open is not None else 0
        stepped = step(self, live, envelope, now_ms)
        if live.open is not None:
            self._outlet.watchers.update(live.customer, live.open.entries[before:])
        return stepped

    plant(Mailboxes, "_step", told)


@mutant
def delivery_before_commit(plant: Plant) -> None:
    """An attempt is handed out as soon as it is decided."""
    step = Mailboxes._step

    def hasty(self: Mailboxes, live: Live, envelope: Envelope, now_ms: int) -> bool:
        before = len(live.open.effects) if live.open is not None else 0
        stepped = step(self, live, envelope, now_ms)
        for stream, event in live.open.effects[before:] if live.open is not None else ():
            conversation = live.journey.conversation(stream) if live.journey is not None else None
            if isinstance(event, DeliveryAttempted) and conversation is not None:
                self._outlet.attempt(conversation, event.delivery, again=False)
        return stepped

    plant(Mailboxes, "_step", hasty)


@mutant_of_either
def lost_timer(plant: Plant) -> None:
    """Alarms are not set; what the archive's timers find at a start is all that rings."""
    plant(Alarms, "set", lambda self, customer, at_ms, now_ms: None)


@mutant_of_either
def append_not_sent_again(plant: Plant) -> None:
    """A journal that comes back is not sent what its former life did not answer."""
    opened = Committer.opened

    def shy(self: Committer, line: Any, *, fresh: bool) -> None:
        opened(self, line, fresh=False)

    plant(Committer, "opened", shy)


@mutant_of_either
def stale_writer_goes_on(plant: Plant) -> None:
    """A cell takes `Stale` for committed, and answers."""
    conclude = Concluding.conclude

    def deaf(self: Concluding, live: Live, verdict: Any, now_ms: int) -> None:
        conclude(self, live, Committed(live.position) if isinstance(verdict, Stale) else verdict, now_ms)

    plant(Concluding, "conclude", deaf)


@mutant_of_either
def snapshot_without_its_position(plant: Plant) -> None:
    """A snapshot says that it is of the beginning: a load applies its events a second time."""

    def placeless(self: Leaving, live: Live, journey_: Any, now_ms: int) -> None:
        live.unsaved = 0
        if self._archive is not None:
            self._archive.send(SnapshotTaken(live.customer, 1, snapshots.freeze(journey_)))

    plant(Leaving, "snapshot", placeless)


@mutant_of_either
def passivation_with_a_full_mailbox(plant: Plant) -> None:
    """A journey leaves memory in the middle of its work."""
    plant(leaving, "_may_leave", lambda live: live.journey is not None)


@mutant
def once_key_not_journaled(plant: Plant) -> None:
    """The effect is journaled without the key of what caused it."""
    for module in (receiving, deciding, keeping):
        plant(module, "keyed", lambda decision, _, state, policy: decision)


@mutant_of_either
def once_keys_lost_on_load(plant: Plant) -> None:
    """A journey that comes from its snapshot has forgotten what came before."""
    thaw = snapshots.thaw

    def forgetful(body: bytes) -> Any:
        state = thaw(body)
        return state and msgspec.structs.replace(state, once=type(state.once)())

    plant(snapshots, "thaw", forgetful)


@mutant
def quarantine_lost(plant: Plant) -> None:
    """A refused input is answered as kept, and is not."""
    plant(deciding, "quarantine", lambda state, _, policy, now_ms: Decision([], status="quarantined"))


@mutant_of_either
def conflict_has_a_second_effect(plant: Plant) -> None:
    """Another payload under a known id is taken as new."""

    def second(state: Any, input: Input, policy: Any, now_ms: int) -> Any:
        return keyed(receiving.receive(state, input, policy, now_ms), input, state, policy)

    plant(receiving, "conflict", second)


@mutant
def context_dropped_at_a_switch(plant: Plant) -> None:
    """A contact on another channel begins without what was known."""
    start = interactions.start

    def bare(state: Conversation, event: InteractionStarted) -> None:
        start(state, event)
        state.context.clear()

    plant(evolving, "_OFTEN", {**evolving._OFTEN, InteractionStarted: bare})


@mutant
def context_hidden_after_a_switch(plant: Plant) -> None:
    """A view has the context of the newest interaction alone."""
    view = conversation_views.view

    def short(state: Conversation, identities: list[str]) -> ConversationView:
        whole = view(state, identities)
        newest = state.interactions[-1].number if state.interactions else 0
        return msgspec.structs.replace(whole, context=[i for i in whole.context if i.interaction == newest])

    plant(conversation_views, "view", short)


@mutant
def other_sources_word_dropped(plant: Plant) -> None:
    """Where two sources differ, the value that stands is all that is kept."""
    put = context_items.put

    def forgetful(item: Any, event: Any) -> Any:
        return msgspec.structs.replace(put(item, event), others=[])

    for module in (context_items, knowing):
        plant(module, "put", forgetful)


@mutant
def contact_lost_on_its_move(plant: Plant) -> None:
    """A contact that an agent puts where it belongs leaves one conversation, and does not come to the other."""
    plant(evolving, "_receive", lambda state, event: None)


@mutant
def two_owners(plant: Plant) -> None:
    """An agent takes what another one owns, without force."""
    decide = commanding.decide

    def grab(
        state: Conversation,
        command: AnyCommand,
        actor: str,
        identities: Sequence[str],
        policy: Policy,
        now_ms: int,
        *,
        parted: Sequence[str] = (),
    ) -> list[AnyEvent]:
        asked = Take(force=True) if isinstance(command, Take) else command
        return decide(state, asked, actor, identities, policy, now_ms, parted=parted)

    plant(commanding, "decide", grab)


@mutant_of_either
def policy_not_told_at_a_start(plant: Plant) -> None:
    """A cell that starts is not told the versions there are, and decides by the settings."""
    opened = Notices.opened

    def silent(self: Notices, line: Line) -> None:
        kept, self._policies = self._policies, []
        opened(self, line)
        self._policies = kept

    plant(Notices, "opened", silent)


@mutant
def policy_lost_with_the_journal(plant: Plant) -> None:
    """A journal that comes back has forgotten the versions: cells that start after it are not told."""

    async def nothing(self: MemoryJournal) -> list[bytes]:
        return []

    plant(MemoryJournal, "policies", nothing)


@mutant
def units_of_two_versions(plant: Plant) -> None:
    """An open step takes what is decided under another version."""
    record = stepping._record

    def mixed(
        live: Live, journey: Journey, decision: Decision, policy: Policy, joining: Journey | None = None
    ) -> tuple[str, int]:
        if live.open is not None and decision.events:
            live.open.policy = decision.events[0][1].policy or policy.version
        return record(live, journey, decision, policy, joining)

    plant(stepping, "_record", mixed)
    plant(Live, "crowded", property(lambda self: self.open is not None and self.open.bytes >= STEP_BYTES_MAX))


@mutant_of_either
def another_version_named(plant: Plant) -> None:
    """Where conversations are pinned, decisions name the first version, whichever they were made under."""
    for module in (decision, stepping):
        plant(module, "decided_under", lambda state, decided, policy: 1 if policy.earlier else policy.version)


@mutant
def pinned_and_follows(plant: Plant) -> None:
    """Where live conversations stay with the version they were begun under, theirs is the newest all the same."""
    plant(Policy, "at", lambda self, version, channel="": self)


@mutant
def follows_and_stays(plant: Plant) -> None:
    """Where live conversations follow the newest version, theirs is the one they were begun under all the same."""
    learn = Policies.learn

    def loyal(self: Policies, versions: Any) -> bool:
        newer = learn(self, versions)
        earlier = {self._first.version: self._first, **self._known}
        self.newest = msgspec.structs.replace(self.newest, earlier=earlier)
        return newer

    plant(Policies, "learn", loyal)


@mutant_of_either
def overtakes_who_was_turned_away(plant: Plant) -> None:
    """What shares an identity with an event that was turned away, and is the customer's, is decided at once."""
    plant(Astray, "answer_to", lambda self, envelope: None)
