"""HTML → text, for mails that have nothing else.

inscriptis renders like a browser does; a mail can use that against us: a table cell of 100,000 characters beside 5,000
small ones makes 500 MB of blanks, and so do nested paddings. So tables, which in mails are mostly layout, are read in
their reading order, of all styles only `display: none` counts, and the rest is a list of blocks. Quotes come out as
they stand in plain text, behind `>`.
"""

import html as entities
import re
from typing import Any, NamedTuple

from inscriptis import Inscriptis
from inscriptis.css_profiles import CSS_PROFILES
from inscriptis.html_properties import Display
from inscriptis.model.config import ParserConfig
from inscriptis.model.html_element import HtmlElement
from inscriptis.model.tag import CustomHtmlTagHandlerMapping
from lxml.etree import ParserError, iterwalk
from lxml.html import HTMLParser, document_fromstring

from adapters.channels.email.charsets import clean

HTML_CHARS_MAX = 512 * 1024
"""Characters that are read; callers keep longer HTML as a file."""
TAGS_MAX = 32 * 1024
"""Tags, by their `<`, that are laid out: what laying out takes grows with them, some 15 µs for each. A newsletter of
`HTML_CHARS_MAX` has some 12,000."""
DEPTH_MAX = 256
"""Elements within elements that are laid out, which takes time by their depth for each block. A mail that was answered
fifty times has 150."""
QUOTE_DEPTH_MAX = 8
"""Quote marks before a line: more says no more."""
_OPEN, _SHUT = "\ue000", "\ue001"
"""Where a quote begins and ends: characters of the private use area, which are taken out of the text before."""
_MARKS = re.compile(f"[{_OPEN}{_SHUT}]")
_TAG = re.compile(r"<[^<>]*>")
_BREAK = re.compile(r"<(?:br|/?(?:p|div|tr|li|ul|ol|blockquote|h[1-6]))\b[^<>]*>", re.IGNORECASE)
_UNREAD = tuple(
    (re.compile(rf"<{name}\b", re.IGNORECASE), re.compile(rf"</{name}\b[^<>]*>", re.IGNORECASE))
    for name in ("head", "style", "script")
)
"""Elements whose text is no word of the mail's, by where they begin and end."""
_BLANK_RUN = re.compile(r"\n{3,}")
_DECLARATION = re.compile(r"\s*<\?xml [^<>]*>")
"""lxml refuses a text that says in what bytes it is written, which stands at its beginning. It is looked for there
alone: from each blank of half a million on, that would take half an hour."""


class Reading(NamedTuple):
    """What HTML says. `laid_out` is False where its tags were only taken away: nothing marks a quote then, or ends what
    is hidden."""

    text: str
    laid_out: bool


def text_of(html: str) -> str:
    """The words of the HTML, in lines, `>` before what is quoted. Never raises for what the HTML is."""
    return read(html).text


def read(html: str, *, tags_max: int = TAGS_MAX) -> Reading:
    """The same; laid out if there are no more tags, and it is no deeper than may be."""
    source = _MARKS.sub("", clean(html[:HTML_CHARS_MAX]))
    if declaration := _DECLARATION.match(source):
        source = source[declaration.end() :]
    rendered = _rendered(source) if tags_of(source) <= tags_max else ""
    laid_out = bool(rendered.strip())
    if not laid_out:
        # The tags go, the words stay.
        for element in _UNREAD:
            source = _without(source, *element)
        rendered = entities.unescape(_TAG.sub(" ", _BREAK.sub("\n", source)))
    return Reading(_BLANK_RUN.sub("\n\n", _quoted(clean(rendered))).strip("\n"), laid_out or not rendered.strip())


def tags_of(html: str) -> int:
    """How many tags it has, at most."""
    return html.count("<")


def _rendered(source: str) -> str:
    """Empty where it cannot be laid out."""
    try:
        # As deep as it may be: else lxml stops at a depth of 256 and says nothing, and the words behind it are lost.
        tree = document_fromstring(source, parser=HTMLParser(huge_tree=True))
        return "" if _is_too_deep(tree) else str(Inscriptis(tree, _config()).get_text())
    except (ParserError, ValueError, AssertionError, IndexError, RecursionError):
        # lxml refuses some documents, and inscriptis trips over others.
        return ""


def _is_too_deep(tree: Any) -> bool:
    depth = 0
    for event, _ in iterwalk(tree, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > DEPTH_MAX:
            return True
    return False


def _without(source: str, opens: re.Pattern[str], shuts: re.Pattern[str]) -> str:
    """Without what stands between these. One that has no end stays."""
    pieces, at = [], 0
    while (first := opens.search(source, at)) and (last := shuts.search(source, first.end())):
        pieces.append(source[at : first.start()])
        at = last.end()
    return "".join([*pieces, source[at:]])


def _config() -> ParserConfig:
    # A fresh one each time: inscriptis keeps state in it.
    config = ParserConfig(css=_css(), custom_html_tag_handler_mapping=_HANDLERS)
    config.attribute_handler.attribute_mapping = {"style": _hide}
    return config


def _css() -> dict[str, Any]:
    css = dict(CSS_PROFILES["strict"])
    for tag in ("ul", "ol", "table", "tr"):
        css[tag] = HtmlElement(display=Display.block)
    return css


def _hide(style: str, element: Any) -> None:
    """Preview lines and other hidden text are not the customer's words."""
    if "display:none" in style.lower().replace(" ", ""):
        element.display = Display.none


def _nothing(*_: Any) -> None:
    """In place of a handler that would lay out a table."""


def _space(state: Any) -> None:
    state.tags[-1].write(" ")


def _open_quote(state: Any, _: Any) -> None:
    state.tags[-1].write(_OPEN)


def _shut_quote(state: Any) -> None:
    state.tags[-1].write(_SHUT)


_HANDLERS = CustomHtmlTagHandlerMapping(
    start_tag_mapping={"table": _nothing, "tr": _nothing, "td": _nothing, "th": _nothing, "blockquote": _open_quote},
    end_tag_mapping={"table": _nothing, "td": _space, "th": _space, "blockquote": _shut_quote},
)


def _quoted(rendered: str) -> str:
    """Puts `>` before each line between the marks, as often as they are nested."""
    depth, lines = 0, []
    for line in rendered.split("\n"):
        words = _MARKS.sub("", line).rstrip()
        level = min(depth + line.count(_OPEN), QUOTE_DEPTH_MAX)
        lines.append(f"{'>' * level} {words}".rstrip() if level else words)
        depth = max(0, depth + line.count(_OPEN) - line.count(_SHUT))
    return "\n".join(lines)
