"""Attachments over HTTP: the files that came with messages, by the hash that the message's `sha256` names.

What a customer sent is hostile until proven otherwise, and the server proves nothing. So a file leaves as bytes to be
saved, whatever its sender called it: shown in the gateway's own origin, an HTML file could act with a reader's rights.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

from litestar import get
from litestar.params import FromPath
from litestar.response import Stream

from orchestrator.gateway.http.access import needs
from orchestrator.gateway.services import HttpRequest, services_of

MEDIA_TYPE = "application/octet-stream"
SAFE = {"Content-Security-Policy": "default-src 'none'; sandbox"}
"""Beside what every answer has (`listener.HEADERS`): not to be kept, and to be taken for nothing but bytes."""


@get("/v1/attachments/{sha256:str}", needs=needs("read", "agent"), media_type=MEDIA_TYPE, tags=["attachments"])
async def get_attachment(request: HttpRequest, sha256: FromPath[str]) -> Stream:
    """One file, as bytes to be saved. `sha256` is 64 digits of lower-case hex, as in a message's `attachments`.

    A large file that the disk damaged breaks off before its end.
    """
    store = services_of(request).attachments
    pieces = store.pieces(sha256)
    # Before anything is answered: what is missing is 404, and a damaged file of one piece is 500.
    first = await asyncio.to_thread(next, pieces, b"")
    headers = {
        **SAFE,
        "ETag": f'"{sha256}"',
        "Content-Disposition": f'attachment; filename="{sha256}"',
        "Content-Length": str(await asyncio.to_thread(store.size, sha256)),
    }
    return Stream(_sent(first, pieces), headers=headers, media_type=MEDIA_TYPE)


async def _sent(first: bytes, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    piece = first
    while piece:
        yield piece
        piece = await asyncio.to_thread(next, pieces, b"")


ROUTES: list[Any] = [get_attachment]
"""What `http.py` serves from here."""
