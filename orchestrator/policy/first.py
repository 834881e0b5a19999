"""The first policy: made of the settings. It decides until a bundle is applied, and says what no bundle does."""

from collections.abc import Iterable

from actors.rules.accounts import former_channels
from actors.rules.policy import DAY_MS, ChannelRules, Policy
from adapters.channels.twilio.inbound import BODY_MAX
from orchestrator.bundles.making import SetUp
from orchestrator.policy.former_lines import Lines
from orchestrator.settings import Account, EmailAccount, GatewayAccount, Settings, TwilioAccount


def policy_of(settings: Settings, noted: Iterable[Lines] = ()) -> Policy:
    """What the settings say about channels, queues, times and attempts. `noted`: the lines of this start and of those
    before it."""
    given = settings.policy
    lines = lines_of(settings)
    account_of: dict[str, str] = {}
    for account in settings.accounts:
        account_of.setdefault(channel_of(account), account.name)
    channels = {*account_of, *given.rest_after_s, *given.uncertain}
    plain, plain_channel = Policy(), ChannelRules()
    return Policy(
        channel_of=lines,
        former=former_channels(lines, (line for each in noted for line in each.items())),
        provider_max={account.name: BODY_MAX for account in settings.accounts if isinstance(account, TwilioAccount)},
        channels={
            channel: ChannelRules(
                account=account_of.get(channel, ""),
                rest_after_ms=_ms(given.rest_after_s.get(channel, plain_channel.rest_after_ms / 1000)),
                uncertain=given.uncertain.get(channel, plain_channel.uncertain),
            )
            for channel in channels
        },
        # Those in the default queue are not named: a bundle says which that is.
        queues={account.name: account.queue for account in settings.accounts if account.queue != plain.queue_default},
        close_after_resolved_ms=_ms(given.close_after_resolved_s),
        attempts_max=given.attempts_max,
        backoff_ms=_ms(given.backoff_s),
        backoff_max_ms=_ms(given.backoff_max_s),
        line_wait_ms=_ms(given.line_wait_s),
        once_keys_ms=round(given.once_keys_days * DAY_MS),
    )


def lines_of(settings: Settings) -> dict[str, str]:
    """Account → channel."""
    return {account.name: channel_of(account) for account in settings.accounts}


def set_up_of(settings: Settings) -> SetUp:
    """What a bundle is made over."""
    kinds = {account.name: type(account).__name__.removesuffix("Account").lower() for account in settings.accounts}
    return SetUp(policy_of(settings), {a.name: (kinds[a.name], channel_of(a)) for a in settings.accounts})


def channel_of(account: Account) -> str:
    """The channel an account is a line of."""
    match account:
        case EmailAccount():
            return "email"
        case TwilioAccount():
            return "sms"
        case GatewayAccount():
            return account.channel


def served_by(settings: Settings) -> dict[str, str]:
    """By account: the kind of peer that makes its deliveries, `channels` or `gateway`."""
    return {
        account.name: "gateway" if isinstance(account, GatewayAccount) else "channels" for account in settings.accounts
    }


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
