"""Anything: values that a type allows, drawn from a seed, most of them nonsense and some of them meant.

What decodes has passed the edge: from there on no value may end a part of the server, since whoever sent it would send
it again to the next life, and that one would end as well.
"""

import typing
from random import Random
from typing import Any

from msgspec import inspect

STRINGS = (
    "", " ", "x", "0", "-1", "true", "*", ".", "-", "-1", "a-b-c", "a.b", "{}", "{{ 1 }}", "__proto__", "'; DROP TABLE",
    "\x00", "\n", "e\u0301", "\U0001f600", "\u202e", "ä" * 300, "word " * 900,
)  # fmt: skip
"""Texts that mean something to a parser, a pattern, a path or a table somewhere."""
NUMBERS = (0, 1, -1, 2, 100, 101, 2**31, 2**53 - 1, 1 - 2**53)
FLOATS = (0.0, -0.0, 0.5, 1e308, -1.5)
OPEN: tuple[object, ...] = (None, True, 1, 1.5, "x", [], [1, [None]], {}, {"a": {"b": "c"}}, {"": 0})
"""Where any JSON may stand."""
MEANT = 0.7
"""How often a text that has a list of its own, or a number that counts something, is one that may mean something."""


class Anything:
    """Draws values. `meant` lists, by a field's name, texts that exist; `strings` are texts that do, of any kind."""

    def __init__(self, random: Random, *, meant: dict[str, list[str]], strings: list[str]) -> None:
        self._random = random
        self._meant = meant
        self._strings = strings

    def one_of(self, union: Any) -> Any:
        """A value of a member of the union; each is as likely."""
        return self.of(self._random.choice(typing.get_args(union)))

    def of(self, type: Any) -> Any:
        """A value of the type."""
        return self._value(inspect.type_info(type), "")

    def string(self, field: str = "") -> str:
        """A text for a field of that name."""
        if (meant := self._meant.get(field)) and self._random.random() < MEANT:
            return self._random.choice(meant)
        return self._random.choice(self._strings if self._strings and self._random.random() < 0.5 else STRINGS)

    def _value(self, of: inspect.Type, field: str) -> Any:
        choose = self._random.choice
        match of:
            case inspect.StrType():
                return self.string(field)
            case inspect.IntType():
                return self._random.randrange(5) if self._random.random() < MEANT else choose(NUMBERS)
            case inspect.FloatType():
                return choose(FLOATS)
            case inspect.BoolType():
                return choose((False, True))
            case inspect.NoneType():
                return None
            case inspect.AnyType():
                return choose(OPEN)
            case inspect.UnionType(types=types):
                return self._value(choose(types), field)
            case inspect.EnumType(cls=enum):
                return choose(list(enum))
            case inspect.LiteralType(values=values):
                return choose(values)
            case inspect.ListType(item_type=item):
                return [self._value(item, field) for _ in range(self._random.randrange(4))]
            case inspect.DictType(key_type=key, value_type=value):
                return {self._value(key, "key"): self._value(value, "value") for _ in range(self._random.randrange(4))}
            case inspect.StructType(cls=struct, fields=fields):
                # A tag is no field; what is required always stands, the rest now and then.
                given = [each for each in fields if each.required or self._random.random() < 0.4]
                return struct(**{each.name: self._value(each.type, each.name) for each in given})
            case _:
                raise AssertionError(f"nothing is drawn for {of}")
