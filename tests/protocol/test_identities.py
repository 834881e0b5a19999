"""Identities: one spelling each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import Code, Refusal
from protocol.identities import (
    KINDS,
    LENGTH_MAX,
    TELEPHONE_KINDS,
    again,
    fits_no_number,
    former_spellings,
    kind_of,
    normalise,
    pattern_of,
    spellings_of,
    value_of,
)


@pytest.mark.parametrize(
    ("given_as", "one_spelling"),
    [
        ("tel:07700 900123", "tel:+447700900123"),
        ("TEL: +44 7700 900123", "tel:+447700900123"),
        ("whatsapp:+49 30 901820", "whatsapp:+4930901820"),
        ("mailto:Ann@Example.ORG", "mailto:ann@example.org"),
        ("mailto:Ann@EXÄMPLE.org", "mailto:ann@xn--exmple-cua.org"),
        ("mailto:ann@exa\u0308mple.org", "mailto:ann@xn--exmple-cua.org"),
        ("mailto:ann@XN--exmple-cua.org", "mailto:ann@xn--exmple-cua.org"),
        ("mailto:jose\u0301@example.org", "mailto:jos\u00e9@example.org"),
        ("mailto:İ\u0327@example.org", "mailto:i\u0327\u0307@example.org"),
        ("mailto:ann@ä..org", "mailto:ann@ä..org"),
        ("mailto:ann@İ\u0327..org", "mailto:ann@i\u0327\u0307..org"),
        ("mailto:ann@example.org.", "mailto:ann@example.org"),
        ("mailto:ann@exämple.org。", "mailto:ann@xn--exmple-cua.org"),
        ('mailto:"Ann.Smith"@example.org', "mailto:ann.smith@example.org"),
        ('mailto:"ann..smith"@example.org', "mailto:ann..smith@example.org"),
        (r'mailto:"a\nn"@example.org', "mailto:ann@example.org"),
        (r'mailto:"Ann\ Smith"@example.org', 'mailto:"ann smith"@example.org'),
        (r'mailto:"a\"n\\n"@example.org', r'mailto:"a\"n\\n"@example.org'),
        ('mailto:"ann@home"@example.org', 'mailto:"ann@home"@example.org'),
        ("instagram:@ann", "instagram:ann"),
        ("x:@ @ann", "x:ann"),
        ("x:@Ann_Smith", "x:ann_smith"),
        ("messenger:AbC", "messenger:AbC"),
        ("crm:A:7", "crm:A:7"),
        ("user:Jose\u0301", "user:Jos\u00e9"),
        ("crm:\u1100\u1161", "crm:\uac00"),
    ],
)
def test_spellings_of_one_address_become_one(given_as: str, one_spelling: str) -> None:
    """Numbers without a country are read as of the region; what follows the first colon is the value."""
    assert normalise(given_as) == one_spelling
    assert f"{kind_of(one_spelling)}:{value_of(one_spelling)}" == one_spelling


@pytest.mark.parametrize(
    "identity",
    [
        "",
        "tel",
        "tel:",
        ":1",
        "fax:1",
        "tel:12",
        "chat:@@ @",
        "mailto:ann",
        "mailto:a b@c",
        'mailto:"a b"@c d',
        'mailto:"a" b@c',
        "mailto:a@.",
        "web:a\nb",
        "web:" + "x" * 321,
        "web:" + "\u0958" * 200,
    ],
)
def test_what_is_no_identity_is_refused(identity: str) -> None:
    """With the code for it."""
    with pytest.raises(Refusal) as caught:
        normalise(identity)
    assert caught.value.code == Code.BAD_IDENTITY


def test_a_channel_nobody_knew_has_identities_of_its_own() -> None:
    """Under its own name, as they are; once in, they are spelled so also where the channel is gone."""
    own = frozenset({"pigeon"})
    assert normalise("Pigeon: @Coo-1", own=own) == "pigeon:Coo-1"
    with pytest.raises(Refusal, match=r"known are .*pigeon"):
        normalise("pidgeon:Coo-1", own=own)
    with pytest.raises(Refusal):
        normalise("pigeon:Coo-1")
    assert again("pigeon:Coo-1") == "pigeon:Coo-1"


_VALUES = st.text(max_size=LENGTH_MAX + 5) | st.from_regex(
    r"@{0,3}[+0-9 ();a-z=.-]{1,24}@?[a-zA-Zİß.]{0,9}", fullmatch=True
)
_VALUES |= st.from_regex(r'"[ a-c@.\\"]{0,5}"@[aä.。]{1,3}', fullmatch=True)
_KINDS = st.sampled_from(sorted(KINDS)) | st.sampled_from(sorted(TELEPHONE_KINDS)) | st.text(max_size=5)


@given(_KINDS, _VALUES)
def test_any_text_has_one_spelling_or_none(kind: str, value: str) -> None:
    """Normalising twice changes nothing, and nothing but `Refusal` is raised."""
    try:
        once = normalise(f"{kind}:{value}")
    except Refusal:
        return
    assert normalise(once) == once
    assert value_of(once)


@given(st.text("İaΣ\u0307\u0327", min_size=1, max_size=4), st.text("aİ.\u0327", max_size=4))
def test_marks_on_letters_of_mail_addresses_are_composed_once(local: str, domain: str) -> None:
    """Whatever order they come in, and whatever the letters under them are lowered to."""
    try:
        once = normalise(f"mailto:{local}@{domain}")
    except Refusal:
        return
    assert normalise(once) == once


ANNS = ("ann", '"ann"', r"\"ann\"")


@pytest.mark.parametrize(
    ("identity", "spellings"),
    [
        ("mailto:ann@example.org", {f"{ann}@example.org" for ann in ANNS}),
        ("mailto:ann@xn--exmple-cua.org", {f"{ann}@{at}.org" for ann in ANNS for at in ("xn--exmple-cua", "exämple")}),
        ("mailto:ann@exämple.org", {f"{ann}@{at}.org" for ann in ANNS for at in ("xn--exmple-cua", "exämple")}),
        (
            "mailto:ann@xn--.xn--exmple-cua.org",
            {f"{ann}@xn--.{at}.org" for ann in ANNS for at in ("xn--exmple-cua", "exämple")},
        ),
        ('mailto:"a b"@example.org', {'"a b"@example.org', r"\"a b\"@example.org"}),
        ("messenger:AbC@xn--exmple-cua.org", {"AbC@xn--exmple-cua.org"}),
        ("user:jos\u00e9", {"jos\u00e9", "jose\u0301"}),
    ],
)
def test_texts_have_a_mail_address_in_every_spelling(identity: str, spellings: set[str]) -> None:
    """In both of its domain, also where one label is none that the DNS could have, and with quotes, which JSON escapes;
    ids with their letters composed, and with the marks apart."""
    assert spellings_of(identity) == spellings


@pytest.mark.parametrize(
    ("written", "spelled"),
    [
        ("mailto:Info@*", "mailto:info@*"),
        ("Mailto: *@Exämple.org", "mailto:*@xn--exmple-cua.org"),
        ("mailto:*@*.exämple.org", "mailto:*@*.xn--exmple-cua.org"),
        ("mailto:*.exämple.org", "mailto:*.xn--exmple-cua.org"),
        ("mailto:Jos\u0065\u0301.*", "mailto:jos\u00e9.*"),
        ("mailto:*@Ä*.org", "mailto:*@ä*.org"),
        ("mailto:info@ä..org", "mailto:info@ä..org"),
        ("mailto:info@example.org.", "mailto:info@example.org"),
        ("mailto:*@*.example.org.", "mailto:*@*.example.org"),
        ('mailto:"Info"@*', "mailto:info@*"),
        ("crm:A*", "crm:A*"),
        ("user:Jose\u0301*", "user:Jos\u00e9*"),
        ("CRM: A*", "crm:A*"),
        ("X: @Ann*", "x:ann*"),
        ("tel:+44 (0)7700 900123", "tel:+447700900123"),
        ("Tel: +44-7700/900 *", "tel:+447700900*"),
        ("tel:+44 (0) 7700*", "tel:+447700*"),
        ("whatsapp:+44 7700 ??0123", "whatsapp:+447700??0123"),
        ("tel:+44[1-3]*", "tel:+44[1-3]*"),
        ("tel:07700 900123", "tel:07700 900123"),
    ],
)
def test_a_pattern_is_spelled_as_the_identities_that_it_is_for(written: str, spelled: str) -> None:
    """Its wildcards stay, and so do the letters of a label that has one: no part of a label has a spelling."""
    assert pattern_of(written) == spelled
    assert pattern_of(spelled) == spelled


@pytest.mark.parametrize(
    ("pattern", "none"),
    [
        ("tel:07700 900123", True),
        ("tel:07700*", True),
        ("Whatsapp: 0044*", True),
        ("tel:+44*", False),
        ("tel:*900123", False),
        ("tel:?44*", False),
        ("tel:[+]44*", False),
        ("crm:07700*", False),
        ("mailto:0*@example.org", False),
    ],
)
def test_a_pattern_of_a_number_without_its_country_fits_none(pattern: str, none: bool) -> None:
    """All numbers have one, whatever the region was."""
    assert fits_no_number(pattern) is none


def test_a_letter_that_grows_when_lowered_stays_within_the_length() -> None:
    """`İ` becomes two code points (Unicode SpecialCasing)."""
    with pytest.raises(Refusal, match="at most 320"):
        normalise("mailto:" + "İ" * 200 + "@example.org")


@pytest.mark.parametrize(
    ("written", "former"),
    [
        (
            "mailto:Ann@Example.org",
            ["Ann@Example.org", "ann@example.org", '"ann"@example.org', "ann@example.org.", '"ann"@example.org.'],
        ),
        ("mailto:a b@example.org", ["a b@example.org"]),
        ("X: @Ann", ["@Ann", "Ann"]),
        ("pigeon:Coo", ["Coo"]),
        ("user:jos\u00e9", ["jos\u00e9", "jose\u0301"]),
        ("user:jose\u0301", ["jose\u0301"]),
        ("web:@", ["@"]),
        ("tel:+44 7700 900123", ["+44 7700 900123"]),
        ("nothing", []),
        ("web:", []),
        ("web:a\nb", []),
        ("web:" + "a" * 321, []),
    ],
)
def test_an_address_is_looked_for_as_earlier_programs_spelled_it(written: str, former: list[str]) -> None:
    """As it stands first, whatever that is by now; nothing of what none of them let in."""
    kind = written.partition(":")[0].lower()
    assert former_spellings(written) == [f"{kind}:{each}" for each in former]
