"""The context package of a handoff: what is in it, and what the policy requires and nobody has given. Pure."""

from collections.abc import Callable, Mapping, Sequence

from actors.conversation import Conversation
from protocol.entities import ContextItem
from protocol.events import ContextSet
from protocol.handoffs import HandoffPackage, PackageItem

FACTS: Mapping[str, Callable[[Conversation, Sequence[str]], str]] = {
    "channel": lambda state, _: state.interactions[-1].channel if state.interactions else "",
    "customer": lambda state, _: state.customer,
    "identity": lambda state, known: state.interactions[-1].identity if state.interactions else "".join(known[-1:]),
    "queue": lambda state, _: state.queue,
    "subject": lambda state, _: state.subject,
}
"""What a conversation knows by itself, from its state and the customer's identities. A context item of the same name
goes before."""


def package(
    state: Conversation,
    required: Sequence[str],
    given: Sequence[ContextSet],
    identities: Sequence[str],
    *,
    note: str,
    lease: int,
    through: int,
) -> HandoffPackage:
    """All that is known up to the event at `through`; `given` are decided and not yet in the state."""
    facts = {name: fact for name, of in FACTS.items() if (fact := of(state, identities))}
    items: list[ContextItem | ContextSet] = [*state.context.values(), *given]
    versions = {item.key: item.version for item in items}
    known: dict[str, object] = {**facts, "note": note.strip(), **{item.key: item.value for item in items}}
    return HandoffPackage(
        conversation=state.id,
        lease=lease,
        through=through,
        facts=facts,
        items=[PackageItem(key=key, version=version) for key, version in sorted(versions.items())],
        note=note,
        # False and 0 are given; nothing and empty words are not.
        missing=[name for name in required if known.get(name) is None or known[name] == ""],
    )
