"""Titles: names of the policy's taxonomy as people call them, beside the names that filters and commands take.

Facts have names alone; what is printed for people has both, `Bills and premiums (premium)`. JSON and CSV stay as the
server gave them.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from orchestrator.cli.exits import Failure

PATH = "/v1/taxonomy"
DIMENSIONS = {
    "topic": "topics",
    "intent": "intents",
    "product_line": "product_lines",
    "product": "product_lines",
    "segment": "segments",
}
"""Field of a row or event → the answer's list."""
TAGS = ("topic", "intent", "product_line", "segment")


class Asked(Protocol):
    """A server."""

    def get(self, path: str, **params: str | int) -> Any:
        """The JSON of a GET."""
        ...


class Titles:
    """Of one server. It is asked as the first name is shown: most of what is printed has none.

    Where it gives none, names are shown alone: half of what was asked for is printed by then.
    """

    def __init__(self, server: Asked) -> None:
        self._server = server
        self._known: dict[str, dict[str, str]] | None = None

    def shown(self, field: str, name: str) -> str:
        """`title (name)`; the name alone where the title says no more, or the taxonomy in force has it not."""
        title = self._titles()[DIMENSIONS[field]].get(name, name) if name else ""
        return name if title.casefold() == name.casefold() else f"{title} ({name})"

    def row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row whose names are as people read them."""
        named = {field: self.shown(field, row[field]) for field in DIMENSIONS if isinstance(row.get(field), str)}
        return {**row, **named}

    def rows(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Each of them."""
        return map(self.row, rows)

    def about(self, event: Mapping[str, Any]) -> str:
        """What a person looks for in an event, in a line; empty where it has nothing of that."""
        match event.get("type"):
            case "InteractionTagged":
                tags = [self.shown(field, event[field]["value"]) for field in TAGS if event.get(field)]
                return ", ".join([*tags, *event.get("keys", [])])
            case "RepeatContactFound":
                return f"{self.shown('topic', event['topic'])}, as in {event['earlier']}"
            case "FieldMissing":
                return f"{event['field']} ({event['action']})"
            case "ContextSet":
                return str(event["key"]) + ("" if event.get("value") is None else f": {event['value']}")
            case "ConversationOpened":
                return str(event.get("subject") or event.get("queue", ""))
            case "ChannelSwitched":
                return f"{event['from_channel']} → {event['to_channel']}{_missing(event)}"
            case "HandoffOffered":
                return f"{event['kind']} to {event['to']}{_missing(event.get('package', {}))}"
            case _:
                return next((str(event[name]) for name in _TELLING if event.get(name)), "")

    def _titles(self) -> dict[str, dict[str, str]]:
        if self._known is None:
            try:
                answer = self._server.get(PATH)
            except Failure:
                answer = {}
            lists = {key: answer.get(key, ()) for key in DIMENSIONS.values()}
            self._known = {key: {each["name"]: each["title"] for each in labels} for key, labels in lists.items()}
        return self._known


_TELLING = (
    "text",
    "name",
    "status",
    "reason",
    "owner",
    "queue",
    "identity",
    "delivery",
    "to",
    "keys",
    "key",
    "conversation",
)
"""Fields of the other events: the first that is there is shown."""


def _missing(of: Mapping[str, Any]) -> str:
    return f", without {', '.join(of['missing'])}" if of.get("missing") else ""
