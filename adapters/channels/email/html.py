"""HTML → text, for mails that have nothing else.

inscriptis renders like a browser does; a mail can use that against us: a table cell of 100,000 characters beside 5,000
small ones makes 500 MB of blanks, and so do nested paddings. So tables, which in mails are mostly layout, are read in
their reading order, of all styles only `display: none` counts, and the rest is a list of blocks. Quotes come out as
they stand in plain text, behind `>`.
"""

import html as entities
import re
from typing import Any

from inscriptis import Inscriptis
from inscriptis.css_profiles import CSS_PROFILES
from inscriptis.html_properties import Display
from inscriptis.model.config import ParserConfig
from inscriptis.model.html_element import HtmlElement
from inscriptis.model.tag import CustomHtmlTagHandlerMapping
from lxml.etree import ParserError
from lxml.html import HTMLParser, document_fromstring

from adapters.channels.email.charsets import clean

HTML_CHARS_MAX = 512 * 1024
"""Characters that are read, in 5 s at the very worst; callers keep longer HTML as a file."""
QUOTE_DEPTH_MAX = 8
"""Quote marks before a line: more says no more."""
_OPEN, _SHUT = "\ue000", "\ue001"
"""Where a quote begins and ends: characters of the private use area, which are taken out of the text before."""
_MARKS = re.compile(f"[{_OPEN}{_SHUT}]")
_TAG = re.compile(r"<[^<>]*>")
_BLANK_RUN = re.compile(r"\n{3,}")
_DECLARATION = re.compile(r"\s*<\?xml [^<>]*>")
"""lxml refuses a text that says in what bytes it is written, which stands at its beginning. It is looked for there
alone: from each blank of half a million on, that would take half an hour."""


def text_of(html: str) -> str:
    """The words of the HTML, in lines, `>` before what is quoted. Never raises for what the HTML is."""
    source = _MARKS.sub("", clean(html[:HTML_CHARS_MAX]))
    if declaration := _DECLARATION.match(source):
        source = source[declaration.end() :]
    try:
        # As deep as it may be: else lxml stops at a depth of 256 and says nothing, and the words behind it are lost.
        tree = document_fromstring(source, parser=HTMLParser(huge_tree=True))
        rendered = Inscriptis(tree, _config()).get_text()
    except (ParserError, ValueError, AssertionError, IndexError, RecursionError):
        # lxml refuses some documents, and inscriptis trips over others; it recurses into what is deeper than some 900.
        rendered = ""
    if not rendered.strip():
        # The tags go, the words stay.
        rendered = entities.unescape(_TAG.sub(" ", source))
    return _BLANK_RUN.sub("\n\n", _quoted(clean(rendered))).strip("\n")


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
