"""Descriptions of the protocol made from its types: JSON Schemas, AsyncAPI 3, and the tables of `docs/protocol.md`.

Nothing here is written down twice: names, types and bounds come from the structs, meanings from their docstrings and
the string below each field. Pure: `orchestrator/documents.py` writes the files.
"""

import ast
import inspect
import re
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any, get_args

import msgspec
from msgspec import inspect as types

from protocol.codec import SUBPROTOCOL_PREFIX
from protocol.commands import AnyCommand
from protocol.entities import CustomerView
from protocol.errors import TABLE, Code, retryable
from protocol.events import AnyEvent
from protocol.frames import AgentFrame, GatewayFrame, ToAgent, ToGateway
from protocol.inbound import AnyData, InboundEvent

DIALECT = "https://json-schema.org/draft/2020-12/schema"
UNIONS: dict[str, Any] = {
    "agent-to-server": AgentFrame,
    "server-to-agent": ToAgent,
    "gateway-to-server": GatewayFrame,
    "server-to-gateway": ToGateway,
    "inbound-event": InboundEvent,
    "journal-event": AnyEvent,
    "command": AnyCommand,
    "customer": CustomerView,
}
"""The schema files, by name."""
MEMBERS: dict[str, Any] = {"AnyData": AnyData, "AnyCommand": AnyCommand, "AnyEvent": AnyEvent}
"""Unions whose members `docs/protocol.md` lists."""

_GENERATED = re.compile(r"(<!-- (errors|fields|members) ?(\w*) -->\n).*?(<!-- end -->)", re.DOTALL)


# JSON Schema


def schemas() -> dict[str, dict[str, Any]]:
    """Returns a JSON Schema (2020-12) for each of `UNIONS`, by file name without its ending."""
    described = {}
    for name, union in UNIONS.items():
        (schema,), components = msgspec.json.schema_components([union], ref_template="#/$defs/{name}")
        _describe_fields(components, union)
        described[name] = {"$schema": DIALECT, "title": name, **schema, "$defs": components}
    return described


def _describe_fields(components: dict[str, Any], union: Any) -> None:
    """Adds to each field's schema what the string below the field says; and a type's docstring is as it reads."""
    structs = {struct.__name__: struct for struct in _structs_of(union)}
    for name, component in components.items():
        if "description" in component:
            # Python keeps the indentation of its lines before 3.13 alone.
            component["description"] = inspect.cleandoc(component["description"])
        for field, meaning in field_docs(structs[name]).items() if name in structs else ():
            if "properties" in component and field in component["properties"]:
                component["properties"][field]["description"] = meaning


def _structs_of(union: Any) -> set[type[msgspec.Struct]]:
    found: set[type[msgspec.Struct]] = set()
    waiting: list[Any] = [types.type_info(union)]
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, types.StructType) and kind.cls not in found:
            found.add(kind.cls)
            waiting += [field.type for field in kind.fields]
        elif isinstance(kind, types.UnionType):
            waiting += kind.types
        elif isinstance(kind, types.ListType):
            waiting.append(kind.item_type)
    return found


# AsyncAPI


def asyncapi() -> dict[str, Any]:
    """Returns the AsyncAPI 3.0 document of both WebSockets. Its point of view is the server's: it receives what clients
    send (https://www.asyncapi.com/docs/reference/specification/v3.0.0)."""
    ends = {"agent": (AgentFrame, ToAgent), "gateway": (GatewayFrame, ToGateway)}
    members = {member for pair in ends.values() for union in pair for member in get_args(union)}
    ordered = sorted(members, key=lambda member: member.__name__)
    _, components = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    _describe_fields(components, AgentFrame | GatewayFrame | ToAgent | ToGateway)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Throughline over WebSocket",
            "version": "1.0.0",
            "description": "A message is one frame or an array of them; docs/protocol.md says how they play together.",
            "license": {"name": "Apache-2.0"},
        },
        "servers": {"local": {"host": "127.0.0.1:7100", "protocol": "ws"}},
        "channels": {name: _channel(name, members) for name, members in ends.items()},
        "operations": {
            operation: value for name, members in ends.items() for operation, value in _operations(name, members)
        },
        "components": {
            "messages": {member.__name__: _message(member) for member in ordered},
            "schemas": components,
        },
    }


def _channel(name: str, unions: tuple[Any, Any]) -> dict[str, Any]:
    members = sorted({m.__name__ for union in unions for m in get_args(union)})
    protocols = " or ".join(f"`{SUBPROTOCOL_PREFIX}{form}`" for form in ("msgpack", "json"))
    return {
        "address": f"/v1/{name}",
        "description": f"Subprotocol {protocols}; the token goes into `hello` or the Authorization header.",
        "messages": {member: {"$ref": f"#/components/messages/{member}"} for member in members},
    }


