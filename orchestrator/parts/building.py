"""Building: from a process's name to its part."""

import time
import uuid
from pathlib import Path

from orchestrator.cluster.part import Part
from orchestrator.cluster.table import cell_index
from orchestrator.parts.surroundings import Surroundings
from orchestrator.pipes.switchboard import UnixSwitchboard
from orchestrator.settings import Settings, SettingsError
from orchestrator.storage import SqliteStorage


def part_of(name: str, surroundings: Surroundings) -> Part:
    """The part of the process of this name (see `orchestrator.cluster.table`).

    Its module is imported only here, so that each process of the server imports what it runs.
    """
    match name:
        case "journal":
            from orchestrator.parts.journal import JournalPart

            return JournalPart(surroundings)
        case "archive":
            from orchestrator.parts.archive import ArchivePart

            return ArchivePart(surroundings)
        case "gateway":
            from orchestrator.parts.gateway import GatewayPart

            return GatewayPart(surroundings)
        case "channels":
            from orchestrator.parts.channels import ChannelsPart

            return ChannelsPart(surroundings)
        case "usher":
            from orchestrator.parts.usher import UsherPart

            return UsherPart(surroundings)
        case _:
            from orchestrator.parts.cell import CellPart

            index = cell_index(name)
            assert index is not None, name
            return CellPart(surroundings, index)


def build(name: str, settings: Settings, run: Path) -> Part:
    """The part of one process of a server of many: sockets in `run`, files in the data folder, the system's clock."""
    if settings.store != "sqlite":
        raise SettingsError(f"settings: store is {settings.store!r}, which only a server in one process can share")
    switchboard = UnixSwitchboard(run, peer_name(name), uuid.uuid4().hex)
    return part_of(name, Surroundings(settings, switchboard, SqliteStorage(settings), run=run, now_ms=system_now_ms))


def peer_name(name: str) -> str:
    """How a process is called on pipes (see `actors.lines`)."""
    index = cell_index(name)
    if index is not None:
        return f"cell:{index}"
    return f"{name}:0" if name in ("gateway", "channels") else name


def system_now_ms() -> int:
    """The system's clock."""
    return time.time_ns() // 1_000_000
