"""The context package of a handoff: what is in it, and what the policy requires and nobody has given. Pure."""

from collections.abc import Callable, Mapping, Sequence

from actors.state.context_items import is_given
from actors.state.conversation import Conversation, numbers, tag_of
from protocol.entities import ContextItem
from protocol.events import ContextSet
from protocol.handoffs import HandoffPackage, PackageItem

FACTS: Mapping[str, Callable[[Conversation, Sequence[str]], str]] = {
    "channel": lambda state, _: state.interactions[-1].channel if state.interactions else "",
    "customer": lambda state, _: state.customer,
    "identity": lambda state, known: state.interactions[-1].identity if state.interactions else "".join(known[-1:]),
    "queue": lambda state, _: state.queue,
    "subject": lambda state, _: state.subject,
    "topic": lambda state, _: tag_of(state, "topic"),
    "intent": lambda state, _: tag_of(state, "intent"),
    "product_line": lambda state, _: tag_of(state, "product_line"),
    "segment": lambda state, _: tag_of(state, "segment"),
}
"""What a conversation knows by itself, from its state and the customer's identities; beside them the numbers that were
named (`claim`). A context item of the same name goes before."""


def package(
    state: Conversation,
    required: Sequence[str],
    known: Mapping[str, ContextItem | ContextSet],
    identities: Sequence[str],
    *,
    note: str,
    lease: int,
    through: int,
) -> HandoffPackage:
    """All that is known up to the event at `through`; `known` is the context then, by key."""
    facts = numbers(state) | {name: fact for name, of in FACTS.items() if (fact := of(state, identities))}
    said = {key: item.value for key, item in known.items() if is_given(item.value)}
    values: dict[str, object] = {**facts, "note": note.strip(), **said}
    return HandoffPackage(
        conversation=state.id,
        lease=lease,
        through=through,
        facts=facts,
        items=[PackageItem(key=key, version=item.version) for key, item in sorted(known.items())],
        note=note,
        missing=[name for name in required if values.get(name, "") == ""],
    )
