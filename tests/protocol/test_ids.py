"""Ids route by themselves: a delivery names its conversation, a conversation its customer."""

from protocol.ids import conversation_of, customer_of


def test_ids_name_what_they_are_part_of() -> None:
    """The customer's own id may hold neither a hyphen nor a full stop; an account's pseudo-customer may."""
    assert conversation_of("cu7q2mzj4xk5w3n6ab-12.7") == "cu7q2mzj4xk5w3n6ab-12"
    assert customer_of("cu7q2mzj4xk5w3n6ab-12") == "cu7q2mzj4xk5w3n6ab"
    assert customer_of("account:my-mail-3") == "account:my-mail"
    assert conversation_of("nonsense") == ""
