"""In force: the policy as a gateway or channel host has heard of it, and the accounts that there are under it.

The mappings here are the same objects over all versions: whoever holds one sees the accounts change.
"""

from collections.abc import Callable, Sequence

import msgspec

from actors.rules.identity import MISTAKEN
from actors.rules.policies import unpacked
from actors.rules.policy import Policy
from orchestrator.settings import Account, GatewayAccount
from orchestrator.way_in.intake import AccountRule
from protocol.identities import KINDS
from protocol.links import PolicyIs


class InForce:
    """`first` and `accounts` are what the settings say."""

    def __init__(self, first: Policy, accounts: Sequence[Account]) -> None:
        self._set_up = {account.name: account for account in accounts}
        self.policy = first
        self.accounts: dict[str, Account] = {}
        self.rules: dict[str, AccountRule] = {}
        """What the intake needs of them."""
        self.kinds: frozenset[str] = frozenset()
        """Of identities: those that the accounts' channels have of their own, each called as its channel."""
        self.on_accounts: Callable[[], None] = lambda: None
        """Called when they may have changed."""
        self._take_in(first)

    def heard(self, said: PolicyIs) -> None:
        """A cell decides by a newer version."""
        self.policy = msgspec.structs.replace(unpacked(said.version, said.body), former=said.former)
        self._take_in(self.policy)
        self.on_accounts()

    def _take_in(self, policy: Policy) -> None:
        added = {
            name: GatewayAccount(
                name=name, channel=rules.channel, trusted=rules.trusted, queue=rules.queue or "default"
            )
            for name, rules in policy.accounts.items()
        }
        accounts = {**self._set_up, **added}
        for name in self.accounts.keys() - accounts.keys():
            del self.accounts[name], self.rules[name]
        self.accounts.update(accounts)
        self.rules.update({name: AccountRule(trusted=account.trusted) for name, account in accounts.items()})
        channels = {account.channel.lower() for account in accounts.values() if isinstance(account, GatewayAccount)}
        self.kinds = frozenset(channels - KINDS - MISTAKEN.keys())
