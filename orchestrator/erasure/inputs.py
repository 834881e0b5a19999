"""Erasing one input that an account refused: what came is gone, that it came is not. On a stopped server's files.

Whoever is erased takes along what an account keeps with one of their addresses in it. Of an input that has none, only
words of theirs, no program can tell whose it is: a person finds it (`throughline quarantine search`), and says so. It
goes the same way: the journal's units are redacted → the act is committed → the archive → the files.
"""

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec
from msgspec import Struct

from actors.cells.loading import load
from actors.erasure import erasing
from orchestrator.erasure.files import Files
from orchestrator.settings import Settings
from protocol.errors import Code, Refusal
from protocol.events import AnyEvent, InputErased, QuarantineReplayed
from protocol.ids import ACCOUNT
from protocol.links import TailIs


class InputAct(Struct, kw_only=True, frozen=True):
    """Which quarantined input is forgotten, and by whom, why and when."""

    quarantine: str
    actor: str
    reason: str
    at_ms: int


class ErasedInput(Struct, kw_only=True, frozen=True):
    """What was done."""

    quarantine: str
    position: int
    """Where the journal has the act; 0: it had it before, and what was left of it is done now."""
    units: int
    """Of the journal, redacted."""
    files: int
    """Removed: its own, and whatever else nothing named any more."""
    came_in: str
    """The stream into which it came after all: what it said there is that customer's, and stays; empty: into none."""


async def erase_input(settings: Settings, act: InputAct, on_progress: Callable[[int, int], None]) -> ErasedInput:
    """Erases; the data folder is locked by the caller. `on_progress` gets (position, head) of the journal. Interrupted,
    it is done again, and finds what is left.

    Raises `Refusal` (`NOT_FOUND`, `NOT_ALLOWED_NOW`), and what a store raises.
    """
    stream = ACCOUNT + act.quarantine.rpartition(".")[0]
    async with AsyncExitStack() as stack:
        files = Files(settings)
        await files.open(stack)
        facts = await files.known.facts_of_quarantined(stream, act.quarantine)
        if not facts:
            raise _not_an_accounts(await files.known.quarantined(act.quarantine), act.quarantine)
        places, head = {(fact.stream, fact.seq) for fact in facts}, files.follower.position
        redacted = [
            cleared
            async for record in files.records(lambda at: on_progress(at, head))
            if record.customer == stream and (cleared := erasing.redacted_record(record, (), places)) is not record
        ]
        told = [msgspec.json.decode(fact.body, type=AnyEvent) for fact in facts]
        await files.archive.sync()
        await files.journal.erase(stream, redacted, None)
        position = 0
        if not any(isinstance(event, InputErased) for event in told):

            async def nothing(_: str) -> TailIs:
                return TailIs(0, head, [])  # The archive has all of the journal.

            journey, _ = await load(stream, files.known, nothing)
            erased = InputErased(at_ms=act.at_ms, actor=act.actor, reason=act.reason, quarantine=act.quarantine)
            position = await files.commit(stream, act.at_ms, journey, [(stream, erased)])
        await files.follower.catch_up()
        facts = await files.known.facts_of_quarantined(stream, act.quarantine)
        await files.archive.erase("", erasing.changes_of_input(facts))
        gone = await files.remove_unnamed(act.at_ms)
    came_in = next((event.stream for event in told if isinstance(event, QuarantineReplayed)), "")
    return ErasedInput(quarantine=act.quarantine, position=position, units=len(redacted), files=gone, came_in=came_in)


def _not_an_accounts(row: dict[str, Any] | None, quarantine: str) -> Refusal:
    if row is None:
        return Refusal(Code.NOT_FOUND, "there is no such quarantined input", ref=quarantine)
    return Refusal(Code.NOT_ALLOWED_NOW, f"it is kept for {row['stream']}: erase that customer", ref=quarantine)
