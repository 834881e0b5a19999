"""Kinds: what form the values of a rule's type have in a file."""

import types
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, Struct

MS = "_ms"
"""Ends the name of a field whose value is a duration; keys are without it."""


def plain(hint: Any) -> Any:
    """A type without `Annotated` and without the None it may be instead."""
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) in (Union, types.UnionType):
        others = [each for each in get_args(hint) if each is not type(None)]
        if len(others) == 1:
            return plain(others[0])
    return hint


def bounded(hint: Any) -> Any:
    """A type without the None it may be instead, with what `Annotated` says of it."""
    others = [each for each in get_args(hint) if each is not type(None)]
    return others[0] if get_origin(hint) in (Union, types.UnionType) and len(others) == 1 else hint


def kind_of(hint: Any) -> str:
    """What form a type's values have in a file."""
    hint = plain(hint)
    origin = get_origin(hint)
    if isinstance(hint, type) and issubclass(hint, Struct):
        return "struct"
    if origin in (dict, Mapping) or hint is dict:
        return "dict"
    if origin in (list, tuple, set, frozenset) or hint in (list, tuple, set, frozenset):
        return "list"
    if origin in (Union, types.UnionType):
        return "union"
    return "scalar"


@cache
def keys_of(struct: type[Struct]) -> Mapping[str, tuple[str, Any]]:
    """Key → field and type, as files write them: `_ms` is left out."""
    hints = get_type_hints(struct, include_extras=True)
    return {name.removesuffix(MS): (name, hints[name]) for name in struct.__struct_fields__}


def is_required(struct: type[Struct], name: str) -> bool:
    """Whether a struct cannot be made without this field."""
    return name in _required(struct)


@cache
def _required(struct: type[Struct]) -> frozenset[str]:
    fields = msgspec.structs.fields(struct)
    return frozenset(each.name for each in fields if each.default is NODEFAULT and each.default_factory is NODEFAULT)


def may_be_none(hint: Any) -> bool:
    """Whether nothing is a value, too."""
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    return hint is type(None) or (get_origin(hint) in (Union, types.UnionType) and type(None) in get_args(hint))
