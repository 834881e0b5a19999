"""Cases of correlation, each named by its situation: what was open, what comes in, and where it belongs.

A customer's conversations are `1`, `2` … in the order of opening. Times are minutes before now.
"""

from msgspec import Struct

from actors.inbound.relating import Past
from actors.rules.correlation import NO_RULES, CorrelationRules, Window
from actors.state.conversation import Conversation, Work
from actors.tags.labels import NO_TAGS
from protocol.entities import Interaction, RelationKind, Status, Tag, Tags
from protocol.inbound import (
    ActivityArrived,
    AnyData,
    DeliveryReport,
    InboundEvent,
    InteractionBegan,
    InteractionStopped,
    MessageArrived,
)

CUSTOMER = "cu1"
MINUTE_MS = 60_000
HOUR = 60
DAY = 24 * HOUR
NOW_MS = 100 * DAY * MINUTE_MS


class Case(Struct, frozen=True):
    """A situation and its answer: `goes_to` is a conversation's number, 0 a new one with `relation` to an earlier."""

    name: str
    event: InboundEvent
    conversations: tuple[Conversation, ...] = ()
    past: tuple[Past | int, ...] = ()
    tags: Tags = NO_TAGS
    rules: CorrelationRules = NO_RULES
    goes_to: int = 0
    relation: tuple[RelationKind, int] | None = None
    reason: str = ""
    """A part of the reason, of the relation's where it is a new conversation with one."""


# What was


def conversation(
    number: int,
    *contacts: Interaction,
    topic: str = "",
    intent: str = "",
    keys: tuple[str, ...] = (),
    references: tuple[str, ...] = (),
    status: Status = Status.OPEN,
) -> Conversation:
    """A live conversation of these contacts; its newest change is that of the newest of them."""
    made = Conversation(
        id=f"{CUSTOMER}-{number}", customer=CUSTOMER, interactions=contacts, references=references, status=status
    )
    made.tags = about(topic, intent, keys) if topic or intent or keys else None
    made.updated_at_ms = max((contact.last_at_ms for contact in contacts), default=0)
    return made


def resolved(
    number: int,
    minutes_ago: int,
    *contacts: Interaction,
    topic: str = "",
    keys: tuple[str, ...] = (),
    references: tuple[str, ...] = (),
) -> Conversation:
    """One that was said to be done."""
    made = conversation(number, *contacts, topic=topic, keys=keys, references=references, status=Status.RESOLVED)
    made.work = Work(actions=1, resolutions=1, resolved_at_ms=NOW_MS - minutes_ago * MINUTE_MS)
    return made


def past(number: int, resolved_ago: int, topic: str = "", intent: str = "", keys: tuple[str, ...] = ()) -> Past:
    """One that is over."""
    return Past(f"{CUSTOMER}-{number}", about(topic, intent, keys), NOW_MS - resolved_ago * MINUTE_MS)


def contact(
    channel: str,
    minutes_ago: int,
    *,
    identity: str = "x:1",
    session: str = "",
    origins: tuple[tuple[str, int], ...] = (),
    ended_at_ms: int = 0,
) -> Interaction:
    """A contact on a channel, silent for so long."""
    return Interaction(
        number=1,
        channel=channel,
        account=channel,
        identity=identity,
        session=session,
        origins=origins,
        last_at_ms=NOW_MS - minutes_ago * MINUTE_MS,
        ended_at_ms=ended_at_ms,
    )


def about(topic: str = "", intent: str = "", keys: tuple[str, ...] = ()) -> Tags:
    """Tags by words."""
    return Tags(topic=_tag(topic), intent=_tag(intent), keys=keys)


def _tag(value: str) -> Tag | None:
    return Tag(value=value, tagger="words", matched=value) if value else None


# What comes


def event(channel: str, data: AnyData | None = None) -> InboundEvent:
    """A message, unless something else is given."""
    return InboundEvent(
        id="e1",
        source="test",
        time_ms=NOW_MS,
        account=channel,
        channel=channel,
        identities=["x:1"],
        data=data or MessageArrived(text="hello"),
    )


def mail(*in_reply_to: str) -> InboundEvent:
    """A mail that answers others."""
    return event("email", MessageArrived(text="hello", in_reply_to=[*in_reply_to]))


def call(session: str = "call-2") -> InboundEvent:
    """A call rings."""
    return event("phone", InteractionBegan(session=session))


