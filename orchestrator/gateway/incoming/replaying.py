"""Taking a quarantined input in after all: as it was kept, as somebody edited it, or as the event of somebody else.

    what is in the archive → the form it is to have → begun (journaled) → the intake → in (journaled), or refused

Should the server end in between, the next replay finds what was begun, sends the same form again, whose once-key the
customer's cell knows, and goes on from there: so an input comes in once, whatever else it is edited to meanwhile.
"""

import asyncio
from typing import Any

import msgspec
from msgspec import Struct

from actors.rules.policy import identity_kind
from orchestrator.following import reach
from orchestrator.gateway.incoming.quarantine import again, check_places, edited
from orchestrator.gateway.reads.gone import check_kept
from orchestrator.gateway.reads.reads import spellings_in
from orchestrator.gateway.services import Services
from orchestrator.settings import Account
from orchestrator.way_in.once_keys import digest_of, once_key
from protocol.commands import BeginReplay, EndReplay, MarkReplayed
from protocol.commands.quarantine import form_of
from protocol.errors import Code, Refusal
from protocol.events import Once
from protocol.identities import kind_of
from protocol.inbound import InboundEvent
from protocol.links import Answered, Replay

AT_LEAST_WITHIN_S = 5.0
"""How long a replay waits for the archive to show what was done to the input before."""


class ReplayRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What is changed of the input before it comes in; empty: nothing."""

    event: dict[str, Any] | None = None
    """The event in the place of the one that was kept: a CloudEvent, or in the form that `show` has of server-written
    ones. It names the same account."""
    identities: list[str] = []
    """Whose it is, where the event does not say, or says it wrongly: `kind:value`."""
    customer: str = ""
    """The same by the customer's id: one of their identities is taken, of the channel's kind where there is one; or by
    an address of theirs, which is."""


class _Form(Struct, frozen=True):
    """The event as it is to come in. `raw` is what is journaled of it: empty for what was kept, unchanged."""

    event: InboundEvent
    raw: bytes
    said_by: str
    own: Once | None = None
    """The once-key of the event as it was kept, where this makes it somebody else's."""


async def replay(here: Services, quarantine: str, asked: ReplayRequest, actor: str) -> Answered:
    """Takes it in, once. Raises `Refusal`, also where it was replayed before; after a retryable one the same may be
    asked again."""
    # What was done to it before decides what may be done now.
    await reach(here.archive, await here.identities.position(), within_s=AT_LEAST_WITHIN_S)
    row = await quarantined(here, quarantine)
    if row["replayed_at_ms"]:
        raise _refused_now(f"this input was replayed before{_where(row)}", quarantine)
    if not row["raw"]:
        raise _refused_now("this input was erased: there is nothing to take in", quarantine)
    account = here.accounts.get(row["account"])
    if account is None:
        text = f"the account {row['account']!r}, by which this input came, is configured no more: add it, then replay"
        raise Refusal(Code.UNKNOWN_ACCOUNT, text, ref=quarantine)
    changed = bool(asked.event is not None or asked.identities or asked.customer)
    if row.get("replaying_at_ms"):
        form = await _begun(here, row, account, actor)
        answered = await _go_on(here, row, form, actor, give_up=changed) if form else None
        if answered is not None and changed:
            text = f"it came in as it was before this edit, into {answered.stream}: a replay of it had begun"
            raise _refused_now(text, quarantine)
        if answered is not None:
            return answered
    form = await _wanted(here, row, account, asked, actor)
    begin = BeginReplay(quarantine=quarantine, raw=form.raw, input=_packed(form.own))
    await here.intake.command(actor=actor, id=here.new_id(), command=begin, customer=row["stream"])
    answered = await _go_on(here, row, form, actor)
    assert answered is not None
    return answered


async def quarantined(here: Services, quarantine: str) -> dict[str, Any]:
    """The input's row, whole. Raises `Refusal`."""
    row = await here.archive.quarantined(quarantine)
    if row is None:
        await check_kept(here.archive, "quarantine", quarantine)
        raise Refusal(Code.NOT_FOUND, "there is no such quarantined input", ref=quarantine)
    return dict(row)


async def readable(here: Services, row: dict[str, Any]) -> InboundEvent | None:
    """The event that the row holds, as a replay would read it now; None where it cannot be read."""
    account = here.accounts.get(row["account"])
    if account is None:
        return None
    try:
        return await asyncio.to_thread(again, row, account, here.attachments)
    except Refusal:
        return None


