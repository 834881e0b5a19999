"""Known identities: bounded, right, and what is used stays."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.way_in.known_identities import KnownIdentities

STEPS = st.lists(st.tuples(st.sampled_from("lg"), st.integers(0, 12)), max_size=80)


@given(STEPS)
def test_it_never_answers_wrong_and_never_grows(steps: list[tuple[str, int]]) -> None:
    """What it knows is what was learned last; how much it knows is bounded."""
    known, learned = KnownIdentities(8), {}
    for number, (step, identity) in enumerate(steps):
        if step == "l":
            learned[str(identity)] = str(number)
            known.learn(str(identity), str(number))
            assert str(identity) in known
        else:
            assert known.get(str(identity)) in (None, learned.get(str(identity)))
        assert len(known) <= 9


def test_what_is_asked_for_stays() -> None:
    """However many others come meanwhile."""
    known = KnownIdentities(10)
    known.learn("ann", "cu1")
    for other in range(100):
        known.learn(str(other), "cu2")
        assert known.get("ann") == "cu1"
    assert "0" not in known


def test_looks_do_not_make_it_grow() -> None:
    """A generation is learned, all of it is looked at, one more is learned: again and again."""
    known = KnownIdentities(10)
    for number in range(200):
        known.learn(str(number), "cu")
        for back in range(12):
            known.get(str(number - back))
        assert len(known) <= 11