PAGE = event("web", ActivityArrived(name="page.viewed", properties={"page": "/bills"}))

MENU = event("phone", ActivityArrived(name="ivr.choice", properties={"menu": "claims"}))

# Rules

APP_TO_PHONE = CorrelationRules(
    windows=(
        Window(earlier="app", later="phone", within_ms=2 * HOUR * MINUTE_MS),
        Window(earlier="chat", within_ms=1 * HOUR * MINUTE_MS),
        Window(earlier="email", later="email", within_ms=30 * DAY * MINUTE_MS),
    ),
    unlisted="new",
)
CHAT_ANY = CorrelationRules(windows=(Window(earlier="chat", within_ms=HOUR * MINUTE_MS),), unlisted="new")
LENIENT = CorrelationRules(windows=APP_TO_PHONE.windows, unlisted="join")
OTHER_TOPIC_NEW = CorrelationRules(other_topic="new")
RESOLVED_IS_OVER = CorrelationRules(after_resolved="new", repeat_within_ms=7 * DAY * MINUTE_MS)
REPEATS = CorrelationRules(repeat_within_ms=7 * DAY * MINUTE_MS)
CONTRACT_IS_BROAD = CorrelationRules(
    broad_keys=("contract",), other_topic="new", unlisted="new", repeat_within_ms=7 * DAY * MINUTE_MS
)
ESCALATES = CorrelationRules(
    escalating_intents=("complaint",), repeat_within_ms=7 * DAY * MINUTE_MS, other_topic="new", unlisted="new"
)
CLAIM = "claim:CLM123456"
OTHER_CLAIM = "claim:CLM999999"
ORDER = "order:A1000"
CONTRACT = "contract:P1000"
OTHER_CONTRACT = "contract:P2000"

FOLLOWS, CONTINUES = RelationKind.FOLLOWS_UP, RelationKind.CONTINUES
REPEATS_IT, ESCALATES_IT = RelationKind.REPEATS, RelationKind.ESCALATES

WITHOUT_RULES = (
    Case("a stranger's first message", event("sms"), reason="first contact"),
    Case("a stranger's first call", call(), reason="first contact"),
    Case("a message while one conversation is open", event("sms"), (conversation(1, contact("email", 5)),), goes_to=1,
         reason="the open conversation"),
    Case("another channel, weeks after the last word", event("phone"), (conversation(1, contact("app", 30 * DAY)),),
         goes_to=1, reason="the open conversation"),
    Case("a message while two are open joins the newer", event("sms"),
         (conversation(1, contact("email", 50)), conversation(2, contact("chat", 5))), goes_to=2,
         reason="the newest open conversation"),
    Case("a message while two are open and the older was touched last", event("sms"),
         (conversation(1, contact("email", 5)), conversation(2, contact("chat", 50))), goes_to=1,
         reason="the newest open conversation"),
    Case("a message after everything was closed", event("sms"), past=(1, 2), relation=(FOLLOWS, 2),
         reason="the customer's next contact"),
    Case("a message after one was resolved and not yet closed", event("sms"), (resolved(1, 10, contact("sms", 20)),),
         goes_to=1, reason="the open conversation"),
    Case("a message while one sleeps", event("sms"),
         (conversation(1, contact("sms", 20), status=Status.SNOOZED),), goes_to=1, reason="the open conversation"),
    Case("a page view while one is open", PAGE, (conversation(1, contact("email", 5)),), goes_to=1,
         reason="the open conversation"),
    Case("a page view while nothing is open", PAGE, past=(1,), relation=(FOLLOWS, 1)),
    Case("a closed conversation that is still in memory", event("sms"),
         (conversation(1, contact("sms", 9), status=Status.CLOSED),), past=(1,), relation=(FOLLOWS, 1)),
    Case("a topic is known and the open conversation has none", event("sms"), (conversation(1, contact("email", 5)),),
         tags=about("bill"), goes_to=1, reason="the open conversation"),
    Case("another topic than the open one's", event("sms"), (conversation(1, contact("email", 5), topic="claim"),),
         tags=about("bill"), goes_to=1, reason="the open conversation"),
)  # fmt: skip

