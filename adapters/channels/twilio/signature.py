"""Twilio's request signatures: whether a webhook was sent by someone who knows the account's auth token.

`X-Twilio-Signature` is base64(HMAC-SHA1(auth token, text)), where the text is the URL as Twilio called it, query
included, followed for a form by every name and value, sorted and without separators. A body that is no form is covered
by its SHA-256, which Twilio puts into the URL as `bodySHA256`.
Source: https://www.twilio.com/docs/usage/security#validating-requests
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}

Pairs = Sequence[tuple[str, str]]
"""A decoded form, in the order it came in; names may repeat."""


def sign(token: str, url: str, form: Pairs = ()) -> str:
    """Returns the signature of a request to `url` with these form fields."""
    # A set, since Twilio signs a value that stands twice under one name once only.
    covered = url + "".join(name + value for name, value in sorted(set(form)))
    return base64.b64encode(hmac.digest(token.encode(), covered.encode(), hashlib.sha1)).decode("ascii")


def genuine_form(token: str, *, url: str, form: Pairs, signature: str) -> bool:
    """Whether `signature` is that of a form posted to `url`, the address Twilio itself called."""
    return _any_equal(signature, [sign(token, spelling, form) for spelling in _spellings(url)])


def genuine_body(token: str, *, url: str, body: bytes, signature: str) -> bool:
    """Whether `signature` is that of another body posted to `url`, whose query must carry the body's SHA-256."""
    claimed = dict(parse_qsl(urlsplit(url).query)).get("bodySHA256", "")
    digest = hashlib.sha256(body).hexdigest()
    if not hmac.compare_digest(claimed.lower().encode(), digest.encode()):
        return False
    return _any_equal(signature, [sign(token, spelling) for spelling in _spellings(url)])


def _any_equal(signature: str, expected: Sequence[str]) -> bool:
    """Compares with each, in a time that does not tell how much of the signature was right."""
    given = signature.strip().encode()
    return any(hmac.compare_digest(given, one.encode()) for one in expected)


def _spellings(url: str) -> list[str]:
    """The URL as given and with its port left out or written out: Twilio's products disagree on which they sign."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return [url]
    if port is not None:
        other = parts.netloc.removesuffix(f":{port}")
    elif parts.scheme in _DEFAULT_PORTS:
        other = f"{parts.netloc}:{_DEFAULT_PORTS[parts.scheme]}"
    else:
        return [url]
    # Spliced rather than rebuilt from the parts: rebuilding may respell the rest, and every byte is signed.
    start = url.index("//") + 2
    return [url, url[:start] + other + url[start + len(parts.netloc) :]]
