"""The business owner, who applies new rules in the midst of everything; and a watch over who decides by which version.

A version is named by the first event of each decision. What is checked as units are committed is here; what needs the
whole journal, in `promises/one_version.py`.
"""

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING

import msgspec

from actors.own_streams.applying import version_at
from actors.rules.capture import CaptureRules
from actors.rules.policies import packed
from actors.rules.policy import Policy
from orchestrator.parts import cell
from orchestrator.settings import Settings
from protocol.commands import ApplyPolicy
from protocol.errors import Refusal
from protocol.events import AnyEvent, CustomerReleased, InputQuarantined
from protocol.ids import POLICY
from protocol.journal import Committed, Fence, Unit, Verdict
from tests.simulation.ledger import Ledger

if TYPE_CHECKING:
    from tests.simulation.world import World

RETRY_S = 1.0
ANSWER_WITHIN_S = 5.0

_entries = msgspec.msgpack.Decoder(list[tuple[str, int, AnyEvent]]).decode


def policy_of_cells() -> Callable[[Settings], Policy]:
    """How cells make their first policy now, whatever a test or a run has put in its place there."""
    made: Callable[[Settings], Policy] = cell.policy_of  # type: ignore[attr-defined]  # Theirs is what is replaced.
    return made


class Owner:
    """Applies rules until they are in force, over whatever dies."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._random = Random(f"rules {world.plan.seed}")
        self._number = 0
        self.unanswered = 0

    def switch(self) -> None:
        """Has other rules, and applies them."""
        self._number += 1
        self.unanswered += 1
        self._world.spawn(self._until_applied(f"p{self._number}", self._rules()))

    def _rules(self) -> Policy:
        # As the scenario has it for the cells: with rules that no setting says.
        random, first = self._random, policy_of_cells()(self._world.settings)
        return msgspec.structs.replace(
            first,
            live_conversations=random.choice(("follow", "pinned")),
            close_after_resolved_ms=random.choice((300, 700, 2_000)),
            backoff_ms=random.choice((100, 200, 400)),
            attempts_max=random.choice((3, 4, 5)),
            # A template that refuses is mended, or is there again.
            capture=CaptureRules() if first.capture.templates and self._number % 2 else first.capture,
        )

    async def _until_applied(self, id: str, rules: Policy) -> None:
        command = ApplyPolicy(files={"general.yaml": f"# {id}"}, body=packed(rules))
        while not await self._applied(id, command):  # noqa: ASYNC110 - tried again, as a person does
            await asyncio.sleep(RETRY_S)
        self.unanswered -= 1

    async def _applied(self, id: str, command: ApplyPolicy) -> bool:
        world = self._world
        gateway = world.server.a_gateway()
        if gateway is None:
            return False
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                answered = await gateway.front.intake.command(
                    actor="operator:owner", id=id, command=command, customer=POLICY
                )
        except (TimeoutError, Refusal):
            return False
        version = version_at(answered.seq)
        world.ledger.read()
        if version > world.ledger.policy:
            world.broken("committed_only", f"version {version} was answered; {world.ledger.policy} is synced")
        late = await gateway.front.cells.deciders.deciding_by(version, within_s=ANSWER_WITHIN_S)
        world.trace("applied", id=id, version=version, late=late)
        return True


class Deciding:
    """Checks each unit as it is committed: who took a scope knew the newest version by then, and conversations follow
    it, or stay with their own, as it says."""

    def __init__(self, ledger: Ledger, broken: Callable[[str, str], None]) -> None:
        self._ledger = ledger
        self._broken = broken
        self._known: dict[str, int] = {}
        """By scope: the newest version when it was taken."""

    def raised(self, fences: Sequence[Fence]) -> None:
        """Scopes were taken just now."""
        self._ledger.read()
        self._known.update({fence.scope: self._ledger.policy for fence in fences})

    def committed(self, units: Sequence[Unit], verdicts: Sequence[Verdict], before: int) -> None:
        """The store settled these; `before` was its position."""
        for unit, verdict in zip(units, verdicts, strict=True):
            if isinstance(verdict, Committed) and verdict.position > before:
                before = verdict.position
                self._check(unit)

    def _check(self, unit: Unit) -> None:
        known, entries = self._known.get(unit.scope, 1), _entries(unit.body)
        # Whoever decided it had one of these for the newest.
        pinning = [version in self._ledger.pinning for version in range(known, self._ledger.policy + 1)]
        for stream, _, event in entries:
            begun = self._ledger.streams[stream][0].policy if "-" in stream else 0
            stays = {begun} if begun else self._of_refusal(event, stream)
            if event.policy and event.policy < known and not (event.policy in stays and any(pinning)):
                self._broken(
                    "one_version", f"{stream}: decided under {event.policy}; {unit.scope} was taken under {known}"
                )
            if begun and event.policy not in (0, begun) and all(pinning) and _is_of_one(entries, stream):
                self._broken("one_version", f"{stream}: decided under {event.policy}; it stays with {begun}")

    def _of_refusal(self, event: AnyEvent, customer: str) -> set[int]:
        """The versions under which one may be refused: the template is that of the conversation it was meant for."""
        if not isinstance(event, InputQuarantined):
            return set()
        streams = self._ledger.streams.items()
        return {events[0].policy for each, events in streams if "-" in each and self._ledger.customer(each) == customer}


def _is_of_one(entries: Sequence[tuple[str, int, AnyEvent]], conversation: str) -> bool:
    """Whether the unit is about that conversation alone, which says its version. What concerns several, or takes them
    apart for their customers' sake, is decided under the newest."""
    about = {stream for stream, _, event in entries if "-" in stream or isinstance(event, CustomerReleased)}
    return about == {conversation}
