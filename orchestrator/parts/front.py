"""What a gateway and a channel host have in common: whoever takes input in needs the same of the server behind it."""

import asyncio
import contextlib
from collections.abc import Collection
from pathlib import Path

from adapters.stores.read_pool import ALONE, Sharing
from orchestrator.cell_lines.dialing import CellLines
from orchestrator.cell_lines.strangers import known_of
from orchestrator.cluster.run_folder import read_figures
from orchestrator.cluster.states import read_states, steady_ms
from orchestrator.cluster.table import cells_of
from orchestrator.gateway.health.figures import ReadFigures
from orchestrator.gateway.health.troubles import ReadStates, Writing
from orchestrator.parts.surroundings import Surroundings
from orchestrator.policy.first import policy_of
from orchestrator.policy.former_lines import noted_lines
from orchestrator.policy.in_force import InForce
from orchestrator.way_in.intake import Intake, IntakeLimits

LOOK_EVERY_S = 0.01
"""While draining: how often unanswered questions are counted."""


class Front:
    """Lines to all cells, the intake, and readers of both stores."""

    def __init__(self, surroundings: Surroundings, archive: Sharing = ALONE) -> None:
        """`archive`: how its reader is shared."""
        settings = surroundings.settings
        self._storage = surroundings.storage
        self.journal = surroundings.storage.journal_reader()
        self.archive = surroundings.storage.archive_reader(archive)
        self._lines = CellLines(surroundings.switchboard)
        dedicated = settings.placement == "dedicated"
        self.cells = self._lines.dedicated(self._known_of) if dedicated else self._lines.pooled(cells_of(settings))
        self.in_force = InForce(policy_of(settings, noted_lines(Path(settings.data))), settings.accounts)
        self.cells.deciders.on_newer = self.in_force.heard
        self.intake = Intake(
            self.cells,
            self.journal.customers_of,
            self.in_force.rules,
            region=settings.region,
            limits=IntakeLimits(
                waiting_max=settings.limits.inputs_waiting_max,
                ahead_ms=round(settings.limits.events_ahead_s * 1000),
                behind_ms=round(settings.limits.events_behind_days * 86_400_000),
            ),
            now_ms=surroundings.now_ms,
            new_customer=surroundings.new_customer,
        )
        self.intake.capture = lambda: self.in_force.policy.capture
        self.intake.kinds = lambda: self.in_force.kinds
        self.intake.alike = lambda: self.in_force.policy.identity.alike
        self.states: ReadStates = lambda: read_states(surroundings.run, now_ms=steady_ms())
        self.figures: ReadFigures = lambda: read_figures(surroundings.run)
        self.intake.writing = Writing(self.states, self.figures)

    async def _known_of(self, customers: Collection[str]) -> set[str]:
        return await known_of(customers, self.journal, self.archive)

    async def start(self) -> None:
        """Waits until every cell was reached, so that all that is asked can be answered."""
        await self._lines.start()
        await self.cells.opened_all()
        await self._storage.open_readers()

    async def answered(self, within_s: float) -> None:
        """Waits until the cells have answered all questions; what is late then is asked again by whoever asked for
        it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.cells.unanswered:  # noqa: ASYNC110 - once in a life; nobody else needs an event for it
                    await asyncio.sleep(LOOK_EVERY_S)

    async def stop(self) -> None:
        """Closes lines and readers."""
        await self._lines.stop()
        await self._storage.close_readers()
