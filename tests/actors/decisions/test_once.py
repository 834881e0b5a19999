"""Once-keys: packed bytes and their index remember just what a dictionary would."""

from hypothesis import given
from hypothesis import strategies as st

from actors.decisions.once import KEYS_MAX, SCANNED_MAX, OnceKeys, Seen, anyones, in_any_form, united

KEYS = st.integers(0, 300) | st.integers(0, 2**64 - 1)


def seen(number: int) -> Seen:
    """What some input did."""
    return Seen(digest=number % 2**32, at_s=number, conversation=number % 3, seq=number + 1)


@given(st.lists(KEYS, max_size=3 * SCANNED_MAX, unique=True), st.integers(0, 3 * SCANNED_MAX))
def test_it_is_a_dictionary_that_forgets_from_the_front(keys: list[int], before: int) -> None:
    """Every key is found with what it did, those that were forgotten and those that never came are not."""
    once, model = OnceKeys(), {}
    for number, key in enumerate(keys):
        assert once.get(key) is None
        once.add(key, seen(number))
        model[key] = seen(number)
    once.forget_before(before)
    model = {key: each for key, each in model.items() if each.at_s >= before}
    assert len(once) == len(model)
    assert {key: once.get(key) for key in keys} == {key: model.get(key) for key in keys}
    for number, key in enumerate(set(range(400, 420)) - model.keys()):
        once.add(key, seen(1000 + number))
        assert once.get(key) == seen(1000 + number)
    assert all(once.get(key) == each for key, each in model.items())
    assert all(OnceKeys(once.packed).get(key) == each for key, each in model.items())


def test_a_key_that_comes_again_after_its_time_is_the_newer_one() -> None:
    """A journey that is loaded from its events may see a key twice: the later input is what is repeated now."""
    for others in (0, SCANNED_MAX + 1):
        once = OnceKeys()
        once.add(7, seen(1))
        for other in range(100, 100 + others):
            once.add(other, seen(2))
        once.add(7, seen(3))
        assert once.get(7) == seen(3)
        once.forget_before(2)
        assert once.get(7) == seen(3)


def test_many_keys_are_found_by_their_places() -> None:
    """Past what is scanned an index knows the places: of keys that come, leave and come again, and of no others."""
    once = OnceKeys()
    for key in range(5 * SCANNED_MAX):
        assert once.get(key) is None
        once.add(key, seen(key))
        assert once.get(key) == seen(key)
        if key % 3 == 0:
            once.forget_before(key - 2 * SCANNED_MAX)
    oldest = once.get(5 * SCANNED_MAX - len(once))
    assert oldest == seen(5 * SCANNED_MAX - len(once))
    once.add(5 * SCANNED_MAX - len(once), seen(1000))
    once.forget_before(oldest.at_s + 2)
    assert once.get(oldest.at_s) == seen(1000), "the newer one stays where the older leaves"
    assert once.get(oldest.at_s + 1) is None
    assert once._index is not None
    assert len(once._index.places) == len(once), "who leaves leaves the index as well"


def test_two_memories_know_together_what_either_knows() -> None:
    """In the order of coming, each once; over the bound the oldest are forgotten, whosever they were."""
    one, other, both = OnceKeys(), OnceKeys(), OnceKeys()
    for number in range(6):
        both.add(number, seen(number))
        if number != 2:
            one.add(number, seen(number))
        if number in (2, 3):
            other.add(number, seen(number))
    assert united(one.packed, other.packed) == united(other.packed, one.packed) == both.packed
    assert united(one.packed, one.packed) == one.packed
    assert united(one.packed, b"") == united(b"", one.packed) == one.packed
    many = OnceKeys()
    for number in range(KEYS_MAX):
        many.add(100 + number, seen(100 + number))
    joined = OnceKeys(united(many.packed, both.packed))
    assert joined == many
    assert joined != both
    assert len(united(both.packed, OnceKeys(many.packed[24:]).packed)) == 24 * KEYS_MAX


def test_bytes_across_two_fields_are_no_key() -> None:
    """Eight bytes that happen to stand across a digest and a time are not taken for a key."""
    once = OnceKeys()
    once.add(1, Seen(digest=0xAABBCCDD, at_s=0x11223344, conversation=0, seq=0))
    across = int.from_bytes(once.packed[8:16], "little")
    assert once.get(across) is None
    once.add(across, seen(5))
    assert once.get(across) == seen(5)
    assert once.get(0) is None


def test_past_the_bound_the_oldest_key_goes() -> None:
    """The oldest key goes when there are too many."""
    once = OnceKeys()
    for key in range(KEYS_MAX + 10):
        once.add(key, seen(key))
        assert len(once) == min(key + 1, KEYS_MAX)
    assert len(once) == KEYS_MAX
    assert once.get(9) is None
    assert once.get(10) == seen(10)
    assert len(once.packed) == 24 * KEYS_MAX


def test_what_came_in_no_form_covers_whatever_comes_under_its_key() -> None:
    """Also for the next who is to know it; and of two that know it the one does as the other."""
    known = OnceKeys(anyones(united(in_any_form(7, at_s=5), in_any_form(7, at_s=5)), since_s=5))
    assert len(known) == 1
    seen = known.get(7)
    assert seen is not None
    assert (seen.is_elsewhere, seen.covers(1), seen.covers(2)) == (True, True, True)
    assert not Seen(digest=1, at_s=5, conversation=0, seq=0).covers(2)
    assert not Seen(digest=1, at_s=5, conversation=2**32 - 1, seq=1).covers(2)


def test_what_came_after_a_mark_is_told_by_its_place() -> None:
    """Whatever the clock said, and however much before the mark was forgotten; all, where the mark itself was."""
    once = OnceKeys()
    assert once.since(once.newest) == b""
    for key in (1, 2):
        once.add(key, seen(1000 + key))
    mark, before = once.newest, len(once.packed)
    once.add(3, seen(7))
    assert once.since(mark) == once.packed[before:]
    assert once.since(b"") == once.packed
    assert once.since(once.newest) == b""
    once.forget_before(1002)
    assert OnceKeys(once.since(mark)).get(3) == seen(7)
    assert OnceKeys(once.since(mark)).get(2) is None
    once.forget_before(1003)
    once.add(4, seen(8))
    assert once.since(mark) == once.packed


def test_a_mark_across_two_records_is_none() -> None:
    """Bytes that happen to stand across two records are not where the mark was."""
    once = OnceKeys()
    once.add(0, Seen(digest=0, at_s=0, conversation=0, seq=0))
    mark, before = once.newest, len(once.packed)
    once.add(0, Seen(digest=0, at_s=0, conversation=0, seq=5))
    assert once.packed.rfind(mark) % before
    assert once.since(mark) == once.packed[before:]
