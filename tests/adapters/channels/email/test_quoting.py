"""Quoting: replies as mail programs write them, and the new words in them."""

import pytest

from adapters.channels.email import quoting
from adapters.channels.email.html import text_of

GMAIL = """Yes, that works for me.

Ann

On Mon, Nov 2, 2026 at 10:00 AM Support <support@throughline.example> wrote:

> Dear Ann,
>
> shall we take it off the bill?
"""

GMAIL_WRAPPED = """Thanks!

On Mon, Nov 2, 2026 at 10:00 AM Customer Support <
support@throughline.example> wrote:

> Dear Ann,
"""

APPLE = """No, thank you.

Sent from my phone

> On 2 Nov 2026, at 10:00, Support <support@throughline.example> wrote:
>
> Shall we call you?
"""

OUTLOOK = """Please do.

Regards
Ann

________________________________
From: Support <support@throughline.example>
Sent: Monday, November 2, 2026 10:00 AM
To: Ann Example <ann@example.org>
Subject: My bill

Shall we take it off the bill?
"""

OUTLOOK_OLD = """Please do.

-----Original Message-----
From: Support [mailto:support@throughline.example]
Sent: Monday, November 2, 2026 10:00 AM
To: Ann
Subject: My bill

Shall we?
"""

OUTLOOK_GERMAN = """Ja, bitte.

Von: Support <support@throughline.example>
Gesendet: Montag, 2. November 2026 10:00
An: Ann Example <ann@example.org>
Betreff: Rechnung

Sollen wir?
"""

THUNDERBIRD_GERMAN = """Ja, bitte.

Am 02.11.26 um 10:00 schrieb Support:
> Sollen wir?
"""

JAPANESE = """はい、お願いします。

2026年11月2日(月) 10:00 Support <support@throughline.example>:

> よろしいですか。
"""

PORTUGUESE = """Sim, por favor.

Em seg., 2 de nov. de 2026 às 10:00, Support <support@throughline.example> escreveu:

> Podemos?
"""

BOTTOM = """On Mon, 2 Nov 2026, Support wrote:
> Shall we take it off
> the bill?

Yes, please do.
"""

BETWEEN = """On Mon, 2 Nov 2026, Support wrote:
> Which month?
May.
> Which account?
The second.
"""


@pytest.mark.parametrize(
    ("text", "new"),
    [
        (GMAIL, "Yes, that works for me.\n\nAnn"),
        (GMAIL_WRAPPED, "Thanks!"),
        (APPLE, "No, thank you.\n\nSent from my phone"),
        (OUTLOOK, "Please do.\n\nRegards\nAnn"),
        (OUTLOOK_OLD, "Please do."),
        (OUTLOOK_GERMAN, "Ja, bitte."),
        (THUNDERBIRD_GERMAN, "Ja, bitte."),
        (JAPANESE, "はい、お願いします。"),
        (PORTUGUESE, "Sim, por favor."),
        (BOTTOM, "Yes, please do."),
        (BETWEEN, "> Which month?\nMay.\n> Which account?\nThe second."),
        ("Nothing quoted.", "Nothing quoted."),
        ("a\n\n\nb", "a\n\n\nb"),
        ("", ""),
    ],
    ids=lambda value: value[:12],
)
def test_what_a_reply_quotes_is_not_its_words(text: str, new: str) -> None:
    """The past goes, whatever program put it there."""
    assert quoting.new_words(text) == new


@pytest.mark.parametrize(
    "text",
    [
        "> all of it\n> is quoted",
        "I go\nFrom: Berlin\nTo: Paris\non Monday.",
        "See below.\n\n---------- Forwarded message ---------\nFrom: a@b.example\nDate: now\nSubject: x\n\nwords",
        "My list:\n- one\n- two\n\nThanks,\nAnn",
        "On Monday I wrote:\nthis is no quote? It is.",
    ],
)
def test_words_stay_where_it_is_not_sure_that_they_are_a_quote(text: str) -> None:
    """When in doubt, words stay."""
    assert quoting.new_words(text) == text


