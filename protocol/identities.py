"""Identities: one address of a customer, as `kind:value`, in the one spelling under which it is unique.

`normalise` is the only place where a spelling is decided: phone numbers become E.164 through phonenumbers (ITU-T
E.164), mail addresses are lower-cased (RFC 5321 §2.4 lets a local part be case-sensitive; no large provider is) and
lose quotes that their local part does not need (§4.1.2: `"ann"@example.org`), their domains are spelled as in the DNS
(RFC 5891: `xn--…`), which is one of the two spellings that mails and forms have, and without the root's dot at the end;
handles lose their `@`, and their capitals where the network does not tell them apart, and an id that has letters with
marks has them composed (Unicode's NFC), as what looks alike and is written by two programs is one. Everything after
normalisation compares identities as plain strings.
"""

import re
from functools import lru_cache
from unicodedata import normalize

import idna
import phonenumbers

from protocol.errors import Code, Refusal

TELEPHONE_KINDS = frozenset({"tel", "whatsapp"})
"""Kinds whose value is a phone number."""
KINDS = frozenset(
    {"tel", "mailto", "whatsapp", "messenger", "instagram", "telegram", "x", "web", "user", "crm", "chat"}
)
"""Kinds the server knows. A channel that is not among them has a kind of its own, which is called as it is: those of
the accounts that there are come in as `own`."""
CASELESS_KINDS = frozenset({"x", "instagram", "telegram"})
"""Kinds whose handles are one whatever their capitals: so say X, Instagram and Telegram of their user names. Ids that
networks give out (`messenger`), and ours (`web`, `user`, `crm`, `chat`), keep theirs."""
LENGTH_MAX = 320
"""Characters: the longest mail address (64 + 1 + 255, RFC 5321 §4.5.3.1) fits; nothing else is longer."""
WILDCARDS = frozenset("*?[")
"""What a pattern for identities has that they have not."""
_NEEDS_NO_QUOTES = re.compile(r'[^\s()<>\[\]:;@\\,"]+')
"""What a local part is made of as it stands: atoms and dots (RFC 5322 §3.2.3), with letters beyond ASCII (RFC 6532).
More dots than the RFC has between them are in addresses of some telephone companies, which one program quotes and
another does not."""
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_BETWEEN_DIGITS = re.compile(r"\(0\)|[\s().\-/]")
"""What people write in phone numbers: blanks, strokes, and the national 0 that is left out from abroad."""
_ROOTS = ".\u3002\uff0e\uff61"
"""The dots that end a domain (RFC 3490 §3.1)."""

REMEMBERED = 16_384
"""Spellings whose answer is kept: most events are of somebody who wrote a moment ago. About 300 bytes each."""


@lru_cache(REMEMBERED)
def normalise(identity: str, *, region: str = "GB", own: frozenset[str] = frozenset()) -> str:
    """Returns the one spelling of `identity` (`kind:value`); national phone numbers are read as of `region` (ISO 3166).
    `own` are the kinds of channels that the server does not know by name.

    Raises `Refusal` (`BAD_IDENTITY`) that names what is wrong with it.
    """
    kind, separator, value = identity.partition(":")
    kind, value = kind.strip().lower(), value.strip()
    if not separator or not value:
        raise _bad("an identity is written kind:value, such as tel:+447700900123")
    if kind not in KINDS and kind not in own:
        raise _bad(f"identity kind {kind[:24]!r} is unknown; known are {', '.join(sorted(KINDS | own))}")
    if len(value) > LENGTH_MAX or not value.isprintable():
        raise _bad(f"the value of a {kind} identity must be printable and at most {LENGTH_MAX} characters")
    if kind in TELEPHONE_KINDS:
        return f"{kind}:{_e164(value, region)}"
    if kind == "mailto":
        return f"mailto:{_mail_address(value)}"
    return f"{kind}:{_handle(value, kind)}"


def again(identity: str, *, region: str = "GB") -> str:
    """The spelling of what was let in already, also where its channel, and so its kind, is gone by now. Raises
    `Refusal`."""
    return normalise(identity, region=region, own=frozenset({kind_of(identity).strip().lower()}))


def kind_of(identity: str) -> str:
    """The part before the colon."""
    return identity.partition(":")[0]


def value_of(identity: str) -> str:
    """The part after the colon: an E.164 number, a mail address, a handle."""
    return identity.partition(":")[2]


def spellings_of(identity: str) -> set[str]:
    """How texts that nobody normalised may have the value of an identity, but for their capitals: a mail address has
    its domain as in the DNS there, or in letters, and quotes around its local part, which JSON escapes; an id its
    letters with their marks apart."""
    kind, _, value = identity.partition(":")
    local, at, domain = value.rpartition("@")
    if kind != "mailto" or not at:
        return {value, normalize("NFD", value)}
    domains = {domain, _domain(domain), _in_letters(domain)}
    if _QUOTED.fullmatch(local):
        locals_ = {local, local.replace("\\", "\\\\").replace('"', '\\"')}
    else:
        locals_ = {local, f'"{local}"', f'\\"{local}\\"'}
    return {f"{local}@{domain}" for local in locals_ for domain in domains}


def former_spellings(identity: str) -> list[str]:
    """How earlier programs may have spelled an address that somebody writes today: as it stands, also where it is no
    identity any more, and as they did what is spelled otherwise by now. The likeliest first; none where nothing of the
    kind was ever let in."""
    kind, separator, value = identity.partition(":")
    kind, value = kind.strip().lower(), value.strip()
    if not separator or not value or len(value) > LENGTH_MAX or not value.isprintable():
        return []
    found = [value]
    if kind == "mailto":
        at = _mail_spellings(value)
        found += [*at, *(f"{each}." for each in at)]
    elif kind not in TELEPHONE_KINDS:
        handle = value.lstrip("@ ")
        found += [handle, normalize("NFD", handle)]
    return [f"{kind}:{each}" for each in dict.fromkeys(found) if each]


