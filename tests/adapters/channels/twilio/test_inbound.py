"""Twilio's webhooks, payload in and event out."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.channels.twilio import inbound as twilio
from adapters.channels.twilio.inbound import FIELDS_MAX, FORM_BYTES_MAX, handle, parse_form, parse_inbound, parse_status
from adapters.channels.twilio.signature import sign
from protocol.errors import Code, Refusal
from protocol.inbound import Attachment, DeliveryReport, InboundEvent, MessageArrived

SID = "SM0123456789abcdef0123456789abcdef"
ACCOUNT = "AC0123456789abcdef0123456789abcdef"
TOKEN = "auth-token"
NOW_MS = 1_700_000_000_000
URL = "https://support.example.org/webhooks/sms"
DELIVERY = "cuabcdefghijklmnop-1.7"

MESSAGE = {
    "ToCountry": "GB",
    "SmsMessageSid": SID,
    "NumMedia": "0",
    "FromCity": "",
    "SmsSid": SID,
    "SmsStatus": "received",
    "Body": "Why was I billed twice?",
    "To": "+447700900000",
    "NumSegments": "1",
    "MessageSid": SID,
    "AccountSid": ACCOUNT,
    "From": "+447700900123",
    "ApiVersion": "2010-04-01",
}
STATUS = {
    "SmsSid": SID,
    "SmsStatus": "delivered",
    "MessageStatus": "delivered",
    "To": "+447700900123",
    "MessageSid": SID,
    "AccountSid": ACCOUNT,
    "From": "+447700900000",
    "ApiVersion": "2010-04-01",
}


@dataclass(frozen=True)
class Line:
    """A configured account."""

    name: str = "sms"
    account_sid: str = ACCOUNT
    auth_token: str = TOKEN
    public_url: str = ""


def inbound(**changes: str) -> InboundEvent:
    """The event of `MESSAGE` with these fields changed."""
    return parse_inbound(list((MESSAGE | changes).items()), account="sms", arrived_ms=NOW_MS)


def status(delivery: str = DELIVERY, digest: str = "", **changes: str) -> InboundEvent:
    """The event of `STATUS` with these fields changed."""
    return parse_status(list((STATUS | changes).items()), delivery, digest, account="sms", arrived_ms=NOW_MS)


def post(
    form: dict[str, str], *, url: str = URL, signed_url: str = "", line: Line | None = None, token: str = TOKEN
) -> InboundEvent:
    """Posts a form as Twilio does, signed with `token` for `signed_url`."""
    headers = {
        "content-type": "application/x-www-form-urlencoded; charset=UTF-8",
        "x-twilio-signature": sign(token, signed_url or url, list(form.items())),
    }
    return handle(line or Line(), url=url, headers=headers, body=urlencode(form).encode(), arrived_ms=NOW_MS)


def test_a_text_becomes_a_message() -> None:
    """Every field has its place, and what nobody reads is kept as it came."""
    assert inbound() == InboundEvent(
        id=SID,
        source=f"twilio:{ACCOUNT}",
        time_ms=NOW_MS,
        account="sms",
        channel="sms",
        identities=["tel:+447700900123"],
        data=MessageArrived(text="Why was I billed twice?"),
        raw={
            "ToCountry": "GB",
            "FromCity": "",
            "SmsStatus": "received",
            "To": "+447700900000",
            "NumSegments": "1",
            "ApiVersion": "2010-04-01",
        },
    )


@pytest.mark.parametrize(
    ("sender", "channel", "identity"),
    [
        ("+447700900123", "sms", "tel:+447700900123"),
        ("whatsapp:+447700900123", "whatsapp", "whatsapp:+447700900123"),
        ("messenger:1234567890", "messenger", "messenger:1234567890"),
    ],
)
def test_the_senders_prefix_names_the_channel(sender: str, channel: str, identity: str) -> None:
    """One Twilio account serves several channels."""
    event = inbound(From=sender)
    assert (event.channel, event.identities) == (channel, [identity])


def test_media_become_attachments_by_url() -> None:
    """A picture message may have no words; its files stay at Twilio."""
    event = inbound(
        Body="",
        NumMedia="2",
        MediaUrl0="https://api.twilio.com/m/0",
        MediaContentType0="image/jpeg",
        MediaUrl1="https://api.twilio.com/m/1",
        MediaContentType1="",
    )
    assert isinstance(event.data, MessageArrived)
    assert event.data.attachments == [
        Attachment(name="media-0.jpg", media_type="image/jpeg", url="https://api.twilio.com/m/0"),
        Attachment(name="media-1.bin", media_type="application/octet-stream", url="https://api.twilio.com/m/1"),
    ]
    assert "MediaUrl0" not in event.raw


@pytest.mark.parametrize("words", ["STOP", "HELP", "  ", "naïve 🙂\r\n\x00"])
def test_words_pass_as_they_are(words: str) -> None:
    """Opt-out keywords, blanks and odd characters are the customer's words like any others."""
    assert inbound(Body=words).data == MessageArrived(text=words)


