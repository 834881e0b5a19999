"""Gone: what retention dropped is answered apart from what never was, with the day and the policy that says so."""

from datetime import UTC, datetime

from orchestrator.gateway.peers import Archive
from protocol.archive import Dropped
from protocol.errors import Code, Refusal


async def check_kept(archive: Archive, kind: str, id: str) -> None:
    """Raises `Refusal` (`GONE`) where retention dropped this `conversation`, `quarantine` or `delivery`."""
    if (dropped := await archive.dropped(kind, id)) is not None:
        raise Refusal(Code.GONE, f"{in_words(dropped)}: nothing of it is kept", ref=id)


def in_words(dropped: Dropped) -> str:
    """When and why, as people are told."""
    if not dropped.at_ms:
        return "dropped by retention"
    day = datetime.fromtimestamp(dropped.at_ms / 1000, UTC).date().isoformat()
    return f"dropped by retention on {day}, policy version {dropped.policy}"
