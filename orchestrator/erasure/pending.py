"""Erasures that wait for the server to be stopped: asked of a running one, carried out as it ends or begins.

    asked over HTTP → erasures/<id>.json → carried out by `throughline serve`, before its processes start and
                                                 after they have ended → the file goes; or it says why not yet

The id is a customer's, or that of one input that an account refused. Until then nothing of the person is gone, and
whoever asks is told so: it saves an operator the planning of a stop by hand, not the stop.
"""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from orchestrator.erasure.erasing import Act, Erased
from orchestrator.erasure.inputs import ErasedInput, InputAct
from orchestrator.whole_files import remove, write_whole
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
    quarantine: str = ""
    """The refused input that is to be erased; there is no `customer` then."""

    @property
    def id(self) -> str:
        """What is to be erased."""
        return self.customer or self.quarantine


def ask(folder: Path, waiting: Waiting) -> None:
    """Writes it down, whole or not at all, also where the power fails. Blocks."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(_file(folder, waiting.id), msgspec.json.encode(waiting))


def withdraw(folder: Path, id: str) -> bool:
    """Takes it back, for good; False where none waits. Blocks. Which it is, anyone may say: no name of a file is made
    of it."""
    for file in folder.glob("*.json"):
        if file.stem == id:
            remove(file)
            return True
    return False


def waiting(folder: Path) -> list[Waiting]:
    """All that wait, the longest first. Blocks."""
    found = [msgspec.json.decode(file.read_bytes(), type=Waiting) for file in folder.glob("*.json")]
    return sorted(found, key=lambda each: (each.asked_at_ms, each.id))


async def carry_out(
    folder: Path,
    erase: Callable[[Act], Awaitable[Erased]],
    erase_input: Callable[[InputAct], Awaitable[ErasedInput]],
    *,
    now_ms: int,
) -> list[tuple[Waiting, Erased | ErasedInput | Refusal]]:
    """Carries out all that wait, by these, on a stopped server. One that is refused waits on, and says why."""
    done: list[tuple[Waiting, Erased | ErasedInput | Refusal]] = []
    for each in waiting(folder):
        said = {"actor": each.actor, "reason": each.reason}
        erased: Erased | ErasedInput
        try:
            if each.customer:
                erased = await erase(Act(customer=each.customer, at_ms=now_ms, **said))
            else:
                erased = await erase_input(InputAct(quarantine=each.quarantine, at_ms=now_ms, **said))
        except Refusal as refusal:
            ask(folder, msgspec.structs.replace(each, tried_at_ms=now_ms, refused=refusal.message))
            done.append((each, refusal))
        else:
            # Should the machine die before this, it is erased again, which finds nothing left.
            withdraw(folder, each.id)
            done.append((each, erased))
    return done


_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[0-9]+)?", re.ASCII)
"""A customer's, of letters and digits, or a refused input's: its account's name, and a number."""


def _file(folder: Path, id: str) -> Path:
    assert _ID.fullmatch(id), "the archive has this one: it is no path"
    return folder / f"{id}.json"
