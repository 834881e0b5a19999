"""Link: what every message between actors is."""

from msgspec import Struct


class Link(Struct, array_like=True, frozen=True, tag_field="t"):
    """Base of every message between actors."""
