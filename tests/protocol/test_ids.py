"""Ids route by themselves: a delivery names its conversation, a conversation its customer."""

import pytest

from protocol.ids import POLICY, REPORT, conversation_of, customer_id, customer_of, may_be_customer


def test_ids_name_what_they_are_part_of() -> None:
    """The customer's own id may hold neither a hyphen nor a full stop; an account's pseudo-customer may."""
    assert conversation_of("cu7q2mzj4xk5w3n6ab-12.7") == "cu7q2mzj4xk5w3n6ab-12"
    assert customer_of("cu7q2mzj4xk5w3n6ab-12") == "cu7q2mzj4xk5w3n6ab"
    assert customer_of("account:my-mail-3") == "account:my-mail"
    assert conversation_of("nonsense") == ""


def test_customers_ids_ascend() -> None:
    """By the second they came in; within one, and with the clock set back, they only differ."""
    low, high = bytes(8), b"\xff" * 8
    ids = [customer_id(at_ms, random) for at_ms in (999, 1_000, 1_700_000_000_000) for random in (low, high)]
    assert ids == sorted(set(ids))
    assert ids[0] == "cu" + "0" * 20
    assert all(len(each) == 22 and each.isalnum() for each in ids)
    assert customer_id(1_000, low) == customer_id(1_999, low)
    assert len(customer_id(1 << 60, high)) == 22


@pytest.mark.parametrize(
    ("id", "may"),
    [
        *((id, True) for id in ("cu7q2mzj4xk5w3n6ab", POLICY, REPORT, "account:mail", "account:my-mail-3")),
        *((id, False) for id in ("", "cu7q2mzj4xk5w3n6ab-12", "cu7q2mzj4xk5w3n6ab-12.7", "-1")),
    ],
)
def test_what_may_be_a_customer_is_no_part_of_one(id: str, may: bool) -> None:
    """Whatever has a stream of its own may, and an account may be called what looks as a conversation."""
    assert may_be_customer(id) == may
