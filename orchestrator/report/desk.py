"""The report's desk: counts what was lost, has findings made of it when the policy says so, and sees them through.

    it is due → the archive counts → a command to the customer `report` → committed: findings opened, and compared
    a version changes the file a finding points at → the finding is changed in it

What follows from the figures is decided in `actors/own_streams/findings.py`, by the policy in force. Here is what a
decision cannot do: reading the archive, and comparing versions. Several gateways may do it side by side: each step has
one effect.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import structlog
from msgspec import Struct

from actors.own_streams.findings import LINES_MAX
from actors.rules.policy import Policy
from adapters.stores.errors import StoreFailed
from orchestrator.bundles.differences import differences
from orchestrator.following import reach
from orchestrator.policy.desk import Commands, PolicyDesk
from orchestrator.report.schedule import latest_due_ms
from protocol.commands import DismissFinding, MakeReport, ResolveFinding
from protocol.errors import Code, Refusal
from protocol.ids import REPORT
from protocol.links import Answered
from protocol.losses import LossLine

_log = structlog.get_logger(__name__)

ACTOR = "system:report"
LOOK_S = 1.0
"""How often it looks whether a report is due or another policy is in force: both without asking anybody."""
AGAIN_S = 30.0
"""After a failure that may pass, such as an archive that is behind."""
ARCHIVED_WITHIN_S = 10.0
LIVE = ("open", "changed")
REPORTS_MAX = 100
"""The newest, among which one is looked for that was asked for before: a repeat comes soon."""
LIVE_MAX = 1000
"""More than there can be live ones."""
RULES_SHOWN = 20
"""Of what a version changed in a file."""


class Counted(Protocol):
    """The archive, as far as it counts losses and knows findings."""

    async def position(self) -> int:
        """How far it follows the journal."""
        ...

    async def loss_lines(self, from_ms: int, until_ms: int, examples: int, /) -> Sequence[LossLine]:
        """Losses by group, the most first."""
        ...

    async def loss_occasions(self, from_ms: int, until_ms: int, /) -> Mapping[tuple[str, str], int]:
        """By measure and place: how often something could have been lost."""
        ...

    async def findings(
        self, states: Sequence[str], limit: int = 100, before: tuple[int, str] | None = None, /
    ) -> list[dict[str, Any]]:
        """The newest first."""
        ...

    async def finding(self, finding: str, /) -> dict[str, Any] | None:
        """One with its history."""
        ...

    async def reports(self, limit: int, /) -> list[dict[str, Any]]:
        """The newest first."""
        ...

    async def report_due_ms(self) -> int:
        """The newest time that a report was made for; 0 before the first."""
        ...


class Journal(Protocol):
    """The journal's head."""

    async def position(self) -> int:
        """The newest committed position."""
        ...


class Version(Struct, frozen=True):
    """A version's rules; None where its files make none today, such as those that name an account which is gone."""

    policy: Policy | None
    files: dict[str, str]
    at_ms: int


