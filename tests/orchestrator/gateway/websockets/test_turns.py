"""Turns: each asker's things in order, the askers one after the other."""

from orchestrator.gateway.websockets.turns import Turns


def test_askers_are_served_in_turn() -> None:
    """Whoever asks for much waits behind their own things, and one who comes later behind one of each other's."""
    turns = Turns[str]()
    for thing in ("a1", "a2", "a3"):
        turns.add(["ann"], thing)
    turns.add(["ben"], "b1")
    assert turns.take() == "a1"
    turns.add(["cem"], "c1")
    turns.add(["ben"], "b2")
    assert len(turns) == 5
    assert [turns.take() for _ in range(6)] == ["b1", "a2", "c1", "b2", "a3", None]
    assert turns.take() is None


def test_what_several_wait_for_comes_as_soon_as_for_any_of_them() -> None:
    """It takes the turn of the one who waits for least."""
    turns = Turns[str]()
    for thing in ("a1", "a2", "a3"):
        turns.add(["ann"], thing)
    turns.add(["ann", "ben"], "of both")
    assert [turns.take(), turns.take()] == ["a1", "of both"]
