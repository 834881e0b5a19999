"""The protocol's documents say what is so: generated ones are current, and every example is a frame that is said."""

import inspect
import json
import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from orchestrator.documents import documents
from orchestrator.gateway.operations import identity_reviews, operations, reports
from orchestrator.gateway.reads import feed, history, reads
from orchestrator.settings import Limits
from orchestrator.way_in.event_checks import CHANNEL_MAX, ID_MAX, LINE_MAX
from protocol.describe import asyncapi, fill, schemas
from protocol.errors import Code
from protocol.frames import AgentFrame, GatewayFrame, ToAgent, ToGateway
from protocol.inbound import ATTACHMENTS_MAX, IDENTITIES_MAX, REFERENCES_MAX, TEXT_MAX
from tests.protocol import samples

DOCS = Path(__file__).resolve().parent.parent / "docs"
GENERATED = documents(DOCS)
PAGE = (DOCS / "protocol.md").read_text()
EXAMPLES = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]
UNIONS: dict[str, Any] = {"agent": AgentFrame, "gateway": GatewayFrame, "to_agent": ToAgent, "to_gateway": ToGateway}
OPS = {member.__struct_config__.tag for union in UNIONS.values() for member in get_args(union)}


@pytest.mark.parametrize("path", sorted(GENERATED), ids=lambda path: str(path.relative_to(DOCS)))
def test_a_generated_document_is_current(path: Path) -> None:
    """`python -m orchestrator.documents docs` would change nothing."""
    assert path.read_text() == GENERATED[path], "run: python -m orchestrator.documents docs"


def test_no_schema_is_left_behind() -> None:
    """A schema that is not generated any more is gone."""
    assert {path.stem for path in (DOCS / "schemas").iterdir()} == set(schemas())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example["op"]))
def test_an_example_is_a_frame_with_nothing_unknown_or_superfluous(example: dict[str, Any]) -> None:
    """Read by the types and written again, an example is the same."""
    read = []
    for union in UNIONS.values():
        if example["op"] in {member.__struct_config__.tag for member in get_args(union)}:
            read.append(msgspec.convert(example, union))
    assert read
    assert all(msgspec.to_builtins(frame) == example for frame in read)


def test_every_frame_has_an_example() -> None:
    """Nobody has to guess a frame's form."""
    assert {example["op"] for example in EXAMPLES} == OPS


def test_the_error_table_is_whole() -> None:
    """Each code is in the page, with its name."""
    for code in Code:
        assert f"| {int(code)} | `{code.name}` |" in PAGE


def test_generated_parts_are_replaced_and_nothing_else() -> None:
    """Filling twice is filling once, and prose is left alone."""
    text = "before\n<!-- fields Drain -->\nold\n<!-- end -->\nafter\n"
    filled = fill(text)
    assert filled.startswith("before\n<!-- fields Drain -->\n| field ")
    assert "`after_ms` | integer | `1000`" in filled
    assert filled.endswith("<!-- end -->\nafter\n")
    assert fill(filled) == filled


def test_every_query_parameter_of_a_read_is_in_the_page() -> None:
    """In the row of its path, and no other is."""
    documented = {}
    for path, query in re.findall(r"^\| `(/v1/[^`]*)` \| (.*?) \| ", PAGE, re.MULTILINE):
        documented[path] = set(re.findall(r"`([a-z_]+)`", re.sub(r"\(.*?\)", "", query)))
    taken = {}
    for handler in (
        *reads.ROUTES,
        *feed.ROUTES,
        *history.ROUTES,
        *reports.ROUTES,
        *identity_reviews.ROUTES,
        *operations.ROUTES,
    ):
        names = set(inspect.signature(handler.fn).parameters) - {"request", "data"}
        for path in handler.paths:
            in_path = set(re.findall(r"{(\w+):", path))
            if "GET" in handler.http_methods and names - in_path:
                taken[re.sub(r"{\w+:\w+}", "{id}", path)] = names - in_path
    assert documented == taken


def references(document: Any) -> set[str]:
    """Every `$ref` in a document."""
    if isinstance(document, dict):
        here = {document["$ref"]} if isinstance(document.get("$ref"), str) else set()
        return here.union(*(references(value) for value in document.values()))
    return set().union(*(references(value) for value in document)) if isinstance(document, list) else set()


def resolve(document: Any, reference: str) -> Any:
    """What a local reference points to (RFC 6901, without escapes)."""
    for part in reference.removeprefix("#/").split("/"):
        document = document[part]
    return document


@pytest.mark.parametrize("name", ["asyncapi", *sorted(schemas())])
def test_references_lead_somewhere(name: str) -> None:
    """No document points to a part it has not."""
    document = asyncapi() if name == "asyncapi" else schemas()[name]
    for reference in references(document):
        assert resolve(document, reference) is not None


def test_asyncapi_names_every_frame_in_its_direction() -> None:
    """The server receives what clients send, and sends the rest."""
    document = asyncapi()
    names = {}
    for operation, value in document["operations"].items():
        messages = [resolve(document, resolve(document, ref["$ref"])["$ref"]) for ref in value["messages"]]
        names[operation, value["action"]] = {message["name"] for message in messages}
    expected = {("agent.receive", "receive"): AgentFrame, ("agent.send", "send"): ToAgent}
    expected |= {("gateway.receive", "receive"): GatewayFrame, ("gateway.send", "send"): ToGateway}
    assert names == {
        key: {member.__struct_config__.tag for member in get_args(union)} for key, union in expected.items()
    }


def test_fields_carry_their_meaning() -> None:
    """The string below a field reaches the schema, also that of a base."""
    defs = schemas()["server-to-agent"]["$defs"]
    assert defs["Heads"]["description"].startswith("The heartbeat")
    assert "Who caused it" in defs["NoteAdded"]["properties"]["actor"]["description"]


def test_samples_fit_the_examples_page() -> None:
    """The golden frames and the page speak of the same frames."""
    assert {frame.__struct_config__.tag for frame in samples.ALL.values()} == OPS


def test_the_bounds_of_an_event_are_those_it_is_held_to() -> None:
    """So that a client can cut before it sends."""
    page = " ".join(PAGE.split())
    assert f"`id` and `source` have 1 to {ID_MAX} characters, `text` {TEXT_MAX:,} at most" in page
    assert f"`identities` {IDENTITIES_MAX}, `attachments` {ATTACHMENTS_MAX}, `in_reply_to` {REFERENCES_MAX};" in page
    assert f"`channel` 1 to {CHANNEL_MAX}" in page
    assert f"{LINE_MAX:,} characters at most have `subject`, `reference`" in page
    assert (Limits().events_ahead_s, Limits().events_behind_days) == (3600, 3650)
