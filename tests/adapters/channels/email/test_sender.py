"""Mails out: what is written, and what becomes of an attempt, against a real SMTP server."""

import asyncio
import email
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.channels import SendStatus, Sent
from adapters.channels.email import threads
from adapters.channels.email.automatic import is_automatic
from adapters.channels.email.compose import compose, subject_of
from adapters.channels.email.sender import EmailSender
from adapters.channels.fakes.mailbox import Letter, Mailbox, Trouble, behave_once
from orchestrator.settings import EmailAccount
from protocol.inbound import REFERENCES_MAX
from protocol.links import Attempt
from tests.adapters.channels.letters import ADDRESS, DELIVERY, SENT_MS, message


def delivery(**given: Any) -> Attempt:
    """An attempt."""
    usual: dict[str, Any] = {
        "customer": "cu2jxk5q7wzn3a4b5c",
        "conversation": "cu2jxk5q7wzn3a4b5c-3",
        "delivery": DELIVERY,
        "number": 1,
        "channel": "email",
        "account": "mail",
        "to": "mailto:ann@example.org",
        "text": "We took it off.\n\nGrüße",
        "subject": "My bill",
        "references": ["first@example.org", "second@example.org"],
    }
    return Attempt(**{**usual, **given})


OURS = threads.message_id(delivery(), ADDRESS)


def written(**given: Any) -> Letter:
    """The mail of an attempt, as the standard library reads it."""
    return Letter("", [], compose(delivery(**given), address=ADDRESS, to="ann@example.org", now_ms=SENT_MS))


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    """The customer's mail provider."""
    mailbox = Mailbox()
    await mailbox.start()
    yield mailbox
    await mailbox.stop()


def sender(mailbox: Mailbox, **given: Any) -> EmailSender:
    """A sender whose relay it is."""
    account = EmailAccount(name="mail", address=ADDRESS, relay=f"127.0.0.1:{mailbox.port}", **given)
    return EmailSender(account, now_ms=lambda: SENT_MS, timeout_s=5.0)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, None),
        ({"automatic": True}, "auto-replied"),
        ({"automatic": True, "references": []}, "auto-generated"),
    ],
)
def test_a_mail_says_whether_a_rule_wrote_it(given: dict[str, Any], says: str | None) -> None:
    """By the word for what it is (RFC 3834 §5): an auto-responder does not answer it, and ours neither."""
    mail = written(**given)
    assert mail.message["Auto-Submitted"] == says
    read = email.message_from_bytes(mail.raw)
    assert is_automatic(read, sender="ann@example.org", address="desk@elsewhere.example") is (says is not None)


async def test_a_reply_arrives_in_its_thread(mailbox: Mailbox) -> None:
    """Message-ID, In-Reply-To and References are what mail programs thread by."""
    sent = await sender(mailbox).send(delivery())
    assert (sent.status, sent.external_id, sent.code) == (SendStatus.SENT, OURS, "250")
    (came,) = await mailbox.wait()
    assert (came.sender, came.recipients) == (ADDRESS, ["ann@example.org"])
    assert came.message["From"] == ADDRESS
    assert came.message["To"] == "ann@example.org"
    assert came.subject == "Re: My bill"
    assert came.message["Date"] == "Mon, 02 Nov 2026 10:00:00 +0000"
    assert came.message_id == OURS
    assert came.message["In-Reply-To"] == "<second@example.org>"
    assert came.references == ["first@example.org", "second@example.org"]
    assert came.text == "We took it off.\n\nGrüße\n"
    assert came.message["Auto-Submitted"] is None


async def test_its_answer_finds_back(mailbox: Mailbox) -> None:
    """A mail program's answer names our mail, and is read so."""
    await sender(mailbox).send(delivery())
    (came,) = await mailbox.wait()
    answer = (
        f"From: ann@example.org\nSubject: Re: My bill\nIn-Reply-To: {came.message['Message-ID']}\n"
        f"References: {came.message['References']} {came.message['Message-ID']}\n\nThanks\n"
    )
    assert message(answer.encode()).in_reply_to == [OURS, "second@example.org", "first@example.org"]


def test_other_words_under_the_same_delivery_are_another_mail() -> None:
    """A server that was restored gives ids once more; mail systems drop the second of two mails with one Message-ID."""
    other = threads.message_id(delivery(text="We put it back."), ADDRESS)
    assert other != OURS
    assert threads.message_id(delivery(number=2), ADDRESS) == OURS
    former = f"{DELIVERY}@throughline.example"
    found = [threads.ours_of(id, ADDRESS) for id in (OURS, other, former)]
    assert [ours and ours.delivery for ours in found] == [DELIVERY] * 3
    assert [bool(ours and ours.digest) for ours in found] == [True, True, False]
    assert found[0] != found[1]
    assert threads.ours_of(f"{DELIVERY}.5f0c21d@throughline.example", ADDRESS) is None


ROWS: list[tuple[str, str | Trouble, SendStatus, str]] = [
    ("MAIL", "451 4.7.1 greylisted", SendStatus.FAILED, "4.7.1"),
    ("MAIL", "550 5.7.1 not you", SendStatus.REFUSED, "5.7.1"),
    ("RCPT", "450 busy", SendStatus.FAILED, "450"),
    ("RCPT", "550 5.1.1 no such user", SendStatus.REFUSED, "5.1.1"),
    ("CONTENT", "452 4.3.1 full", SendStatus.FAILED, "4.3.1"),
    ("CONTENT", "554 5.7.1 spam", SendStatus.REFUSED, "5.7.1"),
    ("MAIL", Trouble.HANG_UP, SendStatus.FAILED, ""),
    ("RCPT", Trouble.HANG_UP, SendStatus.FAILED, ""),
    ("CONTENT", Trouble.HANG_UP, SendStatus.UNCERTAIN, ""),
    ("CONTENT", "299 what", SendStatus.UNCERTAIN, "299"),
]


