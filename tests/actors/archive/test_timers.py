"""The table of timers."""

import pytest

from actors.archive.timers import CLOSE, WAKE, timer_changes
from protocol import events as ev

SENT = "delivery:cu1-1.4"


@pytest.mark.parametrize(
    ("event", "changes"),
    [
        (ev.ConversationSnoozed(at_ms=1, until_ms=9), [(WAKE, 9), (CLOSE, None)]),
        (ev.ConversationWoken(at_ms=1), [(WAKE, None)]),
        (ev.ConversationResolved(at_ms=1, close_at_ms=9), [(WAKE, None), (CLOSE, 9)]),
        (ev.ConversationReopened(at_ms=1), [(WAKE, None), (CLOSE, None)]),
        (ev.ConversationClosed(at_ms=1), [(WAKE, None), (CLOSE, None)]),
        (ev.DeliveryAttempted(at_ms=1, delivery="cu1-1.4", attempt=1), [(SENT, 1)]),
        (ev.DeliveryFailed(at_ms=1, delivery="cu1-1.4", code="", reason="", retry_at_ms=9), [(SENT, 9)]),
        (ev.DeliveryUncertain(at_ms=1, delivery="cu1-1.4", reason="", retry_at_ms=9), [(SENT, 9)]),
        (ev.DeliveryUncertain(at_ms=1, delivery="cu1-1.4", reason=""), [(SENT, None)]),
        (ev.DeliveryReplayed(at_ms=1, delivery="cu1-1.4"), [(SENT, 1)]),
        (ev.DeliverySent(at_ms=1, delivery="cu1-1.4"), [(SENT, None)]),
        (ev.DeliveryDead(at_ms=1, delivery="cu1-1.4", code="", reason=""), [(SENT, None)]),
        (ev.NoteAdded(at_ms=1, text=""), []),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ev.Event) else "",
)
def test_events_set_and_clear_timers(event: ev.AnyEvent, changes: list[tuple[str, int | None]]) -> None:
    """Kind and due time, or None where it is cleared."""
    assert timer_changes(event) == changes
