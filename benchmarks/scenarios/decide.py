"""`decide`: what rules cost the pure step of a cell, alone: no process, no pipe and no disk beside it.

the traffic of `throughput`, decided as a cell would: without rules, and under a bundle → by kind of input the times

A step is decided, and then recorded: each fact encoded and folded into the state. Of many steps that one is said which
a tenth of them were faster than: others on the machine make many steps slower and none faster, so that two trees can be
compared where nobody can measure a throughput.
"""

import gc
import random
import time
from collections.abc import Iterable, Sequence
from statistics import quantiles

import msgspec
from msgspec import Struct

from actors.decisions import deciding
from actors.rules.policy import Policy
from actors.state import journey as journeys
from actors.state.journey import Journey
from benchmarks.figures.phases import Phases
from benchmarks.figures.setting import Setting, setting
from benchmarks.inputs.bundle import policy_of
from benchmarks.inputs.decided import BEGAN_MS, EVENTS_PER_MS, outcomes_of
from benchmarks.inputs.traffic import Traffic
from orchestrator.way_in.once_keys import digest_of, once_key
from protocol.events import AnyEvent
from protocol.ids import RANDOM_BYTES, customer_id
from protocol.inbound import InboundEvent
from protocol.links import Input, Outcome

PER_S = 15_000
"""A guess at the bar's pace."""
STRANGER, FOLLOW_UP, OUTCOME = "stranger", "follow-up", "outcome"

_encode = msgspec.msgpack.Encoder().encode


class Plan(Struct, frozen=True, kw_only=True):
    """What to run."""

    bundle: str = "insurer"
    events: int = 20_000
    customers: int = 500
    text_bytes: int = 160


class Kind(Struct, frozen=True, kw_only=True):
    """Steps of one kind of input."""

    kind: str
    """A stranger's first message, a further one, or what became of a message that was sent."""
    steps: int
    decide_us: float
    record_us: float
    """What a tenth of the steps were faster than."""
    facts: float
    bytes: float
    """Of one step, means: as they go to journal, archive and watchers."""


class Under(Struct, frozen=True, kw_only=True):
    """The run under one policy."""

    policy: str
    kinds: list[Kind]
    us_per_event: float
    """Deciding and recording, outcomes included, an event that a channel sent."""
    facts_per_event: float
    bytes_per_event: float


class Result(Struct, frozen=True, kw_only=True):
    """All of it."""

    events: int
    under: list[Under]
    more_us_per_event: float
    """What the bundle adds."""
    faults: list[str]
    cautions: list[str]
    setting: Setting


class _Step(Struct, frozen=True):
    kind: str
    decide_ns: int
    record_ns: int
    facts: int
    bytes: int


def run(plan: Plan, *, phases: Phases) -> Result:
    """Runs it. Raises `NoBundle`."""
    policies = {"settings": Policy(), plan.bundle: policy_of(plan.bundle)}
    under, faults = list[Under](), list[str]()
    for name, policy in policies.items():
        phases.begin(f"under {name}", plan.events / PER_S)
        steps = _Steps(plan, policy).all()
        under.append(_summed(name, steps, plan.events))
        if (came := sum(step.kind != OUTCOME for step in steps)) != plan.events:
            faults.append(f"under {name} {came} of {plan.events} events were decided")
    return Result(
        events=plan.events,
        under=under,
        more_us_per_event=round(under[-1].us_per_event - under[0].us_per_event, 1),
        faults=faults,
        cautions=[],
        setting=setting("none", customers=plan.customers, text_bytes=plan.text_bytes),
    )


class _Steps:
    """A way through the traffic under one policy. Everyone's first message comes first, as in `throughput`."""

    def __init__(self, plan: Plan, policy: Policy) -> None:
        self._policy = policy
        self._plan = plan
        self._traffic = Traffic(
            "run", customers=plan.customers, account="chat", text_bytes=plan.text_bytes, began_ms=BEGAN_MS
        )
        self._live: dict[int, Journey] = {}
        self._random = random.Random(1)

    def all(self) -> list[_Step]:
        """Each input's step, those before the first `events` left out."""
        steps = list[_Step]()
        collecting = gc.isenabled()
        gc.disable()  # A cell's states are frozen out of its way: what it costs here is this process's own.
        try:
            for number in range(self._plan.customers + self._plan.events):
                taken = self._take(number)
                if number >= self._plan.customers:
                    steps += taken
        finally:
            if collecting:
                gc.enable()
        return steps

    def _take(self, number: int) -> list[_Step]:
        """The event, and what becomes of each message that answers it."""
        now_ms, owner = BEGAN_MS + number // EVENTS_PER_MS, self._traffic.customer(number)
        state = self._live.get(owner)
        kind = FOLLOW_UP if state else STRANGER
        if state is None:
            state = Journey(customer=customer_id(now_ms, self._random.randbytes(RANDOM_BYTES)))
            if number < self._traffic.customers:  # The others never come again.
                self._live[owner] = state
        event = msgspec.convert(self._traffic.event(number), InboundEvent)
        key, digest = once_key(event.account, event.source, event.id), digest_of(event.data)
        input = Input(number, state.customer, kind == STRANGER, event, event.identities, [], key, digest)
        step, sent = self._step(kind, state, input, now_ms)
        return [step, *(self._step(OUTCOME, state, outcome, now_ms)[0] for outcome in sent)]

    def _step(self, kind: str, state: Journey, input: Input | Outcome, now_ms: int) -> tuple[_Step, list[Outcome]]:
        began_ns = time.perf_counter_ns()
        decision = deciding.decide(state, input, self._policy, now_ms)
        decided_ns, size = time.perf_counter_ns(), 0
        for stream, fact in decision.events:
            encoded = _encode(fact)
            assert isinstance(fact, AnyEvent)
            journeys.evolve(state, stream, fact, encoded)
            size += len(encoded)
        recorded_ns = time.perf_counter_ns()
        step = _Step(kind, decided_ns - began_ns, recorded_ns - decided_ns, len(decision.events), size)
        return step, list(outcomes_of(state.customer, decision.events))


def _summed(name: str, steps: Sequence[_Step], events: int) -> Under:
    kinds = [
        _kind(kind, of_kind)
        for kind in (STRANGER, FOLLOW_UP, OUTCOME)
        if (of_kind := [step for step in steps if step.kind == kind])
    ]
    return Under(
        policy=name,
        kinds=kinds,
        us_per_event=round(sum(each.steps * (each.decide_us + each.record_us) for each in kinds) / events, 1),
        facts_per_event=round(sum(step.facts for step in steps) / events, 2),
        bytes_per_event=round(sum(step.bytes for step in steps) / events),
    )


def _kind(kind: str, steps: Sequence[_Step]) -> Kind:
    return Kind(
        kind=kind,
        steps=len(steps),
        decide_us=round(_low(step.decide_ns for step in steps) / 1e3, 1),
        record_us=round(_low(step.record_ns for step in steps) / 1e3, 1),
        facts=round(sum(step.facts for step in steps) / len(steps), 2),
        bytes=round(sum(step.bytes for step in steps) / len(steps)),
    )


def _low(values: Iterable[int]) -> float:
    return quantiles(values, n=10, method="inclusive")[0]
