"""Retention of a store, all of it at once."""

from typing import Protocol

from protocol.archive import Bounds


class Drops(Protocol):
    """An archive's writer."""

    async def drop(self, bounds: Bounds) -> dict[str, int]:
        """One step."""
        ...


def over_before(before_ms: int, *, at_ms: int = 0, policy: int = 1, once_keys_ms: int = 0) -> Bounds:
    """Every kind, as far as it was over before then."""
    return Bounds(
        at_ms=at_ms,
        policy=policy,
        closed_conversations_ms=before_ms,
        quarantine_open_ms=before_ms,
        quarantine_replayed_ms=before_ms,
        sent_deliveries_ms=before_ms,
        dead_letters_ms=before_ms,
        identity_reviews_ms=before_ms,
        once_keys_ms=once_keys_ms or before_ms,
    )


async def drop_all(store: Drops, bounds: Bounds) -> dict[str, int]:
    """Until there is no more; how many of each kind went."""
    dropped: dict[str, int] = {}
    while step := await store.drop(bounds):
        for kind, count in step.items():
            dropped[kind] = dropped.get(kind, 0) + count
    return dropped
