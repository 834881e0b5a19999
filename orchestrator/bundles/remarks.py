"""Remarks: what is not wrong, and looks mistyped: a queue or a channel whose name is nearly another one's.

Any word may be a queue or a channel, so none can be refused; but a conversation would wait in a queue that nobody
watches, and a rule would be for a channel that nobody uses. Whoever checks a bundle is asked whether that was meant.
"""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import chain

from actors.policy import Policy
from actors.rules.correlation import ANY
from actors.rules.handoffs import HandoffRules
from orchestrator.bundles.reading import Texts, Wrong

Path = tuple[str, ...]
Use = tuple[Path, str]
"""Where a name stands, and the name."""

USUAL = frozenset(
    {"phone", "email", "chat", "sms", "whatsapp", "messenger", "instagram", "telegram", "x", "web", "app"}
)
"""Channels that are one's own whether an account of them is set up or not."""
NEAR = 0.8
"""Of `difflib`'s ratio: one letter more, less or swapped in a word of five; `claims` and `claims-lead` are not near."""

_DEFAULT = ("queue_default",)
"""The one queue that is sure to be meant: others are compared with it."""


def remarks(policy: Policy, said: Texts, accounts: Mapping[str, str]) -> list[Wrong]:
    """In the order of the files. `accounts`: account → channel."""
    return sorted(set(chain(_of_queues(policy, said), _of_channels(policy, said, accounts))))


def _of_queues(policy: Policy, said: Texts) -> Iterator[Wrong]:
    """One remark for each pair of names, at the one that stands there only once."""
    uses = list(_queues(policy))
    names = [name for _, name in uses]
    asked: set[str] = set()
    for path, name in uses:
        if names.count(name) > 1 or path not in said.lines or path == _DEFAULT:
            continue
        others = {each for each in names if each != name} - asked
        if near := _near(name, others):
            asked.add(name)
            text = (
                f"the queue {name!r} is named nowhere else: is it another one than {near!r}? Somebody has to watch it"
            )
            yield Wrong(*said.line_of(path), text)


def _of_channels(policy: Policy, said: Texts, accounts: Mapping[str, str]) -> Iterator[Wrong]:
    known = USUAL | set(accounts.values())
    for path, name in _channels(policy):
        if name not in known and path in said.lines and (near := _near(name, known)):
            yield Wrong(*said.line_of(path), f"no account serves a channel {name!r}: did you mean {near!r}?")


def _near(name: str, others: Iterable[str]) -> str:
    """The nearest; none that differs in its digits alone, as `tier1` and `tier2` do."""
    letters = name.strip("0123456789")
    apart = [each for each in others if each.strip("0123456789") != letters]
    return next(iter(get_close_matches(name, apart, 1, NEAR)), "")


def _queues(policy: Policy) -> Iterator[Use]:
    yield _DEFAULT, policy.queue_default
    for kind, rules in policy.handoffs.kinds.items():
        yield from _queues_of(("handoffs", "kinds", kind), rules)
    yield from _queues_of(("handoffs", "others"), policy.handoffs.others)
    for queue in policy.handoffs.members:
        yield ("handoffs", "members", queue), queue
    for pair, switch in policy.context.switches.items():
        yield from _queue(("context", "switches", pair, "continuity"), switch.continuity)
    yield from _queue(("context", "continuity"), policy.context.continuity)
    for name, account in policy.accounts.items():
        if account.queue:
            yield ("accounts", name, "queue"), account.queue
    for name, queue in policy.queues.items():
        yield ("queues", name), queue


def _queues_of(path: Path, rules: HandoffRules) -> Iterator[Use]:
    for n, target in enumerate(rules.to, start=1):
        yield from _queue((*path, "to", str(n)), target)
    yield from _queue((*path, "on_decline"), rules.on_decline)
    yield from _queue((*path, "on_expiry"), rules.on_expiry)


def _queue(path: Path, target: str) -> Iterator[Use]:
    kind, _, name = target.partition(":")
    if kind == "queue":
        yield path, name


def _channels(policy: Policy) -> Iterator[Use]:
    for channel in policy.channels:
        yield ("channels", channel), channel
    for n, template in enumerate(policy.capture.templates, start=1):
        yield ("capture", "templates", str(n), "channel"), template.channel
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
