"""Whose address stands in raw input: theirs in each coding and spelling, and nobody else's that only looks alike."""

import base64
import html
import json
import random
import time
from email.message import EmailMessage
from email.policy import SMTP
from urllib.parse import quote, urlencode

import pytest

from adapters import wordings
from adapters.naming import LOOKS_MAX, Naming
from orchestrator.gateway.incoming.quarantine import keep_webhook

ADDRESS, LETTERS = "mailto:ann@example.org", "mailto:jürgen@xn--mller-kva.example"
PHONE = "tel:+49301234567"
SAID = "I am ann@example.org, call 030 1234567; my man is JÜRGEN@müller.example"


def names(identity: str, raw: bytes, region: str = "DE") -> bool:
    """Whether the input names the identity's owner, for a server of this region."""
    return Naming([identity], region=region).is_in(raw)


def mail(
    text: str = "hello", *, charset: str = "utf-8", cte: str | None = None, subtype: str = "plain"
) -> EmailMessage:
    """A mail of nobody in particular."""
    made = EmailMessage(policy=SMTP)
    made["From"], made["Subject"] = "bob@example.com", "Hello"
    made.set_content(text, subtype=subtype, charset=charset, cte=cte)
    return made


def with_file(file: bytes | EmailMessage, media_type: str = "text/plain") -> bytes:
    """A mail that carries it: a mail as mail programs do, all else in Base64."""
    made = mail()
    if isinstance(file, EmailMessage):
        made.add_attachment(file)
    else:
        made.add_attachment(file, maintype=media_type.split("/")[0], subtype=media_type.split("/")[1], filename="a")
    # As a mail program makes one; by chance it would say a letter in quoted-printable, and all be read once more.
    made.set_boundary("===============1234567890123456789==")
    return bytes(made)


def headed(subject: str, charset: str = "utf-8") -> bytes:
    """A mail with the subject as encoded words (RFC 2047)."""
    word = f"=?{charset}?B?{base64.b64encode(subject.encode(charset)).decode()}?="
    return b"Subject: " + word.encode() + b"\r\n\r\nhello"


WRITTEN = {
    "as it is": SAID.encode(),
    "windows-1252": SAID.encode("windows-1252"),
    "UTF-8 beside a byte that is none": b"\xff " + SAID.encode(),
    "utf-16": SAID.encode("utf-16"),
    "utf-16-be behind an odd byte": b"x" + SAID.encode("utf-16-be"),
    "JSON": json.dumps({"text": f"\n{SAID}"}).encode(),
    "JSON in JSON": json.dumps({"body": json.dumps({"text": f"\n{SAID}"})}).encode(),
    "a form": urlencode({"Body": SAID, "From": "x"}).encode(),
    "a URL": quote(SAID).encode(),
    "a vendor's webhook": keep_webhook(query="", body=urlencode({"Body": SAID}).encode()),
    "a CloudEvent's data_base64": json.dumps({"data_base64": base64.b64encode(SAID.encode()).decode()}).encode(),
    "the same with its slashes escaped": json.dumps(
        {"data_base64": base64.b64encode(("?" * 9 + SAID).encode()).decode()}
    ).replace("/", "\\/").encode(),
    "a mail in Base64": bytes(mail(SAID, cte="base64")),
    "a mail in quoted-printable": bytes(mail("x" * 70 + " " + SAID, cte="quoted-printable")),
    "a mail in ISO 8859-1": bytes(mail(SAID, charset="iso-8859-1", cte="base64")),
    "a mail in windows-1252, quoted-printable": bytes(mail(SAID, charset="windows-1252", cte="quoted-printable")),
    "a mail in UTF-16": bytes(mail(SAID, charset="utf-16", cte="base64")),
    "a mail in a charset it names": bytes(mail(SAID, charset="cp850", cte="base64")),
    "an HTML mail": bytes(mail(html.escape(SAID).replace("@", "&#64;"), subtype="html", cte="base64")),
    "a text file": with_file(SAID.encode()),
    "a file of bytes": with_file(b"\x01\x02" + SAID.encode("utf-16-le"), "application/octet-stream"),
    "a mail in a mail": with_file(mail(SAID, cte="base64")),
    "a mail in a mail in Base64": with_file(bytes(mail(SAID, cte="base64")), "application/octet-stream"),
    "a mail in JSON": json.dumps({"mail": bytes(mail(SAID, cte="base64")).decode()}).encode(),
    "encoded words": headed(SAID),
    "encoded words, ISO 8859-1": headed(SAID, "iso-8859-1"),
    "a mail over every bound": b"--b\r\n" * 1000 + bytes(mail(SAID, cte="base64")) + b"\r\n--b" * 1000,
}  # fmt: skip


@pytest.mark.parametrize("identity", [ADDRESS, LETTERS, PHONE])
@pytest.mark.parametrize("coding", WRITTEN)
def test_a_name_is_found_in_each_coding(coding: str, identity: str) -> None:
    """With letters beyond ASCII, too, and of a number as people write it."""
    assert names(identity, WRITTEN[coding])
    assert not names("mailto:carl@example.org", WRITTEN[coding])
    assert not names("tel:+49307654321", WRITTEN[coding])


