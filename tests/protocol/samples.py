"""A frame of each kind with the fields that matter in use: the golden files hold them, property tests start there."""

from protocol.commands import Reply
from protocol.entities import (
    ContextItem,
    ConversationSummary,
    ConversationView,
    Delivery,
    Interaction,
    Relation,
    RelationKind,
    Status,
)
from protocol.events import ActivitySeen, MessageReceived, Once
from protocol.frames import (
    Accounts,
    Ack,
    CommandFrame,
    Deliver,
    Delivered,
    Drain,
    Error,
    EventFrame,
    EventsFrame,
    Flow,
    Frame,
    Heads,
    Hello,
    Inbox,
    Limits,
    Nack,
    Ping,
    Pong,
    Position,
    Presence,
    Result,
    Resync,
    Snapshot,
    Unwatch,
    Update,
    Watch,
    Welcome,
)
from protocol.inbound import ActivityArrived, Attachment, InboundEvent, MessageArrived

CUSTOMER = "cu7k2m9xq4t8w3bnzd"
CONVERSATION = f"{CUSTOMER}-1"
GENERATION = "g5t0c2"

MESSAGE = InboundEvent(
    id="m-1001",
    source="shop.example/chat",
    time_ms=1_767_225_600_000,
    account="chat",
    channel="chat",
    identities=["chat:visitor-88", "mailto:ann@example.org"],
    data=MessageArrived(
        text="My bill is wrong ✉",
        session="s-1",
        attachments=[
            Attachment(name="bill.pdf", media_type="application/pdf", size_bytes=48_211, url="https://x.example/b")
        ],
    ),
)
ACTIVITY = InboundEvent(
    id="a-7",
    source="shop.example/web",
    time_ms=1_767_225_500_000,
    account="chat",
    channel="web",
    identities=["web:88"],
    data=ActivityArrived(name="bill_viewed", properties={"amount": 12.5, "items": [1, None, {"paid": False}]}),
    raw={"agent": "Mozilla/5.0"},
)
RECEIVED = MessageReceived(
    at_ms=1_767_225_600_120,
    actor="customer",
    once=Once(key=2**64 - 3, digest=4_000_000_000),
    policy=1,
    interaction=1,
    channel="chat",
    identity="chat:visitor-88",
    source="shop.example/chat",
    id="m-1001",
    provider_ms=1_767_225_600_000,
    text="My bill is wrong ✉",
)
SEEN = ActivitySeen(
    at_ms=1_767_225_600_300,
    interaction=2,
    channel="web",
    identity="web:88",
    provider_ms=1_767_225_500_000,
    name="bill_viewed",
    properties={"amount": 12.5},
)
ROW = ConversationSummary(
    conversation=CONVERSATION,
    customer=CUSTOMER,
    head=4,
    queue="default",
    subject="Bill",
    channel="chat",
    updated_at_ms=1_767_225_600_300,
)
VIEW = ConversationView(
    conversation=CONVERSATION,
    customer=CUSTOMER,
    status=Status.SNOOZED,
    queue="default",
    owner="ann",
    subject="Bill",
    opened_at_ms=1_767_225_600_120,
    updated_at_ms=1_767_225_600_300,
    wake_at_ms=1_767_312_000_000,
    identities=["chat:visitor-88"],
    interactions=[Interaction(number=1, channel="chat", account="chat", identity="chat:visitor-88")],
    context=[ContextItem(key="bill", value=12.5, channel="web", interaction=2, version=2)],
    deliveries=[
        Delivery(id=f"{CONVERSATION}.6", channel="email", account="mail", to="mailto:ann@example.org", text="Fixed.")
    ],
    relation=Relation(kind=RelationKind.REPEATS, conversation=f"{CUSTOMER}-0", reason="the same subject"),
)
FROM_AGENT: dict[str, Frame] = {
    "hello_agent": Hello(
        token="tl_agent_…",
        client="desk/1.0",
        generation=GENERATION,
        positions=[Position(conversation=CONVERSATION, seq=4)],
        inboxes=["queue:default", "mine"],
    ),
    "pong": Pong(),
    "presence": Presence(state="online"),
    "watch_conversation": Watch(conversation=CONVERSATION, generation=GENERATION, seq=4, ref="w1"),
    "watch_inbox": Watch(inbox="queue:default"),
    "unwatch": Unwatch(customer=CUSTOMER),
    "command": CommandFrame(id="k-1", command=Reply(text="We are on it.", channel="email"), conversation=CONVERSATION),
}
FROM_GATEWAY: dict[str, Frame] = {
    "hello_gateway": Hello(token="tl_gateway_…", client="chat-bridge/2", accounts=["chat"]),
    "event": EventFrame(event=MESSAGE),
    "events": EventsFrame(events=[MESSAGE, ACTIVITY]),
    "delivered": Delivered(delivery=f"{CONVERSATION}.6", attempt=1, status="sent", external_id="x-99"),
}
TO_AGENT: dict[str, Frame] = {
    "welcome": Welcome(
        session="s-5f1",
        name="ann",
        generation=GENERATION,
        heartbeat_ms=10_000,
        limits=Limits(message_bytes=1_048_576, frames=4096, watches=10_000, credits=0),
    ),
    "error": Error(code=4207, message="there is no such conversation", ref=f"conversation={CONVERSATION}"),
    "drain": Drain(),
    "result": Result(id="k-1", conversation=CONVERSATION, seq=6),
    "snapshot": Snapshot(conversation=CONVERSATION, generation=GENERATION, seq=4, view=VIEW, recent=[RECEIVED, SEEN]),
    "update": Update(conversation=CONVERSATION, seq=5, events=[RECEIVED]),
    "heads": Heads(heads={CONVERSATION: 6}),
    "resync": Resync(conversations=[CONVERSATION], inboxes=["mine"]),
    "inbox": Inbox(inbox="queue:default", entries=[ROW], removed=[f"{CUSTOMER}-0"]),
}
TO_GATEWAY: dict[str, Frame] = {
    "ping": Ping(),
    "accounts": Accounts(taken=["chat"], untaken={"pigeon": "account: 'pigeon' is not configured"}),
    "ack": Ack(ids=["m-1001", "a-7"]),
    "nack": Nack(id="m-1002", code=4204, message="event: the event carries no identity", retryable=False),
    "flow": Flow(credits=512),
    "deliver": Deliver(
        delivery=f"{CONVERSATION}.6",
        attempt=1,
        account="chat",
        channel="chat",
        to="chat:visitor-88",
        text="We are on it.",
        references=["s-1"],
    ),
}
ALL: dict[str, Frame] = {**FROM_AGENT, **FROM_GATEWAY, **TO_AGENT, **TO_GATEWAY}