NAMED = (
    Case("a report on a delivery", event("sms", DeliveryReport(delivery="cu1-1.7", status="delivered")),
         (conversation(1, contact("sms", 5)), conversation(2, contact("sms", 1))), goes_to=1, reason="delivery"),
    Case("a report on a delivery of a closed conversation",
         event("sms", DeliveryReport(delivery="cu1-1.7", status="delivered")),
         (conversation(2, contact("sms", 1)),), past=(1,), goes_to=1, reason="delivery"),
    Case("a mail that answers the older of two", mail("one@x"),
         (conversation(1, contact("email", 500), references=("one@x",)), conversation(2, contact("chat", 1))),
         goes_to=1, reason="thread reference"),
    Case("a mail that answers our own message", mail("cu1-1.4@example.org"),
         (conversation(1, contact("email", 500)), conversation(2, contact("chat", 1))), goes_to=1,
         reason="thread reference"),
    Case("a mail that answers a closed conversation", mail("cu1-1.4@example.org"),
         (conversation(2, contact("chat", 1)),), past=(1,), relation=(CONTINUES, 1), reason="answers a message of it"),
    Case("a mail that answers a message nobody knows", mail("elsewhere@y"), (conversation(1, contact("chat", 1)),),
         goes_to=1, reason="the open conversation"),
    Case("the nearest reference of several counts", mail("two@x", "one@x"),
         (conversation(1, contact("email", 5), references=("one@x",)),
          conversation(2, contact("email", 9), references=("two@x",))), goes_to=2, reason="thread reference"),
    Case("an answer to a resolved conversation's mail", mail("one@x"),
         (resolved(1, 10, contact("email", 20), references=("one@x",)),), rules=RESOLVED_IS_OVER, goes_to=1,
         reason="thread reference"),
    Case("an answer in a thread, about another topic", mail("one@x"),
         (conversation(1, contact("email", 20), topic="claim", references=("one@x",)),), tags=about("bill"),
         rules=OTHER_TOPIC_NEW, goes_to=1, reason="thread reference"),
    Case("an answer to a conversation that was joined into another", mail("cu1-2.4@example.org"),
         (conversation(1, contact("email", 5, origins=(("cu1-2", 1),))), conversation(3, contact("chat", 1))),
         past=(2,), goes_to=1, reason="thread reference"),
    Case("a chat goes on", event("chat", MessageArrived(text="and?", session="s1")),
         (conversation(1, contact("chat", 5, session="s1")), conversation(2, contact("sms", 1))), goes_to=1,
         reason="session"),
    Case("a chat goes on after its window", event("chat", MessageArrived(text="and?", session="s1")),
         (conversation(1, contact("chat", 5 * DAY, session="s1")),), rules=APP_TO_PHONE, goes_to=1, reason="session"),
    Case("a chat of another account has the same session", event("chat", MessageArrived(text="hi", session="s1")),
         (conversation(1, contact("sms", 5, session="s1")),), goes_to=1, reason="the open conversation"),
    Case("a chat goes on whose conversation was closed", event("chat", MessageArrived(text="and?", session="s1")),
         (conversation(1, contact("chat", 5, session="s1"), status=Status.CLOSED),), past=(1,), relation=(FOLLOWS, 1)),
    Case("a call is hung up", event("phone", InteractionStopped(session="call-1")),
         (conversation(1, contact("phone", 5, session="call-1")), conversation(2, contact("sms", 1))), goes_to=1,
         reason="session"),
    Case("a choice in the menu of a call that goes on, about another topic", MENU,
         (conversation(1, contact("phone", 1, session="call-1"), topic="bill"),), tags=about("claim"),
         rules=OTHER_TOPIC_NEW, goes_to=1, reason="session"),
    Case("a choice in the menu of the newer of two calls that nobody ended", MENU,
         (conversation(1, contact("phone", 90, session="call-1"), topic="claim"),
          conversation(2, contact("phone", 1, session="call-2"), topic="bill")), tags=about("claim"),
         rules=OTHER_TOPIC_NEW, goes_to=2, reason="session"),
    Case("a choice in a menu days after a call that nobody ended", MENU,
         (conversation(1, contact("phone", 3 * DAY, session="call-1"), topic="bill"),), tags=about("claim"),
         rules=OTHER_TOPIC_NEW, relation=(FOLLOWS, 1)),
    Case("a choice in a menu after the call was hung up", MENU,
         (conversation(1, contact("phone", 1, session="call-1", ended_at_ms=NOW_MS), topic="bill"),),
         tags=about("claim"), rules=OTHER_TOPIC_NEW, relation=(FOLLOWS, 1)),
    Case("a choice in the menu of a call whose conversation was closed", MENU,
         (conversation(1, contact("phone", 1, session="call-1"), topic="bill", status=Status.CLOSED),), past=(1,),
         tags=about("claim"), rules=OTHER_TOPIC_NEW, relation=(FOLLOWS, 1)),
    Case("a choice in the menu of somebody else's call at the same customer's", MENU,
         (conversation(1, contact("phone", 1, session="call-1", identity="x:2"), topic="bill"),),
         tags=about("claim"), rules=OTHER_TOPIC_NEW, relation=(FOLLOWS, 1)),
    Case("a page after another, about another topic", PAGE,
         (conversation(1, contact("web", 1), topic="bill"),), tags=about("claim"), rules=OTHER_TOPIC_NEW,
         relation=(FOLLOWS, 1)),
    Case("a page of the website while a call goes on", PAGE,
         (conversation(1, contact("phone", 1, session="call-1"), topic="bill"),), tags=about("claim"),
         rules=OTHER_TOPIC_NEW, relation=(FOLLOWS, 1)),
    Case("a thread reference comes before a session", event("chat", MessageArrived(text="hi", session="s1",
         in_reply_to=["one@x"])),
         (conversation(1, contact("email", 5), references=("one@x",)),
          conversation(2, contact("chat", 1, session="s1"))), goes_to=1, reason="thread reference"),
)  # fmt: skip

