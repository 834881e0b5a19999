"""Mails in: payload in, expectation out."""

import base64
import time
from hashlib import sha256
from typing import Any

import pytest

from adapters.channels.email import charsets, html, mime
from adapters.channels.email.inbound import parse
from protocol.errors import Code, Refusal
from protocol.inbound import ATTACHMENTS_MAX, REFERENCES_MAX, TEXT_MAX, Attachment, MessageArrived
from tests.adapters.channels.letters import ADDRESS, ARRIVED_MS, SENT_MS, letter, message, read


def b64(text: str, charset: str) -> str:
    """The text in a charset, as Base64."""
    return base64.b64encode(text.encode(charset)).decode()


def test_a_plain_mail_becomes_an_event() -> None:
    """Every attribute of the event comes from the field that the RFC gives it."""
    event = read(letter("Where is my bill?\n", in_reply_to="<b@x> <a@x>", references="<a@x>\n <0@x>"))
    assert (event.id, event.source, event.account, event.channel) == (
        "first@example.org",
        "/email/mail",
        "mail",
        "email",
    )
    assert event.time_ms == SENT_MS
    assert event.identities == ["mailto:ann@example.org"]
    assert event.raw["to"] == f"Support <{ADDRESS}>"
    data = message(letter("Where is my bill?\n", in_reply_to="<b@x> <a@x>", references="<a@x>\n <0@x>"))
    assert data.text.strip() == "Where is my bill?"
    assert data.subject == "My bill"
    assert data.reference == "first@example.org"
    assert data.in_reply_to == ["b@x", "a@x", "0@x"]
    assert not data.automatic


@pytest.mark.parametrize(
    ("content_type", "encoding", "body", "text"),
    [
        ("text/plain; charset=utf-8", "8bit", "Grüße aus Köln 🌧".encode(), "Grüße aus Köln 🌧"),
        ("text/plain; charset=windows-1252", "8bit", "Über 40 € – “falsch”".encode("cp1252"), "Über 40 € – “falsch”"),
        ("text/plain; charset=iso-8859-1", "8bit", "40 € “falsch”".encode("cp1252"), "40 € “falsch”"),
        ("text/plain; charset=iso-8859-1", "quoted-printable", b"Gr=FC=DFe aus M=\nchen", "Grüße aus Mchen"),
        ("text/plain; charset=ISO-2022-JP", "7bit", "請求書について".encode("iso2022_jp"), "請求書について"),
        ("text/plain; charset=Shift_JIS", "base64", b64("①番の請求書", "cp932").encode(), "①番の請求書"),
        ("text/plain; charset=koi8-r", "8bit", "Где мой счёт?".encode("koi8-r"), "Где мой счёт?"),
        ("text/plain; charset=gb2312", "8bit", "账单问题镕".encode("gb18030"), "账单问题镕"),
        ("text/plain; charset=ks_c_5601-1987", "8bit", "청구서 똠".encode("cp949"), "청구서 똠"),
        ("text/plain; charset=us-ascii", "8bit", "Grüße".encode(), "Grüße"),
        ("text/plain", "8bit", "Grüße".encode("cp1252"), "Grüße"),
        ("text/plain; charset=x-unknown-charset", "8bit", "Grüße".encode(), "Grüße"),
        ("text/plain; charset=utf-8", "8bit", b"cut \xe2\x82 here", "cut � here"),
        ("text/plain; charset=rot13", "8bit", b"Uryyb", "Uryyb"),
        ("text/plain; charset=idna", "8bit", b"hello", "hello"),
        ("text/plain; charset=utf-8", "base64", b"SGVs*bG8", "Hello"),
        ("text/plain; charset=utf-8", "no-such-encoding", b"as it is", "as it is"),
        ("text/plain; charset=utf-8", "8bit", b"nul\x00 and bell\x07", "nul and bell"),
        ("nonsense", "8bit", b"still read", "still read"),
    ],
)  # fmt: skip
def test_charsets_and_encodings(content_type: str, encoding: str, body: bytes, text: str) -> None:
    """Words arrive as they were written, whatever the bytes are declared to be."""
    raw = letter(body, content_type=content_type, content_transfer_encoding=encoding)
    assert message(raw).text.strip() == text


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("=?utf-8?B?UmVjaG51bmcg8J+YgA==?=", "Rechnung 😀"),
        ("=?iso-8859-1?Q?Gr=FC=DFe_aus?= =?iso-8859-1?Q?_K=F6ln?=", "Grüße aus Köln"),
        # Two words that cut one character in two, as many programs write them.
        ("=?utf-8?B?w4Q=?= =?utf-8?B?4oI=?=\n =?utf-8?B?rA==?=", "Ä€"),
        ("=?ISO-2022-JP?B?GyRCQEE1YT1xGyhC?=", "請求書"),
        ("Re: =?utf-8?q?caf=C3=A9?= bill", "Re: café bill"),
        ("=?x-none?q?hello?=", "hello"),
        ("=?utf-8?b?b?=", "b"),
        ("=?utf-8?b?R3LDvMOf?", "=?utf-8?b?R3LDvMOf?"),
        ("plain\n folded", "plain folded"),
        ("Grüße", "Grüße"),
        ("\udcfcbel", "übel"),
        ("a\x07b\u202ec d", "ab c d"),
        ("x" * 2000, "x" * 500),
    ],
)
def test_any_subject_becomes_one_readable_line(subject: str, text: str) -> None:
    """Encoded words, raw bytes and broken ones become one readable line."""
    assert message(letter(subject=subject)).subject == text