@pytest.mark.parametrize(("command", "answer", "status", "code"), ROWS)
async def test_each_answer_of_the_relay_has_its_outcome(
    mailbox: Mailbox, command: str, answer: str | Trouble, status: SendStatus, code: str
) -> None:
    """What each answer, or none, makes of the attempt; the next attempt goes through under the same Message-ID."""
    mailbox.behave = behave_once(command, answer)
    sent = await sender(mailbox).send(delivery())
    assert (sent.status, sent.code) == (status, code)
    assert sent.reason
    assert (await sender(mailbox).send(delivery())).external_id == OURS


async def test_silence_after_the_content_is_uncertain(mailbox: Mailbox) -> None:
    """The relay may have taken it."""
    mailbox.behave = lambda command, _: Trouble.SILENCE if command == "CONTENT" else None
    account = EmailAccount(name="mail", address=ADDRESS, relay=f"127.0.0.1:{mailbox.port}")
    sent = await EmailSender(account, now_ms=lambda: SENT_MS, timeout_s=0.2).send(delivery())
    assert sent.status is SendStatus.UNCERTAIN


async def test_no_relay_is_a_failure(mailbox: Mailbox) -> None:
    """Nothing left; it may work later."""
    gone = sender(mailbox)
    await mailbox.stop()
    sent = await gone.send(delivery())
    assert sent.status is SendStatus.FAILED
    assert "no session" in sent.reason


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_a_relay_without_the_tls_that_is_asked_for(mailbox: Mailbox, tls: str) -> None:
    """Nothing is sent in the clear."""
    sent = await sender(mailbox, relay_tls=tls).send(delivery())
    assert sent.status is SendStatus.FAILED
    assert not mailbox.letters


async def test_a_login_that_fails(mailbox: Mailbox) -> None:
    """The account's fault, not the mail's: it can go out once the password is right."""
    sent = await sender(mailbox, relay_user="support", relay_password="wrong").send(delivery())
    assert sent.status is SendStatus.FAILED
    assert "wrong" not in sent.reason


@pytest.mark.parametrize(
    "to",
    [
        "tel:+447700900123",
        "mailto:",
        "mailto:a b@x",
        "mailto:a@x\r\nRCPT TO:<b@y>",
        "mailto:jörg@x",
        "mailto:a@" + "x" * 300,
    ],
)
async def test_what_is_no_address_is_refused(mailbox: Mailbox, to: str) -> None:
    """Before anything leaves."""
    sent = await sender(mailbox).send(delivery(to=to))
    assert sent == Sent(status=SendStatus.REFUSED, reason=sent.reason)
    assert not mailbox.letters


async def test_a_domain_beyond_ascii(mailbox: Mailbox) -> None:
    """It is written in its ASCII form."""
    await sender(mailbox).send(delivery(to="mailto:ann@bücher.example"))
    assert mailbox.letters[0].recipients == ["ann@xn--bcher-kva.example"]


@pytest.mark.parametrize(
    ("subject", "references", "written"),
    [
        ("My bill", ["a@x"], "Re: My bill"),
        ("RE: My bill", ["a@x"], "RE: My bill"),
        ("AW: Rechnung", ["a@x"], "AW: Rechnung"),
        ("My bill", [], "My bill"),
        ("", ["a@x"], "Re: your message"),
        ("", [], "A message for you"),
        ("a\r\nBcc: eve@x.example\r\n\r\nbody", ["a@x"], "Re: a Bcc: eve@x.example body"),
        ("a\u2028b\x00c\x85d", [], "a bcd"),
        ("x" * 1000, [], "x" * 250),
    ],
)
def test_a_subject_is_one_line_with_re_once(subject: str, references: list[str], written: str) -> None:
    """One line, with Re: once."""
    assert subject_of(delivery(subject=subject, references=references)) == written


def test_no_header_can_be_put_in() -> None:
    """Line ends in a subject or a reference make no field."""
    came = written(subject="x\r\nBcc: eve@x.example", references=["a@x>\r\nBcc: <eve@x.example", "ok@x", "a b@x"])
    assert came.message["Bcc"] is None
    assert came.references == ["ok@x"]


def test_long_references_are_folded_and_bounded() -> None:
    """Ids stay as they are, however long, on lines of their own; the first and the newest are kept."""
    many = [f"{'x' * 200}{number}@example.org" for number in range(100)]
    came = written(references=many)
    assert came.references == [many[0], *many[-(REFERENCES_MAX - 1) :]]
    assert max(len(line) for line in came.raw.split(b"\r\n")) < 998


@given(st.text(), st.text(), st.lists(st.text(), max_size=5))
def test_any_words_make_a_sound_mail(text: str, subject: str, references: list[str]) -> None:
    """ASCII on the wire, the same fields whatever was typed, lines within RFC 5321's bound."""
    came = written(text=text, subject=subject, references=references)
    raw = came.raw
    assert raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert {name.lower() for name in came.message} <= {
        "message-id", "in-reply-to", "references", "from", "to", "subject", "date", "mime-version", "content-type",
        "content-transfer-encoding",
    }  # fmt: skip


async def test_attempts_at_once_share_nothing(mailbox: Mailbox) -> None:
    """Attempts share nothing."""
    one = sender(mailbox)
    sent = await asyncio.gather(*(one.send(delivery(delivery=f"cu2jxk5q7wzn3a4b5c-3.{n}")) for n in range(20)))
    assert {outcome.status for outcome in sent} == {SendStatus.SENT}
    assert len(await mailbox.wait(20)) == 20
    await one.close()
