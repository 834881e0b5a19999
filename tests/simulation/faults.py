"""Faults: what goes wrong, one function a kind."""

from collections.abc import Callable

from tests.simulation.traffic import Traffic
from tests.simulation.world import World

MINUTE_MS = 60_000


class Faults:
    """Makes the plan's faults happen, and ends them."""

    def __init__(self, world: World, traffic: Traffic) -> None:
        self._world = world
        self.traffic = traffic
        self._random = world.random
        self.happened: list[str] = []
        kinds: dict[str, Callable[[], None]] = {
            "kill_journal": lambda: self._kill("journal"),
            "kill_archive": lambda: self._kill("archive"),
            "kill_cell": lambda: self._kill(self._a_cell()),
            "kill_gateway": lambda: self._kill("gateway"),
            "kill_usher": lambda: self._kill("usher"),
            "kill_channels": lambda: self._kill("channels"),
            "commit_lost": lambda: self._trouble("lost"),
            "commit_ambiguous": lambda: self._trouble("ambiguous"),
            "crash_before_commit": lambda: self._trouble("before"),
            "crash_after_commit": lambda: self._trouble("after"),
            "power": world.server.lose_power,
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
            "clock_back": lambda: world.jump(-self._random.choice((1_000, 10_000, 20 * MINUTE_MS))),
            "provider": self._provider,
            "duplicate": traffic.again,
            "conflict": traffic.conflict,
            "bad_input": traffic.bad,
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
        world.disks.trouble = None
        world.set_clock_right()
        for agent in world.agents:
            agent.read(reading=True)
            agent.catch_up()

    def _happen(self, kind: str) -> None:
        self._world.trace("fault", kind=kind)
        self.happened.append(kind)
        self._kinds[kind]()

    def _a_cell(self) -> str:
        return self._random.choice(self._world.server.cells)

    def _kill(self, name: str) -> None:
        if (process := self._world.server.processes.get(name)) is not None:
            process.kill()  # Pooled placement has no usher.

    def _trouble(self, trouble: str) -> None:
        self._world.disks.trouble = trouble  # type: ignore[assignment]

    def _clock_forward(self) -> None:
        """Past the hour, where there is retention: it looks once an hour."""
        far = 70 * MINUTE_MS
        hops = (far, far) if self._world.settings.retention_days else (1_000, 10_000, far)
        self._world.jump(self._random.choice(hops))

    def _break_pipe(self) -> None:
        if pairs := self._world.exchange.pairs():
            self._world.exchange.break_between(*self._random.choice(pairs))

    def _part(self) -> None:
        if pairs := self._world.exchange.pairs():
            self._world.exchange.part(*self._random.choice(pairs))
            self._later(3, self._world.exchange.heal)

    def _slow(self, what: str, most: int) -> None:
        pace = self._world.pace
        setattr(pace, what, self._random.uniform(2, most))
        self._later(4, setattr, pace, what, 1.0)

    def _second_life(self) -> None:
        process = self._world.server.processes[self._a_cell()]
        process.second_life(kill_first_in_s=self._random.uniform(0.2, 6))

    def _break_socket(self) -> None:
        self._random.choice([*self._world.agents, *self._world.sources.values()]).break_off()

    def _restart_client(self) -> None:
        self._random.choice([*self._world.agents, *self._world.sources.values()]).restart()

    def _slow_agent(self) -> None:
        agent = self._random.choice(self._world.agents)
        agent.read(reading=False)
        self._later(8, lambda: agent.read(reading=True))

    def _busy_agent(self) -> None:
        agent = self._random.choice(self._world.agents)
        agent.busy = True
        self._later(4, agent.catch_up)

    def _provider(self) -> None:
        self._world.provider.trouble = self._random.uniform(0.2, 0.9)
        self._later(6, setattr, self._world.provider, "trouble", 0.0)

    def _later(self, most_s: float, call: Callable[..., None], *args: object) -> None:
        self._world.loop.call_later(self._random.uniform(0.1, most_s), call, *args)
