"""The server: its processes, who die and come back.

A process is one life after another of a part. Whatever ends a life (a kill, an error of its store, a fence that another
writer raised) is followed by another one after a while, as a supervisor does it.
"""

import asyncio
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from adapters.stores.errors import StoreFailed
from orchestrator.cluster.table import USHER, cell_name
from orchestrator.parts.surroundings import Surroundings
from orchestrator.parts.usher import UsherPart
from tests.simulation.disks import SimulatedStorage
from tests.simulation.life import Life
from tests.simulation.parts import GATEWAY, AnyPart, SimulatedChannels, SimulatedGateway, build, names_of, peer_of
from tests.simulation.plan import NOWHERE

if TYPE_CHECKING:
    from tests.simulation.world import World


LOOK_EVERY_S = 0.1
"""How often a new life of the usher is looked for."""


class Process:
    """One process of the table."""

    def __init__(self, world: "World", name: str) -> None:
        self._world = world
        self.name = name
        self.part: AnyPart | None = None
        self.up = False
        self.lives = 0
        self._life: Life | None = None
        self._task: asyncio.Task[None] | None = None
        self._held_down = False
        self._former: list[tuple[Life, asyncio.Task[None] | None]] = []
        """Lives that another one began beside."""

    def start(self) -> None:
        """Begins the next life."""
        self._held_down = False
        if self._life is not None and self._life.alive:
            return
        self.lives += 1
        life = self._life = Life(peer_of(self.name), self.lives)
        self._world.trace("start", process=self.name, life=self.lives)
        self._task = self._world.loop.create_task(self._live(life))
        self._task.add_done_callback(lambda task: self._ended(task, life))

    def kill(self, *, again_in_s: float | None = None) -> bool:
        """Ends it as a kill does: at once, in the middle of whatever it does. False where it is dead already."""
        if self._life is None or not self._life.alive:
            return False
        self._world.trace("kill", process=self.name, life=self.lives)
        self._bury(self._life, self._task)
        self._start_later(again_in_s)
        return True

    def second_life(self, *, kill_first_in_s: float) -> bool:
        """Another life begins while this one still lives: a supervisor that was wrong about a death. False where it
        is right."""
        life, task = self._life, self._task
        if life is None or not life.alive or not self.up:
            return False
        self._world.trace("second_life", process=self.name)
        self._life = self._task = self.part = None
        self.up = False
        self._former.append((life, task))
        self.start()
        self._world.loop.call_later(kill_first_in_s, self._bury, life, task)
        return True

    def hold_down(self) -> None:
        """Stays dead until `start`, with every life that there is of it."""
        self.kill()
        for life, task in self._former:
            self._bury(life, task)
        self._former.clear()
        self._held_down = True

    async def _live(self, life: Life) -> None:
        world = self._world
        given = Surroundings(
            world.settings,
            world.exchange.switchboard(life.name, life.incarnation),
            SimulatedStorage(world.disks, life),
            run=Path(NOWHERE),
            now_ms=world.now_ms,
            new_customer=world.new_customer,
        )
        part = build(self.name, given, world.provider, life)
        await part.start()
        if life is self._life:
            self.part, self.up = part, True
            world.trace("up", process=self.name, life=self.lives)
        await part.run()

    async def end(self) -> None:
        """Drains it and ends it for good: a seat that is not wanted any more."""
        part, task, life = self.part, self._task, self._life
        if not self.up or task is None or life is None:
            return
        assert part is not None
        assert not isinstance(part, SimulatedGateway | SimulatedChannels), self.name
        await part.drain()
        await asyncio.wait([task])
        await part.stop()
        self._world.trace("ended", process=self.name)
        self._held_down = True
        self._bury(life, task)

    def _ended(self, task: "asyncio.Task[None]", life: Life) -> None:
        if task.cancelled() or not life.alive or task.exception() is None:
            return
        exc = task.exception()
        self._world.trace("died", process=self.name, why=type(exc).__name__)
        if not _to_be_expected(exc):
            self._world.broken("alive", f"{self.name} broke: {type(exc).__name__}: {exc}")
        self._bury(life, task)
        if life is self._life:
            self._start_later(None)

    def _bury(self, life: Life, task: "asyncio.Task[None] | None") -> None:
        if not life.alive:
            return
        life.alive = False
        self._world.exchange.cut(life.incarnation)
        if task is not None:
            task.cancel()
        if life is self._life:
            if isinstance(self.part, SimulatedGateway):
                self.part.die()
            self.part, self.up = None, False

    def _start_later(self, again_in_s: float | None) -> None:
        wait_s = self._world.pace.start_s() if again_in_s is None else again_in_s
        self._world.loop.call_later(wait_s, self._start_again)

    def _start_again(self) -> None:
        if not self._held_down:
            self.start()


