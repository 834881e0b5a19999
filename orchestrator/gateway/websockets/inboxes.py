"""Inboxes: lists of conversations that agents watch, as sets of rows that are listed whole and then change.

    watch   ask every cell to send changes from now on; wait until the archive has what was committed before; list
            whole; then the changes that came meanwhile, newer than the listed rows; then changes as they come

The order matters: changes are gathered from before the cells are asked, so that none falls between. A cell that came
back without its subscriptions means that all are asked again, and the list is then sent whole to all who watch it. That
reading waits for those that were begun before, which may lack what the cell has forgotten; so of each list there is one
such reading and one more to come, however often cells come back.
"""

from collections.abc import Awaitable, Callable, Sequence

from actors.fault import Tasks
from orchestrator.cell_lines.questions import Reply
from orchestrator.following import reach
from orchestrator.gateway.failures import failed
from orchestrator.gateway.peers import Archive, Cells
from orchestrator.gateway.reads.sharing import for_the_server
from orchestrator.gateway.websockets.listings import Done, Listing, ListWatcher, WatchedList
from orchestrator.gateway.websockets.told_rows import ToldRows
from protocol.entities import ConversationSummary
from protocol.errors import Code, Refusal
from protocol.frames import Inbox
from protocol.links import ListChanged, ListWatched, Refused, UnwatchList, WatchList

ROWS_MAX = 1000
"""Rows of a whole list, the newest: more than anyone scrolls through. Older ones are in `GET /v1/conversations`, and
appear as soon as they change."""
CUSTOMER = "customer:"
"""How the name of a customer's list begins."""
ARCHIVE_WITHIN_S = 10.0
"""How long a list waits for the archive before the watch is refused as `POSITION_NOT_REACHED`."""


