"""Tables from a fact to who handles it: a type checker sees only that each handler takes something."""

from collections.abc import Callable, Mapping
from typing import Any, get_args, get_type_hints

import pytest

from actors.archive import contents
from actors.state import evolving
from protocol.events import AnyEvent


@pytest.mark.parametrize("table", [evolving._OFTEN, contents._OFTEN], ids=["evolving", "contents"])
def test_each_handler_takes_its_fact(table: Mapping[type[AnyEvent], Callable[..., Any]]) -> None:
    """By what it says of its parameter `event`; what is written in the table itself hands on to one that says so."""
    told = {fact: takes(handler) for fact, handler in table.items()}
    assert {fact.__name__: facts for fact, facts in told.items() if facts and fact not in facts} == {}
    assert sum(map(bool, told.values())) >= len(told) - 1, "of one fact no row is made, which no handler says"


def takes(handler: Callable[..., Any]) -> tuple[Any, ...]:
    """The types of fact that a handler, or whom it hands on to, says it takes; none where it hands on to nobody."""
    if handler.__name__ == "<lambda>":
        named = [handler.__globals__[name] for name in handler.__code__.co_names]
        return takes(named[0]) if named else ()
    said = get_type_hints(handler)["event"]
    return get_args(said) or (said,)