ABOUT = (
    Case("a claim's number that the older of two is about", event("sms"),
         (conversation(1, contact("email", 500), keys=(CLAIM,)), conversation(2, contact("chat", 1))),
         tags=about(keys=(CLAIM,)), goes_to=1, reason="both name claim CLM123456"),
    Case("a claim's number beats the topic", event("sms"),
         (conversation(1, contact("email", 500), topic="claim", keys=(CLAIM,)),
          conversation(2, contact("chat", 1), topic="claim", keys=(OTHER_CLAIM,))),
         tags=about("claim", keys=(CLAIM,)), goes_to=1, reason="both name"),
    Case("a claim's number beats the window", call(),
         (conversation(1, contact("email", 90 * DAY), keys=(CLAIM,)),), tags=about(keys=(CLAIM,)), rules=APP_TO_PHONE,
         goes_to=1, reason="both name"),
    Case("one of two numbers is enough", event("sms"), (conversation(1, contact("email", 9), keys=(CLAIM,)),
         conversation(2, contact("email", 1))), tags=about(keys=(ORDER, CLAIM)), goes_to=1, reason="both name claim"),
    Case("a claim's number of a closed conversation", event("sms"), past=(past(1, 90 * DAY, keys=(CLAIM,)), 2),
         tags=about(keys=(CLAIM,)), relation=(CONTINUES, 1), reason="both name claim CLM123456"),
    Case("a claim's number of a resolved one that stays shut", event("sms"),
         (resolved(1, 10, contact("sms", 20), keys=(CLAIM,)),), tags=about(keys=(CLAIM,)), rules=RESOLVED_IS_OVER,
         relation=(CONTINUES, 1), reason="both name"),
    Case("the topic of the older of two", event("sms"),
         (conversation(1, contact("email", 500), topic="bill"), conversation(2, contact("chat", 1), topic="claim")),
         tags=about("bill"), goes_to=1, reason="the same topic: bill"),
    Case("the topic of two open ones joins the newer", event("sms"),
         (conversation(1, contact("email", 500), topic="bill"), conversation(2, contact("chat", 1), topic="bill")),
         tags=about("bill"), goes_to=2, reason="the same topic"),
    Case("the same topic after every window", call(), (conversation(1, contact("app", 30 * DAY), topic="bill"),),
         tags=about("bill"), rules=APP_TO_PHONE, goes_to=1, reason="the same topic"),
    Case("the same topic and another claim's number", event("sms"),
         (conversation(1, contact("sms", 5), topic="claim", keys=(CLAIM,)),),
         tags=about("claim", keys=(OTHER_CLAIM,)), rules=OTHER_TOPIC_NEW, relation=(FOLLOWS, 1)),
    Case("the same topic and another kind of number", event("sms"),
         (conversation(1, contact("sms", 5), topic="claim", keys=(CLAIM,)),), tags=about("claim", keys=(ORDER,)),
         rules=OTHER_TOPIC_NEW, goes_to=1, reason="the same topic"),
    Case("another claim under the same contract", event("sms"),
         (conversation(1, contact("sms", 5), topic="claim", keys=(CLAIM, CONTRACT)),),
         tags=about("claim", keys=(OTHER_CLAIM, CONTRACT)), rules=OTHER_TOPIC_NEW, relation=(FOLLOWS, 1)),
    Case("the same claim, and a contract that was mistyped", event("sms"),
         (conversation(1, contact("sms", 5), topic="claim", keys=(CONTRACT, CLAIM)),),
         tags=about("claim", keys=(CLAIM, OTHER_CONTRACT)), rules=OTHER_TOPIC_NEW, goes_to=1,
         reason="both name claim CLM123456"),
    Case("a claim under the contract that alone is known of the open one", event("sms"),
         (conversation(1, contact("email", 5), keys=(CONTRACT,)),), tags=about("claim", keys=(CLAIM, CONTRACT)),
         rules=OTHER_TOPIC_NEW, goes_to=1, reason="both name contract P1000"),
    Case("the contract alone, of which two claims are open", event("sms"),
         (conversation(1, contact("sms", 50), keys=(CLAIM, CONTRACT)),
          conversation(2, contact("sms", 5), keys=(OTHER_CLAIM, CONTRACT))),
         tags=about(keys=(CONTRACT,)), goes_to=2, reason="both name contract P1000"),
    Case("a bill under the contract of an open claim", event("sms"),
         (conversation(1, contact("sms", 5), topic="claim", keys=(CONTRACT,)),),
         tags=about("bill", keys=(CONTRACT,)), rules=CONTRACT_IS_BROAD, relation=(FOLLOWS, 1)),
    Case("the contract, and nothing said of the topic", call(),
         (conversation(1, contact("sms", 30 * DAY), topic="claim", keys=(CONTRACT,)),),
         tags=about(keys=(CONTRACT,)), rules=CONTRACT_IS_BROAD, goes_to=1, reason="both name contract P1000"),
    Case("a claim's number about another topic, where contracts are broad", event("sms"),
         (conversation(1, contact("sms", 5), topic="claim", keys=(CLAIM, CONTRACT)),),
         tags=about("bill", keys=(CLAIM, CONTRACT)), rules=CONTRACT_IS_BROAD, goes_to=1, reason="both name claim"),
    Case("the same intent where no topic is known", event("sms"),
         (conversation(1, contact("email", 500), intent="cancel"), conversation(2, contact("chat", 1))),
         tags=about(intent="cancel"), goes_to=1, reason="the same intent: cancel"),
    Case("the same intent about another topic is no match", event("sms"),
         (conversation(1, contact("email", 500), topic="claim", intent="status"),
          conversation(2, contact("chat", 1))), tags=about("bill", "status"), goes_to=2,
         reason="the newest open conversation"),
    Case("a topic comes before an intent", event("sms"),
         (conversation(1, contact("email", 500), topic="bill"),
          conversation(2, contact("chat", 1), intent="cancel")), tags=about("bill", "cancel"), goes_to=1,
         reason="the same topic"),
    Case("another topic, where that begins a new conversation", event("sms"),
         (conversation(1, contact("sms", 5), topic="claim"),), tags=about("bill"), rules=OTHER_TOPIC_NEW,
         relation=(FOLLOWS, 1)),
    Case("another topic than one of two, nothing known of the other", event("sms"),
         (conversation(1, contact("sms", 5), topic="claim"), conversation(2, contact("email", 50))),
         tags=about("bill"), rules=OTHER_TOPIC_NEW, goes_to=2, reason="the open conversation"),
    Case("no topic is known, where another would begin a new one", event("sms"),
         (conversation(1, contact("sms", 5), topic="claim"),), rules=OTHER_TOPIC_NEW, goes_to=1,
         reason="the open conversation"),
    Case("a page about the open topic", PAGE,
         (conversation(1, contact("email", 500), topic="bill"), conversation(2, contact("chat", 1))),
         tags=about("bill"), goes_to=1, reason="the same topic"),
)  # fmt: skip