@pytest.mark.parametrize(
    ("identity", "raw"),
    [
        *((PHONE, each) for each in (
            "+49301234567", "+49 30 1234567", "+49 (0)30 1234567", "+49-30-123-45-67", "0049 30 1234567",
            "0049301234567", "030 1234567", "(030) 123-4567", "030/1234567", "030.123.45.67", "0301234567",
            '{"wa_id": "49301234567"}', '{"wa_id": 49301234567}', "tel:+49-30-1234567;ext=5", "030\u00a01234567",
            "at 10:30 call 030 1234567, 2 pm", "+49307654321 or 030 1234567",
            "From=x&Body=call+030+1234567",
        )),
        ("whatsapp:+447700900123", "07700 900123"),
        ("tel:+390612345678", "06 12345678"),
        ("tel:+12125550123", "(212) 555-0123"),
        (PHONE, "(030) 123-4567 and 030 123 45 678"),
        (ADDRESS, "<ann@example.org>"), (ADDRESS, "ANN@EXAMPLE.ORG"), (ADDRESS, "to ann@example.org."),
        (ADDRESS, "私はann@example.orgです"), (ADDRESS, "_ann@example.org_"), (ADDRESS, "- ann@example.org -"),
        ("user:ann-77", '"ann-77"'), ("x:ann_smith", "@Ann_Smith"),
    ],
)  # fmt: skip
def test_a_name_is_found_in_each_spelling(identity: str, raw: str) -> None:
    """A number as it is written in its own country, too, wherever the server is."""
    assert names(identity, raw.encode())
    assert names(identity, raw.encode(), region="US")


@pytest.mark.parametrize(
    ("identity", "raw"),
    [
        *((PHONE, each) for each in (
            "+493012345678", "+49 30 1234567 8", "+4930123456", "0301234567-12", "+44 30 1234 567", "1234567",
            "040 1234567", "5030 12345678", "order 00301234567001", "+1 (301) 234-5670", "301-234-567890123",
        )),
        *((ADDRESS, each) for each in (
            "joann@example.org", "jo.ann@example.org", "jo-ann@example.org", "jo+ann@example.org", "jo_ann@example.org",
            "ann@example.org.uk", "ann@example.organic", "q=jo+ann@example.org", "ann@example.org-mail.com",
            "joäann@example.org",
        )),
        ("user:ann-77", "ann-778"), ("user:ann-77", "joann-77"), ("user:ann-77", "Ann-77"), ("user:12345", "912345"),
    ],
)  # fmt: skip
def test_what_only_looks_like_a_name_is_somebody_elses(identity: str, raw: str) -> None:
    """Longer ones that have it in them."""
    assert not names(identity, raw.encode())


def test_a_number_is_read_as_the_servers_customers_write_it() -> None:
    """With what they dial before another country's code."""
    assert names(PHONE, b"011 49 30 1234567", region="US")
    assert not names(PHONE, b"011 49 30 1234567", region="DE")


def test_letters_beyond_latin_are_found_in_utf_16() -> None:
    """Wherever it begins in a mail, whichever of its bytes comes first."""
    made = mail("hello", cte="base64")
    for codec in ("utf-16", "utf-16-le", "utf-16-be"):
        made.add_attachment(base64.b64encode(b"x"), maintype="text", subtype="plain", params={"charset": codec})
        made.add_attachment("Γιώργος@example.org".encode(codec), maintype="text", subtype="plain")
        assert names("mailto:γιώργος@example.org", bytes(made))
        made = mail("hello", cte="base64")


def test_an_encoded_word_that_ends_within_a_name_goes_on_in_the_next() -> None:
    """Mail programs cut wherever a line is full (RFC 2047 §2)."""
    first, second = (base64.b64encode(part.encode()).decode() for part in ("to jürgen@mü", "ller.example"))
    assert names(LETTERS, f"Subject: =?utf-8?B?{first}?=\r\n =?utf-8?B?{second}?=\r\n\r\n".encode())


def test_a_file_that_is_no_text_is_not_looked_through() -> None:
    """It would be most of the work: all codings of a picture are noise."""
    read = sum(map(len, wordings.texts(with_file(random.Random(1).randbytes(100_000), "image/png"))))
    assert read < 12 * 100_000 * 4 / 3


def test_a_short_name_is_in_too_much_by_chance() -> None:
    """And where nothing else is looked for, nothing is read."""
    assert not Naming(["user:ann"], region="DE")
    assert not names("user:ann", b"ann")
    assert Naming([PHONE], region="DE")


def test_what_was_made_to_take_long_is_somebodys_in_a_moment() -> None:
    """A number's digits again and again within others, and codings that lead into each other."""
    digits = b"+493012345678, " * (LOOKS_MAX + 1)
    assert names(PHONE, digits)
    assert not names(PHONE, digits[: len(digits) // 2])
    began_s = time.process_time()
    for hostile in (
        b"%4",
        b"=4",
        b"\\u0041",
        b"=?x?q?",
        b"?=   ",
        b"QUFB\n",
        b"&#x4",
        b"--b\r\n",
        b"1234567 ",
        b"ann@",
    ):
        assert not names(PHONE, hostile * (100_000 // len(hostile)))
        assert not names(ADDRESS, hostile * (100_000 // len(hostile)))
    assert time.process_time() - began_s < 20