@pytest.mark.parametrize(
    ("fields", "identity"),
    [
        ({"from": "ann@example.org"}, "mailto:ann@example.org"),
        ({"from": '"Example, Ann (home)" <Ann@Example.org>'}, "mailto:Ann@Example.org"),
        ({"from": "=?utf-8?q?J=C3=B6rg?= <joerg@example.de>"}, "mailto:joerg@example.de"),
        ({"from": "undisclosed", "sender": "bob@example.org"}, "mailto:bob@example.org"),
        ({"from": None}, "mailto:envelope@example.org"),
        ({"from": "((((" * 300 + "x <y@example.org>"}, "mailto:y@example.org"),
        ({"from": "Ann\udcfc <ann@example.org>"}, "mailto:ann@example.org"),
        ({"from": "ann@example.org <ann@example.org>"}, "mailto:ann@example.org"),
        ({"from": "ann@home <ann@example.org>"}, "mailto:ann@example.org"),
        ({"from": "Ann <<ann@example.org>>"}, "mailto:ann@example.org"),
        ({"from": 'ann@home "<bob@example.org>" (<bob@example.org>) <ann@example.org>'}, "mailto:ann@example.org"),
        ({"from": '"ann"@example.org'}, "mailto:ann@example.org"),
        ({"from": '"Ann" <"ann"@example.org>'}, "mailto:ann@example.org"),
        ({"from": '"bob@example.org"@example.org', "sender": "ann@example.org"}, "mailto:ann@example.org"),
        ({"from": "ann@home <ann at example>", "sender": "bob@example.org"}, "mailto:bob@example.org"),
    ],
)
def test_the_author_is_from_else_sender_else_the_envelopes(fields: dict[str, Any], identity: str) -> None:
    """The author is From, else Sender, else who the envelope names."""
    assert read(letter(**fields), sender="envelope@example.org").identities == [identity]


def test_a_mail_from_nobody_is_refused() -> None:
    """Without any address nobody can be found whom it belongs to."""
    with pytest.raises(Refusal) as caught:
        read(letter(from_=None), sender="")
    assert caught.value.code is Code.NO_IDENTITY