def test_a_quote_far_down_is_found() -> None:
    """Long answers have a past as well; what is found late costs no more than what is found soon."""
    answer = "\n".join(f"line {number}" for number in range(500))
    assert quoting.new_words(f"{answer}\n\n{GMAIL[len('Yes') :]}").startswith(answer)
    assert "Dear Ann" not in quoting.new_words(f"{answer}\n\n{GMAIL}")


@pytest.mark.parametrize(
    "text",
    [
        "Den skrev " * 20_000,
        ("Den skrev " * 15 + "\n") * 200,
        "a" + "\n" * 200_000 + "b",
        "a" + " " * 200_000 + "b",
        "-" * 200_000 + "x",
        "On " * 50_000,
        "> x\n" * 100_000,
        "From: x\n" * 20_000,
    ],
    ids=range(8),
)
def test_no_text_takes_long(text: str) -> None:
    """mail-parser-reply alone would need minutes to years for some of these."""
    quoting.new_words(text)


@pytest.mark.parametrize(
    ("subject", "is_reply"),
    [("Re: bill", True), ("AW: Rechnung", True), ("回复：账单", True), ("RE[2]: x", True), ("Regarding", False)],
)  # fmt: skip
def test_a_subject_says_that_it_is_a_reply_in_the_usual_languages(subject: str, is_reply: bool) -> None:
    """Re: in the usual languages."""
    assert quoting.is_reply_subject(subject) is is_reply


GMAIL_HTML = """<div dir="ltr">Yes, that works.</div><br><div class="gmail_quote"><div dir="ltr" class="gmail_attr">
On Mon, Nov 2, 2026 at 10:00 AM Support &lt;<a href="mailto:s@t.example">s@t.example</a>&gt;
wrote:<br></div><blockquote class="gmail_quote" style="margin:0 0 0 .8ex"><div>Shall we?</div></blockquote></div>"""

OUTLOOK_HTML = """<html><body><div>Please do.</div><div id="appendonsend"></div><hr style="width:98%">
<div id="divRplyFwdMsg" dir="ltr"><font><b>From:</b> Support &lt;support@throughline.example&gt;<br><b>Sent:</b> Monday,
November 2, 2026 10:00 AM<br><b>To:</b> Ann<br><b>Subject:</b> My bill</font></div><div>Shall we?</div></body></html>"""

APPLE_HTML = """<html><body>No.<br><div><br><blockquote type="cite"><div>On 2 Nov 2026, at 10:00, Support wrote:</div>
<br><div>Shall we?</div></blockquote></div></body></html>"""


@pytest.mark.parametrize(
    ("html", "new"),
    [(GMAIL_HTML, "Yes, that works."), (OUTLOOK_HTML, "Please do."), (APPLE_HTML, "No.")],
    ids=["gmail", "outlook", "apple"],
)
def test_new_words_of_html(html: str, new: str) -> None:
    """The same from mails that have nothing but HTML."""
    assert quoting.new_words(text_of(html)) == new


@pytest.mark.parametrize(
    "html",
    [
        "<table><tr><td>" + "x" * 100_000 + "</td><td>y</td></tr>" + "<tr><td>1</td><td>z</td></tr>" * 5000,
        '<div style="padding-left:99999em">' * 200 + "x<br>" * 1000,
        "<blockquote>" * 250 + "x<br>" * 10_000,
        "<" * 300_000,
        "<!--" * 100_000,
        "<ul>" * 300 + "<li>x" * 10_000,
    ],
    ids=["cells", "paddings", "quotes", "brackets", "comments", "lists"],
)
def test_html_does_not_grow(html: str) -> None:
    """Text made of HTML is of the HTML's order of size; inscriptis alone would make 500 MB of the first."""
    assert len(text_of(html)) <= 4 * len(html)