async def _go_on(
    here: Services, row: dict[str, Any], form: _Form, actor: str, *, give_up: bool = False
) -> Answered | None:
    """Sends what was begun, and writes down what became of it. A refusal is raised; with `give_up` it is None."""
    quarantine = row["quarantine"]
    come = Replay(quarantine, int(row["received_ms"]), form.said_by)
    try:
        answered = await here.intake.submit(form.event, replay=come)
    except Refusal as refusal:
        if not refusal.retryable:
            await _end(here, row, form.raw, refusal, actor)
            if give_up:
                return None
        raise
    mark = MarkReplayed(quarantine=quarantine, stream=answered.stream, seq=answered.seq)
    # Should the server die here, the next replay finds the event's own once-key and gets as far as this again.
    marked = await here.intake.command(actor=actor, id=f"replay:{quarantine}", command=mark, customer=row["stream"])
    # Whoever reads from there on sees both, the event and the mark.
    return msgspec.structs.replace(answered, position=max(answered.position, marked.position))


async def _end(here: Services, row: dict[str, Any], raw: bytes, refusal: Refusal, actor: str) -> None:
    """Ends the form that was begun with `raw`. Raises `Refusal` where somebody else ended it, and began another."""
    ended = EndReplay(
        quarantine=row["quarantine"],
        code=int(refusal.code),
        reason=refusal.message,
        field=refusal.field,
        form=form_of(raw),
    )
    await here.intake.command(actor=actor, id=here.new_id(), command=ended, customer=row["stream"])


async def _begun(here: Services, row: dict[str, Any], account: Account, actor: str) -> _Form | None:
    """The form that a replay had begun with; None where that cannot even be read, so that it cannot have come in."""
    raw = bytes(row.get("edited") or b"")
    try:
        event = edited(row, raw, account) if raw else await asyncio.to_thread(again, row, account, here.attachments)
    except Refusal as refusal:
        if refusal.retryable:
            raise
        await _end(here, row, raw, refusal, actor)
        return None
    return _Form(event, raw, _sayer(await readable(here, row), event, actor) if raw else "")


async def _wanted(here: Services, row: dict[str, Any], account: Account, asked: ReplayRequest, actor: str) -> _Form:
    """The form that is asked for."""
    if asked.event is not None:
        event = edited(row, msgspec.json.encode(asked.event), account)
        check_places(asked.event)
    else:
        event = await asyncio.to_thread(again, row, account, here.attachments)
    identities = await _identities(here, asked, event.channel)
    if asked.event is None and not identities:
        return _Form(event, b"", "")
    if identities:
        event = msgspec.structs.replace(event, identities=identities)
    kept = await readable(here, row)
    own = None
    if kept is not None and kept.identities != event.identities:
        own = Once(once_key(kept.account, kept.source, kept.id), digest_of(kept.data))
    return _Form(event, msgspec.json.encode(event), _sayer(kept, event, actor), own)


def _packed(own: Once | None) -> bytes:
    return b"" if own is None else msgspec.msgpack.encode(own)


async def _identities(here: Services, asked: ReplayRequest, channel: str) -> list[str]:
    if asked.identities and asked.customer:
        raise Refusal(Code.INVALID, "give identities or a customer, not both", field="customer")
    if not asked.customer:
        return asked.identities
    customer = asked.customer
    if ":" in customer:
        spellings, unknown = spellings_in(here, customer)
        owners = await here.identities.customers_of(spellings)
        found = next((each for each in spellings if each in owners), None)
        if found is None:
            raise Refusal(unknown.code, unknown.message, field="customer")
        if _may_come(here, found):
            # After an unmerge it goes with the address that was said, and not with another one's of the two.
            return [found]
        customer = owners[found]
    journey = await here.history.journey(customer, limit=0)
    known = [str(row["identity"]) for row in journey["identities"]] if journey else []
    if not known:
        raise Refusal(Code.NOT_FOUND, f"there is no customer {asked.customer[:64]!r} with an address", field="customer")
    kind = identity_kind(channel)
    return [next((identity for identity in reversed(known) if kind_of(identity) == kind), known[-1])]


def _may_come(here: Services, identity: str) -> bool:
    """Whether an event can have it: not what an earlier program spelled otherwise, or let in."""
    try:
        return here.intake.spelled(identity) == identity
    except Refusal:
        return False


def _sayer(kept: InboundEvent | None, event: InboundEvent, actor: str) -> str:
    """Who vouches for the event's identities: whoever edits them, else, with an empty name, the event itself."""
    return "" if kept is not None and kept.identities == event.identities else actor


def _where(row: dict[str, Any]) -> str:
    return f", into {row['replayed_stream']}" if row.get("replayed_stream") else ""


def _refused_now(message: str, quarantine: str) -> Refusal:
    return Refusal(Code.NOT_ALLOWED_NOW, message, ref=quarantine)