@pytest.mark.parametrize(
    ("date", "time_ms"),
    [
        ("Mon, 02 Nov 2026 12:00:00 +0200", SENT_MS),
        ("2 Nov 26 10:00 GMT", SENT_MS),
        (None, ARRIVED_MS),
        ("yesterday", ARRIVED_MS),
        ("Mon, 02 Nov 2026 11:00:00 +0000", ARRIVED_MS),
        ("Thu, 01 Jan 1970 00:00:00 +0000", ARRIVED_MS),
        ("Mon, 99 Nov 99999999999 99:99:99 +9999", ARRIVED_MS),
    ],
)
def test_a_date_counts_where_its_clock_is_credible(date: str | None, time_ms: int) -> None:
    """A Date counts where its clock is credible, else the time of arrival."""
    assert read(letter(date=date)).time_ms == time_ms


def test_without_a_message_id_its_bytes_name_it() -> None:
    """The same bytes have the same id, so that a repeat has one effect."""
    raw = letter(message_id=None)
    assert read(raw).id == f"sha256:{sha256(raw).hexdigest()}" == message(raw).reference


def test_references_are_bounded_and_bare() -> None:
    """The nearest are kept, without brackets, each once."""
    many = " ".join(f"<{number}@x>" for number in range(100))
    found = message(letter(in_reply_to="<99@x>", references=many)).in_reply_to
    assert found == [f"{number}@x" for number in range(99, 99 - REFERENCES_MAX, -1)]


MIXED = """preamble
--aa
Content-Type: multipart/related; boundary=bb

--bb
Content-Type: multipart/alternative; boundary=cc

--cc
Content-Type: text/plain; charset=utf-8

See the photo.
--cc
Content-Type: text/html; charset=utf-8

<p>See the <b>photo</b>.</p>
--cc--
--bb
Content-Type: image/png; name="logo.png"
Content-ID: <logo>
Content-Transfer-Encoding: base64

aW1hZ2U=
--bb--
--aa
Content-Type: application/pdf;
 name*0*=utf-8''Rechnung%20;
 name*1*=%C3%BCber%20M;
 name*2=ai.pdf
Content-Disposition: attachment;
 filename*0*=utf-8''Rechnung%20;
 filename*1*=%C3%BCber%20M;
 filename*2=ai.pdf
Content-Transfer-Encoding: base64

cGRm
--aa
Content-Type: application/octet-stream; name="=?utf-8?q?=C3=BC.txt?="
Content-Disposition: attachment; filename="..\\..\\=?utf-8?q?=C3=BC.txt?="

data
--aa
Content-Type: message/rfc822

From: carol@example.org
Subject: The old one
Content-Type: text/plain

Not the customer's words.
--aa
Content-Type: text/plain; charset=utf-8

Second part.
--aa--
epilogue
"""


def test_nested_parts_and_attachments() -> None:
    """The plain alternative is read, files are listed by their readable names and stored by their hash."""
    mail = parse(
        letter(MIXED, content_type="multipart/mixed; boundary=aa"),
        account="mail", address=ADDRESS, arrived_ms=ARRIVED_MS,
    )  # fmt: skip
    data = message(letter(MIXED, content_type="multipart/mixed; boundary=aa"))
    assert data.text.split() == ["See", "the", "photo.", "Second", "part."]
    assert [(file.name, file.media_type) for file in data.attachments] == [
        ("logo.png", "image/png"),
        ("Rechnung über Mai.pdf", "application/pdf"),
        ("ü.txt", "application/octet-stream"),
        ("The old one.eml", "message/rfc822"),
    ]
    assert {file.sha256 for file in data.attachments} == set(mail.files)
    assert data.attachments[0] == Attachment(
        name="logo.png", media_type="image/png", size_bytes=5, sha256=sha256(b"image").hexdigest()
    )
    assert b"Not the customer's words." in mail.files[data.attachments[3].sha256]


def test_a_mail_within_a_mail_is_kept_as_it_stands_however_long_its_fields_are() -> None:
    """Whoever folds its fields anew changes them, and needs minutes for a quarter of a megabyte of blanks."""
    within = "Subject: The\n  old\tone\nX-Long: " + "a " * 8_000 + "b\nX-Odd:  ü\n\nits words"
    body = f"--a\nContent-Type: message/rfc822\n\n{within}\n--a--\n"
    began_s = time.thread_time()
    mail = parse(
        letter(body, content_type="multipart/mixed; boundary=a"), account="mail", address=ADDRESS, arrived_ms=ARRIVED_MS
    )
    assert list(mail.files.values()) == [within.replace("X-Odd:  ü", "X-Odd: ü").encode()]
    assert time.thread_time() - began_s < 1


