"""Strangers: connections whose clients have shown no token, by the address they come from.

One address must not take all the connections there are before anybody asks who it is. All that come through a proxy
have its address: it bounds each of them itself (`docs/operations.md` has how), and is not counted here. Nor is this
machine.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

PROVEN = "throughline.proven"
"""A scope's extension: a function to call once the client is known."""
OF_ONE_V6 = 64
"""Bits of an IPv6 address that say whose it is; the others are the owner's to choose (RFC 6177)."""

_Address = IPv4Address | IPv6Address


class Strangers:
    """How many there are, by address."""

    def __init__(self, per_address: int, proxies: Iterable[str] = ()) -> None:
        """`per_address` 0: any number. `proxies` are addresses or networks."""
        self.per_address = per_address
        self._proxies = [ip_network(each, strict=False) for each in proxies]
        self._of: dict[int, int] = {}

    def __len__(self) -> int:
        return sum(self._of.values())

    def owner(self, peer: str) -> int:
        """Under what a peer is counted; 0: it is not."""
        if not self.per_address:
            return 0
        try:
            address: _Address = ip_address(peer.partition("%")[0])
        except ValueError:
            return 0
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if address.is_loopback or any(address in proxies for proxies in self._proxies):
            return 0
        # No IPv4 address is as large as the first half of one that IPv6 gives out.
        return int(address) >> (128 - OF_ONE_V6) if isinstance(address, IPv6Address) else int(address)

    def comes(self, owner: int) -> bool:
        """One more of an owner's; False, and not counted, where that is too many."""
        count = self._of.get(owner, 0)
        if count >= self.per_address:
            return False
        self._of[owner] = count + 1
        return True

    def leaves(self, owner: int) -> None:
        """One of them is known now, or gone."""
        if self._of[owner] == 1:
            del self._of[owner]
        else:
            self._of[owner] -= 1
