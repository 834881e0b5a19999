"""Making a policy of a bundle: what its files say, over what the settings say, checked as a whole.

A file that is there says all of its subject; one that is not leaves the subject to the settings. `general.yaml` is read
key by key. A subject's rules may refer to others': what they name must be there.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from actors.rules.identity import MISTAKEN
from actors.rules.policy import DAY_MS, PAUSE_MS, ChannelRules, Policy
from actors.rules.retention import HOUR_MS
from orchestrator.bundles.durations import in_words
from orchestrator.bundles.reading import Texts, Wrong, read
from orchestrator.bundles.remarks import remarks
from orchestrator.bundles.wording import no_kind
from protocol.errors import ThroughlineError
from protocol.identities import KINDS

Fault = tuple[tuple[str, ...], str]
"""Where something is wrong (the subject, then its keys), and what to write instead."""


NAMED = frozenset({"taxonomy"})
"""Subjects that others' rules name: where one of these cannot be read, what names it waits."""


MESSAGE_AGE_MAX_MS = 30 * DAY_MS
"""Longer nobody waits for an answer; what is tried or waits by then holds its conversation open for nothing."""


class Made(Struct, frozen=True):
    """A whole policy, or all that is wrong; never both. With a policy, what in it was perhaps not meant."""

    policy: Policy | None
    wrong: list[Wrong]
    remarks: list[Wrong] = []


class SetUp(Struct, frozen=True):
    """What the settings give a bundle: the first policy, and their accounts: name → kind and channel."""

    base: Policy
    accounts: dict[str, tuple[str, str]]


def make(
    files: Mapping[str, str],
    set_up: SetUp,
    now: Mapping[str, str] | None = None,
    former: Mapping[str, Collection[str]] | None = None,
) -> Made:
    """The policy that these texts make. `now`: account → channel of what is in force, where that is known, and `former`
    those that it was a line of before; whose channel would be another is remarked on."""
    said = read(files)
    policy = msgspec.structs.replace(set_up.base, **said.fields)
    broken = {each.file.removesuffix(".yaml") for each in said.wrong}
    wrong = [
        Wrong(*said.line_of(path), f"{'.'.join(path[1:] or path)}: {text}")
        for path, text in _faults(policy, set_up, said, broken)
    ]
    if said.wrong or wrong:
        return Made(None, sorted([*said.wrong, *wrong]))
    accounts = channels_of(policy, set_up)
    return Made(_completed(policy, set_up), [], remarks(policy, said, set_up.base, accounts, now or {}, former or {}))


def _completed(policy: Policy, set_up: SetUp) -> Policy:
    """With what follows from the accounts: where their conversations wait, and by which replies go out."""
    queues = {name: account.queue for name, account in policy.accounts.items() if account.queue} | policy.queues
    first_of: dict[str, str] = {}
    for name, channel in channels_of(policy, set_up).items():
        first_of.setdefault(channel, name)
    channels = dict(policy.channels)
    for channel, account in first_of.items():
        rules = channels.get(channel, ChannelRules())
        channels[channel] = rules if rules.account else msgspec.structs.replace(rules, account=account)
    return msgspec.structs.replace(policy, queues=queues, channels=channels)


def channels_of(policy: Policy, set_up: SetUp) -> dict[str, str]:
    """Account → channel, of the settings and of the bundle."""
    of_settings = {name: channel for name, (_, channel) in set_up.accounts.items()}
    return of_settings | {name: account.channel for name, account in policy.accounts.items()}


def _faults(policy: Policy, set_up: SetUp, said: Texts, broken: set[str]) -> Iterable[Fault]:
    """What files say of each other. Of one that is `broken` nobody knows what is in it: what names it waits."""
    accounts = channels_of(policy, set_up)
    for name in policy.accounts:
        kind = set_up.accounts.get(name, ("gateway", ""))[0]
        if kind != "gateway":
            yield ("accounts", name), f"the settings have an account of kind {kind} under this name: choose another"
    if "accounts" not in broken:
        yield from _faults_of_accounts(policy, set_up, said.fields.keys(), accounts)
    if policy.once_keys_ms < HOUR_MS and "once_keys_ms" in said.fields:
        yield ("once_keys",), "sources send again for hours: write 1h or more, or their repeats count twice"
    yield from _faults_of_attempts(policy, said.fields.keys())
    for subject, rules in said.fields.items():
        if not (broken & NAMED) - {subject}:
            yield from _own_faults(subject, rules, policy)


