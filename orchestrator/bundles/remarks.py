"""Remarks: what is not wrong, and perhaps not meant: a name that is nearly another one's, a line of another channel.

Any word may be a queue, a channel, a team, a kind of address or a context item, so none can be refused; but a
conversation would wait in a queue that nobody watches, a rule would be for a channel that nobody uses, and a handoff
for an item that nobody ever gives. A line may change nothing, too. And any account may be another channel's; but what
waits to leave by it does not leave. Whoever checks a bundle is asked whether that was meant.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import chain

import msgspec

from actors.rules.correlation import ANY, Window
from actors.rules.policy import ChannelRules, Policy
from actors.tags.phrases import forms_of
from orchestrator.bundles import mentions
from orchestrator.bundles.durations import in_words
from orchestrator.bundles.mentions import Mention, Path
from orchestrator.bundles.reading import Texts, Wrong

USUAL = frozenset(
    {"phone", "email", "chat", "sms", "whatsapp", "messenger", "instagram", "telegram", "x", "web", "app"}
)
"""Channels that are one's own whether an account of them is set up or not."""
NEAR = 0.8
"""Of `difflib`'s ratio: one letter more, less or swapped in a word of five; `claims` and `claims-lead` are not near."""
ACCOUNTS = "accounts.yaml"
WHICHEVER = frozenset({ANY, "all", "default", "every", "other", "others", "*"})
"""What people write for every channel there is."""
PAIRS = frozenset({("context", "switches"), ("correlation", "windows")})
"""Where a rule is for a channel and another one, `any` is whichever."""
PAIRS_MAX = 250_000
"""Pairs of names that are compared, half a second's: of more, which no person wrote, nothing is asked."""


def remarks(
    policy: Policy,
    said: Texts,
    base: Policy,
    accounts: Mapping[str, str],
    now: Mapping[str, str],
    former: Mapping[str, Collection[str]],
) -> list[Wrong]:
    """In the order of the files. `base` is what the settings say; `accounts`: account → channel; `now`: the same of
    those that are in force, as far as is known, and `former` which they were of before."""
    channels = set(accounts.values())
    queues = {name for _, name in mentions.queues(policy)}
    found = chain(
        _of_queues(policy, said),
        _of_left_out(policy, said, base, channels),
        _of_moved(said, accounts, now),
        _of_brought_back(said, accounts, now, former),
        _nearly(_of_no_rule(policy), USUAL.union(_ruled(policy)), said, "no rule is for a channel {!r}"),
        _nearly(mentions.channels(policy), USUAL | channels, said, "no account serves a channel {!r}"),
        _of_whichever(policy, said, channels),
        _of_unreached(policy, said),
        _of_itself(policy, said),
        _of_no_word(policy, said),
        _of_blanks(policy, said),
        _of_labels(policy, said),
        _of_context(policy, said),
        _of_capitals(policy, said),
        _nearly(mentions.accounts(policy), accounts, said, "there is no account {!r}"),
        _nearly(mentions.teams(policy), queues, said, "no queue is called as the team {!r}"),
        _nearly(
            mentions.kinds_of_identity(policy),
            mentions.kinds_there_are(policy, channels),
            said,
            "no address is of the kind {!r}",
        ),
        _nearly(
            mentions.wanted_items(policy),
            mentions.items_there_are(policy),
            said,
            "no rule here gives or describes an item {!r}",
        ),
        *(
            _nearly([(path, name)], known, said, "the taxonomy has no {!r}")
            for path, name, known in mentions.defaults_of_taxonomy(policy)
        ),
    )
    return sorted(set(found))


def _ruled(policy: Policy) -> set[str]:
    """Channels that a rule is for."""
    return {name for _, name in mentions.channels(policy)}


def _of_no_rule(policy: Policy) -> Iterator[Mention]:
    """Channels that the bundle's accounts serve, and that no rule is for: one that is was meant so."""
    ruled = _ruled(policy)
    return ((path, name) for path, name in mentions.served(policy) if name not in ruled)


def _of_whichever(policy: Policy, said: Texts, channels: Collection[str]) -> Iterator[Wrong]:
    """Rules that are meant for every channel, and are for one of that name: `any` is every one in pairs alone. By
    `carries` what is secret would go out on each channel that somebody meant."""
    for path, name in mentions.channels(policy):
        in_pair = path[:2] in PAIRS
        if name.casefold() in WHICHEVER and name not in channels and not (in_pair and name == ANY):
            write = f"for each channel write `{ANY}`" if in_pair else "write each channel by its own name"
            yield Wrong(*said.line_of(path), f"{name!r} is a channel of that name, and stands for no other: {write}")


