"""Erasing a customer: personal data gone, statistics kept, the act itself recorded. On a stopped server's files.

    what names them is found → the journal's units are redacted and their addresses freed, in one transaction, and with
                               these what came from them, so that nothing of it comes in again
        → the act is committed → the archive has their rows anew → files that nothing names any more are removed

With the server stopped nobody has the person in memory, and nothing of them is decided meanwhile. Each step may be
repeated: whoever was interrupted erases again, and finds what is left to do.
"""

from collections.abc import Callable, Collection
from contextlib import AsyncExitStack, suppress

from msgspec import Struct

from actors.erasure import erasing
from orchestrator.erasure.files import Files
from orchestrator.settings import Settings
from orchestrator.storage import SqliteStorage
from protocol.errors import Code, Refusal
from protocol.identities import again, former_spellings
from protocol.ids import ACCOUNT


class Act(Struct, kw_only=True, frozen=True):
    """Who is forgotten, and by whom, why and when."""

    customer: str
    actor: str
    reason: str
    at_ms: int


class Erased(Struct, kw_only=True, frozen=True):
    """What was done."""

    customer: str
    position: int
    """Where the journal has the act; 0: it had it before, and what was left of it is done now."""
    units: int
    """Of the journal, redacted."""
    mentions: int
    """Events of others that named them, among those."""
    files: int
    """Removed: theirs, and whatever else nothing named any more."""
    inputs: list[str]
    """Of accounts, that were refused and have an address of theirs in them: emptied, by their ids in quarantine."""


class Survey(Struct, kw_only=True, frozen=True):
    """What an erasure would find."""

    customer: str
    identities: list[str]
    conversations: int
    mentions: int
    inputs: list[str]
    refused: str
    """Why it would be refused now; empty: it would not."""


async def customer_meant(settings: Settings, who: str) -> str:
    """The id of the customer who is to be forgotten: `who` is it, or one of their addresses. The caller has locked the
    data folder. Raises `Refusal`, and what a store raises."""
    if ":" not in who or who.startswith(ACCOUNT):
        return who
    asked, unknown = _spellings(who, settings.region)
    stores = SqliteStorage(settings)
    async with AsyncExitStack() as stack:
        journal, reader = stores.journal(), stores.journal_reader()
        stack.push_async_callback(journal.close)
        await journal.open()
        stack.push_async_callback(stores.close_readers)
        await stores.open_readers()
        owners = await reader.customers_of(asked)
    found = next((owners[each] for each in asked if each in owners), "")
    if not found:
        raise unknown
    return found


def _spellings(who: str, region: str) -> tuple[list[str], Refusal]:
    """How an address may be known, as it is spelled now first, and what to say where nobody has it."""
    former = former_spellings(who)
    try:
        identity = again(who, region=region)
    except Refusal as refusal:
        return former, refusal
    text = f"no customer has the address {identity}; an erasure that was interrupted goes on by the customer's id"
    return [identity, *former], Refusal(Code.NOT_FOUND, text)


async def survey(settings: Settings, customer: str) -> Survey:
    """What an erasure would find, and nothing of theirs is changed; the data folder is locked by the caller.

    Raises `Refusal` (`NOT_FOUND`; `NOT_ALLOWED_NOW` where it is merged with others), and what a store raises.
    """
    async with AsyncExitStack() as stack:
        files = Files(settings)
        await files.open(stack)
        find = await files.find(customer)
    refused = ""
    try:
        erasing.decide(find.journey, "", "", 0, find.on_their_way)
    except Refusal as refusal:
        refused = refusal.message
    return Survey(
        customer=customer,
        identities=sorted(find.names),
        conversations=len(find.streams) - 1,
        mentions=len(find.mentions),
        inputs=find.inputs,
        refused=refused,
    )


async def erase(settings: Settings, act: Act, on_progress: Callable[[int, int], None]) -> Erased:
    """Erases; the data folder is locked by the caller. `on_progress` gets (position, head) of the journal.

    Raises `Refusal` (`NOT_FOUND`, `NOT_ALLOWED_NOW`), and what a store raises.
    """
    async with AsyncExitStack() as stack:
        files = Files(settings)
        await files.open(stack)
        find = await files.find(act.customer)
        facts = []
        if not find.erased:
            facts = erasing.decide(find.journey, act.actor, act.reason, act.at_ms, find.on_their_way)
        redacted = [record async for record in files.redact(find, on_progress)]
        names = find.names | _as_spelled_now(find.names, settings.region)
        freed = erasing.freed(find.journey, names, find.mentions, await files.once_keys_ms(), act.at_ms)
        # Whoever goes on after a power failure finds what there is of them as it was found now: followed anew, the
        # journal would not say any more whose an address is that they had back from another.
        await files.archive.sync()
        await files.journal.erase(act.customer, redacted, freed)
        position = await files.commit(act.customer, act.at_ms, find.journey, facts) if facts else 0
        await files.follower.catch_up()
        own = await files.known.events_of_customer(act.customer, 0)
        changes = erasing.changes(act.customer, own, find.mentions, find.addresses)
        await files.archive.erase(act.customer, changes)
        gone = await files.remove_unnamed(act.at_ms)
    return Erased(
        customer=act.customer,
        position=position,
        units=len(redacted),
        mentions=len(find.mentions),
        files=gone,
        inputs=find.inputs,
    )


def _as_spelled_now(names: Collection[str], region: str) -> set[str]:
    """How whatever comes by these addresses has them: of a few an earlier program had another spelling."""
    found: set[str] = set()
    for name in names:
        with suppress(Refusal):  # It is no address by now: nothing comes by it any more.
            found.add(again(name, region=region))
    return found