def test_a_file_inside_an_alternative_is_kept() -> None:
    """Apple Mail puts attachments into the HTML alternative."""
    body = """--a
Content-Type: text/plain

words
--a
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/html

<p>words</p>
--b
Content-Type: application/pdf; name=bill.pdf

pdf
--b--
--a--
"""
    data = message(letter(body, content_type="multipart/alternative; boundary=a"))
    assert data.text.strip() == "words"
    assert [file.name for file in data.attachments] == ["bill.pdf"]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<html><head><style>p{}</style></head><body><p>One</p><p>&amp; two</p></body>", "One\n\n& two"),
        ("<table><tr><td>Total</td><td>40</td></tr><tr><td>Due</td><td>May</td></tr></table>", "Total 40\nDue May"),
        ("<div style='display: none'>preview</div><div>words<br>more</div>", "words\nmore"),
        ("<ul><li>one<li>two</ul>", "* one\n* two"),
        ("<meta charset=utf-8><script>alert(1)</script>ok", "ok"),
        ("not html at all < really", "not html at all < really"),
        ("<p>unclosed <b>tags", "unclosed tags"),
        ("<!-- only --><!-- comments -->", ""),
        ("<?xml version='1.0' encoding='utf-8'?><p>as XML</p>", "as XML"),
        ("\n <?xml version='1.0' encoding='utf-8'?><p>as XML</p>", "as XML"),
    ],
)  # fmt: skip
def test_a_mail_of_html_alone_is_read_as_text(source: str, text: str) -> None:
    """A mail without plain text is read from its HTML."""
    assert message(letter(source, content_type="text/html; charset=utf-8")).text == text


def test_html_of_blanks_takes_no_longer_than_other_html() -> None:
    """An expression that was tried from each blank on held up every channel's messages for half an hour, by a
    stranger's mail of half a megabyte; by this one for seconds."""
    began_s = time.thread_time()
    assert html.text_of("<p>words</p>" + " " * 40_000 + "<p>more</p>") == "words\n\nmore"
    assert time.thread_time() - began_s < 1


@pytest.mark.parametrize("depth", [300, 1500, 5000])
def test_html_that_is_nested_deep_loses_no_words(depth: int) -> None:
    """Programs leave `<font>` open at every paragraph, so that each lies in the one before."""
    source = "First" + "<p><font>more" * depth + "<p>l&auml;st"
    words = message(letter(source, content_type="text/html; charset=utf-8")).text.split()
    assert (words[0], words.count("more"), words[-1]) == ("First", depth, "läst")


def test_an_empty_plain_alternative_does_not_hide_the_html() -> None:
    """Some programs send an empty text beside their HTML."""
    body = "--a\nContent-Type: text/plain\n\n \n--a\nContent-Type: text/html\n\n<p>words</p>\n--a--\n"
    assert message(letter(body, content_type="multipart/alternative; boundary=a")).text == "words"


def test_a_multipart_without_its_boundary_is_read_as_text() -> None:
    """What stands there is not lost."""
    assert "words" in message(letter("words\n", content_type="multipart/mixed")).text
    assert "words" in message(letter("words\n", content_type="multipart/mixed; boundary=never")).text


