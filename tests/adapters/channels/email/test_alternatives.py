"""What a part says that was not taken is kept; one that says the same is not."""

import time

import pytest

from adapters.channels.email import alternatives, html, mime
from adapters.channels.email.inbound import parse
from tests.adapters.channels.letters import ADDRESS, ARRIVED_MS, letter, message


def both(plain: str, rich: str) -> bytes:
    """A mail of two alternatives."""
    parts = (f"--a\nContent-Type: text/{kind}; charset=utf-8\n\n{body}\n" for kind, body in
             (("plain", plain), ("html", rich)))  # fmt: skip
    return letter(("".join(parts) + "--a--\n").encode(), content_type="multipart/alternative; boundary=a")


def files(raw: bytes) -> list[tuple[str, bytes]]:
    """Its attachments with what they hold."""
    mail = parse(raw, account="mail", address=ADDRESS, arrived_ms=ARRIVED_MS)
    return [(file.name, mail.files[file.sha256].strip()) for file in message(raw).attachments]


def test_a_mail_without_another_part_is_not_gone_through() -> None:
    """10 MiB of short words took seconds."""
    taken = mime.Contents([mime.Text(False, "a b " * 2_000_000)], [], [])
    began_s = time.thread_time()
    assert alternatives.saying_more(taken, taken.texts[0].text) == []
    assert time.thread_time() - began_s < 0.5


@pytest.mark.parametrize(
    ("plain", "rich"),
    [
        ("Your mail program shows no HTML.", "<p>My meter stands at 4711.</p>"),
        ("The readings:", "<p>The readings:</p><table><tr><td>June<td>4711</table>"),
        ("Pay here", "<p>Pay <a href='https://pay.example/i?n=1&amp;k=2'>here</a></p>"),
        ("Write to me", "<p>Write to <a href=mailto:ann.other@example.org>me</a></p>"),
    ],
)
def test_html_that_says_more_than_the_plain_text_is_kept(plain: str, rich: str) -> None:
    """In words, or in where its links lead."""
    assert message(both(plain, rich)).text.strip() == plain
    assert files(both(plain, rich)) == [("message.html", rich.encode())]


@pytest.mark.parametrize(
    ("plain", "rich"),
    [
        ("The *BILL* is\nwrong.", "<p>The <b>bill</b> is wrong.</p>"),
        ("Not this", "<div style='display:none'>preview</div><p>Not this</p>"),
        ("See https://a.example/b?c=1&d=2.", "<p>See <a href='https://a.example/b?c=1&amp;d=2'>https://a.example/b?c=1&amp;d=2</a>."),
        ("See www.a.example", "<p>See <a href='http://www.a.example/'>www.a.example</a>"),
        ("pay <https://a.example>", "<p><a href=https://a.example>pay</a>"),
        ("Ann <ann@example.org>", "<p><a href='mailto:ann@example.org'>Ann</a> ann@example.org"),
        ("A photo", "<p>A photo <img src='cid:logo'><a href='#top'></a>"),
    ],
)  # fmt: skip
def test_html_that_says_the_same_is_not_kept(plain: str, rich: str) -> None:
    """So it is with most mails, whose attachments would be one more each."""
    assert files(both(plain, rich)) == []


def test_a_reply_is_compared_with_all_of_its_text() -> None:
    """What it quotes is kept with the whole text, and is no reason to keep the HTML too."""
    plain = "I do.\n\nOn Monday, Support wrote:\n> Do you agree?\n"
    raw = both(plain, "<p>I do.</p><p>On Monday, Support wrote:</p><blockquote>Do you agree?</blockquote>")
    reply = raw.replace(b"Subject: ", b"Subject: Re: ", 1)
    assert [name for name, _ in files(reply)] == ["message.txt"]


def test_links_of_a_mail_without_plain_text_are_kept() -> None:
    """Its text does not say where they lead."""
    rich = "<p>Pay <a href='https://pay.example/1'>here</a></p>"
    raw = letter(rich.encode(), content_type="text/html; charset=utf-8")
    assert message(raw).text == "Pay here"
    assert files(raw) == [("message.html", rich.encode())]


def test_plain_text_that_was_not_taken_is_kept_where_it_says_more() -> None:
    """Two plain alternatives: the first is the text."""
    parts = "".join(f"--a\nContent-Type: text/plain\n\n{body}\n" for body in ("one", "One", "two"))
    raw = letter(f"{parts}--a--\n".encode(), content_type="multipart/alternative; boundary=a")
    assert message(raw).text.strip() == "one"
    assert files(raw) == [("message.txt", b"two")]


def test_html_beyond_what_is_read_is_kept_unread() -> None:
    """Reading it could take seconds."""
    rich = "<b>word</b> " * (html.HTML_CHARS_MAX // 12 + 1)
    assert files(both("word", rich)) == [("message.html", rich.strip().encode())]


def test_html_with_too_many_tags_beside_plain_text_is_kept_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all such parts together."""
    monkeypatch.setattr(html, "TAGS_MAX", 3)
    assert files(both("word", "<b>word</b>")) == []
    assert files(both("word", "<b>word</b><b>word</b>")) == [("message.html", b"<b>word</b><b>word</b>")]
