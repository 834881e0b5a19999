"""Commands on deliveries that wait for a person's word."""

from protocol.commands.command import Command


class ReplayDelivery(Command, kw_only=True, frozen=True, tag="replay_delivery"):
    """Send a dead or held delivery again."""

    delivery: str


class SettleDelivery(Command, kw_only=True, frozen=True, tag="settle_delivery"):
    """Say what became of a held delivery, as somebody found out: it did leave, by `external_id` where it is known, and
    is not sent again; or it did not (`left`), and is a dead letter."""

    delivery: str
    external_id: str = ""
    left: bool = True