def _mail_spellings(value: str) -> list[str]:
    try:
        local, _, domain = _mail_address(value).rpartition("@")
    except Refusal:
        return []
    return [f"{each}@{domain}" for each in (local, f'"{local}"')]


def unquoted(address: str) -> str:
    """A mail address as its writer wrote it, but for quotes around its local part that it does not need."""
    local, at, domain = address.rpartition("@")
    if quoted := _QUOTED.fullmatch(local):
        meant = _unescaped(quoted[1])
        return f"{meant}{at}{domain}" if _NEEDS_NO_QUOTES.fullmatch(meant) else address
    return address


def is_caseless(identity: str) -> bool:
    """Whether capitals make no other identity of it."""
    kind = kind_of(identity)
    return kind == "mailto" or kind in CASELESS_KINDS


def pattern_of(pattern: str) -> str:
    """A pattern that people wrote for identities (`mailto:Info@*`, with the wildcards of `fnmatch`), spelled as those
    are that it is meant for. A label of a domain with a wildcard in it keeps its letters."""
    kind, separator, value = pattern.partition(":")
    kind, value = kind.strip().lower(), value.strip()
    if kind in TELEPHONE_KINDS:
        return f"{kind}:{_number_pattern(value)}"
    if kind != "mailto":
        handle = normalize("NFC", value.lstrip("@ "))
        return f"{kind}{separator}{handle.lower() if kind in CASELESS_KINDS and handle.isascii() else handle}"
    # Where `*` stands for the @, too, what follows the last one ends a domain.
    local, between, domain = value.rpartition("@" if "@" in value else "*")
    local = _local(local) if WILDCARDS.isdisjoint(local) else _lowered(local)
    if between == "@" and WILDCARDS.isdisjoint(domain):
        return f"mailto:{local}@{_domain(domain)}"
    labels = domain.rstrip(_ROOTS).split(".")
    spelled = (_domain(label) if WILDCARDS.isdisjoint(label) else _lowered(label) for label in labels)
    return f"mailto:{local}{between}{'.'.join(spelled)}"


def fits_no_number(pattern: str) -> bool:
    """Whether it is a pattern for phone numbers that none of E.164 can be: one without its country."""
    kind, _, value = pattern_of(pattern).partition(":")
    return kind in TELEPHONE_KINDS and not value.startswith(("+", *WILDCARDS))


def _number_pattern(value: str) -> str:
    if not WILDCARDS.isdisjoint(value):
        return value if "[" in value else _BETWEEN_DIGITS.sub("", value)
    try:
        return _e164(value, "ZZ")  # No region's: which it was when the rule was written nobody knows.
    except Refusal:
        return value


def _e164(value: str, region: str) -> str:
    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException as exc:
        raise _bad("a tel identity must be a phone number, best in E.164 such as +447700900123") from exc
    # "Possible" checks the length alone: numbers of ranges opened after the library's release still pass.
    if not phonenumbers.is_possible_number(number):
        raise _bad("a tel identity has too few or too many digits for its country")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _mail_address(value: str) -> str:
    local, at, domain = value.rpartition("@")
    local, domain = _local(local), _domain(domain)
    blank = any(c.isspace() for c in (domain if _QUOTED.fullmatch(local) else local + domain))
    if not at or not local or not domain or blank:
        raise _bad('a mailto identity must be local@domain; a local part with a blank in it stands in quotes ("a b"@…)')
    # A few letters grow when lowered, and a domain does in its ASCII spelling.
    if len(local) + 1 + len(domain) > LENGTH_MAX:
        raise _bad(f"a mailto identity has at most {LENGTH_MAX} characters")
    return f"{local}@{domain}"


def _local(local: str) -> str:
    """Without quotes where it needs none, and else with no more in them escaped than has to be."""
    if not (quoted := _QUOTED.fullmatch(local)):
        return _lowered(local)
    meant = _lowered(_unescaped(quoted[1]))
    if _NEEDS_NO_QUOTES.fullmatch(meant):
        return meant
    escaped = re.sub(r'(["\\])', r"\\\1", meant)
    return f'"{escaped}"'


def _unescaped(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted)


def _domain(domain: str) -> str:
    """Its spelling in the DNS; where it has none, its own: what came by mail from there has to be somebody's."""
    domain = domain.rstrip(_ROOTS)
    if domain.isascii():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode().lower()
    except idna.IDNAError:
        return _lowered(domain)


def _in_letters(domain: str) -> str:
    """Its spelling for people: each label of the DNS's that stands for letters beyond ASCII in those."""
    return ".".join(_label_in_letters(label) if label.startswith("xn--") else label for label in domain.split("."))


def _label_in_letters(label: str) -> str:
    try:
        return idna.decode(label)
    except UnicodeError:  # Of which `IDNAError` is one; what is no Punycode may raise others.
        return label


def _lowered(text: str) -> str:
    """Composed last: what a letter is lowered to may compose with the mark behind it, as that of `İ` does."""
    return normalize("NFC", text.lower())


def _handle(value: str, kind: str) -> str:
    if not (handle := normalize("NFC", value.lstrip("@ "))):
        raise _bad(f"the value of a {kind} identity must be more than `@`")
    if len(handle) > LENGTH_MAX:  # A few letters are composed as two.
        raise _bad(f"the value of a {kind} identity has at most {LENGTH_MAX} characters")
    return handle.lower() if kind in CASELESS_KINDS and handle.isascii() else handle


def _bad(message: str) -> Refusal:
    return Refusal(Code.BAD_IDENTITY, message, field="identities")
