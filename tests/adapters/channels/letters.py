"""Letters: mails as real programs write them, made short. Written for these tests; shapes as seen in the wild."""

from typing import Any

from adapters.channels.email.inbound import parse
from protocol.inbound import DeliveryReport, InboundEvent, MessageArrived

ADDRESS = "support@throughline.example"
DELIVERY = "cu2jxk5q7wzn3a4b5c-3.17"
OURS = f"{DELIVERY}.5f0c21d8@throughline.example"
SENT_MS = 1_793_613_600_000
"""2 November 2026, 10:00 UTC."""
ARRIVED_MS = SENT_MS + 4_000
DATE = "Mon, 02 Nov 2026 10:00:00 +0000"


def letter(body: str | bytes = "Hello\n", charset: str = "utf-8", **fields: Any) -> bytes:
    """A mail's bytes. Fields override the usual ones (`content_type` is Content-Type); None leaves one out."""
    usual: dict[str, str | None] = {
        "from": "Ann Example <ann@example.org>",
        "to": f"Support <{ADDRESS}>",
        "subject": "My bill",
        "date": DATE,
        "message_id": "<first@example.org>",
        "mime_version": "1.0",
        **{name.rstrip("_"): value for name, value in fields.items()},
    }
    head = "".join(f"{name.replace('_', '-').title()}: {value}\n" for name, value in usual.items() if value is not None)
    text = body.encode(charset) if isinstance(body, str) else body
    return (head.encode("utf-8", "surrogateescape") + b"\n" + text).replace(b"\n", b"\r\n")


def read(raw: bytes, **given: Any) -> InboundEvent:
    """The event of a mail to the account `mail`."""
    return parse(raw, **{"account": "mail", "address": ADDRESS, "arrived_ms": ARRIVED_MS, **given}).event


def message(raw: bytes, **given: Any) -> MessageArrived:
    """What a mail says, where it is a message."""
    data = read(raw, **given).data
    assert isinstance(data, MessageArrived)
    return data


def report(raw: bytes, **given: Any) -> DeliveryReport:
    """What a mail says, where it is a report."""
    data = read(raw, **given).data
    assert isinstance(data, DeliveryReport)
    return data


def bounce(
    *, original: str = OURS, action: str = "failed", status: str = "5.1.1", returned: str = "text/rfc822-headers"
) -> bytes:
    """A bounce in the form of RFC 3464, as Postfix writes it."""
    return letter(
        f"""--xx
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered.

--xx
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org
Arrival-Date: {DATE}

Final-Recipient: rfc822; ann@example.org
Original-Recipient: rfc822;ann@example.org
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 5.1.1 user unknown

--xx
Content-Type: {returned}

Message-ID: <{original}>
References: <cu2jxk5q7wzn3a4b5c-3.2@throughline.example>
From: {ADDRESS}
To: ann@example.org
Subject: Re: My bill

--xx--
""",
        from_="MAILER-DAEMON@mx.example.org (Mail Delivery System)",
        subject="Undelivered Mail Returned to Sender",
        auto_submitted="auto-replied",
        content_type='multipart/report; report-type=delivery-status; boundary="xx"',
    )
