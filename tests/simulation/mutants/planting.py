"""Planting: how a mutant is written down, and how it is in force for a while."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

Plant = Callable[[Any, str, Any], None]
"""Replaces the attribute of a class or module."""
POOLED = ("pooled",)
EITHER = ("pooled", "dedicated")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault."""

    name: str
    fault: str
    """What is wrong while it is planted."""
    plant: Callable[[Plant], None]
    placements: tuple[str, ...] = POOLED
    """Those it is hunted under."""


MUTANTS: dict[str, Mutant] = {}
"""All of them, by name."""


def mutant(plant: Callable[[Plant], None]) -> Callable[[Plant], None]:
    """Writes a mutant down: the function's name is its name, the docstring is its fault."""
    return _written_down(plant, POOLED)


def mutant_of_either(plant: Callable[[Plant], None]) -> Callable[[Plant], None]:
    """Writes down one of what the placements do by ways of their own: whose fence holds, who starts and leaves when,
    and what is loaded then. It is hunted under both."""
    return _written_down(plant, EITHER)


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The fault is in force."""
    with ExitStack() as stack:

        def replace(owner: Any, attribute: str, replacement: Any) -> None:
            stack.enter_context(patch.object(owner, attribute, replacement))

        MUTANTS[name].plant(replace)
        yield


def _written_down(plant: Callable[[Plant], None], placements: tuple[str, ...]) -> Callable[[Plant], None]:
    assert plant.__doc__
    MUTANTS[plant.__name__] = Mutant(plant.__name__, " ".join(plant.__doc__.split()), plant, placements)
    return plant
