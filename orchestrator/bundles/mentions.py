"""Mentions: where in a policy a name stands that any word may be, and which of them say what there is.

Each yields pairs of the place, as `Texts.lines` has it, and the name.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

from actors.handoffs.handoff_package import FACTS
from actors.rules.correlation import ANY
from actors.rules.handoffs import HandoffRules
from actors.rules.policy import Policy
from actors.rules.taxonomy import Tagger
from protocol.identities import KINDS, kind_of

Path = tuple[str, ...]
Mention = tuple[Path, str]

DEFAULT_QUEUE = ("queue_default",)
_CLASSES = {"topic": "topics", "intent": "intents", "product_line": "product_lines", "segment": "segments"}
"""Fields of a capture template whose values are names of the taxonomy."""


def queues(policy: Policy) -> Iterator[Mention]:
    """The default one first."""
    yield DEFAULT_QUEUE, policy.queue_default
    # First what owners write first: of two names that stand there once each, they are asked about their own.
    for name, account in policy.accounts.items():
        if account.queue:
            yield ("accounts", name, "queue"), account.queue
    for name, queue in policy.queues.items():
        yield ("queues", name), queue
    for path, target in _targets(policy):
        yield from _named("queue", path, target)
    for queue in policy.handoffs.members:
        yield ("handoffs", "members", queue), queue
    for path, target in _continuities(policy):
        yield from _named("queue", path, target)


def teams(policy: Policy) -> Iterator[Mention]:
    """Who answers for a context, where that is a team."""
    for path, target in _continuities(policy):
        yield from _named("team", path, target)


def served(policy: Policy) -> Iterator[Mention]:
    """The channels that the bundle's own accounts serve."""
    for name, account in policy.accounts.items():
        yield ("accounts", name, "channel"), account.channel


def channels(policy: Policy) -> Iterator[Mention]:
    """Wherever a rule is for a channel."""
    for channel in policy.channels:
        yield ("channels", channel), channel
    for n, template in enumerate(policy.capture.templates, start=1):
        yield ("capture", "templates", str(n), "channel"), template.channel
    for path, tagger in _taggers(policy):
        yield from _listed((*path, "channels"), tagger.channels)
    for key, rules in policy.context.keys.items():
        yield from _listed(("context", "keys", key, "channels"), rules.channels)
    for channel in policy.context.carries:
        yield ("context", "carries", channel), channel
    for n, channel in enumerate(policy.context.verified_channels, start=1):
        yield ("context", "verified_channels", str(n)), channel
    for origin, target in policy.context.fallback.items():
        yield ("context", "fallback", origin), origin
        yield ("context", "fallback", origin), target
    for pair in policy.context.switches:
        for channel in pair.split(" to "):
            yield ("context", "switches", pair), channel
    for n, window in enumerate(policy.correlation.windows, start=1):
        for key, channel in (("earlier", window.earlier), ("later", window.later)):
            if channel != ANY:
                yield ("correlation", "windows", str(n), key), channel


def accounts(policy: Policy) -> Iterator[Mention]:
    """Wherever a rule is for what comes by an account; where queues wait and replies leave, none but one there is."""
    for n, template in enumerate(policy.capture.templates, start=1):
        if template.account:
            yield ("capture", "templates", str(n), "account"), template.account
    for path, tagger in _taggers(policy):
        yield from _listed((*path, "accounts"), tagger.accounts)
    for n, match in enumerate(policy.identity.match, start=1):
        yield from _listed(("identity", "match", str(n), "accounts"), match.accounts)


def kinds_of_identity(policy: Policy) -> Iterator[Mention]:
    """Wherever a rule is for a kind of address."""
    rules = policy.identity
    for n, match in enumerate(rules.match, start=1):
        yield from _listed(("identity", "match", str(n), "kinds"), match.kinds)
    for kind, other in rules.alike.items():
        yield ("identity", "alike", kind), kind
        yield ("identity", "alike", kind), other
    yield from _listed(("identity", "single"), rules.single)
    yield from _listed(("identity", "shared"), (kind_of(each).strip().lower() for each in rules.shared))


def kinds_there_are(policy: Policy, channels: Iterable[str]) -> frozenset[str]:
    """The server's, and that of each channel that an account serves or a template is for."""
    return KINDS.union(channels, (template.channel for template in policy.capture.templates))


