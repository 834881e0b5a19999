"""Commands by which two customers become one, and two again."""

from protocol.commands.command import Command


class MergeCustomers(Command, kw_only=True, frozen=True, tag="merge_customers"):
    """Say that `other` is the same person: its conversations, identities and past are this customer's from then on.
    Addressed to the customer that keeps its id. Undone by `unmerge_customers`."""

    other: str
    reason: str = ""


class UnmergeCustomers(Command, kw_only=True, frozen=True, tag="unmerge_customers"):
    """Say that `other`, which was merged into this customer, is somebody else: each interaction goes back with its own
    identity. Addressed to the customer it was merged into."""

    other: str
    reason: str = ""


class GiveCustomer(Command, kw_only=True, frozen=True, tag="give_customer"):
    """Give `customer` to `to`: the first half of a merge. Addressed to `customer`; the server's own.

    With `identity` it is by a rule of the policy, since both are said to have it: refused where it is not `customer`'s,
    where both have shown it to be theirs (`verified`: the other has), and where both have one of a kind that is single
    (`kinds`: those that the other has)."""

    customer: str
    to: str
    reason: str = ""
    identity: str = ""
    verified: bool = False
    kinds: list[str] = []
