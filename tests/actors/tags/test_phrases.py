"""Phrases: one look finds what a look for each phrase finds."""

import re
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.rules.taxonomy import Label, Tagger, Taxonomy
from actors.tags import phrases as looked
from actors.tags.labels import Labels
from actors.tags.phrases import Phrases, forms_of, line_of
from actors.tags.taggers import Said

WORDS = st.sampled_from(["bill", "bills", "billing", "new", "address", "straße", "Übergabe", "no_1", "İ", "", "!", "a"])
PHRASES = st.builds(lambda words, star: " ".join(words) + star, st.lists(WORDS, max_size=3), st.sampled_from(["", "*"]))
TEXTS = st.lists(st.one_of(WORDS, st.text(max_size=4)), max_size=12).map(" ".join)


def occurs(phrase: str, text: str) -> bool:
    """The definition, one phrase at a time."""
    words = " ".join(in_words(phrase))
    line = " ".join(["", *in_words(text), ""])
    return f" {words}" in line if phrase.endswith("*") else words != "" and f" {words} " in line


def in_words(text: str) -> list[str]:
    """A letter is one whether it is one sign or two."""
    return re.findall(r"\w+", normalize("NFKC", text.casefold()).casefold())


def words_of(text: str) -> list[str]:
    """As they stand in the line that is looked at."""
    return [word for word in line_of(text.casefold()).decode().split(" ") if word]


@given(st.lists(PHRASES, max_size=8), TEXTS)
def test_one_look_finds_what_a_look_for_each_finds(phrases: list[str], text: str) -> None:
    """Whatever the alphabet, and however many begin alike."""
    forms = {form: spelled for phrase in phrases for form, spelled in forms_of([phrase]).items()}
    found = Phrases(forms).found(text.casefold())
    assert found == {form for form, phrase in forms.items() if occurs(phrase, text)}


@given(st.text())
def test_a_text_is_read_as_the_expression_reads_it(text: str) -> None:
    """The fast way for ASCII too."""
    assert words_of(text) == in_words(text)


@pytest.mark.parametrize("character", [chr(code) for code in range(128)])
def test_each_ascii_character_is_of_a_word_or_not(character: str) -> None:
    """As `\\w` has it."""
    assert words_of(f"a{character}b") == re.findall(r"\w+", f"a{character}b".casefold())


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("Kündigung", "meine Ku\u0308ndigung"),
        ("Ku\u0308ndig*", "meine KÜNDIGUNG"),
        ("bill", "my \U0001d401ill"),
        ("bill", "my \uff22\uff49\uff4c\uff4c"),
    ],
)
def test_a_letter_is_one_however_it_is_encoded(phrase: str, text: str) -> None:
    """Some mail programs write a letter and its mark, and some keyboards letters of full width."""
    forms = forms_of([phrase])
    assert Phrases(forms).found(text.casefold()) == set(forms)


def test_a_phrase_of_several_words_may_go_on() -> None:
    """Its words are looked for in their order, next to each other."""
    taxonomy = Taxonomy(topics={"move": Label(taggers=(Tagger(words=("new addr*",)),))})
    labels = Labels(taxonomy)
    tag = labels.read(Said("message", "chat", "chat", "", "I have a new address")).topic
    assert tag is not None
    assert (tag.value, tag.matched) == ("move", "new addr*")
    assert labels.read(Said("message", "chat", "chat", "", "a new one, of address")).topic is None


def test_of_two_spellings_the_one_that_may_go_on_counts() -> None:
    """In the place where the words stood first."""
    assert forms_of(["bill", "Claim", "bill*"]) == {"bill*": "bill*", "claim": "Claim"}


def test_phrases_that_need_too_much_memory_for_one_look_take_several(monkeypatch: pytest.MonkeyPatch) -> None:
    """And each is found as if it were alone, but for one that no text can have."""
    monkeypatch.setattr(looked._OPTIONS, "max_mem", 1 << 16)
    forms = [f"word {number} of many words" for number in range(400)]
    found = Phrases([*forms, "x" * (1 << 16)]).found("a word 7 of many words, and word 399 of many words")
    assert found == {forms[7], forms[399]}
