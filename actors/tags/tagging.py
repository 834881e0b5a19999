"""Tagging: what an inbound event is about, by the policy's taxonomy, with the evidence. Pure.

Evidence has a strength: what an agent says, then what the channel says (a menu, a page, the account), a rule, the
subject, a classifier outside, words in the text, and what the customer looked at shortly before. Of equally strong
labels the one with the most different words found counts, then the taxonomy's order. A tag that is known gives way to
stronger evidence alone: one issue does not change its topic with every word. What the customer wants of it does change:
an intent gives way to a later one that is as strong, too.
"""

from actors.rules.taxonomy import NO_TAXONOMY, Taxonomy
from actors.tags.labels import KEYS_MAX, NO_TAGS, STRENGTH, Labels
from actors.tags.taggers import said_by
from protocol.entities import Tag, Tags
from protocol.inbound import InboundEvent
from protocol.journal import POLICIES_KEPT


def tags_of(event: InboundEvent, taxonomy: Taxonomy) -> Tags:
    """What the taxonomy finds in an event; `NO_TAGS` where that is nothing. A machine's answer is about nothing."""
    if taxonomy is NO_TAXONOMY:
        return NO_TAGS
    said = said_by(event)
    return NO_TAGS if said is None else _labels(taxonomy).read(said)


def with_before(found: Tags, seen: Tags) -> Tags:
    """What is found, and for what it leaves open, what the customer looked at before they made contact."""
    return merged(
        Tags(
            topic=_before(seen.topic),
            intent=_before(seen.intent),
            product_line=_before(seen.product_line),
            segment=_before(seen.segment),
            keys=_keys_before(found, seen),
        ),
        found,
    )


def _keys_before(found: Tags, seen: Tags) -> tuple[str, ...]:
    """The numbers of what they looked at, unless they say what it is about and that is something else."""
    if found.topic is not None and seen.topic is not None and found.topic.value != seen.topic.value:
        return ()
    named = {key.partition(":")[0] for key in found.keys}
    return tuple(key for key in seen.keys if key.partition(":")[0] not in named)


def _before(tag: Tag | None) -> Tag | None:
    return Tag(value=tag.value, tagger="before", matched=tag.matched) if tag else None


def news(known: Tags | None, found: Tags, *, later: bool = True) -> Tags:
    """The part of `found` that is not known yet, or known by weaker evidence; of an intent also by as strong evidence,
    where `found` is said `later` than what is known."""
    if found is NO_TAGS or known is None:
        return found
    keys = found.keys
    if keys:
        keys = tuple(key for key in keys if key not in known.keys)[: max(0, KEYS_MAX - len(known.keys))]
    return Tags(
        topic=found.topic and _newer(known.topic, found.topic),
        intent=found.intent and _newer(known.intent, found.intent, equals=later),
        product_line=found.product_line and _newer(known.product_line, found.product_line),
        segment=found.segment and _newer(known.segment, found.segment),
        keys=keys,
    )


def merged(known: Tags | None, found: Tags, *, later: bool = True) -> Tags:
    """What is known with `found`, which is said `later` or not."""
    if known is None:
        return found
    new = news(known, found, later=later)
    return Tags(
        topic=new.topic or known.topic,
        intent=new.intent or known.intent,
        product_line=new.product_line or known.product_line,
        segment=new.segment or known.segment,
        keys=(*known.keys, *new.keys),
    )


def _newer(known: Tag | None, found: Tag, *, equals: bool = False) -> Tag | None:
    """`found`, where it is to replace what is known: stronger, a person's correction, or with `equals` as strong."""
    if known is None:
        return found
    more = STRENGTH.get(found.tagger, 0) - STRENGTH.get(known.tagger, 0)
    changes = found.value != known.value and (found.tagger == "agent" or (equals and more == 0))
    return found if more > 0 or changes else None


COMPILED_MAX = POLICIES_KEPT + 1
"""Taxonomies that are kept read: all that live conversations may be pinned to, and the settings' own. To read one takes
as long as thirty events do."""
_kept: dict[int, tuple[Taxonomy, Labels]] = {}


def _labels(taxonomy: Taxonomy) -> Labels:
    # By identity: a taxonomy holds dicts, so it has no hash, and one version is one object. It is kept with what was
    # made of it, so that its number is not another one's meanwhile.
    known = _kept.get(id(taxonomy))
    if known is None:
        if len(_kept) >= COMPILED_MAX:
            del _kept[next(iter(_kept))]
        known = _kept[id(taxonomy)] = (taxonomy, Labels(taxonomy))
    return known[1]
