"""Bounds and odd bytes: a mail is an event or a refusal, never a crash, and never takes long."""

import encodings

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.channels.email import charsets, headers, mime
from adapters.channels.email.inbound import parse
from protocol.errors import Code, Refusal
from tests.adapters.channels.letters import ADDRESS, ARRIVED_MS, letter, message


def nested(depth: int) -> bytes:
    """Multiparts, each in the one before."""
    return b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (level, level) for level in range(depth)
    )


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (letter(b"\n--b0\n" + nested(500), content_type="multipart/mixed; boundary=b0"), "deep"),
        (nested(200), "deep"),
        (letter("--a\n\n" * 5000, content_type="multipart/mixed; boundary=a"), "parts"),
        (letter("Content-Type: message/rfc822\n\n" * 100, content_type="message/rfc822"), "deep"),
        (letter(b"\n" * 500_000), "lines"),
        (letter(b"\r" * 500_000), "lines"),
        (b"X: y\n" * 1000 + b"\nhello", "header fields"),
        (b"Received: by mx\n" * 150 + b"\nhello", "loop"),
        (b"X: " + b"y" * 300_000, "header"),
        (letter(subject="x" * 300_000), "header"),
        (letter(content_type='text/plain; x="' + ";" * 100_000), "parameters"),
        (letter(content_type="text/plain" + "; x=1" * 200), "parameters"),
        (letter(content_disposition="attachment; filename=" + "x" * 5000), "parameters"),
        (letter("--a\nContent-Type: x; y" + ";" * 1_000_000, content_type="multipart/mixed; boundary=a"), "parameters"),
    ],
    ids=range(14),
)  # fmt: skip
def test_a_mail_bomb_is_refused_by_the_bound_that_it_breaks(raw: bytes, what: str) -> None:
    """Each bound is met with a refusal that names it, before the parser works for long."""
    with pytest.raises(Refusal) as caught:
        parse(raw, account="mail", address=ADDRESS, arrived_ms=ARRIVED_MS)
    assert caught.value.code is Code.TOO_LARGE
    assert what in caught.value.message
    assert not caught.value.retryable


def test_what_the_standard_library_cannot_read_is_refused() -> None:
    """It raises on parameters that are numbered and not numbered at once."""
    with pytest.raises(Refusal) as caught:
        message(letter("--a\n\n--a--\n", content_type="multipart/mixed; boundary*1=a; boundary*x=b; boundary*=c"))
    assert caught.value.code is Code.INVALID


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ann\\bill.pdf", "bill.pdf"),
        ("a\x00b\nc.txt", "a b c.txt"),
        ("bill\u202efdp.exe", "bill fdp.exe"),
        ("...", ""),
        ("", ""),
        ("x" * 500 + ".pdf", "x" * 196 + ".pdf"),
    ],
)
def test_file_names_are_harmless(name: str, safe: str) -> None:
    """A name is the last part of a path, printable and short."""
    assert mime.safe_name(name) == safe


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("utf-7''a+2AA-b.pdf", "ab.pdf"),
        ("raw-unicode-escape''a%5Cud800b.pdf", "ud800b.pdf"),
        ("idna''xn--zzz.pdf", "xn--zzz.pdf"),
        ("''caf%C3%A9.pdf", "café.pdf"),
        ("x-none''caf%E9.pdf", "café.pdf"),
    ],
)
def test_a_file_name_in_a_charset(said: str, name: str) -> None:
    """Some can say half a character, some are none: the mail is taken all the same."""
    raw = letter(content_type="application/pdf", content_disposition=f"attachment; filename*={said}")
    assert [file.name for file in message(raw).attachments] == [name]


