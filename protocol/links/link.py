"""Link: what every message between actors is."""

from msgspec import Struct


class Link(Struct, array_like=True, frozen=True, tag_field="t", gc=False):
    """Base of every message between actors."""
