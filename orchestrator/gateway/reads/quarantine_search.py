"""Finding refused input by what is in it: words, or an address. For who has to find what a person has said to us.

Input without an identity leads to nobody, and so no erasure finds it but by an address that stands in its words. Looked
into is what came, in whatever coding, what it was edited to, and what the refusal says of it.
"""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

from litestar import get
from litestar.params import QueryParameter
from msgspec import Struct

from adapters.attachments import AttachmentStore
from adapters.naming import ADDRESS_MIN, Naming, Wording
from adapters.stores.archive.quarantine import LATEST_MS, InputsWanted
from adapters.stores.archive.traces import whole
from orchestrator.gateway.http.access import needs
from orchestrator.gateway.reads.reads import LARGEST, Limit, spellings_in, with_plus
from orchestrator.gateway.services import HttpRequest, Services, services_of
from protocol.errors import Code, Refusal
from protocol.identities import value_of

LOOKED_BYTES_MAX = 512 * 1024
"""Of input in one request, but one whole one at least: a thread beside the sockets' has it for up to half a second."""
INPUT_BYTES_MAX = 1024 * 1024
"""A larger one, a mail in a file, is told, and not looked into: it would be in the others' way for seconds."""
ROWS = 100
"""Read at a time."""
WORDS_MIN, WORDS_MAX = 3, 256

_OPERATORS = needs()


class Found(Struct, kw_only=True, frozen=True):
    """One page of a search."""

    found: list[dict[str, Any]]
    """Inputs without their bytes, the newest first, as `GET /v1/quarantine` has them."""
    too_large: list[str]
    """Ids of those that were not looked into: over 1 MiB, in a file."""
    next: str
    """`before` of the next page; empty: all that there is was looked at."""


@get("/v1/quarantine/search", needs=_OPERATORS, tags=["quarantine"])
async def get_quarantine_search(
    request: HttpRequest,
    text: Annotated[str, QueryParameter(description="Words that stand in it in a row, in whatever case.")] = "",
    address: Annotated[str, QueryParameter(description="kind:value, in whatever spelling it stands there.")] = "",
    account: Annotated[str, QueryParameter(description="Only this channel account's.")] = "",
    since_ms: Annotated[int, QueryParameter(ge=0, le=LARGEST, description="Refused then or later.")] = 0,
    until_ms: Annotated[int, QueryParameter(ge=0, le=LARGEST, description="Refused then or earlier.")] = 0,
    limit: Limit = 100,
    before: Annotated[str, QueryParameter(description="`next` of the page before.")] = "",
) -> Found:
    """Quarantined inputs in which these words, or this address, stand; whatever coding they came in. A page is of so
    much input as is looked into in about half a second, and may have found nothing: go on while there is a `next`."""
    here = services_of(request)
    looked_for = _looked_for(here, text, address)
    wanted = InputsWanted(account=account, since_ms=since_ms, until_ms=until_ms or LATEST_MS)
    return await _search(here, looked_for, wanted, limit, _place(before))


async def _search(
    here: Services, looked_for: list[Naming | Wording], wanted: InputsWanted, limit: int, before: tuple[int, str] | None
) -> Found:
    found: list[dict[str, Any]] = []
    too_large: list[str] = []
    looked_bytes, at = 0, before
    while rows := await here.counting.quarantine(wanted, limit=ROWS, before=at):
        for listed in rows:
            at = (int(listed["at_ms"]), str(listed["quarantine"]))
            row = await here.counting.quarantined(at[1])
            if row is None:
                continue  # Retention took it meanwhile.
            try:
                raw = await asyncio.to_thread(_raw, row, here.attachments)
            except Refusal:
                too_large.append(at[1])
                continue
            looked_bytes += len(raw)
            if await asyncio.to_thread(_has_all, looked_for, row, raw):
                found.append(dict(listed))
            if looked_bytes >= LOOKED_BYTES_MAX or len(found) >= limit:
                return Found(found=found, too_large=too_large, next=f"{at[0]},{at[1]}")
    return Found(found=found, too_large=too_large, next="")


def _looked_for(here: Services, text: str, address: str) -> list[Naming | Wording]:
    looked_for: list[Naming | Wording] = []
    if text:
        if not WORDS_MIN <= len(text) <= WORDS_MAX:
            raise Refusal(Code.INVALID, f"text has {WORDS_MIN} to {WORDS_MAX} characters", field="text")
        looked_for.append(Wording(text))
    if address:
        spellings, unknown = spellings_in(here, with_plus(address))
        if not spellings:
            raise Refusal(unknown.code, unknown.message, field="address")
        if len(value_of(spellings[0])) < ADDRESS_MIN:
            words = f"an address has at least {ADDRESS_MIN} characters here: a shorter one is in too many by chance"
            raise Refusal(Code.INVALID, words, field="address")
        looked_for.append(Naming(spellings, region=here.intake.region))
    if not looked_for:
        raise Refusal(Code.INVALID, "say what to look for: text or address", field="text")
    return looked_for


def _raw(row: Mapping[str, Any], attachments: AttachmentStore) -> bytes:
    """What came, also where that lies in a file. Raises `Refusal` where it is too large."""

    def file(name: str) -> bytes:
        try:
            size = attachments.size(name)
        except Refusal:
            return b""  # The file is gone.
        if size > INPUT_BYTES_MAX:
            raise Refusal(Code.TOO_LARGE, "it is not looked into", ref=name)
        return attachments.read(name)

    return whole(bytes(row["raw"]), file)


def _has_all(looked_for: list[Naming | Wording], row: Mapping[str, Any], raw: bytes) -> bool:
    told = " ".join(str(row[name]) for name in ("source", "id", "reason", "refused_reason") if row.get(name))
    edited = bytes(row.get("edited") or b"")
    return all(each.is_in_text(told) or each.is_in(raw) or (edited and each.is_in(edited)) for each in looked_for)


def _place(before: str) -> tuple[int, str] | None:
    at_ms, _, quarantine = before.partition(",")
    if before and not (at_ms.isascii() and at_ms.isdigit() and len(at_ms) <= 16 and quarantine):
        raise Refusal(Code.INVALID, "before is the `next` of a page", field="before")
    return (int(at_ms), quarantine) if before else None


ROUTES: list[Any] = [get_quarantine_search]
"""What `http.py` serves from here."""
