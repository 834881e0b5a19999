"""Expressions: what business owners write where a list of words is not enough, in CEL.

    text.contains("claim") && channel == "email"

The Common Expression Language (https://cel.dev) has no side effects, so an expression is pure. By macros such as
`exists` it goes through lists, and through lists in lists: how deep, how often, and how much of each is bounded here,
since a cell does nothing else meanwhile. It is read once, when the policy is; what it may name is said then, and a
wrong name is an error there, not at the first customer who needs it.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from actors.rules.cel_library import cel
from actors.rules.patterns import PROGRAM_MAX, SEARCHED_MAX, SHORTER, program_of

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

LOOPS_MAX = 4
"""Macros that go through a list, in one expression: what each makes the next one goes through."""
LOOPS_DEEP_MAX = 2
"""Of them within each other."""
LISTED_MAX = 256
"""Of a list or an object that a channel gives as much is gone through once, when no more is asked than whether
something is so: a thousandth of a second."""
LISTED_DEEP_MAX = 64
"""So much where that is done for each of as many, or with a pattern, which is read each time, or where `map` or
`filter` make a list, which the library copies for each of its members: with 256 a cell stood still for seconds."""
_SLOW = re.compile(r"\.\s*(?:map|filter|matches)\s*\(")

_MACRO = r"\.\s*(?:all|exists|exists_one|map|filter)\s*\("
_BOUND = re.compile(r"\.(?:all|exists|exists_one|map|filter)\(\s*([A-Za-z_]\w*)\s*,")
"""Names that a macro binds for itself: `labels.exists(label, label == "vip")`."""


class ExpressionError(ValueError):
    """An expression cannot be read, or names what is not there; says what and where."""


def _unread(said: str) -> str:
    """The reader's complaint, without what it expected in its own terms: where it stopped, and at what."""
    found = _STOPPED.search(said)
    if found is None:
        return f"the rule cannot be read: {said.splitlines()[0] if said else 'nobody says why'}"
    column, at, sign = found.groups()
    at = at or sign
    what = "it ends too early" if at == "<EOF>" else f"{at!r} does not belong there"
    return f"the rule cannot be read from its character {column} on: {what}; look at quotes, brackets and signs"


_STOPPED = re.compile(
    r"<input>:\d+:(\d+): Syntax error: (?:(?:mismatched|extraneous) input '(.*?)' expecting|.* at: '(.*?)')"
)


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
        deep, loops = _loops_in(source)
        if deep > LOOPS_DEEP_MAX or loops > LOOPS_MAX:
            raise ExpressionError(
                f"all, exists, exists_one, map and filter may stand here {LOOPS_MAX} times, {LOOPS_DEEP_MAX} within "
                f"each other: this would go through its lists for too long"
            )
        if wrong := _wrong_pattern(source):
            raise ExpressionError(wrong)
        self._listed = _listed(source, deep)
        self.source = source

    def value(self, variables: Mapping[str, Any]) -> Any:
        """What it comes to; None where it fails on this input: a missing key, a list that is too
        short, another kind of value."""
        listed = self._listed
        known = {name: _shortened(each, listed) for name, each in variables.items()} if listed else dict(variables)
        try:
            return self._program.execute(known)
        except (RuntimeError, TypeError, ValueError, ArithmeticError, LookupError):
            return None

    def holds(self, variables: Mapping[str, Any]) -> bool:
        """Whether it comes to true; a failing one does not hold."""
        return self.value(variables) is True


def _loops_in(source: str) -> tuple[int, int]:
    """How deep macros stand within each other, and how many there are."""
    open_at: list[bool] = []
    deepest = count = 0
    for found in _STEPS.finditer(source):
        if found["close"]:
            del open_at[-1:]
        elif found["macro"] or found["open"]:
            open_at.append(bool(found["macro"]))
            count += bool(found["macro"])
            deepest = max(deepest, sum(open_at))
    return deepest, count


def _listed(source: str, deep: int) -> int:
    """How much of each list is gone through; 0: of none."""
    if deep == 0:
        return 0
    return LISTED_DEEP_MAX if deep > 1 or _SLOW.search(source) else LISTED_MAX


def _wrong_pattern(source: str) -> str:
    """What is wrong with the first pattern that `matches` is given and that is none: it would match nothing, and nobody
    would hear of it."""
    for literal in _PATTERNS.findall(source):
        try:
            cel.compile(f"''.matches({literal})").execute({})
        except RuntimeError as exc:
            why = str(exc).removesuffix(_ADVICE).splitlines()[-1].removeprefix("error: ").rstrip(".")
            return f"matches({literal}): this is no pattern: {why}"
    return ""


def shorter(source: str) -> str:
    """What to do with an expression that is `long_to_read`."""
    if _loops_in(source)[0]:
        return "each member of a list is asked by it anew: write a short one there, and in two lists a plain word"
    return SHORTER


def long_to_read(source: str) -> bool:
    """Whether the patterns that `matches` is given are so large that they hold up what they are asked of: an expression
    reads them each time, and one that goes through lists for each of their members."""
    sizes = (program_of(cel.compile(literal).execute({})) for literal in _PATTERNS.findall(source))
    deep, _ = _loops_in(source)
    times: int = LISTED_DEEP_MAX**deep
    return sum(sizes) * times > PROGRAM_MAX


def _shortened(value: Any, listed: int) -> Any:
    """What a channel said, with no more of each list, object and text than is gone through."""
    match value:
        case dict():
            return {key: _shortened(value[key], listed) for key in islice(value, listed)}
        case list() | tuple():
            return [_shortened(each, listed) for each in value[:listed]]
        case str() | bytes():
            return value[:SEARCHED_MAX]
        case _:
            return value


_TEXT = r"""[rRbB]{0,2}(?:\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}(?:[^\\]|\\.)*?'{3}|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
_STEPS = re.compile(rf"{_TEXT}|//[^\n]*|(?P<macro>{_MACRO})|(?P<open>[(\[{{])|(?P<close>[)\]}}])", re.DOTALL)
"""The brackets of an expression that are of no text and no remark."""
_PATTERNS = re.compile(rf"\.\s*matches\s*\(\s*({_TEXT})\s*\)", re.DOTALL)
_ADVICE = " Check function arguments and their types."