IN_TIME = (
    Case("a call an hour after the app", call(), (conversation(1, contact("app", HOUR)),), rules=APP_TO_PHONE,
         goes_to=1, reason="app → phone within 2 h: 60 min after"),
    Case("a call exactly at the window's end", call(), (conversation(1, contact("app", 2 * HOUR)),),
         rules=APP_TO_PHONE, goes_to=1, reason="app → phone within 2 h"),
    Case("a call a minute after the window", call(), (conversation(1, contact("app", 2 * HOUR + 1)),),
         rules=APP_TO_PHONE, relation=(FOLLOWS, 1), reason="the customer's next contact"),
    Case("a text after the app, a pair without a window", event("sms"), (conversation(1, contact("app", 1)),),
         rules=APP_TO_PHONE, relation=(FOLLOWS, 1)),
    Case("a text after the app, where pairs without a window join", event("sms"),
         (conversation(1, contact("app", 9 * DAY)),), rules=LENIENT, goes_to=1, reason="no window is given for app"),
    Case("a call after the window, where other pairs join", call(), (conversation(1, contact("app", 3 * HOUR)),),
         rules=LENIENT, relation=(FOLLOWS, 1)),
    Case("anything soon after a chat", event("email"), (conversation(1, contact("chat", 59)),), rules=APP_TO_PHONE,
         goes_to=1, reason="chat → email within 60 min"),
    Case("a mail weeks after a mail, without a reference", event("email"),
         (conversation(1, contact("email", 29 * DAY)),), rules=APP_TO_PHONE, goes_to=1,
         reason="email → email within 30 days"),
    Case("an older contact of the conversation is in its window", event("email"),
         (conversation(1, contact("email", 3 * DAY), contact("phone", 1)),), rules=APP_TO_PHONE, goes_to=1,
         reason="email → email"),
    Case("the newer of two is in no window, the older is", call(),
         (conversation(1, contact("app", 90)), conversation(2, contact("sms", 1))), rules=APP_TO_PHONE, goes_to=1,
         reason="app → phone"),
    Case("both are in a window: the newer", call(),
         (conversation(1, contact("app", 90)), conversation(2, contact("app", 10))), rules=APP_TO_PHONE, goes_to=2,
         reason="app → phone within 2 h: 10 min after"),
    Case("in the window, about another topic", call(), (conversation(1, contact("app", 10), topic="claim"),),
         tags=about("bill"), rules=APP_TO_PHONE, goes_to=1, reason="app → phone"),
    Case("a page view outside every window", PAGE, (conversation(1, contact("email", 10)),), rules=APP_TO_PHONE,
         relation=(FOLLOWS, 1)),
    Case("a call that is replayed, from before the text that came meanwhile", call(),
         (conversation(1, contact("chat", -50)),), rules=CHAT_ANY, goes_to=1,
         reason="chat → phone within 60 min: 50 min before the contact after"),
    Case("a call that is replayed, from long before the text", call(), (conversation(1, contact("chat", -61)),),
         rules=CHAT_ANY, relation=(FOLLOWS, 1)),
    Case("outside every window, and older ones are over", call(), (conversation(2, contact("app", DAY)),), past=(1,),
         rules=APP_TO_PHONE, relation=(FOLLOWS, 2)),
)  # fmt: skip

