"""Sending by Twilio: every outcome of an attempt, over real HTTP against a fake that checks the request."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.channels import SendStatus, Sent
from adapters.channels.fakes.http_server import Answer, HttpServer, Request
from adapters.channels.fakes.twilio_api import FakeTwilio, Fault
from adapters.channels.twilio import sender as twilio_sender
from adapters.channels.twilio.inbound import BODY_MAX, handle
from adapters.channels.twilio.sender import TwilioSender, outcome
from protocol.errors import Refusal
from protocol.inbound import DeliveryReport, InboundEvent, MessageArrived
from protocol.links import Attempt
from protocol.wording import digest_of

ACCOUNT_SID = "AC0123456789abcdef0123456789abcdef"
NUMBER = "+447700900000"
CUSTOMER = "+447700900123"
DELIVERY = "cuabcdefghijklmnop-1.7"
DIGEST = digest_of(f"tel:{CUSTOMER}", "", "It was our fault.")
PATIENCE = httpx.Timeout(0.2, connect=5.0)
"""Long enough for loopback, short enough to wait for in a test of silence."""


@dataclass(frozen=True)
class Account:
    """A configured number."""

    name: str = "sms"
    number: str = NUMBER
    account_sid: str = ACCOUNT_SID
    auth_token: str = "auth-token"
    api: str = ""
    public_url: str = ""


@pytest.fixture
async def twilio(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeTwilio]:
    """A fake account, closed afterwards; a proxy of the environment must not come between."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    fake = FakeTwilio(account_sid=ACCOUNT_SID, auth_token="auth-token", numbers=[NUMBER])
    yield fake
    await fake.close()


def delivery(to: str = f"tel:{CUSTOMER}", text: str = "It was our fault.") -> Attempt:
    """An attempt to make."""
    return Attempt(
        customer="cuabcdefghijklmnop",
        conversation="cuabcdefghijklmnop-1",
        delivery=DELIVERY,
        number=1,
        channel="sms",
        account="sms",
        to=to,
        text=text,
        subject="",
        references=[],
    )


async def attempt(account: Account, what: Attempt, *, public_url: str = "") -> Sent:
    """Makes one attempt with a sender of its own."""
    sender = TwilioSender(account, public_url=public_url, timeout=PATIENCE)
    try:
        return await sender.send(what)
    finally:
        await sender.close()


async def test_a_message_that_twilio_takes_is_sent(twilio: FakeTwilio) -> None:
    """The provider's id comes back, and the callback names our delivery."""
    account = Account(api=await twilio.start(), public_url="https://support.example.org/")
    sent = await attempt(account, delivery(text="Ünïcode & =?+ 🙂"))
    message = await twilio.message(0)
    assert sent == Sent(status=SendStatus.SENT, external_id=message.sid)
    assert (message.to, message.sender, message.body) == (CUSTOMER, NUMBER, "Ünïcode & =?+ 🙂")
    called = f"https://support.example.org/webhooks/sms?delivery={DELIVERY}"
    assert message.status_callback == f"{called}&digest={digest_of(f'tel:{CUSTOMER}', '', message.body)}"
    assert message.status_callback != f"{called}&digest={DIGEST}"


@pytest.mark.parametrize(
    ("of_account", "given", "callback"),
    [
        ("", "", ""),
        ("", "http://127.0.0.1:7100", f"http://127.0.0.1:7100/webhooks/sms?delivery={DELIVERY}&digest={DIGEST}"),
        ("https://a.example", "http://b", f"https://a.example/webhooks/sms?delivery={DELIVERY}&digest={DIGEST}"),
    ],
)
async def test_a_callback_is_asked_for_where_an_address_is_known(
    twilio: FakeTwilio, of_account: str, given: str, callback: str
) -> None:
    """The account's own address goes before the server's; without either there is none."""
    await attempt(Account(api=await twilio.start(), public_url=of_account), delivery(), public_url=given)
    assert (await twilio.message(0)).status_callback == callback


async def test_whatsapp_goes_from_whatsapp_to_whatsapp(twilio: FakeTwilio) -> None:
    """Both addresses carry the channel's prefix."""
    sent = await attempt(Account(api=await twilio.start()), delivery(to=f"whatsapp:{CUSTOMER}"))
    assert sent.status is SendStatus.SENT
    message = await twilio.message(0)
    assert (message.to, message.sender) == (f"whatsapp:{CUSTOMER}", f"whatsapp:{NUMBER}")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.LIMITED, Sent(status=SendStatus.FAILED, code="20429", reason="Too Many Requests")),
        (Fault.BROKEN, Sent(status=SendStatus.FAILED, code="20500", reason="Internal Server Error")),
        (Fault.UNAVAILABLE, Sent(status=SendStatus.FAILED, code="20503", reason="Service Unavailable")),
        (Fault.HANG, Sent(status=SendStatus.UNCERTAIN, reason="no answer to a sent request: ReadTimeout")),
        (Fault.CUT, Sent(status=SendStatus.UNCERTAIN, reason="no answer to a sent request: RemoteProtocolError")),
    ],
)
async def test_a_fault_says_whether_it_may_have_been_sent(twilio: FakeTwilio, fault: Fault, expected: Sent) -> None:
    """Uncertain is exactly where Twilio may have taken it, and the next attempt works again."""
    account = Account(api=await twilio.start())
    twilio.fail_next(fault)
    assert await attempt(account, delivery()) == expected
    assert len(twilio.messages) == (1 if expected.status is SendStatus.UNCERTAIN else 0)
    assert (await attempt(account, delivery())).status is SendStatus.SENT


