"""Labels: what a set of phrases means is worked out once, and never told of what means something else."""

import itertools

import pytest

from actors.rules.taxonomy import Label, Tagger, Taxonomy
from actors.tags import labels as read
from actors.tags.labels import NO_TAGS, Labels
from actors.tags.taggers import Said

TAXONOMY = Taxonomy(
    topics={
        "bill": Label(taggers=(Tagger(words=("bill",)), Tagger(subject=("claim",)), Tagger(accounts=("bills",)))),
        "claim": Label(taggers=(Tagger(words=("claim",)), Tagger(property="menu", values=("1",)))),
        "cover": Label(taggers=(Tagger(words=("bill",), channels=("sms",), property="page", values=("/cover*",)),)),
    },
    intents={
        "pay": Label(taggers=(Tagger(activity="paid"), Tagger(words=("claim", "bills"), rule='text.contains("now")'))),
    },
    keys={"claim": ("CLM-######",)},
)
WORDS = ["", "a bill", "my claim", "my claim now", "the bill of CLM-123456", "a bill, a claim", "bills now"]
SAID = [
    Said("message", channel, account, subject, text, name, properties)
    for channel, account, subject, text, name, properties in itertools.product(
        ["sms", "email"], ["main", "bills"], WORDS[:3], WORDS, ["", "paid"], [{}, {"menu": "1"}, {"page": "/cover/1"}]
    )
]


@pytest.mark.parametrize("order", [1, -1])
def test_what_was_read_before_changes_nothing(order: int) -> None:
    """Whatever else is said beside the same words: each is read as if it were the first."""
    labels = Labels(TAXONOMY)
    for said in [*SAID[::order], *SAID[::order]]:
        assert labels.read(said) == Labels(TAXONOMY).read(said)


def test_the_same_words_mean_the_same_object() -> None:
    """Worked out once, also where a channel says more that nothing asks for."""
    labels = Labels(TAXONOMY)
    first = labels.read(Said("message", "sms", "main", "", "a bill"))
    assert first is not NO_TAGS
    assert labels.read(Said("message", "sms", "main", "", "another bill", "", {"device": "phone"})) is first


def test_no_more_is_kept_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither many sets of phrases, nor large ones."""
    monkeypatch.setattr(read, "KNOWN_MAX", 4)
    monkeypatch.setattr(read, "KNOWN_PHRASES_MAX", 3)
    words = [f"word{number}" for number in range(12)]
    labels = Labels(Taxonomy(topics={word: Label(taggers=(Tagger(words=(word,)),)) for word in words}))
    for count, word in enumerate(words):
        topic = labels.read(Said("message", "sms", "main", "", word)).topic
        assert topic is not None
        assert topic.value == word
        assert len(labels._known) == 1 + count % 4
    kept = dict(labels._known)
    labels.read(Said("message", "sms", "main", "", " ".join(words[:4])))
    assert labels._known == kept
