"""What a gateway and a channel host have in common: who takes input in needs the same of the server behind it."""

import asyncio
import contextlib

from orchestrator.cells import Cells
from orchestrator.cluster.run_folder import read_figures
from orchestrator.cluster.states import read_states, steady_ms
from orchestrator.cluster.table import cells_of
from orchestrator.gateway.figures import ReadFigures
from orchestrator.gateway.troubles import ReadStates, Writing
from orchestrator.intake import AccountRule, Intake, IntakeLimits
from orchestrator.parts.surroundings import Surroundings

LOOK_EVERY_S = 0.01
"""While draining: how often unanswered questions are counted."""


class Front:
    """Lines to all cells, the intake, and readers of both stores."""

    def __init__(self, given: Surroundings) -> None:
        settings = given.settings
        self._storage = given.storage
        self.journal = given.storage.journal_reader()
        self.archive = given.storage.archive_reader()
        self.cells = Cells(cells_of(settings))
        self.intake = Intake(
            self.cells,
            self.journal.customers_of,
            {account.name: AccountRule(trusted=account.trusted) for account in settings.accounts},
            region=settings.region,
            limits=IntakeLimits(
                waiting_max=settings.limits.inputs_waiting_max,
                ahead_ms=round(settings.limits.events_ahead_s * 1000),
                behind_ms=round(settings.limits.events_behind_days * 86_400_000),
            ),
            now_ms=given.now_ms,
            new_customer=given.new_customer,
        )
        self.states: ReadStates = lambda: read_states(given.run, now_ms=steady_ms())
        self.figures: ReadFigures = lambda: read_figures(given.run)
        self.intake.writing = Writing(self.states, self.figures)
        self._dialers = [given.switchboard.dial(f"cell:{index}", self.cells) for index in range(len(self.cells))]

    async def start(self) -> None:
        """Waits until every cell was reached, so that all that is asked can be answered."""
        for dialer in self._dialers:
            await dialer.start()
        await self.cells.opened_all()
        await self._storage.open_readers()

    async def answered(self, within_s: float) -> None:
        """Waits until the cells have answered all questions; what is late then is asked again by who asked for it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.cells.unanswered:  # noqa: ASYNC110 - once in a life; nobody else needs an event for it
                    await asyncio.sleep(LOOK_EVERY_S)

    async def stop(self) -> None:
        """Closes lines and readers."""
        for dialer in self._dialers:
            await dialer.stop()
        await self._storage.close_readers()