class ReportDesk:
    """One a gateway."""

    def __init__(
        self,
        archive: Counted,
        journal: Journal,
        policy: PolicyDesk,
        commands: Commands,
        *,
        now_ms: Callable[[], int],
    ) -> None:
        self.archive = archive
        self.journal = journal
        self.policy = policy
        self.commands = commands
        self._now_ms = now_ms
        self._looked_at = 1
        """The version up to which changes are noted; there is none before the second."""
        self._made_ms = -1
        """The newest scheduled time that is dealt with; -1: not looked up yet."""
        self._changes: dict[int, dict[str, list[str]]] = {}

    async def run(self) -> None:
        """Looks until cancelled. What is refused or cannot be read now is asked again: nobody waits for a report, and
        who is served here shall not lose the gateway for it."""
        while True:
            pause_s = LOOK_S
            try:
                await self.look(self._now_ms())
            except (Refusal, StoreFailed) as exc:
                _log.warning("report.failed", reason=str(exc))
                pause_s = AGAIN_S
            await asyncio.sleep(pause_s)

    async def look(self, now_ms: int) -> None:
        """Notes which findings a newer version changed, and makes the report that is due. Raises `Refusal`."""
        newest = self.policy.policy.version
        if newest > self._looked_at:
            await self._note_changes(newest)
            self._looked_at = newest
        due_ms = latest_due_ms(self.policy.policy.report, now_ms)
        if due_ms and due_ms > await self._made_until(newest):
            await self._make_due(due_ms)
            self._made_ms = due_ms

    # What people ask for

    async def make(self, *, actor: str, id: str) -> dict[str, Any]:
        """Makes a report of the window that ends now, and returns its row; the one of this `id`, where there is one.
        Raises `Refusal`."""
        if (made := await self._made_for(id)) is not None:
            return made
        await self._note_changes(self.policy.policy.version)
        try:
            await self._make(self._now_ms(), due_ms=0, actor=actor, id=id)
        except Refusal as refusal:
            # Asked twice at once, of which the other one came first: at another moment, so with other figures.
            if refusal.code != Code.DIGEST_CONFLICT:
                raise
        await reach(self.archive, await self.journal.position(), within_s=ARCHIVED_WITHIN_S)
        if (made := await self._made_for(id)) is None:
            raise Refusal(Code.DIGEST_CONFLICT, "this id came before with another command", ref=id, field="id")
        return made

    async def _made_for(self, id: str) -> dict[str, Any] | None:
        return next((row for row in await self.archive.reports(REPORTS_MAX) if row["request"] == id), None)

    async def resolve(self, finding: str, version: int, *, actor: str, id: str) -> dict[str, Any]:
        """Says that a finding was changed in a version (0: the one in force), and returns it. Raises `Refusal`."""
        known = await self.policy.version(version or self.policy.policy.version)
        command = ResolveFinding(finding=finding, version=known.version, since_ms=known.at_ms)
        return await self._asked(finding, command, actor=actor, id=id)

    async def dismiss(self, finding: str, reason: str, *, actor: str, id: str) -> dict[str, Any]:
        """Says that a finding needs no change, and returns it. Raises `Refusal`."""
        return await self._asked(finding, DismissFinding(finding=finding, reason=reason), actor=actor, id=id)

    async def finding(self, finding: str) -> dict[str, Any]:
        """One with its history. Raises `Refusal`."""
        row = await self.archive.finding(finding)
        if row is None:
            raise Refusal(Code.NOT_FOUND, f"there is no finding {finding[:64]}", ref=finding[:64], field="finding")
        return row

    async def _asked(
        self, finding: str, command: ResolveFinding | DismissFinding, *, actor: str, id: str
    ) -> dict[str, Any]:
        answered = await self.commands.command(actor=actor, id=id, command=command, customer=REPORT)
        await self._archived(answered)
        return await self.finding(finding)

    # Reports

    async def _made_until(self, newest: int) -> int:
        """The newest scheduled time that needs no report. Before the first one: when the rules came into force, since
        what was due before was not wanted then."""
        if self._made_ms < 0:
            made_ms = await self.archive.report_due_ms()
            self._made_ms = made_ms or (await self.policy.version(newest)).at_ms
        return self._made_ms

    async def _make_due(self, due_ms: int) -> None:
        try:
            await self._make(due_ms, due_ms=due_ms, actor=ACTOR, id=f"report:{due_ms}")
        except Refusal as refusal:
            # Another gateway made it: under the same id with other figures, or before our answer.
            if refusal.code not in (Code.NOT_ALLOWED_NOW, Code.DIGEST_CONFLICT):
                raise

    async def _make(self, until_ms: int, *, due_ms: int, actor: str, id: str) -> Answered:
        rules = self.policy.policy.report
        # All that is committed by now is counted.
        await reach(self.archive, await self.journal.position(), within_s=ARCHIVED_WITHIN_S)
        from_ms = max(0, until_ms - rules.window_ms)
        lines = await self._lines(from_ms, until_ms, rules.examples)
        command = MakeReport(
            from_ms=from_ms, until_ms=until_ms, lines=lines, due_ms=due_ms, request="" if due_ms else id
        )
        return await self.commands.command(actor=actor, id=id, command=command, customer=REPORT)

    async def _lines(self, from_ms: int, until_ms: int, examples: int) -> list[LossLine]:
        """Those of live findings, also where nothing was lost, then the others with the most losses."""
        lines = {line.group: line for line in await self.archive.loss_lines(from_ms, until_ms, examples)}
        live: list[LossLine] = []
        rows = await self.archive.findings(LIVE, LIVE_MAX)
        occasions = await self.archive.loss_occasions(from_ms, until_ms) if rows else {}
        for row in rows:
            bare = LossLine(
                measure=row["measure"],
                channels=row["channels"],
                team=row["team"],
                product=row["product"],
                place=row["place"],
                occasions=occasions.get((row["measure"], row["place"]), 0),
            )
            live.append(lines.pop(bare.group, bare))
        return [*live, *lines.values()][:LINES_MAX]

    # Versions

    async def _note_changes(self, newest: int) -> None:
        """Says of each live finding in which newest version what it points at was changed."""
        for row in await self.archive.findings(LIVE, LIVE_MAX):
            for version in range(newest, max(row["policy"], row["changed_version"]), -1):
                changed = await self._changed_in(version)
                if row["file"] in changed:
                    await self._note(row["finding"], version, changed[row["file"]])
                    break

    async def _note(self, finding: str, version: int, rules: list[str]) -> None:
        since_ms = (await self.policy.version(version)).at_ms
        command = ResolveFinding(finding=finding, version=version, since_ms=since_ms, rules=rules[:RULES_SHOWN])
        try:
            answered = await self.commands.command(
                actor=ACTOR, id=f"changed:{finding}:{version}", command=command, customer=REPORT
            )
            await self._archived(answered)
        except Refusal as refusal:
            # Somebody else said so, or dismissed it meanwhile.
            if refusal.code != Code.NOT_ALLOWED_NOW:
                raise

    async def _changed_in(self, version: int) -> dict[str, list[str]]:
        """File → what a version changed in it, against the one before."""
        if (known := self._changes.get(version)) is not None:
            return known
        before, after = await self._rules_of(version - 1), await self._rules_of(version)
        changed: dict[str, list[str]] = {}
        if before.policy is not None and after.policy is not None:
            for difference in differences(before.policy, after.policy):
                file, _, rule = difference.rule.partition(": ")
                changed.setdefault(file, []).append(rule)
        else:
            names = before.files.keys() | after.files.keys()
            changed = {name: [] for name in names if before.files.get(name) != after.files.get(name)}
        self._changes[version] = changed
        return changed

    async def _rules_of(self, version: int) -> Version:
        known = await self.policy.version(version)
        made = await self.policy.check(known.files)
        return Version(made.policy, known.files, known.at_ms)

    async def _archived(self, answered: Answered) -> None:
        await reach(self.archive, answered.position, within_s=ARCHIVED_WITHIN_S)