@pytest.mark.parametrize(
    "charset", ["windows-1255", "utf-8", "iso-2022-jp", "iso-2022-kr", "gb18030", "utf-7", "utf-16", "utf-16-be"]
)
def test_what_is_not_of_its_charset_is_read_in_pieces(charset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1 MiB at once nothing else would run for 0.2 s. It reads as it would at once: in the second piece, too, the
    charset is the one that the first began (iso-2022-kr says it once)."""
    text = "".join(f"あ word {n}\n" for n in range(500))
    raw = text.encode(charset, "replace").replace(b"word", b"\xff\xffword") + b"\xff"
    whole = charsets.clean(raw.decode(charsets._codec(charset), "replace"))
    monkeypatch.setattr(charsets, "PIECE_BYTES", 101)
    assert charsets.decode(raw, charset) == whole


def test_a_piece_is_no_longer_than_it_may_be() -> None:
    """Also where there is no end of a line, as in what was made to take long."""
    raw = b"\xff" * (charsets.PIECE_BYTES * 2 + 1)
    assert [len(piece) for piece in charsets._pieces(raw)] == [charsets.PIECE_BYTES, charsets.PIECE_BYTES, 1]
    assert charsets.decode(raw, "windows-1255") == "\ufffd" * len(raw)


def test_charsets_that_are_made_up_are_not_kept() -> None:
    """Python keeps each name of a codec that it was asked for, in every spelling: a sender would fill the memory."""
    made_up = "x-made-up-charset"
    parameters = f"name*={made_up}''a; charset={made_up}; boundary*={made_up}''a"
    for kind in ("text/plain", "application/pdf", "multipart/mixed"):
        raw = letter(content_type=f"{kind}; {parameters}", subject=f"=?{made_up}?q?a?= =?utf----8?q?b?=")
        assert message(raw).subject == "ab"
    known = codecs_asked_for()
    assert known
    assert not [name for name in known if "made" in name or "--" in name]


def codecs_asked_for() -> list[str]:
    """Names that Python keeps, also of those that it has not."""
    kept: dict[str, object] = vars(encodings)["_cache"]
    return list(kept)


def test_a_forwarded_mail_with_an_empty_boundary_is_the_same_each_time() -> None:
    """The standard library would write it anew with a random one: the mail's repeat would be another mail."""
    forwarded = 'Content-Type: multipart/mixed; boundary=""\n\n--\n\none\n--\n\ntwo\n----\n'
    raw = letter(forwarded, content_type="message/rfc822")
    first, second = (parse(raw, account="mail", address=ADDRESS, arrived_ms=ARRIVED_MS) for _ in range(2))
    assert first == second
    [body] = first.files.values()
    assert b"one" in body
    assert b"two" in body


def take(raw: bytes) -> None:
    """The mail is an event that can be encoded, or a refusal."""
    try:
        mail = parse(raw, account="mail", address=ADDRESS, arrived_ms=ARRIVED_MS, sender="ann@example.org")
    except Refusal:
        return
    msgspec.msgpack.encode(mail.event)
    msgspec.json.encode(mail.event)


@given(st.binary(max_size=2000))
def test_random_bytes_are_a_mail_or_refused(raw: bytes) -> None:
    """No bytes crash the parser."""
    take(raw)


_words = st.text(alphabet=st.characters(codec="utf-8"), max_size=60) | st.sampled_from(
    ["=?utf-8?b?", "=?=", "?=", "<", ">", "((", '"', ";", "\n ", "boundary=a", "charset=", "*0*=", "utf-8''%", "\udc80"]
)
_values = st.lists(_words, max_size=5).map("".join)
_types = st.sampled_from(
    [
        "text/plain; charset=utf-7", "text/html", "multipart/mixed; boundary=a", "multipart/alternative; boundary=a",
        "multipart/report; report-type=delivery-status; boundary=a", "message/rfc822", "message/delivery-status",
        "message/disposition-notification", "message/partial", "multipart/digest; boundary=a",
        "text/plain; charset*0=x", "image/png; name*0=a; name*=b", "text/rfc822-headers",
    ]
)  # fmt: skip
_encodings = st.sampled_from(["7bit", "8bit", "base64", "quoted-printable", "x-uuencode", "uuencode", "nothing"])


@st.composite
def _parts(draw: st.DrawFn, depth: int = 0) -> bytes:
    fields = {
        "Content-Type": draw(_types | _values),
        "Content-Transfer-Encoding": draw(_encodings),
        "Content-Disposition": draw(st.sampled_from(["", "inline", "attachment; filename*0*=x"]) | _values),
        draw(st.sampled_from(["From", "To", "Date", "Message-ID", "References", "Action", "Original-Recipient"])): draw(
            _values
        ),
    }
    head = "".join(f"{name}: {value}\n" for name, value in fields.items())
    body = draw(st.binary(max_size=200))
    if depth < 3:
        body += b"".join(b"\n--a\n" + part for part in draw(st.lists(_parts(depth + 1), max_size=3)))
    return head.encode("utf-8", "surrogateescape") + b"\n" + body


@settings(deadline=None, max_examples=100)
@given(_parts())
def test_nearly_valid_mails_are_read_or_refused(raw: bytes) -> None:
    """Valid but odd, and nearly valid: headers, parts and encodings in any combination."""
    take(raw)


@given(
    st.binary(max_size=200),
    st.text(max_size=20) | st.sampled_from(["utf-16", "hz", "utf-7", "idna", "zlib", "undefined"]),
)
def test_bytes_in_any_charset_become_text_that_can_be_kept(raw: bytes, charset: str) -> None:
    """Bytes always become text that can be kept."""
    charsets.decode(raw, charset).encode()


@given(_values)
def test_any_header_value_becomes_one_line(value: str) -> None:
    """Any header value becomes one line."""
    assert "\n" not in headers.line(headers.words(value), chars_max=998)
