"""Signatures against the examples that Twilio's own libraries are tested with."""

import hashlib

import pytest

from adapters.channels.twilio.signature import genuine_body, genuine_form, sign

TOKEN = "12345"
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
CALL = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
    ("Caller", "+14158675309"),
]
CALL_SIGNATURE = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
REPEATED = [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")]
REPEATED_SIGNATURE = "IK+Dwps556ElfBT0I3Rgjkr1wJU="
JSON_BODY = b'{"property": "value", "boolean": true}'
JSON_URL = URL + "&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
JSON_SIGNATURE = "a9nBmqA0ju/hNViExpshrM61xv4="


@pytest.mark.parametrize(
    ("form", "signature"), [(CALL, CALL_SIGNATURE), (CALL[::-1], CALL_SIGNATURE), (REPEATED, REPEATED_SIGNATURE)]
)
def test_a_form_has_the_published_signature(form: list[tuple[str, str]], signature: str) -> None:
    """Names and values are sorted, and a value that stands twice counts once."""
    assert sign(TOKEN, URL, form) == signature
    assert genuine_form(TOKEN, url=URL, form=form, signature=signature)


def test_a_body_has_the_published_signature() -> None:
    """A body that is no form is covered by its digest in the URL."""
    assert genuine_body(TOKEN, url=JSON_URL, body=JSON_BODY, signature=JSON_SIGNATURE)


@pytest.mark.parametrize(
    ("signed", "seen"),
    [
        ("https://mycompany.com/a?b=1", "https://mycompany.com:443/a?b=1"),
        ("https://mycompany.com:443/a?b=1", "https://mycompany.com/a?b=1"),
        ("http://mycompany.com:80/a", "http://mycompany.com/a"),
        ("http://mycompany.com/a", "http://mycompany.com:7100/a"),
        ("https://ann:secret@mycompany.com/a", "https://ann:secret@mycompany.com:443/a"),
        ("https://[::1]/a", "https://[::1]:443/a"),
        ("https://mycompany.com/a?", "https://mycompany.com:443/a?"),
    ],
)
def test_the_url_is_tried_with_and_without_its_port(signed: str, seen: str) -> None:
    """Twilio signs either spelling; the rest of the URL stays as it is, byte by byte."""
    assert genuine_form(TOKEN, url=seen, form=CALL, signature=sign(TOKEN, signed, CALL))


@pytest.mark.parametrize(
    ("token", "url", "form", "signature"),
    [
        ("12346", URL, CALL, CALL_SIGNATURE),
        (TOKEN, URL + "3", CALL, CALL_SIGNATURE),
        (TOKEN, URL.replace("https", "http"), CALL, CALL_SIGNATURE),
        (TOKEN, URL, CALL[:-1], CALL_SIGNATURE),
        (TOKEN, URL, [*CALL, ("Digits", "1235")], CALL_SIGNATURE),
        (TOKEN, URL, CALL, CALL_SIGNATURE.lower()),
        (TOKEN, URL, CALL, ""),
        (TOKEN, URL, CALL, "nö"),
        (TOKEN, "https://[broken", CALL, CALL_SIGNATURE),
        (TOKEN, "https://host:99999/", CALL, CALL_SIGNATURE),
        (TOKEN, "", CALL, CALL_SIGNATURE),
    ],
)
def test_anything_else_is_not_genuine(token: str, url: str, form: list[tuple[str, str]], signature: str) -> None:
    """One changed byte anywhere, or a URL that is none, is a plain no."""
    assert not genuine_form(token, url=url, form=form, signature=signature)


@pytest.mark.parametrize(
    ("url", "body"), [(JSON_URL, JSON_BODY + b" "), (URL, JSON_BODY), (JSON_URL.replace("0a1f", "0a1e"), JSON_BODY)]
)
def test_a_body_needs_its_own_digest(url: str, body: bytes) -> None:
    """Neither another body nor a URL without the digest passes, even when rightly signed."""
    assert not genuine_body(TOKEN, url=url, body=body, signature=sign(TOKEN, url))


def test_a_digest_alone_proves_nothing() -> None:
    """A stranger who computes the digest still lacks the token."""
    body = b"{}"
    url = f"{URL}&bodySHA256={hashlib.sha256(body).hexdigest()}"
    assert not genuine_body(TOKEN, url=url, body=body, signature=sign("guess", url))