class Server:
    """All processes."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.processes = {name: Process(world, name) for name in names_of(world.settings, world.plan.gateways)}
        self._doors = Random(f"doors {world.plan.seed}")
        self.stopped = False
        """For an operator's work on its files."""
        world.disks.die = self._journal_dies

    @property
    def gateways(self) -> list[SimulatedGateway]:
        """Those that are up."""
        return [part for process in self.processes.values() if isinstance(part := process.part, SimulatedGateway)]

    @property
    def gateway_names(self) -> list[str]:
        """The names of the gateways' processes."""
        return [name for name in self.processes if name.startswith(GATEWAY)]

    def a_gateway(self) -> SimulatedGateway | None:
        """One of those that are up, as whoever stands before them chooses; None where there is none."""
        gateways = self.gateways
        return self._doors.choice(gateways) if len(gateways) > 1 else next(iter(gateways), None)

    @property
    def channels(self) -> SimulatedChannels | None:
        """The channel host, where it is up."""
        part = self.processes["channels"].part
        return part if isinstance(part, SimulatedChannels) else None

    @property
    def cells(self) -> list[str]:
        """The names of the cells' processes."""
        return [name for name in self.processes if name.startswith("cell")]

    @property
    def up(self) -> bool:
        """Whether every process is."""
        return all(process.up for process in self.processes.values())

    def start(self) -> None:
        """Starts all, in any order."""
        if USHER in self.processes:
            self._world.spawn(self._follow_usher())
        self._start_all()

    def _start_all(self) -> None:
        names = list(self.processes)
        self._world.random.shuffle(names)
        for name in names:
            self.processes[name].start()

    def _journal_dies(self) -> None:
        self.processes["journal"].kill()

    def lose_power(self) -> None:
        """Everything dies, and what was not synced is lost."""
        self._world.trace("power", process="all")
        for process in self.processes.values():
            process.hold_down()
        self._world.disks.lose_power()
        self._world.loop.call_later(self._world.pace.start_s(), self._start_again)

    def _start_again(self) -> None:
        if not self.stopped:
            self._start_all()

    def stop(self) -> None:
        """All processes end, and none begins until `go_on`."""
        self._world.trace("stop", process="all")
        self.stopped = True
        for process in self.processes.values():
            process.hold_down()

    def go_on(self) -> None:
        """The operator is done."""
        self.stopped = False
        self._start_all()

    async def _follow_usher(self) -> None:
        """Starts and ends seats as the usher wants, whichever life of it there is: what a node's supervisor does."""
        asked: UsherPart | None = None
        known = 0
        while True:
            usher = self.processes[USHER].part
            if not isinstance(usher, UsherPart):
                await asyncio.sleep(LOOK_EVERY_S)
                continue
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    known, wanted = await usher.wanted(known if usher is asked else 0)
            except TimeoutError:
                continue
            asked = usher
            for name in map(cell_name, wanted.seats):
                if name not in self.processes:
                    self.processes[name] = Process(self._world, name)
                    self.processes[name].start()
            for name in map(cell_name, wanted.over):
                if (process := self.processes.pop(name, None)) is not None:
                    await process.end()


def _to_be_expected(exc: BaseException | None) -> bool:
    """A store that was told to fail, or a fence that another life raised."""
    return isinstance(exc, StoreFailed) or (isinstance(exc, RuntimeError) and "another writer" in str(exc))
