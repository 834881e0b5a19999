"""Former lines: which channels the settings' accounts were lines of at earlier starts.

    a start, and the accounts are others than at the one before ──▶ data/lines.json ──▶ each cell's first policy

A message names its account and its channel. Whether it may leave so cannot be told from today's settings alone: an
app's account may serve its pages' channel, too. So what each account *was* is kept, as the policy's versions keep it of
a bundle's accounts (`actors.rules.policies`), and what waits for a line that it was is not sent by the line that it is.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from adapters.stores.errors import StoreFailed
from orchestrator.data_layout import LINES_FILE
from orchestrator.whole_files import write_whole
from protocol.journal import POLICIES_KEPT

KEPT_MAX = POLICIES_KEPT
"""Changes that are remembered: as many as of the policy."""

Lines = Mapping[str, str]
"""Account → channel."""
_decode = msgspec.json.Decoder(list[dict[str, str]]).decode


def note_lines(data: Path, lines: Lines) -> None:
    """A server starts with these: written down where they are others than before, whole or not at all. Blocks; by who
    holds the folder. Raises `StoreFailed`."""
    known = noted_lines(data)
    if known and known[-1] == lines:
        return
    file = data / LINES_FILE
    try:
        write_whole(file, msgspec.json.encode([*known, lines][-KEPT_MAX:]))
    except OSError as exc:
        raise StoreFailed(f"{file} cannot be written: {exc.strerror}") from exc


def noted_lines(data: Path) -> Sequence[Lines]:
    """The lines that this start and those before it had, the newest last; none where no server has noted any. Blocks.
    Raises `StoreFailed`."""
    file = data / LINES_FILE
    try:
        return _decode(file.read_bytes())
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise StoreFailed(f"{file} cannot be read: {exc.strerror}") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        mend = "put a backup in its place, or remove it: then what waits for an account leaves by what that is now"
        raise StoreFailed(f"{file} is damaged; {mend}") from exc
