"""What is kept of each webhook endpoint, in `webhooks/` of the data folder: how far it is, and what an operator asks.

    <name>.json    written by whoever sends: the cursor, and since when it fails or is disabled
    <name>.asked   written by the gateway, taken by whoever sends: to go on, from where it stopped or from elsewhere

Files, since gateway and channel host have no line to each other, and what was asked holds over a restart of both.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from orchestrator.whole_files import write_whole


class Kept(Struct, kw_only=True):
    """What survives of an endpoint: everything up to `cursor` was answered with 2xx."""

    cursor: str
    failures: int = 0
    """In a row, of the event that is to go next."""
    failing_since_ms: int = 0
    """0: it does not fail."""
    failed_at_ms: int = 0
    """Its newest failure: how long it has failed is counted up to there, and not while this server was stopped."""
    disabled_at_ms: int = 0
    """0: it is not."""
    reason: str = ""


class Asked(Struct, kw_only=True, frozen=True):
    """What an operator wants: that it goes on; behind `after`, where that is not empty."""

    by: str
    after: str = ""


def kept_file(folder: Path, name: str) -> Path:
    """Where an endpoint's `Kept` is."""
    return folder / f"{name}.json"


def asked_file(folder: Path, name: str) -> Path:
    """Where what is asked of an endpoint waits."""
    return folder / f"{name}.asked"


def read_kept(file: Path) -> Kept | None:
    """None where the endpoint is new. Blocks."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Kept)
    except FileNotFoundError:
        return None


def take_asked(file: Path) -> Asked | None:
    """What is asked, which is then no longer; None for nothing. Blocks."""
    taken = file.with_suffix(".taken")
    try:
        file.replace(taken)
    except FileNotFoundError:
        return None
    # What is asked from here on is another file.
    asked = msgspec.json.decode(taken.read_bytes(), type=Asked)
    taken.unlink()
    return asked


def write(file: Path, value: Kept | Asked) -> None:
    """Whole or not at all, also where the power fails. Blocks."""
    write_whole(file, msgspec.json.encode(value))
