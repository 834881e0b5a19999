"""Fitting: whether what a test puts in a function's place can be called as that function is.

One that cannot breaks on its own arguments as soon as it is called, or, worse, is called as nobody calls the original,
and the test goes on to pass after the original has changed.
"""

import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any


def check_fits(owner: Any, attribute: str, replacement: Any) -> None:
    """Raises `TypeError` where a function that takes an attribute's place takes other arguments. What is no function,
    or tells nothing of its arguments, is not looked at."""
    # An object's own function is called without it, a class's with it.
    of_many = isinstance(owner, type | ModuleType)
    original = inspect.getattr_static(owner, attribute, None) if of_many else getattr(owner, attribute, None)
    original, replacement = _plain(original), _plain(replacement)
    if not (inspect.isfunction(original) or inspect.ismethod(original)) or not inspect.isfunction(replacement):
        return
    taken = inspect.signature(replacement)
    for placed, named in _calls_of(inspect.signature(original)):
        try:
            taken.bind(*placed, **named)
        except TypeError as exc:
            raise TypeError(f"{attribute}{inspect.signature(original)} is called otherwise: {exc}") from exc


def _plain(function: Any) -> Any:
    return function.__func__ if isinstance(function, staticmethod) else function


def _calls_of(signature: inspect.Signature) -> Iterator[tuple[list[None], dict[str, None]]]:
    """The shortest call and the longest; what has a default is named."""
    parameters = [
        each for each in signature.parameters.values() if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    needed = [each for each in parameters if each.default is each.empty]
    placed: list[None] = [None for each in needed if each.kind is not each.KEYWORD_ONLY]
    for some in (needed, parameters):
        yield placed, {each.name: None for each in some if each.kind is each.KEYWORD_ONLY or each not in needed}
