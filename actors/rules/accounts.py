"""Accounts: whether the one is there by which something is to leave, which others there are, and what fits. Pure.

An account goes with a new version of the policy, or with a start under other settings; conversations go on, and what
they would send by it could only become a dead letter. Or it becomes a line of another channel, and whoever serves it
now would speak to the customer where they were not. So nobody is let queue it: they hear which accounts there are, and
choose. None is chosen for them, since the customer would be spoken to from an address that they do not know.
"""

from collections.abc import Iterable, Mapping

from actors.rules.policy import Policy
from protocol.errors import Code, Refusal
from protocol.lengths import utf16_length

NAMED_MAX = 16
"""Accounts that one message names: whose channel has hundreds of lines does not choose among them by reading."""


def check_there(account: str, channel: str, policy: Policy, *, instead: str) -> None:
    """Raises `Refusal` where nothing of the channel leaves by the account; `instead` says what to do where the channel
    has others."""
    if not (why := gone(account, channel, policy)):
        return
    way_on = f"{instead}, or go on by another channel" if policy.accounts_of(channel) else "go on by another channel"
    raise Refusal(Code.NOT_ALLOWED_NOW, f"{why}; {way_on}", field="account")


def check_fits(text: str, account: str, channel: str, policy: Policy, *, instead: str) -> None:
    """Raises `Refusal` where the text is longer than what leaves there; `instead` says what to do."""
    if why := too_long(text, account, channel, policy):
        raise Refusal(Code.OVER_LIMIT, f"{why}; {instead}", field="text")


def too_long(text: str, account: str, channel: str, policy: Policy) -> str:
    """By how much a text is longer than what leaves there; empty where it is not, as far as anyone said.

    Nothing is split: of parts one may fail, or be of unknown outcome, and the customer has half of what was said."""
    limit = policy.text_max(account, channel)
    if not limit or len(text) * 2 <= limit or (length := utf16_length(text)) <= limit:
        return ""
    return f"the text has {length} characters, and a message on {channel} by account {account} has at most {limit}"


def check_serves(account: str, channel: str, policy: Policy) -> None:
    """Raises `Refusal` where an account is one of another channel."""
    of = (policy.channel_of or {}).get(account, channel)
    if of != channel:
        text = f"account {account} is one of {of}, not of {channel}; {_of_channel(channel, policy)}"
        raise Refusal(Code.INVALID, text, field="account")


def gone(account: str, channel: str, policy: Policy) -> str:
    """That there is no such account, or that it is another channel's by now, and which the channel has; empty where it
    can leave by it, as far as anyone said."""
    if not policy.has_account(account):
        return f"no account {account} is configured; {_of_channel(channel, policy)}"
    if moved := moved_away(account, channel, policy):
        return f"{moved}; {_of_channel(channel, policy)}"
    return ""


def former_channels(now: Mapping[str, str], lines: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """Account → the channels that it was a line of, by `lines` (account and channel, of whatever time), and is not
    `now`: one that there is no more was a line of all of them, and may come back as another's."""
    former: dict[str, frozenset[str]] = {}
    for account, channel in lines:
        if now.get(account) != channel:
            former[account] = former.get(account, frozenset()) | {channel}
    return former


def moved_away(account: str, channel: str, policy: Policy) -> str:
    """That the account was a line of this channel, and is one of another by now; empty where it is not so."""
    if not policy.moved(account, channel):
        return ""
    of = policy.accounts[account].channel if account in policy.accounts else (policy.channel_of or {}).get(account, "")
    return f"account {account} was a line of {channel}, and is one of {of} by now"


def _of_channel(channel: str, policy: Policy) -> str:
    others = policy.accounts_of(channel)
    more = f" and {len(others) - NAMED_MAX} more" if len(others) > NAMED_MAX else ""
    return f"{channel} has {', '.join(others[:NAMED_MAX])}{more}" if others else f"{channel} has none"