def _of_unreached(policy: Policy, said: Texts) -> Iterator[Wrong]:
    """Windows behind one that fits whatever they do: the first that fits counts."""
    firsts: list[tuple[int, Window]] = []
    for n, window in enumerate(policy.correlation.windows, start=1):
        first = next((m for m, each in firsts if _fits(each.earlier, window.earlier, each.later, window.later)), 0)
        if first:
            _, line = said.line_of(("correlation", "windows", str(first)))
            pair = f"{window.earlier} to {window.later}"
            text = f"this window, {pair}, is never looked at: the one of line {line} fits as well, and the first counts"
            yield Wrong(
                *said.line_of(("correlation", "windows", str(n))), f"{text}. Write it above that, or leave it out"
            )
        else:
            firsts.append((n, window))
        if len(firsts) ** 2 > PAIRS_MAX:
            return


def _fits(earlier: str, other_earlier: str, later: str, other_later: str) -> bool:
    return earlier in (ANY, other_earlier) and later in (ANY, other_later)


def _of_itself(policy: Policy, said: Texts) -> Iterator[Wrong]:
    """A channel that a conversation would leave for the same one. Two that are each other's fallback are none of it:
    whom the one does not reach, the other may, and no message goes by itself."""
    for origin, target in policy.context.fallback.items():
        if origin == target:
            text = f"{origin} falls back on itself, which changes nothing: name another channel, or leave the line out"
            yield Wrong(*said.line_of(("context", "fallback", origin)), text)


def _of_context(policy: Policy, said: Texts) -> Iterator[Wrong]:
    """Rules of context that lack what they need: without it they decide nothing."""
    for key, rules in policy.context.keys.items():
        if "channel" in rules.winner and not rules.channels:
            text = "`channel` decides by the key's `channels`, which it has none of: write them, the best first"
            yield Wrong(*said.line_of(("context", "keys", key, "winner")), text)
    carry_over = ("context", "carry_over")
    if carry_over in said.lines and (*carry_over, "within") not in said.lines:
        text = "nothing comes along without `within`: write for how long it does, such as `within: 90 days`"
        yield Wrong(*said.line_of(carry_over), text)


def _of_no_word(policy: Policy, said: Texts) -> Iterator[Wrong]:
    """Phrases that no text has, since they are found by their words."""
    for path, phrase in mentions.phrases(policy):
        if not forms_of([phrase]).keys() - {"", "*"}:
            text = f"{phrase!r} has no letter and no digit, and is found nowhere: write a word, or leave it out"
            yield Wrong(*said.line_of(path), text)


def _of_left_out(policy: Policy, said: Texts, base: Policy, served: Collection[str]) -> Iterator[Wrong]:
    """Channels that the settings have rules for, and a `channels.yaml` leaves out: a file says all of its subject, so
    they are as one is of which nobody says anything. Who adds a channel may not mean that."""
    if policy.channels is base.channels:
        return
    nothing = ChannelRules()
    for channel in sorted(base.channels.keys() & served - policy.channels.keys()):
        if msgspec.structs.replace(base.channels[channel], account="") != nothing:
            text = (
                f"nothing is said of {channel}, which has rules in the settings: they hold no more, and it rests after "
                f"{in_words(nothing.rest_after_ms)}, and `uncertain` is {nothing.uncertain}. Write an entry for it, "
                "with what shall hold"
            )
            yield Wrong(*said.line_of(("channels",)), text)


def _of_blanks(policy: Policy, said: Texts) -> Iterator[Wrong]:
    """What a program says with a blank at its ends hardly ever, and the taxonomy wants it with one."""
    for path, word in mentions.said_by_programs(policy):
        if word != (bare := word.strip()):
            text = f"{word!r} has a blank before it or behind, and is found only where a program says that too"
            yield Wrong(*said.line_of(path), f"{text}: write {bare!r}")