async def test_without_a_connection_it_surely_failed(twilio: FakeTwilio) -> None:
    """Nobody listens there any more."""
    api = await twilio.start()
    await twilio.close()
    expected = Sent(status=SendStatus.FAILED, reason="no connection to Twilio: ConnectError")
    assert await attempt(Account(api=api), delivery()) == expected


@pytest.mark.parametrize(
    ("account", "what", "code"),
    [
        (Account(auth_token="wrong"), delivery(), "20003"),
        (Account(account_sid="AC0"), delivery(), "20003"),
        (Account(number="+447700900555"), delivery(), "21606"),
        (Account(number="support"), delivery(), "21212"),
        (Account(), delivery(to="tel:12345"), "21211"),
        (Account(), delivery(to="tel:+447700900666"), "21610"),
        (Account(public_url="https://under_score.example"), delivery(), "21609"),
    ],
)
async def test_what_twilio_refuses_is_refused_with_its_code(
    twilio: FakeTwilio, account: Account, what: Attempt, code: str
) -> None:
    """An operator sees Twilio's own number and text, which tell what to mend."""
    twilio.unsubscribed.add("+447700900666")
    sent = await attempt(replace(account, api=await twilio.start()), what)
    assert (sent.status, sent.code, twilio.refused) == (SendStatus.REFUSED, code, [int(code)])
    assert sent.reason


