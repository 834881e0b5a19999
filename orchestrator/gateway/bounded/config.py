"""The configuration: what both protocols go by, and what all connections have together."""

from collections.abc import Callable
from typing import Any

import uvicorn

from orchestrator.gateway.bounded.strangers import Strangers
from orchestrator.gateway.bounded.unread import Unread
from protocol.errors import Code

BODY_WITHIN_S = 10.0
"""Time for a request's body, beside that of the longest one at `BODY_BYTES_S_MIN`. Whoever takes longer holds a
connection that others want, and a vendor's webhook needs no token to be begun."""
BODY_BYTES_S_MIN = 16 * 1024
"""What a slow mobile line sends."""
FRAMING_FACTOR = 2
"""A request's bytes over its body's: chunks of six bytes or more fit, and so do trailers that anyone sends."""


class BoundedConfig(uvicorn.Config):
    """uvicorn's configuration with our bounds, which its protocols find here."""

    def __init__(
        self,
        app: Any,
        *,
        header_bytes_max: int,
        body_bytes_max: int,
        connections_max: int,
        strangers: Strangers,
        refused: Callable[[Code], None],
        broke: Callable[[Exception], None],
        **options: Any,
    ) -> None:
        super().__init__(app, **options)
        self.header_bytes_max = header_bytes_max
        self.request_bytes_max = header_bytes_max + FRAMING_FACTOR * body_bytes_max
        self.body_within_s = BODY_WITHIN_S + body_bytes_max / BODY_BYTES_S_MIN
        self.connections_max = connections_max
        self.refused = refused
        self.broke = broke
        self.strangers = strangers
        self.unread = Unread()
        self.unproven_bytes = 0
        """What `UNPROVEN_BYTES_MAX` bounds, now."""