def test_a_text_over_the_limit_is_cut_and_kept_whole() -> None:
    """The cut text is in the event, all of it is an attachment."""
    raw = letter("word " * (TEXT_MAX // 4))
    mail = parse(raw, account="mail", address=ADDRESS, arrived_ms=ARRIVED_MS)
    data = message(raw)
    assert len(data.text) == TEXT_MAX
    assert data.attachments[0].name == "message.txt"
    assert len(mail.files[data.attachments[0].sha256]) > TEXT_MAX


@pytest.mark.parametrize("charset", ["utf-8", "utf-16-le", "shift_jis", "iso-2022-jp", "utf-7"])
@pytest.mark.parametrize("subject", ["Words", "Re: Words"])
def test_of_a_long_text_the_beginning_is_decoded_and_all_kept_as_it_came(
    monkeypatch: pytest.MonkeyPatch, charset: str, subject: str
) -> None:
    """In charsets with and without a state, in an answer or not. As much is decoded at a time as is shown."""
    sizes: list[int] = []
    decoding = charsets.decode

    def decode(raw: bytes, charset: str) -> str:
        sizes.append(len(raw))
        return decoding(raw, charset)

    monkeypatch.setattr(charsets, "decode", decode)
    words = "あい日本語です\n" * (mime.TEXT_BYTES_MAX // 10)
    body = base64.encodebytes(words.encode(charset))
    fields = {"content_type": f"text/plain; charset={charset}", "content_transfer_encoding": "base64"}
    raw = letter(body, subject=subject, in_reply_to="<1@x>", **fields)
    mail = parse(raw, account="mail", address=ADDRESS, arrived_ms=ARRIVED_MS)
    assert isinstance(mail.event.data, MessageArrived)
    assert mail.event.data.text == words[:TEXT_MAX]
    [file] = mail.event.data.attachments
    assert (file.name, file.media_type) == ("message.txt", "text/plain")
    assert mail.files[file.sha256] == words.encode(charset)
    assert mime.TEXT_BYTES_MAX - 100 < max(sizes) <= mime.TEXT_BYTES_MAX


@pytest.mark.parametrize("kind", ["mixed", "alternative"])
@pytest.mark.parametrize("failed", ["", "X-Failed-Recipients: ann@example.org\n"])
def test_of_many_long_texts_few_are_decoded(kind: str, failed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them was, at up to 0.2 s. The others are files, as they came; so is the rest of one that was begun."""
    decoded: list[int] = []
    decoding = charsets.decode

    def decode(raw: bytes, charset: str) -> str:
        decoded.append(len(raw))
        return decoding(raw, charset)

    monkeypatch.setattr(charsets, "decode", decode)
    noise = [bytes([0x80 + n]) * 99 + b"\n" for n in range(9)]
    texts = [line * (mime.TEXT_BYTES_MAX // 101) for line in noise]
    part = b"--a\nContent-Type: text/plain; charset=windows-1255\n\n"
    parts = b"".join(part + text + b"\n" for text in texts) + b"--a--\n"
    raw = failed.encode() + letter(parts, content_type=f"multipart/{kind}; boundary=a")
    mail = parse(raw, account="mail", address=ADDRESS, arrived_ms=ARRIVED_MS)
    assert sum(decoded) < mime.TEXTS_BYTES_MAX * (2 if failed else 1) + 1000
    assert isinstance(mail.event.data, MessageArrived)
    files = [mail.files[file.sha256] for file in mail.event.data.attachments]
    assert [text for text in texts if text.replace(b"\n", b"\r\n") in files] == texts[2:]


def test_long_html_is_kept_once_as_it_came() -> None:
    """Beside a text, and by itself."""
    rich = ("<p>wörd</p>" + " " * 1000) * (mime.TEXT_BYTES_MAX // 1000)
    part = f"--a\nContent-Type: text/html; charset=iso-8859-1\n\n{rich}\n--a--\n".encode("latin-1")
    for before in (b"", b"--a\nContent-Type: text/plain\n\nword\n"):
        raw = letter(before + part, content_type="multipart/alternative; boundary=a")
        mail = parse(raw, account="mail", address=ADDRESS, arrived_ms=ARRIVED_MS)
        assert isinstance(mail.event.data, MessageArrived)
        [file] = mail.event.data.attachments
        assert (file.name, mail.files[file.sha256].strip()) == ("message.html", rich.encode("latin-1").strip())


def test_html_over_the_limit_is_cut_and_kept_whole() -> None:
    """However many parts it comes in: all of them together have one bound, within which the first are read."""
    part = "--a\nContent-Type: text/html\n\n{}\n"
    parts = part.format(f"<p>word</p>{' ' * 53}" * (html.HTML_CHARS_MAX // 96))
    parts += part.format(f"{' ' * 32}<i>x</i>" * 9000)
    raw = letter(f"{parts}{part.format('<b>last</b>')}--a--\n", content_type="multipart/mixed; boundary=a")
    data = message(raw)
    assert data.text.startswith("word")
    assert "last" not in data.text
    assert [file.name for file in data.attachments] == ["message.html", "message.html"]
    assert sum(file.size_bytes for file in data.attachments) > 320_000


@pytest.mark.parametrize(
    "rich",
    [
        "<p>word</p>" * (html.TAGS_MAX // 2 + 1),
        "<blockquote>" * (html.DEPTH_MAX + 1) + "<p>word</p>" + "</blockquote>" * (html.DEPTH_MAX + 1),
    ],
    ids=["many tags", "deep"],
)
def test_html_that_takes_long_to_lay_out_is_read_without_its_tags_and_kept(
    rich: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no browser shows is left out all the same. The file is what came."""
    monkeypatch.setattr(html, "Inscriptis", None)
    source = (
        f"<head><title>no</title><STYLE>p {{}}</style ></head><body>first<script>no()</script>{rich}&amp; last</body>"
    )
    raw = letter(source, content_type="text/html")
    mail = parse(raw, account="mail", address=ADDRESS, arrived_ms=ARRIVED_MS)
    data = message(raw)
    assert set(data.text.split()) == {"first", "word", "&", "last"}
    assert [file.name for file in data.attachments] == ["message.html"]
    assert mail.files[data.attachments[0].sha256].decode() == source


def test_html_within_the_bounds_is_laid_out() -> None:
    """As much as may be, and as deep."""
    many = "<p>word</p>" * (html.TAGS_MAX // 2)
    deep = "<div>" * (html.DEPTH_MAX - 3) + "<blockquote>word</blockquote>"
    for source, words in ((many, "word\n\nword"), (deep, ">\n> word")):
        reading = html.read(source)
        assert (reading.laid_out, reading.text.startswith(words)) == (True, True)


def test_the_tags_of_all_parts_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them alone may be within the bound."""
    monkeypatch.setattr(html, "TAGS_MAX", 5)
    laid = "--a\nContent-Type: text/html\n\n<blockquote><b>{}</b></blockquote>\n"
    raw = letter(f"{laid.format('one')}{laid.format('two')}--a--\n", content_type="multipart/mixed; boundary=a")
    data = message(raw)
    assert data.text.split() == [">", ">", "one", "two"]
    assert [file.name for file in data.attachments] == ["message.html", "message.html"]


def test_too_many_attachments_leave_the_mail_as_one() -> None:
    """Those that find no room are in the mail itself, which is the last."""
    parts = "".join(f"--a\nContent-Type: image/png; name={n}.png\n\n{n}\n" for n in range(ATTACHMENTS_MAX + 6))
    data = message(letter(f"{parts}--a--\n", content_type="multipart/mixed; boundary=a"))
    assert len(data.attachments) == ATTACHMENTS_MAX
    assert data.attachments[-1].name == "message.eml"


def test_what_was_quoted_is_kept_aside() -> None:
    """The event has the new words; the whole text is a file that comes with it."""
    text = "Yes, please.\n\nOn Mon, 2 Nov 2026, Support wrote:\n> Shall we?\n"
    raw = letter(text, subject="Re: My bill", in_reply_to="<a@x>")
    mail = parse(raw, account="mail", address=ADDRESS, arrived_ms=ARRIVED_MS)
    data = message(raw)
    assert data.text == "Yes, please."
    [whole] = data.attachments
    assert whole.name == "message.txt"
    assert b"> Shall we?" in mail.files[whole.sha256]
    assert message(letter("Yes, please.\n\n", in_reply_to="<a@x>")).attachments == []


def test_a_first_mail_is_not_cut() -> None:
    """Only an answer quotes what it answers."""
    text = "On Mon, 2 Nov 2026, Support wrote:\n> Shall we?\nIs this from you?"
    assert message(letter(text)).text == text