def _faults_of_accounts(
    policy: Policy, set_up: SetUp, said: Collection[str], accounts: Mapping[str, str]
) -> Iterable[Fault]:
    """Rules by accounts that there are not, or that are another channel's."""
    if "channels" in said:
        for channel, rules in policy.channels.items():
            if rules.account and accounts.get(rules.account) != channel:
                yield ("channels", channel, "account"), _no_account(rules.account, channel, accounts)
    if "queues" in said:
        for name in policy.queues:
            if name not in accounts:
                yield ("queues", name), f"there is no account {name}: {_known(accounts)}"
    if "capture" in said:
        yield from _no_kinds(policy, set_up)


def _faults_of_attempts(policy: Policy, said: Collection[str]) -> Iterable[Fault]:
    """Waits between attempts that are none, or that no message is worth. Told where a file says one of the values."""
    if "backoff_ms" in said and policy.backoff_ms < PAUSE_MS:
        yield ("backoff",), "a line that fails would be tried again and again without a pause: write 1s or more"
    elif policy.backoff_max_ms < policy.backoff_ms:
        first, longest = in_words(policy.backoff_ms), in_words(policy.backoff_max_ms)
        if "backoff_max_ms" in said:
            text = f"the longest wait is shorter than the first, which is {first}: write that or more"
            yield ("backoff_max",), text
        elif "backoff_ms" in said:
            text = (
                f"the first wait is longer than the longest, which is {longest}: write that or less, or a backoff_max"
            )
            yield ("backoff",), text
    tried_ms = sum(policy.retry_at_ms(attempt, 0) for attempt in range(1, policy.attempts_max))
    if tried_ms > MESSAGE_AGE_MAX_MS:
        text = f"one message would be tried for {tried_ms // DAY_MS} days: write what makes it 30 days or less"
        for field in ("attempts_max", "backoff_max_ms", "backoff_ms"):
            if field in said:
                yield (field.removesuffix("_ms"),), text
                break
    if "line_wait_ms" in said and policy.line_wait_ms > MESSAGE_AGE_MAX_MS:
        yield ("line_wait",), "a message that waits so long is no answer any more: write 30 days or less"


def _own_faults(subject: str, rules: Any, policy: Policy) -> Iterable[Fault]:
    """What a subject's rules find wrong by themselves: those that have a method `faults(policy)`, which yields keys
    and what to write."""
    find = getattr(rules, "faults", None)
    if find is not None:
        try:
            yield from (((subject, *path), text) for path, text in find(policy))
        except (ValueError, ThroughlineError) as exc:
            yield (subject,), str(exc)


def _no_kinds(policy: Policy, set_up: SetUp) -> Iterable[Fault]:
    """Kinds of identities that templates find and that no event may bring."""
    served = {channel.lower() for kind, channel in set_up.accounts.values() if kind == "gateway"}
    served.update(account.channel.lower() for account in policy.accounts.values())
    for number, template in enumerate(policy.capture.templates, start=1):
        known = (KINDS | served | {template.channel.lower()}) - MISTAKEN.keys()
        for nth, who in enumerate(template.identities, start=1):
            if who.kind not in known:
                path = ("capture", "templates", str(number), "identities", str(nth), "kind")
                yield path, no_kind(who.kind, known)


def _no_account(account: str, channel: str, accounts: Mapping[str, str]) -> str:
    if account in accounts:
        return f"{account} is an account of {accounts[account]}, not of {channel}"
    return f"there is no account {account}: {_known(accounts)}"


def _known(accounts: Mapping[str, str]) -> str:
    return (
        f"write one of {', '.join(sorted(accounts))}, or add it to accounts.yaml" if accounts else "there is none yet"
    )
