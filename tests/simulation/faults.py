"""Faults: what goes wrong, one function a kind.

A fault counts as having happened where it took effect: a process that is down already is not killed, and a failure that
waits for a commit has not happened until one comes. A kind's function says whether it took effect at once; what strikes
later says so itself.
"""

from collections.abc import Callable
from typing import TypeVarTuple

from tests.simulation.clients import Client
from tests.simulation.disks import Ambiguity, Trouble
from tests.simulation.parts import peer_of
from tests.simulation.plan import LAST_WORDS, SWITCH
from tests.simulation.traffic import Traffic
from tests.simulation.world import World

MINUTE_MS = 60_000
Args = TypeVarTuple("Args")


class Faults:
    """Makes the plan's faults happen, and ends them."""

    def __init__(self, world: World, traffic: Traffic) -> None:
        self._world = world
        self.traffic = traffic
        self._random = world.random
        self.happened: list[str] = []
        world.disks.struck = self._struck
        world.provider.struck = lambda: self._struck("provider")
        kinds: dict[str, Callable[[], bool]] = {
            "kill_journal": lambda: self._kill("journal"),
            "kill_archive": lambda: self._kill("archive"),
            "kill_cell": lambda: self._kill(self._a_cell()),
            "kill_gateway": lambda: self._kill(self._a_gateway()),
            "kill_usher": lambda: self._kill("usher"),
            "kill_channels": lambda: self._kill("channels"),
            "commit_lost": lambda: self._trouble("lost"),
            "commit_ambiguous": lambda: self._trouble("ambiguous"),
            "crash_before_commit": lambda: self._trouble("before"),
            "crash_after_commit": lambda: self._trouble("after"),
            "fence_ambiguous": self._fence_trouble,
            "archive_lost": lambda: self._archive_trouble("lost"),
            "archive_ambiguous": lambda: self._archive_trouble("ambiguous"),
            "power": lambda: _done(world.server.lose_power),
            "break_pipe": self._break_pipe,
            "part": self._part,
            "slow_pipes": lambda: self._slow("slow", 50),
            "slow_disk": lambda: self._slow("disk", 50),
            "slow_archive": lambda: self._slow("archive", 100),
            "second_life": self._second_life,
            "break_socket": self._break_socket,
            "restart_client": self._restart_client,
            "slow_agent": self._slow_agent,
            "busy_agent": self._busy_agent,
            "clock_forward": self._clock_forward,
            "clock_back": lambda: _done(world.jump, -self._random.choice((1_000, 10_000, 20 * MINUTE_MS))),
            "provider": self._provider,
            "duplicate": traffic.again,
            "conflict": traffic.conflict,
            "bad_input": lambda: _done(traffic.bad),
            SWITCH: lambda: _done(world.owner.switch),
            LAST_WORDS: self._last_words,
        }
        self._kinds = kinds

    def schedule(self) -> None:
        """Each at its moment."""
        for at_s, kind in self._world.plan.faults:
            self._world.loop.call_later(at_s, self._happen, kind)

    def end(self) -> None:
        """Everything is well from now on."""
        world = self._world
        world.trace("healed")
        world.pace.heal()
        world.exchange.heal()
        world.provider.trouble = 0.0
        world.disks.trouble = world.disks.archive_trouble = None
        world.disks.fence_trouble = False
        world.on_update = None
        world.set_clock_right()
        for agent in world.agents:
            agent.read(reading=True)
            agent.catch_up()

    def _happen(self, kind: str) -> None:
        self._world.trace("fault", kind=kind)
        if self._world.server.stopped:
            return  # There is nobody whom it could befall.
        if self._kinds[kind]():
            self._struck(kind)

    def _struck(self, kind: str) -> None:
        self._world.trace("struck", kind=kind)
        self.happened.append(kind)

    def _a_cell(self) -> str:
        return self._random.choice(self._world.server.cells)

    def _a_gateway(self) -> str:
        names = self._world.server.gateway_names
        return self._random.choice(names) if len(names) > 1 else names[0]

    def _kill(self, name: str) -> bool:
        process = self._world.server.processes.get(name)
        return process is not None and process.kill()  # Pooled placement has no usher.

    def _last_words(self) -> bool:
        """The next cell that tells a gateway of a commit dies before the gateway has heard it, and perhaps unheard; and
        the usher with it, who alone would know whom to seat anew."""

        def dies(cell: str) -> None:
            self._kill("usher")
            # A seat that is not wanted any more may still be speaking.
            name = next((name for name in self._world.server.processes if peer_of(name) == cell), "")
            if self._kill(name):
                self._struck(LAST_WORDS)

        self._world.on_update = dies
        return False

    def _trouble(self, trouble: Trouble) -> bool:
        self._world.disks.trouble = trouble
        return False

    def _fence_trouble(self) -> bool:
        """Fences are raised as a cell begins, or a customer comes to a seat: one begins, so that it is not in vain."""
        self._world.disks.fence_trouble = True
        self._world.server.processes[self._a_cell()].kill()
        return False

    def _archive_trouble(self, trouble: Ambiguity) -> bool:
        self._world.disks.archive_trouble = trouble
        return False

    def _clock_forward(self) -> bool:
        """Past the hour, where there is retention: it looks once an hour."""
        far = 70 * MINUTE_MS
        hops = (far, far) if self._world.settings.retention_days else (1_000, 10_000, far)
        return _done(self._world.jump, self._random.choice(hops))

    def _break_pipe(self) -> bool:
        pairs = self._world.exchange.pairs()
        if pairs:
            self._world.exchange.break_between(*self._random.choice(pairs))
        return bool(pairs)

    def _part(self) -> bool:
        pairs = self._world.exchange.pairs()
        if pairs:
            self._world.exchange.part(*self._random.choice(pairs))
            self._later(3, self._world.exchange.heal)
        return bool(pairs)

    def _slow(self, what: str, most: int) -> bool:
        pace = self._world.pace
        setattr(pace, what, self._random.uniform(2, most))
        return _done(self._later, 4, setattr, pace, what, 1.0)

    def _second_life(self) -> bool:
        process = self._world.server.processes[self._a_cell()]
        return process.second_life(kill_first_in_s=self._random.uniform(0.2, 6))

    def _break_socket(self) -> bool:
        return self._random.choice(self._clients()).break_off()

    def _restart_client(self) -> bool:
        return _done(self._random.choice(self._clients()).restart)

    def _clients(self) -> list[Client]:
        return [*self._world.agents, *self._world.sources.values()]

    def _slow_agent(self) -> bool:
        agent = self._random.choice(self._world.agents)
        self._later(8, lambda: agent.read(reading=True))
        return agent.read(reading=False)

    def _busy_agent(self) -> bool:
        agent = self._random.choice(self._world.agents)
        agent.busy = True
        return _done(self._later, 4, agent.catch_up)

    def _provider(self) -> bool:
        self._world.provider.trouble = self._random.uniform(0.2, 0.9)
        self._later(6, setattr, self._world.provider, "trouble", 0.0)
        return False

    def _later(self, most_s: float, call: Callable[[*Args], object], *args: *Args) -> None:
        self._world.loop.call_later(self._random.uniform(0.1, most_s), call, *args)


def _done(call: Callable[[*Args], None], *args: *Args) -> bool:
    """It takes effect, whatever the state of the world."""
    call(*args)
    return True
