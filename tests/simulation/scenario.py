"""One run: plan, traffic and faults, settling, checks. The same seed gives the same run, to the last message."""

import asyncio
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

import structlog
from msgspec.structs import replace

from actors.rules.policy import Policy
from orchestrator.parts import archive, cell
from protocol import pipe
from tests.simulation.erasing import Erasing
from tests.simulation.faults import Faults
from tests.simulation.handing import RULES, Handing
from tests.simulation.merging import Merging
from tests.simulation.plan import Plan, plan_of
from tests.simulation.promises import (
    acked,
    bounded,
    context,
    dropped,
    erased,
    imported,
    once,
    one_owner,
    one_version,
    ordered,
    refused,
    replayed,
    reported,
    sent_once,
)
from tests.simulation.relating import Relating, ruled
from tests.simulation.replaying import strict
from tests.simulation.rules import policy_of_cells
from tests.simulation.settling import settle
from tests.simulation.straying import Straying
from tests.simulation.traffic import Traffic
from tests.simulation.virtual_loop import Stuck, VirtualLoop
from tests.simulation.world import Broken, World

FAR_S = 600.0
"""A run that is not over by then never will be."""


@dataclass(frozen=True, slots=True)
class Run:
    """What became of one seed."""

    plan: Plan
    digest: str
    failures: list[Broken]
    commits: int
    """Units in the journal."""
    faults: list[str]
    virtual_s: float
    lost: int
    """Changes of the journal's disk that a power failure took."""
    stale: int
    """Units that the journal refused to a former writer."""
    moved_over: int
    """How often a client went on at another gateway than before."""


def replay_of(ended: Run) -> str:
    """The one command that plays it again."""
    return f"python -m tests.simulation --seed {ended.plan.seed} --placement {ended.plan.placement} --verbose"


def run(seed: int, *, placement: str = "pooled", say: Callable[[str], None] | None = None) -> Run:
    """Plays a seed; `say` gets each line of its trace."""
    plan = plan_of(seed, placement=placement)
    # A pipe acknowledges after a 32nd of what its other end may keep, here as there.
    often = patch.object(pipe, "ACK_EVERY_BYTES", plan.unacked_bytes_max // 32)
    first_policy = policy_of_cells()
    rules = patch.object(cell, "policy_of", lambda settings, noted=(): _rules(first_policy(settings), plan))
    kept = patch.object(archive, "policy_of", lambda settings: _rules(first_policy(settings), plan))
    with _quiet(), often, rules, kept, asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        world = World(plan, loop, say)
        loop.set_task_factory(world.kept_task)
        loop.set_exception_handler(lambda _, of: world.broken("alive", f"{of['message']}: {of.get('exception')!r}"))
        faults = Faults(world, Traffic(world))
        try:
            runner.run(_play(world, faults))
        except Stuck as exc:
            world.broken("alive", str(exc))
        except Exception as exc:  # noqa: BLE001 - what no check can read is found by its seed too
            world.broken("alive", f"a check broke: {type(exc).__name__}: {exc}")
        loop.set_exception_handler(lambda _, of: None)
        return Run(
            plan,
            world.digest,
            world.failures,
            world.ledger.position,
            faults.happened,
            loop.time(),
            world.disks.lost,
            world.disks.fences.stale,
            world.moved_over,
        )


def _rules(first: Policy, plan: Plan) -> Policy:
    """What no setting says."""
    return strict(ruled(replace(first, handoffs=RULES, retention=plan.kept), plan.ruled), plan.replays)


async def _play(world: World, faults: Faults) -> None:
    world.trace("begin", seed=world.plan.seed, placement=world.plan.placement, cells=world.settings.cells)
    world.server.start()
    bounded.watch(world)
    faults.schedule()
    faults.traffic.schedule()
    Handing(world).schedule()
    Relating(world).schedule()
    Merging(world).schedule()
    Straying(world, faults.traffic).schedule()
    world.replaying.schedule(faults.traffic)
    world.reporting.schedule(faults.traffic)
    world.importing.schedule()
    Erasing(world).schedule()
    end_s = world.loop.time() + world.plan.active_s
    while world.loop.time() < end_s and not world.failures:  # noqa: ASYNC110 - no event says that time is over
        await asyncio.sleep(0.1)
    faults.end()
    if not world.failures:
        for promise, text in await settle(world):
            world.broken(promise, f"{text}, though all has been well for long")
    if not world.failures:
        await _check(world)


async def _check(world: World) -> None:
    acked.check(world)
    once.check(world)
    one_owner.check(world)
    one_version.check(world)
    sent_once.check(world)
    await reported.check(world)
    refused.check(world)
    imported.check(world)
    await replayed.check(world)
    await erased.check(world)
    await context.check(world)
    await ordered.check(world)
    await dropped.check(world)


@contextmanager
def _quiet() -> Iterator[None]:
    """The server's log says nothing: thousands of runs would say it thousands of times."""
    before = structlog.get_config()
    silent = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=silent, cache_logger_on_first_use=False)
    with warnings.catch_warnings():
        # What a killed process left behind is collected without having been awaited.
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            yield
        finally:
            structlog.configure(**before)