def wanted_items(policy: Policy) -> Iterator[Mention]:
    """Context items that somebody has to give, or that go along."""
    for path, rules in _protocols(policy):
        yield from _listed((*path, "required"), rules.required)
    for pair, switch in policy.context.switches.items():
        yield from _listed(("context", "switches", pair, "required"), switch.required)
    yield from _listed(("context", "carry_over", "always"), policy.context.carry_over.always)
    yield from _listed(("context", "carry_over", "never"), policy.context.carry_over.never)


def given_items(policy: Policy) -> Iterator[Mention]:
    """Context items that the bundle gives or describes."""
    for n, template in enumerate(policy.capture.templates, start=1):
        for m, field in enumerate(template.fields, start=1):
            yield ("capture", "templates", str(n), "fields", str(m), "name"), field.name
    for key in policy.context.keys:
        yield ("context", "keys", key), key
    for name, key in policy.context.properties.items():
        yield ("context", "properties", name), key
    for key in policy.taxonomy.keys:
        yield ("taxonomy", "keys", key), key


def items_there_are(policy: Policy) -> set[str]:
    """Context items that the bundle gives or describes, and what a handoff's package has without one."""
    return set(chain((name for _, name in given_items(policy)), FACTS, _CLASSES, ("note",)))


def defaults_of_taxonomy(policy: Policy) -> Iterator[tuple[Path, str, set[str]]]:
    """What templates give where a topic or the like is missing, each with the names that the taxonomy has for it."""
    for n, template in enumerate(policy.capture.templates, start=1):
        for m, field in enumerate(template.fields, start=1):
            if field.name in _CLASSES and isinstance(field.default, str):
                path = ("capture", "templates", str(n), "fields", str(m), "default")
                yield path, field.default, set(getattr(policy.taxonomy, _CLASSES[field.name]))


def _protocols(policy: Policy) -> Iterator[tuple[Path, HandoffRules]]:
    for kind, rules in policy.handoffs.kinds.items():
        yield ("handoffs", "kinds", kind), rules
    yield ("handoffs", "others"), policy.handoffs.others


def _taggers(policy: Policy) -> Iterator[tuple[Path, Tagger]]:
    for dimension, plural in _CLASSES.items():
        for name, label in policy.taxonomy.labels(dimension).items():
            for n, tagger in enumerate(label.taggers, start=1):
                yield ("taxonomy", plural, name, "taggers", str(n)), tagger


def names_of_taxonomy(policy: Policy) -> Iterator[tuple[str, list[Mention]]]:
    """Of each class, what one of its names is called, and the names. (Those of its `keys` are context items.)"""
    for dimension, plural in _CLASSES.items():
        names = policy.taxonomy.labels(dimension)
        yield dimension.replace("_", " "), [(("taxonomy", plural, name), name) for name in names]


def said_by_programs(policy: Policy) -> Iterator[Mention]:
    """What taggers compare with what a program says, sign by sign."""
    for path, tagger in _taggers(policy):
        yield (*path, "activity"), tagger.activity
        yield (*path, "property"), tagger.property
        yield from _listed((*path, "values"), tagger.values)


def phrases(policy: Policy) -> Iterator[Mention]:
    """What taggers look for in texts."""
    for path, tagger in _taggers(policy):
        yield from _listed((*path, "words"), tagger.words)
        yield from _listed((*path, "subject"), tagger.subject)


def _targets(policy: Policy) -> Iterator[Mention]:
    for path, rules in _protocols(policy):
        yield from _listed((*path, "to"), rules.to)
        yield (*path, "on_decline"), rules.on_decline
        yield (*path, "on_expiry"), rules.on_expiry


def _continuities(policy: Policy) -> Iterator[Mention]:
    for pair, switch in policy.context.switches.items():
        yield ("context", "switches", pair, "continuity"), switch.continuity
    yield ("context", "continuity"), policy.context.continuity


def _listed(path: Path, names: Iterable[str]) -> Iterator[Mention]:
    yield from (((*path, str(n)), name) for n, name in enumerate(names, start=1))


def _named(kind: str, path: Path, target: str) -> Iterator[Mention]:
    before, _, name = target.partition(":")
    if before == kind:
        yield path, name