@pytest.mark.parametrize("name", ["MessageSid", "AccountSid", "From", "Body"])
def test_a_missing_field_of_a_message_is_named(name: str) -> None:
    """The refusal says which field it misses."""
    form = [(key, value) for key, value in MESSAGE.items() if key != name]
    with pytest.raises(Refusal, match=f"{name} is missing") as caught:
        parse_inbound(form, account="sms", arrived_ms=NOW_MS)
    assert (caught.value.code, caught.value.field) == (Code.INVALID, name)


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"From": "12345"}, Code.BAD_IDENTITY, "From"),  # a short code
        ({"From": "VERIFY"}, Code.BAD_IDENTITY, "From"),
        ({"From": "whatsapp:447700900123"}, Code.BAD_IDENTITY, "From"),
        ({"From": "rcs:brand"}, Code.BAD_IDENTITY, "From"),
        ({"From": ""}, Code.BAD_IDENTITY, "From"),
        ({"MessageSid": ""}, Code.INVALID, "MessageSid"),
        ({"MessageSid": "SM" + "0" * 63}, Code.INVALID, "MessageSid"),
        ({"NumMedia": "-1"}, Code.INVALID, "NumMedia"),
        ({"NumMedia": "²"}, Code.INVALID, "NumMedia"),
        ({"NumMedia": "65"}, Code.OVER_LIMIT, "NumMedia"),
        ({"NumMedia": "1"}, Code.INVALID, "MediaUrl0"),
    ],
)
def test_a_wrong_field_of_a_message_is_named(changes: dict[str, str], code: Code, field: str) -> None:
    """Nothing is guessed: a short code, say, would become somebody's telephone number."""
    with pytest.raises(Refusal) as caught:
        inbound(**changes)
    assert (caught.value.code, caught.value.field) == (code, field)


def test_a_field_that_stands_twice_is_refused_where_it_is_read() -> None:
    """Which of two senders is meant cannot be told; in what nobody reads, both are kept."""
    pairs = list(MESSAGE.items())
    with pytest.raises(Refusal, match="From stands 2 times") as caught:
        parse_inbound([*pairs, ("From", "+447700900999")], account="sms", arrived_ms=NOW_MS)
    assert caught.value.field == "From"
    assert parse_inbound([*pairs, ("From", MESSAGE["From"])], account="sms", arrived_ms=NOW_MS) == inbound()
    event = parse_inbound([*pairs, ("AddOns", "1"), ("AddOns", "2")], account="sms", arrived_ms=NOW_MS)
    assert event.raw["AddOns"] == ["1", "2"]


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("accepted", "sent"),
        ("scheduled", "sent"),
        ("queued", "sent"),
        ("sending", "sent"),
        ("sent", "sent"),
        ("delivered", "delivered"),
        ("partially_delivered", "delivered"),
        ("read", "read"),
        ("undelivered", "undelivered"),
        ("failed", "undelivered"),
        ("canceled", "undelivered"),
    ],
)
def test_every_status_has_a_meaning(said: str, means: str) -> None:
    """A report is named by message and status, so that each counts once."""
    event = status(MessageStatus=said)
    assert event.id == f"{SID}:{said}"
    assert event.data == DeliveryReport(delivery=DELIVERY, status=means, external_id=SID)


def test_a_failure_carries_twilios_code() -> None:
    """The code is passed on uninterpreted; the customer is the one the message went to."""
    event = status(MessageStatus="undelivered", ErrorCode="30003", To="whatsapp:+447700900123")
    assert isinstance(event.data, DeliveryReport)
    assert (event.data.code, event.identities, event.channel) == ("30003", ["whatsapp:+447700900123"], "whatsapp")
    assert event.raw["SmsStatus"] == "delivered"


@pytest.mark.parametrize(
    ("delivery", "changes", "field"),
    [
        (DELIVERY, {"MessageStatus": "received"}, "MessageStatus"),
        (DELIVERY, {"MessageStatus": ""}, "MessageStatus"),
        (DELIVERY, {"To": "nobody"}, "To"),
        ("", {}, "delivery"),
        ("x" * 201, {}, "delivery"),
        ("a\nb", {}, "delivery"),
    ],
)
def test_a_wrong_field_of_a_report_is_named(delivery: str, changes: dict[str, str], field: str) -> None:
    """The refusal also says which of Twilio's messages it was about."""
    with pytest.raises(Refusal) as caught:
        status(delivery, **changes)
    assert (caught.value.field, caught.value.ref) == (field, SID)


@pytest.mark.parametrize("name", ["MessageSid", "AccountSid", "MessageStatus", "To"])
def test_a_missing_field_of_a_report_is_named(name: str) -> None:
    """The refusal says which field it misses."""
    form = [(key, value) for key, value in STATUS.items() if key != name]
    with pytest.raises(Refusal, match=f"{name} is missing"):
        parse_status(form, DELIVERY, "", account="sms", arrived_ms=NOW_MS)


def test_one_path_serves_messages_and_reports() -> None:
    """The query tells them apart, and the signature covers it."""
    assert post(MESSAGE) == inbound()
    assert post(STATUS, url=f"{URL}?delivery={DELIVERY}") == status()
    assert post(STATUS, url=f"{URL}?delivery={DELIVERY}&digest=5f0c21d8") == status(digest="5f0c21d8")