def _of_labels(policy: Policy, said: Texts) -> Iterator[Wrong]:
    """Names of the taxonomy that differ in their capitals alone. Asked of each but the first."""
    for what, names in mentions.names_of_taxonomy(policy):
        firsts: dict[str, Mention] = {}
        for path, name in names:
            first, usual = firsts.setdefault(name.casefold(), (path, name))
            if usual != name:
                file, line = said.line_of(first)
                text = f"the {what} {name!r} is another one than {usual!r} ({file}:{line})"
                yield Wrong(*said.line_of(path), f"{text}: put what stands below both into one, if they are one")


def _of_capitals(policy: Policy, said: Texts) -> Iterator[Wrong]:
    """Context items that differ in their capitals alone: what one rule gives, another does not find. Asked of each name
    but the one that stands most often, or first."""
    places: dict[str, list[Path]] = {}
    for path, name in mentions.given_items(policy):
        places.setdefault(name, []).append(path)
    alike: dict[str, list[str]] = {}
    for name in sorted(places, key=lambda name: -len(places[name])):
        alike.setdefault(name.casefold(), []).append(name)
    for usual, *others in alike.values():
        for name in others:
            file, line = said.line_of(places[usual][0])
            text = f"the item {name!r} is another one than {usual!r} ({file}:{line}): write both alike, if they are one"
            yield Wrong(*said.line_of(places[name][0]), text)


def _of_queues(policy: Policy, said: Texts) -> Iterator[Wrong]:
    """One remark for each pair of names, at the one that stands there only once: the default one where the other is
    named more often."""
    uses = list(mentions.queues(policy))
    names = Counter(name for _, name in uses)
    asked: set[str] = set()
    once = [(path, name) for path, name in [*uses[1:], uses[0]] if names[name] == 1 and path in said.lines]
    if len(once) * len(names) > PAIRS_MAX:
        return
    for path, name in once:
        others = names.keys() - {name} - asked
        if near := _near(name, others):
            asked.add(name)
            text = (
                f"the queue {name!r} is named nowhere else: is it another one than {near!r}? Somebody has to watch it"
            )
            yield Wrong(*said.line_of(path), text)


def _of_moved(said: Texts, accounts: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Wrong]:
    """Accounts that would be another channel's: also those that a bundle no longer has, and the settings do."""
    for account, channel in accounts.items():
        if (was := now.get(account, channel)) != channel:
            text = (
                f"account {account} is a line of {was} now, and would be one of {channel}: what waits to leave by it on"
                f" {was} is not sent, but given up (dead letters, account_moved), and who replies there is refused."
                " A new name for the new line, beside the old one until nothing waits for that, loses nothing"
            )
            yield Wrong(*_where(said, account), text)


def _of_brought_back(
    said: Texts, accounts: Mapping[str, str], now: Mapping[str, str], former: Mapping[str, Collection[str]]
) -> Iterator[Wrong]:
    """Accounts that there are none of now, and that were another channel's when there were."""
    for account, channel in accounts.items():
        were = sorted({*former.get(account, ())} - {channel}) if account not in now else []
        if were:
            text = (
                f"account {account} was a line of {' and '.join(were)} before there was none of that name, and would be"
                f" one of {channel}: what waits to leave by it there still is not sent, but given up (dead letters,"
                " account_moved), also when it is replayed. A name that was none's before loses nothing"
            )
            yield Wrong(*_where(said, account), text)


def _where(said: Texts, account: str) -> tuple[str, int]:
    return said.lines.get(("accounts", account, "channel")) or said.lines.get(("accounts",), (ACCOUNTS, 1))


def _nearly(uses: Iterable[Mention], known: Iterable[str], said: Texts, text: str) -> Iterator[Wrong]:
    """Names that are not known, and nearly one that is."""
    there = set(known)
    unknown = [(path, name) for path, name in uses if name not in there and path in said.lines]
    if len(unknown) * len(there) > PAIRS_MAX:
        return
    for path, name in unknown:
        if near := _near(name, there):
            yield Wrong(*said.line_of(path), f"{text.format(name)}: did you mean {near!r}?")


def _near(name: str, others: Iterable[str]) -> str:
    """The nearest, whatever its capitals; none that differs in its digits alone, as `tier1` and `tier2` do."""
    letters = name.strip("0123456789")
    apart = {each.casefold(): each for each in others if each.strip("0123456789") != letters}
    return next((apart[near] for near in get_close_matches(name.casefold(), apart, 1, NEAR)), "")
