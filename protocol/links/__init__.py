"""Links: what the server's own actors say to each other over pipes.

    gateway, channel host → cell      inputs, commands, watches, outcomes of deliveries
    cell → gateway, channel host      answers, updates, heads, deliveries
    cell → journal                    fences, units, tails         journal → cell      verdicts, policy versions
    journal → archive                 heads                        archive → journal   archived positions, trims
    cell → archive                    snapshots
    gateway, channel host ↔ usher     who sits where               usher ↔ seat        who is to sit there

`ref` is the asker's number for its question; the answer carries it back. All are arrays on the wire: these never leave
the server, both ends are of one version, and fields may change with it.
"""

from protocol.links.archive import ArchivedIs, HeadIs, SnapshotTaken, TrimTo
from protocol.links.from_cell import (
    Answered,
    AnyFromCell,
    Attempt,
    CellIs,
    CustomerRead,
    Elsewhere,
    HeadsAre,
    ListChanged,
    ListWatched,
    Moved,
    Overflowed,
    PolicyIs,
    Refused,
    Rehomed,
    Unlinked,
    Updated,
    Watched,
)
from protocol.links.journal import (
    AnyFromJournal,
    Append,
    FamiliesAre,
    FencesRaised,
    PoliciesAre,
    RaiseFences,
    ReadTail,
    Settled,
    TailIs,
)
from protocol.links.link import Link
from protocol.links.seats import (
    AnyFromUsher,
    AnyToSeat,
    AnyToUsher,
    ForSitting,
    Left,
    Locate,
    Release,
    SeatGone,
    SeatIs,
    SeatsAre,
    Sitting,
    Take,
    Touched,
)
from protocol.links.to_cell import (
    AnyToCell,
    Ask,
    Heard,
    Input,
    Outcome,
    Quarantine,
    ReadCustomer,
    Replay,
    Settle,
    TakersAre,
    UnwatchConversation,
    UnwatchList,
    WatchConversation,
    WatchList,
)

AnyToJournal = RaiseFences | Append | ReadTail | ArchivedIs | TrimTo
AnyToArchive = HeadIs | SnapshotTaken
AnyLink = AnyToCell | AnyFromCell | AnyToJournal | AnyFromJournal | AnyToArchive | AnyToSeat | AnyToUsher | AnyFromUsher

__all__ = [
    "Answered",
    "AnyFromCell",
    "AnyFromJournal",
    "AnyFromUsher",
    "AnyLink",
    "AnyToArchive",
    "AnyToCell",
    "AnyToJournal",
    "AnyToSeat",
    "AnyToUsher",
    "Append",
    "ArchivedIs",
    "Ask",
    "Attempt",
    "CellIs",
    "CustomerRead",
    "Elsewhere",
    "FamiliesAre",
    "FencesRaised",
    "ForSitting",
    "HeadIs",
    "HeadsAre",
    "Heard",
    "Input",
    "Left",
    "Link",
    "ListChanged",
    "ListWatched",
    "Locate",
    "Moved",
    "Outcome",
    "Overflowed",
    "PoliciesAre",
    "PolicyIs",
    "Quarantine",
    "RaiseFences",
    "ReadCustomer",
    "ReadTail",
    "Refused",
    "Rehomed",
    "Release",
    "Replay",
    "SeatGone",
    "SeatIs",
    "SeatsAre",
    "Settle",
    "Settled",
    "Sitting",
    "SnapshotTaken",
    "TailIs",
    "Take",
    "TakersAre",
    "Touched",
    "TrimTo",
    "Unlinked",
    "UnwatchConversation",
    "UnwatchList",
    "Updated",
    "WatchConversation",
    "WatchList",
    "Watched",
]
