"""The first policy, which the settings make: what it knows of their accounts."""

from adapters.channels.twilio.inbound import BODY_MAX
from orchestrator.policy.first import policy_of
from orchestrator.settings import GatewayAccount, Settings, TwilioAccount


def test_the_first_policy_knows_what_providers_take() -> None:
    """So that who says more hears it at once, and not its customer never."""
    number = TwilioAccount(name="line", number="+447700900000", account_sid="AC1", auth_token="t")
    policy = policy_of(Settings(accounts=[number, GatewayAccount(name="pager", channel="sms")]))
    assert (policy.text_max("line", "sms"), policy.text_max("pager", "sms")) == (BODY_MAX, 0)
