"""Expressions: what business owners write where a list of words is not enough, in CEL.

    text.contains("claim") && channel == "email"

The Common Expression Language (https://cel.dev) has no loops and no side effects, so an expression ends and is pure. It
is read once, when the policy is; what it may name is said then, and a wrong name is an error there, not at the first
customer who needs it.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from actors.cel_library import cel

EXPRESSION_MAX = 2_000
"""Characters of one expression: more is a program, and nobody can check it at a glance."""
FUNCTIONS = frozenset(
    [
        "size",
        "contains",
        "startsWith",
        "endsWith",
        "matches",
        "string",
        "int",
        "uint",
        "double",
        "bytes",
        "type",
        "timestamp",
        "duration",
        "getFullYear",
        "getMonth",
        "getDate",
        "getDayOfWeek",
        "getHours",
        "getMinutes",
        "getSeconds",
    ]
)
"""What the library carries out. Letters' case: `text.matches("(?i)claim")`."""

_BOUND = re.compile(r"\.(?:all|exists|exists_one|map|filter)\(\s*([A-Za-z_]\w*)\s*,")
"""Names that a macro binds for itself: `labels.exists(label, label == "vip")`."""


class ExpressionError(ValueError):
    """An expression cannot be read, or names what is not there; says what and where."""


def _unread(said: str) -> str:
    """The reader's complaint, without what it expected in its own terms: where it stopped, and at what."""
    found = _STOPPED.search(said)
    if found is None:
        return f"the rule cannot be read: {said.splitlines()[0] if said else 'nobody says why'}"
    column, at = found.groups()
    what = "it ends too early" if at == "<EOF>" else f"{at!r} does not belong there"
    return f"the rule cannot be read from its character {column} on: {what}; look at quotes, brackets and signs"


_STOPPED = re.compile(r"<input>:\d+:(\d+): Syntax error: (?:mismatched|extraneous) input '(.*?)' expecting")


class Expression:
    """One expression, read. `names` are those it may use."""

    def __init__(self, source: str, names: Iterable[str]) -> None:
        """Raises `ExpressionError`."""
        if len(source) > EXPRESSION_MAX:
            raise ExpressionError(f"the expression has {len(source)} characters; at most {EXPRESSION_MAX} are read")
        try:
            self._program = cel.compile(source)
        except ValueError as exc:
            raise ExpressionError(_unread(str(exc))) from exc
        known = set(names)
        if unknown := sorted(set(self._program.variables()) - known - set(_BOUND.findall(source))):
            raise ExpressionError(f"there is no {unknown[0]!r} here; there are {', '.join(sorted(known))}")
        functions = {name for name in self._program.functions() if name.isidentifier() and not name.startswith("_")}
        if unknown := sorted(functions - FUNCTIONS):
            raise ExpressionError(f"there is no function {unknown[0]}(); there are {', '.join(sorted(FUNCTIONS))}")
        self.source = source

    def value(self, given: Mapping[str, Any]) -> Any:
        """What it comes to; None where it fails on this input: a missing key, a list that is too
        short, another kind of value."""
        try:
            return self._program.execute(dict(given))
        except (RuntimeError, TypeError, ValueError, ArithmeticError, LookupError):
            return None

    def holds(self, given: Mapping[str, Any]) -> bool:
        """Whether it comes to true; a failing one does not hold."""
        return self.value(given) is True
