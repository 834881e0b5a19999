"""Commands on deliveries that wait for a person's word."""

from protocol.commands.command import Command


class ReplayDelivery(Command, kw_only=True, frozen=True, tag="replay_delivery"):
    """Send a dead or held delivery again."""

    delivery: str


class SettleDelivery(Command, kw_only=True, frozen=True, tag="settle_delivery"):
    """Say that a held delivery did leave, as somebody found out, by `external_id` where it is known: it is not sent
    again."""

    delivery: str
    external_id: str = ""