def _operations(name: str, unions: tuple[Any, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (
            f"{name}.{action}",
            {
                "action": action,
                "channel": {"$ref": f"#/channels/{name}"},
                "messages": [{"$ref": f"#/channels/{name}/messages/{m.__name__}"} for m in get_args(union)],
            },
        )
        for action, union in zip(("receive", "send"), unions, strict=True)
    ]


def _message(member: type[msgspec.Struct]) -> dict[str, Any]:
    return {
        "name": str(member.__struct_config__.tag),
        "summary": _first_paragraph(member),
        "payload": {"$ref": f"#/components/schemas/{member.__name__}"},
    }


# The tables of docs/protocol.md


def fill(text: str) -> str:
    """Returns the page with its generated parts made anew.

    A part lies between `<!-- errors -->`, `<!-- fields Struct -->` or `<!-- members Union -->` and `<!-- end -->`.
    """
    return _GENERATED.sub(lambda match: f"{match[1]}{_part(match[2], match[3])}{match[4]}", text)


def _part(kind: str, name: str) -> str:
    if kind == "errors":
        return _errors()
    return _fields(_structs()[name]) if kind == "fields" else _members(MEMBERS[name])


def _errors() -> str:
    rows = [
        (
            str(int(code)),
            f"`{code.name}`",
            str(TABLE[code].http_status),
            "yes" if retryable(code) else "no",
            TABLE[code].meaning,
        )
        for code in Code
    ]
    return _table(("code", "name", "HTTP", "again?", "meaning"), rows)


def _fields(struct: type[msgspec.Struct]) -> str:
    meanings = field_docs(struct)
    rows = [
        (f"`{field.name}`", _kind(field.type), _default(field), meanings.get(field.name, ""))
        for field in _info(struct).fields
    ]
    return _table(("field", "type", "default", "meaning"), rows) if rows else "No fields.\n"


def _members(union: Any) -> str:
    rows = []
    for member in get_args(union):
        info = _info(member)
        own = [f for f in info.fields if f.name not in ("at_ms", "actor", "once", "policy")]
        fields = ", ".join(map(_of_member, own))
        rows.append((f"`{info.tag}`", fields, _first_paragraph(member)))
    (tag,) = {_info(member).tag_field for member in get_args(union)}
    return _table((f"`{tag}`", "fields (`?`: may be left out), strings where no type is named", "meaning"), rows)


def _of_member(field: types.Field) -> str:
    # Most are strings: named each time, they would hide the others.
    kind = "" if isinstance(field.type, types.StrType) else f" {_kind(field.type)}"
    return f"`{field.name}`{'' if field.required else '?'}{kind}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _kind(kind: types.Type) -> str:
    match kind:
        case types.StructType(cls=cls):
            return f"`{cls.__name__}`"
        case types.UnionType(types=kinds):
            names = [_kind(inner) for inner in kinds]
            return next((name for name, union in MEMBERS.items() if set(get_args(union)) == _classes(kinds)), "") or (
                " or ".join(names)
            )
        case types.ListType(item_type=inner) | types.VarTupleType(item_type=inner):
            return f"list of {_kind(inner)}"
        case types.TupleType(item_types=kinds):
            return f"list ({', '.join(map(_kind, kinds))})"
        case types.DictType(value_type=inner):
            return f"object of {_kind(inner)}"
        case types.EnumType(cls=enum):
            return ", ".join(f"`{member.value}`" for member in enum)
        case _:
            return _PLAIN[type(kind)]


_PLAIN: dict[type[types.Type], str] = {
    types.StrType: "string",
    types.IntType: "integer",
    types.FloatType: "number",
    types.BoolType: "boolean",
    types.BytesType: "bytes",
    types.NoneType: "null",
    types.AnyType: "anything",
}


def _classes(kinds: tuple[types.Type, ...]) -> set[type]:
    return {kind.cls for kind in kinds if isinstance(kind, types.StructType)}


def _default(field: types.Field) -> str:
    if field.required:
        return ""
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return f"`{msgspec.json.encode(value).decode()}`"


def _info(struct: type[msgspec.Struct]) -> types.StructType:
    info = types.type_info(struct)
    assert isinstance(info, types.StructType)
    return info


@cache
def _structs() -> dict[str, type[msgspec.Struct]]:
    return {struct.__name__: struct for union in UNIONS.values() for struct in _structs_of(union)}


def _first_paragraph(struct: type) -> str:
    return " ".join((inspect.getdoc(struct) or "").partition("\n\n")[0].split())


def field_docs(struct: type) -> dict[str, str]:
    """Returns what the strings below a struct's fields say, its bases' included."""
    docs: dict[str, str] = {}
    for cls in reversed(struct.__mro__):
        if cls.__module__.startswith("protocol."):
            docs |= _docs_of_module(cls.__module__).get(cls.__name__, {})
    return docs


@cache
def _docs_of_module(module: str) -> dict[str, dict[str, str]]:
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: _docs_of_class(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _docs_of_class(node: ast.ClassDef) -> dict[str, str]:
    docs = {}
    for field, below in zip(node.body, node.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                docs[name] = " ".join(text.split())
            case _:
                pass
    return docs
