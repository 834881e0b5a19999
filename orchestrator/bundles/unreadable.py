"""Unreadable: what YAML's parser complains of, as an owner of the rules would say it, and in which line to look.

The parser names the place where it gave up; where it also says what it was reading, the mistake is there.
"""

import re
import unicodedata

import yaml
from yaml.reader import ReaderError

from protocol.identities import KINDS

_BEGAN, _ENDED = True, False
"""The line where what the parser was reading began, or that where it gave up."""
_WORDS: tuple[tuple[str, bool, str], ...] = (
    ("mapping values are not allowed", _ENDED, "here or in a line above a colon is missing, or a space behind one, or "
     "the line is indented otherwise than its neighbours; a value that has a colon in it stands in quotes"),
    ("but found another document", _ENDED, "three hyphens begin another file's text: take them away"),
    ("'<document start>'", _ENDED, "a line above is no key and value: write `key: value`, with a space between"),
    ("could not find expected ':'", _BEGAN, "a key needs a colon and a space behind it: write `key: value`"),
    (r"character '\\t' that cannot start", _ENDED, "here stands a tab: write spaces in its place"),
    ("expected <block end>", _ENDED, "this line stands in no column of the lines above: indent it exactly as those it "
     "belongs to, with the same number of spaces; text behind a closing quote needs a comma or a remark's #, and what "
     "begins with [ or { stands in quotes"),
    ("unknown escape character", _ENDED, r"a backslash in double quotes: write a pattern in single quotes, as '\d{8}'"),
    ("expected ',' or ']'", _BEGAN, "a list begins here that is not closed, or lacks a comma or a quote: write "
     "[one, two]"),
    ("expected ',' or '}'", _BEGAN, "a brace opens here that is not closed, or lacks a comma: write {one: 1, two: 2}"),
    ("unexpected end of stream", _BEGAN, "a quote opens here and is not closed"),
    ("cannot start any token", _ENDED, "a value may not begin with this sign: put it in quotes"),
    ("sequence entries are not allowed", _ENDED, "a list begins in the line below its key, with a `- ` for each, or is "
     "written [one, two]"),
    ("expected the node content, but found '[^<]", _ENDED, "here a value was to stand, or a comma or bracket too many "
     "does: take it away, or put it in quotes"),
    ("expected chomping|a comment or a line break", _ENDED, "a value that begins with | or > stands in quotes"),
    ("URI|tag handle|expected '!'", _ENDED, "a key or value that begins with ! stands in quotes: write '!…'"),
    ("expected alphabetic or numeric character|undefined alias", _ENDED, "a value that begins with *, & or % stands in "
     "quotes: write \"*…\""),
)  # fmt: skip


def in_words(fault: yaml.MarkedYAMLError, text: str) -> tuple[int, str]:
    """The line, from 1, and what to write instead."""
    problem = fault.problem or ""
    if line := _no_space(fault, text):
        return line, "this cannot be read: here stands a no-break space: write an ordinary one in its place"
    if joined := _joined(fault, text):
        line, key, value = joined
        return line, f"this cannot be read: a space is missing behind the colon: write `{key}: {value}`"
    if "'<document start>'" in problem and (first := _first_indented(text)):
        words = (
            f"this line is indented less than the file's first one, line {first}: take the spaces there away, or write"
        )
        return _line(fault), f"this cannot be read: {words} above it what it belongs to"
    if line := _bullet(fault, text):
        return (
            line,
            "this cannot be read: in a list each line begins with the keyboard's hyphen and a space: write `- …`",
        )
    for pattern, began, words in _WORDS:
        if re.search(pattern, problem):
            return _line(fault, began=began), f"this cannot be read: {words}"
    words = f"this is not YAML: {problem or 'it cannot be read'}; look at the indentation, colons and quotes"
    return _line(fault), words


def _joined(fault: yaml.MarkedYAMLError, text: str) -> tuple[int, str, str] | None:
    """The line that has a key and its value with no space between, the key, and the value; None where none has. To the
    parser both are one value, which goes on in the lines below: it gives up in the first that has a key, which stands
    in the column of this one. Else an address in a list, `- tel:+44…`, would be told of for a mistake below it."""
    last = _line(fault, began="could not find expected ':'" in (fault.problem or ""))
    lines = text.split("\n")[:last]
    column = len(lines[-1]) - len(lines[-1].lstrip())
    found = None
    for number, line in reversed(list(enumerate(lines, start=1))):
        match = _JOINED.fullmatch(line)
        if match and match.start("key") == column and not (match["item"] and match["key"] in KINDS):
            found = number, match["key"], match["value"]
        elif number < last and line.strip() and line.lstrip()[0] != "#":
            break
    return found


