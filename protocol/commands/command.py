"""The base of every command."""

from msgspec import Struct


class Command(Struct, kw_only=True, omit_defaults=True, frozen=True, tag_field="do", gc=False):
    """Base of every command."""
