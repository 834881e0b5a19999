"""Meant settings: what an unknown name in a settings file was to be: a mistyped one, or one of another section."""

import re
import types
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Union, get_args, get_origin, get_type_hints

from msgspec import Struct

_UNKNOWN = re.compile(r"unknown field `([^`]*)`")
_WAITS = "did you mean retry_s? Its last wait is repeated until disabled_after_days is over"
_INSTEAD = dict.fromkeys(("webhooks.attempts_max", "webhooks.backoff_s", "webhooks.backoff_max_s"), _WAITS)
"""Names of another section, for which this one has something else: what is like them elsewhere is not meant."""


def meant(fault: str, path: str, whole: type[Struct]) -> str:
    """What to write, for msgspec's complaint about a name that is not there; empty for any other. `path` is the
    section's, without indexes."""
    found = _UNKNOWN.search(fault)
    if found is None:
        return ""
    if instead := _INSTEAD.get(f"{path}.{found[1]}"):
        return instead
    every = set(_names(whole, ""))
    here = {name.rpartition(".")[2] for name in every if name.rpartition(".")[0] == path}
    if near := get_close_matches(found[1], here, 1):
        return f"did you mean {near[0]}?"
    if elsewhere := sorted(name for name in every if name.rpartition(".")[2] == found[1]):
        section = elsewhere[0].rpartition(".")[0]
        return (
            f"did you mean {elsewhere[0]}? It stands under [{section}]" if section else "it stands above all sections"
        )
    return f"known are {', '.join(sorted(here))}"


def _names(hint: Any, path: str) -> Iterator[str]:
    """`http`, `http.port`, `accounts.name` …: of lists and unions, all their members'."""
    if get_origin(hint) in (list, Union, types.UnionType):
        for each in get_args(hint):
            yield from _names(each, path)
    elif isinstance(hint, type) and issubclass(hint, Struct):
        for name, inner in get_type_hints(hint).items():
            below = f"{path}.{name}" if path else name
            yield below
            yield from _names(inner, below)
