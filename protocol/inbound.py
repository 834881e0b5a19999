"""Inbound events: what a channel says happened, in one form whatever the channel.

An inbound event is a CloudEvents 1.0 event (`id`, `source`, `type`, `time`; see
`orchestrator/gateway/incoming/cloudevents.py` for its HTTP forms) plus the channel account it came in by, the
identities it carries, and typed `data`. The union `Data` is closed: `type` picks the member. Adapters build it,
gateways check it, cells decide on it.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct

from protocol.entities import Direction

TEXT_MAX = 256 * 1024
"""Characters of one message's text; a longer one is refused (mail: cut, with the whole kept as an attachment)."""
IDENTITIES_MAX = 8
ATTACHMENTS_MAX = 64
REFERENCES_MAX = 32
PAST_MESSAGES_MAX = 1000
"""Of one contact of the past: it is decided and committed as one."""

WholeNumber = Annotated[int, Meta(ge=-(2**53) + 1, le=2**53 - 1)]
"""Every integer that comes from outside: exact in any language's JSON (RFC 8259 §6), in MessagePack and in SQL. JSON
itself has no bound, and a number of eighty digits must fail at the edge and not in a cell."""


CONTEXT_KEY_MAX = 128
CONTEXT_VALUE_MAX = 4096
"""Characters."""
CONTEXT_GIVEN_MAX = 64
"""Items that one event may bring."""

ContextScalar = Annotated[str, Meta(max_length=CONTEXT_VALUE_MAX)] | WholeNumber | float | bool | None
GivenContext = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=CONTEXT_KEY_MAX)], ContextScalar],
    Meta(max_length=CONTEXT_GIVEN_MAX),
]
"""What a channel already knows of the issue, by key: an IVR's menu and PIN, an app's contract number."""


class Attachment(Struct, kw_only=True, omit_defaults=True, frozen=True, gc=False):
    """A file that came with a message. The bytes lie under `sha256` in the attachment folder, or at `url`."""

    name: str
    media_type: str = "application/octet-stream"
    size_bytes: WholeNumber = 0
    sha256: str = ""
    """Lower-case hex; empty where only `url` is known."""
    url: str = ""


class Data(Struct, kw_only=True, omit_defaults=True, frozen=True, tag_field="type", gc=False):
    """Base of what an inbound event says; the CloudEvents `type` is the tag."""


class MessageArrived(Data, kw_only=True, frozen=True, tag="throughline.message.received"):
    """The customer wrote or said something."""

    text: str
    subject: str = ""
    attachments: list[Attachment] = []
    reference: str = ""
    """The message's own thread reference: a mail's Message-ID, a chat session's id."""
    in_reply_to: list[str] = []
    """Thread references of the messages it answers, the nearest first (RFC 5322 §3.6.4)."""
    automatic: str = ""
    """`auto_reply` where a machine wrote it for the customer (RFC 3834); empty for the customer's own words."""
    session: str = ""
    """The channel's own id of the contact (a chat session), where it has one."""
    context: GivenContext | None = None
    """What is known of the issue by this, by key: values of the conversation's context."""


class ActivityArrived(Data, kw_only=True, frozen=True, tag="throughline.activity.seen"):
    """The customer did something on the web or in the app: viewed a bill, failed to pay."""

    name: str
    properties: dict[str, Any] = {}
    context: GivenContext | None = None
    """What is known of the issue by this, by key: values of the conversation's context."""


class InteractionBegan(Data, kw_only=True, frozen=True, tag="throughline.interaction.started"):
    """A contact with an explicit start began: a call rang, a chat opened."""

    session: str = ""
    subject: str = ""
    context: GivenContext | None = None
    """What is known of the issue by this, by key: values of the conversation's context."""


class InteractionStopped(Data, kw_only=True, frozen=True, tag="throughline.interaction.ended"):
    """A contact ended: the call was hung up, the chat was left."""

    session: str = ""
    reason: str = ""
    context: GivenContext | None = None
    """What is known of the issue by this, by key: values of the conversation's context."""


SENT = "sent"
"""The channel has it, and tries to bring it."""
REPORTED = (SENT, "delivered", "read", "undelivered", "bounced")
"""What a channel may say became of a message."""
ARRIVED = ("delivered", "read")
"""Those by which the customer has it."""


class DeliveryReport(Data, kw_only=True, frozen=True, tag="throughline.delivery.reported"):
    """The channel reports what became of a message of ours."""

    delivery: str
    """Our delivery id (`<conversation>.<seq>`)."""
    status: str
    """`sent`, `delivered`, `read`, `undelivered` or `bounced`."""
    external_id: str = ""
    code: str = ""
    """The provider's own code, uninterpreted."""
    digest: str = ""
    """The `digest` of the `deliver` frame, where the channel gives it back: a report with another one is on another
    message, of which a server that was restored from a backup knows nothing."""


class PastMessage(Struct, kw_only=True, omit_defaults=True, frozen=True, gc=False):
    """What was said then, by the customer (`inbound`) or to them."""

    at_ms: WholeNumber
    text: str
    direction: Direction = Direction.INBOUND
    author: str = ""
    """Who of ours wrote it; empty: a machine, or nobody knows."""


class PastConversation(Data, kw_only=True, frozen=True, tag="throughline.conversation.past"):
    """A contact of the past, whole and over: an operator imports it (`throughline import`); from anybody else it is
    refused. The event's time is when it began."""

    messages: list[PastMessage] = []
    subject: str = ""
    queue: str = ""
    """Who had it; empty: the account's."""
    ended_ms: WholeNumber = 0


AnyData = MessageArrived | ActivityArrived | InteractionBegan | InteractionStopped | DeliveryReport | PastConversation


class InboundEvent(Struct, kw_only=True, omit_defaults=True, frozen=True, gc=False):
    """One event of a channel account. (`account`, `source`, `id`) names it: the same triple has one effect."""

    id: str
    source: str
    time_ms: WholeNumber
    """When it happened by the provider's clock, milliseconds since 1970 UTC."""
    account: str
    channel: str
    identities: list[str]
    """The identity the channel itself vouches for comes first; more are links where the account is trusted."""
    data: AnyData
    raw: dict[str, Any] = {}
    """Provider extras nobody branches on."""
