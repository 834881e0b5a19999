"""Erasures that wait for the server to be stopped: asked of a running one, carried out as it ends or begins.

    asked over HTTP → erasures/<customer>.json → carried out by `throughline serve`, before its processes start and
                                                 after they have ended → the file goes; or it says why not yet

Until then nothing of the person is gone, and whoever asks is told so: it saves an operator the planning of a stop by
hand, not the stop.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from orchestrator.erasure.erasing import Act, Erased
from orchestrator.whole_files import write_whole
from protocol.errors import Refusal

WAITING_MAX = 1000
"""Erasures that may wait; one more is refused until the server was stopped once."""


class Waiting(Struct, kw_only=True, frozen=True):
    """One of them."""

    customer: str
    actor: str
    reason: str
    asked_at_ms: int
    tried_at_ms: int = 0
    refused: str = ""
    """Why it could not be carried out when it was tried."""


def ask(folder: Path, waiting: Waiting) -> None:
    """Writes it down, whole or not at all, also where the power fails. Blocks."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(_file(folder, waiting.customer), msgspec.json.encode(waiting))


def withdraw(folder: Path, customer: str) -> bool:
    """Takes it back; False where none waits. Blocks. Whose it is, anyone may say: no name of a file is made of it."""
    for file in folder.glob("*.json"):
        if file.stem == customer:
            file.unlink(missing_ok=True)
            return True
    return False


def waiting(folder: Path) -> list[Waiting]:
    """All that wait, the longest first. Blocks."""
    found = [msgspec.json.decode(file.read_bytes(), type=Waiting) for file in folder.glob("*.json")]
    return sorted(found, key=lambda each: (each.asked_at_ms, each.customer))


async def carry_out(
    folder: Path, erase: Callable[[Act], Awaitable[Erased]], *, now_ms: int
) -> list[tuple[Waiting, Erased | Refusal]]:
    """Carries out all that wait, by `erase`, on a stopped server. One that is refused waits on, and says why."""
    done: list[tuple[Waiting, Erased | Refusal]] = []
    for each in waiting(folder):
        try:
            erased = await erase(Act(customer=each.customer, actor=each.actor, reason=each.reason, at_ms=now_ms))
        except Refusal as refusal:
            ask(folder, msgspec.structs.replace(each, tried_at_ms=now_ms, refused=refusal.message))
            done.append((each, refusal))
        else:
            # Should the machine die before this, it is erased again, which finds nothing left.
            withdraw(folder, each.customer)
            done.append((each, erased))
    return done


def _file(folder: Path, customer: str) -> Path:
    assert customer.isalnum(), "a customer's id is letters and digits: the archive has this one"
    return folder / f"{customer}.json"
