"""What no type that is decoded may hold, since msgspec 0.22 corrupts memory over it.

In a union of a text with a pattern and a container, `TypeNode_get_traverse_ranges` of its `_core.c` takes the pattern
for the container's type: the collector walks it as one, and frees it as one when the class goes.
"""

import importlib
import types
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from msgspec import Meta, Struct

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("protocol", "actors", "adapters", "orchestrator", "benchmarks", "tests")

Patterned = Annotated[str, Meta(pattern="x")]


class Broken(Struct):
    """As no other may be; it is never decoded."""

    inside: dict[str, Patterned | list[Patterned] | None]


def test_no_text_with_a_pattern_shares_a_union_with_a_container() -> None:
    """None of ours, and the one that is here is seen."""
    _import_all()
    assert [f"{kind.__module__}.{kind.__qualname__}.{field}" for kind, field in _broken()] == [
        f"{__name__}.Broken.inside"
    ]


def _broken() -> Iterator[tuple[type[Struct], str]]:
    for kind in _kinds(Struct):
        if kind.__module__.partition(".")[0] in PACKAGES:
            for field, hint in get_type_hints(kind, include_extras=True).items():
                if any(_mixes(union) for union in _unions(hint)):
                    yield kind, field


def _kinds(base: type[Struct]) -> Iterator[type[Struct]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)


def _unions(hint: Any) -> Iterator[Any]:
    """Every union anywhere in the annotation."""
    if get_origin(hint) in (Union, types.UnionType):
        yield hint
    for inner in get_args(hint):
        yield from _unions(inner)


def _mixes(union: Any) -> bool:
    members = get_args(union)
    patterned = any(
        isinstance(said, Meta) and said.pattern is not None
        for member in members
        for said in getattr(member, "__metadata__", ())
    )
    return patterned and any(_is_container(member) for member in members)


def _is_container(hint: Any) -> bool:
    bare = hint.__origin__ if get_origin(hint) is Annotated else hint
    kind = get_origin(bare) or bare
    return isinstance(kind, type) and issubclass(kind, Collection) and not issubclass(kind, (str, bytes))


def _import_all() -> None:
    """Whatever defines types; test files are there as far as they were collected."""
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            if file.stem not in ("__main__", "conftest") and not file.stem.startswith("test_"):
                parts = file.relative_to(ROOT).with_suffix("").parts
                importlib.import_module(".".join(parts).removesuffix(".__init__"))