class Inboxes:
    """The lists of one gateway."""

    def __init__(
        self,
        cells: Cells,
        archive: Archive,
        *,
        new_reference: Callable[[], str],
        newest: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        self._cells = cells
        self._newest = newest
        """The journal's position: where cells go, one that has told of a change may not be there to say at which."""
        self._new_reference = new_reference
        self._archive = archive
        self._lists: dict[str, WatchedList] = {}
        self._told = ToldRows() if cells.interchangeable else None
        self._tasks = Tasks(cells.broke)

    def watch(self, watcher: ListWatcher, name: str, inbox: str, done: Done) -> None:
        """Lists `name` whole for `watcher`, who knows it as `inbox`, and then its changes. `done` is called once: when
        the whole list is queued, with the refusal, or when the watcher has left meanwhile."""
        watched = self._lists.setdefault(name, WatchedList())
        watched.watchers.pop(watcher, None)
        self._begin(watched, Listing(name, {watcher: inbox}, done))

    def unwatch(self, watcher: ListWatcher, name: str) -> None:
        """Leaves; whoever leaves last ends the subscriptions."""
        if watched := self._lists.get(name):
            watched.watchers.pop(watcher, None)
            for listing in watched.listings:
                listing.watchers.pop(watcher, None)
            self._end_if_unwatched(name)

    def changed(self, change: ListChanged) -> None:
        """A conversation entered, changed in, or left lists."""
        told = self._told.of(change) if self._told is not None else change
        if told is not None:
            self._changed(told)

    def _changed(self, change: ListChanged) -> None:
        names = dict.fromkeys((*change.lists, *change.left))
        for name in names:
            if watched := self._lists.get(name):
                for listing in watched.listings:
                    listing.take(change)
                self._give(name, watched, change)
        if any(name.startswith(CUSTOMER) for name in change.left):
            # It is another customer's by now, and so are those that closed long ago: no cell has them to tell of.
            for name in names:
                if name.startswith(CUSTOMER) and (watched := self._lists.get(name)):
                    self._list_anew(name, watched, self._cells.indexes)

    def fresh(self, cell: int) -> None:
        """A cell came back without its subscriptions, or dropped rows because the line was full: what changed
        meanwhile shows in the whole list."""
        for name, watched in self._lists.items():
            self._list_anew(name, watched, [cell])

    def _list_anew(self, name: str, watched: WatchedList, cells: Sequence[int]) -> None:
        """Has the list sent whole to all who watch it, since these cells have not told all of it."""
        everyone = dict(watched.watchers)
        for listing in watched.listings:
            # Its answer from such a cell may be one that the cell has forgotten since.
            everyone.update(listing.watchers)
        watched.watchers = {}
        if to_come := watched.to_come():
            to_come.watchers = everyone
            watched.listings.remove(to_come)
            watched.listings.append(to_come)
            # The others' words are in it or will be: it gathers what they tell of since it was begun.
            for cell in cells:
                if cell in self._cells.indexes and cell not in to_come.unanswered:
                    self._ask(to_come, cell)
        elif everyone:
            # Every cell is asked, not these alone: the archive must have all that the others have told of, or
            # the whole list would put older rows in the place of newer ones.
            self._begin(watched, Listing(name, everyone, None))

    async def close(self) -> None:
        """Ends the reads that are on their way."""
        await self._tasks.cancel()

    # Listing whole

    def _begin(self, watched: WatchedList, listing: Listing) -> None:
        watched.listings.append(listing)
        # All at once: one that answers at once is not the last to answer.
        listing.unanswered.update(cells := self._cells.indexes)
        for cell in cells:
            self._ask(listing, cell)
        if not cells:
            self._read_ready(listing.name)  # Those that come are asked as they do.

    def _ask(self, listing: Listing, cell: int) -> None:
        listing.unanswered.add(cell)
        listing.refused.pop(cell, None)
        self._cells.ask_cell(
            cell, lambda ref: WatchList(ref, listing.name), lambda reply: self._answered(listing, cell, reply)
        )

    def _answered(self, listing: Listing, cell: int, reply: Reply) -> None:
        listing.unanswered.discard(cell)
        if isinstance(reply, ListWatched):
            listing.position = max(listing.position, reply.position)
        elif isinstance(reply, Refused):
            listing.refused[cell] = Refusal(Code(reply.code), reply.message)
        self._read_ready(listing.name)

    def _read_ready(self, name: str) -> None:
        """Reads what all cells have answered, unless it has to wait for those that were begun before."""
        watched = self._lists.get(name)
        # Who watched it last may have left as the whole list was given: it overflowed.
        for place, listing in enumerate(watched.listings if watched else ()):
            if not listing.is_read and not listing.unanswered and (listing.done or not place):
                listing.is_read = True
                self._tasks.begin(self._list(listing))

    async def _list(self, listing: Listing) -> None:
        for_the_server()
        refusal = next(iter(listing.refused.values()), None)
        rows: Sequence[ConversationSummary] = ()
        if refusal is None and listing.watchers:
            try:
                position = listing.position
                if self._cells.interchangeable and self._newest is not None:
                    position = max(position, await self._newest())
                await reach(self._archive, position, within_s=ARCHIVE_WITHIN_S)
                rows = await self._rows(listing.name)
            except Refusal as refused:
                refusal = refused
            except Exception as exc:  # noqa: BLE001 - a failed read is the answer of those who asked for it
                refusal = failed(exc, where="inbox", new_reference=self._new_reference)
        watched = self._lists[listing.name]
        watched.listings.remove(listing)
        if not refusal:
            entries = listing.with_changes(rows)
            if self._told is not None:
                for row in entries:
                    self._told.listed(listing.name, row)
            watched.watchers.update(listing.watchers)
            self._give_whole(listing, entries)
        self._read_ready(listing.name)
        self._end_if_unwatched(listing.name)
        if listing.done is not None:
            listing.done(refusal if listing.watchers else None)
        elif refusal:
            for watcher, inbox in listing.watchers.items():
                watcher.inbox_failed(inbox, refusal)

    def _give_whole(self, listing: Listing, entries: list[ConversationSummary]) -> None:
        full: list[ListWatcher] = []
        for watcher, inbox in listing.watchers.items():
            frame = watcher.codec.encode(Inbox(inbox=inbox, entries=entries, full=True))
            if listing.done is not None:
                watcher.answer(frame)
            elif not watcher.change(frame, inbox):
                full.append(watcher)
        # Only now: leaving changes the watchers that were walked.
        for watcher in full:
            watcher.overflowed()

    async def _rows(self, name: str) -> Sequence[ConversationSummary]:
        kind, _, value = name.partition(":")
        if kind == "customer":
            rows = await self._archive.conversations(customer=value, limit=ROWS_MAX)
            if not rows and await self._archive.journey(value, limit=1) is None:
                raise Refusal(Code.NOT_FOUND, "there is no such customer", ref=value)
            # Of one that was merged into another these are the other's, and their changes come in its list alone.
            return [row for row in rows if row.customer == value]
        return await self._archive.conversations(list=name, limit=ROWS_MAX)

    def _end_if_unwatched(self, name: str) -> None:
        watched = self._lists.get(name)
        if watched and not watched.watchers and not watched.listings:
            del self._lists[name]
            self._cells.tell_all(UnwatchList(name))

    # Changes

    def _give(self, name: str, watched: WatchedList, change: ListChanged) -> None:
        inside = name in change.lists
        encoded: dict[tuple[str, str], bytes] = {}
        full: list[ListWatcher] = []
        for watcher, inbox in watched.watchers.items():
            key = (watcher.codec.name, inbox)
            data = encoded.get(key)
            if data is None:
                entries, removed = ([change.row], []) if inside else ([], [change.row.conversation])
                data = encoded[key] = watcher.codec.encode(Inbox(inbox=inbox, entries=entries, removed=removed))
            if not watcher.change(data, inbox):
                full.append(watcher)
        for watcher in full:
            watcher.overflowed()