@pytest.mark.parametrize("public_url", ["https://support.example.org", "https://support.example.org/"])
def test_behind_a_proxy_the_public_address_is_the_signed_one(public_url: str) -> None:
    """The request's own host is that of the inside."""
    seen = f"http://10.0.0.5:7100/webhooks/sms?delivery={DELIVERY}"
    event = post(STATUS, url=seen, signed_url=f"{URL}?delivery={DELIVERY}", line=Line(public_url=public_url))
    assert event == status()


@pytest.mark.parametrize(
    ("token", "signed_url"), [("guess", ""), (TOKEN, URL + "?delivery=other"), (TOKEN, "https://elsewhere.example/")]
)
def test_a_wrong_signature_is_refused(token: str, signed_url: str) -> None:
    """Another token, or a request that was signed for another address."""
    with pytest.raises(Refusal) as caught:
        post(MESSAGE, token=token, signed_url=signed_url)
    assert caught.value.code == Code.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({}, b"", Code.BAD_SIGNATURE),
        ({"x-twilio-signature": "x"}, b"", Code.BAD_SIGNATURE),
        ({"x-twilio-signature": "x", "content-type": "application/json"}, b"{}", Code.BAD_SIGNATURE),
        ({"x-twilio-signature": "x", "content-type": twilio._FORM_TYPE}, b"Body=%ff", Code.MALFORMED),
        ({"x-twilio-signature": "x", "content-type": twilio._FORM_TYPE}, b"Body=\xff", Code.MALFORMED),
        ({"x-twilio-signature": "x", "content-type": twilio._FORM_TYPE}, b"a&" * FIELDS_MAX + b"a", Code.TOO_LARGE),
        ({"x-twilio-signature": "x"}, b"a" * (FORM_BYTES_MAX + 1), Code.TOO_LARGE),
    ],
)
def test_what_no_signature_proves_is_turned_away(headers: dict[str, str], body: bytes, code: Code) -> None:
    """Codes below 4200 tell the caller that the sender may be anyone, so that nothing of it is kept."""
    with pytest.raises(Refusal) as caught:
        handle(Line(), url=URL, headers=headers, body=body, arrived_ms=NOW_MS)
    assert caught.value.code == code < 4200


def test_a_signed_body_that_is_no_form_is_refused_as_twilios() -> None:
    """It is genuine, so its refusal is of the kind that is kept."""
    digest = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
    url = f"{URL}?bodySHA256={digest}"
    headers = {"x-twilio-signature": sign(TOKEN, url), "content-type": "application/json"}
    with pytest.raises(Refusal) as caught:
        handle(Line(), url=url, headers=headers, body=b'{"property": "value", "boolean": true}', arrived_ms=NOW_MS)
    assert (caught.value.code, caught.value.field) == (Code.INVALID, "Content-Type")


def test_another_account_of_the_same_token_is_refused() -> None:
    """A message for somebody else's line must not become ours."""
    with pytest.raises(Refusal) as caught:
        post(MESSAGE | {"AccountSid": "AC" + "f" * 32})
    assert (caught.value.code, caught.value.field) == (Code.UNKNOWN_ACCOUNT, "AccountSid")


def either(result: Callable[[], object]) -> object:
    """What `result` returns, or the refusal it raises; anything else that it raises goes on."""
    try:
        return result()
    except Refusal as refusal:
        return refusal


@given(st.binary(max_size=300))
def test_random_bytes_are_a_form_or_a_refusal(body: bytes) -> None:
    """No bytes raise anything else."""
    came = either(lambda: parse_form(body))
    assert isinstance(came, list) or (isinstance(came, Refusal) and came.code in (Code.MALFORMED, Code.TOO_LARGE))


_NAMES = st.sampled_from([*MESSAGE, *STATUS, "MediaUrl0", "MediaContentType0", "ErrorCode", "Odd"]) | st.text(
    max_size=8
)
_VALUES = st.sampled_from(["", "1", "2", "whatsapp:", "whatsapp:+1", "sent", "failed", ":"]) | st.text(max_size=20)


@given(st.dictionaries(_NAMES, _VALUES), st.lists(st.tuples(_NAMES, _VALUES), max_size=4), st.text(max_size=12))
def test_random_forms_become_an_event_that_travels_or_a_refusal(
    changes: dict[str, str], more: list[tuple[str, str]], delivery: str
) -> None:
    """What comes out can be encoded and read back; the rest is refused from Twilio's range, naming the field."""
    message = [*(MESSAGE | changes).items(), *more]
    report = [*(STATUS | changes).items(), *more]
    for came in (
        either(lambda: parse_inbound(message, account="sms", arrived_ms=NOW_MS)),
        either(lambda: parse_status(report, delivery, delivery, account="sms", arrived_ms=NOW_MS)),
    ):
        if isinstance(came, Refusal):
            assert came.code >= 4200
            assert came.field
        else:
            assert msgspec.msgpack.decode(msgspec.msgpack.encode(came), type=InboundEvent) == came