AGAIN = (
    Case("the same topic a day after it was closed", event("sms"), past=(past(1, DAY, "bill"),), tags=about("bill"),
         rules=REPEATS, relation=(REPEATS_IT, 1), reason="the same topic, bill, 24 h after it was resolved"),
    Case("the same topic too late for a repeat", event("sms"), past=(past(1, 8 * DAY, "bill"),), tags=about("bill"),
         rules=REPEATS, relation=(FOLLOWS, 1)),
    Case("another topic a day after", event("sms"), past=(past(1, DAY, "bill"),), tags=about("claim"), rules=REPEATS,
         relation=(FOLLOWS, 1)),
    Case("the topic of the one before the last", event("sms"), past=(past(1, 2 * DAY, "bill"), past(2, DAY, "claim")),
         tags=about("bill"), rules=REPEATS, relation=(REPEATS_IT, 1)),
    Case("the same topic twice before: the last of them", event("sms"),
         past=(past(1, 2 * DAY, "bill"), past(2, DAY, "bill")), tags=about("bill"), rules=REPEATS,
         relation=(REPEATS_IT, 2)),
    Case("a message that is replayed, from before its topic was resolved", event("sms"),
         past=(past(1, -DAY, "bill"),), tags=about("bill"), rules=REPEATS, relation=(FOLLOWS, 1)),
    Case("nothing repeats without a window for it", event("sms"), past=(past(1, DAY, "bill"),), tags=about("bill"),
         relation=(FOLLOWS, 1)),
    Case("the same topic and another claim's number is no repeat", event("sms"),
         past=(past(1, DAY, "claim", keys=(CLAIM,)),), tags=about("claim", keys=(OTHER_CLAIM,)), rules=REPEATS,
         relation=(FOLLOWS, 1)),
    Case("another claim under the contract of a closed one", event("sms"),
         past=(past(1, DAY, "claim", keys=(CLAIM, CONTRACT)),), tags=about("claim", keys=(OTHER_CLAIM, CONTRACT)),
         rules=REPEATS, relation=(FOLLOWS, 1)),
    Case("a complaint about another claim under the same contract", event("email"),
         past=(past(1, DAY, "claim", keys=(CLAIM, CONTRACT)), 2),
         tags=about("claim", "complaint", keys=(OTHER_CLAIM, CONTRACT)), rules=ESCALATES, relation=(FOLLOWS, 2)),
    Case("the contract of a closed one does not continue it", event("sms"),
         past=(past(1, DAY, "claim", keys=(CONTRACT,)), 2), tags=about(keys=(CONTRACT,)), rules=CONTRACT_IS_BROAD,
         relation=(FOLLOWS, 2)),
    Case("the same topic under the same contract repeats", event("sms"),
         past=(past(1, DAY, "bill", keys=(CONTRACT,)),), tags=about("bill", keys=(CONTRACT,)),
         rules=CONTRACT_IS_BROAD, relation=(REPEATS_IT, 1)),
    Case("a resolved one stays shut: the same topic", event("sms"),
         (resolved(1, 10, contact("sms", 20), topic="bill"),), tags=about("bill"), rules=RESOLVED_IS_OVER,
         relation=(REPEATS_IT, 1), reason="10 min after it was resolved"),
    Case("two resolved ones stay shut: the same topic as both", event("sms"),
         (resolved(1, 10, contact("sms", 20), topic="bill"), resolved(2, 30, contact("sms", 40), topic="bill")),
         tags=about("bill"), rules=RESOLVED_IS_OVER, relation=(REPEATS_IT, 1)),
    Case("a resolved one stays shut: nothing is known", event("sms"), (resolved(1, 10, contact("sms", 20)),),
         rules=RESOLVED_IS_OVER, relation=(FOLLOWS, 1)),
    Case("a resolved one stays shut and another is open", event("sms"),
         (resolved(1, 10, contact("sms", 20)), conversation(2, contact("email", 50))), rules=RESOLVED_IS_OVER,
         goes_to=2, reason="the open conversation"),
    Case("a complaint about a closed topic", event("email"), past=(past(1, DAY, "bill"),),
         tags=about("bill", "complaint"), rules=ESCALATES, relation=(ESCALATES_IT, 1), reason="complaint"),
    Case("a complaint about a claim's number", event("email"), past=(past(1, 90 * DAY, "claim", keys=(CLAIM,)), 2),
         tags=about(intent="complaint", keys=(CLAIM,)), rules=ESCALATES, relation=(ESCALATES_IT, 1)),
    Case("a complaint that says nothing else", event("email"), past=(past(1, DAY, "bill"), 2),
         tags=about(intent="complaint"), rules=ESCALATES, relation=(ESCALATES_IT, 2)),
    Case("a complaint about something new", event("email"), past=(past(1, DAY, "bill"),),
         tags=about("claim", "complaint"), rules=ESCALATES, relation=(FOLLOWS, 1)),
    Case("a complaint about the open topic stays with it", event("email"),
         (conversation(1, contact("sms", 9 * DAY), topic="bill"),), tags=about("bill", "complaint"), rules=ESCALATES,
         goes_to=1, reason="the same topic"),
    Case("a complaint by a stranger", event("email"), tags=about("bill", "complaint"), rules=ESCALATES,
         reason="first contact"),
)  # fmt: skip

CASES = (*WITHOUT_RULES, *NAMED, *ABOUT, *IN_TIME, *AGAIN)