@pytest.mark.parametrize(
    ("what", "code"),
    [
        (delivery(text="x" * (BODY_MAX + 1)), "21617"),
        (delivery(text="🙂" * (BODY_MAX // 2 + 1)), "21617"),
        (delivery(text=""), "21602"),
        (delivery(to="mailto:ann@example.org"), ""),
    ],
)
async def test_what_cannot_be_an_sms_never_leaves(twilio: FakeTwilio, what: Attempt, code: str) -> None:
    """It is refused here, without a request, and without a word of the customer's."""
    sent = await attempt(Account(api=await twilio.start()), what)
    assert (sent.status, sent.code) == (SendStatus.REFUSED, code)
    assert (twilio.messages, twilio.refused) == ([], [])
    assert not what.text or what.text not in sent.reason


@pytest.mark.parametrize("text", ["x" * BODY_MAX, "🙂" * (BODY_MAX // 2)])
async def test_the_longest_message_is_taken(twilio: FakeTwilio, text: str) -> None:
    """The limit counts as Twilio does: an emoji is two characters."""
    assert (await attempt(Account(api=await twilio.start()), delivery(text=text))).status is SendStatus.SENT


@pytest.mark.parametrize(
    ("http_status", "body", "expected"),
    [
        (201, b'{"sid": "SM1"}', Sent(status=SendStatus.SENT, external_id="SM1")),
        (
            201,
            b"<html>",
            Sent(status=SendStatus.UNCERTAIN, code="201", reason="the answer has no sid: it is not from Twilio"),
        ),
        (400, b'{"code": 21211, "message": "no"}', Sent(status=SendStatus.REFUSED, code="21211", reason="no")),
        (404, b"[]", Sent(status=SendStatus.REFUSED, code="404", reason="HTTP 404 without Twilio's error")),
        (408, b"", Sent(status=SendStatus.FAILED, code="408", reason="HTTP 408 without Twilio's error")),
        (502, b"<html>", Sent(status=SendStatus.FAILED, code="502", reason="HTTP 502 without Twilio's error")),
        (504, b"", Sent(status=SendStatus.UNCERTAIN, code="504", reason="HTTP 504 without Twilio's error")),
        (200, b"hello", Sent(status=SendStatus.UNCERTAIN, code="200", reason="HTTP 200 without Twilio's error")),
        (400, b'{"message": "%s"}' % (b"x" * 999), Sent(status=SendStatus.REFUSED, code="400", reason="x" * 300)),
    ],
)
def test_every_answer_has_an_outcome(http_status: int, body: bytes, expected: Sent) -> None:
    """Answers that are not in Twilio's form come from something in between."""
    assert outcome(http_status, body) == expected


@given(st.integers(100, 599), st.binary(max_size=60) | st.just(b'{"sid":{},"code":true,"message":[]}'))
def test_nothing_but_a_201_counts_as_sent(http_status: int, body: bytes) -> None:
    """Whatever is in the answer; and none of them raises."""
    assert http_status == 201 or outcome(http_status, body).status is not SendStatus.SENT


@contextlib.asynccontextmanager
async def answering(head: bytes, piece: bytes, every_s: float) -> AsyncIterator[str]:
    """Something in between that answers without an end, at the address."""
    serving: list[asyncio.Task[None]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head)
            while True:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(every_s)
        except ConnectionError:
            """The sender has left."""
        finally:
            writer.transport.abort()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.ensure_future(answer(reader, writer)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for each in serving:
            each.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def test_an_answer_without_end_is_not_read_to_its_end(twilio: FakeTwilio) -> None:
    """Its words would fill the memory of the process that sends every channel's messages."""
    head = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 1000000000000\r\n\r\n"
    async with answering(head, b"x" * 65_536, 0) as api, asyncio.timeout(10):
        sent = await attempt(Account(api=api), delivery())
    assert sent == Sent(status=SendStatus.FAILED, code="502", reason="HTTP 502 without Twilio's error")


async def test_an_answer_that_drips_is_none(twilio: FakeTwilio, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece comes in time and the whole never does: the message may have left."""
    monkeypatch.setattr(twilio_sender, "ATTEMPT_WITHIN_S", 0.5)
    async with answering(b"HTTP/1.1 201 Created\r\n", b"X: y\r\n", 0.05) as api, asyncio.timeout(10):
        sent = await attempt(Account(api=api), delivery())
    assert sent == Sent(status=SendStatus.UNCERTAIN, reason="no answer to a sent request: TimeoutError")


async def test_the_fakes_webhooks_are_genuine(twilio: FakeTwilio) -> None:
    """Text in, reply out, report back: what the fake posts passes the signature check and becomes events."""
    account = Account(api=await twilio.start())
    events: list[InboundEvent | Refusal] = []

    async def webhook(request: Request) -> Answer:
        url = f"http://{request.headers['host']}{request.target}"
        try:
            events.append(handle(account, url=url, headers=request.headers, body=request.body, arrived_ms=1))
        except Refusal as refusal:
            events.append(refusal)
        return Answer(200, {})

    server = HttpServer(webhook)
    base = await server.start("127.0.0.1", 0)
    try:
        await twilio.text(
            f"{base}/webhooks/sms", sender=CUSTOMER, body="Hélp & +1", media=[("https://m/0", "image/png")], sid="SM1"
        )
        await attempt(account, delivery(), public_url=base)
        message = await twilio.message(0)
        await twilio.report(message, "undelivered", error_code="30003")
        twilio.auth_token = "guessed"
        await twilio.text(f"{base}/webhooks/sms", sender=CUSTOMER, body="forged")
    finally:
        await server.close()
    text, report, forged = events
    assert isinstance(text, InboundEvent)
    assert isinstance(text.data, MessageArrived)
    assert (text.id, text.data.text, text.data.attachments[0].url) == ("SM1", "Hélp & +1", "https://m/0")
    assert isinstance(report, InboundEvent)
    assert report.data == DeliveryReport(
        delivery=DELIVERY, status="undelivered", external_id=message.sid, code="30003", digest=DIGEST
    )
    assert isinstance(forged, Refusal)


@pytest.mark.parametrize(
    ("method", "path", "form", "status", "code"),
    [
        ("POST", "Messages.json", {"To": CUSTOMER, "From": NUMBER, "Body": "x", "Bodyy": "x"}, 400, 20001),
        ("POST", "Messages.json", {"From": NUMBER, "Body": "x"}, 400, 21604),
        ("POST", "Messages.json", {"To": CUSTOMER, "Body": "x"}, 400, 21603),
        ("POST", "Messages.json", {"To": CUSTOMER, "From": NUMBER}, 400, 21602),
        ("POST", "Messages.json", {"To": CUSTOMER, "From": NUMBER, "Body": "x" * 1601}, 400, 21617),
        ("POST", "Messages.json", {"To": f"whatsapp:{CUSTOMER}", "From": NUMBER, "Body": "x"}, 400, 21910),
        ("POST", "Calls.json", {"To": CUSTOMER}, 404, 20404),
        ("PUT", "Messages.json", {"To": CUSTOMER, "From": NUMBER, "Body": "x"}, 405, 20004),
        ("POST", "Messages.json", None, 415, 20415),
    ],
)
async def test_the_fake_refuses_what_twilio_documents(
    twilio: FakeTwilio, method: str, path: str, form: dict[str, str] | None, status: int, code: int
) -> None:
    """Each mistake a sender could make has Twilio's error, in Twilio's form."""
    url = f"{await twilio.start()}/2010-04-01/Accounts/{ACCOUNT_SID}/{path}"
    async with httpx.AsyncClient(auth=(ACCOUNT_SID, "auth-token"), trust_env=False) as http:
        response = await http.request(method, url, data=form)
    answer = response.json()
    assert (response.status_code, answer["code"], answer["status"]) == (status, code, status)
    assert answer["more_info"].endswith(f"/errors/{code}")


async def test_the_fake_answers_what_is_not_http(twilio: FakeTwilio) -> None:
    """A stranger's bytes get a 400 and a closed connection."""
    host, port = (await twilio.start()).removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"\x16\x03\x01 not http\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(12), 5)
    writer.close()
    assert answer == b"HTTP/1.1 400"
