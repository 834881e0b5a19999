"""Compose: a delivery → the bytes of a mail (RFC 5322) that mail programs put into the right thread.

Nothing that a person typed can become a header field: whatever goes into one is made a single line first, and thread
references are written only where they are sound (`threads.sound`).
"""

import email.policy
import email.utils
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage

from adapters.channels.email import quoting, threads
from adapters.channels.email.charsets import clean
from adapters.channels.email.headers import line
from protocol.inbound import REFERENCES_MAX
from protocol.links import Attempt

SUBJECT_CHARS_MAX = 250
"""Longer subjects are cut: mail programs do so too, and each of their replies makes it longer."""
# Quoted-printable or Base64 for all that is not ASCII, for not every relay offers 8BITMIME.
_POLICY = email.policy.SMTP.clone(cte_type="7bit")


def compose(attempt: Attempt, *, address: str, to: str, now_ms: int) -> bytes:
    """The mail that carries `delivery` from `address` to `to`, both plain ASCII `local@domain`; `now_ms` is its Date.

    Where a rule wrote it, and no person, it says so: other machines do not answer such a mail (RFC 3834 §2, §5).
    """
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = _address(address)
    mail["To"] = _address(to)
    mail["Subject"] = subject_of(attempt)
    mail["Date"] = email.utils.format_datetime(datetime.fromtimestamp(now_ms / 1000, UTC))
    if attempt.automatic:
        mail["Auto-Submitted"] = "auto-replied" if attempt.references else "auto-generated"
    mail["MIME-Version"] = "1.0"
    mail.set_content(clean(attempt.text), charset="utf-8")
    return thread_fields(attempt, address) + mail.as_bytes()


def subject_of(attempt: Attempt) -> str:
    """One line; `Re:` before it where the mail answers something and its subject does not say so yet."""
    subject = line(clean(attempt.subject), chars_max=SUBJECT_CHARS_MAX)
    if attempt.references and not quoting.is_reply_subject(subject):
        return f"Re: {subject}" if subject else "Re: your message"
    return subject or "A message for you"


def thread_fields(attempt: Attempt, address: str) -> bytes:
    """Message-ID, In-Reply-To and References.

    Written by hand, for the standard library turns an id that is longer than a line into an encoded word, which no
    mail program takes for an id. Of too many references the first, which names the thread, and the newest stay.
    """
    references = [id for id in dict.fromkeys(attempt.references) if threads.sound(id)]
    if len(references) > REFERENCES_MAX:
        references = [references[0], *references[1 - REFERENCES_MAX :]]
    fields = [f"Message-ID: <{threads.message_id(attempt, address)}>"]
    if references:
        fields.append(f"In-Reply-To: <{references[-1]}>")
        fields.append("References: " + "\r\n ".join(f"<{id}>" for id in references))
    return "".join(f"{one}\r\n" for one in fields).encode("ascii")


def _address(value: str) -> Address:
    local, _, domain = value.rpartition("@")
    return Address(username=local, domain=domain)
