"""Automatic mails: bounces, receipts and auto-replies are told from a person's words."""

import time

import pytest

from tests.adapters.channels.letters import ADDRESS, DELIVERY, OURS, bounce, letter, message, read, report


@pytest.mark.parametrize("returned", ["text/rfc822-headers", "message/rfc822"])
def test_a_bounce_reports_our_delivery(returned: str) -> None:
    """The delivery is the returned mail's own id, never one of its references."""
    raw = bounce(returned=returned)
    found = report(raw, sender="")
    assert (found.delivery, found.status, found.code) == (DELIVERY, "bounced", "5.1.1")
    assert found.digest == "5f0c21d8"
    assert read(raw, sender="").identities == ["mailto:ann@example.org"]


@pytest.mark.parametrize("charset", ["punycode", "idna", "unicode_escape", "no-charset"])
def test_a_returned_header_is_read_whatever_charset_it_names(charset: str) -> None:
    """Python would decode it as any codec of its own: one takes hours for a mail, others raise."""
    odd = b"Subject: \xff\\ -" + b"a" * 200_000
    raw = bounce(returned=f"text/rfc822-headers; charset={charset}").replace(b"Subject: Re: My bill", odd)
    began_s = time.thread_time()
    assert report(raw, sender="").delivery == DELIVERY
    assert time.thread_time() - began_s < 1


def test_a_bounce_of_a_mail_of_an_earlier_version_says_nothing_of_its_words() -> None:
    """Its Message-ID was the delivery alone."""
    found = report(bounce(original=f"{DELIVERY}@throughline.example"), sender="")
    assert (found.delivery, found.digest) == (DELIVERY, "")


def test_a_bounce_that_names_nobody_reports_our_delivery() -> None:
    """Whose it is the delivery says: the mail system that wrote it does not become a customer."""
    raw = bounce().replace(b"ann@example.org", b"ann").replace(b"@mx.example.org (", b" (")
    event = read(raw, sender="")
    assert (report(raw, sender="").delivery, event.identities) == (DELIVERY, [])
    assert read(raw, sender="mailer-daemon@mx.example.org").identities == []


def test_a_bounce_of_another_mail_is_an_automatic_message_about_its_recipient() -> None:
    """The mail system that wrote it does not become a customer."""
    raw = bounce(original="something@elsewhere.example")
    assert message(raw, sender="").automatic == "auto_reply"
    assert read(raw, sender="").identities == ["mailto:ann@example.org"]


@pytest.mark.parametrize(("action", "status"), [("failed", "bounced"), ("delivered", "delivered")])
def test_what_a_report_settles(action: str, status: str) -> None:
    """Actions of RFC 3464 that settle a delivery."""
    assert report(bounce(action=action)).status == status


@pytest.mark.parametrize("action", ["delayed", "relayed", "expanded", "nonsense"])
def test_what_a_report_does_not_settle(action: str) -> None:
    """Others are shown as automatic messages."""
    assert message(bounce(action=action)).automatic == "auto_reply"


def test_a_bounce_in_the_old_form() -> None:
    """Exim without RFC 3464 names the recipient in a field and returns the mail in the text."""
    raw = letter(
        f"This message was created automatically.\n\n  ann@example.org\n    user unknown\n\n"
        f"------ This is a copy of the message ------\n\nMessage-ID: <{OURS}>\nSubject: Re: My bill\n\nHello\n",
        from_="Mail Delivery System <Mailer-Daemon@example.org>",
        x_failed_recipients="ann@example.org",
        auto_submitted="auto-replied",
    )
    assert report(raw, sender="").delivery == DELIVERY


def test_a_read_receipt() -> None:
    """RFC 8098: the customer's program says that our mail was shown."""
    body = f"""--a
Content-Type: text/plain

Your message was displayed.
--a
Content-Type: message/disposition-notification

Reporting-UA: mail.example.org; Program
Final-Recipient: rfc822;ann@example.org
Original-Message-ID: <{OURS}>
Disposition: manual-action/MDN-sent-manually; displayed
--a--
"""
    kind = "multipart/report; report-type=disposition-notification; boundary=a"
    found = report(letter(body, content_type=kind))
    assert (found.delivery, found.status) == (DELIVERY, "read")
    deleted = body.replace("; displayed", "; deleted")
    assert message(letter(deleted, content_type=kind)).automatic == "auto_reply"


@pytest.mark.parametrize(
    "fields",
    [
        {"auto_submitted": "auto-replied"},
        {"auto_submitted": "auto-generated (vacation)"},
        {"auto_submitted": "auto-replied; owner-email=ann@example.org"},
        {"precedence": "bulk"},
        {"precedence": "auto_reply"},
        {"x_autoreply": "yes"},
        {"x_autorespond": "holiday"},
        {"x_auto_response_suppress": "DR, OOF, AutoReply"},
        {"x_auto_response_suppress": "All"},
        {"return_path": "<>"},
        {"from": f"Support <{ADDRESS.upper()}>"},
        {"x_loop": ADDRESS},
        {"message_id": f"<{OURS}>"},
        {"content_type": "multipart/report; boundary=a"},
    ],
)
def test_a_machine_wrote_it(fields: dict[str, str]) -> None:
    """RFC 3834 and what programs wrote before it; our own mail that came back."""
    raw = letter("I am out of the office until Monday.\n", subject="Out of office", **fields)
    assert message(raw, sender="ann@example.org").automatic == "auto_reply"


def test_the_null_sender_is_a_machine() -> None:
    """RFC 3834 §3.3: automatic answers have an empty envelope sender."""
    assert message(letter(), sender="").automatic == "auto_reply"


@pytest.mark.parametrize(
    "fields",
    [
        {"auto_submitted": "no"},
        {"precedence": "list"},
        {"precedence": "first-class"},
        {"x_auto_response_suppress": "None"},
        {"x_auto_response_suppress": "RN"},
        {"list_id": "<friends.example.org>"},
        {"subject": "Out of office: my bill"},
        {"in_reply_to": f"<{OURS}>"},
    ],
)
def test_a_person_wrote_it(fields: dict[str, str]) -> None:
    """What only looks like a machine's."""
    assert not message(letter(**fields), sender="ann@example.org").automatic