def _bullet(fault: yaml.MarkedYAMLError, text: str) -> int:
    """The line, where it gave up or the one above, that begins as a letter's list does; else 0."""
    last = _line(fault)
    lines = text.splitlines()
    return next((n for n in (last - 1, last) if 0 < n <= len(lines) and _BULLET.match(lines[n - 1])), 0)


def _first_indented(text: str) -> int:
    """The line of the first that says something, where it is indented; else 0."""
    lines = enumerate(text.splitlines(), start=1)
    number, line = next(((n, line) for n, line in lines if line.strip() and line.lstrip()[0] != "#"), (0, ""))
    return number if line[:1] == " " else 0


def no_sign(fault: ReaderError, text: str) -> tuple[int, str]:
    """The same for a sign that no YAML may hold, such as a bell."""
    sign = text[fault.position]
    line = text.count("\n", 0, fault.position) + 1
    if sign == "\0":
        return line, "this is no text, or not UTF-8: save the file as UTF-8 text"
    name = unicodedata.name(sign, "") or f"U+{ord(sign):04X}, which nobody sees"
    return line, f"this cannot be read: here stands a sign that is no text ({name}): delete it"


def no_code(text: str) -> tuple[int, str]:
    r"""The same where the parser came upon a number that is none for it: a `\U` beyond all signs, or YAML's version."""
    found = _BEYOND.search(text)
    line = text.count("\n", 0, found.start() if found else max(0, text.find("%YAML"))) + 1
    words = f"{found[0]} is no sign there is: write the sign itself" if found else "take the line with %YAML away"
    return line, f"this cannot be read: {words}"


def half_sign(tree: yaml.Node, text: str) -> tuple[int, str] | None:
    """The same for the first key or value that holds half of a sign, which cannot be written down; None where none
    does. The tree must not hold itself."""
    waiting = [tree] if _HALF.search(text) else []
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.ScalarNode) and any("\ud800" <= sign <= "\udfff" for sign in node.value):
            words = r"this cannot be read: a \u from D800 to DFFF is half of a sign: write the sign itself"
            return node.start_mark.line + 1, words
        held = node.value if isinstance(node, yaml.CollectionNode) else ()
        for each in reversed(held):
            waiting.extend(reversed(each) if isinstance(each, tuple) else (each,))
    return None


_JOINED = re.compile(
    r"""\s*(?P<item>-[\s-]*)?(?P<key>[^\W\d][\w.-]*|'\w+'|"\w+"):(?P<value>[^\s/:](?:[^:#]*[^\s:#])?)\s*(?:#.*)?"""
)
"""A word, a colon and a value; an address such as `https://…` is none, nor is what has more colons."""
_BULLET = re.compile(r"\s*[–—−•·*] ")
_BEYOND = re.compile(r"\\U(?!000|0010)[0-9A-Fa-f]{8}")
_HALF = re.compile(r"\\(?:u|U0000)[Dd][89A-Fa-f]")
"""Nothing else makes one: a file is UTF-8, which has none."""
_QUOTED = re.compile(r"""(?<![^\s:,\[{-])(?:"(?:[^"\\]|\\.)*"|'[^']*')""")
NO_SPACES = "\u00a0\u202f"
"""They look like a blank."""
_NO_SPACE = re.compile(rf"^[\s-]*[{NO_SPACES}]|^[^#]*?(?:[:,\[{{] *[{NO_SPACES}]|[{NO_SPACES}] ?#)")
"""One that stands where a space would part something: before or behind a key, a value, or a remark's #."""


def _no_space(fault: yaml.MarkedYAMLError, text: str) -> int:
    """The line where a no-break space is to blame, 0 where none is. Copied from a web page or a letter, it looks like a
    space and is none to the parser; within quotes or words it does no harm."""
    lines = text.split("\n")
    for mark in (fault.context_mark, fault.problem_mark):
        if mark is None:
            continue
        if text[mark.index : mark.index + 1] in tuple(NO_SPACES) or _parts(lines, mark.line):
            return int(mark.line) + 1
    # A value that was none of the parser's for want of a space goes on in the line below, where it gives up.
    above = fault.problem_mark.line - 1 if fault.problem_mark else -1
    return above + 1 if above >= 0 and _parts(lines, above) else 0


def _parts(lines: list[str], number: int) -> bool:
    """Whether such a space stands in that line, from 0, where one would part something."""
    line = next(iter(lines[number : number + 1]), "")
    return _NO_SPACE.search(_QUOTED.sub("''", line)) is not None


def _line(fault: yaml.MarkedYAMLError, *, began: bool = False) -> int:
    mark = (fault.context_mark if began else None) or fault.problem_mark
    return int(mark.line) + 1 if mark else 1
