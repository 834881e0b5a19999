"""The rules of correlation: which new contact belongs to which conversation, where nothing in it says so by itself."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from actors.rules.names import Word

if TYPE_CHECKING:
    from actors.rules.policy import Policy

ANY = "any"


class Window(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How long after a contact on one channel a contact on another still belongs to the same conversation."""

    earlier: Word = ANY
    """The channel of the contact before, or `any`."""
    later: Word = ANY
    """The channel of the new contact, or `any`."""
    within_ms: int


class CorrelationRules(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Without any of it, a contact joins the customer's open conversation, the newest of several."""

    windows: tuple[Window, ...] = ()
    """The first that fits the pair of channels counts."""
    unlisted: Literal["join", "new"] = "join"
    """What happens for a pair of channels that no window is given for."""
    other_topic: Literal["join", "new"] = "join"
    """Whether a contact that is known to be about another topic, or another claim's number, joins all the same."""
    broad_keys: tuple[str, ...] = ()
    """Kinds of numbers under which several matters go on, such as a contract's: one of these joins no contacts that are
    known to be about different topics, and continues nothing that is closed."""
    after_resolved: Literal["reopen", "new"] = "reopen"
    """Whether a resolved conversation that has not closed yet is opened again, or a new one follows it. An answer to
    one of its messages opens it again in any case."""
    repeat_within_ms: int = 0
    """A contact about the same topic so soon after it was resolved is a repeat. 0: nothing is."""
    escalating_intents: tuple[str, ...] = ()
    """Intents, such as a complaint, that make a new conversation an escalation of the earlier one."""

    def faults(self, policy: "Policy") -> Iterator[tuple[tuple[str, ...], str]]:
        """What is wrong with it: where, as a path of keys, and what to write instead."""
        known = policy.taxonomy.intents
        for n, intent in enumerate(self.escalating_intents, start=1):
            if intent not in known:
                words = f"taxonomy.yaml has no intent {intent}: write one of {', '.join(known) or '(it has none yet)'}"
                yield ("escalating_intents", str(n)), words
        kinds = policy.taxonomy.keys
        for n, kind in enumerate(self.broad_keys, start=1):
            if kind not in kinds:
                words = f"taxonomy.yaml has no key {kind}: write one of {', '.join(kinds) or '(it has none yet)'}"
                yield ("broad_keys", str(n)), words
        if self.repeat_within_ms and not policy.taxonomy.topics:
            yield ("repeat_within",), "a repeat is about the same topic: write topics in taxonomy.yaml first"


NO_RULES = CorrelationRules()
