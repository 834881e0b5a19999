"""What tells a repeat: the same three words give the same key, the same payload the same digest."""

from orchestrator.way_in.once_keys import digest_of, once_key
from protocol.inbound import ActivityArrived, AnyData, InteractionBegan, MessageArrived


def test_once_keys_tell_accounts_sources_and_ids_apart() -> None:
    """No two ways to cut the same text give one key."""
    keys = {once_key("a", "b", "c"), once_key("ab", "", "c"), once_key("a", "bc", ""), once_key("", "ab", "c")}
    assert len(keys) == 4


def test_a_payload_has_one_digest_in_whatever_order_it_was_written() -> None:
    """A source that sends it again may put its properties in another order; another word, or kind of event, is news."""
    properties = {"page": "bill", "menu": "1"}
    turned = dict(reversed(properties.items()))
    assert digest_of(ActivityArrived(name="web", properties=properties)) == digest_of(
        ActivityArrived(name="web", properties=turned)
    )
    others: list[AnyData] = [MessageArrived(text="one"), MessageArrived(text="two"), InteractionBegan(subject="one")]
    assert len({digest_of(each) for each in others}) == 3


def test_keys_and_digests_are_what_stores_hold_already() -> None:
    """Another function would take every repeat of what came before it for new."""
    assert once_key("chat", "shop", "1") == 2796953590813809962
    assert digest_of(MessageArrived(text="hello")) == 1991878643
